//! Where keys lie while the program runs: once, in what is derived from them, and not
//! where other users look.
//!
//! The tests read a child's memory as a debugger would, which it allows with
//! `--allow-core-dumps` alone.

use std::fs::{self, File};
use std::io::{self, Write};
use std::ops::RangeInclusive;
use std::os::unix::fs::{FileExt, MetadataExt};

use hkdf::Hkdf;
use rustix::process::Signal;
use sealwire::wire::record::Kind;
use sha2::block_api::compress256;
use sha2::{Digest, Sha256};

use crate::keys;
use crate::program::{AUTHKEY, CONFKEY, Ended, Launch, NOBODY, Program, from_hex};
use crate::raw_peer::{RawPeer, connect, hello, listener, signed};

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

/// All memory of a process that can be written: what cannot is as it is in a file. If this test
/// may not read it, says so and returns `None`.
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
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let (from, rest) = line.split_once('-').unwrap();
        let (to, _) = rest.split_once(' ').unwrap();
        let [from, to] = [from, to].map(|text| u64::from_str_radix(text, 16).unwrap());
        let mut region = vec![0; (to - from) as usize];
        // The system's own pages cannot be read.
        if file.read_exact_at(&mut region, from).is_ok() {
            regions.push((line.to_owned(), region));
        }
    }
    for wanted in ["[heap]", "[stack]"] {
        let is_there = regions.iter().any(|(line, _)| line.ends_with(wanted));
        assert!(is_there, "{wanted}: {maps}");
    }
    Some(regions)
}

/// Where each needle is.
fn places(memory: &[(String, Vec<u8>)], needles: &[Needle]) -> Vec<Vec<String>> {
    let start = |bytes: &[u8]| usize::from(bytes[0]) << 8 | usize::from(bytes[1]);
    // One pass over the memory, where few places are the start of a needle.
    let mut starting = vec![Vec::new(); 1 << 16];
    for (number, needle) in needles.iter().enumerate() {
        starting[start(&needle.bytes)].push(number);
    }
    let mut found = vec![Vec::new(); needles.len()];
    for (region, all) in memory {
        for (at, pair) in all.windows(2).enumerate() {
            for &number in &starting[start(pair)] {
                if all[at..].starts_with(&needles[number].bytes) {
                    found[number].push(format!("{at:#x} bytes into {region}"));
                }
            }
        }
    }
    found
}

/// Asserts that each needle is in the memory of `program` as often as it should be. Returns
/// whether that could be seen.
#[track_caller]
fn holds(program: &Program, when: &str, needles: &[Needle]) -> bool {
    let Some(memory) = memory(program) else {
        return false;
    };
    for (Needle { what, times, .. }, found) in needles.iter().zip(places(&memory, needles)) {
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

/// Goal: of many keys, too, what is derived is there once; when the file is read again, nothing is
/// left of a key that is withdrawn, and the others are not there twice. Method: a file of two
/// keys, with a client of each; one is withdrawn; the file is read once more.
#[test]
fn keys_of_a_ring_lie_in_memory_once() {
    let folder = tempfile::tempdir().unwrap();
    let (kept, gone) = (HEX, [HEX[1], HEX[0]]);
    let line = |name: &str, [confkey, authkey]: [&str; 2]| format!("{name} {confkey} {authkey}\n");
    let both = line("kept", kept) + &line("gone", gone);
    let path = keys::file(folder.path(), "keys", 0o600, both);
    let server = exposed(Launch::server("").key_file(&path));
    let mut needles = [native(kept), native(gone)].concat();
    if !holds(&server, "before the clients", &needles) {
        return;
    }
    let client = |[confkey, authkey]: [&str; 2]| {
        let client = Launch::client(server.port(), "").keys(confkey, authkey);
        client.start()
    };
    let (mut stays, leaves) = (client(kept), client(gone));
    server.lines(2, " came");
    holds(&server, "with both clients", &needles);

    fs::write(&path, line("kept", kept)).unwrap();
    server.signal(Signal::HUP);
    leaves.ends_with(3);
    server.line("gave up: key withdrawn");
    let of_kept = native(kept).len();
    for needle in &mut needles[of_kept..] {
        needle.times = 0..=0;
    }
    holds(&server, "when one is withdrawn", &needles);
    server.signal(Signal::HUP);
    server.lines(2, "keys read again");
    stays.say("hello\n");
    server.prints("hello\n");
    holds(&server, "when they are read once more", &needles);
    stays.finish("");
    server.stop();
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

/// The two states of HMAC that come from a key (RFC 2104), as bytes in the order of this
/// machine: the form in which every kernel keeps it.
fn mac_states(key: &[u8]) -> [Vec<u8>; 2] {
    // SHA-256's initial state (FIPS 180-4 §5.3.3).
    const INITIAL: [u32; 8] = [
        0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab,
        0x5be0cd19,
    ];
    [0x36, 0x5c].map(|pad| {
        let mut block = [pad; 64];
        block.iter_mut().zip(key).for_each(|(b, k)| *b ^= k);
        let mut state = INITIAL;
        compress256(&mut state, &[block]);
        state.iter().flat_map(|word| word.to_ne_bytes()).collect()
    })
}

/// The secrets of a connection (`PROTOCOL.md` §1.2, §1.4), of which a program keeps what it
/// needs `there` times. The keys of the cipher are the start of what a kernel makes of them,
/// where it does not transform them.
fn of_connection(peer: &RawPeer, there: usize) -> Vec<Needle> {
    let of_direction = |secret: [u8; 32]| {
        let hkdf = Hkdf::<Sha256>::from_prk(&secret).unwrap();
        let (mut keys, mut next) = ([0; 96], [0; 32]);
        hkdf.expand(b"sealwire/1 record keys", &mut keys).unwrap();
        hkdf.expand(b"sealwire/1 next epoch", &mut next).unwrap();
        let [inner, outer] = mac_states(&keys[32..64]);
        let mut ciphers = [
            halves("the key of the cipher", &keys[..32], there),
            halves("the key of IVs", &keys[64..], there),
        ]
        .concat();
        for cipher in &mut ciphers {
            cipher.times = 0..=there;
        }
        [
            halves("the secret of a direction", &secret, 0),
            halves("the secret of the next epoch", &next, there),
            halves("the key of the MAC", &keys[32..64], 0),
            halves("the inner state of the MAC", &inner, there),
            halves("the outer state of the MAC", &outer, there),
            ciphers,
        ]
        .concat()
    };
    let of_handshake = |secret: [u8; 32]| halves("a secret of the handshake", &secret, 0);
    let directions = peer.secrets().into_iter().flat_map(of_direction);
    let handshake = peer.handshake().into_iter().flat_map(of_handshake);
    directions.chain(handshake).collect()
}

/// Sends messages of which the program opens many records side by side, and seals answers.
fn talk(peer: &mut RawPeer) {
    for len in [1, 100, 16_000, 16_000, 16_000] {
        peer.say(Kind::End as u8, &vec![b'x'; len]);
    }
    for _ in 0..5 {
        peer.next().expect("an answer");
    }
}

/// Goal: of a connection, too, a server keeps what it needs, once: neither the secrets that
/// its keys are made of, nor those keys in another form than the one in use, nor what only
/// the handshake needs. Nothing is left of a connection that has ended, while another goes
/// on, and when the last has gone. Method: peers of the test, which know the secrets; before
/// and after they have said much.
#[test]
fn secrets_of_a_connection_lie_in_memory_once() {
    let server = Launch::server("--no-input --echo --allow-core-dumps").start();
    let [mut one, mut other] = [(); 2].map(|()| RawPeer::proved(server.port()));
    let all = |one_is_there, other_is_there| {
        let one = of_connection(&one, one_is_there);
        [one, of_connection(&other, other_is_there)].concat()
    };
    let (both, one_gone, none) = (all(1, 1), all(0, 1), all(0, 0));
    if !holds(&server, "with two peers", &both) {
        return;
    }
    talk(&mut one);
    talk(&mut other);
    holds(&server, "when they have talked", &both);
    drop(one);
    server.lines(1, "the connection ended");
    holds(&server, "when one has gone", &one_gone);
    talk(&mut other);
    holds(&server, "when the other has talked on", &one_gone);
    drop(other);
    server.lines(2, "the connection ended");
    holds(&server, "when both have gone", &none);
    server.stop();
}

/// Goal: a client keeps no more of its connection than a server does. Method: a server of the
/// test, which says something.
#[test]
fn secrets_of_a_client_lie_in_memory_once() {
    let (listener, port) = listener();
    let client = Launch::client(port, "--allow-core-dumps").start();
    let mut peer = RawPeer::server(&listener);
    peer.say(Kind::End as u8, b"said");
    client.prints("said");
    holds(&client, "while it is there", &of_connection(&peer, 1));
}

/// Asserts that a program printed no part of these keys and of what is derived from them: no
/// eight characters of a text or of hex digits in a row, and no three bytes as numbers.
#[track_caller]
fn shows_none(ended: &Ended, keys: [&str; 2]) {
    let printed = format!("{}{}", ended.stderr, String::from_utf8_lossy(&ended.stdout));
    let printed = printed.to_lowercase();
    let [confkey, authkey] = keys.map(str::to_lowercase);
    let mut parts: Vec<String> = Vec::new();
    for text in [confkey, authkey] {
        let part = text.as_bytes().windows(8);
        parts.extend(part.map(|part| String::from_utf8(part.to_vec()).unwrap()));
    }
    for Needle { bytes, .. } in native(keys) {
        let hex = bytes.windows(4).map(|part| part.iter());
        parts.extend(hex.map(|part| part.map(|byte| format!("{byte:02x}")).collect()));
        let numbers = bytes.windows(3);
        parts.extend(numbers.map(|part| format!("{part:?}").replace(['[', ']'], "")));
    }
    let shown = parts.iter().find(|part| printed.contains(&part[..]));
    assert_eq!(shown, None, "a part of a key is shown: {ended}");
}

/// Goal: no line on stderr or stdout has a part of a key, whatever is wrong with a command
/// line, a file or the environment. Method: every way to misplace or to spoil a key, for keys
/// in hex and as text.
#[test]
fn no_refusal_shows_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| keys::file(folder.path(), name, 0o600, text);
    for keys in [HEX, TEXTS] {
        let [confkey, authkey] = keys;
        let short = &confkey[1..];
        let at_short = keys::at(&file("short", short));
        let mut launches: Vec<Launch> = [
            format!("--confkey {confkey}"),
            format!("--confkey {short} --authkey {authkey}"),
            format!("--confkey {confkey}x --authkey {authkey}"),
            format!("--confkey {confkey} --authkey {confkey}"),
            format!("--confkey {confkey} {authkey}"),
            format!("--confkey {at_short} --authkey {authkey}"),
            format!("--confkey @{confkey} --authkey {authkey}"),
            format!("--confkey {confkey} --authkey {authkey} --keys {at_short}"),
            format!("{confkey} {authkey}"),
            format!("--{confkey}"),
            format!("-{confkey}"),
            format!("--echo={confkey}"),
            format!("--confkeys={confkey} --authkey={authkey}"),
        ]
        .iter()
        .map(|args| Launch::server(args).no_keys())
        .collect();
        let options = "port max-memory max-message max-assembling max-queue max-idle max-peers \
                       max-handshakes ping-after dead-after";
        for option in options.split_whitespace() {
            launches.push(Launch::server(&format!("--{option} {confkey}")));
        }
        launches.push(Launch::server("").keys(short, authkey));
        launches.push(Launch::server("").keys(confkey, ""));
        launches.push(Launch::server("").keys(confkey, confkey));
        launches.push(Launch::server("").keys(&format!("@{confkey}"), authkey));
        launches.push(Launch::server("").kernel(Some(confkey.as_ref())));
        for (number, lines) in [
            format!("main {confkey}\n"),
            format!("main {confkey} {authkey} more\n"),
            format!("{confkey} {authkey}\n"),
            format!("main {short} {authkey}\n"),
            format!("a {confkey} {authkey}\na {authkey} {confkey}\n"),
            format!("a {confkey} {authkey}\nb {confkey} {authkey}\n"),
            format!("a {confkey} {authkey} forward={confkey}\n"),
        ]
        .iter()
        .enumerate()
        {
            let path = file(&format!("lines-{number}"), lines);
            launches.push(Launch::server("").key_file(&path));
            let keygen = Launch::new("keygen").arg(path).no_keys();
            launches.push(keygen.arg("--name").arg("a"));
        }
        for launch in launches {
            let told = format!("{launch:?}");
            let ended = launch.run();
            // A key file of another line may take one more.
            assert!(
                ended.code != 0 || told.contains("keygen"),
                "{told}: {ended}"
            );
            shows_none(&ended, keys);
        }
    }
}

/// Goal: nothing that peers and strangers cause shows a part of a key. Method: a server and
/// clients to which all kinds of events happen: strangers, wrong keys, a right hello and
/// nothing valid behind it, a record that does not hold, a message that is too large, peers
/// that give up and that leave, statistics.
#[test]
fn no_event_shows_a_key() {
    let keys = [CONFKEY, AUTHKEY];
    let server = Launch::server("--echo --max-message 1k").start();
    let port = server.port();
    connect(port).write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let mut wrong_tag = signed(&hello());
    wrong_tag[79] ^= 1;
    connect(port).write_all(&wrong_tag).unwrap();
    RawPeer::unproved(port).send(&[0; 100]);
    let mut spoilt = RawPeer::proved(port);
    let mut record = spoilt.record(Kind::End, b"said");
    record[10] ^= 1;
    spoilt.send(&record);
    RawPeer::proved(port).say(Kind::End as u8, &[b'x'; 2000]);
    RawPeer::proved(port).say(Kind::Abort as u8, b"\x08why");
    RawPeer::proved(port).reset();
    let wrong = Launch::client(port, "").keys(HEX[0], HEX[1]).run();
    assert_eq!(wrong.code, 3, "{wrong}");
    shows_none(&wrong, HEX);
    shows_none(&wrong, keys);
    let mut large = Launch::client(port, "").start();
    large.say([b'x'; 2000]);
    shows_none(&large.ends_with(3), keys);
    shows_none(&Launch::client(port, "").start().finish("right"), keys);
    server.lines(1, "does not authenticate");
    server.signal(Signal::USR1);
    server.line("peers now");
    let ended = server.stop();
    shows_none(&ended, keys);
    shows_none(&ended, HEX);
    for told in ["are no hello", "the keys differ", "too large", "why"] {
        assert!(ended.stderr.contains(told), "{told}: {ended}");
    }
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
