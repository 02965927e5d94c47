//! A peer in Python that reads as the old program does, and dies of a short read as the
//! old program does.

use sealwire::limits::CLASSIC_FRAME;

use crate::old::{sent_by_old_peers, text_of, with_keys};
use crate::program::{Launch, Program};

/// Lines of five frames each: 20,000 frames.
const LINES: usize = 4_000;

fn peer(args: &str) -> Program {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/cli/peer.py");
    let python = with_keys(Launch::program("python3"));
    python.arg(script).arg(args).start()
}

/// Goal: 20,000 frames reach a peer that takes 112 bytes a read, none cut in two, and the
/// peer's text, with wide characters, arrives meanwhile. Method: a one-shot server and a
/// client, each with a pipe, connected to a peer.
#[test]
fn frames_reach_a_peer_in_python() {
    if !Launch::program("python3").arg("--version").succeeds() {
        return eprintln!("skipped: no python3 on this machine");
    }
    // Lines of 75 characters, no two alike.
    let lines: String = (0..LINES).map(|n| format!("{n:-<74}\n")).collect();
    let server = with_keys(Launch::server("--classic")).start();
    let dials = peer(&server.port().to_string());
    let listens = peer("listen");
    let client = with_keys(Launch::client(listens.port(), "--classic")).start();
    for (mut peer, mut program) in [(dials, server), (listens, client)] {
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
        assert!(text_of(&peer.stdout) == lines);
        program.ends_with(0).printed(said);
    }
}
