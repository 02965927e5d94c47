//! Files through the program, whole and of any size, either way, from and into
//! whatever stdin and stdout may be.

use std::fs::{self, File};
use std::io::Write;
use std::process::Stdio;
use std::sync::LazyLock;
use std::thread;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

use crate::program::{Launch, Program};

/// 100 MB that no cipher or framing mistake leaves as they are.
static LARGE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut bytes = vec![0; 100_000_000];
    StdRng::seed_from_u64(1).fill_bytes(&mut bytes);
    bytes
});

fn hash(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Gives a program bytes through its pipe, and then its end, without waiting.
fn pour(program: &mut Program, bytes: &'static [u8]) {
    let mut input = program.take_input();
    thread::spawn(move || {
        // Who leaves early fails its own test.
        let _ = input.write_all(bytes);
    });
}

/// Goal: a client's file of 0 bytes, 1 byte or 100 MB arrives whole at a server
/// that receives once; both leave with 0. Method: the client reads a pipe, the
/// server `/dev/null`.
#[test]
fn client_to_a_server_that_receives_once() {
    for size in [0, 1, LARGE.len()] {
        let server = Launch::server("").stdin(Stdio::null()).start();
        let mut client = Launch::client(server.port(), "").start();
        pour(&mut client, &LARGE[..size]);
        let client = client.ends_with(0);
        assert!(client.stdout.is_empty());
        let server = server.ends_with(0);
        assert_eq!(hash(&server.stdout), hash(&LARGE[..size]), "{size} bytes");
    }
}

/// Goal: the same the other way. Method: the server reads a pipe, the client
/// `/dev/null`.
#[test]
fn server_to_a_client() {
    for size in [0, 1, LARGE.len()] {
        let mut server = Launch::server("").start();
        pour(&mut server, &LARGE[..size]);
        let client = Launch::client(server.port(), "").run();
        assert_eq!(client.code, 0, "{client}");
        assert_eq!(hash(&client.stdout), hash(&LARGE[..size]), "{size} bytes");
        server.ends_with(0);
    }
}

/// Goal: both ways at once, and either side may finish long before the other.
/// Method: one side has 8 MB and one has a byte, then the other way round, then
/// both have 8 MB.
#[test]
fn both_ways_at_once() {
    let large = 8_000_000;
    for (from_server, from_client) in [(large, 1), (1, large), (large, large)] {
        let mut server = Launch::server("").start();
        let mut client = Launch::client(server.port(), "").start();
        pour(&mut server, &LARGE[..from_server]);
        pour(&mut client, &LARGE[large..large + from_client]);
        let client = client.ends_with(0);
        let server = server.ends_with(0);
        assert_eq!(hash(&client.stdout), hash(&LARGE[..from_server]));
        assert_eq!(hash(&server.stdout), hash(&LARGE[large..][..from_client]));
    }
}

/// Goal: who has finished waits for the other side, whose input is still open.
/// Method: one side's input ends at once; the other's goes on after that.
#[test]
fn who_finishes_first_waits() {
    let mut server = Launch::server("").start();
    let mut client = Launch::client(server.port(), "").start();
    client.end_input();
    server.say("one");
    client.prints("one");
    assert!(client.is_running());
    server.say("two");
    client.prints("onetwo");
    server.end_input();
    client.ends_with(0);
    server.ends_with(0);

    let mut server = Launch::server("").start();
    let mut client = Launch::client(server.port(), "").start();
    server.line("came");
    server.end_input();
    server.line("input ended");
    client.say("one");
    server.prints("one");
    assert!(server.is_running());
    client.say("two");
    client.end_input();
    client.ends_with(0);
    assert_eq!(server.ends_with(0).stdout, b"onetwo");
}

/// Goal: regular files do for stdin and stdout. Method: both of both sides, of
/// which the client's output is appended to.
#[test]
fn from_files_into_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let size = 3_000_000;
    fs::write(path("a"), &LARGE[..size]).unwrap();
    fs::write(path("b"), &LARGE[size..2 * size]).unwrap();
    fs::write(path("to-client"), "before").unwrap();
    let server = Launch::server("")
        .stdin(File::open(path("a")).unwrap())
        .stdout(File::create(path("to-server")).unwrap())
        .start();
    let appended = File::options().append(true).open(path("to-client"));
    let client = Launch::client(server.port(), "")
        .stdin(File::open(path("b")).unwrap())
        .stdout(appended.unwrap())
        .start();
    client.ends_with(0);
    server.ends_with(0);
    let to_server = fs::read(path("to-server")).unwrap();
    assert_eq!(hash(&to_server), hash(&LARGE[size..2 * size]));
    let to_client = fs::read(path("to-client")).unwrap();
    let whole = [b"before", &LARGE[..size]].concat();
    assert_eq!(hash(&to_client), hash(&whole));
}

/// Goal: a closed stdin is an empty one, and a server that then has nothing to
/// say receives once. Method: `/dev/null` on both sides, and a file to one that
/// drops all of it.
#[test]
fn dev_null() {
    let server = Launch::server("")
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let server = server.start();
    let mut client = Launch::client(server.port(), "").start();
    pour(&mut client, &LARGE[..1_000_000]);
    client.ends_with(0);
    server.ends_with(0);

    let server = Launch::server("").stdin(Stdio::null()).start();
    let client = Launch::client(server.port(), "").run();
    assert_eq!(client.code, 0, "{client}");
    assert!(server.ends_with(0).stdout.is_empty());
}
