//! Runs a workload on a simulated clock, against a simulated server.
#![allow(clippy::unwrap_used)]

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::ops::Range;
use std::time::Duration;

use sealwire::endpoint::transport::PeerId;
use sealwire::time::Time;

use super::pattern::Pattern;
use super::worker::drain;
use super::workload::{self, Share, Workload};
use super::{Link, Received};
use crate::measure::meter::Window;
use crate::measure::results::Tally;
use crate::plan::{Kind, Plan, Rate};
use crate::testing;

/// How long it takes to connect, and to leave.
pub(super) const CONNECTS: Duration = Duration::from_micros(100);

/// What the server does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    /// Says the bytes to a peer.
    Says(PeerId, Vec<u8>),
    /// It can be sent to.
    Joins(PeerId),
    /// Its connection ends.
    Leaves(PeerId, bool),
}

/// A plan that tests change.
pub(super) fn plan(kind: Kind) -> Plan {
    Plan {
        kind,
        depth: 1,
        rate: None,
        duration: Duration::from_secs(2),
        warmup: Duration::from_millis(500),
        timeout: Duration::from_secs(1),
        threads: 1,
        ..testing::plan()
    }
}

pub(super) fn steady(rate: f64) -> Option<Rate> {
    Some(Rate::steady(rate))
}

pub(super) fn peer(index: usize) -> PeerId {
    PeerId::from_u64(index as u64)
}

/// Notes what was sent.
pub(super) struct Sent {
    pub(super) now: Time,
    pub(super) pattern: Pattern,
    pub(super) sent: Vec<(PeerId, Range<usize>)>,
    pub(super) finished: Vec<PeerId>,
    gone: HashSet<PeerId>,
}

impl Sent {
    pub(super) fn new(pattern: Pattern) -> Self {
        Self {
            now: Time::ZERO,
            pattern,
            sent: Vec::new(),
            finished: Vec::new(),
            gone: HashSet::new(),
        }
    }
}

impl Link for Sent {
    fn now(&self) -> Time {
        self.now
    }

    fn send(&mut self, peer: PeerId, part: Range<usize>) -> bool {
        let there = !self.gone.contains(&peer);
        if there {
            self.sent.push((peer, part));
        }
        there
    }

    fn waiting(&self, _: PeerId) -> usize {
        0
    }

    fn finish(&mut self, peer: PeerId) {
        self.finished.push(peer);
    }
}

/// A workload, and the server that it loads.
pub(super) struct Simulation<S> {
    pub(super) workload: Box<dyn Workload>,
    pub(super) window: Window,
    plan: Plan,
    link: Sent,
    /// How many have begun to connect.
    begun: usize,
    /// What happens next, in the order of time, then of arrival.
    events: BinaryHeap<Reverse<(Time, u64)>>,
    known: Vec<Event>,
    /// What the server does with a message, and when.
    server: S,
}

impl<S: FnMut(Time, PeerId, &[u8]) -> Vec<(Time, Event)>> Simulation<S> {
    /// The peers of `plan` have joined at the beginning.
    pub(super) fn new(plan: &Plan, server: S) -> Self {
        Self::with(plan, plan.all_peers(), &[], server)
    }

    /// Only some of them have, and some of those have `left` again.
    pub(super) fn with(plan: &Plan, joined: usize, left: &[usize], server: S) -> Self {
        let pattern = Pattern::new(plan.size);
        let share = Share::new(plan, 0);
        let mut simulation = Self {
            workload: workload::new(plan, &pattern, share),
            window: Window::new(plan, Time::from_nanos(1000)),
            plan: plan.clone(),
            link: Sent::new(pattern),
            begun: 0,
            events: BinaryHeap::new(),
            known: Vec::new(),
            server,
        };
        if plan.kind != Kind::Churn {
            for index in 0..joined {
                simulation
                    .workload
                    .joined(&mut simulation.link, peer(index));
            }
        }
        for &index in left {
            simulation.happen(Event::Leaves(peer(index), false));
        }
        simulation.workload.begin(simulation.window);
        simulation
    }

    /// The content of messages.
    pub(super) fn pattern(&self) -> Pattern {
        self.link.pattern.clone()
    }

    /// One turn, at `now`.
    pub(super) fn turn_at(&mut self, now: Time) {
        self.link.now = now;
        self.workload.turn(&mut self.link);
    }

    /// Schedules an event.
    pub(super) fn at(&mut self, time: Time, event: Event) {
        let number = self.known.len() as u64;
        self.known.push(event);
        self.events.push(Reverse((time, number)));
    }

    /// Runs to the end. Returns what was measured.
    pub(super) fn run(self) -> Tally {
        let end = self.window.end;
        self.run_until(end, false)
    }

    /// Runs until the user ends it.
    pub(super) fn cut_short(self, at: Time) -> Tally {
        self.run_until(at, true)
    }

    /// As a thread does it: the load, the drain, and what comes late.
    fn run_until(mut self, end: Time, cut_short: bool) -> Tally {
        self.advance(end, false);
        self.workload.meter().close(end);
        self.advance(end + drain(self.plan.timeout, cut_short), true);
        let now = self.link.now;
        self.workload.stop(now, cut_short);
        // Late answers come while peers finish.
        while let Some(Reverse((time, number))) = self.events.pop() {
            self.link.now = self.link.now.max(time);
            self.happen(self.known[number as usize].clone());
        }
        for peer in std::mem::take(&mut self.link.finished) {
            self.workload.left(now, peer, true);
        }
        // The rest is given up.
        for index in 0..self.begun.max(self.plan.all_peers()) {
            self.workload.left(self.link.now, peer(index), false);
        }
        self.workload.tally()
    }

    /// Goes on until `until`; if it `drains`, only while something is in flight.
    fn advance(&mut self, until: Time, drains: bool) {
        let mut at_once = 0;
        while !drains || self.workload.meter().under_way() > 0 {
            let now = self.link.now;
            for _ in 0..self.workload.wanted(now) {
                self.workload.connecting(now, peer(self.begun));
                self.at(now + CONNECTS, Event::Joins(peer(self.begun)));
                self.begun += 1;
            }
            self.workload.turn(&mut self.link);
            self.deliver();
            let next = self.events.peek().map(|Reverse((time, _))| *time);
            let due = self.workload.next_due();
            let Some(time) = [next, due].into_iter().flatten().min() else {
                break;
            };
            if time >= until {
                break;
            }
            at_once = if time > now { 0 } else { at_once + 1 };
            assert!(at_once < 1000, "it spins, and time stands still");
            // Time does not go back, and every step takes a moment.
            self.link.now = time.max(self.link.now + Duration::from_nanos(1));
            while let Some(&Reverse((time, number))) = self.events.peek()
                && time <= self.link.now
            {
                self.events.pop();
                self.happen(self.known[number as usize].clone());
            }
        }
        if !drains || self.workload.meter().under_way() > 0 {
            self.link.now = self.link.now.max(until);
        }
    }

    /// Hands the server what was sent.
    fn deliver(&mut self) {
        if self.plan.kind == Kind::Churn {
            for peer in std::mem::take(&mut self.link.finished) {
                self.at(self.link.now + CONNECTS, Event::Leaves(peer, true));
            }
        }
        for (peer, part) in std::mem::take(&mut self.link.sent) {
            let bytes = self.link.pattern.bytes()[part].to_vec();
            for (time, event) in (self.server)(self.link.now, peer, &bytes) {
                self.at(time, event);
            }
        }
    }

    fn happen(&mut self, event: Event) {
        let now = self.link.now;
        match event {
            Event::Says(peer, bytes) => {
                self.workload.message(now, peer, Received(&[&bytes]));
                self.workload.go_on(&mut self.link, peer);
            }
            Event::Joins(peer) => {
                self.workload.connected(now, peer);
                self.workload.joined(&mut self.link, peer);
            }
            Event::Leaves(peer, complete) => {
                self.link.gone.insert(peer);
                self.workload.left(now, peer, complete);
            }
        }
        self.deliver();
    }
}
