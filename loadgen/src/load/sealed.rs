//! Messages over the library: its event loop, and a mode of its endpoint that passes everything
//! on to the [`Peers`].

use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use sealwire::{
    Clock, Context as ModeContext, Endpoint, EndpointEvent, EventLoop, HandedOn, Leaves, Message,
    Mode, Outcome, PeerId, Receivers, Report, Setup, Span, Time,
};
use sealwire_cli::error::Error;

use super::pattern::Pattern;
use super::peers::Peers;
use super::{Context, Link, Received, Wire};

pub(crate) struct Sealed {
    events: EventLoop<Adapter>,
    address: SocketAddr,
}

/// Passes on what the endpoint reports.
struct Adapter {
    peers: Peers,
    clock: Clock,
    pattern: Pattern,
    /// The pattern, once the endpoint has it.
    pinned: Option<Span>,
    /// Peers to which we have sent FIN, and peers that sent FIN first.
    finished: HashSet<PeerId>,
    ended_early: HashSet<PeerId>,
}

impl Sealed {
    pub(crate) fn new(context: &Context<'_>, peers: Peers) -> io::Result<Self> {
        let mut setup = Setup::new(context.kernel, Leaves::WhenStopped, rand::random());
        setup.identity.clone_from(&context.server.identity);
        // The load itself bounds what waits to be sent, so memory must not drop a server.
        setup.limits.max_queue = usize::MAX / 4;
        setup.limits.max_queued = usize::MAX / 4;
        let adapter = Adapter {
            peers,
            clock: context.clock,
            pattern: context.pattern.clone(),
            pinned: None,
            finished: HashSet::new(),
            ended_early: HashSet::new(),
        };
        Ok(Self {
            events: EventLoop::new(Endpoint::new(setup, adapter), context.clock)?,
            address: context.address,
        })
    }
}

impl Wire for Sealed {
    fn connect(&mut self, from: Option<SocketAddr>) -> io::Result<PeerId> {
        self.events.connect(self.address, from)
    }

    fn turn(&mut self, until: Time) -> Result<(), Error> {
        let late = until <= self.now();
        if !late {
            let set = self.events.wake_at(until);
            set.map_err(|error| Error::Local(format!("cannot set a timer: {error}")))?;
        }
        self.events.turn(late.then_some(Duration::ZERO))?;
        for report in self.events.take_reports() {
            let now = self.now();
            match report {
                Report::Connected(peer, at) => self.peers().workload().connected(at, peer),
                Report::Endpoint(EndpointEvent::Refused(peer, outcome)) => {
                    let why = outcome.map_err(|failure| failure.to_string());
                    let ended = || Err("the server ended the connection early".into());
                    self.peers().left(now, peer, why.and_then(|()| ended()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn peers(&mut self) -> &mut Peers {
        &mut self.events.endpoint_mut().mode_mut().peers
    }

    fn now(&self) -> Time {
        self.events.now()
    }
}

impl Adapter {
    /// Calls the peers with a link to `core`.
    fn with_link(&mut self, core: &mut ModeContext, call: impl FnOnce(&mut Peers, &mut dyn Link)) {
        let pin = || core.pin(self.pattern.bytes());
        let pinned = *self.pinned.get_or_insert_with(pin);
        let mut link = CoreLink {
            core,
            pinned,
            clock: self.clock,
            finished: &mut self.finished,
        };
        call(&mut self.peers, &mut link);
    }
}

impl Mode for Adapter {
    /// Replies are always read, because a server may read no more until its replies are read.
    fn receivers(&self) -> Receivers {
        Receivers::Nobody
    }

    fn joined(&mut self, core: &mut ModeContext, peer: PeerId) {
        self.with_link(core, |peers, link| peers.joined(link, peer));
    }

    fn message(&mut self, core: &mut ModeContext, peer: PeerId, message: Message<'_>) {
        let (now, workload) = (self.clock.now(), self.peers.workload());
        if let [span] = message.spans() {
            let parts = [core.bytes(*span)];
            workload.message(now, peer, Received(&parts));
        } else {
            let parts: Vec<_> = message.spans().iter().map(|s| core.bytes(*s)).collect();
            workload.message(now, peer, Received(&parts));
        }
        self.with_link(core, |peers, link| peers.workload().go_on(link, peer));
    }

    /// A server finishes first only if it ends the run.
    fn fin(&mut self, core: &mut ModeContext, peer: PeerId) -> HandedOn {
        if !self.finished.contains(&peer) {
            self.ended_early.insert(peer);
        }
        core.finish(peer);
        HandedOn::Now
    }

    fn left(&mut self, _: &mut ModeContext, peer: PeerId, outcome: &Outcome) {
        self.finished.remove(&peer);
        let outcome = match outcome {
            Err(failure) => Err(failure.to_string()),
            Ok(()) if self.ended_early.remove(&peer) => {
                Err("the server ended the connection early".into())
            }
            Ok(()) => Ok(()),
        };
        self.peers.left(self.clock.now(), peer, outcome);
    }

    fn turn(&mut self, core: &mut ModeContext) {
        self.with_link(core, |peers, link| peers.turn(link));
    }
}

struct CoreLink<'a> {
    core: &'a mut ModeContext,
    pinned: Span,
    clock: Clock,
    finished: &'a mut HashSet<PeerId>,
}

impl Link for CoreLink<'_> {
    fn now(&self) -> Time {
        self.clock.now()
    }

    fn send(&mut self, peer: PeerId, part: Range<usize>) -> bool {
        self.core.send_pinned(peer, self.pinned.slice(part))
    }

    fn waiting(&self, peer: PeerId) -> usize {
        self.core.queued_for(peer)
    }

    fn finish(&mut self, peer: PeerId) {
        self.finished.insert(peer);
        self.core.finish(peer);
    }
}
