//! What one peer may cost, and what happens to a peer that costs more.

use std::time::Duration;

use sealwire::limits::MAX_PAYLOAD;
use sealwire::{Echo, End, Gravity, Leaves, Reason, Relay};

use crate::hand::Raw;
use crate::people::{Sender, aborted, limited, much, native};
use crate::world::World;

/// A relay whose receivers hold up others from 64 KiB on.
fn relay() -> (World, usize) {
    World::with(limited(|limits| limits.max_queue = 1 << 16), Relay)
}

/// Goal: a receiver that accepts nothing is dropped while others wait, and they go on.
/// Method: three peers of a relay; one does not read.
#[test]
fn a_slow_receiver_is_dropped_while_others_wait() {
    let (mut world, _) = relay();
    let slow = Raw::join(&mut world);
    let (other, _) = world.client(Sender::staying(vec![]));
    world.settle();
    let (_, pair) = world.client(Sender::new(much()));
    world.run_millis(900);
    assert_eq!(world.outcome(slow.peer), None, "not yet");
    world.run_millis(1100);
    assert!(world.hosts[other].log().all() == much());
    assert_eq!(world.outcome(pair.at_server), Some(Ok(())));
    world.run_millis(5000);
    assert_eq!(world.gave(slow.peer), Some(Reason::TOO_SLOW));
}

/// Goal: a sole receiver may take as long as it likes, and is dropped soon after others have
/// come. Method: the same with two peers, for a minute; then it reads, or a third one joins.
#[test]
fn a_sole_receiver_is_waited_for() {
    for reads in [true, false] {
        let (mut world, _) = relay();
        let mut slow = Raw::join(&mut world);
        let (_, pair) = world.client(Sender::new(much()));
        for _ in 0..4 {
            world.run_millis(15_000);
            // It sends something, so that the silence deadline does not drop it.
            slow.say(&mut world, b"wait");
        }
        assert_eq!(world.outcome(slow.peer), None);
        assert_eq!(world.outcome(pair.at_server), None);
        if reads {
            while slow.messages().len() < 2000 {
                slow.read(&mut world);
            }
            assert!(slow.messages() == much());
        } else {
            world.client(Sender::staying(vec![]));
        }
        world.run_millis(if reads { 10 } else { 2000 });
        assert_eq!(world.outcome(pair.at_server), Some(Ok(())));
        if !reads {
            world.run_millis(5000);
            assert_eq!(world.gave(slow.peer), Some(Reason::TOO_SLOW));
        }
    }
}

/// Goal: no peer is too slow, or silent, because we were stopped for a while.
/// Method: a receiver that is behind takes what there is, again and again, while
/// the clock jumps; the server hears of the room and of the time at once.
#[test]
fn a_pause_of_ours_is_no_fault_of_peers() {
    let (mut world, _) = relay();
    let mut slow = Raw::join(&mut world);
    world.client(Sender::staying(vec![]));
    let (_, pair) = world.client(Sender::new(much()));
    world.run_millis(10);
    for _ in 0..5 {
        world.net.now = world.now() + Duration::from_millis(1500);
        slow.read(&mut world);
        assert_eq!(world.outcome(slow.peer), None);
    }
    while slow.messages().len() < 2000 {
        slow.read(&mut world);
    }
    world.run_millis(10);
    assert_eq!(world.outcome(pair.at_server), Some(Ok(())));
}

/// Goal: a message over the limit costs its sender the connection and no other peer
/// anything. Method: one byte more than the limit, in one record and in
/// several, beside a peer that keeps to it.
#[test]
fn a_message_over_the_limit_is_refused() {
    for max_message in [100, 3 * MAX_PAYLOAD] {
        let setup = limited(|limits| limits.max_message = max_message);
        let (mut world, server) = World::with(setup, Echo);
        let plan = vec![vec![1; max_message]; 3];
        let good = world.host(native(2, Leaves::WithPeers), Sender::new(plan.clone()));
        let bad = vec![vec![2; max_message + 1]];
        let bad = world.host(native(3, Leaves::WithPeers), Sender::new(bad));
        let pairs = [world.connect(good), world.connect(bad)];
        world.run_millis(10);
        assert!(world.hosts[good].log().all() == plan);
        assert_eq!(world.end(good), Some(End::Complete));
        assert_eq!(world.gave(pairs[1].at_server), Some(Reason::TOO_LARGE));
        assert_eq!(world.end(bad), Some(End::Failed(Gravity::Peer)));
        let told = world.hosts[bad].outcome(pairs[1].at_client);
        assert_eq!(told, aborted(Reason::TOO_LARGE, ""));
        world.hosts[server].assert_empty("both have left");
    }
}

/// Goal: when memory runs short, a peer in the middle of a message is still read to its
/// end, because that frees memory. Method: a budget for queues that
/// partial records alone exceed.
#[test]
fn scarce_memory_does_not_stop_a_message() {
    let (mut world, server) =
        World::with(limited(|limits| limits.max_queued = 4 * MAX_PAYLOAD), Echo);
    let mut rests = Vec::new();
    let mut peers: Vec<Raw> = (0..10).map(|_| Raw::join(&mut world)).collect();
    for raw in &mut peers {
        let bytes = raw.seal(&world, &[3; 2 * MAX_PAYLOAD]);
        let (now, later) = bytes.split_at(20_000);
        world.write(raw.end, now);
        rests.push(later.to_vec());
    }
    world.settle();
    for (raw, rest) in peers.iter_mut().zip(&rests) {
        world.write(raw.end, rest);
    }
    world.run_millis(10);
    for raw in &mut peers {
        raw.read(&mut world);
        assert!(raw.messages() == [vec![3; 2 * MAX_PAYLOAD]]);
        raw.close(&mut world);
    }
    world.hosts[server].assert_empty("all have left");
}

/// Goal: when some peers keep memory short, others are still served. Method: three peers
/// of an echo do not read, and fill the bound on queues; a fourth, which its own answers
/// hold up at times, gets all of them.
#[test]
fn scarce_memory_does_not_stop_others() {
    let (mut world, server) = World::with(limited(|limits| limits.max_queued = 40_000), Echo);
    world.net.socket = 20_000;
    for _ in 0..3 {
        let mut raw = Raw::join(&mut world);
        raw.say(&mut world, &[1; 15_000]);
        raw.say(&mut world, &[1; 15_000]);
    }
    assert!(world.hosts[server].endpoint.held() >= 40_000);
    world.net.socket = 6000;
    let mut good = Raw::join(&mut world);
    for n in 1..=20 {
        // The third answer waits behind the second, which did not fit; so the
        // fourth message is not read before the others are.
        for _ in 0..4 {
            good.say(&mut world, &[2; 5000]);
        }
        for _ in 0..4 {
            good.read(&mut world);
        }
        assert_eq!(good.messages().len(), 4 * n);
    }
}

/// Goal: messages without bytes cost memory, too: they do not queue up without
/// end. Method: a client of an echo sends empty messages and does not read.
#[test]
fn empty_messages_are_bounded() {
    let (mut world, server) = World::with(limited(|limits| limits.max_queue = 1 << 16), Echo);
    world.net.socket = 10_000;
    let mut raw = Raw::join(&mut world);
    for _ in 0..10_000 {
        let record = raw.seal(&world, b"");
        if !matches!(world.net.write(raw.end, &record), Ok(34)) {
            break;
        }
        world.settle();
    }
    let queued = world.hosts[server].endpoint.queued();
    assert!(queued < 2000, "{queued} wait");
}

/// Goal: a full server tells a new peer so, hands nothing of it on, and takes the next
/// when one has left. Method: room for two; a third sends a message at
/// once.
#[test]
fn a_full_server_says_so() {
    let (mut world, server) = World::with(limited(|limits| limits.max_peers = 2), Relay);
    let first = Raw::join(&mut world);
    let mut second = Raw::join(&mut world);
    let plan = vec![b"let me in".to_vec()];
    let (third, pair) = world.client(Sender::new(plan));
    world.settle();
    assert!(world.hosts[server].log().messages.is_empty());
    assert!(!world.hosts[server].has_joined(pair.at_server));
    assert_eq!(world.gave(pair.at_server), Some(Reason::GOING_AWAY));
    assert_eq!(world.end(third), Some(End::Failed(Gravity::Peer)));
    second.read(&mut world);
    assert!(second.messages().is_empty());

    // A peer that was refused and lingers takes no peer's place.
    let mut raw = Raw::connect(&mut world);
    raw.prove(&mut world);
    assert_eq!(world.hosts[server].endpoint.proved(), 2);
    world.reset(first.end.link);
    Raw::join(&mut world);
}
