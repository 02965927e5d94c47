//! The peers of a thread: which came, which left, and why. What they do is up to a
//! [`Workload`], which gets every event.

use std::collections::{HashMap, HashSet};

use hdrhistogram::Histogram;
use sealwire::{PeerId, Time};

use super::Link;
use super::workload::Workload;
use crate::measure::meter::Meter;
use crate::measure::quantile;
use crate::measure::results::Attendance;

pub(crate) struct Peers {
    workload: Box<dyn Workload>,
    attendance: Attendance,
    /// Peers that have neither joined nor failed, and when they began to connect.
    connecting: HashMap<PeerId, Time>,
    present: HashSet<PeerId>,
    /// From connecting to joined, in nanoseconds; and when the last one joined.
    handshakes: Histogram<u64>,
    last_joined: Time,
    finish: Finish,
}

/// Whether peers are told that nothing follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Finish {
    No,
    /// The next turn tells those that are present.
    Wanted,
    /// They have been told; a peer that joins is told at once.
    Told,
}

impl Peers {
    pub(crate) fn new(workload: Box<dyn Workload>) -> Self {
        Self {
            workload,
            attendance: Attendance::default(),
            connecting: HashMap::new(),
            present: HashSet::new(),
            handshakes: quantile::histogram(),
            last_joined: Time::ZERO,
            finish: Finish::No,
        }
    }

    pub(crate) fn workload(&mut self) -> &mut dyn Workload {
        &mut *self.workload
    }

    pub(crate) fn meter(&mut self) -> &mut Meter {
        self.workload.meter()
    }

    pub(crate) fn attendance(&self) -> &Attendance {
        &self.attendance
    }

    pub(crate) fn present(&self) -> usize {
        self.present.len()
    }

    pub(crate) fn connecting(&self) -> usize {
        self.connecting.len()
    }

    pub(crate) fn remain(&self) -> usize {
        self.present.len() + self.connecting.len()
    }

    /// Forgets the peers that have left.
    pub(crate) fn forget(&mut self) {
        self.attendance = Attendance::default();
        self.handshakes.reset();
    }

    pub(crate) fn begin(&mut self, now: Time, peer: PeerId) {
        self.connecting.insert(peer, now);
        self.workload.connecting(now, peer);
    }

    /// Tells all peers that nothing follows: the present ones with the next turn, and each
    /// that joins from now on.
    pub(crate) fn finish(&mut self) {
        self.finish = Finish::Wanted;
    }

    /// Gives up on the peers that have not left.
    pub(crate) fn give_up(&mut self, now: Time) {
        let connecting = self.connecting.keys();
        let all: Vec<_> = self.present.iter().chain(connecting).copied().collect();
        for peer in all {
            self.left(now, peer, Err("not complete in time".into()));
        }
    }

    pub(crate) fn handshakes(&self) -> (&Histogram<u64>, Time) {
        (&self.handshakes, self.last_joined)
    }

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
        if self.finish == Finish::Told {
            link.finish(peer);
        }
    }

    /// `peer` left, or never came; `Ok` if both sides had finished and had everything.
    pub(crate) fn left(&mut self, now: Time, peer: PeerId, outcome: Result<(), String>) {
        self.connecting.remove(&peer);
        self.present.remove(&peer);
        let complete = outcome.is_ok();
        match outcome {
            Ok(()) => self.attendance.complete += 1,
            Err(why) => {
                self.attendance.failed += 1;
                *self.attendance.errors.entry(why).or_default() += 1;
            }
        }
        self.workload.left(now, peer, complete);
    }

    pub(crate) fn turn(&mut self, link: &mut dyn Link) {
        self.workload.turn(link);
        if self.finish == Finish::Wanted {
            self.finish = Finish::Told;
            for &peer in &self.present {
                link.finish(peer);
            }
        }
    }
}
