//! Fanout: publishers' messages go through a relay to all subscribers.
//!
//! A message is done when every subscriber has it. Its first bytes identify its publisher and its
//! number, because each publisher has its own places in the random pattern. A missing message is
//! a loss; if it comes after later ones, it is reordered. A message that comes again is a
//! duplicate.

use std::collections::{BTreeSet, HashMap, VecDeque};

use sealwire::{PeerId, Time};

use super::pace::{Pace, leave};
use super::pattern::Pattern;
use super::schedule::Schedule;
use super::workload::Workload;
use super::{Link, Received};
use crate::limits::{MISSING, PLACES};
use crate::measure::meter::{Flight, Meter, Window};
use crate::measure::results::Tally;
use crate::plan::Plan;

pub(crate) struct Fanout {
    plan: Plan,
    pattern: Pattern,
    /// By the first bytes of a message: its publisher and its number, modulo [`Self::cycle`].
    starts: HashMap<[u8; 8], (usize, u64)>,
    publishers: Vec<Publisher>,
    /// Paces of publishers that never joined. Their messages are counted when the run ends.
    absent: Vec<Pace>,
    /// What each has received of each publisher.
    subscribers: HashMap<PeerId, Vec<Gaps>>,
    meter: Meter,
    /// The load has begun.
    started: bool,
    stopped: bool,
    deliveries: u64,
}

struct Publisher {
    id: PeerId,
    /// The number of the oldest message in flight.
    first: u64,
    in_flight: VecDeque<Message>,
    pace: Option<Pace>,
    gone: bool,
}

struct Message {
    flight: Flight,
    /// How many subscribers should get it, how many have it, and how many never will.
    wanted: u64,
    received: u64,
    missed: u64,
}

/// What a subscriber has received of a publisher's messages, and which are missing.
#[derive(Debug, Clone, Default)]
struct Gaps {
    next: u64,
    /// Missing numbers before it, no more than [`MISSING`].
    missing: BTreeSet<u64>,
}

impl Gaps {
    /// Message `index` came, and none of those from `next` on.
    fn skip_to(&mut self, index: u64) {
        let from = self.next.max(index.saturating_sub(MISSING));
        self.missing.extend(from..index);
        while self.missing.len() as u64 > MISSING {
            self.missing.pop_first();
        }
        self.next = index + 1;
    }

    /// Message `number`, which is before `next`, came after all. Returns whether it was missing.
    fn fill(&mut self, number: u64) -> bool {
        self.missing.remove(&number)
    }
}

impl Publisher {
    fn next(&self) -> u64 {
        self.first + self.in_flight.len() as u64
    }
}

impl Fanout {
    /// All of `plan`: it has one thread.
    pub(crate) fn new(plan: Plan, pattern: Pattern) -> Self {
        let mut fanout = Self {
            meter: Meter::new(plan.timeout),
            plan,
            pattern,
            starts: HashMap::new(),
            publishers: Vec::new(),
            absent: Vec::new(),
            subscribers: HashMap::new(),
            started: false,
            stopped: false,
            deliveries: 0,
        };
        fanout.meter.tally.counts = [("duplicates", 0), ("reordered", 0)].into();
        for publisher in 0..fanout.plan.publishers {
            for index in 0..fanout.cycle() {
                let part = fanout.part(publisher, index);
                let start = fanout.pattern.bytes()[part].first_chunk();
                let start = *start.expect("as long as the command line wants it");
                fanout.starts.insert(start, (publisher, index));
            }
        }
        fanout
    }

    /// The number of messages after which a publisher's first one comes again.
    fn cycle(&self) -> u64 {
        (PLACES / self.plan.publishers) as u64
    }

    fn part(&self, publisher: usize, index: u64) -> std::ops::Range<usize> {
        let cycle = self.cycle();
        self.pattern.at(publisher as u64 * cycle + index % cycle)
    }

    /// The publisher and the number, modulo [`cycle`](Self::cycle), of a message that is right.
    fn which(&self, message: Received<'_>) -> Option<(usize, u64)> {
        let &(publisher, index) = self.starts.get(&message.start()?)?;
        let wanted = self.part(publisher, index);
        let there = publisher < self.publishers.len();
        let right = there && message.equals(&self.pattern.bytes()[wanted]);
        right.then_some((publisher, index))
    }

    fn send(&mut self, publisher: usize, link: &mut dyn Link) -> bool {
        let part = self.part(publisher, self.publishers[publisher].next());
        let (meter, now) = (&mut self.meter, link.now());
        let publisher = &mut self.publishers[publisher];
        if meter.window().is_over(now) || !link.send(publisher.id, part) {
            return false;
        }
        publisher.in_flight.push_back(Message {
            flight: leave(&mut publisher.pace, meter, now),
            wanted: self.subscribers.len() as u64,
            received: 0,
            missed: 0,
        });
        if let Some(pace) = &mut publisher.pace {
            pace.set_full(publisher.in_flight.len() >= self.plan.depth);
        }
        true
    }

    /// Notes that a subscriber has message `index` of `publisher`, or will never have it.
    fn note(&mut self, now: Time, publisher: usize, index: u64, has: bool) {
        let publisher = &mut self.publishers[publisher];
        let place = index.checked_sub(publisher.first);
        let message = place.and_then(|place| publisher.in_flight.get_mut(place as usize));
        let Some(message) = message else { return };
        let meter = &mut self.meter;
        if has {
            message.received += 1;
            let wanted = message.wanted;
            let stages = [
                ("first", 1),
                ("median", wanted.div_ceil(2)),
                ("last", wanted),
            ];
            let measured = meter.window().measures(message.flight.due);
            for (stage, count) in stages {
                if measured && count == message.received {
                    meter.tally.stage(stage, now.since(message.flight.due));
                }
            }
        } else {
            message.missed += 1;
        }
        // Messages are done in order: every subscriber of the earlier ones is accounted for.
        while let Some(oldest) = publisher.in_flight.front()
            && oldest.received + oldest.missed >= oldest.wanted
        {
            if oldest.missed > 0 {
                meter.failed(oldest.flight, now);
            } else {
                meter.answered(oldest.flight, now);
            }
            publisher.in_flight.pop_front();
            publisher.first += 1;
            if let Some(pace) = &mut publisher.pace {
                pace.has_room(now);
            }
        }
    }

    /// Sends all that is due or, in a closed loop, fits.
    fn send_due(&mut self, link: &mut dyn Link) {
        for publisher in 0..self.publishers.len() {
            loop {
                let one = &self.publishers[publisher];
                let room = one.in_flight.len() < self.plan.depth && !one.gone;
                let due = match &one.pace {
                    None => true,
                    Some(pace) => pace.next().is_some_and(|due| due <= link.now()),
                };
                if !room || !due || !self.send(publisher, link) {
                    break;
                }
            }
        }
    }
}

impl Workload for Fanout {
    /// The first peers publish.
    fn joined(&mut self, _: &mut dyn Link, id: PeerId) {
        if self.publishers.len() < self.plan.publishers {
            self.publishers.push(Publisher {
                id,
                first: 0,
                in_flight: VecDeque::with_capacity(self.plan.depth),
                pace: None,
                gone: false,
            });
        } else {
            let none = vec![Gaps::default(); self.plan.publishers];
            self.subscribers.insert(id, none);
        }
    }

    fn begin(&mut self, window: Window) {
        self.meter.begin(window);
        let Some(schedule) = Schedule::new(&self.plan, self.plan.publishers, window) else {
            return;
        };
        let mut paces = (0..self.plan.publishers).map(|index| Pace::new(schedule, index));
        for (publisher, pace) in self.publishers.iter_mut().zip(&mut paces) {
            publisher.pace = Some(pace);
        }
        self.absent = paces.collect();
    }

    fn meter(&mut self) -> &mut Meter {
        &mut self.meter
    }

    fn message(&mut self, now: Time, id: PeerId, message: Received<'_>) {
        let cycle = self.cycle();
        let known = self.which(message);
        let Some(received) = self.subscribers.get_mut(&id) else {
            // A publisher gets the others' messages, which do not count, but never its own.
            let own = known.is_some_and(|(publisher, _)| self.publishers[publisher].id == id);
            self.meter.tally.wrong += u64::from(own);
            return;
        };
        let Some((publisher, index)) = known else {
            self.meter.tally.wrong += 1;
            return;
        };
        let received = &mut received[publisher];
        let expected = received.next;
        let ahead = (index + cycle - expected % cycle) % cycle;
        if ahead > cycle / 2 {
            // It is already counted as failed: the order is part of the promise.
            let behind = expected.checked_sub(cycle - ahead);
            if behind.is_some_and(|number| received.fill(number)) {
                *self.meter.tally.counts.entry("reordered").or_default() += 1;
                self.meter.tally.lost -= 1;
            } else {
                *self.meter.tally.counts.entry("duplicates").or_default() += 1;
            }
            return;
        }
        if expected + ahead >= self.publishers[publisher].next() {
            // It has not been sent yet.
            self.meter.tally.wrong += 1;
            return;
        }
        received.skip_to(expected + ahead);
        self.meter.tally.lost += ahead;
        for missed in expected..expected + ahead {
            self.note(now, publisher, missed, false);
        }
        self.meter.moved(now);
        self.deliveries += 1;
        self.note(now, publisher, expected + ahead, true);
    }

    fn left(&mut self, now: Time, id: PeerId, _: bool) {
        if let Some(received) = self.subscribers.remove(&id) {
            for (publisher, of_it) in received.into_iter().enumerate() {
                for missed in of_it.next..self.publishers[publisher].next() {
                    self.meter.tally.lost += 1;
                    self.note(now, publisher, missed, false);
                }
            }
        }
        if self.stopped {
            return;
        }
        let publisher = self.publishers.iter_mut().find(|one| one.id == id);
        let Some(publisher) = publisher else { return };
        publisher.gone = true;
        for message in publisher.in_flight.drain(..) {
            publisher.first += 1;
            self.meter.failed(message.flight, now);
        }
    }

    fn turn(&mut self, link: &mut dyn Link) {
        let (window, now) = (self.meter.window(), link.now());
        self.started = window.has_begun(now);
        if self.started && !window.is_over(now) {
            self.send_due(link);
        }
    }

    fn next_due(&mut self, now: Time) -> Option<Time> {
        if self.meter.window().is_over(now) {
            return None;
        }
        if !self.started {
            return Some(self.meter.window().start);
        }
        let there = self.publishers.iter().filter(|one| !one.gone);
        let paces = there.filter_map(|one| one.pace.as_ref());
        paces
            .filter(|pace| !pace.waits())
            .filter_map(Pace::next)
            .min()
    }

    fn stop(&mut self, now: Time, cut_short: bool) {
        self.stopped = true;
        let meter = &mut self.meter;
        for publisher in &mut self.publishers {
            publisher.first = publisher.next();
            for message in publisher.in_flight.drain(..) {
                meter.unanswered(message.flight, now, cut_short);
            }
            if let Some(pace) = &mut publisher.pace {
                pace.never_send(meter, now, publisher.gone);
            }
        }
        for mut pace in self.absent.drain(..) {
            pace.never_send(meter, now, true);
        }
        meter.move_on(now);
    }

    fn tally(&mut self) -> Tally {
        let mut tally = self.meter.tally.clone();
        tally.counts.insert("deliveries", self.deliveries);
        tally
    }
}
