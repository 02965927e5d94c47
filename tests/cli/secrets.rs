//! Where keys lie while the program runs: once, in what is derived from them, and not
//! where other users look.
//!
//! The tests read a child's memory as a debugger would, which it allows with
//! `--allow-core-dumps` alone.

use std::fs::{self, File};
use std::io;
use std::ops::RangeInclusive;
use std::os::unix::fs::{FileExt, MetadataExt};

use hkdf::Hkdf;
use sha2::{Digest, Sha256};

use crate::keys;
use crate::program::{Launch, NOBODY, Program, from_hex};
use crate::raw_peer::RawPeer;

/// Keys of these tests alone, so that no copy in a child comes from the test itself.
const HEX: [&str; 2] = [
    "9e107d9d372bb6826bd81d3542a419d6e4d909c290d0fb1ca068ffaddf22cbd0",
    "37f332f68db77bd9d7edd4969571ad671cf9dd3b0a1c6b7b4a1d6c0f9c1e2d3a",
];
/// Texts, which are keys of either format as they are.
const TEXTS: [&str; 2] = [
    "Kq7vX2mPz9LdWn4TgYb8RcJh5FsAe3Ut",
    "hV6yBn1QwZ8xCk3MtJp5GdLs9RfEa7Xo",
];

/// What to look for in a process.
#[derive(Clone)]
struct Needle {
    what: &'static str,
    bytes: Vec<u8>,
    /// How often it may be there.
    times: RangeInclusive<usize>,
}

/// Both halves of a secret that must be there `times`: half of it would be enough to guess
/// the rest.
fn halves(what: &'static str, secret: &[u8], times: usize) -> Vec<Needle> {
    let halves = secret.chunks(secret.len().div_ceil(2));
    let needles = halves.map(|half| Needle {
        what,
        bytes: half.to_vec(),
        times: times..=times,
    });
    needles.collect()
}

/// The secrets of two native keys: the keys must not be there, in bytes or in hex, and what
/// is derived from them once (`PROTOCOL.md` §1.1).
fn native(keys: [&str; 2]) -> Vec<Needle> {
    let [confkey, authkey] = keys.map(|key| match key.len() {
        64 => from_hex(key),
        _ => key.into(),
    });
    let (prk, hkdf) =
        Hkdf::<Sha256>::extract(Some(b"sealwire/1"), &[&confkey[..], &authkey].concat());
    let mut hello = [0; 32];
    hkdf.expand(b"sealwire/1 client hello", &mut hello).unwrap();
    let hex = |key: &[u8]| -> String { key.iter().map(|byte| format!("{byte:02x}")).collect() };
    [
        halves("the confkey", &confkey, 0),
        halves("the confkey in hex", hex(&confkey).as_bytes(), 0),
        halves("the authkey", &authkey, 0),
        halves("the authkey in hex", hex(&authkey).as_bytes(), 0),
        halves("the prk", &prk, 1),
        halves("the key of hellos", &hello, 1),
    ]
    .concat()
}

/// All memory of a process that can be read. If this test may not read it, says so and
/// returns `None`.
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

/// Asserts that each needle is in the memory of `program` as often as it should be. Returns
/// whether that could be seen.
#[track_caller]
fn holds(program: &Program, when: &str, needles: &[Needle]) -> bool {
    let Some(memory) = memory(program) else {
        return false;
    };
    for Needle { what, bytes, times } in needles {
        let found = memory.iter().flat_map(|(region, all)| {
            let is_here = |i: &usize| all[*i] == bytes[0] && all[*i..].starts_with(bytes);
            let starts = (0..all.len()).filter(is_here);
            starts.map(move |i| format!("{i:#x} bytes into {region}"))
        });
        let found: Vec<_> = found.collect();
        let right = times.contains(&found.len());
        assert!(right, "{when}: {what}, wanted {times:?} times: {found:#?}");
    }
    true
}

/// Starts a server whose memory the test may read.
fn exposed(server: Launch) -> Program {
    let server = server.arg("--allow-core-dumps").arg("--no-input").start();
    server.port();
    server
}

/// Asserts [`holds`] for a server before a client comes, for both while it is there, and
/// for the server afterwards. The client has `args` and `keys`. Returns whether that could
/// be seen.
#[track_caller]
fn holds_throughout(server: Program, args: &str, keys: [&str; 2], needles: &[Needle]) -> bool {
    let client = Launch::client(server.port(), &format!("--allow-core-dumps {args}"));
    if !holds(&server, "before the client", needles) {
        return false;
    }
    let mut client = client.keys(keys[0], keys[1]).start();
    client.say("hello\n");
    server.prints("hello\n");
    holds(&server, "with the client", needles);
    holds(&client, "of the client", needles);
    client.finish("");
    server.lines(1, "left");
    holds(&server, "after the client", needles);
    server.stop();
    true
}

/// Goal: however keys come to a server, they are nowhere in its memory once it serves, and
/// what is derived from them is there once; a client does not change that. Method: each
/// way, with a client.
#[test]
fn keys_lie_in_memory_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name, text: &str| keys::file(folder.path(), name, 0o600, text);
    let [confkey, authkey] = HEX;
    let [at_confkey, at_authkey] = HEX.map(|key| keys::at(&file(&key[..4], key)));
    let lines = format!("other {authkey} {confkey}\nmain {confkey} {authkey}\n");
    let typed = |args: String| Launch::server(&args);
    for (keys, server) in [
        (HEX, Launch::server("").keys(confkey, authkey)),
        (TEXTS, Launch::server("").keys(TEXTS[0], TEXTS[1])),
        (
            HEX,
            typed(format!("--confkey {confkey} --authkey={authkey}")),
        ),
        (
            TEXTS,
            typed(format!("--confkey={} --authkey {}", TEXTS[0], TEXTS[1])),
        ),
        (
            HEX,
            Launch::server("--name main").key_file(&file("keys", &lines)),
        ),
        (
            HEX,
            typed(format!("--confkey {at_confkey} --authkey {at_authkey}")),
        ),
        (HEX, Launch::server("").keys(&at_confkey, &at_authkey)),
    ] {
        eprintln!("{server:?}");
        if !holds_throughout(exposed(server), "", keys, &native(keys)) {
            return;
        }
    }
}

/// Goal: the keys of the classic format are not there as typed, and what is derived from
/// them is there once at most. Method: a server that speaks both, and one whose keys are
/// for classic alone, with a client.
#[test]
fn classic_keys_lie_in_memory_once() {
    for keys in [HEX, ["a confkey of any length at all", TEXTS[0]]] {
        let cipher = Needle {
            what: "the key of the cipher",
            bytes: Sha256::digest(keys[0]).to_vec(),
            times: 0..=1,
        };
        let needles = [
            halves("the confkey", keys[0].as_bytes(), 0),
            halves("the authkey", keys[1].as_bytes(), 0),
            halves("the key of the MAC", &Sha256::digest(keys.concat()), 0),
        ];
        let server = exposed(Launch::server("--classic").keys(keys[0], keys[1]));
        if !holds(&server, "before the client", &[cipher]) {
            return;
        }
        holds_throughout(server, "--classic", keys, &needles.concat());
    }
}

/// Goal: of a connection, too, a server keeps what it needs, once: neither the secrets that
/// its keys are made of, nor those keys in another form than the one in use. Method: a peer
/// of the test, which knows the secrets; while it is there, and when it has left.
#[test]
fn secrets_of_a_connection_lie_in_memory_once() {
    let server = Launch::server("--no-input --echo --allow-core-dumps").start();
    let peer = RawPeer::proved(server.port());
    let needles = |there: usize| -> Vec<Needle> {
        let of = |secret: [u8; 32]| {
            let hkdf = Hkdf::<Sha256>::from_prk(&secret).unwrap();
            let (mut keys, mut next) = ([0; 96], [0; 32]);
            hkdf.expand(b"sealwire/1 record keys", &mut keys).unwrap();
            hkdf.expand(b"sealwire/1 next epoch", &mut next).unwrap();
            [
                halves("the secret of a direction", &secret, 0),
                halves("the secret of the next epoch", &next, there),
                halves("the key of the MAC", &keys[32..64], 0),
            ]
            .concat()
        };
        peer.secrets().into_iter().flat_map(of).collect()
    };
    let (there, gone) = (needles(1), needles(0));
    if !holds(&server, "with a peer", &there) {
        return;
    }
    drop(peer);
    server.lines(1, "the connection ended");
    holds(&server, "without it", &gone);
    server.stop();
}

/// Goal: neither the arguments nor the environment of a server show a key, and the rest of
/// them is unchanged. Method: read both as other users do.
#[test]
fn keys_are_wiped_where_others_see_them() {
    let shown = |program: &Program, name: &str| {
        let path = format!("/proc/{}/{name}", program.id().as_raw_nonzero());
        fs::read(path).map(|text| String::from_utf8(text).unwrap())
    };
    let [confkey, authkey] = HEX;
    let stars = "*".repeat(64);
    // The name of a file is no secret: ps should show it.
    let folder = tempfile::tempdir().unwrap();
    let at = keys::at(&keys::file(folder.path(), "c", 0o600, confkey));
    for (typed, wanted) in [
        (
            format!("--allow-core-dumps --confkey {confkey} --authkey={authkey}"),
            format!("--allow-core-dumps\0--confkey\0{stars}\0--authkey={stars}\0"),
        ),
        (
            format!("--confkey {at} --authkey {authkey}"),
            format!("--confkey\0{at}\0--authkey\0{stars}\0"),
        ),
    ] {
        let server = Launch::server(&format!("--no-input {typed}")).start();
        server.port();
        let arguments = shown(&server, "cmdline").unwrap();
        let wanted = format!("--no-input\0{wanted}");
        assert!(arguments.ends_with(&wanted), "{arguments:?}");
        server.stop();
    }

    let server = Launch::server("--no-input --allow-core-dumps").keys(confkey, authkey);
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
}

/// Goal: only root looks into a program that holds keys, and the system writes no core of
/// it, unless the user asks for that. Method: the owner that Linux gives the process, as
/// another user than root, where it makes a difference.
#[test]
fn memory_is_for_root_alone() {
    if !Launch::nobody_can_run() {
        return;
    }
    let owner = |program: &Program| -> io::Result<u32> {
        let path = format!("/proc/{}/environ", program.id().as_raw_nonzero());
        Ok(fs::metadata(path)?.uid())
    };
    for (option, wanted) in [("", 0), ("--allow-core-dumps", NOBODY)] {
        let server = Launch::server(&format!("--no-input {option}")).by_nobody();
        let server = server.start();
        let client = Launch::client(server.port(), option).by_nobody();
        assert_eq!(owner(&server).unwrap(), wanted, "server {option}");
        let mut client = client.start();
        client.say("hello\n");
        server.prints("hello\n");
        assert_eq!(owner(&client).unwrap(), wanted, "client {option}");
        client.finish("");
        server.stop();
    }
}
