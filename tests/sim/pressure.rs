//! Receivers that do not read: how much memory they may hold, which peers they hold up,
//! and when they are dropped.

use sealwire::limits::{
    CLASSIC_FRAME, FAN_OUT, INPUT_HIGH_WATER, INPUT_SCRATCH, LEAST_SHARE, LOCAL_BUDGET,
    MAX_PAYLOAD, MAX_RECORD, OUTPUT_SCRATCH, QUEUED_ITEM, SLOW_SHARE,
};
use sealwire::{Chat, Echo, End, InputKind, Leaves, Mode, Reason, Relay, Setup};

use crate::hand::{Raw, frames, lines};
use crate::people::{Sender, both, gave, limited, much, native};
use crate::port::{LINES, Plain};
use crate::world::{Link, World};

/// A server whose queues may hold `max_queued` in all.
fn pressed_from(max_queued: usize, mode: impl Mode + 'static) -> (World, usize) {
    World::with(limited(|limits| limits.max_queued = max_queued), mode)
}

/// A setup for both formats whose receivers hold up others from 64 KiB on.
fn narrow() -> Setup {
    let mut setup = both(1, Leaves::WhenStopped);
    setup.limits.max_queue = 1 << 16;
    setup
}

/// Sends `message`, of any length, for as long as the server reads it.
fn say_long(raw: &mut Raw, world: &mut World, message: &[u8]) {
    let bytes = raw.seal(world, message);
    for piece in bytes.chunks(20_000) {
        world.write(raw.end, piece);
    }
}

/// Adds this many clients that read nothing.
fn join_deaf(world: &mut World, count: usize) {
    for _ in 0..count {
        let raw = Raw::join(world);
        world.net.incoming(raw.end).capacity = 10;
    }
}

/// A chat that is given lines, typed or not, with this many deaf peers.
fn chat_with_deaf(count: usize, terminal: bool) -> (World, usize) {
    let (mut world, server) = World::with(native(1, Leaves::WhenStopped), Chat::new(true));
    let kind = InputKind { terminal, ..LINES };
    world.local(server, Some(kind), Plain::open(b""));
    join_deaf(&mut world, count);
    (world, server)
}

/// A client that sends `len` bytes to an echo and reads no answer.
fn deaf(world: &mut World, len: usize) -> Raw {
    let mut raw = Raw::join(world);
    world.net.incoming(raw.end).capacity = 10;
    say_long(&mut raw, world, &vec![1; len]);
    raw
}

/// Goal: when memory runs short, peers that hold much of it and accept nothing are
/// dropped after a second, though each alone was within its bounds; then there is room
/// for others. Method: three deaf clients of an echo, then one that sends more than they
/// held.
#[test]
fn a_holder_of_scarce_memory_is_dropped() {
    let (mut world, server) = pressed_from(1_000_000, Echo);
    let slow: Vec<Raw> = (0..3).map(|_| deaf(&mut world, 500_000)).collect();
    assert!(world.hosts[server].endpoint.held() > 1_000_000);
    world.run_millis(990);
    let queued = world.hosts[server].endpoint.queued();
    assert!(queued > 3, "all three are still there");
    world.run_millis(20);
    let queued = world.hosts[server].endpoint.queued();
    assert_eq!(queued, 3, "the ABORT of each");
    // What was sealed goes when they are closed.
    world.run_millis(5000);
    let reasons = slow.iter().map(|raw| world.gave(raw.peer));
    assert!(reasons.eq([Some(Reason::TOO_SLOW); 3]));
    let plan = vec![vec![7; 5_000_000]];
    let (good, _) = world.client(Sender::new(plan.clone()));
    world.run_millis(10);
    assert!(world.hosts[good].log().all() == plan);
    assert_eq!(world.end(good), Some(End::Complete));
    world.hosts[server].assert_empty("all have left");
}

/// Goal: a peer that takes its share is not too slow, even if its socket becomes writable only
/// later; one that takes less is. Method: when memory is short, a client that takes more than
/// its share in a second, but less than has to be free for that; then half of it.
#[test]
fn a_peer_that_takes_its_share_is_not_too_slow() {
    let (mut world, server) = pressed_from(1_000_000, Echo);
    let mut raw = Raw::join(&mut world);
    world.net.incoming(raw.end).capacity = 600_000;
    say_long(&mut raw, &mut world, &[1; 3_000_000]);
    assert!(world.hosts[server].endpoint.held() > 1_000_000);
    for _ in 0..12 {
        world.run_millis(250);
        world.net.read(raw.end, &mut [0; SLOW_SHARE / 3]).unwrap();
        assert_eq!(world.outcome(raw.peer), None);
    }
    for _ in 0..32 {
        world.run_millis(250);
        // It may have been closed.
        let _ = world.net.read(raw.end, &mut [0; SLOW_SHARE / 8]);
    }
    assert_eq!(world.gave(raw.peer), Some(Reason::TOO_SLOW));
}

/// Goal: unfinished input is no reason to drop receivers, because it has bounds of its own.
/// Method: an echo with one slow client, and many clients whose records and messages are
/// not whole, all together far over what may be queued.
#[test]
fn what_is_not_whole_makes_no_pressure() {
    let (mut world, server) = pressed_from(300_000, Echo);
    let mut slow = deaf(&mut world, 200_000);
    let mut halves = Vec::new();
    for n in 0..60 {
        let mut raw = Raw::join(&mut world);
        let bytes = raw.seal(&world, &[2; 3 * MAX_PAYLOAD]);
        world.write(raw.end, &bytes[..if n < 30 { 10_000 } else { 40_000 }]);
        halves.push(raw);
    }
    assert!(world.hosts[server].endpoint.held() > 4 * 300_000);
    world.run_millis(3000);
    assert_eq!(world.outcome(slow.peer), None);
    let mut other = Raw::join(&mut world);
    other.say(&mut world, b"and I?");
    other.read(&mut world);
    assert_eq!(other.messages(), [b"and I?"]);
    world.net.incoming(slow.end).capacity = 64 * 1024;
    while slow.messages().is_empty() {
        slow.read(&mut world);
    }
    assert!(slow.messages() == [vec![1; 200_000]]);
}

/// Goal: whatever receivers do, queues do not grow past twice their limit. Method: deaf
/// clients of an echo, each below the bound of a single one; from some number on no
/// client is read, until the first are dropped. Then others have their answers.
#[test]
fn queues_have_an_absolute_bound() {
    const MOST: usize = 200_000;
    let (mut world, server) = pressed_from(MOST, Echo);
    let held: Vec<Raw> = (0..20).map(|_| deaf(&mut world, 60_000)).collect();
    let most = world.hosts[server].most_held;
    assert!(most >= 2 * MOST, "they do hold that much");
    // One more message, and what of the next is not whole.
    assert!(most < 2 * MOST + 2 * LEAST_SHARE, "it held {most}");
    world.run_millis(6000);
    assert_eq!(world.gave(held[0].peer), Some(Reason::TOO_SLOW));
    // When they are gone, one tick reads from several peers at once.
    let most = world.hosts[server].most_held;
    assert!(most < 2 * MOST + 2 * INPUT_SCRATCH, "it held {most}");
    let mut other = Raw::join(&mut world);
    other.say(&mut world, b"and I?");
    world.run_millis(3000);
    other.read(&mut world);
    assert_eq!(other.messages(), [b"and I?"]);
}

/// Goal: what a relay seals for many deaf receivers has a bound, too, though what waits
/// is there only once. Method: a few long messages for many deaf receivers.
#[test]
fn copies_for_receivers_have_a_bound() {
    const MOST: usize = 400_000;
    const RECEIVERS: usize = 60;
    let (mut world, server) = pressed_from(MOST, Relay);
    let mut sender = Raw::join(&mut world);
    join_deaf(&mut world, RECEIVERS);
    for _ in 0..8 {
        let bytes = sender.seal(&world, &[1; MAX_PAYLOAD]);
        // In the end it is not read any more.
        let _ = world.net.write(sender.end, &bytes);
    }
    world.settle();
    let most = world.hosts[server].most_held;
    assert!(most >= MOST, "they do hold that much");
    let sealed = OUTPUT_SCRATCH + RECEIVERS * MAX_RECORD;
    assert!(most < 2 * MOST + sealed, "it held {most}");
}

/// Goal: a listener that has proved nothing and does not read holds up no relay,
/// not even for a second, and is closed. Method: beside two honest native peers.
#[test]
fn a_listener_holds_up_no_relay() {
    let (mut world, _) = World::with(narrow(), Relay);
    let old = world.accept();
    world.net.incoming(old.end).capacity = 10 * CLASSIC_FRAME;
    world.run_millis(1001);
    let (other, _) = world.client(Sender::staying(vec![]));
    world.settle();
    let (sender, _) = world.client(Sender::new(much()));
    world.run_millis(10);
    assert!(world.hosts[other].log().all() == much());
    assert_eq!(world.end(sender), Some(End::Complete));
    assert_eq!(world.outcome(old.peer), gave(Reason::TOO_SLOW));
    assert!(lines(&mut world, old.end).len() < 10, "it was sent some");
}

/// Goal: text that waits for many classic receivers is there once, however many lines it
/// has. Method: four mebibytes of newlines, relayed to ten that do not read.
#[test]
fn classic_receivers_share_their_text() {
    const LINES: usize = 4 << 20;
    let (mut world, server) = World::with(both(1, Leaves::WhenStopped), Relay);
    let old: Vec<Link> = (0..10).map(|_| world.accept()).collect();
    for old in &old {
        world.write(old.end, &frames(old.end.link, "x\n"));
        world.net.incoming(old.end).capacity = 20 * CLASSIC_FRAME;
    }
    let mut raw = Raw::join(&mut world);
    say_long(&mut raw, &mut world, &vec![b'\n'; LINES]);
    let messages = world.hosts[server].log().messages.len();
    assert_eq!(messages, 11);
    let endpoint = &world.hosts[server].endpoint;
    assert_eq!(endpoint.queued(), 10, "one for each");
    let held = endpoint.held();
    assert!(held < LINES + 100_000, "it holds {held}");
    for old in old {
        let heard = lines(&mut world, old.end);
        assert!(heard.len() == 20 && heard.last().is_some_and(|line| line == "\n"));
    }
}

/// Goal: a line that receivers do not accept is kept once, not once for each.
/// Method: a chat with six that do not read. The first line is sealed for each;
/// the second, of several chunks, waits for all of them.
#[test]
fn a_line_that_waits_is_copied_once() {
    let (mut world, server) = chat_with_deaf(6, true);
    let mut copied = Vec::new();
    for len in [60_000, 50_000] {
        let line = [vec![b'a'; len - 1], vec![b'\n']].concat();
        world.give(server, &line);
        world.settle();
        copied.push(world.hosts[server].endpoint.copied());
    }
    let chunks = 50_000_usize.div_ceil(MAX_PAYLOAD);
    let queued = world.hosts[server].endpoint.queued();
    assert_eq!(
        queued,
        6 + chunks - 1,
        "one for each receiver, and the chunks behind the first"
    );
    assert_eq!(copied[1] - copied[0], 50_000);
}

/// Goal: lines of a pipe do not fill memory with messages. Method: many empty ones for a
/// chat's many deaf peers.
#[test]
fn lines_for_many_have_a_bound() {
    let (mut world, server) = chat_with_deaf(40, false);
    world.give(server, &[b'\n'; LOCAL_BUDGET]);
    world.settle();
    let queued = world.hosts[server].endpoint.queued();
    let most = 40 * INPUT_HIGH_WATER.div_ceil(QUEUED_ITEM) + FAN_OUT;
    assert!((40..=most).contains(&queued), "{queued}");
}

/// Goal: a complete peer is read to its end at once, whichever peer is congested.
/// Method: a relay whose one receiver accepts nothing; a complete peer closes meanwhile.
#[test]
fn the_end_of_a_complete_peer_is_read() {
    let (mut world, server) = World::with(narrow(), Relay);
    let mut done = Raw::join(&mut world);
    let slow = Raw::join(&mut world);
    world.net.incoming(slow.end).capacity = 10;
    done.finish(&mut world);
    assert!(world.net.incoming(done.end).shut, "it is complete");
    world.client(Sender::new(much()));
    world.settle();
    assert!(world.hosts[server].log().messages.len() < 1000);
    done.close(&mut world);
    assert_eq!(world.outcome(done.peer), Some(Ok(())));
    assert_eq!(world.outcome(slow.peer), None);
}

/// Goal: an aborted peer is read to its end at once, too, though it was held up.
/// Method: a chat whose output is blocked is stopped; its peer, which was not
/// read any more, is aborted 5 s later, and closes.
#[test]
fn the_end_of_an_aborted_peer_is_read() {
    let (mut world, server) = World::with(narrow(), Chat::new(true));
    let blocked = Plain::open(b"").room(0);
    world.local(server, None, blocked);
    let mut raw = Raw::join(&mut world);
    for _ in 0..5 {
        raw.say(&mut world, &[1; MAX_PAYLOAD]);
    }
    let taken = world.hosts[server].log().messages.len();
    assert_eq!(taken, INPUT_HIGH_WATER / MAX_PAYLOAD, "it is held up");
    world.stop(server);
    world.run_millis(5010);
    raw.read(&mut world);
    raw.close(&mut world);
    assert_eq!(world.outcome(raw.peer), gave(Reason::GOING_AWAY));
}
