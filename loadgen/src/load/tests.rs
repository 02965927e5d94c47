//! Workloads on a simulated clock: what they measure is what the server did.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use proptest::prelude::*;
use sealwire::{Clock, PeerId, Time};

use super::ending::Ending;
use super::pattern::Pattern;
use super::simulation::{Event, START, SimulatedLink, Simulation, peer, plan, steady};
use super::worker::{ThreadReport, ThreadResults};
use super::workload::{self, Share};
use crate::limits::PLACES;
use crate::measure::meter::Window;
use crate::plan::{Arrival, Kind, Plan, Rate};

const MS: Duration = Duration::from_millis(1);

fn echo(now: Time, after: Duration, peer: PeerId, bytes: &[u8]) -> Vec<(Time, Event)> {
    vec![(now + after, Event::Says(peer, bytes.to_vec()))]
}

/// That `value` is `wanted`, but for a part.
#[track_caller]
fn near(value: f64, wanted: f64, part: f64) {
    let off = (value / wanted - 1.0).abs();
    assert!(off < part, "{value} is not {wanted}");
}

/// How many of `times` are above `bound`.
fn above(times: &hdrhistogram::Histogram<u64>, bound: Duration) -> u64 {
    times.len() - times.count_between(0, bound.as_nanos() as u64)
}

/// Goal: a server that answers after a fixed time is measured to take that time, in both loops.
/// Method: quantiles and mean within 2 %, by which histograms may differ.
#[test]
fn a_fixed_delay() {
    for rate in [None, steady(6400.0)] {
        let plan = Plan {
            rate,
            ..plan(Kind::Echo)
        };
        let tally = Simulation::new(&plan, |now, peer, bytes| echo(now, 3 * MS, peer, bytes)).run();
        for times in [&tally.response, &tally.service] {
            let [low, high] = [0.01, 0.999].map(|at| times.value_at_quantile(at) as f64);
            for value in [low, high, times.mean()] {
                near(value, 3e6, 0.02);
            }
        }
        let account = tally.account;
        assert_eq!(account.completed, account.scheduled);
        let most = rate.map_or(64 * 2000 / 3, |_| 6400 * 2);
        assert!(account.completed.abs_diff(most) < 130, "{account:?}");
        // Little's law holds exactly here.
        let wanted = account.completed as f64 * tally.service.mean();
        near(tally.in_flight_ns as f64, wanted, 0.02);
    }
}

/// Goal: a pause of the server shows in every message that was due meanwhile, not only in those
/// in flight. Method: 200 ms without an answer, one message in flight per peer; the schedule
/// says how many are late, and `response` must hold 90 % of them; `service` sees one per peer
/// at most.
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
        let late = above(&tally.response, 10 * MS) as f64;
        assert!(late >= 0.9 * rate * 0.190, "{arrival:?}: {late}");
        assert!(above(&tally.service, 10 * MS) <= 64);
        assert_eq!(tally.account.completed, tally.account.scheduled);
        // The load tester sent all of them in time.
        assert!(tally.lag.max() < 1000, "{}", tally.lag.max());
    }
}

/// Goal: a server that is too slow for the rate does not look good: messages that were due and
/// could not be sent count, with their age. Method: one that answers half of the rate.
#[test]
fn too_slow_a_server() {
    let plan = Plan {
        rate: steady(2000.0),
        ..plan(Kind::Echo)
    };
    let mut free = Time::ZERO;
    let tally = Simulation::new(&plan, |now, peer, bytes| {
        free = free.max(now) + MS;
        echo(free, Duration::ZERO, peer, bytes)
    })
    .run();
    let account = tally.account;
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

    /// Goal: every message is accounted for once, whatever a server does. Method: one that by
    /// chance answers late, wrongly, twice, never, or ends connections, cleanly or not; three
    /// workloads, in both loops.
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
        // In a closed loop, messages without an answer may be all that there are, and
        // they may have been sent before measuring began.
        prop_assert!(!open || tally.account.scheduled > 0);
        let within = tally.account.completed + tally.account.timeouts;
        prop_assert!(tally.service.len() <= within);
    }
}

/// Goal: the stages of a connection are measured as they were, and add up. Method: a server
/// that takes a millisecond, in both loops.
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
        assert_eq!(account.completed, account.scheduled);
        let most = rate.map_or(6666, |_| 800);
        assert!(account.completed.abs_diff(most) < 20, "{account:?}");
        for (stage, nanos) in [("connect", 1e5), ("first reply", 1e6), ("complete", 1e5)] {
            near(tally.stages[stage].mean(), nanos, 0.02);
        }
        near(tally.service.mean(), 1.2e6, 0.02);
    }
}

/// Goal: messages of peers, or publishers, that never joined are due, and shed; so are those
/// of peers that left before the load; but not for longer than the run lasts. Method: an open
/// loop of ten that send a hundred messages a second each; three are refused; one leaves before
/// the word to begin, one after; one leaves in the warm-up of a run that ends early.
#[test]
fn absent_peers() {
    for kind in [Kind::Echo, Kind::Fanout] {
        let plan = Plan {
            peers: 10,
            publishers: 10,
            rate: steady(1000.0),
            ..plan(kind)
        };
        let server = |now, sender, bytes: &[u8]| match kind {
            Kind::Fanout => (10..20)
                .flat_map(|one| echo(now, MS, peer(one), bytes))
                .collect(),
            _ => echo(now, MS, sender, bytes),
        };
        let mut refuses = Simulation::new(&plan, server);
        refuses.refused_from = 7;
        let account = refuses.run().account;
        assert_eq!((account.scheduled, account.shed), (2000, 600));

        let mut loses = Simulation::new(&plan, server);
        loses.at(Time::from_nanos(105_000), Event::Leaves(peer(3), false));
        loses.at(Time::from_nanos(500_000), Event::Leaves(peer(4), false));
        let account = loses.run().account;
        let counts = (account.scheduled, account.completed, account.shed);
        assert_eq!(counts, (2000, 1600, 400), "{kind:?}");

        let mut ends = Simulation::new(&plan, server);
        let Window { start, measure, .. } = ends.window;
        ends.at(start + 10 * MS, Event::Leaves(peer(3), false));
        let account = ends.cut_short(measure + 500 * MS + MS / 2).account;
        assert!(account.shed.abs_diff(50) <= 1, "{kind:?}: {account:?}");
    }
}

/// Goal: when the user ends the run, a message in flight is no fault of the server, but one
/// that had all its time is. Method: a server that is silent from 600 ms on; a longer timeout
/// than that takes, and a shorter one.
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
        assert_eq!((account.timeouts, account.in_flight), (late, 64 - late));
        assert_eq!(tally.service.len(), account.scheduled);
        assert_eq!(tally.lost, 64);
    }
}

/// Goal: an answer after its timeout is late, and neither wrong nor lost; other bytes are wrong
/// even then. Method: answers after twice the timeout, right from all peers but one.
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
    assert_eq!(account.timeouts, 64, "{account:?}");
    assert_eq!((tally.wrong, tally.lost), (1, 0));
}

/// Goal: a stream without any confirmation was measured until all was over, and what it sent is
/// counted. Method: peers that never end; and one that does.
#[test]
fn unconfirmed() {
    let plan = Plan {
        peers: 2,
        ..plan(Kind::Sink)
    };
    for confirmed in [None, Some(700 * MS)] {
        let pattern = Pattern::new(plan.size);
        let mut sink = workload::new(&plan, &pattern, Share::new(&plan, 0));
        let mut link = SimulatedLink::new(pattern);
        (0..2).for_each(|index| sink.joined(&mut link, peer(index)));
        sink.begin(Window::new(&plan, START));
        link.now = START;
        sink.turn(&mut link);
        assert!(sink.meter().sent_so_far > 0);
        assert_eq!(sink.meter().answered_so_far, 0);
        if let Some(after) = confirmed {
            sink.left(START + after, peer(0), true);
        }
        let took = sink.took(START + 900 * MS);
        assert_eq!(took, Some(confirmed.unwrap_or(900 * MS)));
    }
}

/// Goal: billions of messages that are never sent are counted, with their age. Method: a server
/// that answers nothing, for ten minutes, at the highest rate; with both arrivals, and falling
/// to nothing.
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
        near(account.scheduled as f64, wanted, 0.001);
        // Answers are waited for a second.
        let median = tally.response.value_at_quantile(0.5) as f64 / 1e9 - 1.0;
        let of_all = if to == 0.0 { 0.5_f64.sqrt() } else { 0.5 } * 600.0;
        near(median, of_all, 0.005);
    }
}

/// A short load of two peers.
fn short(kind: Kind) -> Plan {
    Plan {
        peers: 2,
        rate: steady(1000.0),
        depth: 4,
        warmup: Duration::ZERO,
        duration: 100 * MS,
        ..plan(kind)
    }
}

fn done(reports: Option<Result<ThreadReport, sealwire_cli::error::Error>>) -> ThreadResults {
    match reports {
        Some(Ok(ThreadReport::Done(done))) => *done,
        _ => panic!("it says something else"),
    }
}

/// The first error that a worker reports.
fn error(reports: Vec<Result<ThreadReport, sealwire_cli::error::Error>>) -> String {
    reports
        .into_iter()
        .find_map(Result::err)
        .unwrap()
        .to_string()
}

/// Goal: a panic of a thread is reported. Method: its wire panics.
#[test]
fn a_panic_is_said() {
    let panics = Simulation::new(&short(Kind::Echo), |_, _, _| panic!("as it was told to"));
    assert!(error(panics.reports()).contains("panicked"));
}

/// Goal: in the load, a connection that cannot begin has failed, with the reason; before the
/// load, it ends the run. Method: a load of connections, and one whose peers connect first.
#[test]
fn connections_that_cannot_begin() {
    let server = |now, peer, bytes: &[u8]| echo(now, MS, peer, bytes);
    let mut churn = Simulation::new(&short(Kind::Churn), server);
    churn.fails_from = 1;
    let done = done(churn.reports().pop());
    let errors = done.tally.account.errors;
    assert!((1..=11).contains(&errors), "it does not pause: {errors}");
    assert!(done.attendance.failed >= errors);
    let why: Vec<_> = done.attendance.errors.keys().collect();
    assert_eq!(why, ["cannot connect: no port is left"]);

    let mut early = Simulation::new(&short(Kind::Echo), server);
    early.fails_from = 1;
    assert!(error(early.reports()).contains("no port is left"));
}

/// Goal: a load of connections tests first whether they work, and the test does not count.
/// Method: a server that refuses them, and one that does not.
#[test]
fn a_test_before_a_churn() {
    for (refused_from, joined) in [(0, 0), (usize::MAX, 1)] {
        let server = |now, peer, bytes: &[u8]| echo(now, MS, peer, bytes);
        let mut churn = Simulation::new(&short(Kind::Churn), server);
        churn.refused_from = refused_from;
        let mut reports = churn.reports();
        let done = done(reports.pop());
        let Ok(ThreadReport::Joined(first, _)) = reports.remove(0) else {
            panic!("it says something else first");
        };
        assert_eq!((first.joined, first.failed), (joined, 1 - joined));
        let (account, came) = (done.tally.account, done.attendance);
        let ended = (came.complete, came.failed);
        assert_eq!(ended, (account.completed, account.errors));
    }
}

/// Goal: a peer that still connects when the user ends the run is no failure: it joins, hears
/// that nothing follows, and is complete. Method: three peers; one has joined.
#[test]
fn stopped_while_peers_join() {
    let plan = Plan {
        peers: 3,
        ..short(Kind::Echo)
    };
    let mut simulation = Simulation::new(&plan, |_, _, _| Vec::new());
    simulation.at(Time::from_nanos(100_500), Event::Stops);
    let attendance = done(simulation.reports().pop()).attendance;
    assert_eq!(attendance.errors.len(), 0, "{attendance:?}");
    assert_eq!((attendance.joined, attendance.complete), (3, 3));
}

/// Goal: messages of peers that have left are due until the run ends, in every thread; and no
/// longer than any peer is there. Method: four peers with 25 messages each, on a real clock;
/// those of no thread leave, of one, or of both.
#[test]
fn threads_without_peers() {
    for leaving in 0..=2 {
        let plan = Plan {
            peers: 4,
            depth: 1000,
            threads: 2,
            ..short(Kind::Echo)
        };
        let (clock, stop) = (Clock::start(), Arc::<AtomicBool>::default());
        let ending = Arc::new(Ending::new(plan.threads, &stop));
        let threads = [0, 1].map(|index| {
            let (plan, ending) = (plan.clone(), ending.clone());
            thread::spawn(move || {
                let server = |now, peer, bytes: &[u8]| echo(now, Duration::ZERO, peer, bytes);
                let mut simulation = Simulation::of_thread(&plan, index, server);
                simulation.clock = Some(clock);
                for one in 0..if index < leaving { 2 } else { 0 } {
                    simulation.at(START + 10 * MS, Event::Leaves(peer(one), false));
                }
                done(simulation.reports_until(&ending).pop())
            })
        });
        let [mut all, other] = threads.map(|thread| thread.join().unwrap());
        all.tally += &other.tally;
        all.attendance.add(other.attendance);
        let account = all.tally.account;
        assert_eq!(all.attendance.failed, 2 * leaving as u64);
        if leaving < 2 {
            assert_eq!(account.scheduled, 100, "{account:?}");
        }
        // Some were answered before their peer left.
        assert!(account.shed <= 50 * leaving as u64, "{account:?}");
        assert!(account.scheduled <= 100, "{account:?}");
    }
}

// ---- fanout ----------------------------------------------------------------

/// A hundred messages a second to `peers` subscribers.
fn fanout_plan(peers: usize) -> Plan {
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
    let plan = fanout_plan(3);
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
        near(tally.stages[stage].mean(), millis * 1e6, 0.02);
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
    let plan = fanout_plan(1);
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
    let plan = fanout_plan(3);
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
        ..fanout_plan(64)
    };
    let mut simulation = Simulation::new(&plan, |_, _, _| Vec::new());
    simulation.refused_from = 1;
    let cycle = (PLACES / 2) as u64;
    let pattern = simulation.pattern();
    let bytes = pattern.bytes()[pattern.at(cycle + 5)].to_vec();
    simulation.at(simulation.window.measure, Event::Says(peer(0), bytes));
    let tally = simulation.run();
    assert_eq!(tally.wrong, 0);
}
