//! The loop on one thread: waits for sockets, locals, names, signals and time,
//! and drives an [`Endpoint`].
//!
//! The program and the load tester both run on it. What to do with messages is
//! the endpoint's mode; what to tell the user is up to whoever calls
//! [`turn`](EventLoop::turn).

use std::collections::HashSet;
use std::fmt;
use std::io::{self, IsTerminal as _};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use mio::{Events, Poll, Token, Waker};

use super::accept::Acceptor;
use super::alarm::Alarm;
use super::clock::Clock;
use super::dial::{Dial, Progress};
use super::inherited;
use super::listen::Listener;
use super::local::{Input, Output};
use super::lookup::{Lookup, literal, without_brackets};
use super::signals::{Signal, Signals};
use super::sockets::{FIRST_RESERVED, Sockets};
use super::stream;
use super::ticks::Ticks;
use crate::endpoint::mode::Mode;
use crate::endpoint::transport::{LocalId, PeerId};
use crate::endpoint::{self, Cut, Endpoint};
use crate::error::Error;
use crate::limits::EVENTS;
use crate::time::Time;

const WAKER: Token = Token(FIRST_RESERVED);
const LISTENER: Token = Token(FIRST_RESERVED + 1);
const DIAL: Token = Token(FIRST_RESERVED + 2);
const SIGNALS: Token = Token(FIRST_RESERVED + 3);
const INPUT: Token = Token(FIRST_RESERVED + 4);
const OUTPUT: Token = Token(FIRST_RESERVED + 5);
const ALARM: Token = Token(FIRST_RESERVED + 6);

/// What a turn brought, for people to read.
#[derive(Debug)]
pub enum Report {
    /// Something happened on the endpoint.
    Endpoint(endpoint::EndpointEvent),
    /// A dialled connection is there; the handshake comes next.
    Connected(SocketAddr),
    /// Connections are taken at this address from now on.
    Listening(SocketAddr),
    /// A connection that was begun with [`connect`](EventLoop::connect) is there, since
    /// this time.
    Reached(PeerId, Time),
    /// This signal asks us to leave.
    Stopping(i32),
    /// SIGUSR1: statistics are wanted.
    StatisticsWanted,
    /// Connections wait, and this machine has no descriptors or memory for them.
    CannotAccept(io::Error),
}

/// The loop, and all it drives.
pub struct EventLoop<M> {
    poll: Poll,
    events: Events,
    waker: Arc<Waker>,
    clock: Clock,
    endpoint: Endpoint<M>,
    sockets: Sockets,
    acceptor: Option<Acceptor>,
    dial: Option<Dial>,
    /// The address to listen on is looked up.
    lookup: Option<Lookup>,
    signals: Option<Signals>,
    alarm: Option<Alarm>,
    /// The endpoint is told where each peer is, for a terminal to show.
    names_peers: bool,
    /// Whose TCP connection is not there yet, of those that we connect to.
    connecting: HashSet<PeerId>,
    /// How long turns took in which there was something to do, without the waiting.
    ticks: Ticks,
    reports: Vec<Report>,
}

impl<M: Mode> EventLoop<M> {
    /// A loop around `endpoint`, whose times are those of `clock`, with nothing to wait
    /// for yet.
    pub fn new(endpoint: Endpoint<M>, clock: Clock) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let sockets = Sockets::new(poll.registry().try_clone()?);
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS),
            waker,
            clock,
            endpoint,
            sockets,
            acceptor: None,
            dial: None,
            lookup: None,
            signals: None,
            alarm: None,
            names_peers: false,
            connecting: HashSet::new(),
            ticks: Ticks::default(),
            reports: Vec::new(),
        })
    }

    /// Accepts what comes to `listener`.
    pub fn listen(&mut self, listener: Listener) -> io::Result<()> {
        self.acceptor = Some(Acceptor::new(listener, self.poll.registry(), LISTENER)?);
        Ok(())
    }

    /// Listens on `port` of `host`, an address or a name, or of all addresses. A
    /// name is looked up first, in the turns to come; [`Report::Listening`] tells
    /// when it is done.
    ///
    /// # Errors
    ///
    /// [`Error::Local`], if the address cannot be bound.
    pub fn listen_on(&mut self, host: Option<&str>, port: u16) -> Result<(), Error> {
        match host.map(|host| (host, literal(host, port))) {
            None => self.take_listener(Listener::on_all(port)?),
            Some((_, Some(address))) => self.take_listener(Listener::on_first(&[address])?),
            Some((name, None)) => {
                let waker = self.waker.clone();
                self.lookup = Some(Lookup::start(without_brackets(name), port, waker));
                Ok(())
            }
        }
    }

    fn take_listener(&mut self, listener: Listener) -> Result<(), Error> {
        let address = listener.local_addr();
        self.listen(listener)
            .map_err(|error| Error::Local(format!("cannot listen on {address}: {error}")))?;
        self.reports.push(Report::Listening(address));
        Ok(())
    }

    /// Looks `host` up and connects to it, all within the deadline.
    pub fn dial(&mut self, host: &str, port: u16) {
        let waker = self.waker.clone();
        self.dial = Some(Dial::start(host, port, waker, self.clock.now()));
    }

    /// Begins to connect to an address, from `from` if that is given.
    pub fn connect(&mut self, address: SocketAddr, from: Option<SocketAddr>) -> io::Result<PeerId> {
        let socket = stream::connect(address, from)?;
        let peer = self.endpoint.dialled(self.clock.now());
        // Where this fails, so does the first read.
        let _ = self.sockets.add(peer, socket, address);
        self.connecting.insert(peer);
        Ok(peer)
    }

    /// Has a [turn](Self::turn) wait until `at` and no longer, where the system can
    /// to some microseconds; replaces the time that was set before.
    pub fn wake_at(&mut self, at: Time) -> io::Result<()> {
        let now = self.clock.now();
        let alarm = match &mut self.alarm {
            Some(alarm) => alarm,
            none => none.insert(Alarm::new(self.poll.registry(), ALARM)?),
        };
        alarm.set(at, now)
    }

    /// Joins standard output, and standard input unless it is not wanted, to the
    /// endpoint, as its first local. Lines are cut where somebody types, and where
    /// `lines` says so. Where stdout is a terminal, the endpoint is told the names
    /// of peers.
    pub fn attach_stdio(&mut self, input: bool, lines: bool) -> io::Result<()> {
        let registry = self.poll.registry();
        let mut kind = None;
        if input {
            let mut stdin = Input::open(io::stdin().as_fd(), self.waker.clone())?;
            stdin.register(registry, INPUT)?;
            kind = Some(stdin.is_terminal());
            self.sockets.input = Some(stdin);
        }
        let mut stdout = Output::open(io::stdout().as_fd(), self.waker.clone())?;
        stdout.register(registry, OUTPUT)?;
        self.sockets.output = Some(stdout);
        self.names_peers = io::stdout().is_terminal();
        let output = match self.names_peers {
            true => endpoint::OutputKind::Terminal,
            false => endpoint::OutputKind::Stream,
        };
        let kind = kind.map(|terminal| {
            let cut = if lines || terminal {
                Cut::Lines
            } else {
                Cut::Blocks
            };
            endpoint::InputKind { cut, terminal }
        });
        let local = self.endpoint.add_local(kind, Some(output));
        assert_eq!(local, LocalId::FIRST, "one local");
        if input && inherited::is_null(io::stdin().as_fd()) {
            self.endpoint.local_is_empty(local);
        }
        Ok(())
    }

    /// Stops the endpoint on SIGINT, SIGTERM and SIGHUP.
    pub fn watch_signals(&mut self) -> io::Result<()> {
        self.signals = Some(Signals::new(self.poll.registry(), SIGNALS)?);
        Ok(())
    }

    /// Waits until something happens, at most `at_most`, and does all that
    /// follows from it.
    ///
    /// # Errors
    ///
    /// When polling fails, or a [dialled](Self::dial) host cannot be reached.
    pub fn turn(&mut self, at_most: Option<Duration>) -> Result<(), Error> {
        self.sockets.forget_closed();
        let timeout = self.timeout().into_iter().chain(at_most).min();
        match self.poll.poll(&mut self.events, timeout) {
            Ok(()) => {}
            // Whatever time it is now, what has come is to be known first.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(Error::Local(format!("cannot wait for events: {error}"))),
        }
        let woke = self.clock.now();
        let due = self.endpoint.next_timeout().is_some_and(|due| due <= woke);
        let busy = due || !self.events.is_empty();
        self.note_events();
        let now = self.clock.now();
        self.take_looked_up()?;
        self.accept(now);
        if !self.endpoint.is_accepting() {
            // Connections that wait until now were taken above, so that each is told why
            // it comes to nothing.
            self.acceptor = None;
            self.dial = None;
        }
        self.take_dialled(now)?;
        self.endpoint.tick(now, &mut self.sockets);
        while let Some(event) = self.endpoint.poll_event() {
            if let endpoint::EndpointEvent::Refused(peer, _) = &event {
                self.connecting.remove(peer);
            }
            self.reports.push(Report::Endpoint(event));
        }
        if busy {
            self.ticks.note(self.clock.now().since(woke));
        }
        Ok(())
    }

    /// Whether nobody can have come: the address to listen on is, or was to the end,
    /// not known.
    pub fn is_looking_up(&self) -> bool {
        self.lookup.is_some()
    }

    /// What the last turn brought; to be taken before the next one.
    pub fn take_reports(&mut self) -> Vec<Report> {
        std::mem::take(&mut self.reports)
    }

    /// Where `peer` is, or was when it left in the last turn.
    pub fn address(&self, peer: PeerId) -> Option<SocketAddr> {
        self.sockets.address(peer)
    }

    /// What is driven.
    pub fn endpoint(&self) -> &Endpoint<M> {
        &self.endpoint
    }

    /// What is driven, to change its mode between turns.
    pub fn endpoint_mut(&mut self) -> &mut Endpoint<M> {
        &mut self.endpoint
    }

    /// How long what was done between two waits took.
    pub fn ticks(&self) -> &Ticks {
        &self.ticks
    }

    /// The time of the loop's clock.
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// How long to wait at most.
    fn timeout(&mut self) -> Option<Duration> {
        let accept = self.acceptor.as_ref().and_then(Acceptor::next_due);
        let dial = self.dial.as_ref().map(Dial::next_timeout);
        let now = self.clock.now();
        let alarm = self.alarm.as_mut().and_then(|alarm| alarm.at(now));
        let due = [self.endpoint.next_timeout(), accept, dial, alarm];
        due.into_iter().flatten().min().map(|at| at.since(now))
    }

    fn note_events(&mut self) {
        for event in &self.events {
            match event.token() {
                WAKER => {
                    self.endpoint.local_readable(LocalId::FIRST);
                    self.endpoint.local_writable(LocalId::FIRST);
                }
                LISTENER => {
                    if let Some(acceptor) = &mut self.acceptor {
                        acceptor.note_ready();
                    }
                }
                DIAL | ALARM => {}
                SIGNALS => note_signals(
                    &mut self.signals,
                    &mut self.endpoint,
                    &mut self.reports,
                    self.clock.now(),
                ),
                INPUT => self.endpoint.local_readable(LocalId::FIRST),
                OUTPUT => self.endpoint.local_writable(LocalId::FIRST),
                Token(number) => {
                    let peer = PeerId::from_u64(number as u64);
                    self.sockets.note(peer, event);
                    if event.is_readable() || event.is_read_closed() || event.is_error() {
                        self.endpoint.readable(peer);
                    }
                    if event.is_writable() {
                        self.endpoint.writable(peer);
                        // A connection that was refused can be written to, as well.
                        let there = !event.is_error() && !event.is_write_closed();
                        if self.connecting.remove(&peer) && there {
                            self.reports.push(Report::Reached(peer, self.clock.now()));
                        }
                    }
                }
            }
        }
    }

    /// Accepts who waits, within the budget.
    fn accept(&mut self, now: Time) {
        let Some(acceptor) = &mut self.acceptor else {
            return;
        };
        let accepted = acceptor.accept(now, |socket, address| {
            let peer = self.endpoint.accepted(now);
            if self.names_peers {
                self.endpoint.set_name(peer, &address.to_string());
            }
            // Where this fails, so does the first read.
            let _ = self.sockets.add(peer, socket, address);
            Ok(())
        });
        if let Err(error) = accepted {
            self.reports.push(Report::CannotAccept(error));
        }
    }

    /// Listens on the address that was looked up, once it is there.
    fn take_looked_up(&mut self) -> Result<(), Error> {
        if self.endpoint.is_accepting()
            && let Some(lookup) = &self.lookup
            && let Some(addresses) = lookup.take()?
        {
            self.lookup = None;
            self.take_listener(Listener::on_first(&addresses)?)?;
        }
        Ok(())
    }

    /// Goes on with dialling, if that is what we do.
    fn take_dialled(&mut self, now: Time) -> Result<(), Error> {
        let Some(dial) = &mut self.dial else {
            return Ok(());
        };
        match dial.turn(self.poll.registry(), DIAL, now) {
            Progress::Pending => return Ok(()),
            Progress::Failed(error) => return Err(error),
            Progress::Connected(socket, address) => {
                let peer = self.endpoint.dialled(now);
                if self.names_peers {
                    self.endpoint.set_name(peer, &address.to_string());
                }
                self.sockets
                    .add(peer, socket, address)
                    .map_err(|error| Error::Local(format!("{address}: {error}")))?;
                self.reports.push(Report::Connected(address));
            }
        }
        self.dial = None;
        Ok(())
    }
}

fn note_signals<M: Mode>(
    signals: &mut Option<Signals>,
    endpoint: &mut Endpoint<M>,
    reports: &mut Vec<Report>,
    now: Time,
) {
    for signal in signals.iter_mut().flat_map(Signals::pending) {
        match signal {
            Signal::Stop(number) => {
                endpoint.stop(now);
                reports.push(Report::Stopping(number));
            }
            Signal::Statistics => reports.push(Report::StatisticsWanted),
        }
    }
}

impl<M> fmt::Debug for EventLoop<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLoop")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}
