//! The ceiling of memory: what an endpoint holds stays below the parts that are derived from
//! it, whatever peers do.

use sealwire::limits::ceiling::{Asked, Ceiling, Machine, Tcp};
use sealwire::limits::{ITEM_BYTES, MAX_PAYLOAD, MAX_RECORD};
use sealwire::{Echo, Mode, Relay};

use crate::hand::Raw;
use crate::people::limited;
use crate::world::World;

const PEERS: usize = 24;

/// A small ceiling for a server.
fn small() -> Ceiling {
    let asked = Asked {
        max_memory: Some(160 << 20),
        max_message: Some(64 << 10),
        max_queue: Some(1 << 20),
        max_peers: Some(PEERS),
        ..Asked::default()
    };
    let tcp = Tcp {
        receive_first: 128 << 10,
        receive_tuned: 6 << 20,
        send_tuned: 4 << 20,
        receive_set: 416 << 10,
        send_set: 416 << 10,
    };
    let machine = Machine {
        memory: 1 << 30,
        descriptors: 1024,
        tcp,
    };
    let ceiling = Ceiling::of(&asked, &machine);
    assert!(ceiling.fits(), "{ceiling:?}");
    ceiling
}

fn part(ceiling: &Ceiling, name: &str) -> usize {
    let part = ceiling.parts.iter().find(|part| part.name == name);
    part.map(|part| part.bytes()).unwrap()
}

/// Peers that send much, never read, and begin what they do not end. Asserts that the server
/// holds no more than its parts say, at any time; returns the most that it held.
fn attacked(mode: impl Mode + 'static) -> (usize, Ceiling) {
    let ceiling = small();
    let (mut world, server) = World::with(limited(|limits| *limits = ceiling.limits.clone()), mode);
    let mut peers: Vec<(Raw, Vec<u8>)> = Vec::new();
    for _ in 0..PEERS {
        peers.push((Raw::join(&mut world), Vec::new()));
    }
    for (raw, _) in &peers {
        world.net.incoming(raw.end).capacity = 10;
    }
    let parts = ["unfinished", "packed", "queues"];
    let shared: usize = parts.iter().map(|name| part(&ceiling, name)).sum();
    // A partial record, and a sealed one that was not accepted.
    let bound = shared + PEERS * 2 * MAX_RECORD;
    let mut most = 0;
    for round in 0..40 {
        for (number, (raw, unsent)) in peers.iter_mut().enumerate() {
            if unsent.is_empty() {
                match (number % 4, round) {
                    (0, 0) => {
                        unsent.extend(raw.seal(&world, &[1; 3 * MAX_PAYLOAD]));
                        unsent.truncate(2 * MAX_RECORD + 1000);
                    }
                    (0, _) => continue,
                    (1, _) => unsent.extend(raw.seal(&world, &[1; 100])),
                    _ => unsent.extend(raw.seal(&world, &[1; 64 << 10])),
                }
            }
            let sent = world.net.write(raw.end, unsent).unwrap_or(0);
            unsent.drain(..sent);
            world.settle();
            let endpoint = &world.hosts[server].endpoint;
            let held = endpoint.held() + endpoint.queued() * ITEM_BYTES;
            assert!(held <= bound, "round {round}: {held} of {bound}");
            most = most.max(held);
        }
    }
    (most, ceiling)
}

/// Goal: an echo and a relay hold no more than the ceiling's parts. Method: more is sent than
/// fits, and nobody reads. An echo comes near the bound on all queues. A relay waits for the
/// first receiver that is full, but holds what that one may have.
#[test]
fn what_is_held_stays_below_the_ceiling() {
    let (most, ceiling) = attacked(Echo);
    let bound = ceiling.limits.max_queued;
    assert!(most > bound / 2, "{most} of {bound}: that was no attack");
    let (most, ceiling) = attacked(Relay);
    let bound = ceiling.limits.max_queue;
    assert!(most > bound / 2, "{most} of {bound}: that was no attack");
}
