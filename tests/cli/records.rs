//! Peers that hold the keys and break the protocol, or vanish: each ends its own
//! connection, stderr says what was wrong, and the server serves on.

use sealwire::wire::record::Kind;

use crate::program::{Launch, Program};
use crate::raw_peer::{RawPeer, listener};

/// The wrong bytes of a peer that has proved itself.
type Wrong = fn(&mut RawPeer) -> Vec<u8>;

/// Every fault of a record, and what stderr says of it. More ways to each fault are in
/// `tests/vectors`.
const WRONGS: [(&str, Wrong); 13] = [
    ("a record of 0 blocks", |_| vec![0; 64]),
    ("a record of 1026 blocks", |_| {
        [&[4, 2], &[9; 64][..]].concat()
    }),
    ("a record carries 16385 bytes", |peer| {
        peer.any_record(2, &[b'A'; 16_385], 1025)
    }),
    ("a record of unknown kind 9", |peer| {
        peer.any_record(9, b"", 1)
    }),
    ("a pack of messages that does not parse", |peer| {
        peer.record(Kind::Pack, &[0, 0, 0, 5, b'x'])
    }),
    ("a pack of messages inside a message", |peer| {
        let part = peer.record(Kind::Part, b"half");
        [part, peer.record(Kind::Pack, &[0; 4])].concat()
    }),
    ("a record has no kind", |peer| peer.any_record(0, b"", 3)),
    ("a record of kind 1 with a payload of 0 bytes", |peer| {
        peer.record(Kind::Part, b"")
    }),
    ("a record of kind 7 with a payload of 258 bytes", |peer| {
        peer.record(Kind::Abort, &[b'a'; 258])
    }),
    ("a message or a second FIN after FIN", |peer| {
        let fin = peer.record(Kind::Fin, b"");
        [fin, peer.record(Kind::End, b"late")].concat()
    }),
    ("a FIN inside a message", |peer| {
        let part = peer.record(Kind::Part, b"half");
        [part, peer.record(Kind::Fin, b"")].concat()
    }),
    ("a DONE that nobody asked for", |peer| {
        peer.record(Kind::Done, b"")
    }),
    ("a record does not authenticate", |peer| {
        // Replayed.
        let record = peer.record(Kind::Ping, b"");
        record.repeat(2)
    }),
];

/// Asserts that a client that behaves gets its echo.
#[track_caller]
pub(crate) fn still_serves(server: &Program) {
    let client = Launch::client(server.port(), "").start();
    client.finish("still there?").printed("still there?");
}

/// Goal: a proved peer that breaks the protocol is closed without ABORT, and no other peer is; a
/// client ends with 3 and says what its server did. Method: every way to be wrong, against one
/// server, beside a peer that stays, and to a client each; then a client that behaves.
#[test]
fn every_fault_ends_its_connection() {
    let server = Launch::server("--no-input").start();
    let port = server.port();
    let mut bystander = RawPeer::proved(port);
    let (listener, test_port) = listener();
    for (told, wrong) in WRONGS {
        let mut peer = RawPeer::proved(port);
        let bytes = wrong(&mut peer);
        peer.send(&bytes);
        assert_eq!(peer.next(), None, "{told}");
        server.line(told);

        let client = Launch::client(test_port, "").start();
        let mut peer = RawPeer::server(&listener);
        let bytes = wrong(&mut peer);
        peer.send(&bytes);
        client.wait().refused(3, told);
    }
    bystander.say(2, b"untouched");
    server.prints("untouched");
    Launch::client(port, "").start().finish(" and new");
    server.prints("untouched and new");
    drop(bystander);
    server.stop();
}

/// Goal: a peer that vanishes has not finished: a client ends with 4, as does a one-shot
/// server, and another server says so and serves on. Method: the end of the stream, and a
/// reset, in the middle. A program that is killed is the same to its peer.
#[test]
fn a_peer_that_vanishes() {
    let (listener, port) = listener();
    let vanish: [fn(RawPeer); 2] = [drop, RawPeer::reset];
    let told = "the connection ended before everything was transferred";
    for vanish in vanish {
        let client = Launch::client(port, "").start();
        let mut peer = RawPeer::server(&listener);
        peer.say(2, b"half");
        client.prints("half");
        vanish(peer);
        let client = client.ends_with(4);
        assert!(client.only_line().contains(told), "{client}");

        let server = Launch::receiver("").start();
        let mut peer = RawPeer::proved(server.port());
        peer.say(2, b"half");
        server.prints("half");
        vanish(peer);
        server.line(told);
        server.ends_with(4);

        let server = Launch::server("--echo").start();
        vanish(RawPeer::proved(server.port()));
        server.line(told);
        still_serves(&server);
        server.stop();
    }
}
