//! A peer in Python that reads as the old program does, and dies of a short read as the
//! old program does.

use sealwire::limits::CLASSIC_FRAME;

use crate::old::{Frames, sent_by_old_peers, with_keys};
use crate::program::{Launch, Program};

/// Lines of five frames each: 20,000 frames.
const LINES: usize = 4_000;

/// Says so where there is no Python to run.
fn has_python() -> bool {
    let found = Launch::program("python3").arg("--version").succeeds();
    if !found {
        eprintln!("skipped: no python3 on this machine");
    }
    found
}

fn peer(args: &str) -> Program {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/peer.py");
    let python = with_keys(Launch::program("python3"));
    python.arg(script).arg(args).start()
}

/// Lines of 75 characters, no two alike.
fn lines() -> String {
    (0..LINES).map(|n| format!("{n:-<74}\n")).collect()
}

/// Has the peer send what old peers send, wide characters too. Returns the text.
fn say_wide(peer: &mut Program) -> String {
    let mut said = String::new();
    for (text, frames) in sent_by_old_peers() {
        peer.say((frames.len() as u16).to_be_bytes());
        peer.say(frames);
        said.push_str(&text);
    }
    said
}

/// Asserts that `peer` received every frame whole, and in them `lines`.
#[track_caller]
fn received(peer: Program, lines: &str) {
    let peer = peer.ends_with(0);
    let len = 5 * LINES * CLASSIC_FRAME;
    assert_eq!(peer.stdout.len(), len, "{}", peer.stderr);
    assert!(Frames::new().read(&peer.stdout) == lines);
}

/// Goal: 20,000 frames reach a peer that takes 112 bytes a read, none cut in two, and
/// what the peer says arrives meanwhile. Method: a one-shot server with a pipe.
#[test]
fn frames_from_a_server() {
    if !has_python() {
        return;
    }
    let mut server = with_keys(Launch::server("--classic")).start();
    let mut peer = peer(&server.port().to_string());
    let said = say_wide(&mut peer);
    let lines = lines();
    server.say(&lines);
    server.end_input();
    received(peer, &lines);
    server.ends_with(0).printed(said);
}

/// Goal: the same holds for a client.
#[test]
fn frames_from_a_client() {
    if !has_python() {
        return;
    }
    let mut peer = peer("listen");
    let mut client = with_keys(Launch::client(peer.port(), "--classic")).start();
    let said = say_wide(&mut peer);
    client.prints(&said);
    let lines = lines();
    client.say(&lines);
    client.end_input();
    received(peer, &lines);
    client.ends_with(0).printed(said);
}
