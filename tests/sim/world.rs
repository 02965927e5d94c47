//! Endpoints, the network between them, and the clock that moves them all.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::seq::SliceRandom;
use sealwire::conn::Outcome;
use sealwire::endpoint::mode::Mode;
use sealwire::endpoint::transport::{LocalId, PeerId};
use sealwire::endpoint::{End, Endpoint, EndpointEvent, InputKind, Leaves, OutputKind, Setup};
use sealwire::time::Time;

use crate::net::{Faults, Net, Side, Wake};
use crate::people::{Shared, Watched, native};
use crate::port::{Plain, Port};

/// Turns without a step of the clock, past which something spins.
const SPINNING: usize = 200_000;
/// Bytes that each direction of a link holds unless told otherwise.
pub(crate) const SOCKET: usize = 64 * 1024;

/// One endpoint and what is its own.
pub(crate) struct Host {
    pub(crate) endpoint: Endpoint<Box<dyn Mode>>,
    pub(crate) log: Shared,
    pub(crate) locals: Vec<Plain>,
    pub(crate) events: Vec<EndpointEvent>,
    pub(crate) ends: BTreeMap<PeerId, Side>,
    /// Most bytes it has held between ticks.
    pub(crate) most_held: usize,
    woken: bool,
}

impl Host {
    /// How `peer` ended, if it did.
    pub(crate) fn outcome(&self, peer: PeerId) -> Option<&Outcome> {
        self.events.iter().find_map(|event| match event {
            EndpointEvent::Left(id, outcome) | EndpointEvent::Refused(id, outcome)
                if *id == peer =>
            {
                Some(outcome)
            }
            _ => None,
        })
    }

    pub(crate) fn has_joined(&self, peer: PeerId) -> bool {
        let joined =
            |event: &EndpointEvent| matches!(event, EndpointEvent::Joined(id) if *id == peer);
        self.events.iter().any(joined)
    }

    /// Fails unless everything that peers took is given back.
    pub(crate) fn assert_empty(&self, why: &str) {
        let endpoint = &self.endpoint;
        let left = (endpoint.connections(), endpoint.proved(), endpoint.queued());
        assert_eq!(left, (0, 0, 0), "connections, proved, queued; {why}");
        assert_eq!(
            (endpoint.keyed(), endpoint.held()),
            (0, 0),
            "keyed, held; {why}"
        );
    }
}

/// A connection between two hosts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair {
    pub(crate) link: usize,
    /// What the server, and what the client, calls the other.
    pub(crate) at_server: PeerId,
    pub(crate) at_client: PeerId,
}

/// Everything.
pub(crate) struct World {
    pub(crate) net: Net,
    pub(crate) hosts: Vec<Host>,
}

impl World {
    pub(crate) fn new(seed: u64, faults: Faults) -> Self {
        Self {
            net: Net::new(seed, faults),
            hosts: Vec::new(),
        }
    }

    /// A world that breaks nothing.
    pub(crate) fn calm() -> Self {
        Self::new(0, Faults::default())
    }

    /// A calm world with one endpoint, and its number.
    pub(crate) fn with(setup: Setup, mode: impl Mode + 'static) -> (Self, usize) {
        let mut world = Self::calm();
        let host = world.host(setup, mode);
        (world, host)
    }

    /// How `peer` of `host` ended, if it did.
    pub(crate) fn outcome(&self, host: usize, peer: PeerId) -> Option<&Outcome> {
        self.hosts[host].outcome(peer)
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
        let log = Shared::default();
        let mode: Box<dyn Mode> = Box::new(Watched(mode, log.clone()));
        self.hosts.push(Host {
            endpoint: Endpoint::new(setup, mode),
            log,
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

    /// Connects `client` to `server`, through pipes of `capacity` bytes.
    pub(crate) fn connect_by(&mut self, client: usize, server: usize, capacity: usize) -> Pair {
        let (link, at_server) = self.accept(server, capacity);
        let at_client = self.dial_over(client, link);
        Pair {
            link,
            at_server,
            at_client,
        }
    }

    /// Adds a native client of `server` that does `mode`, and connects it.
    pub(crate) fn client(&mut self, server: usize, mode: impl Mode + 'static) -> (usize, Pair) {
        let seed = self.hosts.len() as u64 + 1;
        let client = self.host(native(seed, Leaves::WithPeers), mode);
        (client, self.connect(client, server))
    }

    pub(crate) fn connect(&mut self, client: usize, server: usize) -> Pair {
        self.connect_by(client, server, SOCKET)
    }

    /// Connects to `server`; the other end is the test's.
    pub(crate) fn accept(&mut self, server: usize, capacity: usize) -> (usize, PeerId) {
        let link = self.net.link(capacity);
        let now = self.now();
        let host = &mut self.hosts[server];
        let peer = host.endpoint.accepted(now);
        host.ends.insert(peer, Side::server(link));
        host.woken = true;
        (link, peer)
    }

    /// Has `client` connect; the other end is the test's.
    pub(crate) fn dial(&mut self, client: usize) -> (usize, PeerId) {
        let link = self.net.link(SOCKET);
        (link, self.dial_over(client, link))
    }

    fn dial_over(&mut self, client: usize, link: usize) -> PeerId {
        let now = self.now();
        let host = &mut self.hosts[client];
        let peer = host.endpoint.dialled(now);
        host.ends.insert(peer, Side::client(link));
        host.woken = true;
        peer
    }

    /// Says that the locals of `host` may be read and written again.
    pub(crate) fn poke(&mut self, host: usize) {
        let host = &mut self.hosts[host];
        host.woken = true;
        host.endpoint.local_readable(LocalId::FIRST);
        host.endpoint.local_writable(LocalId::FIRST);
    }

    /// Gives the first local of `host` more to be read.
    pub(crate) fn give(&mut self, host: usize, bytes: &[u8]) {
        self.hosts[host].locals[0].input.extend(bytes);
        self.poke(host);
    }

    /// Ends the input of the first local of `host`.
    pub(crate) fn end_input(&mut self, host: usize) {
        self.hosts[host].locals[0].input_ended = true;
        self.poke(host);
    }

    /// Has the first local of `host` accept everything.
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

    /// Does all that can be done without a step of the clock.
    pub(crate) fn settle(&mut self) {
        for _ in 0..SPINNING {
            for wake in self.net.deliver() {
                self.wake(wake);
            }
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
        host.woken |= host.log.borrow().eager && host.endpoint.queued() == 0;
        host.most_held = host.most_held.max(host.endpoint.held());
    }

    /// When something happens next by itself.
    fn next(&self) -> Option<Time> {
        let hosts = self.hosts.iter();
        let timeouts = hosts.filter_map(|host| host.endpoint.next_timeout());
        timeouts.chain(self.net.next()).min()
    }

    /// Goes on for `span`.
    pub(crate) fn run(&mut self, span: Duration) {
        let end = self.now() + span;
        self.settle();
        while let Some(next) = self.next().filter(|&next| next <= end) {
            self.net.now = next.max(self.net.now);
            self.settle();
        }
        self.net.now = end;
        self.settle();
    }

    pub(crate) fn run_millis(&mut self, millis: u64) {
        self.run(Duration::from_millis(millis));
    }

    /// Jumps forward at once: no endpoint runs meanwhile.
    pub(crate) fn jump(&mut self, span: Duration) {
        self.net.now = self.net.now + span;
        self.settle();
    }
}

/// Goal: no endpoint leaks a buffer, a queue item or a key, in any run. Method: break all
/// links when a world ends, and let locals take what is theirs; what an endpoint still
/// has then is leaked.
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
