//! Files through the program, whole and of any size, either way, from and into whatever
//! stdin and stdout may be.

use std::fs::{self, File};
use std::sync::LazyLock;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::program::Launch;

/// 100 MB of random bytes, so that any mistake of a cipher or of framing changes them.
pub(crate) static LARGE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut bytes = vec![0; 100_000_000];
    StdRng::seed_from_u64(1).fill_bytes(&mut bytes);
    bytes
});

/// Goal: a file of 0 bytes, 1 byte or 100 MB arrives whole, either way; both sides leave with
/// 0, and a server does not read its pipe before its client comes. Method: one side reads a
/// pipe, the other `/dev/null`.
#[test]
fn one_way() {
    for size in [0, 1, LARGE.len()] {
        let server = Launch::receiver("").start();
        let mut client = Launch::client(server.port(), "").start();
        client.pour(&LARGE[..size]);
        client.ends_with(0).printed("");
        server.ends_with(0).printed(&LARGE[..size]);

        let mut server = Launch::server("").start();
        server.pour(&LARGE[..size]);
        let client = Launch::client(server.port(), "").empty_input().start();
        client.ends_with(0).printed(&LARGE[..size]);
        server.ends_with(0);
    }
}

/// Goal: files go both ways at once, and either side may finish long before the other.
/// Method: one side has 8 MB and one has a byte, then the other way round, then both have
/// 8 MB.
#[test]
fn both_ways_at_once() {
    let large = 8_000_000;
    for (from_server, from_client) in [(large, 1), (1, large), (large, large)] {
        let (from_server, from_client) = (&LARGE[..from_server], &LARGE[large..][..from_client]);
        let mut server = Launch::server("").start();
        let mut client = Launch::client(server.port(), "").start();
        server.pour(from_server);
        client.pour(from_client);
        client.ends_with(0).printed(from_server);
        server.ends_with(0).printed(from_client);
    }
}

/// Goal: regular files do for stdin and stdout. Method: both of both sides; the client's
/// output is appended to. `/dev/null` is in [`crate::descriptors`].
#[test]
fn from_files_into_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let size = 3_000_000;
    let (a, b) = (&LARGE[..size], &LARGE[size..2 * size]);
    fs::write(path("a"), a).unwrap();
    fs::write(path("b"), b).unwrap();
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
    assert!(fs::read(path("to-server")).unwrap() == b);
    assert!(fs::read(path("to-client")).unwrap() == [b"before", a].concat());
}
