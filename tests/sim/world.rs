//! Endpoints, the network between them, and the clock that moves them all.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::seq::SliceRandom;
use sealwire::{
    Deadline, End, Endpoint, EndpointEvent, Failure, InputKind, Leaves, LocalId, Mode, Origin,
    Outcome, OutputKind, PeerId, Reason, Setup, Time,
};

use crate::net::{Faults, Net, Side, Wake};
use crate::people::{Log, Watched, late, native};
use crate::port::{Plain, Port};

/// Turns without a step of the clock, past which something spins.
const SPINNING: usize = 200_000;

/// One endpoint and what is its own.
pub(crate) struct Host {
    pub(crate) endpoint: Endpoint<Watched>,
    pub(crate) locals: Vec<Plain>,
    pub(crate) events: Vec<EndpointEvent>,
    pub(crate) ends: BTreeMap<PeerId, Side>,
    /// Most bytes it has held between ticks.
    pub(crate) most_held: usize,
    woken: bool,
}

impl Host {
    /// What its mode was told.
    pub(crate) fn log(&self) -> &Log {
        &self.endpoint.mode().log
    }

    /// How `peer` ended, if it did.
    pub(crate) fn outcome(&self, peer: PeerId) -> Option<Outcome> {
        self.events.iter().find_map(|event| match event {
            EndpointEvent::Left(id, outcome) | EndpointEvent::Refused(id, outcome) => {
                (*id == peer).then(|| outcome.clone())
            }
            _ => None,
        })
    }

    pub(crate) fn has_joined(&self, peer: PeerId) -> bool {
        let joined =
            |event: &EndpointEvent| matches!(event, EndpointEvent::Joined(id) if *id == peer);
        self.events.iter().any(joined)
    }

    /// What it told the user that is about no single peer.
    pub(crate) fn notices(&self) -> Vec<String> {
        let notices = self.events.iter().filter_map(|event| match event {
            EndpointEvent::Notice(notice) => Some(format!("{notice:?}")),
            _ => None,
        });
        notices.collect()
    }

    /// Fails unless everything that peers took is given back.
    pub(crate) fn assert_empty(&self, why: &str) {
        let endpoint = &self.endpoint;
        let left = (endpoint.connections(), endpoint.proved(), endpoint.queued());
        assert_eq!(left, (0, 0, 0), "connections, proved, queued; {why}");
        let left = (endpoint.keyed(), endpoint.held());
        assert_eq!(left, (0, 0), "keyed, held; {why}");
    }
}

/// The test's end of a connection to a host.
pub(crate) struct Link {
    pub(crate) end: Side,
    /// What the host calls it.
    pub(crate) peer: PeerId,
}

/// A connection between two hosts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair {
    pub(crate) link: usize,
    /// What the server, and what the client, calls the other.
    pub(crate) at_server: PeerId,
    pub(crate) at_client: PeerId,
}

/// Everything. The first host is the one that others connect to, or that a test plays with.
pub(crate) struct World {
    pub(crate) net: Net,
    pub(crate) hosts: Vec<Host>,
    /// Where connections come from that hosts accept.
    pub(crate) origin: Origin,
}

impl World {
    pub(crate) fn new(seed: u64, faults: Faults) -> Self {
        Self {
            net: Net::new(seed, faults),
            hosts: Vec::new(),
            origin: Origin::new(1),
        }
    }

    /// A world that breaks nothing, with one endpoint, and its number.
    pub(crate) fn with(setup: Setup, mode: impl Mode + 'static) -> (Self, usize) {
        let mut world = Self::new(0, Faults::default());
        let host = world.host(setup, mode);
        (world, host)
    }

    /// How `peer` of the first host ended, if it did.
    pub(crate) fn outcome(&self, peer: PeerId) -> Option<Outcome> {
        self.hosts[0].outcome(peer)
    }

    /// The reason for which the first host gave up `peer`, if it did.
    pub(crate) fn gave(&self, peer: PeerId) -> Option<Reason> {
        match self.outcome(peer) {
            Some(Err(Failure::Gave(abort))) => Some(abort.reason),
            _ => None,
        }
    }

    /// How `host` ended, if it did.
    pub(crate) fn end(&self, host: usize) -> Option<End> {
        self.hosts[host].endpoint.end()
    }

    pub(crate) fn now(&self) -> Time {
        self.net.now
    }

    /// Adds an endpoint; its number is how it is called from then on.
    pub(crate) fn host(&mut self, setup: Setup, mode: impl Mode + 'static) -> usize {
        self.hosts.push(Host {
            endpoint: Endpoint::new(setup, Watched::new(mode)),
            locals: Vec::new(),
            events: Vec::new(),
            ends: BTreeMap::new(),
            most_held: 0,
            woken: true,
        });
        self.hosts.len() - 1
    }

    /// Gives a host its next local, which is written too.
    pub(crate) fn local(&mut self, host: usize, input: Option<InputKind>, plain: Plain) -> LocalId {
        let host = &mut self.hosts[host];
        host.locals.push(plain);
        host.endpoint.add_local(input, Some(OutputKind::Stream))
    }

    /// Adds a native client that does `mode`, and connects it.
    pub(crate) fn client(&mut self, mode: impl Mode + 'static) -> (usize, Pair) {
        let seed = self.hosts.len() as u64 + 1;
        let client = self.host(native(seed, Leaves::WithPeers), mode);
        (client, self.connect(client))
    }

    /// Connects `client` to the first host.
    pub(crate) fn connect(&mut self, client: usize) -> Pair {
        let link = self.net.link();
        Pair {
            link,
            at_server: self.attach(0, Side::server(link)),
            at_client: self.attach(client, Side::client(link)),
        }
    }

    /// Lets the first host accept a connection, and settles.
    pub(crate) fn accept(&mut self) -> Link {
        let link = self.net.link();
        let peer = self.attach(0, Side::server(link));
        self.settle();
        let end = Side::client(link);
        Link { end, peer }
    }

    /// Lets the first host connect, and settles.
    pub(crate) fn dial(&mut self) -> Link {
        let link = self.net.link();
        let peer = self.attach(0, Side::client(link));
        self.settle();
        let end = Side::server(link);
        Link { end, peer }
    }

    /// Gives a host its end of a link.
    fn attach(&mut self, host: usize, end: Side) -> PeerId {
        let host = &mut self.hosts[host];
        let peer = match end.client {
            true => host.endpoint.dialled(self.net.now),
            false => host.endpoint.accepted(self.net.now, self.origin),
        };
        host.ends.insert(peer, end);
        host.woken = true;
        peer
    }

    /// Writes all of `bytes`, which fit, and lets them be taken.
    pub(crate) fn write(&mut self, end: Side, bytes: &[u8]) {
        assert_eq!(self.net.write(end, bytes).unwrap(), bytes.len());
        self.settle();
    }

    /// Reads all that is there, and lets the other side write more.
    pub(crate) fn read(&mut self, end: Side) -> Vec<u8> {
        let mut bytes = vec![0; self.net.incoming(end).capacity];
        let count = self.net.read(end, &mut bytes).map_or(0, |read| read.0);
        bytes.truncate(count);
        self.settle();
        bytes
    }

    /// Ends the stream that `end` writes.
    pub(crate) fn shut_down(&mut self, end: Side) {
        self.net.shut_down(end);
        self.settle();
    }

    pub(crate) fn close(&mut self, end: Side) {
        self.net.close(end);
        self.settle();
    }

    /// Breaks a link.
    pub(crate) fn reset(&mut self, link: usize) {
        self.net.reset(link);
        self.settle();
    }

    /// Says that the locals of `host` may be read and written again.
    pub(crate) fn poke(&mut self, host: usize) {
        let host = &mut self.hosts[host];
        host.woken = true;
        host.endpoint.local_readable(LocalId::FIRST);
        host.endpoint.local_writable(LocalId::FIRST);
    }

    /// Gives the first local of `host` more to read.
    pub(crate) fn give(&mut self, host: usize, bytes: &[u8]) {
        self.hosts[host].locals[0].input.extend(bytes);
        self.poke(host);
    }

    /// Ends the input of the first local of `host`.
    pub(crate) fn end_input(&mut self, host: usize) {
        self.hosts[host].locals[0].input_ended = true;
        self.poke(host);
    }

    /// Lets the first local of `host` accept everything.
    pub(crate) fn unblock(&mut self, host: usize) {
        self.hosts[host].locals[0].room = usize::MAX;
        self.poke(host);
    }

    /// Stops `host`.
    pub(crate) fn stop(&mut self, host: usize) {
        let now = self.now();
        self.hosts[host].endpoint.stop(now);
        self.hosts[host].woken = true;
    }

    fn wake(&mut self, wake: Wake) {
        let (Wake::Readable(end) | Wake::Writable(end)) = wake;
        for host in &mut self.hosts {
            let found = host.ends.iter().find(|(_, at)| **at == end);
            let Some((&peer, _)) = found else {
                continue;
            };
            host.woken = true;
            match wake {
                Wake::Readable(_) => host.endpoint.readable(peer),
                Wake::Writable(_) => host.endpoint.writable(peer),
            }
        }
    }

    /// Moves the clock by `millis`, then lets `host` tick once.
    pub(crate) fn tick_after(&mut self, host: usize, millis: u64) {
        self.net.now = self.net.now + Duration::from_millis(millis);
        self.deliver();
        self.tick(host);
    }

    fn deliver(&mut self) {
        for wake in self.net.deliver() {
            self.wake(wake);
        }
    }

    /// Does all that can be done without a step of the clock.
    pub(crate) fn settle(&mut self) {
        for _ in 0..SPINNING {
            self.deliver();
            let now = self.net.now;
            let due = |host: &Host| host.endpoint.next_timeout().is_some_and(|at| at <= now);
            let ready = (0..self.hosts.len())
                .filter(|&index| self.hosts[index].woken || due(&self.hosts[index]));
            let mut ready: Vec<usize> = ready.collect();
            if ready.is_empty() {
                return;
            }
            ready.shuffle(&mut self.net.rng);
            for index in ready {
                self.tick(index);
            }
        }
        panic!("something spins");
    }

    fn tick(&mut self, index: usize) {
        let host = &mut self.hosts[index];
        host.woken = false;
        let now = self.net.now;
        let mut port = Port {
            net: &mut self.net,
            ends: &mut host.ends,
            locals: &mut host.locals,
        };
        host.endpoint.tick(now, &mut port);
        while let Some(event) = host.endpoint.poll_event() {
            self.net.note((index, format!("{event:?}")));
            host.events.push(event);
        }
        host.woken |= host.log().eager && host.endpoint.queued() == 0;
        host.most_held = host.most_held.max(host.endpoint.held());
        let is_blocked = |plain: &Plain| plain.room == 0;
        if host.endpoint.connections() == 0 && !host.locals.iter().any(is_blocked) {
            host.assert_empty("no peer is there");
        }
    }

    /// When something happens next by itself.
    fn next(&self) -> Option<Time> {
        let hosts = self.hosts.iter();
        let timeouts = hosts.filter_map(|host| host.endpoint.next_timeout());
        timeouts.chain(self.net.next()).min()
    }

    /// Runs for `millis`.
    pub(crate) fn run_millis(&mut self, millis: u64) {
        let end = self.now() + Duration::from_millis(millis);
        self.settle();
        while let Some(next) = self.next().filter(|&next| next <= end) {
            self.net.now = next.max(self.net.now);
            self.settle();
        }
        self.net.now = end;
        self.settle();
    }

    /// Asserts that the first host closes `peer` after `millis`, and not sooner.
    pub(crate) fn assert_late(&mut self, peer: PeerId, millis: u64, deadline: Deadline) {
        self.run_millis(millis - 1);
        assert_eq!(self.outcome(peer), None);
        self.run_millis(2);
        assert_eq!(self.outcome(peer), late(deadline));
    }

    /// Jumps forward at once: no endpoint runs meanwhile.
    pub(crate) fn jump(&mut self, span: Duration) {
        self.net.now = self.net.now + span;
        self.settle();
    }
}

/// Goal: no endpoint leaks a buffer, a queue item or a key, in any run. Method: look after
/// each tick that leaves no peer; and break all links when a world ends, and let locals take
/// what is theirs. What an endpoint still has then is leaked.
impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        self.net.reset_all();
        for index in 0..self.hosts.len() {
            for plain in &mut self.hosts[index].locals {
                plain.room = usize::MAX;
            }
            self.poke(index);
        }
        self.run_millis(1000);
        for (index, host) in self.hosts.iter().enumerate() {
            host.assert_empty(&format!("host {index}, at the end of the run"));
        }
    }
}
