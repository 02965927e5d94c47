//! Programs that speak classic, with peers that know nothing else.

use std::io::{ErrorKind, Read, Write};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::old::{OldPeer, frames, with_keys};
use crate::program::{A_WHILE, Launch, Program};
use crate::raw_peer::{accept, connect, listener};

const TRUNCATED: &str = "the connection ended before everything was transferred";

/// After this time of silence, a classic connection takes the place of a listener.
const LISTENS: Duration = Duration::from_millis(1500);

fn server(args: &str) -> Launch {
    with_keys(Launch::server(&format!("--classic {args}")))
}

fn receiver() -> Program {
    server("").empty_input().start()
}

fn client(port: u16) -> Launch {
    with_keys(Launch::client(port, "--classic"))
}

/// A native client with the same keys.
fn native(server: &Program) -> Launch {
    with_keys(Launch::client(server.port(), ""))
}

/// A client, and the old server that it has connected to.
fn client_and_old_server() -> (Program, OldPeer) {
    let (listener, port) = listener();
    let client = client(port).start();
    (client, OldPeer::new(accept(&listener)))
}

/// Goal: lines go both ways between an old client and a server, which warns once of what
/// classic is. Method: lines of one frame, of several and of wide characters; then both
/// end.
#[test]
fn an_old_client() {
    let mut server = server("").start();
    let mut peer = OldPeer::connect(server.port());
    let lines = [
        "short\n",
        "a line of more than fifteen characters\n",
        "naïve 雪が降る\n",
    ];
    for line in lines {
        peer.say(line);
    }
    server.prints(lines.concat());
    for line in lines {
        server.say(line);
        assert_eq!(peer.hear().as_deref(), Some(line));
    }
    server.say("without a newline");
    server.end_input();
    assert_eq!(peer.hear().as_deref(), Some("without a newline\n"));
    assert_eq!(peer.hear(), None);
    drop(peer);
    server.ends_with(0).told_once("--classic: whoever");
}

/// Goal: a server waits 5 s for the rest of a frame, and its code is 5. Method: half a frame
/// to a one-shot server.
#[test]
fn half_a_frame() {
    let one_shot = receiver();
    let mut frame = connect(one_shot.port());
    frame.write_all(&frames("whole")).unwrap();
    one_shot.prints("whole");
    let start = Instant::now();
    frame.write_all(&frames("half")[..70]).unwrap();
    one_shot.line("a classic frame was not whole within 5 s");
    assert!(start.elapsed() >= Duration::from_secs(4));
    one_shot.ends_with(5);
}

/// Goal: a client speaks classic from the start, and hears the other side to the end. It carries
/// text only: other bytes are left out with a warning, and a client that could not send all of
/// its input does not leave with 0. Method: bytes that are no UTF-8, to an old server that
/// answers after the client's end.
#[test]
fn an_old_server() {
    let (mut client, mut peer) = client_and_old_server();
    client.say(b"left\xff\xfe out\n");
    client.end_input();
    assert_eq!(peer.hear().as_deref(), Some("left out\n"));
    assert_eq!(peer.hear(), None);
    peer.say("an answer\n");
    client.prints("an answer\n");
    drop(peer);
    let told = "2 bytes are not UTF-8 and were left out";
    client.ends_with(1).told(told);
}

/// Goal: keys that are not 32 bytes do for classic alone: a server says so, and a native
/// client refuses them. Method: one-letter keys.
#[test]
fn short_keys() {
    let short = Launch::server("--classic --echo").keys("k", "a").start();
    short.line("this server takes classic peers only");
    let client = |args: &str| Launch::client(short.port(), args).keys("k", "a");
    let mut classic = client("--classic").start();
    classic.say("x\n");
    classic.prints("x\n");
    classic.finish("");
    client("").refused(2, "SEALWIRE_CONFKEY: ");
    short.stop();
}

/// Goal: an old peer that ends while our input goes on has not got all of it: that is
/// truncation, as far as it can be known. Method: a client whose pipe stays open.
#[test]
fn an_early_end() {
    let told = "the peer closed it before our input ended";
    let (mut client, mut peer) = client_and_old_server();
    client.say("some\n");
    assert_eq!(peer.hear().as_deref(), Some("some\n"));
    drop(peer);
    client.ends_with(4).told(told);
}

/// Goal: a server refuses an old client with other keys, and a classic client notices that
/// its server does not listen. Method: programs on both sides.
#[test]
fn other_classic_keys() {
    let server = server("--no-input").start();
    let client = Launch::client(server.port(), "--classic").keys("k", "a");
    let mut client = client.start();
    client.say("hello\n");
    server.line("refused: a classic frame is not valid");
    client.ends_with(4).told(TRUNCATED);
    server.stop().printed("");
}

/// Goal: a server that receives once has all that a classic client sends, as it does not
/// end before its client. Method: many lines, then a line, a pause and another.
#[test]
fn a_classic_file_is_received_once() {
    let text = "some text line\n".repeat(60_000);
    let server = receiver();
    client(server.port()).start().finish(&text);
    server.ends_with(0).printed(text);

    let server = receiver();
    let mut sender = client(server.port()).start();
    sender.say("a\n");
    server.prints("a\n");
    sleep(A_WHILE);
    sender.finish("b\n");
    server.ends_with(0).printed("a\nb\n");
}

/// Goal: a classic peer that comes when a one-shot server has begun to send meets an
/// error, as a close would pass for a proper end. Method: a native client that has the
/// beginning; then a classic one that says something, and one that only listens.
#[test]
fn a_late_classic_peer() {
    for says in ["late\n", ""] {
        let mut server = server("").start();
        let mut first = native(&server).start();
        first.say("here\n");
        server.prints("here\n");
        server.say("begun\n");
        first.prints("begun\n");
        let mut late = client(server.port()).start();
        late.say(says);
        late.ends_with(4);
        server.line("the input has begun without you");
        server.end_input();
        first.finish("").printed("begun\n");
        server.ends_with(0).printed("here\n");
    }
}

/// Goal: an old peer that only listens has all of a one-shot server's input, or meets an
/// error. Method: one that reads nothing until the server has left, beside a native peer
/// that ends; the input is more than sockets hold.
#[test]
fn a_slow_listener() {
    let mut server = server("").start();
    let mut slow = connect(server.port());
    sleep(LISTENS);
    let first = native(&server).empty_input().start();
    server.line(" came");
    let text = "a line of the input\n".repeat(40_000);
    server.pour(text.clone());
    first.ends_with(0).printed(text);
    server.ends_with(0);
    let end = slow.read_to_end(&mut Vec::new());
    let error = end.expect_err("a part would pass for the whole");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}
