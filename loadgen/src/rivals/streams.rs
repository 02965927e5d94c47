//! The loop over many streams: waits, reads, and writes.
//!
//! Its user takes what happened from [`next_event`](Streams::next_event), fills what may be
//! written from [`next_writable`](Streams::next_writable), and hears of closed connections from
//! [`next_closed`](Streams::next_closed), in this order, after each [`wait`](Streams::wait).

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Poll, Token};
use sealwire::limits::{ACCEPT_BUDGET, ACCEPT_PAUSE, DEAD_AFTER, EVENTS, share};
use sealwire::net::accept::Acceptor;
use sealwire::net::alarm::Alarm;
use sealwire::net::stream::{self, Stream};
use sealwire::{Clock, Listener, PeerId, Time};
use slotmap::{DefaultKey, Key as _, KeyData, SlotMap};

use super::Rival;
use crate::limits::JOINING;

/// Poll tokens of connections are their numbers, which are never these.
const ALARM: Token = Token(usize::MAX);
const LISTENER: Token = Token(usize::MAX - 1);

#[derive(Debug, Clone, Copy)]
pub(super) enum Event {
    /// TCP has connected it.
    Connected(PeerId),
    /// It can be sent to.
    Joined(PeerId),
    /// It sent this many bytes, which are at the beginning of the buffer.
    Said(PeerId, usize),
    /// It has finished sending.
    Ended(PeerId),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Connecting,
    /// TCP has connected it, but it cannot be sent to yet.
    Greeting,
    Open,
}

/// How far the end of our direction has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Finish {
    No,
    /// It is due after all that waits.
    Wanted,
    /// The rival has been told.
    Said,
    /// It has left.
    Sent,
}

/// A connection, and what the user keeps for it.
pub(super) struct Slot<R, P> {
    socket: Stream,
    rival: R,
    stage: Stage,
    finish: Finish,
    /// The other side has finished sending.
    ended: bool,
    /// The socket takes no more until the poll says so.
    blocked: bool,
    /// It is in the list of that name.
    ready: bool,
    dirty: bool,
    /// Why it closes when the turn ends.
    closing: Option<Result<(), String>>,
    pub(super) peer: P,
}

impl<R: Rival, P> Slot<R, P> {
    /// Whether it can be sent to.
    pub(super) fn is_open(&self) -> bool {
        self.stage == Stage::Open && self.finish == Finish::No && self.closing.is_none()
    }

    /// Whether a send is worth a try.
    pub(super) fn may_write(&self) -> bool {
        !self.blocked
    }

    /// Whether our end has left.
    pub(super) fn is_finished(&self) -> bool {
        self.finish == Finish::Sent
    }

    /// Bytes that the rival has, and the socket has not.
    pub(super) fn unsent(&self) -> usize {
        self.rival.unsent()
    }
}

pub(super) struct Streams<R: Rival, P> {
    poll: Poll,
    polled: Events,
    alarm: Alarm,
    clock: Clock,
    setup: R::Setup,
    room: R::Scratch,
    acceptor: Option<Acceptor>,
    slots: SlotMap<DefaultKey, Slot<R, P>>,
    events: VecDeque<Event>,
    /// Connections that may have bytes to read, and connections that may be written to; each once.
    ready: VecDeque<PeerId>,
    dirty: VecDeque<PeerId>,
    /// How many of both this turn still looks at.
    reads: usize,
    writes: usize,
    /// Connections that may have bytes to read, but the user does not read now.
    paused: Vec<PeerId>,
    closing: Vec<PeerId>,
    /// Connections and when they began, the oldest first, while the first has not joined.
    joining: VecDeque<(Time, PeerId)>,
    pub(super) patience: Duration,
}

fn key(id: PeerId) -> DefaultKey {
    KeyData::from_ffi(id.as_u64()).into()
}

fn id(key: DefaultKey) -> PeerId {
    PeerId::from_u64(key.data().as_ffi())
}

impl<R: Rival, P: Default> Streams<R, P> {
    pub(super) fn new(setup: R::Setup, clock: Clock) -> io::Result<Self> {
        let poll = Poll::new()?;
        Ok(Self {
            alarm: Alarm::new(poll.registry(), ALARM)?,
            poll,
            polled: Events::with_capacity(EVENTS),
            clock,
            setup,
            room: R::Scratch::default(),
            acceptor: None,
            slots: SlotMap::new(),
            events: VecDeque::new(),
            ready: VecDeque::new(),
            dirty: VecDeque::new(),
            reads: 0,
            writes: 0,
            paused: Vec::new(),
            closing: Vec::new(),
            joining: VecDeque::new(),
            patience: JOINING,
        })
    }

    pub(super) fn listen(&mut self, listener: Listener) -> io::Result<()> {
        self.acceptor = Some(Acceptor::new(
            listener,
            DEAD_AFTER,
            self.poll.registry(),
            LISTENER,
        )?);
        Ok(())
    }

    pub(super) fn connect(
        &mut self,
        address: SocketAddr,
        from: Option<SocketAddr>,
    ) -> io::Result<PeerId> {
        let stream = stream::connect(address, from, DEAD_AFTER)?;
        self.add(self.now(), stream, Stage::Connecting)
    }

    fn add(&mut self, now: Time, stream: TcpStream, stage: Stage) -> io::Result<PeerId> {
        let (rival, registry) = (R::new(&self.setup)?, self.poll.registry());
        let key = self.slots.try_insert_with_key(|key| {
            let token = Token(id(key).as_u64() as usize);
            io::Result::Ok(Slot {
                socket: Stream::new(stream, registry, token)?,
                rival,
                stage,
                finish: Finish::No,
                ended: false,
                blocked: false,
                ready: false,
                dirty: false,
                closing: None,
                peer: P::default(),
            })
        })?;
        self.joining.push_back((now, id(key)));
        Ok(id(key))
    }

    pub(super) fn now(&self) -> Time {
        self.clock.now()
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = PeerId> {
        self.slots.keys().map(id)
    }

    pub(super) fn get(&self, id: PeerId) -> Option<&Slot<R, P>> {
        self.slots.get(key(id))
    }

    pub(super) fn get_mut(&mut self, id: PeerId) -> Option<&mut Slot<R, P>> {
        self.slots.get_mut(key(id))
    }

    // ---- waiting -----------------------------------------------------------

    pub(super) fn wait(&mut self, until: Option<Time>) -> io::Result<()> {
        let timeout = self.timeout(until)?;
        match self.poll.poll(&mut self.polled, timeout) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        let polled = std::mem::replace(&mut self.polled, Events::with_capacity(0));
        for event in &polled {
            match event.token() {
                ALARM => {}
                LISTENER => {
                    let acceptor = self.acceptor.as_mut();
                    acceptor.into_iter().for_each(Acceptor::note_ready);
                }
                Token(number) => self.note(PeerId::from_u64(number as u64), event),
            }
        }
        self.polled = polled;
        self.accept();
        self.reads = self.ready.len();
        Ok(())
    }

    /// How long the poll may wait; sets the alarm to end it in time.
    fn timeout(&mut self, until: Option<Time>) -> io::Result<Option<Duration>> {
        if !self.ready.is_empty() || !self.dirty.is_empty() {
            return Ok(Some(Duration::ZERO));
        }
        let accept = self.acceptor.as_ref().and_then(Acceptor::next_due);
        let late = self.joining.front().map(|&(came, _)| came + self.patience);
        let Some(until) = [until, accept, late].into_iter().flatten().min() else {
            return Ok(None);
        };
        let now = self.now();
        if until <= now {
            return Ok(Some(Duration::ZERO));
        }
        self.alarm.set(until, now)?;
        // The alarm ends it first, where there is one.
        Ok(Some(until.since(now)))
    }

    fn note(&mut self, id: PeerId, event: &mio::event::Event) {
        let Some(slot) = self.get_mut(id) else {
            return;
        };
        slot.socket.note(event);
        if slot.stage == Stage::Connecting {
            if let Err(error) = slot.socket.error() {
                return self.fail(id, describe(&error));
            }
            if !event.is_writable() {
                return;
            }
            slot.stage = Stage::Greeting;
            self.events.push_back(Event::Connected(id));
            self.greet(id);
            // The rival's handshake may have to send first.
            self.dirty(id);
        } else if event.is_writable() && slot.blocked {
            slot.blocked = false;
            self.dirty(id);
        }
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            self.ready(id);
        }
    }

    fn accept(&mut self) {
        let now = self.now();
        let Some(mut acceptor) = self.acceptor.take() else {
            return;
        };
        for _ in 0..ACCEPT_BUDGET {
            // After an error, such as no free descriptor, the acceptor rests and tries again.
            let Ok(Some((stream, _))) = acceptor.accept(now) else {
                break;
            };
            match self.add(now, stream, Stage::Greeting) {
                Ok(id) => {
                    self.greet(id);
                    // It may have sent something already.
                    self.ready(id);
                }
                Err(_) => acceptor.rest_until(now + ACCEPT_PAUSE),
            }
        }
        self.acceptor = Some(acceptor);
    }

    /// Tells the user of a connection once it can be sent to.
    fn greet(&mut self, id: PeerId) {
        let slot = self.get_mut(id);
        let greets = |slot: &&mut Slot<R, P>| slot.stage == Stage::Greeting && slot.rival.is_open();
        if let Some(slot) = slot.filter(greets) {
            slot.stage = Stage::Open;
            // It may have been told to finish before.
            self.dirty(id);
            self.events.push_back(Event::Joined(id));
        }
    }

    // ---- reading -----------------------------------------------------------

    /// What happened next. Reads each ready connection that `may_read` once in a turn, into `into`.
    pub(super) fn next_event(
        &mut self,
        into: &mut [u8],
        may_read: impl Fn(&P) -> bool,
    ) -> Option<Event> {
        while self.events.is_empty() && self.reads > 0 {
            let waiting = self.reads;
            self.reads -= 1;
            let id = self.ready.pop_front()?;
            let Some(slot) = self.get_mut(id) else {
                continue;
            };
            slot.ready = false;
            if slot.closing.is_some() || slot.ended {
                continue;
            }
            if may_read(&slot.peer) {
                let room = share(into.len(), waiting);
                self.read(id, &mut into[..room]);
            } else {
                self.paused.push(id);
            }
        }
        self.events.pop_front()
    }

    fn read(&mut self, id: PeerId, into: &mut [u8]) {
        let Some(slot) = self.slots.get_mut(key(id)) else {
            return;
        };
        let came = slot.rival.receive(&mut slot.socket, into, &mut self.room);
        let came = match came {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(error) => return self.fail(id, describe(&error)),
            Ok(came) => came,
        };
        let answers = slot.rival.unsent() > 0;
        if came.ended {
            slot.ended = true;
        } else if !came.drained {
            self.ready(id);
        }
        self.greet(id);
        if came.bytes > 0 {
            self.events.push_back(Event::Said(id, came.bytes));
        }
        if came.ended {
            self.events.push_back(Event::Ended(id));
        }
        if answers {
            self.dirty(id);
        }
    }

    fn ready(&mut self, id: PeerId) {
        if let Some(slot) = self.slots.get_mut(key(id)).filter(|slot| !slot.ready) {
            slot.ready = true;
            self.ready.push_back(id);
        }
    }

    /// Reads again from connections that the user did not read.
    pub(super) fn resume(&mut self) {
        for id in std::mem::take(&mut self.paused) {
            self.ready(id);
        }
    }

    // ---- writing -----------------------------------------------------------

    pub(super) fn dirty(&mut self, id: PeerId) {
        if let Some(slot) = self.slots.get_mut(key(id)).filter(|slot| !slot.dirty) {
            slot.dirty = true;
            self.dirty.push_back(id);
        }
    }

    /// Begins the writes of this turn: each dirty connection gets one.
    pub(super) fn begin_writes(&mut self) {
        self.writes = self.dirty.len();
    }

    pub(super) fn next_writable(&mut self) -> Option<PeerId> {
        while self.writes > 0 {
            self.writes -= 1;
            let id = self.dirty.pop_front()?;
            let Some(slot) = self.get_mut(id) else {
                continue;
            };
            slot.dirty = false;
            if slot.stage == Stage::Connecting || slot.closing.is_some() {
                continue;
            }
            if slot.rival.unsent() > 0 {
                self.send_some(id, &[]);
            }
            let writes = |slot: &Slot<R, P>| slot.stage == Stage::Open && !slot.blocked;
            if self.get(id).is_some_and(writes) {
                return Some(id);
            }
        }
        None
    }

    /// Sends a first part of `parts`. Returns its length; all, if the connection has failed.
    pub(super) fn send_some(&mut self, id: PeerId, parts: &[IoSlice<'_>]) -> usize {
        let all = parts.iter().map(|part| part.len()).sum();
        let slot = self.slots.get_mut(key(id));
        let Some(slot) = slot.filter(|slot| slot.closing.is_none()) else {
            return all;
        };
        match slot.rival.send(&mut slot.socket, parts, &mut self.room) {
            Ok(taken) => {
                slot.blocked = taken < all || slot.rival.unsent() > 0;
                taken
            }
            Err(error) => {
                self.fail(id, describe(&error));
                all
            }
        }
    }

    // ---- ending ------------------------------------------------------------

    /// Tells `id`, after all that waits, that nothing follows.
    pub(super) fn finish(&mut self, id: PeerId) {
        let slot = self.get_mut(id);
        if let Some(slot) = slot.filter(|slot| slot.finish == Finish::No) {
            slot.finish = Finish::Wanted;
            self.dirty(id);
        }
    }

    /// The user has written all that waits for `id`: goes on with finishing, if it is wanted.
    pub(super) fn written(&mut self, id: PeerId) {
        let Some(slot) = self.get_mut(id) else {
            return;
        };
        if slot.finish == Finish::Wanted {
            slot.finish = Finish::Said;
            if let Err(error) = slot.rival.finish() {
                return self.fail(id, describe(&error));
            }
            self.send_some(id, &[]);
        }
        let Some(slot) = self.get_mut(id) else {
            return;
        };
        if slot.finish == Finish::Said && slot.rival.unsent() == 0 && slot.closing.is_none() {
            slot.finish = Finish::Sent;
            slot.socket.shut_down();
            if slot.ended {
                self.close(id, Ok(()));
            }
        }
    }

    pub(super) fn fail(&mut self, id: PeerId, why: impl Into<String>) {
        self.close(id, Err(why.into()));
    }

    /// Closes `id` when the turn ends; `Ok` if each side has told the other that it is done.
    pub(super) fn close(&mut self, id: PeerId, outcome: Result<(), String>) {
        let slot = self.get_mut(id).filter(|slot| slot.closing.is_none());
        if let Some(slot) = slot {
            slot.closing = Some(outcome);
            self.closing.push(id);
        }
    }

    /// Closes the next connection that is over, or takes too long to join.
    pub(super) fn next_closed(&mut self) -> Option<(PeerId, P, Result<(), String>)> {
        self.give_up_on_late();
        while let Some(id) = self.closing.pop() {
            if let Some(slot) = self.slots.remove(key(id)) {
                return Some((id, slot.peer, slot.closing.unwrap_or(Ok(()))));
            }
        }
        None
    }

    fn give_up_on_late(&mut self) {
        let now = self.now();
        while let Some(&(came, id)) = self.joining.front() {
            let slot = self.get(id);
            if slot.is_some_and(|slot| slot.stage != Stage::Open) {
                if now < came + self.patience {
                    return;
                }
                self.fail(id, "it took too long to connect");
            }
            self.joining.pop_front();
        }
    }
}

fn describe(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionRefused => "the server refused the connection".into(),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => "the connection was reset".into(),
        _ => format!("the connection failed: {error}"),
    }
}
