//! Servers that serve once, and leave: which peers they serve, what they tell the rest,
//! and that no peer keeps them for ever.

use std::thread::sleep;
use std::time::{Duration, Instant};

use sealwire::wire::record::Kind;

use crate::program::{A_WHILE, Launch};
use crate::raw_peer::{RawPeer, listener};
use crate::stopping::dev_full;

/// Goal: a file goes whole to the peers that were there when it began, and a later peer
/// learns why it gets nothing, and leaves with 3. Method: a pipe that has given a part when
/// the second client comes; then the pipe ends, and the first client has all.
#[test]
fn a_latecomer_gets_nothing() {
    let mut server = Launch::server("").start();
    let port = server.port();
    let first = Launch::client(port, "").empty_input().start();
    server.say("one, ");
    first.prints("one, ");
    let told = "the peer gave up: going away: the input has begun without you";
    Launch::client(port, "").refused(3, told);
    let server = server.finish("two");
    first.ends_with(0).printed("one, two");
    server.told("the input has begun without you");
}

/// Goal: when the only peer is gone in the middle, no peer can have the file whole: the
/// server says so and leaves with its peer's code, and the next client finds no server. A
/// client whose disk is full says so, and leaves with 1. Method: a client that writes to
/// `/dev/full`; the server's pipe stays open. Other ways to be gone are in `tests/sim`.
#[test]
fn an_input_that_no_peer_has() {
    let mut server = Launch::server("").start();
    let port = server.port();
    let client = Launch::client(port, "").empty_input();
    let client = client.stdout(dev_full()).start();
    server.say("a part");
    let told = "writing standard output: No space left";
    client.ends_with(1).told(told);
    server.line("the peer gave up: local error");
    let told = "not delivered: all peers left after 6 bytes of the input";
    server.ends_with(3).told(told);
    let next = Launch::client(port, "").run();
    assert_eq!(next.code, 1, "{next}");
}

/// Goal: a server that only sends PING keeps a client from ending for `--max-idle` and no longer;
/// it learns why, and the code is 5. Method: a server that answers and sends PINGs for ever, at a
/// client whose input has ended. `tests/sim` has such a peer of a one-shot server.
#[test]
fn pings_alone_are_no_progress() {
    let (listener, port) = listener();
    let client = Launch::client(port, "--max-idle 2s").empty_input().start();
    let mut peer = RawPeer::server(&listener);
    let start = Instant::now();
    let told = loop {
        sleep(A_WHILE);
        peer.say(Kind::Ping as u8, b"");
        match peer.next() {
            Some((kind, payload)) if kind == Kind::Abort as u8 => break payload,
            Some((kind, _)) if kind == Kind::Pong as u8 || kind == Kind::Fin as u8 => {}
            other => panic!("{other:?}"),
        }
    };
    assert!(start.elapsed() >= Duration::from_secs(1), "too soon");
    assert!(told.ends_with(b"no progress for 2 s"), "{told:?}");
    drop(peer);
    client.ends_with(5).told("gave up: too slow");
}

/// Goal: a server that receives once leaves after its first peer, also if that fails at
/// once. Method: a message that is too large, in the record that proves its peer.
#[test]
fn a_first_peer_that_fails() {
    for _ in 0..3 {
        let server = Launch::receiver("--max-message 1k").start();
        let mut peer = RawPeer::unproved(server.port());
        peer.say(Kind::End as u8, &[b'x'; 2000]);
        while peer.next().is_some() {}
        drop(peer);
        server.ends_with(3).told("message too large");
    }
}
