//! Peers that hold the keys and break the protocol: each ends its own
//! connection, and says what was wrong; the server serves on.

use std::net::TcpListener;
use std::process::Stdio;

use sealwire::wire::record::Kind;

use crate::program::{Launch, Program};
use crate::raw_peer::RawPeer;

/// What a peer that has proved itself sends wrong.
type Wrong = fn(&mut RawPeer) -> Vec<u8>;

/// Every way to be wrong, and what is told of it.
const WRONGS: [(&str, Wrong); 18] = [
    ("a record of 0 blocks", |_| vec![0; 64]),
    ("a record of 1026 blocks", |_| {
        [&[4, 2], &[9; 64][..]].concat()
    }),
    ("a record carries 16385 bytes", |peer| {
        peer.any_record(2, &[b'A'; 16_385], 1025)
    }),
    ("a record of unknown kind 8", |peer| {
        peer.any_record(8, b"", 1)
    }),
    ("a record of unknown kind 255", |peer| {
        peer.any_record(255, b"x", 1)
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
    ("a message or a second FIN after FIN", |peer| {
        let fin = peer.record(Kind::Fin, b"");
        [fin, peer.record(Kind::Fin, b"")].concat()
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
    ("a record does not authenticate", |peer| {
        // Reordered.
        let first = peer.record(Kind::Ping, b"");
        [peer.record(Kind::Ping, b""), first].concat()
    }),
    ("a record does not authenticate", |peer| {
        // One is missing.
        peer.record(Kind::Ping, b"");
        peer.record(Kind::Ping, b"")
    }),
    ("a record does not authenticate", |peer| flipped(peer, 5)),
    ("a record does not authenticate", |peer| flipped(peer, 30)),
    ("a record does not authenticate", |peer| {
        // Longer than it was sealed.
        let mut record = peer.record(Kind::End, b"x");
        record[1] = 2;
        [record, vec![0; 16]].concat()
    }),
];

/// A record with one bit changed, in its ciphertext or in its tag.
fn flipped(peer: &mut RawPeer, at: usize) -> Vec<u8> {
    let mut record = peer.record(Kind::End, b"x");
    record[at] ^= 16;
    record
}

/// A client that behaves gets its echo.
#[track_caller]
pub(crate) fn still_serves(server: &Program) {
    let mut client = Launch::client(server.port(), "").start();
    client.say("still there?");
    client.end_input();
    assert_eq!(client.ends_with(0).stdout, b"still there?");
}

/// Goal: whatever a proved peer breaks ends it, without another word to it, and
/// nothing else. Method: every way to be wrong against one server, each with a
/// message ahead that is answered or not; then a client that behaves.
#[test]
fn a_server_refuses_and_serves_on() {
    let server = Launch::server("--no-input").start();
    let port = server.port();
    let mut bystander = RawPeer::proved(port);
    for (told, wrong) in WRONGS {
        let mut peer = RawPeer::proved(port);
        let bytes = wrong(&mut peer);
        peer.send(&bytes);
        assert_eq!(peer.next(), None, "{told}");
        server.line(told);
    }
    bystander.say(2, b"untouched");
    server.prints("untouched");
    let mut client = Launch::client(port, "").start();
    client.say(" and new");
    client.end_input();
    client.ends_with(0);
    server.prints("untouched and new");
    drop(bystander);
    server.stop();
}

/// Goal: a client ends with 3 and says what its server did. Method: every way to
/// be wrong, to a client each.
#[test]
fn a_client_refuses() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for (told, wrong) in WRONGS {
        let client = Launch::client(port, "").start();
        let mut peer = RawPeer::server(&listener);
        let bytes = wrong(&mut peer);
        peer.send(&bytes);
        client.ends_with(3).refused(3, told);
    }
}

/// Goal: a record of the server's own is not taken for a client's. Method: send
/// back what it sent.
#[test]
fn a_reflected_record() {
    let server = Launch::server("--echo").start();
    let mut peer = RawPeer::proved(server.port());
    peer.say(2, b"back to you");
    let record = peer.next_sealed().unwrap();
    peer.send(&record);
    assert_eq!(peer.next(), None);
    server.line("a record does not authenticate");
    still_serves(&server);
    server.stop();
}

/// Goal: what came whole ahead of a fault counts; what came behind does not, and
/// nor does half a message. Method: a message, half of one, then a fault, then a
/// message, all in one write, to a server that prints.
#[test]
fn ahead_of_a_fault_and_behind_it() {
    let server = Launch::server("--no-input").start();
    let mut peer = RawPeer::proved(server.port());
    let records = [
        peer.record(Kind::End, b"whole,"),
        peer.record(Kind::Part, b"half"),
        peer.any_record(9, b"", 1),
        peer.record(Kind::End, b"behind"),
    ];
    peer.send(&records.concat());
    assert_eq!(peer.next(), None);
    server.line("a record of unknown kind 9");
    assert_eq!(server.stop().stdout, b"whole,");
}

/// Goal: a message over the limit is answered with ABORT, and the sender leaves
/// with 3 and says so. Method: a raw peer first, which sees the ABORT, then the
/// program; a message at the limit is taken.
#[test]
fn a_message_too_large() {
    let server = Launch::server("--echo --max-message 1k").start();
    let port = server.port();
    let mut peer = RawPeer::proved(port);
    peer.say(2, &[7; 1024]);
    assert_eq!(peer.next(), Some((2, vec![7; 1024])));
    peer.say(1, &[7; 1024]);
    peer.say(2, &[7]);
    assert_eq!(peer.next(), Some((7, vec![1])));
    assert_eq!(peer.next(), None);
    server.line("gave up: message too large");

    let mut client = Launch::client(port, "").start();
    client.say([b'x'; 4096]);
    let client = client.ends_with(3);
    client.refused(3, "the peer gave up: message too large");
    still_serves(&server);
    server.stop();
}

/// Goal: an ABORT's text is shown, made harmless. Method: one with an escape
/// sequence, bad UTF-8 and an unknown reason, to a client.
#[test]
fn an_abort_is_shown_escaped() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let client = Launch::client(port, "").stdin(Stdio::null()).start();
    let mut peer = RawPeer::server(&listener);
    peer.say(7, b"\x2agone \x1b[31mred\xff\n");
    let client = client.ends_with(3);
    client.refused(
        3,
        r"the peer gave up: reason 42: gone \u{1b}[31mred\xff\u{a}",
    );
}

/// Goal: who vanishes has not finished: a client ends with 4, and a server says
/// so and serves on. Method: the end of the stream, and a reset, in the middle;
/// a one-shot server ends with 4 as well.
#[test]
fn a_peer_that_vanishes() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
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

        let server = Launch::server("").stdin(Stdio::null()).start();
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
