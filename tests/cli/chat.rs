//! Chat through pipes: lines go both ways, who comes and goes is told, and ends
//! are seen.

use std::process::Stdio;

use crate::program::{A_WHILE, Launch};

/// Goal: what either side is given reaches the other's stdout, and nothing else
/// does; the server tells who came and left, the client where it is connected.
/// Method: one message each way, then both inputs end, the client's first.
#[test]
fn lines_go_both_ways() {
    let mut server = Launch::server("").start();
    let mut client = Launch::client(server.port(), "").start();
    client.line("connected to 127.0.0.1:");
    server.line(" came");
    client.say("hello\n");
    server.prints("hello\n");
    server.say("and hello back\n");
    client.prints("and hello back\n");
    client.end_input();
    server.say("still here\n");
    client.prints("and hello back\nstill here\n");
    server.end_input();
    let client = client.ends_with(0);
    assert_eq!(client.stdout, b"and hello back\nstill here\n");
    let server = server.ends_with(0);
    assert_eq!(server.stdout, b"hello\n");
    for told in [" came", " left", "input ended: leaving after these peers"] {
        assert!(server.stderr.contains(told), "{told}: {server}");
    }
    assert_eq!(client.stderr.lines().count(), 1, "{client}");
}

/// Goal: a pipe is not read while nobody is there, so that nothing of it is
/// lost. Method: the input is there, and at its end, before the client comes.
#[test]
fn a_pipe_waits_for_a_peer() {
    let mut server = Launch::server("").start();
    server.say("early\n");
    server.end_input();
    let port = server.port();
    std::thread::sleep(A_WHILE);
    assert!(server.is_running());
    let client = Launch::client(port, "").run();
    assert_eq!(
        (client.code, &client.stdout[..]),
        (0, &b"early\n"[..]),
        "{client}"
    );
    server.ends_with(0);
}

/// Goal: a server's lines go to every peer, and peers' lines to its stdout
/// alone. Method: three clients, each of which says something.
#[test]
fn one_server_and_three_clients() {
    let mut server = Launch::server("").start();
    let port = server.port();
    let start = |_| Launch::client(port, "").start();
    let mut clients: Vec<_> = (0..3).map(start).collect();
    server.lines(3, " came");
    server.say("to all\n");
    let mut said = String::new();
    for (index, client) in clients.iter_mut().enumerate() {
        client.prints("to all\n");
        let line = format!("from {index}\n");
        client.say(&line);
        said.push_str(&line);
        server.prints(&said);
    }
    server.end_input();
    for mut client in clients {
        client.end_input();
        assert_eq!(client.ends_with(0).stdout, b"to all\n");
    }
    server.ends_with(0);
}

/// Goal: without input a client hears to the end and then leaves, and a server
/// goes on. Method: two such clients, one after the other, of a server that
/// speaks not at all; what they are sent comes from a third.
#[test]
fn without_input() {
    let server = Launch::server("--no-input").start();
    let port = server.port();
    for round in 1..=2 {
        let mut client = Launch::client(port, "").start();
        client.say("x");
        client.end_input();
        client.ends_with(0);
        server.prints("x".repeat(round));
        server.lines(round, " left");
    }
    let mut speaker = Launch::server("").start();
    let listener = Launch::client(speaker.port(), "--no-input").start();
    speaker.say("words");
    listener.prints("words");
    speaker.end_input();
    listener.ends_with(0);
    speaker.ends_with(0);
    let ended = server.stop();
    assert_eq!(ended.stdout, b"xx", "{ended}");
}

/// Goal: bytes that are no text, and no newline, are carried as they are.
/// Method: every byte value, backwards too.
#[test]
fn any_bytes() {
    let server = Launch::server("").stdin(Stdio::null()).start();
    let mut client = Launch::client(server.port(), "").start();
    let bytes: Vec<u8> = (0..=255).chain((0..=255).rev()).collect();
    client.say(&bytes);
    client.end_input();
    client.ends_with(0);
    assert_eq!(server.ends_with(0).stdout, bytes);
}
