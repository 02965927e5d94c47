//! Where keys lie while the program runs: once, in what is made of them, and nowhere
//! that others look.
//!
//! The tests read a child's memory as a debugger would, which it allows with
//! `--allow-core-dumps` alone.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Stdio;

use hkdf::Hkdf;
use sha2::{Digest, Sha256};

use crate::program::{Launch, Program};
use crate::raw_peer::RawPeer;

/// Keys of these tests alone, so that whatever is found of them is of the program.
const CONFKEY: &str = "9e107d9d372bb6826bd81d3542a419d6e4d909c290d0fb1ca068ffaddf22cbd0";
const AUTHKEY: &str = "37f332f68db77bd9d7edd4969571ad671cf9dd3b0a1c6b7b4a1d6c0f9c1e2d3a";
/// Texts, which are keys of either format as they are.
const TEXTS: [&str; 2] = [
    "Kq7vX2mPz9LdWn4TgYb8RcJh5FsAe3Ut",
    "hV6yBn1QwZ8xCk3MtJp5GdLs9RfEa7Xo",
];
/// Another user than root.
const NOBODY: u32 = 65534;

/// What to look for in a process.
struct Needle {
    what: &'static str,
    bytes: Vec<u8>,
    /// How often it may be there.
    times: usize,
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    let byte = |pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.map(byte).collect()
}

/// Both halves of a secret, of which neither may be there more often than `times`: half
/// of it would be enough to guess the rest.
fn halves(what: &'static str, secret: &[u8], times: usize) -> impl Iterator<Item = Needle> {
    let halves: Vec<_> = secret.chunks(secret.len().div_ceil(2)).collect();
    let needles = halves.into_iter().map(move |half| Needle {
        what,
        bytes: half.to_vec(),
        times,
    });
    needles.collect::<Vec<_>>().into_iter()
}

/// What is secret of two native keys: the keys not at all, in bytes or in hex, and what
/// is derived from them once (`PROTOCOL.md` §1.1).
fn native(confkey: &[u8], authkey: &[u8]) -> Vec<Needle> {
    let ikm = [confkey, authkey].concat();
    let (prk, hkdf) = Hkdf::<Sha256>::extract(Some(b"sealwire/1"), &ikm);
    let mut hello = [0; 32];
    hkdf.expand(b"sealwire/1 client hello", &mut hello).unwrap();
    let hex = |key: &[u8]| {
        key.iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    [
        ("the confkey", confkey, 0),
        ("the confkey in hex", hex(confkey).as_bytes(), 0),
        ("the authkey", authkey, 0),
        ("the authkey in hex", hex(authkey).as_bytes(), 0),
        ("the prk", &prk, 1),
        ("the key of hellos", &hello, 1),
    ]
    .into_iter()
    .flat_map(|(what, secret, times)| halves(what, secret, times))
    .collect()
}

/// All memory of a process that can be read; `None`, with a word of why, if this test
/// may not.
fn memory(program: &Program) -> Option<Vec<(String, Vec<u8>)>> {
    let folder = format!("/proc/{}", program.id().as_raw_nonzero());
    let file = match File::open(format!("{folder}/mem")) {
        Ok(file) => file,
        Err(error) => {
            eprintln!("skipped: the memory of a child cannot be read: {error}");
            return None;
        }
    };
    let maps = fs::read_to_string(format!("{folder}/maps")).unwrap();
    let mut regions = Vec::new();
    for line in maps.lines().filter(|line| line.contains(" r")) {
        let (from, rest) = line.split_once('-').unwrap();
        let (to, _) = rest.split_once(' ').unwrap();
        let [from, to] = [from, to].map(|text| u64::from_str_radix(text, 16).unwrap());
        let mut region = vec![0; (to - from) as usize];
        // The system's own pages cannot be read.
        if file.read_exact_at(&mut region, from).is_ok() {
            regions.push((line.to_owned(), region));
        }
    }
    assert!(regions.len() > 10, "{maps}");
    Some(regions)
}

/// Asserts that each needle is in the memory of `program` as often as it should be.
/// Returns whether that could be seen.
#[track_caller]
fn holds(program: &Program, when: &str, needles: &[Needle]) -> bool {
    let Some(memory) = memory(program) else {
        return false;
    };
    let mut wrong = Vec::new();
    for Needle { what, bytes, times } in needles {
        let found = memory.iter().flat_map(|(region, all)| {
            let at = |i: &usize| all[*i..].starts_with(bytes);
            let first = bytes[0];
            let starts = all
                .iter()
                .enumerate()
                .filter(move |(_, byte)| **byte == first);
            let starts = starts.map(|(i, _)| i).filter(at);
            starts.map(move |i| format!("{i:#x} bytes into {region}"))
        });
        let found: Vec<_> = found.collect();
        if found.len() != *times {
            wrong.push(format!("{what}, wanted {times} times: {found:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{when}: {}", wrong.join("\n"));
    true
}

fn secret_file(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Goal: however keys come to a server, they are nowhere in its memory once it serves,
/// and what is derived from them is there once; nor does a client change that. Method:
/// each way, with its memory read before, while a client is there, and afterwards.
#[test]
fn keys_lie_in_memory_once() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name, text| format!("@{}", secret_file(folder.path(), name, text));
    let (at_confkey, at_authkey) = (at("c", CONFKEY), at("a", AUTHKEY));
    let lines = format!("other {AUTHKEY} {CONFKEY}\nmain {CONFKEY} {AUTHKEY}\n");
    let file = secret_file(folder.path(), "keys", &lines);
    let of_hex = || native(&bytes(CONFKEY), &bytes(AUTHKEY));
    let [confkey, authkey] = TEXTS;
    let of_texts = || native(confkey.as_bytes(), authkey.as_bytes());
    let ways = [
        (of_hex(), Launch::server("").keys(CONFKEY, AUTHKEY)),
        (of_texts(), Launch::server("").keys(confkey, authkey)),
        (
            of_hex(),
            Launch::server(&format!("--confkey {CONFKEY} --authkey={AUTHKEY}")),
        ),
        (
            of_texts(),
            Launch::server(&format!("--confkey={confkey} --authkey {authkey}")),
        ),
        (
            of_hex(),
            Launch::server(&format!("--keys {file} --name main")).no_keys(),
        ),
        (
            of_hex(),
            Launch::server(&format!("--confkey {at_confkey} --authkey {at_authkey}")),
        ),
        (of_hex(), Launch::server("").keys(&at_confkey, &at_authkey)),
    ];
    for (way, (needles, server)) in ways.into_iter().enumerate() {
        let server = server.arg("--allow-core-dumps").arg("--no-input").start();
        let port = server.port();
        let when = |when| format!("way {way}, {when}");
        if !holds(&server, &when("before anyone came"), &needles) {
            return;
        }
        let (confkey, authkey) = match way {
            1 | 3 => (confkey, authkey),
            _ => (CONFKEY, AUTHKEY),
        };
        let client = Launch::client(port, "--allow-core-dumps").keys(confkey, authkey);
        let mut client = client.start();
        client.say("hello\n");
        server.prints("hello\n");
        holds(&server, &when("with a client"), &needles);
        holds(&client, &when("of the client"), &needles);
        client.end_input();
        client.ends_with(0);
        server.lines(1, "left");
        holds(&server, &when("after the client"), &needles);
        server.stop();
    }
}

/// Goal: the keys of the classic format likewise: not as typed, and what is derived from
/// them once at most. Method: a server that speaks both, and one whose keys are for
/// classic alone, with a client.
#[test]
fn classic_keys_lie_in_memory_once() {
    for [confkey, authkey] in [
        [CONFKEY, AUTHKEY],
        ["a confkey of any length at all", TEXTS[0]],
    ] {
        let cipher = Sha256::digest(confkey);
        let mac = Sha256::digest([confkey, authkey].concat());
        let needles = || {
            halves("the confkey", confkey.as_bytes(), 0)
                .chain(halves("the authkey", authkey.as_bytes(), 0))
                .chain(halves("the key of the MAC", &mac, 0))
        };
        let server = Launch::server("--classic --allow-core-dumps --no-input");
        let server = server.keys(confkey, authkey).start();
        let port = server.port();
        let found = memory(&server).map(|memory| times(&memory, &cipher));
        let Some(found) = found else { return };
        assert!(found <= 1, "the key of the cipher is there {found} times");
        let needles: Vec<_> = needles().collect();
        holds(&server, "classic, before anyone came", &needles);
        let client = Launch::client(port, "--classic --allow-core-dumps");
        let mut client = client.keys(confkey, authkey).start();
        client.say("hello\n");
        server.prints("hello\n");
        holds(&server, "classic, with a client", &needles);
        holds(&client, "classic, the client", &needles);
        client.end_input();
        client.ends_with(0);
        server.stop();
    }
}

/// Goal: of a connection, too, a server keeps what it needs, once: not the secrets that
/// its keys are made of, nor those keys but as they are used. Method: a peer that is in
/// the test, and so knows them; while it is there, and when it has left.
#[test]
fn secrets_of_a_connection_lie_in_memory_once() {
    let server = Launch::server("--no-input --echo --allow-core-dumps").start();
    let peer = RawPeer::proved(server.port());
    let needles = |there: usize| {
        peer.secrets().into_iter().flat_map(move |secret| {
            let hkdf = Hkdf::<Sha256>::from_prk(&secret).unwrap();
            let (mut keys, mut next) = ([0; 96], [0; 32]);
            hkdf.expand(b"sealwire/1 record keys", &mut keys).unwrap();
            hkdf.expand(b"sealwire/1 next epoch", &mut next).unwrap();
            halves("the secret of a direction", &secret, 0)
                .chain(halves("the secret of the next epoch", &next, there))
                .chain(halves("the key of the MAC", &keys[32..64], 0))
                .collect::<Vec<_>>()
        })
    };
    let there: Vec<_> = needles(1).collect();
    let gone: Vec<_> = needles(0).collect();
    if !holds(&server, "with a peer", &there) {
        return;
    }
    drop(peer);
    server.lines(1, "the connection ended");
    holds(&server, "without it", &gone);
    server.stop();
}

fn times(memory: &[(String, Vec<u8>)], needle: &[u8]) -> usize {
    let regions = memory.iter();
    let all = regions.flat_map(|(_, all)| all.windows(needle.len()));
    all.filter(|window| window == &needle).count()
}

/// Goal: neither the arguments nor the environment of a server show a key, and all else
/// of them is as it was. Method: read both as others do.
#[test]
fn keys_are_wiped_where_others_see_them() {
    let shown = |program: &Program, name: &str| {
        let path = format!("/proc/{}/{name}", program.id().as_raw_nonzero());
        fs::read(path).map(|text| String::from_utf8(text).unwrap())
    };
    let stars = "*".repeat(64);
    let args = format!("--no-input --allow-core-dumps --confkey {CONFKEY} --authkey={AUTHKEY}");
    let server = Launch::server(&args).start();
    server.port();
    let arguments = shown(&server, "cmdline").unwrap();
    let wanted = format!("--no-input\0--allow-core-dumps\0--confkey\0{stars}\0--authkey={stars}\0");
    assert!(arguments.ends_with(&wanted), "{arguments:?}");
    server.stop();

    let server = Launch::server("--no-input --allow-core-dumps").keys(CONFKEY, AUTHKEY);
    let server = server.start();
    server.port();
    match shown(&server, "environ") {
        Ok(environment) => {
            let value = |name| {
                let mut variables = environment.split('\0');
                variables.find_map(|variable| variable.strip_prefix(name)?.strip_prefix('='))
            };
            assert_eq!(value("SEALWIRE_CONFKEY"), Some(&stars[..]));
            assert_eq!(value("SEALWIRE_AUTHKEY"), Some(&stars[..]));
            assert_eq!(value("PATH"), std::env::var("PATH").ok().as_deref());
        }
        Err(error) => eprintln!("skipped in part: no environment to read: {error}"),
    }
    server.stop();

    // The name of a file is no secret, and is what ps should show.
    let folder = tempfile::tempdir().unwrap();
    let at = format!("@{}", secret_file(folder.path(), "c", CONFKEY));
    let server = Launch::server(&format!("--no-input --confkey {at} --authkey {AUTHKEY}"));
    let server = server.start();
    server.port();
    let arguments = shown(&server, "cmdline").unwrap();
    assert!(
        arguments.ends_with(&format!("{at}\0--authkey\0{stars}\0")),
        "{arguments:?}"
    );
    server.stop();
}

/// Goal: nobody but root looks into a program that holds keys, and the system writes no
/// core of it, unless that is asked for. Method: to whom Linux says that the process
/// belongs; as another user than root, for whom it makes a difference.
#[test]
fn memory_is_for_root_alone() {
    if !Launch::new("--version").user(NOBODY).starts() {
        eprintln!("skipped: no other user can run the program");
        return;
    }
    let owner = |program: &Program| -> io::Result<u32> {
        let path = format!("/proc/{}/environ", program.id().as_raw_nonzero());
        Ok(fs::metadata(path)?.uid())
    };
    for (option, wanted) in [("", 0), ("--allow-core-dumps", NOBODY)] {
        let server = Launch::server(&format!("--no-input {option}")).user(NOBODY);
        let server = server.start();
        let port = server.port();
        assert_eq!(owner(&server).unwrap(), wanted, "server {option}");
        let client = Launch::client(port, option)
            .user(NOBODY)
            .stdin(Stdio::piped());
        let mut client = client.start();
        client.say("hello\n");
        server.prints("hello\n");
        assert_eq!(owner(&client).unwrap(), wanted, "client {option}");
        client.end_input();
        client.ends_with(0);
        server.stop();
    }
}
