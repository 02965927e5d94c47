//! Messages over the library: its event loop, and a mode of its endpoint that passes everything
//! on to the [`Peers`].

use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use sealwire::span::Span;
use sealwire::{
    Clock, Context, Endpoint, EndpointEvent, EventLoop, HandedOn, Leaves, Message, Mode, Outcome,
    PeerId, Receivers, Report, Setup, Time,
};
use sealwire_cli::error::Error;

use super::pattern::Pattern;
use super::peers::Peers;
use super::{Link, Received, RunSetup, Wire};

pub(crate) struct Sealed {
    events: EventLoop<PeersMode>,
    address: SocketAddr,
}

/// Passes on what the endpoint reports.
struct PeersMode {
    peers: Peers,
    clock: Clock,
    pattern: Pattern,
    /// The pattern, once the endpoint has it.
    pinned: Option<Span>,
    /// How much waited in queues before the tick's flush.
    queued: usize,
    /// Peers to which we have sent FIN, and peers that sent FIN first.
    finished: HashSet<PeerId>,
    ended_early: HashSet<PeerId>,
}

impl Sealed {
    pub(crate) fn new(run: &RunSetup<'_>, peers: Peers) -> io::Result<Self> {
        let mut setup = Setup::new(run.kernel, Leaves::WhenStopped, rand::random());
        setup.identity.clone_from(&run.server.identity);
        // The load itself bounds what waits to be sent, so memory must not drop a server.
        setup.limits.max_queue = usize::MAX / 4;
        setup.limits.max_queued = usize::MAX / 4;
        let mode = PeersMode {
            peers,
            clock: run.clock,
            pattern: run.pattern.clone(),
            pinned: None,
            queued: 0,
            finished: HashSet::new(),
            ended_early: HashSet::new(),
        };
        Ok(Self {
            events: EventLoop::new(Endpoint::new(setup, mode), run.clock)?,
            address: run.address,
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
        let endpoint = self.events.endpoint_mut();
        if endpoint.queued() == 0 && endpoint.mode().queued > 0 {
            endpoint.mode_mut().peers.workload().drained();
        }
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

impl PeersMode {
    /// Calls the peers with a link to `context`.
    fn with_link(&mut self, context: &mut Context, call: impl FnOnce(&mut Peers, &mut dyn Link)) {
        let pin = || context.pin(self.pattern.bytes());
        let pinned = *self.pinned.get_or_insert_with(pin);
        let mut link = SealedLink {
            context,
            pinned,
            clock: self.clock,
            finished: &mut self.finished,
        };
        call(&mut self.peers, &mut link);
    }
}

impl Mode for PeersMode {
    /// Replies are always read, because a server may read no more until its replies are read.
    fn receivers(&self) -> Receivers {
        Receivers::Nobody
    }

    fn joined(&mut self, context: &mut Context, peer: PeerId) {
        self.with_link(context, |peers, link| peers.joined(link, peer));
    }

    fn message(&mut self, context: &mut Context, peer: PeerId, message: Message<'_>) {
        let (now, workload) = (self.clock.now(), self.peers.workload());
        // The pieces borrow the context, which the link needs next.
        {
            let mut pieces = context.pieces(message);
            match pieces.len() {
                1 => workload.message(now, peer, Received(pieces.next().as_slice())),
                _ => workload.message(now, peer, Received(&pieces.collect::<Vec<_>>())),
            }
        }
        self.with_link(context, |peers, link| peers.workload().go_on(link, peer));
    }

    /// A server finishes first only if it ends the run.
    fn fin(&mut self, context: &mut Context, peer: PeerId) -> HandedOn {
        if !self.finished.contains(&peer) {
            self.ended_early.insert(peer);
        }
        context.finish(peer);
        HandedOn::Now
    }

    fn left(&mut self, _: &mut Context, peer: PeerId, outcome: &Outcome) {
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

    fn tick(&mut self, context: &mut Context) {
        self.with_link(context, |peers, link| peers.turn(link));
        self.queued = context.queued();
    }
}

struct SealedLink<'a> {
    context: &'a mut Context,
    pinned: Span,
    clock: Clock,
    finished: &'a mut HashSet<PeerId>,
}

impl Link for SealedLink<'_> {
    fn now(&self) -> Time {
        self.clock.now()
    }

    fn send(&mut self, peer: PeerId, part: Range<usize>) -> bool {
        self.context.send_pinned(peer, self.pinned.slice(part))
    }

    fn waiting(&self, peer: PeerId) -> usize {
        self.context.queued_for(peer)
    }

    fn finish(&mut self, peer: PeerId) {
        self.finished.insert(peer);
        self.context.finish(peer);
    }
}
