//! Workloads on a simulated clock: what they measure is what the server did.
#![allow(clippy::unwrap_used)]

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::*;
use sealwire::endpoint::transport::PeerId;
use sealwire::time::Time;

use super::simulation::{Event, Simulation, peer, plan, steady};
use crate::plan::{Arrival, Kind, Plan, Rate};

const MS: Duration = Duration::from_millis(1);

fn echo(now: Time, after: Duration, peer: PeerId, bytes: &[u8]) -> Vec<(Time, Event)> {
    vec![(now + after, Event::Says(peer, bytes.to_vec()))]
}

/// How many of `times` are above `bound`.
fn above(times: &hdrhistogram::Histogram<u64>, bound: Duration) -> u64 {
    times.len() - times.count_between(0, bound.as_nanos() as u64)
}

/// Goal: a server that answers after a fixed time is measured to take that time, in
/// both loops. Method: quantiles and mean within 2 %, by which histograms and
/// clocks may differ.
#[test]
fn a_fixed_delay() {
    for rate in [None, steady(6400.0)] {
        let plan = Plan {
            rate,
            ..plan(Kind::Echo)
        };
        let tally = Simulation::new(&plan, |now, peer, bytes| echo(now, 3 * MS, peer, bytes)).run();
        for times in [&tally.response, &tally.service] {
            let values = [
                times.value_at_quantile(0.01),
                times.value_at_quantile(0.999),
            ];
            for value in values
                .map(|nanos| nanos as f64)
                .into_iter()
                .chain([times.mean()])
            {
                assert!((value / 3e6 - 1.0).abs() < 0.02, "{value}");
            }
        }
        assert!(tally.account.holds());
        assert_eq!(tally.account.completed, tally.account.scheduled);
        let most = if rate.is_some() {
            6400 * 2
        } else {
            64 * 2000 / 3
        };
        assert!(
            tally.account.completed.abs_diff(most) < 130,
            "{:?}",
            tally.account
        );
        // Little's law, to which nothing here is an exception.
        let under_way = tally.under_way as f64 / 2e9;
        let wanted = tally.account.completed as f64 / 2e9 * tally.service.mean();
        assert!(
            (under_way / wanted - 1.0).abs() < 0.02,
            "{under_way}, {wanted}"
        );
    }
}

/// Goal: a pause of the server shows as what it does to everyone who had something to
/// say meanwhile, and not only to those it kept waiting. Method: 200 ms without an
/// answer, one message under way per peer; the schedule says how many are late, of
/// which `response` has to hold 90 %; `service` sees one per peer at most.
#[test]
fn a_pause() {
    let rate = 6400.0;
    for arrival in [Arrival::Constant, Arrival::Poisson] {
        let plan = Plan {
            rate: steady(rate),
            arrival,
            ..plan(Kind::Echo)
        };
        let pause = Time::from_nanos(1_500_000_000);
        let end = pause + 200 * MS;
        let tally = Simulation::new(&plan, |now, peer, bytes| {
            let answered = if now >= pause { now.max(end) } else { now };
            echo(answered, MS, peer, bytes)
        })
        .run();
        // Those due until 10 ms before its end are 10 ms late, and more.
        let implied = rate * 0.190;
        let late = above(&tally.response, 10 * MS);
        assert!(
            late as f64 >= 0.9 * implied,
            "{arrival:?}: {late}, {implied}"
        );
        assert!(above(&tally.service, 10 * MS) <= 64);
        assert_eq!(tally.account.completed, tally.account.scheduled);
        // The generator was in time for all of it.
        assert!(tally.lag.max() < 1000, "{}", tally.lag.max());
    }
}

/// Goal: a server that is too slow for the rate is not made to look good: what was
/// due and could not be sent is counted, and counts with its age. Method: one that
/// answers half of what is asked for, in order.
#[test]
fn too_slow_a_server() {
    let plan = Plan {
        rate: steady(2000.0),
        ..plan(Kind::Echo)
    };
    let free = RefCell::new(Time::ZERO);
    let tally = Simulation::new(&plan, |now, peer, bytes| {
        let mut free = free.borrow_mut();
        *free = (*free).max(now) + MS;
        let until = *free;
        vec![(until, Event::Says(peer, bytes.to_vec()))]
    })
    .run();
    let account = tally.account;
    assert!(account.holds(), "{account:?}");
    assert!(account.scheduled.abs_diff(4000) <= 1, "{account:?}");
    assert!(account.completed < 2200, "{account:?}");
    assert!(account.unsent > 1000, "{account:?}");
    let p50 = Duration::from_nanos(tally.response.value_at_quantile(0.5));
    assert!(p50 > 400 * MS, "{p50:?}");
    let service = Duration::from_nanos(tally.service.value_at_quantile(0.99));
    assert!(service < 70 * MS, "{service:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Goal: every message is accounted for, once, whatever a server does. Method: one
    /// that by chance answers late, wrong, twice, never, or ends connections, cleanly or
    /// not; all workloads that it may have, in both loops.
    #[test]
    fn the_account_holds(
        seed: u64,
        open: bool,
        depth in 1_usize..5,
        kind in prop::sample::select(vec![Kind::Echo, Kind::Churn, Kind::Fanout]),
        poisson: bool,
    ) {
        let plan = Plan {
            peers: 8,
            depth,
            rate: open.then_some(Rate { from: 500.0, to: 3000.0 }),
            arrival: if poisson { Arrival::Poisson } else { Arrival::Constant },
            duration: Duration::from_millis(400),
            warmup: Duration::from_millis(100),
            timeout: Duration::from_millis(50),
            publishers: 2,
            ..plan(kind)
        };
        let mut state = seed | 1;
        let mut chance = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state >> 54
        };
        let mut last = HashMap::new();
        let mut happens = |now: Time, peer: PeerId, bytes: &[u8]| {
            let delay = Duration::from_micros(200 + 100 * chance() % 20_000);
            let at: &mut Time = last.entry(peer).or_insert(now);
            *at = (*at).max(now + delay);
            let says = |bytes: &[u8]| (*at, Event::Says(peer, bytes.to_vec()));
            match chance() {
                0 => vec![],
                1 => vec![says(&bytes[1..])],
                2 => vec![says(bytes), says(bytes)],
                3 => vec![(*at, Event::Leaves(peer, false))],
                4 => vec![says(bytes), (*at, Event::Leaves(peer, true))],
                _ => vec![says(bytes)],
            }
        };
        let tally = Simulation::new(&plan, |now, sender, bytes| match kind {
            Kind::Fanout => (2..10).flat_map(|one| happens(now, peer(one), bytes)).collect(),
            _ => happens(now, sender, bytes),
        }).run();
        prop_assert!(tally.account.holds(), "{:?}", tally.account);
        // In a closed loop, messages without an answer may be all that there are, and
        // they may have been sent before measuring began.
        prop_assert!(!open || tally.account.scheduled > 0);
        let within = tally.account.completed + tally.account.timeouts;
        prop_assert!(tally.service.len() <= within);
    }
}

/// Goal: the stages of a connection are told as they were, and add up; what those send
/// that never joined is told as shed. Method: a server that takes a millisecond, in both
/// loops.
#[test]
fn churn() {
    for rate in [None, steady(400.0)] {
        let plan = Plan {
            peers: 4,
            rate,
            ..plan(Kind::Churn)
        };
        let tally = Simulation::new(&plan, |now, peer, bytes| echo(now, MS, peer, bytes)).run();
        let account = tally.account;
        assert!(account.holds() && account.completed == account.scheduled);
        assert!(
            account
                .completed
                .abs_diff(if rate.is_some() { 800 } else { 6666 })
                < 20
        );
        let mean = |times: &hdrhistogram::Histogram<u64>| times.mean() / 1e3;
        for (stage, micros) in [
            ("connect", 100.0),
            ("first reply", 1000.0),
            ("complete", 100.0),
        ] {
            let told = mean(&tally.stages[stage]);
            assert!((told / micros - 1.0).abs() < 0.02, "{stage}: {told}");
        }
        assert!((mean(&tally.service) / 1200.0 - 1.0).abs() < 0.02);
    }
}

/// Ten that send, a hundred messages a second each.
fn ten(kind: Kind) -> Plan {
    Plan {
        peers: 10,
        publishers: 10,
        rate: steady(1000.0),
        ..plan(kind)
    }
}

/// Goal: what peers, or publishers, were to send that never joined is due, and shed.
/// Method: an open loop of ten, of which seven come.
#[test]
fn absent_peers() {
    for kind in [Kind::Echo, Kind::Fanout] {
        let plan = ten(kind);
        let account =
            Simulation::with(&plan, 7, &[], |now, peer, bytes| echo(now, MS, peer, bytes))
                .run()
                .account;
        assert!(account.holds(), "{account:?}");
        assert_eq!((account.scheduled, account.shed), (2000, 600));
    }
}

/// Goal: so is what those were to send that had joined, and left before anything was due.
/// Method: one leaves before the load begins, one behind that and before it starts.
#[test]
fn early_leavers() {
    for kind in [Kind::Echo, Kind::Fanout] {
        let plan = ten(kind);
        let all = plan.all_peers();
        let mut simulation = Simulation::with(&plan, all, &[3], |now, peer, bytes| match kind {
            Kind::Fanout => {
                let subscribers = (10..20).map(super::simulation::peer);
                let each = |one| echo(now, MS, one, bytes);
                subscribers.flat_map(each).collect()
            }
            _ => echo(now, MS, peer, bytes),
        });
        simulation.at(Time::from_nanos(500), Event::Leaves(peer(4), false));
        let account = simulation.run().account;
        assert!(account.holds(), "{account:?}");
        let counts = (account.scheduled, account.completed, account.shed);
        assert_eq!(counts, (2000, 1600, 400), "{kind:?}");
    }
}

/// Goal: what is cut short is under way, and no fault of the server, but what had had
/// all its time is. Method: stop while nothing is answered that was sent after 600 ms;
/// allow an answer more time than that takes, and less.
#[test]
fn cut_short() {
    for (timeout, late) in [(5000, 0), (100, 64)] {
        let plan = Plan {
            timeout: timeout * MS,
            ..plan(Kind::Echo)
        };
        let silent = Time::from_nanos(600_000_000);
        let simulation = Simulation::new(&plan, |now, peer, bytes| match now < silent {
            true => echo(now, MS, peer, bytes),
            false => Vec::new(),
        });
        let at = simulation.window.measure + 500 * MS;
        let tally = simulation.cut_short(at);
        let account = tally.account;
        assert!(account.holds(), "{account:?}");
        assert_eq!((account.timeouts, account.in_flight), (late, 64 - late));
        assert_eq!(tally.service.len(), account.scheduled);
        assert_eq!(tally.lost, 64);
    }
}

/// Goal: what was due to who has left counts until the run ends, and no longer. Method:
/// a peer, or a publisher, leaves at once; the user ends the run after 500 ms of it.
#[test]
fn shed_until_the_end() {
    for kind in [Kind::Echo, Kind::Fanout] {
        let plan = Plan {
            peers: 10,
            publishers: 10,
            rate: steady(1000.0),
            depth: 4,
            ..plan(kind)
        };
        let mut simulation = Simulation::new(&plan, |_, _, _| Vec::new());
        let (start, measure) = (simulation.window.start, simulation.window.measure);
        simulation.at(start + 10 * MS, Event::Leaves(peer(3), false));
        let account = simulation.cut_short(measure + 500 * MS).account;
        assert!(account.holds(), "{account:?}");
        assert!(account.shed.abs_diff(50) <= 1, "{account:?}");
    }
}

/// Goal: an answer after all have stopped waiting is late, and neither wrong nor lost;
/// other bytes are wrong even then. Method: one that comes after twice the timeout,
/// right from all peers but one.
#[test]
fn late_answers() {
    let plan = plan(Kind::Echo);
    let stalls = Time::from_nanos(2_400_000_000);
    let tally = Simulation::new(&plan, |now, id, bytes| match now < stalls {
        true => echo(now, MS, id, bytes),
        false if id == peer(3) => echo(now, 2 * plan.timeout, id, &bytes[1..]),
        false => echo(now, 2 * plan.timeout, id, bytes),
    })
    .run();
    let account = tally.account;
    assert!(account.holds(), "{account:?}");
    assert_eq!(account.timeouts, 64, "{account:?}");
    assert_eq!((tally.wrong, tally.lost), (1, 0));
}

/// Goal: a stream of which nothing was confirmed was measured until all was over, and
/// what it sent is told. Method: peers that never end; and one that does.
#[test]
fn unconfirmed() {
    let plan = Plan {
        peers: 2,
        ..plan(Kind::Sink)
    };
    for confirmed in [None, Some(700 * MS)] {
        let mut simulation = Simulation::new(&plan, |_, _, _| Vec::new());
        simulation.turn_at(simulation.window.start);
        assert!(simulation.workload.meter().sent_so_far > 0);
        assert_eq!(simulation.workload.meter().answered_so_far, 0);
        let start = simulation.window.start;
        if let Some(after) = confirmed {
            simulation.workload.left(start + after, peer(0), true);
        }
        let took = simulation.workload.took(start + 900 * MS);
        assert_eq!(took, Some(confirmed.unwrap_or(900 * MS)));
    }
}

/// Goal: what is never sent is counted, and told with its age, though it be billions.
/// Method: a server that answers nothing, for ten minutes, at the highest rate, whatever
/// the arrivals, and falling to nothing.
#[test]
fn billions_unsent() {
    for (arrival, to, wanted) in [
        (Arrival::Constant, 1e8, 6e10),
        (Arrival::Poisson, 1e8, 6e10),
        (Arrival::Constant, 0.0, 3e10),
    ] {
        let plan = Plan {
            arrival,
            rate: Some(Rate { from: 1e8, to }),
            duration: Duration::from_secs(600),
            ..plan(Kind::Echo)
        };
        let tally = Simulation::new(&plan, |_, _, _| Vec::new()).run();
        let account = tally.account;
        assert!(account.holds(), "{account:?}");
        let scheduled = account.scheduled as f64 / wanted;
        assert!((scheduled - 1.0).abs() < 0.001, "{account:?}");
        // One second is waited for answers.
        let median = tally.response.value_at_quantile(0.5) as f64 / 1e9 - 1.0;
        let of_all = if to == 0.0 { 0.5_f64.sqrt() } else { 0.5 } * 600.0;
        assert!((median / of_all - 1.0).abs() < 0.005, "{median}");
    }
}
