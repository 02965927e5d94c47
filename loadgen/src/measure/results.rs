//! The results of a run: counts and times, as threads take them and as reports show them.
//!
//! It has only data, and adds the data of threads. The workloads and [`crate::run`] fill it; the
//! names in JSON are declared here. Read next: [`super::figures`], which computes rates.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::AddAssign;
use std::time::Duration;

use hdrhistogram::Histogram;
use sealwire::Kernel;
use serde::Serialize;

use super::freezes::Freeze;
use super::{json, quantile};
use crate::plan::{Kind, Plan, seconds};

/// What became of the messages of the measured time: in an open loop those that were due in it,
/// in a closed loop those that were sent in it.
///
/// Invariant, once a run has ended: `scheduled` is the sum of all others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Account {
    pub(crate) scheduled: u64,
    /// Answered correctly, and in time.
    pub(crate) completed: u64,
    /// Answered wrongly, or in flight when their peer failed.
    pub(crate) errors: u64,
    pub(crate) timeouts: u64,
    /// Never sent: their peer was gone when they were due.
    pub(crate) shed: u64,
    /// Never sent: until the end as many were in flight as allowed.
    pub(crate) unsent: u64,
    /// In flight when the user ended the run.
    pub(crate) in_flight: u64,
}

impl Account {
    /// Whether every message is accounted for, once.
    pub(crate) fn holds(&self) -> bool {
        let ended = self.completed + self.errors + self.timeouts;
        self.scheduled == ended + self.shed + self.unsent + self.in_flight
    }
}

impl AddAssign for Account {
    fn add_assign(&mut self, other: Self) {
        self.scheduled += other.scheduled;
        self.completed += other.completed;
        self.errors += other.errors;
        self.timeouts += other.timeouts;
        self.shed += other.shed;
        self.unsent += other.unsent;
        self.in_flight += other.in_flight;
    }
}

/// What a thread measures, in constant memory. All times are in nanoseconds.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Tally {
    pub(crate) account: Account,
    /// Unexpected answers, in the whole run with the warm-up.
    #[serde(rename = "wrong_messages")]
    pub(crate) wrong: u64,
    /// Messages without any answer, in the whole run.
    #[serde(rename = "lost_messages")]
    pub(crate) lost: u64,
    /// From when a message was due to its answer; in a closed loop, from its
    /// sending. A message without an answer counts with its age at the end.
    #[serde(rename = "response_ns", serialize_with = "json::times")]
    pub(crate) response: Histogram<u64>,
    /// From when a message was sent to its answer.
    #[serde(rename = "service_ns", serialize_with = "json::times")]
    pub(crate) service: Histogram<u64>,
    /// From when a message was due and could have been sent, until it was sent: how late the
    /// load tester itself is. Empty in a closed loop.
    #[serde(rename = "lag_ns", serialize_with = "json::times")]
    pub(crate) lag: Histogram<u64>,
    /// For Little's law: messages in flight, times nanoseconds of the measured time.
    #[serde(skip)]
    pub(crate) in_flight_ns: u128,
    /// Of some workloads: the stages of a connection; the first and last receiver of a message.
    #[serde(rename = "stages_ns", serialize_with = "json::stages")]
    pub(crate) stages: BTreeMap<&'static str, Histogram<u64>>,
    /// What only some workloads count: deliveries, duplicates.
    pub(crate) counts: BTreeMap<&'static str, u64>,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            account: Account::default(),
            wrong: 0,
            lost: 0,
            response: quantile::histogram(),
            service: quantile::histogram(),
            lag: quantile::histogram(),
            in_flight_ns: 0,
            stages: BTreeMap::new(),
            counts: BTreeMap::new(),
        }
    }

    pub(crate) fn stage(&mut self, name: &'static str, took: Duration) {
        let times = self.stages.entry(name).or_insert_with(quantile::histogram);
        times.saturating_record(took.as_nanos() as u64);
    }
}

impl AddAssign<&Self> for Tally {
    fn add_assign(&mut self, other: &Self) {
        self.account += other.account;
        self.wrong += other.wrong;
        self.lost += other.lost;
        // All histograms have the same bounds, so they can be added.
        self.response += &other.response;
        self.service += &other.service;
        self.lag += &other.lag;
        self.in_flight_ns += other.in_flight_ns;
        for (name, times) in &other.stages {
            *self.stages.entry(name).or_insert_with(quantile::histogram) += times;
        }
        for (name, count) in &other.counts {
            *self.counts.entry(name).or_default() += count;
        }
    }
}

/// What came of a thread's peers, or of all.
#[derive(Debug, Default, Clone, Serialize)]
pub(crate) struct Attendance {
    #[serde(rename = "joined_peers")]
    pub(crate) joined: u64,
    /// Peers that were complete when they left.
    #[serde(rename = "complete_peers")]
    pub(crate) complete: u64,
    #[serde(rename = "failed_peers")]
    pub(crate) failed: u64,
    /// What went wrong, and how many times.
    pub(crate) errors: BTreeMap<String, u64>,
}

impl Attendance {
    pub(crate) fn add(&mut self, other: Self) {
        self.joined += other.joined;
        self.complete += other.complete;
        self.failed += other.failed;
        for (why, count) in other.errors {
            *self.errors.entry(why).or_default() += count;
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Usage {
    /// CPU time of all threads, as exactly as it is known.
    #[serde(rename = "cpu_us", serialize_with = "json::micros")]
    pub(crate) ran: Duration,
    /// Its parts, in coarse ticks. In the difference of two samples ([`since`](Self::since)),
    /// their sum is `ran`.
    #[serde(rename = "user_us", serialize_with = "json::micros")]
    pub(crate) user: Duration,
    #[serde(rename = "system_us", serialize_with = "json::micros")]
    pub(crate) system: Duration,
    #[serde(rename = "resident_bytes")]
    pub(crate) resident: u64,
    pub(crate) descriptors: u64,
    /// Context switches: it waited; it was preempted.
    #[serde(rename = "voluntary_switches")]
    pub(crate) voluntary: u64,
    #[serde(rename = "involuntary_switches")]
    pub(crate) involuntary: u64,
}

impl Usage {
    /// What was used since the sample `before`; memory and descriptors are those of now.
    pub(crate) fn since(self, before: Self) -> Self {
        let ran = self.ran.saturating_sub(before.ran);
        let user = self.user.saturating_sub(before.user);
        let system = self.system.saturating_sub(before.system);
        // A time shorter than a tick is split in the same ratio as all time before it.
        let (of_user, of_system) = match user + system {
            Duration::ZERO => (self.user, self.system),
            _ => (user, system),
        };
        let share = match of_user + of_system {
            Duration::ZERO => 0.0,
            all => of_system.as_secs_f64() / all.as_secs_f64(),
        };
        let system = ran.mul_f64(share).min(ran);
        Self {
            ran,
            user: ran - system,
            system,
            voluntary: self.voluntary.saturating_sub(before.voluntary),
            involuntary: self.involuntary.saturating_sub(before.involuntary),
            ..self
        }
    }
}

/// What a thread has had of processors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ThreadUse {
    pub(crate) ran: Duration,
    /// How long it could have run, but all processors were busy.
    pub(crate) waited: Duration,
}

impl ThreadUse {
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            ran: self.ran.saturating_sub(before.ran),
            waited: self.waited.saturating_sub(before.waited),
        }
    }
}

/// The server's process around the measured time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ServerUse {
    /// Before the first peer connected.
    pub(crate) empty: Usage,
    /// When measuring began.
    pub(crate) before: Usage,
    /// When it ended.
    pub(crate) after: Usage,
}

#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Interval {
    /// Since measuring began.
    #[serde(rename = "until_s", serialize_with = "seconds")]
    pub(crate) until: Duration,
    #[serde(rename = "took_s", serialize_with = "seconds")]
    pub(crate) took: Duration,
    #[serde(rename = "sent_messages")]
    pub(crate) sent: u64,
    #[serde(rename = "completed_messages")]
    pub(crate) completed: u64,
    #[serde(rename = "messages_per_second")]
    pub(crate) rate: f64,
    /// Times of the answers, from when they were due, if there are enough of them.
    #[serde(rename = "response_p50_ns")]
    pub(crate) p50: Option<u64>,
    #[serde(rename = "response_p99_ns")]
    pub(crate) p99: Option<u64>,
    #[serde(rename = "response_max_ns")]
    pub(crate) max: Option<u64>,
    /// The median, however few samples there are.
    #[serde(skip)]
    pub(crate) median: Duration,
    pub(crate) peers: u64,
    /// Of the server; times and switches are since the row before.
    pub(crate) server: Option<Usage>,
    /// CPU time of all our threads since the row before.
    #[serde(rename = "generator_cpu_us", serialize_with = "json::micros")]
    pub(crate) generator: Duration,
    /// CPU time that this machine's processors spent on other programs, and that other machines
    /// took away, since the row before; coarse.
    #[serde(rename = "others_cpu_us", serialize_with = "json::some_micros")]
    pub(crate) others: Option<Duration>,
}

/// What is sampled when an interval ends.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sample {
    pub(crate) server: Option<Usage>,
    /// What all processors of this machine have worked.
    pub(crate) machine: Option<Duration>,
}

/// What it costs here to seal and to open a message of the run, in batches as the server has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CryptoCost {
    pub(crate) seal: Cost,
    pub(crate) open: Cost,
}

/// What a message takes, and in a batch of how many.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) took: Duration,
    pub(crate) batch: usize,
}

#[derive(Debug, Serialize)]
pub(crate) struct Results {
    #[serde(flatten)]
    pub(crate) plan: Plan,
    #[serde(rename = "server")]
    pub(crate) address: SocketAddr,
    #[serde(rename = "server_is_own")]
    pub(crate) own_server: bool,
    /// The kernel that sealed and opened here, if one did. A server of our own used the same,
    /// because it is this program in the same environment.
    #[serde(serialize_with = "json::kernel")]
    pub(crate) kernel: Option<Kernel>,
    #[serde(rename = "measured_s", serialize_with = "seconds")]
    pub(crate) took: Duration,
    /// The part of that time with load: a stream also waits for its confirmation.
    #[serde(rename = "load_s", serialize_with = "seconds")]
    pub(crate) loaded: Duration,
    #[serde(flatten)]
    pub(crate) tally: Tally,
    #[serde(rename = "rows")]
    pub(crate) intervals: Vec<Interval>,
    /// Of a closed loop: response times as an open loop at the same rate would have seen them.
    #[serde(
        rename = "response_as_open_loop_ns",
        serialize_with = "json::some_times"
    )]
    pub(crate) as_open_loop: Option<Histogram<u64>>,
    /// When the server stood still.
    pub(crate) freezes: Vec<Freeze>,
    /// What each of our threads had of processors while there was load.
    #[serde(skip)]
    pub(crate) threads: Vec<ThreadUse>,
    #[serde(skip)]
    pub(crate) server: Option<ServerUse>,
    /// Most memory that this machine's system had for TCP, both ends and all programs together.
    #[serde(rename = "most_kernel_tcp_bytes")]
    pub(crate) tcp_memory: Option<u64>,
    #[serde(skip)]
    pub(crate) crypto: Option<CryptoCost>,
    #[serde(flatten)]
    pub(crate) peers: Attendance,
    /// The time from the first connection until the last peer had joined, and the time for each.
    #[serde(skip)]
    pub(crate) handshakes_took: Duration,
    #[serde(rename = "handshake_ns", serialize_with = "json::times")]
    pub(crate) handshake: Histogram<u64>,
    pub(crate) interrupted: bool,
    /// It ended before its time, because all peers were gone.
    pub(crate) ended_early: bool,
}

impl Results {
    /// Response times as an open loop at the rate of this closed loop would have seen them. While
    /// a closed loop waits for an answer, it does not send the next message, so that a slow answer
    /// counts once. HdrHistogram's correction adds the times of the messages that would have been
    /// sent meanwhile.
    pub(crate) fn opened(&self) -> Option<Histogram<u64>> {
        let (plan, times) = (&self.plan, &self.tally.response);
        let senders = match plan.kind {
            Kind::Sink => return None,
            Kind::Fanout => plan.publishers,
            Kind::Echo | Kind::Idle | Kind::Churn => plan.peers,
        };
        if plan.rate.is_some() || times.is_empty() {
            return None;
        }
        let depth = match plan.kind {
            Kind::Churn => 1,
            _ => plan.depth,
        };
        // How often each of them sends.
        let slots = (senders * depth) as f64;
        let every = self.took.as_nanos() as f64 * slots / times.len() as f64;
        Some(times.clone_correct(every as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: splitting time into user and system neither loses nor adds any. Method: looks
    /// between which the coarse counts differ from the exact one, go one way only, and stand
    /// still.
    #[test]
    fn time_is_split_not_changed() {
        let millis = Duration::from_millis;
        let look = |ran, user, system| Usage {
            ran: millis(ran),
            user: millis(user),
            system: millis(system),
            ..Usage::default()
        };
        for (before, after, due) in [
            (look(13, 10, 0), look(33, 20, 10), [20, 10, 10]),
            (look(19, 10, 0), look(21, 10, 10), [2, 0, 2]),
            // As in all of its time.
            (look(40, 30, 10), look(44, 30, 10), [4, 3, 1]),
            (look(1, 0, 0), look(4, 0, 0), [3, 3, 0]),
            (look(5, 0, 0), look(5, 10, 0), [0, 0, 0]),
        ] {
            let used = after.since(before);
            let told = [used.ran, used.user, used.system];
            assert_eq!(told, due.map(millis), "{before:?} {after:?}");
        }
    }
}
