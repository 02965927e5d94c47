//! A wire on a simulated clock, to a simulated server. A real worker runs over it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use sealwire::{Clock, PeerId, Time};
use sealwire_cli::error::Error;

use super::ending::Ending;
use super::pattern::Pattern;
use super::peers::Peers;
use super::worker::{Task, ThreadReport, Worker};
use super::workload::{self, Share};
use super::{Link, Received, Wire};
use crate::measure::meter::Window;
use crate::measure::results::Tally;
use crate::plan::{Kind, Plan, Rate};
use crate::testing;

/// How long it takes to connect, and to leave; each peer that stays takes longer than the last.
pub(super) const CONNECTS: Duration = Duration::from_micros(100);
const STAGGER: Duration = Duration::from_micros(1);
/// When the load begins; the clock starts with the test.
pub(super) const START: Time = Time::from_nanos(20_000_000);

/// What the server or the user does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    Says(PeerId, Vec<u8>),
    Joins(PeerId),
    Leaves(PeerId, bool),
    Stops,
}

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

pub(super) struct SimulatedLink {
    pub(super) now: Time,
    pattern: Pattern,
    sent: Vec<(PeerId, Range<usize>)>,
    finished: Vec<PeerId>,
    gone: HashSet<PeerId>,
}

impl SimulatedLink {
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

impl Link for SimulatedLink {
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

/// A thread's peers, and the server that they load.
pub(super) struct Simulation<S> {
    pub(super) window: Window,
    /// The number from which on peers are refused, and the one from which on they cannot begin
    /// to connect.
    pub(super) refused_from: usize,
    pub(super) fails_from: usize,
    /// With this clock, time is real. Several threads need that to agree on a time.
    pub(super) clock: Option<Clock>,
    plan: Plan,
    share: Share,
    peers: Peers,
    link: SimulatedLink,
    begun: usize,
    /// What happens next, in the order of time, then of arrival.
    events: BTreeMap<Time, Vec<Event>>,
    /// When the server sends its last bytes to a peer.
    last: HashMap<PeerId, Time>,
    stop: Arc<AtomicBool>,
    /// How many turns in a row time stood still.
    spins: u32,
    /// What the server does with a message, and when.
    server: S,
}

impl<S: FnMut(Time, PeerId, &[u8]) -> Vec<(Time, Event)>> Simulation<S> {
    pub(super) fn new(plan: &Plan, server: S) -> Self {
        Self::of_thread(plan, 0, server)
    }

    pub(super) fn of_thread(plan: &Plan, thread: usize, server: S) -> Self {
        let (pattern, share) = (Pattern::new(plan.size), Share::new(plan, thread));
        Self {
            window: Window::new(plan, START),
            refused_from: usize::MAX,
            fails_from: usize::MAX,
            clock: None,
            plan: plan.clone(),
            share,
            peers: Peers::new(workload::new(plan, &pattern, share)),
            link: SimulatedLink::new(pattern),
            begun: 0,
            events: BTreeMap::new(),
            last: HashMap::new(),
            stop: Arc::default(),
            spins: 0,
            server,
        }
    }

    pub(super) fn pattern(&self) -> Pattern {
        self.link.pattern.clone()
    }

    pub(super) fn at(&mut self, time: Time, event: Event) {
        if let Event::Says(peer, _) = event {
            let last = self.last.entry(peer).or_default();
            *last = time.max(*last);
        }
        self.events.entry(time).or_default().push(event);
    }

    /// Runs to the end. Returns what was measured; its account holds.
    pub(super) fn run(self) -> Tally {
        match self.reports().pop() {
            Some(Ok(ThreadReport::Done(done))) => {
                assert!(done.tally.account.holds(), "{:?}", done.tally.account);
                done.tally
            }
            _ => panic!("it says something else last"),
        }
    }

    /// The same; the user ends the run at `at`.
    pub(super) fn cut_short(mut self, at: Time) -> Tally {
        self.at(at, Event::Stops);
        self.run()
    }

    /// Runs to the end. Returns all that the worker reports.
    pub(super) fn reports(self) -> Vec<Result<ThreadReport, Error>> {
        let ending = Ending::new(1, &self.stop);
        self.reports_until(&Arc::new(ending))
    }

    /// The same; `ending` is shared by several threads.
    pub(super) fn reports_until(
        mut self,
        ending: &Arc<Ending>,
    ) -> Vec<Result<ThreadReport, Error>> {
        let (sender, reports) = mpsc::channel();
        let (begin, heard) = mpsc::channel();
        begin.send(self.window).unwrap();
        let task = Task {
            plan: self.plan.clone(),
            share: self.share,
            interval: self.plan.duration / 10,
            gauge: Arc::default(),
            ending: ending.clone(),
            reports: sender,
            begin: heard,
        };
        Worker::work(task, &mut self);
        reports.iter().collect()
    }

    fn deliver(&mut self) {
        let now = self.link.now;
        for (peer, part) in std::mem::take(&mut self.link.sent) {
            let bytes = self.link.pattern.bytes()[part].to_vec();
            for (time, event) in (self.server)(now, peer, &bytes) {
                self.at(time, event);
            }
        }
        for peer in std::mem::take(&mut self.link.finished) {
            let last = self.last.get(&peer).copied().unwrap_or_default();
            self.at(last.max(now + CONNECTS), Event::Leaves(peer, true));
        }
    }

    fn happen(&mut self, event: Event) {
        let now = self.link.now;
        match event {
            Event::Says(peer, bytes) => {
                let workload = self.peers.workload();
                workload.message(now, peer, Received(&[&bytes]));
                workload.go_on(&mut self.link, peer);
            }
            Event::Joins(peer) => {
                self.peers.workload().connected(now, peer);
                self.peers.joined(&mut self.link, peer);
            }
            Event::Leaves(peer, complete) => {
                if self.link.gone.insert(peer) {
                    let outcome = complete.then_some(()).ok_or("it is refused".into());
                    self.peers.left(now, peer, outcome);
                }
            }
            Event::Stops => self.stop.store(true, Ordering::Relaxed),
        }
        self.deliver();
    }
}

impl<S: FnMut(Time, PeerId, &[u8]) -> Vec<(Time, Event)>> Wire for Simulation<S> {
    fn connect(&mut self, _: Option<SocketAddr>) -> io::Result<PeerId> {
        if self.begun >= self.fails_from {
            return Err(io::Error::other("no port is left"));
        }
        let peer = peer(self.begun);
        let stagger = match self.plan.kind {
            Kind::Churn => Duration::ZERO,
            _ => STAGGER * self.begun as u32,
        };
        let event = match self.begun < self.refused_from {
            true => Event::Joins(peer),
            false => Event::Leaves(peer, false),
        };
        self.at(self.link.now + CONNECTS + stagger, event);
        self.begun += 1;
        Ok(peer)
    }

    fn turn(&mut self, until: Time) -> Result<(), Error> {
        let next = self.events.keys().next().copied();
        // Every turn takes a moment.
        let soonest = self.link.now + Duration::from_nanos(1);
        let time = until.min(next.unwrap_or(until)).max(soonest);
        self.spins = if time > soonest { 0 } else { self.spins + 1 };
        assert!(self.spins < 1000, "it spins, and time stands still");
        self.link.now = self.clock.map_or(time, |clock| clock.now());
        while let Some(next) = self.events.first_entry()
            && *next.key() <= self.link.now
        {
            for event in next.remove() {
                self.happen(event);
            }
        }
        self.peers.turn(&mut self.link);
        self.deliver();
        Ok(())
    }

    fn peers(&mut self) -> &mut Peers {
        &mut self.peers
    }

    fn now(&self) -> Time {
        self.link.now
    }
}
