//! What a run comes to: counts and times, as threads take them and as reports
//! tell them.
//!
//! Only data, and how two threads' are put together. Filled by
//! [`crate::workload`] and [`crate::run`]; judged by [`crate::verdict`]; told by
//! [`crate::report`].

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::AddAssign;
use std::time::Duration;

use hdrhistogram::Histogram;
use sealwire::crypto::kernel::Kernel;

use crate::times;

/// What became of the messages of the measured time: those due in it, in an open
/// loop, or sent in it.
///
/// Invariant, once a run has ended: `scheduled` is the sum of all others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) scheduled: u64,
    /// Answered right, and in time.
    pub(crate) completed: u64,
    /// Answered wrong, or under way when their peer failed.
    pub(crate) errors: u64,
    /// Not answered in time.
    pub(crate) timeouts: u64,
    /// Never sent, because their peer was gone when they were due.
    pub(crate) shed: u64,
    /// Never sent, because as many as may be were under way until the end.
    pub(crate) unsent: u64,
    /// Under way when a run was cut short.
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

/// What a thread measures. Its size does not depend on how many messages there
/// are. All times are in nanoseconds.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    pub(crate) account: Account,
    /// Of the whole run, the warm-up too: answers other than what was due, and
    /// those that nobody waited for.
    pub(crate) wrong: u64,
    /// Of the whole run: messages to which nothing ever came back.
    pub(crate) lost: u64,
    /// From when a message was due to its answer; in a closed loop, from its
    /// sending. What was not answered counts with its age at the end.
    pub(crate) response: Histogram<u64>,
    /// From when it was sent.
    pub(crate) service: Histogram<u64>,
    /// From when it was due, and could have been sent, until it was: how late the
    /// load tester itself is. Empty in a closed loop.
    pub(crate) lag: Histogram<u64>,
    /// The sum over the measured time of how many messages were under way:
    /// messages times nanoseconds, for Little's law.
    pub(crate) under_way: u128,
    /// What only some workloads have: the stages of a connection, the first and
    /// last receiver of a message.
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
            response: times::histogram(),
            service: times::histogram(),
            lag: times::histogram(),
            under_way: 0,
            stages: BTreeMap::new(),
            counts: BTreeMap::new(),
        }
    }
}

impl AddAssign<&Self> for Tally {
    fn add_assign(&mut self, other: &Self) {
        self.account += other.account;
        self.wrong += other.wrong;
        self.lost += other.lost;
        // All histograms are made alike, so that any fits any other.
        self.response += &other.response;
        self.service += &other.service;
        self.lag += &other.lag;
        self.under_way += other.under_way;
        for (name, times) in &other.stages {
            *self.stages.entry(name).or_insert_with(times::histogram) += times;
        }
        for (name, count) in &other.counts {
            *self.counts.entry(name).or_default() += count;
        }
    }
}

/// What a process has used, or uses now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Processor time of all threads, as exactly as it is known.
    pub(crate) ran: Duration,
    /// Whose time it was: as coarse as the system counts it, until it is taken
    /// [since](Self::since) another look; then both are all of `ran`.
    pub(crate) user: Duration,
    pub(crate) system: Duration,
    /// Bytes of memory that it has now.
    pub(crate) resident: u64,
    /// Descriptors that it has open now.
    pub(crate) descriptors: u64,
    /// Context switches: it waited; it was made to wait.
    pub(crate) voluntary: u64,
    pub(crate) involuntary: u64,
}

impl Usage {
    /// What was used since `before`; what it has, is as it is.
    pub(crate) fn since(self, before: Self) -> Self {
        let ran = self.ran.saturating_sub(before.ran);
        let user = self.user.saturating_sub(before.user);
        let system = self.system.saturating_sub(before.system);
        // In less than it takes to count, it is taken to be like all before.
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
    /// It ran.
    pub(crate) ran: Duration,
    /// It could have run, and all processors had something else to do.
    pub(crate) waited: Duration,
}

impl ThreadUse {
    /// What it had since `before`.
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
    /// Before any peer came.
    pub(crate) empty: Usage,
    /// When measuring began.
    pub(crate) before: Usage,
    /// When it ended.
    pub(crate) after: Usage,
}

/// An interval of the measured time.
#[derive(Debug, Clone, Default)]
pub(crate) struct Row {
    /// Since measuring began.
    pub(crate) until: Duration,
    /// How long it was.
    pub(crate) took: Duration,
    /// Messages that left in it.
    pub(crate) sent: u64,
    /// Answers that came in it, and their times from when they were due.
    pub(crate) completed: u64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    pub(crate) max: Duration,
    pub(crate) peers: u64,
    /// Of the server; the times and switches are since the row before.
    pub(crate) server: Option<Usage>,
    /// Processor time of all our threads since the row before.
    pub(crate) generator: Duration,
}

/// What it costs to seal and to open a message of the run's size on this machine, as
/// many at once as the server has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CryptoCost {
    pub(crate) seal: Cost,
    pub(crate) open: Cost,
}

/// What a message takes, and how many it is one of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) took: Duration,
    pub(crate) batch: usize,
}

/// All that a run comes to.
#[derive(Debug)]
pub(crate) struct Results {
    /// Of the server.
    pub(crate) address: SocketAddr,
    /// We started that server.
    pub(crate) own_server: bool,
    /// What sealed and opened here, and so in a server of our own, which is this
    /// program with the same environment.
    pub(crate) kernel: Kernel,
    /// The measured time.
    pub(crate) took: Duration,
    /// How much of it was load: of a stream, not what was waited for its confirmation.
    pub(crate) loaded: Duration,
    pub(crate) tally: Tally,
    pub(crate) rows: Vec<Row>,
    /// What each of our threads had of processors while there was load.
    pub(crate) threads: Vec<ThreadUse>,
    pub(crate) server: Option<ServerUse>,
    pub(crate) crypto: Option<CryptoCost>,
    /// Peers that joined; of all, those that were complete at the end and those
    /// that failed.
    pub(crate) joined: u64,
    pub(crate) complete: u64,
    pub(crate) failed: u64,
    /// From the first connection to the last peer joined, and for each.
    pub(crate) handshakes_took: Duration,
    pub(crate) handshake: Histogram<u64>,
    /// What went wrong, and how many times.
    pub(crate) errors: BTreeMap<String, u64>,
    /// It was cut short by the user.
    pub(crate) interrupted: bool,
    /// It ended before its time, because all peers were gone.
    pub(crate) ended_early: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: no time is lost or made up when it is told whose it was. Method: looks
    /// between which the coarse counts move by other amounts than the exact one, one
    /// way only, and not at all.
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
