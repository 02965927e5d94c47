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
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/cli/peer.py");
    let python = with_keys(Launch::program("python3"));
    python.arg(script).arg(args).start()
}

/// Goal: 20,000 frames reach a peer that takes 112 bytes a read, none cut in two, and the
/// peer's text, with wide characters, arrives meanwhile. Method: a program with a pipe,
/// connected to the peer.
#[track_caller]
fn frames_reach(mut peer: Program, mut program: Program) {
    // Lines of 75 characters, no two alike.
    let lines: String = (0..LINES).map(|n| format!("{n:-<74}\n")).collect();
    let mut said = String::new();
    for (text, frames) in sent_by_old_peers() {
        peer.say((frames.len() as u16).to_be_bytes());
        peer.say(frames);
        said.push_str(&text);
    }
    program.say(&lines);
    program.prints(&said);
    program.end_input();
    let peer = peer.ends_with(0);
    let len = 5 * LINES * CLASSIC_FRAME;
    assert_eq!(peer.stdout.len(), len, "{}", peer.stderr);
    assert!(Frames::new().read(&peer.stdout) == lines);
    program.ends_with(0).printed(said);
}

/// See [`frames_reach`], of a one-shot server.
#[test]
fn frames_from_a_server() {
    if has_python() {
        let server = with_keys(Launch::server("--classic")).start();
        frames_reach(peer(&server.port().to_string()), server);
    }
}

/// See [`frames_reach`], of a client.
#[test]
fn frames_from_a_client() {
    if has_python() {
        let peer = peer("listen");
        let client = with_keys(Launch::client(peer.port(), "--classic")).start();
        frames_reach(peer, client);
    }
}
