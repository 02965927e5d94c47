//! Servers that serve once, and leave: which peers they serve, what they tell the rest,
//! and that nothing keeps them for ever.

use std::fs::File;
use std::process::Stdio;
use std::time::{Duration, Instant};

use sealwire::wire::record::Kind;

use crate::program::{A_WHILE, Launch};
use crate::raw_peer::RawPeer;

const GOING_AWAY: u8 = 3;

/// Goal: a file goes whole to the peers that were there when it began, or to nobody;
/// a later one is told, and leaves with 3. Method: a pipe of which a part has left
/// when the second client comes; then the pipe ends, and the first one has all.
#[test]
fn a_latecomer_gets_nothing() {
    let mut server = Launch::server("").start();
    let port = server.port();
    let first = Launch::client(port, "").stdin(Stdio::null()).start();
    server.say("one, ");
    first.prints("one, ");
    let late = Launch::client(port, "").run();
    let told = "the peer gave up: going away: the input has begun without you";
    late.refused(3, told);
    server.say("two");
    server.end_input();
    assert_eq!(first.ends_with(0).stdout, b"one, two");
    let server = server.ends_with(0);
    assert!(
        server.stderr.contains("the input has begun without you"),
        "{server}"
    );
}

/// Goal: when the only peer is gone in the middle, the server does not wait with a
/// file that nobody can have whole: it says so and leaves with its peer's code, and
/// the next client finds no server. Method: a client that is killed, and one whose
/// disk is full; the server's pipe stays open.
#[test]
fn an_input_that_nobody_has() {
    let full = || File::options().write(true).open("/dev/full").unwrap();
    for (disk_full, code) in [(false, 4), (true, 3)] {
        let mut server = Launch::server("").start();
        let port = server.port();
        let client = Launch::client(port, "").stdin(Stdio::null());
        if disk_full {
            let client = client.stdout(full()).start();
            server.say("a part");
            client.ends_with(1);
        } else {
            let client = client.start();
            server.say("a part");
            client.prints("a part");
            drop(client);
        }
        let server = server.ends_with(code);
        let told = "not delivered: all peers left after 6 bytes of the input";
        assert!(server.stderr.contains(told), "{server}");
        let next = Launch::client(port, "").run();
        assert_eq!(next.code, 1, "{next}");
    }
}

/// Goal: a server that takes no more peers says so to one that holds the keys, and
/// not that keys differ. Method: a peer whose handshake is half done when the server
/// closes its door.
#[test]
fn one_more_sender() {
    let server = Launch::server("").stdin(Stdio::null()).start();
    let port = server.port();
    let mut late = RawPeer::unproved(port);
    let mut client = Launch::client(port, "").start();
    server.line("input ended");
    late.say(Kind::Ping as u8, b"");
    let abort = [&[GOING_AWAY], &b"this server takes no more peers"[..]].concat();
    assert_eq!(late.next(), Some((Kind::Abort as u8, abort)));
    client.say("whole");
    client.end_input();
    client.ends_with(0);
    // The late one has closed nothing, and is not waited for.
    assert_eq!(server.ends_with(0).stdout, b"whole");
}

/// Goal: a holder of the keys that only says PING keeps a one-shot program from
/// ending for `--max-idle` and no longer; it is told why, and the code is 5. Method:
/// a peer that answers and asks PINGs for ever, at a server, and a server that does
/// so, at a client whose input has ended.
#[test]
fn pings_alone_are_no_progress() {
    let server = Launch::server("--max-idle 2s").stdin(Stdio::null()).start();
    let mut peer = RawPeer::proved(server.port());
    let start = Instant::now();
    let told = pings_until_aborted(&mut peer);
    assert!(start.elapsed() >= Duration::from_secs(1), "too soon");
    assert!(told.ends_with(b"no progress for 2 s"), "{told:?}");
    server.line("gave up: too slow");
    drop(peer);
    server.ends_with(5);

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let client = Launch::client(port, "--max-idle 2s")
        .stdin(Stdio::null())
        .start();
    let mut peer = RawPeer::server(&listener);
    pings_until_aborted(&mut peer);
    drop(peer);
    client.ends_with(5);
}

/// Says PING until the program gives up; what it says then.
fn pings_until_aborted(peer: &mut RawPeer) -> Vec<u8> {
    loop {
        std::thread::sleep(A_WHILE);
        peer.say(Kind::Ping as u8, b"");
        match peer.next() {
            Some((kind, payload)) if kind == Kind::Abort as u8 => return payload,
            Some((kind, _)) if kind == Kind::Pong as u8 || kind == Kind::Fin as u8 => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Goal: a slow sender is not a silent one. Method: a client that says a word now
/// and then, for longer than `--max-idle`; a server that has input of its own to
/// wait for.
#[test]
fn slow_is_not_silent() {
    let server = Launch::server("--max-idle 2s").stdin(Stdio::null()).start();
    let mut client = Launch::client(server.port(), "").start();
    for _ in 0..12 {
        client.say("x");
        std::thread::sleep(A_WHILE);
    }
    client.end_input();
    client.ends_with(0);
    assert_eq!(server.ends_with(0).stdout, b"x".repeat(12));

    let mut server = Launch::server("--max-idle 500ms").start();
    let client = Launch::client(server.port(), "")
        .stdin(Stdio::null())
        .start();
    server.line(" came");
    std::thread::sleep(Duration::from_millis(1500));
    server.say("after a while");
    server.end_input();
    assert_eq!(client.ends_with(0).stdout, b"after a while");
    server.ends_with(0);
}

/// Goal: a server that receives once leaves after its first peer, also if that fails at
/// once. Method: a message that is too large, in the record that proves its peer.
#[test]
fn a_first_peer_that_fails() {
    for _ in 0..3 {
        let server = Launch::server("--max-message 1k").stdin(Stdio::null());
        let server = server.start();
        let mut peer = RawPeer::unproved(server.port());
        peer.say(Kind::End as u8, &[b'x'; 2000]);
        while peer.next().is_some() {}
        drop(peer);
        let ended = server.ends_with(3);
        assert!(ended.stderr.contains("message too large"), "{ended}");
    }
}
