//! Fanout on a simulated clock.

use std::time::Duration;

use super::super::simulation::{Event, Simulation, peer, plan, steady};
use crate::plan::{Kind, Plan};

const MS: Duration = Duration::from_millis(1);

/// A hundred messages a second to `peers` subscribers.
fn open(peers: usize) -> Plan {
    Plan {
        peers,
        depth: 4,
        rate: steady(100.0),
        ..plan(Kind::Fanout)
    }
}

/// Goal: losses, duplicates, and when subscribers had a message, are counted as they were.
/// Method: three subscribers; one message does not come, one comes twice, and all others come
/// after 1, 2 and 5 ms.
#[test]
fn fanout() {
    let plan = open(3);
    let mut sent = 0;
    let tally = Simulation::new(&plan, |now, _, bytes| {
        sent += 1;
        let mut all = Vec::new();
        for (subscriber, millis) in [(1, 1), (2, 5), (3, 2)] {
            let event = Event::Says(peer(subscriber), bytes.to_vec());
            let says = (now + millis * MS, event);
            match (sent, subscriber) {
                (100, 2) => {}
                (120, 3) => all.extend([says.clone(), says]),
                _ => all.push(says),
            }
        }
        all
    })
    .run();
    let account = tally.account;
    assert_eq!((account.scheduled, account.errors), (200, 1), "{account:?}");
    assert_eq!(account.completed, 199);
    let (lost, wrong) = (tally.lost, tally.wrong);
    let [duplicates, deliveries] = ["duplicates", "deliveries"].map(|name| tally.counts[name]);
    assert_eq!((lost, duplicates, wrong), (1, 1, 0));
    assert_eq!(deliveries, 250 * 3 - 1);
    for (stage, millis) in [("first", 1.0), ("median", 2.0), ("last", 5.0)] {
        let mean = tally.stages[stage].mean() / 1e6;
        assert!((mean / millis - 1.0).abs() < 0.02, "{stage}: {mean}");
    }
}

/// Goal: a publisher has no more in flight than allowed, and does not wait for a subscriber
/// that has left. Method: one that never gets anything, and leaves.
#[test]
fn fanout_without_one() {
    let plan = Plan {
        peers: 3,
        depth: 2,
        ..plan(Kind::Fanout)
    };
    let mut simulation = Simulation::new(&plan, |now, _, bytes| {
        let says = |index| (now + MS, Event::Says(peer(index), bytes.to_vec()));
        vec![says(1), says(2)]
    });
    let leaves = simulation.window.measure + 500 * MS;
    simulation.at(leaves, Event::Leaves(peer(3), false));
    let tally = simulation.run();
    let account = tally.account;
    // Until then the two of the warm-up block it.
    assert!(account.completed.abs_diff(2 * 1500) < 10, "{account:?}");
    assert_eq!(tally.lost, 2);
}

/// Goal: a late message, a repeated one, and one that returns to its publisher are told apart,
/// and none is lost. Method: one message each; the last ones come long after the end.
#[test]
fn fanout_out_of_order() {
    let plan = open(1);
    let mut sent = 0;
    let tally = Simulation::new(&plan, |now, publisher, bytes| {
        sent += 1;
        let says = |after, to| (now + after, Event::Says(to, bytes.to_vec()));
        match sent {
            100 => vec![says(15 * MS, peer(1))],
            120 => vec![says(MS, peer(1)), says(MS, peer(1))],
            130 => vec![says(MS, peer(1)), says(MS, publisher)],
            249.. => vec![says(2 * plan.timeout, peer(1))],
            _ => vec![says(MS, peer(1))],
        }
    })
    .run();
    let count = |name| tally.counts[name];
    assert_eq!((count("reordered"), count("duplicates")), (1, 1));
    assert_eq!((tally.wrong, tally.lost), (1, 0));
    assert_eq!((tally.account.errors, tally.account.timeouts), (1, 2));
    assert_eq!(count("deliveries"), 249);
}

/// Goal: bytes that are no message, or one that was not sent yet, are wrong, and affect no
/// other message. Method: a message without its first byte, which is how another begins, to a
/// subscriber and to its publisher; and one that is sent only much later.
#[test]
fn wrong_messages() {
    let plan = open(3);
    let mut sent = 0;
    let mut simulation = Simulation::new(&plan, |now, publisher, bytes| {
        sent += 1;
        let says = |to, bytes: &[u8]| (now + MS, Event::Says(to, bytes.to_vec()));
        let mut all: Vec<_> = (2..4).map(|one| says(peer(one), bytes)).collect();
        match sent {
            100 => all.push(says(peer(1), &bytes[1..])),
            120 => all.extend([says(peer(1), bytes), says(publisher, &bytes[1..])]),
            _ => all.push(says(peer(1), bytes)),
        }
        all
    });
    let pattern = simulation.pattern();
    let later = pattern.bytes()[pattern.at(10_000)].to_vec();
    let at = simulation.window.measure + 1500 * MS;
    simulation.at(at, Event::Says(peer(2), later));
    let tally = simulation.run();
    let account = tally.account;
    assert_eq!((tally.wrong, tally.lost), (2, 1));
    assert_eq!((account.errors, account.completed), (1, 199), "{account:?}");
    assert_eq!(tally.counts["deliveries"], 250 * 3 - 1);
}

/// Goal: a message of a publisher that never joined does no harm. Method: a server that makes
/// one up, and says it to the only publisher.
#[test]
fn a_message_without_a_publisher() {
    let plan = Plan {
        publishers: 2,
        ..open(64)
    };
    let mut simulation = Simulation::new(&plan, |_, _, _| Vec::new());
    simulation.refused_from = 1;
    let cycle = (super::PLACES / 2) as u64;
    let pattern = simulation.pattern();
    let bytes = pattern.bytes()[pattern.at(cycle + 5)].to_vec();
    simulation.at(simulation.window.measure, Event::Says(peer(0), bytes));
    let tally = simulation.run();
    assert_eq!(tally.wrong, 0);
}
