//! The old format beside the new one, on one server.

use std::sync::Arc;

use sealwire::conn::classic::ClassicConnection;
use sealwire::crypto::classic::ClassicKeys;
use sealwire::endpoint::transport::PeerId;
use sealwire::endpoint::{Cut, Event, InputKind, Leaves, Notice, Setup};
use sealwire::error::{Deadline, Failure};
use sealwire::limits::{CLASSIC_FRAME, MAX_CLASSIC_UNPROVED};
use sealwire::modes::chat::Chat;
use sealwire::modes::echo::Echo;
use sealwire::modes::relay::Relay;

use crate::net::End;
use crate::people::{Sender, both, native, secrets};
use crate::port::Plain;
use crate::raw::Raw;
use crate::world::{SOCKET, World};

const TERMINAL: InputKind = InputKind {
    cut: Cut::Lines,
    terminal: true,
};

fn lines() -> Vec<Vec<u8>> {
    let lines = [
        "one\n",
        "a line of more than fifteen letters\n",
        "雪が降る\n",
        "\n",
    ];
    lines.iter().map(|line| line.as_bytes().to_vec()).collect()
}

fn keys() -> Arc<ClassicKeys> {
    Arc::new(ClassicKeys::new(&secrets(7)))
}

/// The frames of `line`.
fn frames(line: &str) -> Vec<u8> {
    let mut conn = ClassicConnection::new(keys(), 1 << 20, sealwire::time::Time::ZERO);
    let (mut rest, mut frames) = (line, Vec::new());
    while !rest.is_empty() {
        let count = conn.seal(rest.as_bytes(), [3; 16]);
        rest = &rest[count..];
        frames.extend_from_slice(conn.frame().unwrap());
        conn.taken(CLASSIC_FRAME);
    }
    frames
}

/// A classic client that the test plays by hand.
struct Old {
    end: End,
    peer: PeerId,
}

impl Old {
    fn connect(world: &mut World, server: usize) -> Self {
        let (link, peer) = world.accept(server, SOCKET);
        world.settle();
        let end = End { link, client: true };
        Self { end, peer }
    }

    fn write(&self, world: &mut World, bytes: &[u8]) {
        assert_eq!(world.net.write(self.end, bytes).unwrap(), bytes.len());
        world.settle();
    }

    /// What it was sent.
    fn read(&self, world: &mut World) -> Vec<String> {
        let mut bytes = vec![0; SOCKET];
        let count = world
            .net
            .read(self.end, &mut bytes)
            .map_or(0, |read| read.0);
        let mut conn = ClassicConnection::new(keys(), 1 << 20, world.now());
        let (mut at, mut lines, mut line) = (0, Vec::new(), String::new());
        while let Some(opened) = conn.open(world.now(), &mut bytes[at..count]) {
            let text = at + opened.text.start..at + opened.text.end;
            line.push_str(str::from_utf8(&bytes[text]).unwrap());
            at += opened.used;
            if opened.last {
                lines.push(std::mem::take(&mut line));
            }
        }
        assert_eq!((at, conn.outcome()), (count, None));
        lines
    }
}

fn classic_client() -> Setup {
    Setup {
        identity: None,
        ..both(2, Leaves::WithPeers)
    }
}

/// Goal: one server serves both formats at once. Method: an echo, a classic and
/// a native client, each of which gets its own lines back and is complete.
#[test]
fn both_formats_on_one_server() {
    let mut world = World::calm();
    let server = world.host(both(1, Leaves::WhenStopped), Echo);
    let old = world.host(classic_client(), Sender::new(lines()));
    let new = world.host(native(3, Leaves::WithPeers), Sender::new(lines()));
    for client in [old, new] {
        world.connect(client, server);
    }
    world.run_millis(10);
    for client in [old, new] {
        assert_eq!(world.hosts[client].log.borrow().all(), lines());
        assert_eq!(world.hosts[client].endpoint.exit(), Some(0));
    }
    world.hosts[server].assert_empty("both have left");
}

/// Goal: what others say goes to a classic peer as lines. Method: a relay, and
/// messages with several newlines, without any, without bytes, and with some
/// that are no text.
#[test]
fn a_classic_peer_gets_lines() {
    let mut world = World::calm();
    let server = world.host(both(1, Leaves::WhenStopped), Relay);
    let old = Old::connect(&mut world, server);
    old.write(&mut world, &frames("hello\n"));
    let mut new = Raw::join(&mut world, server);
    for message in [&b"two\nlines\n"[..], b"none", b"", b"not \xff\xfetext"] {
        new.say(&mut world, message);
    }
    let expected = ["two\n", "lines\n", "none\n", "\n", "not text\n"];
    assert_eq!(old.read(&mut world), expected);
    let told = |event: &Event| matches!(event, Event::Notice(Notice::NotText(2)));
    assert!(world.hosts[server].events.iter().any(told));
    old.write(&mut world, &frames("and back\n"));
    new.read(&mut world);
    assert_eq!(new.messages(), [b"and back\n"]);
}

/// Goal: who is silent for a second may be a classic listener, and is sent what
/// is typed; before that it is not; and somebody who then says hello in native
/// is welcome. Method: a chat with two silent peers.
#[test]
fn a_silent_listener_hears_after_a_second() {
    let mut world = World::calm();
    let server = world.host(both(1, Leaves::WhenStopped), Chat::new(true));
    world.local(server, Some(TERMINAL), Plain::open(b"too early\n"));
    let old = Old::connect(&mut world, server);
    let mut new = Raw::connect(&mut world, server);
    world.run_millis(1001);
    let hello = new.hello(&world);
    new.write(&mut world, &hello);
    world.settle();
    new.read(&mut world);
    world.hosts[server].locals[0].input.extend(b"in time\n");
    world.poke(server);
    world.settle();
    new.read(&mut world);
    assert_eq!(old.read(&mut world), ["in time\n"]);
    assert_eq!(new.messages(), [b"in time\n"]);
    // It was spoken to in classic, so that is what it speaks.
    let late = Raw::connect(&mut world, server).hello(&world);
    old.write(&mut world, &late);
    world.run_millis(10);
    let outcome = world.hosts[server].outcome(old.peer);
    assert!(
        matches!(outcome, Some(Err(Failure::Peer(_)))),
        "{outcome:?}"
    );
}

/// Goal: only so many may be silent. Method: one more than there are slots.
#[test]
fn silent_listeners_are_counted() {
    let mut world = World::calm();
    let server = world.host(both(1, Leaves::WhenStopped), Echo);
    for _ in 0..=MAX_CLASSIC_UNPROVED {
        Old::connect(&mut world, server);
    }
    world.run_millis(1001);
    let core = world.hosts[server].endpoint.core();
    assert_eq!(core.connections(), MAX_CLASSIC_UNPROVED);
    // A native peer needs none of those.
    Raw::join(&mut world, server);
}

/// Goal: a listener that has proved nothing and does not read holds nobody up.
/// Method: it joins a chat with one native peer; more is typed than it takes.
#[test]
fn a_listener_holds_nobody_up() {
    let mut world = World::calm();
    let server = world.host(both(1, Leaves::WhenStopped), Chat::new(true));
    world.local(server, Some(TERMINAL), Plain::open(b""));
    let old = Old::connect(&mut world, server);
    world.net.incoming(old.end).capacity = 1000;
    let new = world.host(native(2, Leaves::WithPeers), Sender::staying(vec![]));
    world.connect(new, server);
    world.run_millis(1001);
    let typed = b"a line of twenty-six bytes\n".repeat(10_000);
    world.hosts[server].locals[0].input.extend(&typed);
    world.poke(server);
    world.run_millis(3000);
    assert_eq!(world.hosts[new].log.borrow().messages.len(), 10_000);
    assert!(world.hosts[server].outcome(old.peer).is_some());
}

/// Goal: a frame has 5 s from its first byte, whatever was known then. Method:
/// bytes that may still be native, and 4 s later one that may not.
#[test]
fn a_frame_has_five_seconds() {
    let mut world = World::calm();
    let server = world.host(both(1, Leaves::WhenStopped), Echo);
    let old = Old::connect(&mut world, server);
    world.run_millis(2000);
    old.write(&mut world, b"SWP");
    world.run_millis(4000);
    old.write(&mut world, b"?");
    world.run_millis(990);
    assert_eq!(world.hosts[server].outcome(old.peer), None);
    world.run_millis(20);
    let outcome = world.hosts[server].outcome(old.peer).cloned();
    assert_eq!(outcome, Some(Err(Failure::Deadline(Deadline::Frame))));
    world.hosts[server].assert_empty("it is closed");
}

/// Goal: an end of stream inside a frame or a message is truncation; between
/// messages it stands for FIN. Method: cut two frames at every byte.
#[test]
fn the_end_of_a_classic_stream() {
    let bytes = frames("sixteen letters\n");
    assert_eq!(bytes.len(), 2 * CLASSIC_FRAME);
    for cut in 1..=bytes.len() {
        let mut world = World::calm();
        let server = world.host(both(1, Leaves::WhenStopped), Echo);
        let old = Old::connect(&mut world, server);
        old.write(&mut world, &bytes[..cut]);
        world.net.shut_down(old.end);
        world.settle();
        let outcome = world.hosts[server].outcome(old.peer).cloned();
        if cut == bytes.len() {
            assert_eq!(outcome, Some(Ok(())));
            assert_eq!(old.read(&mut world), ["sixteen letters\n"]);
        } else if cut >= CLASSIC_FRAME {
            let truncated = matches!(outcome, Some(Err(Failure::Truncated(_))));
            assert!(truncated, "cut at {cut}: {outcome:?}");
        } else {
            assert!(matches!(outcome, Some(Err(_))), "cut at {cut}: {outcome:?}");
        }
        world.hosts[server].assert_empty("it was cut");
    }
}

/// Goal: a classic client whose server says nothing joins, sends, and leaves 5 s
/// after its end. Method: a listener that never answers.
#[test]
fn a_classic_client_leaves_by_itself() {
    let mut world = World::calm();
    let client = world.host(classic_client(), Sender::new(lines()));
    let (link, peer) = world.dial(client);
    world.settle();
    assert!(world.hosts[client].has_joined(peer));
    let end = End {
        link,
        client: false,
    };
    assert!(world.net.incoming(end).shut, "it has said all");
    assert_eq!(world.net.incoming(end).written as usize % CLASSIC_FRAME, 0);
    world.run_millis(4990);
    assert_eq!(world.hosts[client].endpoint.exit(), None);
    world.run_millis(20);
    assert_eq!(world.hosts[client].endpoint.exit(), Some(0));
}
