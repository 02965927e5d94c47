//! The old format beside the new one on one server (more of that by seed: [`crate::seeds`]); and
//! how classic connections end, which have only the end of the stream to say so.

use std::io::ErrorKind;

use sealwire::classic::ClassicConnection;
use sealwire::conn::StreamEnd;
use sealwire::limits::{CLASSIC_FRAME, MAX_CLASSIC, MAX_CLASSIC_UNPROVED};
use sealwire::{
    Abort, Chat, ClassicKeys, Deadline, Echo, End, Failure, Gravity, Leaves, PeerFault, Reason,
    Relay, Sink, Time,
};

use crate::hand::{Raw, frames, lines};
use crate::people::{Sender, both, classic_client, is_truncated, secrets};
use crate::port::{LINES, Plain, TERMINAL};
use crate::world::{Link, World};

/// Goal: what others say goes to a classic peer as lines. Method: a relay, and
/// messages with several newlines, without any, without bytes, and with some
/// that are no text.
#[test]
fn a_classic_peer_gets_lines() {
    let (mut world, server) = World::with(both(1, Leaves::WhenStopped), Relay);
    let old = world.accept();
    world.write(old.end, &frames(old.end.link, "hello\n"));
    let mut new = Raw::join(&mut world);
    for message in [&b"two\nlines\n"[..], b"none", b"", b"not \xff\xfetext"] {
        new.say(&mut world, message);
    }
    let expected = ["two\n", "lines\n", "none\n", "\n", "not text\n"];
    assert_eq!(lines(&mut world, old.end), expected);
    assert_eq!(world.hosts[server].notices(), ["NotText(2)"]);
    world.write(old.end, &frames(old.end.link, "and back\n"));
    new.read(&mut world);
    assert_eq!(new.messages(), [b"and back\n"]);
}

/// Goal: a peer that is silent for a second may be a classic listener, and is sent what
/// is typed from then on; if it then says hello in native, it is welcome. Method: a chat
/// with two silent peers.
#[test]
fn a_silent_listener_hears_after_a_second() {
    let (mut world, server) = World::with(both(1, Leaves::WhenStopped), Chat::new(true));
    world.local(server, Some(TERMINAL), Plain::open(b"too early\n"));
    let old = world.accept();
    let mut new = Raw::connect(&mut world);
    world.run_millis(1001);
    new.prove(&mut world);
    world.give(server, b"in time\n");
    world.settle();
    new.read(&mut world);
    assert_eq!(lines(&mut world, old.end), ["in time\n"]);
    assert_eq!(new.messages(), [b"in time\n"]);
    // It was spoken to in classic, so that is what it speaks.
    let late = Raw::connect(&mut world).hello(&world);
    world.write(old.end, &late);
    world.run_millis(10);
    let outcome = world.outcome(old.peer);
    assert!(
        matches!(outcome, Some(Err(Failure::Peer(_)))),
        "{outcome:?}"
    );
}

/// Goal: the number of silent peers has a bound. Above it the oldest is closed, and a new
/// one is welcome. Method: two more than there are slots, one after the other.
#[test]
fn the_oldest_listener_makes_room() {
    let (mut world, server) = World::with(both(1, Leaves::WhenStopped), Echo);
    let mut silent = Vec::new();
    for _ in 0..MAX_CLASSIC_UNPROVED + 2 {
        silent.push(world.accept());
        world.run_millis(10);
    }
    world.run_millis(1001);
    let endpoint = &world.hosts[server].endpoint;
    assert_eq!(endpoint.connections(), MAX_CLASSIC_UNPROVED);
    for (n, old) in silent.iter().enumerate() {
        let gone = world.outcome(old.peer).is_some();
        assert_eq!(gone, n < 2, "number {n}");
    }
    // A native peer needs none of those.
    Raw::join(&mut world);
}

/// Goal: a listener whose first frame has come is not evicted for a newer one. Method: all
/// slots are taken; in one tick come the oldest's frame and a newcomer's first bytes.
#[test]
fn a_listener_that_has_spoken_stays() {
    let (mut world, server) = World::with(both(1, Leaves::WhenStopped), Echo);
    let listeners = [(); MAX_CLASSIC_UNPROVED].map(|()| world.accept());
    world.run_millis(1001);
    let newer = world.accept();
    let frame = frames(0, "here\n");
    for (end, bytes) in [(listeners[0].end, &frame[..]), (newer.end, &frame[..10])] {
        assert_eq!(world.net.write(end, bytes).unwrap(), bytes.len());
    }
    world.settle();
    assert!(world.hosts[server].has_joined(listeners[0].peer));
    assert!(
        listeners
            .iter()
            .all(|old| world.outcome(old.peer).is_none())
    );
    assert_eq!(lines(&mut world, listeners[0].end), ["here\n"]);
}

/// Goal: a listener starts no reading of a one-shot server's input, is sent what is read, and is
/// not waited for; but it is taken if it speaks later, as it was there when the input began.
/// Method: a native peer starts the reading of a pipe; then the listener speaks, or does not.
#[test]
fn a_listener_that_was_there_is_not_late() {
    for speaks in [true, false] {
        let (mut world, server) = World::with(both(1, Leaves::AfterInput), Chat::new(false));
        world.local(server, Some(LINES), Plain::open(b"a part\n"));
        let old = world.accept();
        world.run_millis(1001);
        assert_eq!(world.hosts[server].locals[0].input.len(), 7, "not read");
        let mut raw = Raw::join(&mut world);
        assert_eq!(lines(&mut world, old.end), ["a part\n"]);
        if speaks {
            world.write(old.end, &frames(old.end.link, "hello\n"));
        }
        assert_eq!(world.hosts[server].has_joined(old.peer), speaks);
        assert_eq!(world.outcome(old.peer), None);
        world.end_input(server);
        raw.finish(&mut world);
        raw.close(&mut world);
        if speaks {
            assert_eq!(world.end(server), None, "the old peer goes on");
            world.shut_down(old.end);
        }
        assert_eq!(world.end(server), Some(End::Complete));
    }
}

/// Goal: a listener that turns native is one of those that have sent something, the newest of
/// them at first, when one has to make room. Method: it says half a hello while it listens;
/// others have said as much before and say it after it, as many as there are slots.
#[test]
fn a_listener_that_turned_native_makes_room() {
    let mut setup = both(1, Leaves::WhenStopped);
    setup.limits.max_handshakes = 40;
    let (mut world, server) = World::with(setup, Echo);
    let mut listener = Raw::connect(&mut world);
    world.run_millis(1001);
    let half = |world: &mut World, raw: &mut Raw| {
        world.run_millis(1);
        let hello = raw.hello(world);
        world.write(raw.end, &hello[..40]);
    };
    let mut older = Raw::connect(&mut world);
    half(&mut world, &mut older);
    half(&mut world, &mut listener);
    for _ in 0..30 - 2 {
        let mut newer = Raw::connect(&mut world);
        half(&mut world, &mut newer);
    }
    let endpoint = &world.hosts[server].endpoint;
    assert_eq!(endpoint.connections(), 30);
    for peer in [older.peer, listener.peer] {
        assert_eq!(world.outcome(peer), None);
        let mut newer = Raw::connect(&mut world);
        half(&mut world, &mut newer);
        assert!(world.outcome(peer).is_some());
    }
}

/// Goal: a listener that has proved nothing and does not read holds no peer up, and is
/// closed when too much waits for it; one that reads hears all of it, though more is
/// typed at once than peers are usually fed. Method: both join a chat with one native
/// peer.
#[test]
fn a_listener_holds_no_peer_up() {
    for reads in [true, false] {
        let mut setup = both(1, Leaves::WhenStopped);
        setup.limits.max_queue = 2_000_000;
        let (mut world, server) = World::with(setup, Chat::new(true));
        world.local(server, Some(TERMINAL), Plain::open(b""));
        let old = world.accept();
        world.net.incoming(old.end).capacity = if reads { 3_000_000 } else { 1000 };
        let (new, _) = world.client(Sender::staying(vec![]));
        world.run_millis(1001);
        let line = b"a line of twenty-six bytes\n";
        let typed = if reads { 6_000 } else { 20_000 };
        world.give(server, &line.repeat(typed));
        world.run_millis(10);
        assert_eq!(world.hosts[new].log().messages.len(), typed);
        let outcome = world.outcome(old.peer);
        assert_eq!(outcome.is_none(), reads, "{outcome:?}");
        let frames = world.net.incoming(old.end).written as usize / CLASSIC_FRAME;
        assert_eq!(frames == 2 * typed, reads, "{frames} frames");
    }
}

/// Goal: a frame has 5 s from its first byte, whatever was known then. Method:
/// bytes that may still be native, and 4 s later one that may not.
#[test]
fn a_frame_has_five_seconds() {
    let (mut world, _) = World::with(both(1, Leaves::WhenStopped), Echo);
    let old = world.accept();
    world.run_millis(2000);
    world.write(old.end, b"SWP");
    world.run_millis(4000);
    world.write(old.end, b"?");
    world.assert_late(old.peer, 1000, Deadline::Frame);
}

/// Goal: an end of stream inside a frame or a message is truncation; between
/// messages it stands for FIN. Method: cut two frames at every byte.
#[test]
fn the_end_of_a_classic_stream() {
    let bytes = frames(0, "sixteen letters\n");
    assert_eq!(bytes.len(), 2 * CLASSIC_FRAME);
    for cut in 1..=bytes.len() {
        let (mut world, _) = World::with(both(1, Leaves::WhenStopped), Echo);
        let old = world.accept();
        world.write(old.end, &bytes[..cut]);
        world.shut_down(old.end);
        let outcome = world.outcome(old.peer);
        if cut == bytes.len() {
            assert_eq!(outcome, Some(Ok(())));
            assert_eq!(lines(&mut world, old.end), ["sixteen letters\n"]);
        } else if cut >= CLASSIC_FRAME {
            assert!(is_truncated(&outcome), "cut at {cut}: {outcome:?}");
        } else {
            assert!(matches!(outcome, Some(Err(_))), "cut at {cut}: {outcome:?}");
        }
    }
}

/// Goal: a classic client whose server says nothing joins, sends, and leaves 5 s
/// after its end. Method: a listener that never answers.
#[test]
fn a_classic_client_leaves_by_itself() {
    let plan = ["one\n", "a line of more than fifteen letters\n", "\n"];
    let plan = plan.map(|line| line.as_bytes().to_vec());
    let (mut world, client) = World::with(classic_client(2), Sender::new(plan.into()));
    let Link { end, peer } = world.dial();
    assert!(world.hosts[client].has_joined(peer));
    assert!(world.net.incoming(end).shut, "it has said all");
    assert_eq!(world.net.incoming(end).written as usize % CLASSIC_FRAME, 0);
    world.run_millis(4990);
    assert_eq!(world.end(client), None);
    world.run_millis(20);
    assert_eq!(world.end(client), Some(End::Complete));
}

/// Goal: a client that could not send all of its input because the other side closed
/// says so: truncated. Where the input had ended, or a person types, that is a proper
/// end. Method: a client whose server closes.
#[test]
fn a_client_whose_server_closes_first() {
    let cut_off = End::Failed(Gravity::Truncated);
    let ends = [
        (LINES, false, cut_off),
        (LINES, true, End::Complete),
        (TERMINAL, false, End::Complete),
    ];
    for (kind, ended, expected) in ends {
        let (mut world, client) = World::with(classic_client(2), Chat::new(kind.terminal));
        let plain = Plain {
            input_ended: ended,
            ..Plain::open(b"one line\n")
        };
        world.local(client, Some(kind), plain);
        let Link { end, peer } = world.dial();
        assert_eq!(world.net.incoming(end).written as usize, CLASSIC_FRAME);
        world.shut_down(end);
        let outcome = world.outcome(peer);
        assert_eq!(is_truncated(&outcome), expected == cut_off, "{outcome:?}");
        assert_eq!(world.end(client), Some(expected));
        world.hosts[client].assert_empty("its server closed");
    }
}

/// Goal: the same of a one-shot server whose client closes, and its queue is
/// sent all the same. Method: what is typed ahead fills a small socket; the
/// client half-closes, then reads.
#[test]
fn a_one_shot_server_whose_client_closes_first() {
    let cut_off = End::Failed(Gravity::Truncated);
    for (ended, expected) in [(false, cut_off), (true, End::Complete)] {
        let (mut world, server) = World::with(both(1, Leaves::AfterInput), Chat::new(false));
        let plain = Plain::open(b"twenty letters, and.\n");
        world.local(server, Some(LINES), plain);
        let old = world.accept();
        world.net.incoming(old.end).capacity = CLASSIC_FRAME;
        world.write(old.end, &frames(old.end.link, "hello\n"));
        world.hosts[server].locals[0].input_ended = ended;
        world.poke(server);
        world.settle();
        world.shut_down(old.end);
        assert_eq!(world.outcome(old.peer), None, "it sends");
        for _ in 0..2 {
            let frame = world.read(old.end);
            assert_eq!(frame.len(), CLASSIC_FRAME, "ended: {ended}");
        }
        let outcome = world.outcome(old.peer);
        assert_eq!(is_truncated(&outcome), !ended, "{outcome:?}");
        assert_eq!(world.end(server), Some(expected));
    }
}

/// Goal: a peer that half-closes is sent what is queued, and where that fails the
/// connection was cut. Method: an echo whose answers do not fit; writing fails
/// behind the end of the peer's stream, or does not.
#[test]
fn what_is_queued_behind_the_end_counts() {
    for fails in [true, false] {
        let (mut world, _) = World::with(both(1, Leaves::WhenStopped), Echo);
        let old = world.accept();
        world.net.incoming(old.end).capacity = CLASSIC_FRAME;
        for line in ["one\n", "two\n", "three\n"] {
            world.write(old.end, &frames(old.end.link, line));
        }
        world.shut_down(old.end);
        assert_eq!(world.outcome(old.peer), None, "it sends");
        if fails {
            world.net.incoming(old.end).write_error = Some(ErrorKind::BrokenPipe);
            world.settle();
        } else {
            assert_eq!(lines(&mut world, old.end), ["one\n"]);
            assert_eq!(lines(&mut world, old.end), ["two\n"]);
        }
        let outcome = world.outcome(old.peer);
        let expected = if fails {
            is_truncated(&outcome)
        } else {
            outcome == Some(Ok(()))
        };
        assert!(expected, "fails: {fails}, {outcome:?}");
    }
}

/// Goal: a client whose writing failed was cut, though it only waits for a server that
/// says nothing. Method: the second frame does not fit, and writing fails then; it leaves 5 s
/// later.
#[test]
fn a_failed_write_is_no_proper_end() {
    let plan = vec![b"one\n".to_vec(), b"two\n".to_vec()];
    let (mut world, client) = World::with(classic_client(2), Sender::new(plan));
    world.net.socket = CLASSIC_FRAME;
    let Link { end, peer } = world.dial();
    world.net.incoming(end).write_error = Some(ErrorKind::BrokenPipe);
    world.run_millis(4990);
    assert_eq!(world.outcome(peer), None);
    world.run_millis(20);
    let outcome = world.outcome(peer);
    assert!(is_truncated(&outcome), "{outcome:?}");
    assert_eq!(world.end(client), Some(End::Failed(Gravity::Truncated)));
}

/// Goal: what came and was not written is no complete end. Method: the output of
/// a client is blocked, its server says a line and closes, and a signal comes.
#[test]
fn a_stop_with_output_unwritten_is_not_complete() {
    for (room, expected) in [(0, End::Stopped), (usize::MAX, End::Complete)] {
        let (mut world, client) = World::with(classic_client(2), Chat::new(true));
        let plain = Plain::open(b"").room(room);
        world.local(client, Some(TERMINAL), plain);
        let Link { end, peer } = world.dial();
        world.write(end, &frames(end.link, "hello\n"));
        world.shut_down(end);
        assert_eq!(world.outcome(peer), Some(Ok(())));
        world.stop(client);
        world.run_millis(7000);
        assert_eq!(world.end(client), Some(expected));
    }
}

/// Goal: a recorded frame proves nothing a second time, and is not handed on; its sender's
/// other frames still prove it. Method: the frames of one peer, sent again by another; then
/// its next ones by a third.
#[test]
fn a_recorded_frame_is_refused() {
    let (mut world, server) = World::with(both(1, Leaves::WhenStopped), Echo);
    let recorded = frames(0, "a line of more than one frame\n");
    let first = world.accept();
    world.write(first.end, &recorded);
    let again = world.accept();
    world.write(again.end, &recorded);
    let outcome = world.outcome(again.peer);
    assert_eq!(outcome, Some(Err(PeerFault::Replayed.into())));
    assert!(!world.hosts[server].has_joined(again.peer));
    let third = world.accept();
    world.write(third.end, &frames(third.end.link, "another\n"));
    assert!(world.hosts[server].has_joined(third.peer));
    assert!(world.hosts[server].has_joined(first.peer));
    assert_eq!(world.hosts[server].log().messages.len(), 2);
}

/// Goal: the number of proved classic peers has a bound. A new one is turned away while all of
/// them speak; one that has said nothing for a minute makes room. Method: as many as may be,
/// and one more; again after a minute in which all but one speak.
#[test]
fn classic_peers_have_a_bound() {
    let (mut world, server) = World::with(both(1, Leaves::WhenStopped), Sink);
    let join = |world: &mut World| {
        let link = world.accept();
        world.write(link.end, &frames(link.end.link, "here\n"));
        link
    };
    let all: Vec<_> = (0..MAX_CLASSIC).map(|_| join(&mut world)).collect();
    let late = join(&mut world);
    assert_eq!(world.gave(late.peer), Some(Reason::GOING_AWAY));
    world.run_millis(59_000);
    for link in &all[1..] {
        world.write(link.end, &frames(link.end.link, "still here\n"));
    }
    world.run_millis(2000);
    let newer = join(&mut world);
    assert!(world.hosts[server].has_joined(newer.peer));
    assert_eq!(world.gave(all[0].peer), Some(Reason::TOO_SLOW));
    let late = join(&mut world);
    assert_eq!(world.gave(late.peer), Some(Reason::GOING_AWAY));
    // Native peers have their own bound.
    Raw::join(&mut world);
}

/// Goal: a connection that is over stays over, with the outcome that it had, when the end of
/// its stream comes behind that. Method: we gave up on it, then it closes.
#[test]
fn what_is_over_stays_over() {
    let mut conn = ClassicConnection::new(ClassicKeys::new(&secrets(7)), 1 << 20, Time::ZERO);
    let gave = Failure::Gave(Abort::new(Reason::TOO_SLOW, ""));
    conn.fail(gave.clone());
    assert!(!conn.end_of_stream(StreamEnd::Closed));
    assert!(conn.is_over());
    assert_eq!(conn.outcome(), Some(&Err(gave)));
    assert!(!conn.may_send() && conn.poll_timeout().is_none());
}
