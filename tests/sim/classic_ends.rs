//! How classic connections end, where the end of a stream is all that is said.

use std::io::ErrorKind;

use sealwire::endpoint::{End, Leaves};
use sealwire::error::Gravity;
use sealwire::limits::CLASSIC_FRAME;
use sealwire::modes::chat::Chat;
use sealwire::modes::echo::Echo;

use crate::hand::{frames, lines};
use crate::people::{Sender, both, classic_client, is_truncated};
use crate::port::{LINES, Plain, TERMINAL};
use crate::world::{Link, World};

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
        world.write(old.end, &frames("hello\n"));
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
            world.write(old.end, &frames(line));
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
        world.write(end, &frames("hello\n"));
        world.shut_down(end);
        assert_eq!(world.outcome(peer), Some(Ok(())));
        world.stop(client);
        world.run_millis(7000);
        assert_eq!(world.end(client), Some(expected));
    }
}
