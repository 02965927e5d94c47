//! Echo: every message comes back as it was, in order.
//!
//! In a closed loop a peer keeps as many messages under way as it may. In an open
//! one each message has a due time, fixed before; it waits only while as many are
//! under way as may be, which counts as the server's doing. A reply that is missing
//! or comes twice makes all that follow on its peer wrong, too: replies are in
//! order, and none says which it is.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};

use sealwire::endpoint::transport::PeerId;
use sealwire::time::Time;

use super::pace::{Pace, leave};
use super::{Share, Workload};
use crate::meter::{Flight, Meter};
use crate::pattern::Pattern;
use crate::plan::Plan;
use crate::schedule::Schedule;
use crate::wire::{Link, Received};

/// Sends, compares, counts.
pub(crate) struct Echo {
    plan: Plan,
    pattern: Pattern,
    share: Share,
    /// The number of the next peer that joins, among those of all threads.
    next_index: usize,
    peers: HashMap<PeerId, Peer>,
    /// The numbers of those that left before anything was due.
    left_early: Vec<usize>,
    load: Load,
    stopped: bool,
}

/// What is measured, and who is due.
struct Load {
    meter: Meter,
    /// In an open loop, who may send and is next due when.
    due: BinaryHeap<Reverse<(Time, PeerId)>>,
    /// Of peers that have left; what was due to them until the end is counted then.
    departed: Vec<Pace>,
    /// The first messages have been sent.
    started: bool,
}

/// What a peer is at.
struct Peer {
    index: usize,
    sent: u64,
    answered: u64,
    /// Oldest first.
    under_way: VecDeque<Flight>,
    pace: Option<Pace>,
}

impl Echo {
    /// A thread's part of `plan`.
    pub(crate) fn new(plan: Plan, pattern: Pattern, share: Share) -> Self {
        Self {
            load: Load {
                meter: Meter::new(plan.timeout),
                due: BinaryHeap::new(),
                departed: Vec::new(),
                started: false,
            },
            plan,
            pattern,
            share,
            next_index: share.first,
            peers: HashMap::new(),
            left_early: Vec::new(),
            stopped: false,
        }
    }

    /// Sends the first messages, or says when they are due.
    fn start(&mut self, link: &mut dyn Link) {
        let load = &mut self.load;
        let window = *load.meter.window();
        if load.started || !window.has_begun(link.now()) {
            return;
        }
        load.started = true;
        let start = window.start;
        let schedule = Schedule::new(&self.plan, self.plan.peers, window);
        for (&id, peer) in &mut self.peers {
            peer.pace = schedule.map(|schedule| Pace::new(schedule.of(peer.index), start));
            match peer.pace.as_ref().map(Pace::next) {
                Some(Some(at)) => load.due.push(Reverse((at, id))),
                Some(None) => {}
                None => {
                    for _ in 0..self.plan.depth {
                        peer.send(id, &self.pattern, load, link);
                    }
                }
            }
        }
        // What those were to send that never joined, or are gone, is due, too.
        let never_joined = self.next_index..self.share.first + self.share.peers;
        let absent = never_joined.chain(self.left_early.drain(..));
        if let Some(schedule) = schedule {
            let paces = absent.map(|index| Pace::new(schedule.of(index), start));
            load.departed.extend(paces);
        }
    }
}

impl Peer {
    /// Sends the next message, unless the load has ended; says whether it left.
    fn send(
        &mut self,
        id: PeerId,
        pattern: &Pattern,
        load: &mut Load,
        link: &mut dyn Link,
    ) -> bool {
        let now = link.now();
        if load.meter.window().is_over(now) {
            return false;
        }
        let part = pattern.part(self.index, self.sent);
        if !link.send(id, part) {
            return false;
        }
        self.sent += 1;
        let flight = leave(&mut self.pace, &mut load.meter, now);
        self.under_way.push_back(flight);
        true
    }
}

impl Workload for Echo {
    fn joined(&mut self, _: &mut dyn Link, id: PeerId) {
        let peer = Peer {
            index: self.next_index,
            sent: 0,
            answered: 0,
            under_way: VecDeque::with_capacity(self.plan.depth),
            pace: None,
        };
        self.next_index += 1;
        self.peers.insert(id, peer);
    }

    fn meter(&mut self) -> &mut Meter {
        &mut self.load.meter
    }

    fn message(&mut self, now: Time, id: PeerId, message: Received<'_>) {
        let load = &mut self.load;
        let peer = self.peers.get_mut(&id);
        let next = peer.and_then(|peer| Some((peer.under_way.pop_front()?, peer)));
        let Some((flight, peer)) = next else {
            load.meter.tally.wrong += 1;
            return;
        };
        // It had to wait if as many were under way as may be.
        if let Some(pace) = &mut peer.pace
            && pace.has_room(now)
        {
            load.due.extend(pace.next().map(|at| Reverse((at, id))));
        }
        let wanted = self.pattern.part(peer.index, peer.answered);
        peer.answered += 1;
        let right = message.equals(&self.pattern.bytes()[wanted]);
        load.meter.tally.wrong += u64::from(!right);
        match right {
            // It came too late to be measured, but it is not lost.
            _ if self.stopped => {}
            true => load.meter.answered(flight, now),
            false => load.meter.failed(flight, now),
        }
    }

    fn go_on(&mut self, link: &mut dyn Link, id: PeerId) {
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        // Who has a pace sends when it is due.
        while peer.pace.is_none()
            && peer.under_way.len() < self.plan.depth
            && peer.send(id, &self.pattern, &mut self.load, link)
        {}
    }

    fn left(&mut self, now: Time, id: PeerId, _: bool) {
        let Some(mut peer) = self.peers.remove(&id) else {
            return;
        };
        let load = &mut self.load;
        load.meter.tally.lost += peer.under_way.len() as u64;
        if !load.started {
            self.left_early.push(peer.index);
        }
        if !self.stopped {
            for flight in peer.under_way.drain(..) {
                load.meter.failed(flight, now);
            }
            load.departed.extend(peer.pace);
        }
    }

    fn turn(&mut self, link: &mut dyn Link) {
        self.start(link);
        let load = &mut self.load;
        while let Some(&Reverse((at, id))) = load.due.peek()
            && at <= link.now()
        {
            load.due.pop();
            // It may have left.
            let Some(peer) = self.peers.get_mut(&id) else {
                continue;
            };
            if !peer.send(id, &self.pattern, load, link) {
                continue;
            }
            let Some(pace) = &mut peer.pace else {
                continue;
            };
            let full = peer.under_way.len() == self.plan.depth;
            pace.set_full(full);
            if !full {
                load.due.extend(pace.next().map(|at| Reverse((at, id))));
            }
        }
    }

    fn next_due(&mut self) -> Option<Time> {
        if !self.load.started {
            return Some(self.load.meter.window().start);
        }
        self.load.due.peek().map(|Reverse((at, _))| *at)
    }

    fn stop(&mut self, now: Time, cut_short: bool) {
        self.stopped = true;
        let load = &mut self.load;
        for peer in self.peers.values_mut() {
            // They stay: an answer that is late is still compared.
            for &flight in &peer.under_way {
                load.meter.unanswered(flight, now, cut_short);
            }
            if let Some(pace) = &mut peer.pace {
                pace.never_send(&mut load.meter, now, false);
            }
        }
        for mut pace in load.departed.drain(..) {
            pace.never_send(&mut load.meter, now, true);
        }
        load.meter.move_on(now);
    }
}
