//! A peer that always has more to say than is read, so that it never leaves the list of
//! ready peers: its clocks run all the same.

use sealwire::endpoint::Leaves;
use sealwire::limits::{CLOSING_DEADLINE, INPUT_SCRATCH, MIN_RECORD, PING_AFTER, SILENCE_DEADLINE};
use sealwire::modes::sink::Sink;

use crate::hand::Raw;
use crate::people::{limited, native};
use crate::world::World;

const MESSAGE: [u8; 10_000] = [7; 10_000];

/// Ticks every 100 ms for so many seconds, or until the connection is closed. There is always
/// more to be read than a tick can. The peer hears what is said to it only if it `listens`.
fn flood(world: &mut World, server: usize, raw: &mut Raw, seconds: u64, listens: bool) {
    let (mut pending, mut heard) = (Vec::new(), [0; 1000]);
    for _ in 0..10 * seconds {
        while pending.len() < world.net.socket {
            pending.extend(raw.seal(world, &MESSAGE));
        }
        if let Ok(count) = world.net.write(raw.end, &pending) {
            pending.drain(..count);
        }
        world.tick_after(server, 100);
        if world.outcome(raw.peer).is_some() {
            return;
        }
        if listens && let Ok((count, _)) = world.net.read(raw.end, &mut heard) {
            let now = world.now();
            raw.session.receive(now, &heard[..count], &mut pending);
        }
    }
}

/// Goal: a peer that streams without end is pinged, or it would think us dead. Method: a
/// sink reads from it for longer than the silence deadline.
#[test]
fn an_endless_stream_is_pinged() {
    let (mut world, server) = World::with(native(1, Leaves::WhenStopped), Sink);
    world.net.socket = 2 * INPUT_SCRATCH;
    let mut raw = Raw::join(&mut world);
    let before = world.net.incoming(raw.end).written;
    let seconds = SILENCE_DEADLINE.as_secs() + 5;
    flood(&mut world, server, &mut raw, seconds, true);
    assert_eq!(world.outcome(raw.peer), None);
    let pings = (world.net.incoming(raw.end).written - before) / MIN_RECORD as u64;
    assert_eq!(pings, SILENCE_DEADLINE.as_secs() / PING_AFTER.as_secs());
}

/// Goal: a peer that goes on after our ABORT is closed in time. Method: its messages are
/// over the limit, and it does not listen.
#[test]
fn a_stream_behind_an_abort_is_closed() {
    let setup = limited(|limits| limits.max_message = MESSAGE.len() - 1);
    let (mut world, server) = World::with(setup, Sink);
    world.net.socket = 2 * INPUT_SCRATCH;
    let mut raw = Raw::join(&mut world);
    let seconds = CLOSING_DEADLINE.as_secs() + 1;
    flood(&mut world, server, &mut raw, seconds, false);
    world.hosts[server].assert_empty("it is closed");
}
