//! An endpoint, its peers and its locals, and what all runs of whole endpoints do with them.

use std::collections::BTreeMap;
use std::time::Duration;

use sealwire::classic::ClassicConnection;
use sealwire::limits::{
    FAN_OUT, INPUT_SCRATCH, LOCAL_BUDGET, MAX_RECORD, MOST_SHARE, QUEUED_ITEM, SHORT,
};
use sealwire::{
    ClassicKeys, Endpoint, EndpointEvent, Identity, Leaves, LocalId, Mode, Origin, PeerId, Setup,
    Time,
};

use crate::chosen::kernel;
use crate::classic::Frames;
use crate::hand::{Hand, first, secrets};
use crate::local::Plain;
use crate::net::{Link, Port, Wire};
use crate::peers::{Peer, Speaks};
use crate::script::Script;
use crate::session::SPANS;

/// Most peers of a run, and most bytes that are sent: a run takes milliseconds.
pub(crate) const PEERS: usize = 10;
const BYTES: usize = 1 << 19;
/// Ticks without a step of the clock, past which something spins.
const SPINNING: usize = 50_000;
/// A buffer is at most this much larger than what is in it: from [`SHORT`] on it has the size of a
/// record.
const ROUNDED: usize = MAX_RECORD.div_ceil(SHORT);
/// The largest message, where it is not the default.
const SMALL: usize = 36_000;

pub(crate) struct World<M> {
    pub(crate) now: Time,
    pub(crate) endpoint: Endpoint<M>,
    pub(crate) links: Vec<Link>,
    pub(crate) peers: Vec<Peer>,
    pub(crate) places: BTreeMap<PeerId, usize>,
    /// The local that belongs to no peer.
    pub(crate) local: Plain,
    /// Those that belong to a peer each.
    pub(crate) wires: BTreeMap<LocalId, Wire>,
    /// Whether the endpoint speaks classic, too, and its largest message.
    pub(crate) classic: bool,
    longest: usize,
    /// Bytes that peers and locals have sent.
    pub(crate) sent: usize,
    /// Checks what must hold after every tick.
    judge: fn(&mut Self),
}

/// What an endpoint is made of that leaves as the script says, with keys of one format.
pub(crate) fn setup(leaves: Leaves) -> Setup {
    let mut setup = Setup::new(kernel(), leaves, [5; 32]);
    setup.identity = Identity::new(&secrets());
    setup
}

/// Brings the bounds near: two messages of three records fill them.
pub(crate) fn bound(setup: &mut Setup) {
    setup.limits.max_message = SMALL;
    setup.limits.max_assembling = 4 * SMALL;
    setup.limits.max_queue = 2 * SMALL;
    setup.limits.max_queued = 4 * SMALL;
}

impl<M: Mode> World<M> {
    pub(crate) fn new(setup: Setup, mode: M, judge: fn(&mut Self)) -> Self {
        Self {
            now: Time::from_nanos(1),
            classic: setup.classic.is_some(),
            longest: setup.limits.max_message,
            endpoint: Endpoint::new(setup, mode),
            links: Vec::new(),
            peers: Vec::new(),
            places: BTreeMap::new(),
            local: Plain::open(b""),
            wires: BTreeMap::new(),
            sent: 0,
            judge,
        }
    }

    /// Lets `act` do one thing after the other, as the script says: it gets a choice, and a
    /// number that says to which peer or local.
    pub(crate) fn play(
        &mut self,
        script: &mut Script<'_>,
        act: fn(&mut Self, u8, usize, &mut Script<'_>),
    ) {
        while !script.has_ended() && self.sent < BYTES {
            let (choice, number) = (script.byte(), script.byte());
            act(self, choice, usize::from(number & 127), script);
            // Sometimes more happens before the endpoint looks.
            if number < 128 {
                self.settle();
            }
        }
    }

    // ---- what happens ----------------------------------------------------

    pub(crate) fn adopt(&mut self) {
        if self.peers.len() < PEERS {
            let secret = |direction| [direction + 2 * self.peers.len() as u8; 32];
            let keys = [secret(1), secret(2)];
            let id = self.endpoint.adopt(self.now, first(&keys));
            self.add(id, Speaks::Native(Box::new(Hand::new(&keys))));
        }
    }

    pub(crate) fn accept(&mut self) {
        if self.peers.len() < PEERS && self.endpoint.is_accepting() {
            let id = self.endpoint.accepted(self.now, Origin::new(1));
            self.add(id, Speaks::Nothing);
        }
    }

    pub(crate) fn add(&mut self, id: PeerId, speaks: Speaks) {
        let ear = || ClassicConnection::new(ClassicKeys::new(&secrets()), 1 << 30, self.now);
        let ear = self.classic.then(ear);
        self.places.insert(id, self.peers.len());
        self.links.push(Link::new());
        self.endpoint.set_name(id, "a name");
        self.peers.push(Peer::new(id, speaks, ear));
    }

    /// A peer says hello, or answers the endpoint's.
    pub(crate) fn greet(&mut self, index: usize, script: &mut Script<'_>) {
        let service = self.endpoint.mode().service();
        let Some(bytes) = self.peers[index].greet(index as u8 + 1, service) else {
            return;
        };
        self.send(index, &bytes);
        if script.byte() < 20 {
            // Nobody understands it.
            let last = self.links[index].incoming.len() - 1;
            self.links[index].incoming[last] ^= 1;
            self.peers[index].speaks = Speaks::Nothing;
        }
    }

    pub(crate) fn junk(&mut self, index: usize, script: &mut Script<'_>) {
        let bytes = script.lump();
        if !bytes.is_empty() {
            self.peers[index].junk();
            self.send(index, &bytes);
        }
    }

    /// A peer sends records or frames.
    pub(crate) fn speak(&mut self, index: usize, script: &mut Script<'_>) {
        let peer = &mut self.peers[index];
        if matches!(peer.speaks, Speaks::Nothing) && self.classic {
            let mut frames = Frames::new(index, self.longest);
            frames.junk = peer.has_spoken;
            peer.speaks = Speaks::Classic(Box::new(frames));
        }
        if let Some(bytes) = peer.next(script) {
            self.send(index, &bytes);
        }
    }

    pub(crate) fn send(&mut self, index: usize, bytes: &[u8]) {
        self.sent += bytes.len();
        self.peers[index].has_spoken |= !bytes.is_empty();
        self.links[index].incoming.extend(bytes);
    }

    /// Lets time pass: the endpoint runs meanwhile, or stands still.
    pub(crate) fn advance(&mut self, script: &mut Script<'_>) {
        let span = Duration::from_millis(script.pick(&SPANS));
        match script.flag() {
            true => self.now = self.now + span,
            false => self.run_for(span),
        }
    }

    // ---- what the endpoint does ------------------------------------------

    fn tick(&mut self) {
        let mut port = Port {
            links: &mut self.links,
            places: &self.places,
            local: &mut self.local,
            wires: &mut self.wires,
        };
        self.endpoint.tick(self.now, &mut port);
        while let Some(event) = self.endpoint.poll_event() {
            self.note(event);
        }
        self.hear();
        self.check_memory();
        (self.judge)(self);
    }

    /// Tells the endpoint what has become possible. Returns whether something has.
    fn wake(&mut self) -> bool {
        let mut woken = false;
        for (link, peer) in self.links.iter_mut().zip(&self.peers) {
            let (readable, writable) = link.wakes();
            if link.tells_end() {
                self.endpoint.end_told(peer.id);
            }
            if readable {
                self.endpoint.readable(peer.id);
            }
            if writable {
                self.endpoint.writable(peer.id);
            }
            woken |= readable || writable;
        }
        for (&local, wire) in &mut self.wires {
            let (readable, writable) = match wire.is_open {
                true => wire.link.wakes(),
                false => (false, false),
            };
            if readable {
                self.endpoint.local_readable(local);
            }
            if writable {
                self.endpoint.local_writable(local);
            }
            woken |= readable || writable;
        }
        woken
    }

    /// Lets the endpoint do all that it can without a step of the clock.
    pub(crate) fn settle(&mut self) {
        self.wake();
        self.tick();
        for _ in 0..SPINNING {
            let is_due = self
                .endpoint
                .next_timeout()
                .is_some_and(|at| at <= self.now);
            if !self.wake() && !is_due {
                return;
            }
            self.tick();
        }
        panic!("something spins");
    }

    pub(crate) fn run_for(&mut self, span: Duration) {
        let end = self.now + span;
        self.settle();
        for _ in 0..SPINNING {
            match self.endpoint.next_timeout() {
                Some(next) if next <= end => self.now = next.max(self.now),
                _ => {
                    self.now = end;
                    return;
                }
            }
            self.settle();
        }
        panic!("a timeout comes for ever");
    }

    fn note(&mut self, event: EndpointEvent) {
        let (id, outcome) = match event {
            EndpointEvent::Joined(id) => {
                let peer = &mut self.peers[self.places[&id]];
                assert!(!peer.joined && peer.outcome.is_none());
                peer.joined = true;
                return;
            }
            EndpointEvent::Left(id, outcome) => {
                assert!(self.peers[self.places[&id]].joined);
                (id, outcome)
            }
            EndpointEvent::Refused(id, outcome) => {
                assert!(!self.peers[self.places[&id]].joined);
                (id, outcome)
            }
            EndpointEvent::Dial(local, peer) => {
                let wire = self.wires.entry(local);
                let wire = wire.or_insert_with(|| Wire::new(None));
                assert_eq!(wire.peer.replace(self.places[&peer]), None, "asked twice");
                return;
            }
            _ => return,
        };
        let index = self.places[&id];
        assert!(self.links[index].closed, "it is gone, and not closed");
        let before = self.peers[index].outcome.replace(outcome);
        assert_eq!(before, None, "it left twice");
    }

    /// Lets every peer take what the endpoint has written.
    fn hear(&mut self) {
        for (peer, link) in self.peers.iter_mut().zip(&mut self.links) {
            if !link.outgoing.is_empty() {
                let bytes = std::mem::take(&mut link.outgoing);
                peer.hear(&bytes);
            }
        }
    }

    // ---- what must hold --------------------------------------------------

    /// Unfinished messages keep to their bound. What waits may exceed its own by what one tick
    /// adds, and by what was sealed and no socket took.
    fn check_memory(&self) {
        let (endpoint, limits) = (&self.endpoint, self.endpoint.limits());
        let unfinished = endpoint.unfinished();
        assert!(
            unfinished <= limits.max_assembling,
            "{unfinished} unfinished"
        );
        let bytes = ROUNDED * (INPUT_SCRATCH + LOCAL_BUDGET);
        // Of peers, and of a local.
        let items = 2 * FAN_OUT * QUEUED_ITEM;
        let sealed = self.peers.len() * MOST_SHARE;
        let queued = endpoint.queued_memory();
        let most = 2 * limits.max_queued + bytes + items + sealed;
        assert!(queued <= most, "{queued} queued, and at most {most}");
    }

    /// Lets peers and locals take everything.
    pub(crate) fn open_all(&mut self) {
        let wires = self.wires.values_mut().map(|wire| &mut wire.link);
        for link in self.links.iter_mut().chain(wires) {
            link.room = usize::MAX;
            link.short = (0, 0);
        }
    }

    /// Takes all peers away: then nothing is left.
    pub(crate) fn end(&mut self) {
        for link in &mut self.links {
            link.broken = true;
        }
        self.run_for(Duration::from_secs(200));
        let endpoint = &self.endpoint;
        let left = (endpoint.connections(), endpoint.proved(), endpoint.queued());
        assert_eq!(left, (0, 0, 0), "connections, proved, queued");
        assert_eq!((endpoint.keyed(), endpoint.held()), (0, 0), "keyed, held");
        assert!(self.peers.iter().all(|peer| peer.outcome.is_some()));
        self.endpoint.stop(self.now);
        self.run_for(Duration::from_secs(10));
        assert!(self.endpoint.end().is_some(), "it does not end");
    }
}
