//! Sink: messages go one way, as fast as the server takes them.
//!
//! A message counts as completed when the server has confirmed its peer's end, which confirms all
//! messages before it. So the measured time runs from the first message to the last confirmation.
//! There is no answer, and so no latency.

use std::collections::HashMap;
use std::time::Duration;

use sealwire::{PeerId, Time};

use super::pattern::Pattern;
use super::workload::{Share, Workload};
use super::{Link, Received};
use crate::limits::STREAMED;
use crate::measure::meter::Meter;
use crate::measure::results::Tally;
use crate::plan::Plan;

pub(crate) struct Sink {
    plan: Plan,
    pattern: Pattern,
    next_index: usize,
    peers: HashMap<PeerId, Peer>,
    meter: Meter,
    /// Every queue is full, so an event will come.
    full: bool,
    /// When the last peer was confirmed, if any was.
    confirmed: Option<Time>,
}

struct Peer {
    index: usize,
    sent: u64,
}

impl Sink {
    pub(crate) fn new(plan: Plan, pattern: Pattern, share: Share) -> Self {
        Self {
            meter: Meter::new(plan.timeout),
            plan,
            pattern,
            next_index: share.first,
            peers: HashMap::new(),
            full: false,
            confirmed: None,
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

    fn meter(&mut self) -> &mut Meter {
        &mut self.meter
    }

    fn message(&mut self, _: Time, _: PeerId, _: Received<'_>) {
        self.meter.tally.wrong += 1;
    }

    fn left(&mut self, now: Time, id: PeerId, complete: bool) {
        let Some(peer) = self.peers.remove(&id) else {
            return;
        };
        let tally = &mut self.meter.tally;
        if complete {
            tally.account.completed += peer.sent;
            self.confirmed = Some(now);
        } else {
            tally.account.errors += peer.sent;
            tally.lost += peer.sent;
        }
    }

    fn turn(&mut self, link: &mut dyn Link) {
        let (now, window) = (link.now(), *self.meter.window());
        if !window.has_begun(now) {
            return;
        }
        self.full = true;
        if window.is_over(now) {
            return;
        }
        let (cost, sent) = (self.plan.size.max(1), self.meter.sent_so_far);
        for (&id, peer) in &mut self.peers {
            let room = STREAMED.saturating_sub(link.waiting(id));
            for _ in 0..room.div_ceil(cost) {
                self.full = false;
                if !link.send(id, self.pattern.part(peer.index, peer.sent)) {
                    break;
                }
                peer.sent += 1;
                self.meter.sent_so_far += 1;
                self.meter.tally.account.scheduled += 1;
            }
        }
        if self.meter.sent_so_far > sent {
            self.meter.moved(now);
        }
    }

    fn drained(&mut self) {
        self.full = false;
    }

    fn next_due(&mut self, _: Time) -> Option<Time> {
        // Until the end there is always more to send.
        (!self.full).then_some(self.meter.window().start)
    }

    fn took(&mut self, now: Time) -> Option<Duration> {
        let ended = self.confirmed.unwrap_or(now);
        Some(ended.since(self.meter.window().start))
    }

    /// The streams that are still there are in flight: the user ended the run.
    fn tally(&mut self) -> Tally {
        let sent: u64 = self.peers.values().map(|peer| peer.sent).sum();
        self.peers.clear();
        let mut tally = self.meter.tally.clone();
        tally.account.in_flight += sent;
        tally
    }

    /// What was sent may still be confirmed; a peer that leaves before that counts as an error.
    fn stop(&mut self, _: Time, _: bool) {}
}
