//! Churn: peers connect, send one message, get it back, and leave. Each stage is timed.
//!
//! A connection counts as a message does in other workloads: it is due, or begins when there is
//! room for another; it is done when both sides have finished. `-c` is how many there are at once.

use std::collections::HashMap;

use sealwire::{PeerId, Time};

use super::pace::{Pace, leave};
use super::pattern::Pattern;
use super::schedule::Schedule;
use super::workload::{Share, Workload};
use super::{Link, Received};
use crate::measure::meter::{Flight, Meter, Window};
use crate::measure::results::Tally;
use crate::plan::Plan;

pub(crate) struct Churn {
    plan: Plan,
    pattern: Pattern,
    share: Share,
    begun: u64,
    /// Peers that are connecting or have joined.
    peers: HashMap<PeerId, Peer>,
    meter: Meter,
    /// In an open loop, once the load has begun: when the next connection is due.
    pace: Option<Pace>,
    stopped: bool,
}

#[derive(Debug, Clone, Copy)]
struct Peer {
    index: u64,
    flight: Flight,
    /// When TCP connected it, when it joined, and when its message was back.
    connected: Option<Time>,
    joined: Option<Time>,
    replied: Option<Time>,
    /// Other bytes came.
    wrong: bool,
}

impl Churn {
    pub(crate) fn new(plan: Plan, pattern: Pattern, share: Share) -> Self {
        Self {
            meter: Meter::new(plan.timeout),
            plan,
            pattern,
            share,
            begun: 0,
            peers: HashMap::new(),
            pace: None,
            stopped: false,
        }
    }

    fn note_stages(tally: &mut Tally, peer: &Peer, now: Time) {
        let stages = [
            ("connect", Some(peer.flight.sent), peer.connected),
            ("handshake", peer.connected, peer.joined),
            ("first reply", peer.joined, peer.replied),
            ("complete", peer.replied, Some(now)),
        ];
        for (name, from, to) in stages {
            if let (Some(from), Some(to)) = (from, to) {
                tally.stage(name, to.since(from));
            }
        }
    }
}

impl Workload for Churn {
    fn wanted(&mut self, now: Time) -> usize {
        let room = self.share.peers.saturating_sub(self.peers.len());
        let window = self.meter.window();
        if !window.has_begun(now) || window.is_over(now) {
            return 0;
        }
        match &self.pace {
            None => room,
            // One at a time; the next turn begins the next.
            Some(pace) => {
                let due = pace.next().is_some_and(|due| due <= now);
                room.min(usize::from(due))
            }
        }
    }

    fn connecting(&mut self, now: Time, id: PeerId) {
        // A peer before the load only tests whether it can connect.
        if !self.meter.window().has_begun(now) {
            return;
        }
        let peer = Peer {
            index: self.begun,
            flight: leave(&mut self.pace, &mut self.meter, now),
            connected: None,
            joined: None,
            replied: None,
            wrong: false,
        };
        self.begun += 1;
        self.peers.insert(id, peer);
        if let Some(pace) = &mut self.pace {
            pace.set_full(self.peers.len() >= self.share.peers);
        }
    }

    fn connected(&mut self, now: Time, id: PeerId) {
        if let Some(peer) = self.peers.get_mut(&id) {
            // The wire may report that only after the peer has joined.
            peer.connected = Some(peer.joined.map_or(now, |joined| joined.min(now)));
        }
    }

    fn joined(&mut self, link: &mut dyn Link, id: PeerId) {
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.joined = Some(link.now());
            link.send(id, self.pattern.part(self.share.first, peer.index));
        } else {
            link.finish(id);
        }
    }

    fn begin(&mut self, window: Window) {
        let schedule = Schedule::new(&self.plan, self.plan.threads, window);
        self.meter.begin(window);
        self.pace = schedule.map(|schedule| Pace::new(schedule, self.share.thread));
    }

    fn meter(&mut self) -> &mut Meter {
        &mut self.meter
    }

    fn message(&mut self, now: Time, id: PeerId, message: Received<'_>) {
        let Some(peer) = self.peers.get_mut(&id) else {
            self.meter.tally.wrong += 1;
            return;
        };
        let wanted = self.pattern.part(self.share.first, peer.index);
        if message.equals(&self.pattern.bytes()[wanted]) && peer.replied.is_none() {
            peer.replied = Some(now);
        } else {
            peer.wrong = true;
            self.meter.tally.wrong += 1;
        }
    }

    fn go_on(&mut self, link: &mut dyn Link, id: PeerId) {
        link.finish(id);
    }

    fn left(&mut self, now: Time, id: PeerId, complete: bool) {
        let Some(peer) = self.peers.remove(&id) else {
            return;
        };
        let meter = &mut self.meter;
        meter.tally.lost += u64::from(!peer.wrong && peer.replied.is_none());
        if self.stopped {
            return;
        }
        if let Some(pace) = &mut self.pace {
            pace.has_room(now);
        }
        if complete && peer.replied.is_some() {
            meter.answered(peer.flight, now);
            if meter.window().measures(peer.flight.due) {
                Self::note_stages(&mut meter.tally, &peer, now);
            }
        } else {
            meter.failed(peer.flight, now);
        }
    }

    fn next_due(&mut self, now: Time) -> Option<Time> {
        if self.meter.window().is_over(now) || self.peers.len() >= self.share.peers {
            return None;
        }
        match &self.pace {
            None => Some(self.meter.window().start),
            Some(pace) => pace.next(),
        }
    }

    fn stop(&mut self, now: Time, cut_short: bool) {
        self.stopped = true;
        for peer in self.peers.values() {
            self.meter.unanswered(peer.flight, now, cut_short);
        }
        if let Some(pace) = &mut self.pace {
            pace.never_send(&mut self.meter, now, false);
        }
        self.meter.move_on(now);
    }
}
