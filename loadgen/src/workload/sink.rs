//! Sink: messages go one way, as fast as they are taken.
//!
//! A message counts as completed when its peer's end has been confirmed, which says
//! that the server has had them all. So the measured time runs from the first
//! message to the last confirmation. There is no answer, and so no latency.

use std::collections::HashMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use sealwire::endpoint::transport::PeerId;
use sealwire::time::Time;

use super::{Part, Workload};
use crate::limits::STREAMED;
use crate::pattern::Pattern;
use crate::plan::Plan;
use crate::results::Tally;
use crate::schedule::Window;
use crate::times;
use crate::wire::{Link, Received};

/// Streams.
pub(crate) struct Sink {
    plan: Plan,
    pattern: Pattern,
    next_index: usize,
    peers: HashMap<PeerId, Peer>,
    window: Option<Window>,
    /// Every queue is as full as it should be, so that an event will come.
    full: bool,
    tally: Tally,
    wrong: u64,
    cut_short: bool,
    /// When the last peer was confirmed.
    confirmed: Time,
}

struct Peer {
    index: usize,
    sent: u64,
}

impl Sink {
    /// A thread's part of `plan`.
    pub(crate) fn new(plan: Plan, pattern: Pattern, part: Part) -> Self {
        Self {
            plan,
            pattern,
            next_index: part.first,
            peers: HashMap::new(),
            window: None,
            full: false,
            tally: Tally::new(),
            wrong: 0,
            cut_short: false,
            confirmed: Time::ZERO,
        }
    }
}

impl Workload for Sink {
    fn joined(&mut self, _: &mut dyn Link, id: PeerId) {
        let peer = Peer {
            index: self.next_index,
            sent: 0,
        };
        self.next_index += 1;
        self.peers.insert(id, peer);
    }

    fn begin(&mut self, window: Window) {
        self.window = Some(window);
    }

    fn close(&mut self, now: Time) {
        if let Some(window) = &mut self.window {
            window.end = window.end.min(now);
        }
    }

    fn message(&mut self, _: Time, _: PeerId, _: Received<'_>) {
        self.wrong += 1;
    }

    fn left(&mut self, now: Time, id: PeerId, complete: bool) {
        let Some(peer) = self.peers.remove(&id) else {
            return;
        };
        let account = &mut self.tally.account;
        if complete {
            account.completed += peer.sent;
            self.confirmed = now;
        } else {
            account.errors += peer.sent;
        }
    }

    fn turn(&mut self, link: &mut dyn Link) {
        let now = link.now();
        let Some(window) = self.window.filter(|window| now >= window.start) else {
            return;
        };
        self.full = true;
        if now >= window.end {
            return;
        }
        let cost = self.plan.size.max(1);
        for (&id, peer) in &mut self.peers {
            let room = STREAMED.saturating_sub(link.waiting(id));
            for _ in 0..room.div_ceil(cost) {
                self.full = false;
                if !link.send(id, self.pattern.part(peer.index, peer.sent)) {
                    break;
                }
                peer.sent += 1;
                self.tally.account.scheduled += 1;
            }
        }
    }

    fn next_due(&mut self) -> Option<Time> {
        let window = self.window?;
        // Until the end there is always more to be sent.
        (!self.full).then_some(window.start)
    }

    fn under_way(&self) -> u64 {
        0
    }

    fn took(&self) -> Option<Duration> {
        Some(self.confirmed.since(self.window?.start))
    }

    fn done(&self) -> u64 {
        self.tally.account.scheduled
    }

    fn completed(&self) -> u64 {
        self.tally.account.completed
    }

    fn take_recent(&mut self) -> Histogram<u64> {
        times::histogram()
    }

    /// What has been sent may still be confirmed.
    fn stop(&mut self, _: Time, cut_short: bool) {
        self.cut_short = cut_short;
    }

    fn tally(&mut self) -> Tally {
        let rest: u64 = self.peers.drain().map(|(_, peer)| peer.sent).sum();
        let account = &mut self.tally.account;
        match self.cut_short {
            true => account.in_flight += rest,
            false => account.errors += rest,
        }
        (self.tally.wrong, self.tally.lost) = (self.wrong, account.errors);
        self.tally.clone()
    }
}
