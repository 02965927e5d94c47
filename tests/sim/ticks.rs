//! What one tick may do at most, and one look at the receivers of a relay, when much is due at
//! once.

use sealwire::conn::FirstSecrets;
use sealwire::limits::{
    FREED_ITEMS, HELD_UP, HELD_UP_LEAST, HELD_UP_SAMPLE, LEAST_SHARE, MAX_PACKED, MAX_PAYLOAD,
    MIN_RECORD, MOST_SHARE, OUTPUT_TICK, PEERS_WRITTEN, PING_AFTER, SLOW_SHARE, SLOW_WINDOW,
};
use sealwire::wire::record::Kind;
use sealwire::{Echo, Leaves, Reason, Relay};

use crate::hand::{Hand, Raw};
use crate::net::Side;
use crate::people::{limited, native};
use crate::world::World;

/// Takes in a peer that shook hands before, and that sends nothing. Returns its end.
fn adopt(world: &mut World) -> Side {
    let link = world.net.link();
    let host = &mut world.hosts[0];
    let secrets = FirstSecrets {
        to_us: &[1; 32],
        from_us: &[2; 32],
    };
    let peer = host.endpoint.adopt(world.net.now, secrets);
    host.ends.insert(peer, Side::server(link));
    host.endpoint.readable(peer);
    Side::client(link)
}

/// How many bytes were ever written to each of `ends`.
fn written(world: &mut World, ends: &[Side]) -> Vec<u64> {
    let written = ends.iter().map(|&end| world.net.incoming(end).written);
    written.collect()
}

/// Goal: one tick seals no more than it may, however many peers have long queues, and all of it
/// arrives in the end. Method: a message of five full records for 160 receivers, whose sockets
/// take all; the bytes that each tick writes are counted.
#[test]
fn one_tick_seals_so_much() {
    const RECEIVERS: usize = 160;
    let (mut world, server) = World::with(native(1, Leaves::WhenStopped), Relay);
    world.net.socket = 1 << 20;
    let mut sender = Raw::join(&mut world);
    let mut receivers: Vec<Raw> = (0..RECEIVERS).map(|_| Raw::join(&mut world)).collect();
    let ends: Vec<Side> = receivers.iter().map(|raw| raw.end).collect();
    let message = vec![7; 5 * MAX_PAYLOAD];
    let bytes = sender.seal(&world, &message);
    assert_eq!(world.net.write(sender.end, &bytes).ok(), Some(bytes.len()));
    let total = |world: &mut World| written(world, &ends).iter().sum::<u64>();
    let (first, mut last, mut most) = (total(&mut world), total(&mut world), 0);
    let mut ticks = 0;
    while ((last - first) as usize) < RECEIVERS * bytes.len() {
        ticks += 1;
        assert!(ticks < 10, "{} bytes in 10 ticks", last - first);
        world.tick_after(server, 0);
        let now = total(&mut world);
        most = most.max((now - last) as usize);
        last = now;
    }
    assert!(most <= OUTPUT_TICK + MOST_SHARE, "{most} bytes in a tick");
    assert!(most >= OUTPUT_TICK, "{most} bytes show no bound");
    for raw in &mut receivers {
        raw.read(&mut world);
        assert!(raw.messages() == [&message[..]]);
    }
}

/// Goal: however many receivers may be too slow at once, what one tick writes to see whether they
/// are is no more than it may seal, in addition to that; no receiver is dropped because it comes
/// later. Method: a hundred receivers of a relay whose sockets are full, with a share sealed for
/// each. Just before their time is over each takes a little more than it must, so that its socket
/// has room for all of that, but less than a poll tells of.
#[test]
fn one_tick_of_deadlines_writes_so_much() {
    const RECEIVERS: usize = 100;
    const ROOM: usize = LEAST_SHARE - 50;
    const { assert!(SLOW_SHARE < LEAST_SHARE - 100 && LEAST_SHARE - 100 < ROOM) };
    let setup = limited(|limits| limits.max_queue = 1 << 16);
    let (mut world, server) = World::with(setup, Relay);
    world.net.socket = 1 << 20;
    let mut sender = Raw::join(&mut world);
    let receivers: Vec<Raw> = (0..RECEIVERS).map(|_| Raw::join(&mut world)).collect();
    let ends: Vec<Side> = receivers.iter().map(|raw| raw.end).collect();
    for &end in &ends {
        world.net.incoming(end).capacity = 3 * LEAST_SHARE + 100;
    }
    sender.say(&mut world, &[7; 40 * MAX_PAYLOAD]);
    let total = |world: &mut World| written(world, &ends).iter().sum::<u64>() as usize;
    let first = total(&mut world);
    for &end in &ends {
        let count = world.net.read(end, &mut [0; ROOM]).unwrap().0;
        assert_eq!(count, ROOM);
    }
    world.settle();
    assert_eq!(total(&mut world), first, "a poll tells of the room");

    world.tick_after(server, SLOW_WINDOW.as_millis() as u64);
    let mut last = total(&mut world);
    let mut most = last - first;
    while last - first < RECEIVERS * SLOW_SHARE {
        world.tick_after(server, 0);
        let now = total(&mut world);
        assert!(now > last, "{} bytes in all", now - first);
        most = most.max(now - last);
        last = now;
    }
    assert!(most <= 2 * OUTPUT_TICK + MOST_SHARE, "{most} in a tick");
    assert!(most >= 2 * OUTPUT_TICK, "{most} bytes show no bound");
    assert_eq!(world.hosts[server].endpoint.proved(), RECEIVERS + 1);
}

/// Goal: when thousands of deadlines come at once, one tick handles a bounded number of them, so
/// that others are answered meanwhile; all are handled within a few ticks, and no peer is
/// dropped. Method: five thousand peers to which a PING is due, and one that speaks while
/// they are sent.
#[test]
fn many_pings_take_several_ticks() {
    const PEERS: usize = 5000;
    let (mut world, server) = World::with(native(1, Leaves::WhenStopped), Echo);
    let silent: Vec<Side> = (0..PEERS).map(|_| adopt(&mut world)).collect();
    world.run_millis(1);
    // Its own PING is due later.
    let mut other = Raw::join(&mut world);
    world.tick_after(server, PING_AFTER.as_millis() as u64 - 1);
    let mut before = written(&mut world, &silent);
    let told = before.iter().filter(|&&bytes| bytes > 0).count();
    assert!(told <= PEERS_WRITTEN, "{told} when they are due");
    let bytes = other.seal(&world, b"and I?");
    assert_eq!(world.net.write(other.end, &bytes).ok(), Some(bytes.len()));
    let unanswered = world.net.incoming(other.end).written;
    for ticks in 1.. {
        world.tick_after(server, 0);
        let after = written(&mut world, &silent);
        let told = before.iter().zip(&after).filter(|(old, new)| old != new);
        let told = told.count();
        assert!(told <= PEERS_WRITTEN, "{told} in a tick");
        if ticks == 2 {
            let written = world.net.incoming(other.end).written;
            assert!(written > unanswered, "it waits for PINGs of others");
        }
        if after.iter().all(|&bytes| bytes == MIN_RECORD as u64) {
            break;
        }
        assert!(ticks < PEERS / PEERS_WRITTEN + 2, "{ticks} ticks");
        before = after;
    }
    other.read(&mut world);
    assert_eq!(other.messages(), [b"and I?"]);
    assert_eq!(world.hosts[server].endpoint.connections(), PEERS + 1);
}

/// Goal: however much waits for peers that leave at once, one tick frees a bounded number of
/// items, and all are freed in the end. Method: a hundred receivers that do not read, empty
/// messages for them, and a network that breaks all their links.
#[test]
fn many_items_are_freed_in_several_ticks() {
    const RECEIVERS: usize = 100;
    const PACKS: usize = 10;
    let (mut world, server) = World::with(native(1, Leaves::WhenStopped), Relay);
    let deaf: Vec<Raw> = (0..RECEIVERS).map(|_| Raw::join(&mut world)).collect();
    for raw in &deaf {
        world.net.incoming(raw.end).capacity = 10;
    }
    let mut hand = Hand::shake(&mut world);
    for _ in 0..PACKS {
        hand.send(&mut world, Kind::Pack, &[0; 2 * MAX_PACKED]);
    }
    let mut last = world.hosts[server].endpoint.queued();
    assert!(last > FREED_ITEMS * 3 / 2, "{last} items");
    for raw in &deaf {
        world.net.reset(raw.end.link);
    }
    let mut ticks = 0;
    while last > 0 {
        ticks += 1;
        assert!(ticks < 10, "{last} items are left");
        world.tick_after(server, 0);
        let queued = world.hosts[server].endpoint.queued();
        assert!(last - queued <= FREED_ITEMS, "{}", last - queued);
        last = queued;
    }
    assert_eq!(world.hosts[server].endpoint.connections(), 1);
}

/// Goal: when receivers of a relay together have held up others for too long, one that did so
/// for a moment alone is not dropped with them; one that did so for longer is. Method: a
/// receiver that does not read, and may itself still send. What it sends meets a second receiver
/// whose line stands still: for one look, or for two, before the time is over.
#[test]
fn a_moment_costs_no_receiver_its_connection() {
    let over = HELD_UP + HELD_UP_SAMPLE;
    for looks in [1, 2] {
        let setup = limited(|limits| limits.max_queue = 1 << 16);
        let (mut world, server) = World::with(setup, Relay);
        world.net.socket = 1 << 18;
        let [mut sender, mut fast, mut slow, mut late] = [(); 4].map(|()| Raw::join(&mut world));
        world.net.incoming(slow.end).capacity = 4000;
        for _ in 0..20 {
            sender.say(&mut world, &[1; 4000]);
        }
        let heard = world.hosts[server].log().of(sender.peer).len();
        assert!(heard < 20, "it is held up");

        let behind = HELD_UP_SAMPLE * looks - HELD_UP_SAMPLE / 2;
        assert_eq!(looks == 1, HELD_UP_SAMPLE * looks < HELD_UP_LEAST);
        world.run_millis((over - behind).as_millis() as u64);
        world
            .net
            .stall(Side::server(late.end.link), behind + HELD_UP_SAMPLE / 2);
        // The first is sealed, and the second waits.
        slow.say(&mut world, &[2; 4000]);
        slow.say(&mut world, &[3; 40_000]);
        // By then those that were dropped are closed.
        world.run_millis(6000);
        assert_eq!(world.gave(slow.peer), Some(Reason::TOO_SLOW));
        fast.read(&mut world);
        assert_eq!(fast.messages().len(), 22);
        late.read(&mut world);
        if looks == 1 {
            assert_eq!(world.outcome(late.peer), None);
            assert_eq!(late.messages().len(), 22);
        } else {
            assert_eq!(world.gave(late.peer), Some(Reason::TOO_SLOW));
        }
    }
}
