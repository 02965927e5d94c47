//! Sink: messages go one way, as fast as they are taken.
//!
//! A message counts as completed when its peer's end has been confirmed, which says
//! that the server has had them all. So the measured time runs from the first
//! message to the last confirmation. There is no answer, and so no latency.

use std::collections::HashMap;
use std::time::Duration;

use sealwire::endpoint::transport::PeerId;
use sealwire::time::Time;

use super::{Share, Workload};
use crate::limits::STREAMED;
use crate::meter::Meter;
use crate::pattern::Pattern;
use crate::plan::Plan;
use crate::results::{Account, Tally};
use crate::schedule::Window;
use crate::wire::{Link, Received};

/// Streams.
pub(crate) struct Sink {
    plan: Plan,
    pattern: Pattern,
    next_index: usize,
    peers: HashMap<PeerId, Peer>,
    meter: Option<Meter>,
    /// Every queue is as full as it should be, so that an event will come.
    full: bool,
    wrong: u64,
    /// When the last peer was confirmed, if any was.
    confirmed: Option<Time>,
}

struct Peer {
    index: usize,
    sent: u64,
}

impl Sink {
    /// A thread's part of `plan`.
    pub(crate) fn new(plan: Plan, pattern: Pattern, share: Share) -> Self {
        Self {
            plan,
            pattern,
            next_index: share.first,
            peers: HashMap::new(),
            meter: None,
            full: false,
            wrong: 0,
            confirmed: None,
        }
    }

    fn account(&self) -> Account {
        let meter = self.meter.as_ref();
        meter.map_or_else(Account::default, |meter| meter.tally.account)
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
        self.meter = Some(Meter::new(window, self.plan.timeout));
    }

    fn meter(&mut self) -> Option<&mut Meter> {
        self.meter.as_mut()
    }

    fn message(&mut self, _: Time, _: PeerId, _: Received<'_>) {
        self.wrong += 1;
    }

    fn left(&mut self, now: Time, id: PeerId, complete: bool) {
        let (Some(peer), Some(meter)) = (self.peers.remove(&id), &mut self.meter) else {
            return;
        };
        let account = &mut meter.tally.account;
        if complete {
            account.completed += peer.sent;
            self.confirmed = Some(now);
        } else {
            account.errors += peer.sent;
        }
    }

    fn turn(&mut self, link: &mut dyn Link) {
        let now = link.now();
        let begun = self.meter.as_mut();
        let Some(meter) = begun.filter(|meter| now >= meter.window().start) else {
            return;
        };
        self.full = true;
        if now >= meter.window().end {
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
                meter.sent_so_far += 1;
                meter.tally.account.scheduled += 1;
            }
        }
    }

    fn next_due(&mut self) -> Option<Time> {
        let start = self.meter.as_ref()?.window().start;
        // Until the end there is always more to be sent.
        (!self.full).then_some(start)
    }

    fn took(&self, now: Time) -> Option<Duration> {
        let start = self.meter.as_ref()?.window().start;
        Some(self.confirmed.unwrap_or(now).since(start))
    }

    fn done(&self) -> u64 {
        self.account().scheduled
    }

    fn completed(&self) -> u64 {
        self.account().completed
    }

    /// What has been sent may still be confirmed; peers that leave otherwise say what
    /// was not.
    fn stop(&mut self, _: Time, _: bool) {}

    fn tally(&mut self) -> Tally {
        let mut tally = self.measured();
        (tally.wrong, tally.lost) = (self.wrong, tally.account.errors);
        tally
    }
}
