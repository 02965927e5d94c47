//! Connections that have proved nothing: which of them makes room, and what their hellos cost.

use std::time::Duration;

use sealwire::limits::{ANSWERS, RESERVED_PART, handshake_grace};
use sealwire::{Echo, Failure, Leaves, Limits, Origin, PeerFault, Setup};

use crate::hand::Raw;
use crate::people::{limited, native};
use crate::world::World;

const SLOTS: usize = 100;
/// Slots for connections whose hello does not hold.
const OPEN: usize = SLOTS - SLOTS / RESERVED_PART;

fn with_slots() -> Setup {
    limited(|limits: &mut Limits| limits.max_handshakes = SLOTS)
}

/// Goal: peers that connect and say nothing keep no peer out: past the limit the oldest
/// is closed. Method: as many as may be and ten more, then one that joins.
#[test]
fn the_oldest_makes_room() {
    let (mut world, server) = World::with(with_slots(), Echo);
    let silent: Vec<_> = (0..OPEN + 10).map(|_| world.accept().peer).collect();
    assert_eq!(world.hosts[server].endpoint.connections(), OPEN);
    for (n, &peer) in silent.iter().enumerate() {
        let closed = matches!(world.outcome(peer), Some(Err(Failure::Closed(_))));
        assert_eq!(closed, n < 10, "number {n}");
    }
    assert_eq!(world.hosts[server].endpoint.stats().evicted, 10);
    Raw::join(&mut world);
    world.run_millis(6000);
    assert_eq!(world.hosts[server].endpoint.connections(), 1);
}

/// Goal: a flood from one address takes no slot of a connection from another. Method: two
/// silent ones from elsewhere, older than a flood of three times as many as there are slots.
#[test]
fn a_flood_takes_only_its_own_slots() {
    let (mut world, _) = World::with(with_slots(), Echo);
    let elsewhere = [2, 3].map(|origin| {
        world.origin = Origin::new(origin);
        Raw::connect(&mut world)
    });
    world.origin = Origin::new(1);
    for _ in 0..3 * SLOTS {
        world.accept();
    }
    for mut raw in elsewhere {
        raw.prove(&mut world);
        assert!(world.hosts[0].has_joined(raw.peer));
    }
}

/// Goal: connections without a hello take none of the slots that are for those with one, and
/// those with one have no more of them than all, the oldest of them making room. Method: as
/// many with a hello as are reserved, a flood of silent ones that have their time, then a
/// flood of hellos.
#[test]
fn some_slots_are_for_hellos() {
    let (mut world, server) = World::with(with_slots(), Echo);
    let greet = |world: &mut World| {
        let mut raw = Raw::connect(world);
        raw.greet(world);
        world.run_millis(1);
        raw
    };
    let greeted: Vec<_> = (OPEN..SLOTS).map(|_| greet(&mut world)).collect();
    for _ in 0..2 * SLOTS {
        world.accept();
    }
    assert!(greeted.iter().all(|raw| world.outcome(raw.peer).is_none()));
    world.run_millis(100);
    let later: Vec<_> = (0..OPEN).map(|_| greet(&mut world)).collect();
    assert!(greeted.iter().all(|raw| world.outcome(raw.peer).is_none()));
    greet(&mut world);
    assert!(world.outcome(greeted[0].peer).is_some());
    assert!(later.iter().all(|raw| world.outcome(raw.peer).is_none()));
    assert_eq!(world.hosts[server].endpoint.connections(), SLOTS);
}

/// What the connections of a flood do.
#[derive(Debug, Clone, Copy)]
enum Flood {
    Silent,
    HalfHello,
    Hello,
}

/// Goal: a flood from a client's own address does not shut that client out, at a delay a bit
/// below the time that each step may take, whatever the flood's connections send. Method:
/// accept as many as the server takes, each millisecond; each tenth is a client that sends its
/// hello, and later proves itself, after the delay.
#[test]
fn a_flood_from_the_same_address_shuts_no_client_out() {
    let grace = handshake_grace(SLOTS).as_millis() as u64;
    let delay = grace - 2;
    for flood in [Flood::Silent, Flood::HalfHello, Flood::Hello] {
        let (mut world, server) = World::with(with_slots(), Echo);
        let (mut clients, mut count) = (Vec::<(u64, Raw)>::new(), 0);
        for milli in 0..6 * grace {
            let now = world.now();
            while world.hosts[server].endpoint.accepts_at(now) <= now {
                let mut raw = Raw::connect(&mut world);
                count += 1;
                match flood {
                    _ if count % 10 == 0 => clients.push((milli, raw)),
                    Flood::Silent => {}
                    Flood::HalfHello => {
                        let hello = raw.hello(&world);
                        world.write(raw.end, &hello[..40]);
                    }
                    Flood::Hello => raw.greet(&mut world),
                }
            }
            for (at, client) in &mut clients {
                match milli - *at {
                    age if age == delay => client.greet(&mut world),
                    age if age == 2 * delay => client.read(&mut world),
                    _ => {}
                }
            }
            world.run_millis(1);
        }
        let ended = clients.iter().filter(|(at, _)| at + 2 * delay < 6 * grace);
        let ended: Vec<_> = ended.collect();
        let joined = ended
            .iter()
            .filter(|(_, raw)| world.hosts[0].has_joined(raw.peer));
        assert!(ended.len() > 10, "{flood:?}: {}", ended.len());
        assert_eq!(joined.count(), ended.len(), "{flood:?}");
        let seen = world.hosts[server].events.len();
        assert!(seen > 3 * SLOTS, "{flood:?}: no flood, {seen} ended");
    }
}

/// Goal: a hello that came before is refused without an answer, before any work on the curve;
/// so is one with anything behind it. Method: the same hello twice; a hello and a byte, or many;
/// the server makes no keys for them.
#[test]
fn a_recorded_hello_is_refused() {
    let (mut world, server) = World::with(native(1, Leaves::WhenStopped), Echo);
    let mut first = Raw::connect(&mut world);
    let hello = first.hello(&world);
    world.write(first.end, &hello);
    let keyed = world.hosts[server].endpoint.keyed();
    let again = world.accept();
    world.write(again.end, &hello);
    let mut refused = vec![(again.peer, again.end, PeerFault::Replayed)];
    for more in [1, 2000] {
        let mut eager = Raw::connect(&mut world);
        let hello = [eager.hello(&world), vec![0; more]].concat();
        world.write(eager.end, &hello);
        refused.push((eager.peer, eager.end, PeerFault::Early));
    }
    for (link, end, fault) in refused {
        assert_eq!(world.outcome(link), Some(Err(fault.into())));
        assert_eq!(world.read(end), b"");
    }
    assert_eq!(world.hosts[server].endpoint.keyed(), keyed);
    let stats = world.hosts[server].endpoint.stats();
    let counted = stats.refused_by.iter().filter(|&(_, count)| count > 0);
    let wanted = [("replayed", 1), ("protocol", 2)];
    assert_eq!(counted.collect::<Vec<_>>(), wanted);
    first.read(&mut world);
    assert!(world.hosts[server].has_joined(first.peer));
}

/// Goal: one tick answers some hellos, and all are answered in the end; a hello that waits for
/// its answer is not late. Method: many at once, and a tick at a time; the last but one comes
/// after their deadline.
#[test]
fn hellos_are_answered_within_a_budget() {
    let many = 4 * ANSWERS + 1;
    let (mut world, server) = World::with(native(1, Leaves::WhenStopped), Echo);
    let mut all: Vec<_> = (0..many).map(|_| Raw::connect(&mut world)).collect();
    for raw in &mut all {
        let hello = raw.hello(&world);
        assert_eq!(world.net.write(raw.end, &hello).unwrap(), hello.len());
    }
    for n in 1..=3 {
        world.tick_after(server, 0);
        assert_eq!(world.hosts[server].endpoint.keyed(), 2 * n * ANSWERS);
    }
    world.net.now = world.net.now + Duration::from_secs(6);
    world.tick_after(server, 0);
    assert_eq!(world.outcome(all[many - 1].peer), None);
    assert!(world.outcome(all[0].peer).is_some());
}
