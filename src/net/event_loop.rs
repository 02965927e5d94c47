//! The loop on one thread: waits for sockets, locals, names, signals and time, and
//! drives an [`Endpoint`].
//!
//! The program and the load tester both run on it. [`turn`](EventLoop::turn) is its story.
//! It does not know what to do with messages, which is up to the endpoint's mode, or what to
//! tell the user, which is up to the caller. Read next: [`crate::endpoint`].

use std::collections::HashSet;
use std::io::{self, IsTerminal as _};
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Poll, Token, Waker};
use signal_hook::consts::{SIGHUP, SIGUSR1};
use signal_hook_mio::v1_0::Signals;

use super::accept::Acceptor;
use super::address::{host_and_port, literal, origin, without_brackets};
use super::alarm::Alarm;
use super::buffers::Buffers;
use super::clock::Clock;
use super::descriptor::{Direction, is_null};
use super::dial::{Dial, Progress};
use super::error::Error;
use super::listener::Listener;
use super::local::Local;
use super::lookup::Lookup;
use super::machine;
use super::place::Place;
use super::plain::PlainListener;
use super::scrape::Scraper;
use super::signals;
use super::sockets::{FIRST_RESERVED, Made, Owner, Sockets};
use super::stream;
use super::ticks::Ticks;
use super::tunnel::{Lent, TunnelEnd};
use crate::endpoint::mode::Mode;
use crate::endpoint::transport::{LocalId, PeerId};
use crate::endpoint::{Cut, Endpoint, EndpointEvent, InputKind, OutputKind};
use crate::limits::{ACCEPT_BUDGET, EVENTS};
use crate::time::Time;

pub use super::report::Report;

const WAKER: Token = Token(FIRST_RESERVED);
const LISTENER: Token = Token(FIRST_RESERVED + 1);
const DIAL: Token = Token(FIRST_RESERVED + 2);
const SIGNALS: Token = Token(FIRST_RESERVED + 3);
const INPUT: Token = Token(FIRST_RESERVED + 4);
const OUTPUT: Token = Token(FIRST_RESERVED + 5);
const ALARM: Token = Token(FIRST_RESERVED + 6);
const PLAIN_LISTENER: Token = Token(FIRST_RESERVED + 7);

/// The loop, and all that it drives.
///
/// To drive it: call [`turn`](Self::turn) until the [endpoint](Self::endpoint) has an
/// [end](Endpoint::end), and take the [reports](Self::take_reports) after every turn; they
/// are kept until then.
pub struct EventLoop<M> {
    poll: Poll,
    events: Events,
    waker: Arc<Waker>,
    clock: Clock,
    endpoint: Endpoint<M>,
    sockets: Sockets,
    acceptor: Option<Acceptor>,
    dial: Option<Dial>,
    /// Finds the address to listen on.
    lookup: Option<Lookup>,
    tunnel: Option<TunnelEnd>,
    signals: Option<Signals>,
    /// SIGHUP is only reported.
    serves_on_hangup: bool,
    alarm: Option<Alarm>,
    scraper: Option<Scraper>,
    /// The endpoint gets the address of each peer as its name, for a terminal to show.
    names_peers: bool,
    /// Peers from [`connect`](Self::connect) whose TCP connection is not there yet.
    connecting: HashSet<PeerId>,
    /// The times of turns that had something to do, without the waits.
    ticks: Ticks,
    reports: Vec<Report>,
}

impl<M: Mode> EventLoop<M> {
    /// A loop around `endpoint`, which takes its times from `clock`. It waits for nothing
    /// yet.
    pub fn new(endpoint: Endpoint<M>, clock: Clock) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let buffers = Buffers::new(endpoint.limits().socket_buffers, machine::tcp());
        let sockets = Sockets::new(poll.registry().try_clone()?, buffers);
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
            tunnel: None,
            signals: None,
            serves_on_hangup: false,
            alarm: None,
            scraper: None,
            names_peers: false,
            connecting: HashSet::new(),
            ticks: Ticks::default(),
            reports: Vec::new(),
        })
    }

    // ---- what to wait for --------------------------------------------------

    /// Accepts the connections that come to `listener`.
    pub fn accept_from(&mut self, listener: Listener) -> io::Result<()> {
        let limits = self.endpoint.limits();
        listener.set_backlog(limits.accept_queue)?;
        let registry = self.poll.registry();
        let acceptor = Acceptor::new(listener, limits.dead_after, registry, LISTENER)?;
        self.acceptor = Some(acceptor);
        Ok(())
    }

    /// Listens on `port` of `host`, an address or a name, or of all addresses.
    /// [`Report::Listening`] says when it does: a name is looked up first, in later turns.
    ///
    /// # Errors
    ///
    /// [`Error::Listen`], if the address cannot be bound.
    pub fn listen_on(&mut self, host: Option<&str>, port: u16) -> Result<(), Error> {
        let Some(host) = host.map(without_brackets) else {
            return self.take_listener(Listener::on_all(port)?);
        };
        if let Some(address) = literal(host, port) {
            return self.take_listener(Listener::on_first(&[address])?);
        }
        self.lookup = Some(Lookup::start(host, port, self.waker.clone()));
        Ok(())
    }

    /// Serves figures over HTTP on `address`, and returns the address with its port.
    /// [`Report::MetricsWanted`] asks for them.
    ///
    /// # Errors
    ///
    /// [`Error::Listen`], if the address cannot be bound.
    pub fn serve_metrics(&mut self, address: SocketAddr) -> Result<SocketAddr, Error> {
        let (scraper, address) = Scraper::start(address, self.waker.clone())
            .map_err(|source| Error::Listen { address, source })?;
        self.scraper = Some(scraper);
        Ok(address)
    }

    /// Makes this the near end of a tunnel: plain connections that come to `place` each get one
    /// to the server, on `port` of `host`. It need not be there yet: plain connections are reset
    /// until it is, or wait if this `retries`. [`Report::PlainListening`] says when they may come.
    ///
    /// # Errors
    ///
    /// [`Error::Listen`] and the like, if the place cannot be bound.
    pub fn tunnel_from(
        &mut self,
        place: &Place,
        host: &str,
        port: u16,
        retries: bool,
    ) -> Result<(), Error> {
        let waker = self.waker.clone();
        self.tunnel = Some(TunnelEnd::near(host, port, retries, waker.clone()));
        match place {
            Place::Unix(path) => self.take_plain_listener(PlainListener::on_path(path)?),
            Place::Tcp { host, port } => match literal(host, *port) {
                Some(address) => self.take_plain_listener(PlainListener::on_first(&[address])?),
                None => {
                    self.lookup = Some(Lookup::start(host, *port, waker));
                    Ok(())
                }
            },
        }
    }

    fn take_plain_listener(&mut self, listener: PlainListener) -> Result<(), Error> {
        if let Some(tunnel) = &mut self.tunnel {
            let (limits, registry) = (self.endpoint.limits(), self.poll.registry());
            let place = tunnel.accept_from(listener, limits, registry, PLAIN_LISTENER)?;
            self.reports.push(Report::PlainListening(place));
        }
        Ok(())
    }

    /// Makes this the far end of a tunnel: each peer gets a plain connection to `target`.
    pub fn forward_to(&mut self, target: Place) {
        self.tunnel = Some(TunnelEnd::far(target, self.waker.clone()));
    }

    /// Looks `host` up and connects to it, all within the deadline. If that fails, so does a
    /// [turn](Self::turn); then this may be called again, and the loop goes on.
    pub fn dial(&mut self, host: &str, port: u16) {
        let waker = self.waker.clone();
        self.dial = Some(Dial::start(host, port, waker, self.clock.now()));
    }

    /// Begins to connect to an address, from `from` if that is given.
    pub fn connect(&mut self, address: SocketAddr, from: Option<SocketAddr>) -> io::Result<PeerId> {
        let socket = stream::connect(address, from, self.endpoint.limits().dead_after)?;
        let peer = self.endpoint.dialled(self.clock.now());
        // If this fails, the first read fails, too, and reports it.
        let _ = self.add(peer, socket, address, Made::ByUs);
        self.connecting.insert(peer);
        Ok(peer)
    }

    /// Ends the wait of a [turn](Self::turn) at `at`, to some microseconds. Replaces the
    /// time that was set before.
    pub fn wake_at(&mut self, at: Time) -> io::Result<()> {
        let now = self.clock.now();
        let alarm = match &mut self.alarm {
            Some(alarm) => alarm,
            none => none.insert(Alarm::new(self.poll.registry(), ALARM)?),
        };
        alarm.set(at, now)
    }

    /// Joins two inherited descriptors to the endpoint, as its one local: it reads `input`
    /// and writes `output`. Input is cut into lines at a terminal, and where `lines` says
    /// so. Where `output` is a terminal, the endpoint gets the names of peers.
    pub fn attach_local(
        &mut self,
        input: Option<BorrowedFd<'_>>,
        output: BorrowedFd<'_>,
        lines: bool,
    ) -> io::Result<()> {
        let registry = self.poll.registry();
        let mut input_kind = None;
        if let Some(fd) = input {
            let terminal = fd.is_terminal();
            let cut = match lines || terminal {
                true => Cut::Lines,
                false => Cut::Blocks,
            };
            input_kind = Some(InputKind { cut, terminal });
            let input = Local::open(fd, Direction::In, self.waker.clone(), registry, INPUT)?;
            self.sockets.input = Some(input);
        }
        self.names_peers = output.is_terminal();
        let output_kind = match self.names_peers {
            true => OutputKind::Terminal,
            false => OutputKind::Stream,
        };
        let waker = self.waker.clone();
        let output = Local::open(output, Direction::Out, waker, registry, OUTPUT)?;
        self.sockets.output = Some(output);
        let local = self.endpoint.add_local(input_kind, Some(output_kind));
        assert_eq!(local, LocalId::FIRST, "one local");
        if input.is_some_and(is_null) {
            self.endpoint.local_is_empty(local);
        }
        Ok(())
    }

    /// Stops the endpoint on SIGINT, SIGTERM and SIGHUP.
    pub fn watch_signals(&mut self) -> io::Result<()> {
        self.signals = Some(signals::catch(self.poll.registry(), SIGNALS)?);
        Ok(())
    }

    /// From now on SIGHUP does not stop the endpoint: [`Report::HungUp`] tells of it.
    pub fn serve_on_hangup(&mut self) {
        self.serves_on_hangup = true;
    }

    // ---- a turn ------------------------------------------------------------

    /// Waits until something happens, at most `at_most`, and does all that
    /// follows from it.
    ///
    /// # Errors
    ///
    /// When polling fails, or a [dialled](Self::dial) host cannot be reached.
    pub fn turn(&mut self, at_most: Option<Duration>) -> Result<(), Error> {
        let timeout = self.timeout().into_iter().chain(at_most).min();
        match self.poll.poll(&mut self.events, timeout) {
            Ok(()) => {}
            // The next poll brings what came. Until then no deadline may expire.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(Error::Poll(error)),
        }
        let woke = self.clock.now();
        let due = self.endpoint.next_timeout().is_some_and(|due| due <= woke);
        let busy = due || !self.events.is_empty();
        self.note_events();
        let now = self.clock.now();
        self.sockets.begin_turn();
        self.take_looked_up()?;
        if !self.endpoint.is_accepting() {
            // The connections that wait are accepted, so that the endpoint can tell each of them
            // why it ends.
            self.accept(now);
            self.acceptor = None;
            self.dial = None;
            if let Some(tunnel) = &mut self.tunnel {
                tunnel.end();
            }
        }
        // What else this turn has to do is done first: its events do not come again.
        let dialled = self.take_dialled(now);
        self.turn_tunnel(now);
        self.endpoint.tick(now, &mut self.sockets);
        // Behind the tick: no connection makes room while its bytes have come and are still
        // unread.
        self.accept(now);
        if let Some((tunnel, mut lent)) = self.tunnel(now) {
            tunnel.accept(&mut lent);
        }
        self.take_endpoint_events(now);
        // Those that have just begun may be there at once.
        self.turn_tunnel(now);
        let wanted = self.scraper.as_ref().and_then(Scraper::wanted);
        self.reports.extend(wanted.map(Report::MetricsWanted));
        if busy {
            self.ticks.note(self.clock.now().since(woke));
        }
        dialled
    }

    /// How long to wait at most.
    fn timeout(&mut self) -> Option<Duration> {
        let now = self.clock.now();
        let accept = self.acceptor.as_ref().and_then(Acceptor::next_due);
        let accept = accept.map(|at| at.max(self.endpoint.accepts_at(now)));
        let dial = self.dial.as_ref().map(Dial::next_timeout);
        let alarm = self.alarm.as_mut().and_then(|alarm| alarm.at(now));
        let tunnel = self.tunnel.as_ref();
        let accepts = self.endpoint.accepts_locals();
        let tunnel = tunnel.and_then(|tunnel| tunnel.next_timeout(accepts));
        let next = self.endpoint.next_timeout();
        let due = [next, accept, dial, alarm, tunnel];
        due.into_iter().flatten().min().map(|at| at.since(now))
    }

    /// Marks what is ready; the steps that follow do the work.
    fn note_events(&mut self) {
        // Taken out of the loop, because noting an event needs the rest of the loop.
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &events {
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
                PLAIN_LISTENER => {
                    if let Some(tunnel) = &mut self.tunnel {
                        tunnel.note_ready();
                    }
                }
                DIAL | ALARM => {}
                SIGNALS => self.take_signals(),
                INPUT => self.endpoint.local_readable(LocalId::FIRST),
                OUTPUT => self.endpoint.local_writable(LocalId::FIRST),
                token => match Owner::of(token) {
                    Owner::Peer(peer) => self.note_peer(peer, event),
                    Owner::Local(local) => self.note_local(local, event),
                },
            }
        }
        self.events = events;
    }

    fn note_peer(&mut self, peer: PeerId, event: &Event) {
        self.sockets.note(peer, event);
        if event.is_read_closed() || event.is_error() {
            self.endpoint.end_told(peer);
        }
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            self.endpoint.readable(peer);
        }
        if event.is_writable() {
            self.endpoint.writable(peer);
            // A connection that was refused is writable, too.
            let there = !event.is_error() && !event.is_write_closed();
            if self.connecting.remove(&peer) && there {
                self.reports.push(Report::Connected(peer, self.clock.now()));
            }
        }
    }

    fn note_local(&mut self, local: LocalId, event: &Event) {
        if let Some(tunnel) = &mut self.tunnel
            && tunnel.note(local)
        {
            return;
        }
        self.sockets.note_plain(local, event);
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            self.endpoint.local_readable(local);
        }
        if event.is_writable() {
            self.endpoint.local_writable(local);
        }
    }

    fn take_signals(&mut self) {
        for number in self.signals.iter_mut().flat_map(Signals::pending) {
            match number {
                SIGUSR1 => self.reports.push(Report::StatisticsWanted),
                SIGHUP if self.serves_on_hangup => self.reports.push(Report::HungUp),
                _ => {
                    self.endpoint.stop(self.clock.now());
                    self.reports.push(Report::Stopping(number));
                }
            }
        }
    }

    /// Listens on the address that was looked up, once it is known.
    fn take_looked_up(&mut self) -> Result<(), Error> {
        if self.endpoint.is_accepting()
            && let Some(lookup) = &self.lookup
            && let Some(addresses) = lookup.take()?
        {
            self.lookup = None;
            match self.tunnel.as_ref().is_some_and(TunnelEnd::is_near) {
                true => self.take_plain_listener(PlainListener::on_first(&addresses)?)?,
                false => self.take_listener(Listener::on_first(&addresses)?)?,
            }
        }
        Ok(())
    }

    /// Listens on `listener`, which is bound. [`Report::Listening`] says so.
    ///
    /// # Errors
    ///
    /// [`Error::Listen`], if the poll or the system does not take it.
    pub fn take_listener(&mut self, listener: Listener) -> Result<(), Error> {
        let address = listener.local_addr();
        self.accept_from(listener)
            .map_err(|source| Error::Listen { address, source })?;
        self.reports.push(Report::Listening(address));
        Ok(())
    }

    /// Accepts the connections that wait, within the budget.
    fn accept(&mut self, now: Time) {
        let Some(mut acceptor) = self.acceptor.take() else {
            return;
        };
        if acceptor.has_recovered(now) {
            self.reports.push(Report::CanAccept);
        }
        for _ in 0..ACCEPT_BUDGET {
            if self.endpoint.accepts_at(now) > now {
                break;
            }
            match acceptor.accept(now) {
                Ok(None) => break,
                Ok(Some((socket, address))) => {
                    let peer = self.endpoint.accepted(now, origin(address));
                    // If this fails, the first read fails, too, and reports it.
                    let _ = self.add(peer, socket, address, Made::ByPeer);
                }
                Err(error) => {
                    if acceptor.note_failure(now) {
                        self.reports.push(Report::CannotAccept(error));
                    }
                    // What makes room is closed when the turn ends.
                    if let Some(at) = self.endpoint.make_room(now) {
                        acceptor.rest_until(at);
                    }
                    break;
                }
            }
        }
        self.acceptor = Some(acceptor);
    }

    /// Goes on with dialling, if that is what we do.
    fn take_dialled(&mut self, now: Time) -> Result<(), Error> {
        let Some(dial) = &mut self.dial else {
            return Ok(());
        };
        match dial.turn(self.poll.registry(), DIAL, now) {
            Progress::Pending => return Ok(()),
            Progress::Failed(error) => {
                self.dial = None;
                return Err(error);
            }
            Progress::Connected(socket, address) => {
                let peer = self.endpoint.dialled(now);
                stream::tune(&socket, self.endpoint.limits().dead_after)
                    .and_then(|()| self.add(peer, socket, address, Made::ByUs))
                    .map_err(|source| Error::Register { address, source })?;
                self.reports.push(Report::Connected(peer, now));
            }
        }
        self.dial = None;
        Ok(())
    }

    /// The tunnel, and what it needs in this turn.
    fn tunnel(&mut self, now: Time) -> Option<(&mut TunnelEnd, Lent<'_, M>)> {
        let lent = Lent {
            endpoint: &mut self.endpoint,
            sockets: &mut self.sockets,
            registry: self.poll.registry(),
            reports: &mut self.reports,
            now,
        };
        Some((self.tunnel.as_mut()?, lent))
    }

    fn turn_tunnel(&mut self, now: Time) {
        if let Some((tunnel, mut lent)) = self.tunnel(now) {
            tunnel.turn(&mut lent);
        }
    }

    /// Registers the connection of `peer`, and names the peer where a terminal shows it.
    fn add(
        &mut self,
        peer: PeerId,
        socket: TcpStream,
        address: SocketAddr,
        made: Made,
    ) -> io::Result<()> {
        if self.names_peers {
            self.endpoint.set_name(peer, &host_and_port(address));
        }
        self.sockets.add(peer, socket, address, made)
    }

    fn take_endpoint_events(&mut self, now: Time) {
        while let Some(event) = self.endpoint.poll_event() {
            match &event {
                EndpointEvent::Joined(peer) => self.sockets.joined(*peer),
                EndpointEvent::Refused(peer, _) => {
                    self.connecting.remove(peer);
                }
                EndpointEvent::Dial(local, peer) => {
                    if let Some((tunnel, mut lent)) = self.tunnel(now) {
                        tunnel.dial(*local, *peer, &mut lent);
                    }
                    continue;
                }
                _ => {}
            }
            self.reports.push(Report::Endpoint(event));
        }
    }

    // ---- between turns -----------------------------------------------------

    /// What happened in the last turn; take it before the next one.
    pub fn take_reports(&mut self) -> Vec<Report> {
        std::mem::take(&mut self.reports)
    }

    /// Whether the address to listen on is not known yet, or never was, so that no peer
    /// can have come.
    pub fn is_looking_up(&self) -> bool {
        self.lookup.is_some()
    }

    /// The address of `peer`, also if it left in the last turn.
    pub fn address(&self, peer: PeerId) -> Option<SocketAddr> {
        self.sockets.address(peer)
    }

    /// Where the plain connection comes from that `peer` was dialled for, also if it left in the
    /// last turn.
    pub fn source(&self, peer: PeerId) -> Option<SocketAddr> {
        self.sockets.source(peer)
    }

    /// The endpoint.
    pub fn endpoint(&self) -> &Endpoint<M> {
        &self.endpoint
    }

    /// The endpoint, to change its mode between turns.
    pub fn endpoint_mut(&mut self) -> &mut Endpoint<M> {
        &mut self.endpoint
    }

    /// How long turns took that had something to do; it prints as a line of statistics.
    pub fn ticks(&self) -> &Ticks {
        &self.ticks
    }

    /// The time of the loop's clock.
    pub fn now(&self) -> Time {
        self.clock.now()
    }
}
