//! Echo: every message comes back unaltered and in order.
//!
//! In a closed loop a peer keeps as many messages in flight as allowed. In an open loop each
//! message has a fixed due time. It waits only for a free slot, and that wait counts as server
//! time. A reply does not say which message it answers, so a missing or repeated reply makes all
//! later replies to its peer wrong, too.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};

use sealwire::{PeerId, Time};

use super::pace::{Pace, leave};
use super::pattern::Pattern;
use super::schedule::Schedule;
use super::workload::{Share, Workload};
use super::{Link, Received};
use crate::measure::meter::{Flight, Meter};
use crate::plan::Plan;

pub(crate) struct Echo {
    plan: Plan,
    pattern: Pattern,
    share: Share,
    /// The number of the next peer that joins, among those of all threads.
    next_index: usize,
    peers: HashMap<PeerId, Peer>,
    load: Load,
    stopped: bool,
}

struct Load {
    meter: Meter,
    /// In an open loop, peers that may send, and when their next message is due.
    due: BinaryHeap<Reverse<(Time, PeerId)>>,
    /// Paces of peers that never joined, or have left. Their messages are counted when the run
    /// ends.
    absent: Vec<Pace>,
    started: bool,
}

struct Peer {
    index: usize,
    sent: u64,
    answered: u64,
    /// Oldest first.
    in_flight: VecDeque<Flight>,
    pace: Option<Pace>,
}

impl Echo {
    pub(crate) fn new(plan: Plan, pattern: Pattern, share: Share) -> Self {
        Self {
            load: Load {
                meter: Meter::new(plan.timeout),
                due: BinaryHeap::new(),
                absent: Vec::new(),
                started: false,
            },
            plan,
            pattern,
            share,
            next_index: share.first,
            peers: HashMap::new(),
            stopped: false,
        }
    }

    /// Sends the first messages, or schedules them.
    fn start(&mut self, link: &mut dyn Link) {
        let load = &mut self.load;
        let window = *load.meter.window();
        if load.started || !window.has_begun(link.now()) {
            return;
        }
        load.started = true;
        let schedule = Schedule::new(&self.plan, self.plan.peers, window);
        for (&id, peer) in &mut self.peers {
            peer.pace = schedule.map(|schedule| Pace::new(schedule, peer.index));
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
        // Messages of peers that never joined, or are gone, are due, too.
        if let Some(schedule) = schedule {
            let present: HashSet<_> = self.peers.values().map(|peer| peer.index).collect();
            let all = self.share.first..self.share.first + self.share.peers;
            let absent = all.filter(|index| !present.contains(index));
            load.absent = absent.map(|index| Pace::new(schedule, index)).collect();
        }
    }
}

impl Peer {
    /// Sends the next message, unless the load has ended. Returns whether it left.
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
        self.in_flight.push_back(flight);
        true
    }
}

impl Workload for Echo {
    fn joined(&mut self, _: &mut dyn Link, id: PeerId) {
        let peer = Peer {
            index: self.next_index,
            sent: 0,
            answered: 0,
            in_flight: VecDeque::with_capacity(self.plan.depth),
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
        let next = peer.and_then(|peer| Some((peer.in_flight.pop_front()?, peer)));
        let Some((flight, peer)) = next else {
            load.meter.tally.wrong += 1;
            return;
        };
        // It had to wait if no slot was free.
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
            // Too late to be measured, but not lost.
            _ if self.stopped => {}
            true => load.meter.answered(flight, now),
            false => load.meter.failed(flight, now),
        }
    }

    fn go_on(&mut self, link: &mut dyn Link, id: PeerId) {
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        // In an open loop a message leaves when it is due.
        while peer.pace.is_none()
            && peer.in_flight.len() < self.plan.depth
            && peer.send(id, &self.pattern, &mut self.load, link)
        {}
    }

    fn left(&mut self, now: Time, id: PeerId, _: bool) {
        let Some(mut peer) = self.peers.remove(&id) else {
            return;
        };
        let load = &mut self.load;
        load.meter.tally.lost += peer.in_flight.len() as u64;
        if !self.stopped {
            for flight in peer.in_flight.drain(..) {
                load.meter.failed(flight, now);
            }
            load.absent.extend(peer.pace);
        }
    }

    fn turn(&mut self, link: &mut dyn Link) {
        self.start(link);
        let load = &mut self.load;
        while let Some(&Reverse((at, id))) = load.due.peek()
            && at <= link.now()
        {
            load.due.pop();
            // The peer may have left.
            let Some(peer) = self.peers.get_mut(&id) else {
                continue;
            };
            if !peer.send(id, &self.pattern, load, link) {
                continue;
            }
            let Some(pace) = &mut peer.pace else {
                continue;
            };
            let full = peer.in_flight.len() == self.plan.depth;
            pace.set_full(full);
            if !full {
                load.due.extend(pace.next().map(|at| Reverse((at, id))));
            }
        }
    }

    fn next_due(&mut self, _: Time) -> Option<Time> {
        if !self.load.started {
            return Some(self.load.meter.window().start);
        }
        self.load.due.peek().map(|Reverse((at, _))| *at)
    }

    fn stop(&mut self, now: Time, cut_short: bool) {
        self.stopped = true;
        let load = &mut self.load;
        for peer in self.peers.values_mut() {
            // They stay in the queue, so that a late answer is still compared.
            for &flight in &peer.in_flight {
                load.meter.unanswered(flight, now, cut_short);
            }
            if let Some(pace) = &mut peer.pace {
                pace.never_send(&mut load.meter, now, false);
            }
        }
        for mut pace in load.absent.drain(..) {
            pace.never_send(&mut load.meter, now, true);
        }
        load.meter.move_on(now);
    }
}
