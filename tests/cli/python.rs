//! A peer in Python that reads as the old program does, and dies of a short
//! read as it does.

use std::process::{Command, Stdio};

use sealwire::limits::CLASSIC_FRAME;

use crate::old::{Frames, sent_by_old_peers, with_keys};
use crate::program::{Launch, Program};

/// As many lines of five frames as make 20,000 frames.
const LINES: usize = 4_000;

/// Says so where there is no Python to run.
fn has_python() -> bool {
    let mut python = Command::new("python3");
    let python = python.arg("--version").stdout(Stdio::null());
    let found = python.status().is_ok_and(|status| status.success());
    if !found {
        eprintln!("skipped: no python3 on this machine");
    }
    found
}

fn peer(args: &str) -> Program {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/peer.py");
    with_keys(Launch::python(script)).arg(args).start()
}

/// Lines of 75 characters, no two alike.
fn lines() -> String {
    (0..LINES).map(|n| format!("{n:-<74}\n")).collect()
}

/// Has the peer send what old peers send, wide characters too; returns the text.
fn say_wide(peer: &mut Program) -> String {
    let mut said = String::new();
    for (text, frames) in sent_by_old_peers() {
        peer.say((frames.len() as u16).to_be_bytes());
        peer.say(frames);
        said.push_str(&text);
    }
    said
}

/// What a peer ended with: every frame whole, and in them the lines.
#[track_caller]
fn received(peer: Program, lines: &str) {
    let peer = peer.wait();
    assert_eq!(peer.code, 0, "{}", peer.stderr);
    assert_eq!(
        peer.stdout.len(),
        5 * LINES * CLASSIC_FRAME,
        "{}",
        peer.stderr
    );
    assert!(Frames::new().read(&peer.stdout) == lines);
}

/// Goal: 20,000 frames reach a peer that takes 112 bytes a read, none cut in
/// two, from a server; what the peer says arrives meanwhile. Method: a one-shot
/// server with a pipe.
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
    assert_eq!(String::from_utf8(server.ends_with(0).stdout).unwrap(), said);
}

/// Goal: the same from a client.
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
    assert_eq!(String::from_utf8(client.ends_with(0).stdout).unwrap(), said);
}
