//! Peers that do not hold the keys: a server refuses them within seconds, sends them nothing,
//! and serves on; a client tells them from a deadline. A server that closes or resets at
//! once, and one whose TCP does not answer, are in `tests/sim` and the tests of `net::dial`.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, prlimit};
use sealwire::limits::SERVER_HELLO;
use sealwire_cli::limits::REFUSALS_LOGGED;

use crate::program::{Launch, Program};
use crate::raw_peer::{accept, connect, hello, listener, rest, signed};
use crate::records::still_serves;

/// Sends `bytes`, and asserts that the server closes at once and sends nothing. One byte can
/// be right, so its sender closes first.
#[track_caller]
fn refused_at_once(server: &Program, bytes: &[u8], told: &str) {
    let start = Instant::now();
    let mut socket = connect(server.port());
    let _ = socket.write_all(bytes);
    if bytes.len() == 1 {
        socket.shutdown(Shutdown::Write).unwrap();
    }
    assert_eq!(rest(&mut socket), b"", "{told}");
    assert!(start.elapsed() < Duration::from_secs(4), "{told}");
    server.line(told);
}

/// Goal: bytes that are no hello of these keys are refused as soon as that is certain. Method:
/// garbage, HTTP, other versions, suites and services, reserved bytes, keys and tags that
/// differ, and a low-order point under a right tag. A server gets no more of them than it
/// prints refusals in a second.
#[test]
fn wrong_hellos() {
    let changed = |at: usize, byte: u8| {
        let mut hello = hello();
        hello[at] = byte;
        signed(&hello).to_vec()
    };
    let mut low_order = hello();
    low_order[16..].fill(0);
    let mut bad_tag = signed(&hello());
    bad_tag[79] ^= 1;
    let refused: [(&[u8], &str); 11] = [
        (&[0xa5; 200], "the first bytes are no hello"),
        (b"GET / HTTP/1.1\r\n\r\n", "the first bytes are no hello"),
        (b"S", "it closed before it had proved"),
        (&changed(3, b'2'), "the first bytes are no hello"),
        (&changed(4, 2), "asks for suite 2"),
        (&changed(5, 1), "asks for service 1"),
        (&changed(5, 9), "asks for service 9"),
        (&changed(7, 1), "a reserved byte"),
        (&changed(8, 0), "unknown key id"),
        (&bad_tag, "the hello does not authenticate"),
        (&signed(&low_order), "low-order public key"),
    ];
    // With `--classic`, other first bytes than those of a hello are taken for a frame.
    let first = refused.as_slice();
    for (args, refused) in [("--echo", first), ("--echo --classic", &first[8..])] {
        for refused in refused.chunks(REFUSALS_LOGGED as usize) {
            let server = Launch::server(args).start();
            for (bytes, told) in refused {
                refused_at_once(&server, bytes, told);
            }
            still_serves(&server);
            server.stop();
        }
    }
}

/// Goal: a connection that does not finish the handshake is closed after 5 s, whatever it
/// does meanwhile, and others are served. Method: four at once: silent, half a hello, a
/// hello byte by byte, a hello without a record.
#[test]
fn handshakes_have_a_deadline() {
    let server = Launch::server("--echo").start();
    let port = server.port();
    let start = Instant::now();
    let half = |bytes: usize| {
        let mut socket = connect(port);
        socket.write_all(&signed(&hello())[..bytes]).unwrap();
        socket
    };
    let dripped = half(1);
    let mut tap = dripped.try_clone().unwrap();
    let drip = thread::spawn(move || {
        for byte in &signed(&hello())[1..] {
            thread::sleep(Duration::from_millis(300));
            if tap.write_all(&[*byte]).is_err() {
                return;
            }
        }
    });
    let mut unproved = half(80);
    unproved.read_exact(&mut [0; SERVER_HELLO]).unwrap();
    still_serves(&server);
    for mut socket in [connect(port), half(40), dripped, unproved] {
        assert_eq!(rest(&mut socket), b"");
        let waited = start.elapsed().as_millis();
        assert!((4_500..9_000).contains(&waited), "{waited} ms");
        let _ = socket.shutdown(Shutdown::Both);
    }
    server.lines(4, "no handshake within 5 s");
    drip.join().unwrap();
    still_serves(&server);
    server.stop();
}

/// Goal: a server without free descriptors says so once, serves on, because connections that
/// have proved nothing make room, and says so when it is over. Method: leave it 24, open 60
/// silent connections, join beside them several times, and close them.
#[test]
fn out_of_descriptors() {
    let server = Launch::server("--echo").start();
    let port = server.port();
    let limit = Rlimit {
        current: Some(24),
        maximum: Some(24),
    };
    prlimit(Some(server.id()), Resource::Nofile, limit).unwrap();
    let connections: Vec<_> = (0..60).map(|_| connect(port)).collect();
    let line = server.line("cannot accept more connections for now");
    assert!(line.contains("Too many open files"), "{line}");
    for _ in 0..5 {
        still_serves(&server);
    }
    drop(connections);
    server.line("accepting connections again");
    still_serves(&server);
    for once in ["cannot accept", "accepting connections again"] {
        assert_eq!(server.lines(1, once).len(), 1);
    }
    server.stop();
}

/// Goal: strangers do not end a one-shot server, and it closes those that are there when
/// it leaves. Method: garbage, then a silent one, then a client.
#[test]
fn one_shot_is_for_peers_with_the_keys() {
    let server = Launch::receiver("").start();
    refused_at_once(&server, &[1; 100], "the first bytes are no hello");
    let mut silent = connect(server.port());
    Launch::client(server.port(), "").start().finish("received");
    server.ends_with(0).printed("received");
    assert_eq!(rest(&mut silent), b"");
}

/// Goal: a client ends with 3 if its server is no sealwire server. Method: one that says
/// something else.
#[test]
fn not_a_sealwire_server() {
    let (listener, port) = listener();
    let client = Launch::client(port, "").start();
    let mut socket = accept(&listener);
    let _ = socket.write_all(b"220 mail.example.org ESMTP\r\n");
    let _ = socket.shutdown(Shutdown::Write);
    rest(&mut socket);
    client.wait().refused(3, "not a sealwire");
}

/// Goal: a client ends with 5 after the deadline of the handshake. Method: a server that
/// accepts and says nothing.
#[test]
fn a_silent_server() {
    let (_listener, port) = listener();
    let start = Instant::now();
    let ended = Launch::client(port, "").start().wait();
    let ended = ended.refused(5, "no handshake within 5 s");
    let waited = start.elapsed().as_secs();
    assert!((4..9).contains(&waited), "{waited} s: {ended}");
}
