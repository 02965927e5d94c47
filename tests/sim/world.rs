//! Endpoints, the network between them, and the clock that moves them all.

use std::collections::{BTreeMap, VecDeque};
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use rand::seq::SliceRandom;
use sealwire::{
    Abort, Deadline, End, Endpoint, EndpointEvent, Failure, InputKind, Leaves, LocalId, Mode,
    Origin, Outcome, OutputKind, PeerId, Reason, Setup, Time,
};

use crate::net::{Faults, Net, Side, Wake};
use crate::people::{Log, Watched, late, native};
use crate::port::{Plain, Port};

/// Turns without a step of the clock, past which something spins.
const SPINNING: usize = 200_000;

/// The endpoint of a host that has not [retired](World::retire).
pub(crate) struct Seat(Option<Endpoint<Watched>>);

impl Deref for Seat {
    type Target = Endpoint<Watched>;

    fn deref(&self) -> &Self::Target {
        self.0.as_ref().expect("it has not retired")
    }
}

impl DerefMut for Seat {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.0.as_mut().expect("it has not retired")
    }
}

/// One endpoint and what is its own.
pub(crate) struct Host {
    pub(crate) endpoint: Seat,
    /// What its mode was told, if it has retired.
    told: Log,
    pub(crate) locals: Vec<Plain>,
    /// Its ends of the links of locals that belong to a peer.
    pub(crate) wires: BTreeMap<LocalId, Side>,
    pub(crate) events: Vec<EndpointEvent>,
    pub(crate) ends: BTreeMap<PeerId, Side>,
    /// Most bytes it has held between ticks.
    pub(crate) most_held: usize,
    /// Most connections it has had between ticks.
    pub(crate) most_connections: usize,
    pub(crate) ticks: usize,
    woken: bool,
}

impl Host {
    /// What its mode was told.
    pub(crate) fn log(&self) -> &Log {
        match &self.endpoint.0 {
            Some(endpoint) => &endpoint.mode().log,
            None => &self.told,
        }
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

/// How the first host takes in those that [call](World::call) it. A connection that it may not
/// accept waits in a backlog, as in a system's: its client is connected, and may have written.
pub(crate) struct Door {
    /// How many connections it has descriptors for.
    pub(crate) descriptors: usize,
    /// Accepting fails until then.
    pub(crate) shut_until: Time,
    backlog: VecDeque<usize>,
    /// What it calls the connection of each link that it has accepted, and since when.
    pub(crate) admitted: BTreeMap<usize, (PeerId, Time)>,
}

impl Door {
    fn new() -> Self {
        Self {
            descriptors: usize::MAX,
            shut_until: Time::ZERO,
            backlog: VecDeque::new(),
            admitted: BTreeMap::new(),
        }
    }
}

/// Everything. The first host is the one that others connect to, or that a test plays with.
pub(crate) struct World {
    pub(crate) net: Net,
    pub(crate) hosts: Vec<Host>,
    /// Where connections come from that hosts accept.
    pub(crate) origin: Origin,
    pub(crate) door: Door,
    /// The hosts that may have something to do.
    live: Vec<usize>,
}

impl World {
    pub(crate) fn new(seed: u64, faults: Faults) -> Self {
        Self {
            net: Net::new(seed, faults),
            hosts: Vec::new(),
            origin: Origin::new(1),
            door: Door::new(),
            live: Vec::new(),
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
            endpoint: Seat(Some(Endpoint::new(setup, Watched::new(mode)))),
            told: Log::default(),
            locals: Vec::new(),
            wires: BTreeMap::new(),
            events: Vec::new(),
            ends: BTreeMap::new(),
            most_held: 0,
            most_connections: 0,
            ticks: 0,
            woken: true,
        });
        self.live.push(self.hosts.len() - 1);
        self.hosts.len() - 1
    }

    /// Lets `host` tick, also if it has ended.
    fn rouse(&mut self, host: usize) {
        self.hosts[host].woken = true;
        if !self.live.contains(&host) {
            self.live.push(host);
        }
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

    /// Connects to the first host, which accepts when it can. Returns the link.
    pub(crate) fn knock(&mut self) -> usize {
        let link = self.net.link();
        self.door.backlog.push_back(link);
        link
    }

    /// As [`knock`](Self::knock), for `client`. Returns what that calls the connection, too.
    pub(crate) fn call(&mut self, client: usize) -> (usize, PeerId) {
        let link = self.knock();
        (link, self.attach(client, Side::client(link)))
    }

    /// Accepts what waits, as far as the door lets it in. A host that accepts nothing any more
    /// has closed its listener, so that the system resets what waits.
    fn admit(&mut self) {
        while let Some(&link) = self.door.backlog.front() {
            let host = &self.hosts[0];
            if !host.endpoint.is_accepting() {
                self.refuse(link);
            } else if self.door.shut_until > self.net.now
                || host.ends.len() >= self.door.descriptors
            {
                return;
            } else {
                let peer = self.attach(0, Side::server(link));
                self.door.admitted.insert(link, (peer, self.net.now));
            }
            self.door.backlog.pop_front();
        }
    }

    /// Loses the newest connection that waits: both sides were told that it is there.
    pub(crate) fn lose(&mut self) {
        if let Some(link) = self.door.backlog.pop_back() {
            self.refuse(link);
        }
    }

    fn refuse(&mut self, link: usize) {
        self.net.reset(link);
        self.net.close(Side::server(link));
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

    /// Lets `host` accept a plain connection. Returns what it calls that, and the end of the
    /// program behind it.
    pub(crate) fn plain(&mut self, host: usize) -> (LocalId, Side) {
        let link = self.net.link();
        let local = self.hosts[host].endpoint.accepted_local();
        self.hosts[host].wires.insert(local, Side::server(link));
        (local, Side::client(link))
    }

    /// Connects `host` to the first host, for `local`.
    pub(crate) fn connect_for(&mut self, host: usize, local: LocalId) -> Pair {
        let link = self.net.link();
        let at_server = self.attach(0, Side::server(link));
        let now = self.net.now;
        let at_client = self.hosts[host].endpoint.dialled_for(now, local).unwrap();
        self.hosts[host].ends.insert(at_client, Side::client(link));
        self.rouse(host);
        Pair {
            link,
            at_server,
            at_client,
        }
    }

    /// What the first host wants to dial, and for which peer, since the last call.
    pub(crate) fn dials(&mut self) -> Vec<(LocalId, PeerId)> {
        let mut dials = Vec::new();
        self.hosts[0].events.retain(|event| match event {
            EndpointEvent::Dial(local, peer) => {
                dials.push((*local, *peer));
                false
            }
            _ => true,
        });
        dials
    }

    /// Connects a local of the first host to its target. Returns the target's end, also if the
    /// connection is not wanted any more.
    pub(crate) fn open(&mut self, local: LocalId) -> Side {
        let link = self.net.link();
        if self.hosts[0].endpoint.local_opened(local) {
            self.hosts[0].wires.insert(local, Side::client(link));
            self.rouse(0);
        } else {
            self.net.break_off(Side::client(link));
            self.net.close(Side::client(link));
        }
        Side::server(link)
    }

    /// Says that a local of `host` gets no connection.
    pub(crate) fn fail_local(&mut self, host: usize, local: LocalId, abort: Abort) {
        let now = self.net.now;
        self.hosts[host].endpoint.local_failed(now, local, abort);
        self.rouse(host);
    }

    /// Gives a host its end of a link.
    fn attach(&mut self, index: usize, end: Side) -> PeerId {
        let host = &mut self.hosts[index];
        let peer = match end.client {
            true => host.endpoint.dialled(self.net.now),
            false => host.endpoint.accepted(self.net.now, self.origin),
        };
        host.ends.insert(peer, end);
        self.rouse(index);
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
        self.rouse(host);
        let host = &mut self.hosts[host];
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
        self.rouse(host);
    }

    /// Takes the machine of `host` off the network: no other side is told.
    pub(crate) fn vanish(&mut self, host: usize) {
        self.hosts[host].endpoint.0 = None;
        self.live.retain(|&index| index != host);
    }

    /// Frees the endpoint of `host`, if it has ended. What it was told stays.
    pub(crate) fn retire(&mut self, host: usize) {
        let host = &mut self.hosts[host];
        if let Some(endpoint) = &mut host.endpoint.0
            && endpoint.end().is_some()
            && host.ends.is_empty()
        {
            host.told = std::mem::take(&mut endpoint.mode_mut().log);
            host.assert_empty("it has ended");
            host.endpoint.0 = None;
        }
    }

    fn wake(&mut self, wake: Wake) {
        let (Wake::Readable(end) | Wake::Writable(end)) = wake;
        for &index in &self.live {
            let host = &mut self.hosts[index];
            let wire = host.wires.iter().find(|(_, at)| **at == end);
            if let Some((&local, _)) = wire {
                host.woken = true;
                match wake {
                    Wake::Readable(_) => host.endpoint.local_readable(local),
                    Wake::Writable(_) => host.endpoint.local_writable(local),
                }
                continue;
            }
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
            self.admit();
            self.deliver();
            let now = self.net.now;
            let due = |host: &Host| host.endpoint.next_timeout().is_some_and(|at| at <= now);
            let is_ready = |index: &usize| {
                let host = &self.hosts[*index];
                host.woken || due(host)
            };
            let mut ready: Vec<usize> = self.live.iter().copied().filter(is_ready).collect();
            if ready.is_empty() {
                let is_live = |host: &Host| !host.ends.is_empty() || host.endpoint.end().is_none();
                self.live.retain(|&index| is_live(&self.hosts[index]));
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
        host.ticks += 1;
        let now = self.net.now;
        let mut port = Port {
            net: &mut self.net,
            ends: &mut host.ends,
            locals: &mut host.locals,
            wires: &mut host.wires,
        };
        host.endpoint.tick(now, &mut port);
        while let Some(event) = host.endpoint.poll_event() {
            self.net.note((index, format!("{event:?}")));
            host.events.push(event);
        }
        host.woken |= host.log().eager && host.endpoint.queued() == 0;
        host.most_held = host.most_held.max(host.endpoint.held());
        host.most_connections = host.most_connections.max(host.endpoint.connections());
        let is_blocked = |plain: &Plain| plain.room == 0;
        // What was dropped takes some ticks to free.
        let busy = host.endpoint.next_timeout() == Some(Time::ZERO);
        let idle = host.endpoint.connections() == 0 && host.endpoint.pairs() == 0;
        if idle && !busy && !host.locals.iter().any(is_blocked) {
            host.assert_empty("no peer is there");
        }
    }

    /// When something happens next by itself.
    fn next(&self) -> Option<Time> {
        let hosts = self.live.iter().map(|&index| &self.hosts[index]);
        let timeouts = hosts.filter_map(|host| host.endpoint.next_timeout());
        let opens = (!self.door.backlog.is_empty()).then_some(self.door.shut_until);
        let opens = opens.filter(|&until| until > self.net.now);
        timeouts.chain(self.net.next()).chain(opens).min()
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
        let stays = |&index: &usize| self.hosts[index].endpoint.0.is_some();
        let staying: Vec<usize> = (0..self.hosts.len()).filter(stays).collect();
        for &index in &staying {
            for plain in &mut self.hosts[index].locals {
                plain.room = usize::MAX;
            }
            self.poke(index);
        }
        self.run_millis(1000);
        for index in staying {
            let host = &self.hosts[index];
            host.assert_empty(&format!("host {index}, at the end of the run"));
        }
    }
}
