//! The peers of a thread: who came, who went and why. What they do is a
//! [`Workload`]'s, to which everything is passed on.

use std::collections::{BTreeMap, HashMap, HashSet};

use hdrhistogram::Histogram;
use sealwire::endpoint::transport::PeerId;
use sealwire::time::Time;

use crate::meter::Meter;
use crate::times;
use crate::wire::{Link, Received};
use crate::workload::Workload;

/// What came of a thread's peers.
#[derive(Debug, Default, Clone)]
pub(crate) struct Attendance {
    /// Peers that joined; of all, those that were complete when they left, and those
    /// that failed.
    pub(crate) joined: u64,
    pub(crate) complete: u64,
    pub(crate) failed: u64,
    /// Why they failed, and how many.
    pub(crate) errors: BTreeMap<String, u64>,
}

impl Attendance {
    /// Notes a failure.
    pub(crate) fn fail(&mut self, why: String) {
        self.failed += 1;
        *self.errors.entry(why).or_default() += 1;
    }

    /// Adds another thread's.
    pub(crate) fn add(&mut self, other: Self) {
        self.joined += other.joined;
        self.complete += other.complete;
        self.failed += other.failed;
        for (why, count) in other.errors {
            *self.errors.entry(why).or_default() += count;
        }
    }
}

/// Peers, and what they do.
pub(crate) struct Crew {
    workload: Box<dyn Workload>,
    attendance: Attendance,
    /// When those began to connect that have not joined.
    connecting: HashMap<PeerId, Time>,
    /// Those that are there.
    present: HashSet<PeerId>,
    /// From connecting to joined, in nanoseconds; and when the last one joined.
    handshakes: Histogram<u64>,
    last_joined: Time,
    /// All peers are told that nothing follows: those that are there with the next
    /// turn, and who joins later at once.
    finished: bool,
    told: bool,
}

impl Crew {
    /// Peers that do `workload`.
    pub(crate) fn new(workload: Box<dyn Workload>) -> Self {
        Self {
            workload,
            attendance: Attendance::default(),
            connecting: HashMap::new(),
            present: HashSet::new(),
            handshakes: times::histogram(),
            last_joined: Time::ZERO,
            finished: false,
            told: false,
        }
    }

    // ---- for who runs it ---------------------------------------------------

    /// What they do.
    pub(crate) fn workload(&mut self) -> &mut dyn Workload {
        &mut *self.workload
    }

    /// What they measure with.
    pub(crate) fn meter(&mut self) -> &mut Meter {
        self.workload.meter()
    }

    /// What has come of them so far.
    pub(crate) fn attendance(&self) -> &Attendance {
        &self.attendance
    }

    /// How many are there, and how many are not yet.
    pub(crate) fn present(&self) -> usize {
        self.present.len()
    }

    /// How many have begun to connect and neither joined nor failed.
    pub(crate) fn connecting(&self) -> usize {
        self.connecting.len()
    }

    /// How many have not left.
    pub(crate) fn remain(&self) -> usize {
        self.present.len() + self.connecting.len()
    }

    /// Forgets those that have left.
    pub(crate) fn forget(&mut self) {
        self.attendance = Attendance::default();
        self.handshakes.reset();
    }

    /// `peer` begins to connect.
    pub(crate) fn begin(&mut self, now: Time, peer: PeerId) {
        self.connecting.insert(peer, now);
        self.workload.connecting(now, peer);
    }

    /// Tells all peers with the next turn that nothing more follows, and all that join
    /// from now on.
    pub(crate) fn finish(&mut self) {
        self.finished = true;
    }

    /// Gives up on those that are still there, or on their way.
    pub(crate) fn give_up(&mut self, now: Time) {
        let connecting = self.connecting.keys();
        let all: Vec<_> = self.present.iter().chain(connecting).copied().collect();
        for peer in all {
            self.left(now, peer, Err("not complete in time".into()));
        }
    }

    /// How long handshakes took, and when the last one was done.
    pub(crate) fn handshakes(&self) -> (&Histogram<u64>, Time) {
        (&self.handshakes, self.last_joined)
    }

    // ---- for wires ---------------------------------------------------------

    /// The TCP connection of `peer` is there.
    pub(crate) fn connected(&mut self, now: Time, peer: PeerId) {
        self.workload.connected(now, peer);
    }

    /// `peer` can be sent to.
    pub(crate) fn joined(&mut self, link: &mut dyn Link, peer: PeerId) {
        let now = link.now();
        if let Some(began) = self.connecting.remove(&peer) {
            let took = now.since(began).as_nanos();
            self.handshakes.saturating_record(took as u64);
        }
        self.last_joined = now;
        self.attendance.joined += 1;
        self.present.insert(peer);
        self.workload.joined(link, peer);
        if self.told {
            link.finish(peer);
        }
    }

    /// `peer` said `message`; [`go_on`](Self::go_on) is called next.
    pub(crate) fn message(&mut self, now: Time, peer: PeerId, message: Received<'_>) {
        self.workload.message(now, peer, message);
    }

    /// `peer` has said something, and can be answered.
    pub(crate) fn go_on(&mut self, link: &mut dyn Link, peer: PeerId) {
        self.workload.go_on(link, peer);
    }

    /// `peer` is gone, or was never there; `Ok` if both sides had said that they
    /// were done, and had everything.
    pub(crate) fn left(&mut self, now: Time, peer: PeerId, outcome: Result<(), String>) {
        self.connecting.remove(&peer);
        self.present.remove(&peer);
        let complete = outcome.is_ok();
        match outcome {
            Ok(()) => self.attendance.complete += 1,
            Err(why) => self.attendance.fail(why),
        }
        self.workload.left(now, peer, complete);
    }

    /// Called once in every turn, behind what came in.
    pub(crate) fn turn(&mut self, link: &mut dyn Link) {
        self.workload.turn(link);
        if self.finished && !self.told {
            self.told = true;
            for &peer in &self.present {
                link.finish(peer);
            }
        }
    }
}
