//! Programs that speak classic, with peers that know nothing else.

use std::io::Write;
use std::net::{Shutdown, TcpListener};
use std::process::Stdio;
use std::time::Duration;

use sealwire_cli::limits::REFUSALS_LOGGED;

use crate::old::{Frames, OldPeer, sent_by_old_peers, to_be_refused, with_keys};
use crate::program::Launch;
use crate::raw_peer::{accept, connect, rest};

fn server(args: &str) -> Launch {
    with_keys(Launch::server(&format!("--classic {args}")))
}

fn client(port: u16) -> Launch {
    with_keys(Launch::client(port, "--classic"))
}

/// Goal: lines go both ways between an old client and a server, which warns once
/// of what classic is. Method: lines of one frame, of several and of wide
/// characters; then both end.
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
    let server = server.ends_with(0);
    let warned = server
        .stderr
        .lines()
        .filter(|line| line.contains("--classic: whoever"));
    assert_eq!(warned.count(), 1, "{server}");
}

/// Goal: a client speaks classic from the start, hears the other to the end, and
/// leaves with 0. Method: an old server that answers after the client's end.
#[test]
fn an_old_server() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = client(listener.local_addr().unwrap().port()).start();
    let mut peer = OldPeer::new(accept(&listener));
    client.say("to the old one\n");
    client.end_input();
    assert_eq!(peer.hear().as_deref(), Some("to the old one\n"));
    assert_eq!(peer.hear(), None);
    peer.say("an answer\n");
    client.prints("an answer\n");
    drop(peer);
    client.ends_with(0);
}

/// Goal: old and new peers of one server hear each other; what has no newline
/// gets one for the old. Method: a relay with one of each.
#[test]
fn old_and_new_together() {
    let server = server("--relay").start();
    let mut new = with_keys(Launch::client(server.port(), "")).start();
    let mut old = OldPeer::connect(server.port());
    // Nobody knows the new one before it has spoken with the server.
    crate::modes::joined(&server, 1);
    old.say("from the old\n");
    new.prints("from the old\n");
    new.say("from the new");
    assert_eq!(old.hear().as_deref(), Some("from the new\n"));
    new.end_input();
    new.ends_with(0);
    drop(old);
    server.stop();
}

/// Goal: who connects and only listens is sent frames, but does not start the
/// reading of a pipe, nor count as served. Method: a silent peer of a server
/// with input; then an old peer that speaks.
#[test]
fn a_silent_listener() {
    let mut server = server("").start();
    let mut silent = OldPeer::connect(server.port());
    server.say("for whoever speaks\n");
    std::thread::sleep(Duration::from_millis(1500));
    let socket = &silent.socket;
    socket.set_nonblocking(true).unwrap();
    let early = socket.peek(&mut [0]);
    assert!(early.is_err(), "the pipe was read for nobody: {early:?}");
    socket.set_nonblocking(false).unwrap();
    let mut peer = OldPeer::connect(server.port());
    peer.say("me\n");
    for peer in [&mut peer, &mut silent] {
        assert_eq!(peer.hear().as_deref(), Some("for whoever speaks\n"));
    }
    server.end_input();
    assert_eq!(peer.hear(), None);
    drop(peer);
    server.ends_with(0);
}

/// Goal: frames that the old program cuts by characters are read, up to 15 wide
/// ones. Method: every known answer of that kind.
#[test]
fn wide_characters_of_old_peers() {
    let server = server("--no-input").start();
    let mut said = String::new();
    for (text, frames) in sent_by_old_peers() {
        let mut socket = connect(server.port());
        socket.write_all(&frames).unwrap();
        said.push_str(&text);
        server.prints(&said);
        socket.shutdown(Shutdown::Write).unwrap();
        assert_eq!(rest(&mut socket), b"");
    }
    server.stop();
}

/// Goal: every wrong frame ends its connection, all alike, prints nothing, and
/// disturbs nobody. Method: each known answer of that kind, then one that is
/// right. A server gets no more of them than it prints refusals in a second.
#[test]
fn wrong_frames() {
    let mut wrongs = to_be_refused();
    let mut flipped = Frames::new().of("changed");
    flipped[100] ^= 1;
    flipped.extend([0; 64]);
    wrongs.push(("flipped".into(), flipped));
    wrongs.push(("garbage".into(), vec![0x5a; 200]));
    for wrongs in wrongs.chunks(REFUSALS_LOGGED as usize) {
        let server = server("--no-input").start();
        let port = server.port();
        let mut bystander = OldPeer::connect(port);
        bystander.say("before, ");
        server.prints("before, ");
        for (count, (name, bytes)) in (1..).zip(wrongs) {
            let mut socket = connect(port);
            let _ = socket.write_all(bytes);
            assert_eq!(rest(&mut socket), b"", "{name}");
            server.lines(count, ": a classic ");
        }
        bystander.say("after, ");
        let mut late = OldPeer::connect(port);
        server.prints("before, after, ");
        late.say("late");
        server.prints("before, after, late");
        drop((bystander, late));
        server.stop();
    }
}

/// Goal: half a frame is waited for 5 s, and half a message is truncation. Method:
/// three peers at a one-shot server; the code is the worst of theirs.
#[test]
fn halves() {
    let server = server("").stdin(Stdio::null()).start();
    let mut frame = connect(server.port());
    frame.write_all(&Frames::new().of("whole")).unwrap();
    server.prints("whole");
    let start = std::time::Instant::now();
    frame.write_all(&Frames::new().of("half")[..70]).unwrap();
    server.line("a classic frame was not whole within 5 s");
    assert!(start.elapsed() >= Duration::from_secs(4));
    server.ends_with(5);

    let server = self::server("--no-input").start();
    let message = Frames::new().of("more than one frame carries\n");
    for bytes in [&message[..112], &message[..150]] {
        let mut socket = connect(server.port());
        socket.write_all(bytes).unwrap();
        socket.shutdown(Shutdown::Write).unwrap();
        assert_eq!(rest(&mut socket), b"");
    }
    server.lines(2, "the connection ended before everything was transferred");
    assert!(server.stop().stdout.is_empty());
}

/// Goal: classic carries text only: the rest is left out with a warning, and a
/// client that could not send all of its input does not leave with 0. Method:
/// bytes that are no UTF-8, from a client and from a server.
#[test]
fn what_is_not_text() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = client(listener.local_addr().unwrap().port()).start();
    let mut peer = OldPeer::new(accept(&listener));
    client.say(b"left\xff\xfe out\n");
    client.end_input();
    assert_eq!(peer.hear().as_deref(), Some("left out\n"));
    assert_eq!(peer.hear(), None);
    drop(peer);
    let client = client.ends_with(1);
    assert!(
        client
            .stderr
            .contains("2 bytes are not UTF-8 and were left out"),
        "{client}"
    );
}

/// Goal: keys that are not 32 bytes do for classic alone: a server says so, and
/// native clients are not served with them. Method: one-letter keys.
#[test]
fn short_keys() {
    let short = Launch::server("--classic --echo").keys("k", "a").start();
    short.line("this server takes classic peers only");
    let mut client = Launch::client(short.port(), "--classic")
        .keys("k", "a")
        .start();
    client.say("x\n");
    client.prints("x\n");
    client.end_input();
    client.ends_with(0);
    Launch::client(short.port(), "")
        .keys("k", "a")
        .run()
        .refused(2, "SEALWIRE_CONFKEY: ");
    short.stop();
}

/// Goal: an old peer that ends while our input goes on has not got all of it:
/// that is truncation, as far as it can be told. Method: a client and a one-shot
/// server whose pipes stay open.
#[test]
fn an_early_end() {
    let told = "the peer closed it before our input ended";
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = client(listener.local_addr().unwrap().port()).start();
    let mut peer = OldPeer::new(accept(&listener));
    client.say("some\n");
    assert_eq!(peer.hear().as_deref(), Some("some\n"));
    drop(peer);
    let client = client.ends_with(4);
    assert!(client.stderr.contains(told), "{client}");

    let server = server("").start();
    let mut peer = OldPeer::connect(server.port());
    peer.say("I leave\n");
    server.prints("I leave\n");
    drop(peer);
    server.line(told);
}

/// Goal: an old client with other keys is refused, and a classic client notices
/// that its server does not listen. Method: programs on both sides.
#[test]
fn other_classic_keys() {
    let server = server("--no-input").start();
    let mut client = Launch::client(server.port(), "--classic")
        .keys("k", "a")
        .start();
    client.say("hello\n");
    server.line("refused: a classic frame is not valid");
    let client = client.ends_with(4);
    let told = "the connection ended before everything was transferred";
    assert!(client.stderr.contains(told), "{client}");
    assert!(server.stop().stdout.is_empty());
}

/// Goal: a server that receives once has all that a classic client sends, as it does
/// not end before its client. Method: many lines, then a line, a pause and another.
#[test]
fn a_classic_file_is_received_once() {
    let receives = || server("").stdin(Stdio::null()).start();
    let text = "some text line\n".repeat(60_000);
    let one = receives();
    let mut sender = client(one.port()).start();
    sender.say(&text);
    sender.end_input();
    sender.ends_with(0);
    assert!(one.ends_with(0).stdout == text.as_bytes());

    let two = receives();
    let mut sender = client(two.port()).start();
    sender.say("a\n");
    two.prints("a\n");
    std::thread::sleep(Duration::from_millis(300));
    sender.say("b\n");
    sender.end_input();
    sender.ends_with(0);
    assert_eq!(two.ends_with(0).stdout, b"a\nb\n");
}

/// Goal: a classic peer that comes when a one-shot server has begun to send is told in
/// the one way there is: by an error where a close would pass for a proper end.
/// Method: a native client that has the beginning; then a classic one that says
/// something, and one that only listens.
#[test]
fn a_late_classic_peer() {
    for says in [true, false] {
        let mut server = server("").start();
        let port = server.port();
        let mut first = with_keys(Launch::client(port, "")).start();
        first.say("here\n");
        server.prints("here\n");
        server.say("begun\n");
        first.prints("begun\n");
        let mut late = client(port).start();
        if says {
            late.say("late\n");
            let _still_open = late.take_input();
            late.ends_with(4);
        } else {
            late.ends_with(4);
        }
        server.line("the input has begun without you");
        server.end_input();
        first.end_input();
        assert_eq!(first.ends_with(0).stdout, b"begun\n");
        assert_eq!(server.ends_with(0).stdout, b"here\n");
    }
}

/// Goal: an old peer that only listens has all of a one-shot server's input, or meets an
/// error; and one that was there in time may speak later. Method: one that reads nothing
/// until the server has left, beside a native peer that ends; more is said than sockets
/// hold.
#[test]
fn a_slow_listener() {
    let mut server = server("").start();
    let mut slow = connect(server.port());
    // It takes the place of a listener when it has been silent for a second.
    std::thread::sleep(Duration::from_millis(1500));
    let first = with_keys(Launch::client(server.port(), "")).stdin(Stdio::null());
    let first = first.start();
    server.line(" came");
    let text = "a line of the input\n".repeat(40_000);
    let mut input = server.take_input();
    let pouring = std::thread::spawn(move || {
        let _ = input.write_all(text.as_bytes());
        text
    });
    let first = first.ends_with(0);
    assert!(first.stdout == pouring.join().unwrap().as_bytes());
    server.ends_with(0);
    let mut all = Vec::new();
    let end = std::io::Read::read_to_end(&mut slow, &mut all);
    let error = end.expect_err("a part would pass for the whole");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}
