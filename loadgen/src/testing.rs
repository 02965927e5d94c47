//! A made-up run, for the tests of judges and reports.

use std::time::Duration;

use hdrhistogram::Histogram;
use sealwire::Kernel;
use serde_json::Value;

use crate::judge::judge;
use crate::judge::point::Point;
use crate::measure::environment::Environment;
use crate::measure::figures::Figures;
use crate::measure::quantile;
use crate::measure::results::{
    Account, Attendance, Cost, CryptoCost, Interval, Results, ServerUse, Tally, ThreadUse, Usage,
};
use crate::plan::{Arrival, Kind, Plan, Rate, Transport};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
const RATE: u64 = 1000;
const SECONDS: u64 = 20;
const MESSAGES: u64 = RATE * SECONDS;

/// An echo, in an open loop.
pub(crate) fn plan() -> Plan {
    Plan {
        kind: Kind::Echo,
        over: Transport::Sealed,
        peers: 64,
        publishers: 1,
        size: 100,
        depth: 4,
        rate: Some(Rate::steady(RATE as f64)),
        arrival: Arrival::Constant,
        duration: SECOND * SECONDS as u32,
        warmup: SECOND,
        timeout: SECOND * 5,
        threads: 2,
        sources: Vec::new(),
        seed: 1,
    }
}

pub(crate) fn environment() -> Environment {
    Environment {
        version: "1.2.3",
        commit: "0123456789ab",
        profile: "release",
        processor: "Made-up CPU @ 2 GHz".into(),
        processors: 8,
        system: "Linux 6.1.0".into(),
        fastest_kernel: Kernel::PORTABLE.name(),
    }
}

/// A run with nothing wrong: 20,000 messages in 20 s. Each waits for 10 us to be sent, and is
/// answered 101 to 200 us after that.
pub(crate) fn results() -> Results {
    let mut tally = Tally::new();
    tally.account = Account {
        scheduled: MESSAGES,
        completed: MESSAGES,
        ..Account::default()
    };
    for k in 0..MESSAGES {
        let service = 101_000 + k % 100 * 1000;
        tally.service.saturating_record(service);
        tally.response.saturating_record(service + 10_000);
        tally.lag.saturating_record(10_000);
        tally.in_flight_ns += u128::from(service);
    }
    Results {
        plan: plan(),
        address: "127.0.0.1:9999".parse().expect("an address"),
        own_server: true,
        kernel: Some(Kernel::PORTABLE),
        took: SECOND * SECONDS as u32,
        loaded: SECOND * SECONDS as u32,
        tally,
        intervals: (1..=SECONDS).map(interval).collect(),
        as_open_loop: None,
        freezes: Vec::new(),
        threads: [4, 5]
            .map(|ran| ThreadUse {
                ran: SECOND * ran,
                waited: SECOND / 5,
            })
            .into(),
        server: Some(ServerUse {
            empty: usage(0, 10 << 20),
            before: usage(0, (10 << 20) + 64 * 1500),
            after: usage(SECONDS, (10 << 20) + 64 * 1500),
        }),
        tcp_memory: Some(1 << 20),
        crypto: Some(CryptoCost {
            seal: cost(300),
            open: cost(200),
        }),
        peers: Attendance {
            joined: 64,
            complete: 64,
            ..Attendance::default()
        },
        handshakes_took: SECOND / 2,
        handshake: times(400_000, 64),
        interrupted: false,
        ended_early: false,
    }
}

/// The same after `change`.
pub(crate) fn changed(change: impl FnOnce(&mut Results)) -> Results {
    let mut results = results();
    change(&mut results);
    results
}

/// That run as a point of a curve, without its report.
pub(crate) fn point() -> Point {
    let (results, here) = (results(), environment());
    let figures = Figures::of(&results);
    let verdict = judge(&results, &figures, &[], &here);
    Point::of(&results, &figures, &verdict, Value::Null)
}

/// Makes it a closed loop over plain TCP to an unknown server.
pub(crate) fn to_an_unknown_server(results: &mut Results) {
    results.plan.rate = None;
    results.plan.over = Transport::Plain;
    results.kernel = None;
    results.own_server = false;
    results.server = None;
}

fn cost(nanos: u64) -> Cost {
    Cost {
        took: Duration::from_nanos(nanos),
        batch: 2,
    }
}

/// The second that ends at `until`.
fn interval(until: u64) -> Interval {
    Interval {
        until: SECOND * until as u32,
        took: SECOND,
        sent: RATE,
        completed: RATE,
        rate: RATE as f64,
        p50: Some(160_000),
        p99: Some(209_000),
        max: Some(210_000),
        median: Duration::from_micros(160),
        peers: 64,
        server: Some(usage(1, 11 << 20)),
        generator: SECOND * 9 / 20,
        others: Some(Duration::ZERO),
    }
}

/// What a server uses in `seconds`: for each message, 4 us in the program and 6 us in the
/// system.
fn usage(seconds: u64, resident: u64) -> Usage {
    let messages = RATE * seconds;
    Usage {
        ran: Duration::from_micros(10 * messages),
        user: Duration::from_micros(4 * messages),
        system: Duration::from_micros(6 * messages),
        resident,
        descriptors: 70,
        voluntary: 500 * seconds,
        involuntary: 20 * seconds,
    }
}

/// A histogram with `count` samples of one time, in nanoseconds.
pub(crate) fn times(nanos: u64, count: u64) -> Histogram<u64> {
    let mut times = quantile::histogram();
    times.saturating_record_n(nanos, count);
    times
}

/// Changes the number of answers in every interval.
pub(crate) fn answers(results: &mut Results, change: impl Fn(u64) -> u64) {
    for interval in &mut results.intervals {
        interval.completed = change(interval.completed);
    }
}
