//! The loop over many streams: waits, reads, has what was said acted on, writes.
//!
//! As careful as the library's: the same room to read into, shared as there, a list
//! of those that may have more to say, no allocation for a message. It is what
//! the library is compared with, so it must not be slower than it need be. A
//! [`User`] says what is done with what is said.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use mio::event::Event;
use mio::{Events, Poll, Token};
use sealwire::endpoint::transport::PeerId;
use sealwire::limits::{EVENTS, INPUT_SCRATCH, MAX_RECORD, share};
use sealwire::net::accept::Acceptor;
use sealwire::net::alarm::Alarm;
use sealwire::net::clock::Clock;
use sealwire::net::listen::Listener;
use sealwire::net::stream;
use sealwire::time::Time;

use super::codec::Codec;
use super::peers::{Finish, Peers, Slot, Stage, describe};
use super::user::User;
use crate::limits::JOINING;

/// Poll tokens of peers are their numbers; these are never one.
const ALARM: Token = Token(usize::MAX);
const LISTENER: Token = Token(usize::MAX - 1);

/// The loop, and all it drives.
pub(crate) struct Turns<C: Codec, U: User<C>> {
    poll: Poll,
    events: Events,
    alarm: Alarm,
    clock: Clock,
    setup: C::Setup,
    acceptor: Option<Acceptor>,
    peers: Peers<C, U::Peer>,
    /// Who came when, the first first, as long as the first cannot be sent to.
    joining: VecDeque<(Time, PeerId)>,
    /// How long that may take.
    pub(super) patience: Duration,
    /// What is read in a turn, and how much of it is taken.
    bytes: Box<[u8]>,
    used: usize,
    pub(crate) user: U,
}

impl<C: Codec, U: User<C>> Turns<C, U> {
    /// A loop without connections.
    pub(crate) fn new(setup: C::Setup, clock: Clock, user: U) -> io::Result<Self> {
        let poll = Poll::new()?;
        let alarm = Alarm::new(poll.registry(), ALARM)?;
        let peers = Peers::new(poll.registry().try_clone()?);
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS),
            alarm,
            clock,
            setup,
            acceptor: None,
            peers,
            joining: VecDeque::new(),
            patience: JOINING,
            bytes: vec![0; INPUT_SCRATCH].into_boxed_slice(),
            used: 0,
            user,
        })
    }

    /// The time now.
    pub(crate) fn now(&self) -> Time {
        self.clock.now()
    }

    /// How many can be sent to.
    #[cfg(test)]
    pub(crate) fn open(&self) -> usize {
        let ids = (0..self.peers.places()).filter_map(|index| self.peers.at(index));
        ids.filter(|&id| self.peers.get(id).is_some_and(Slot::is_open))
            .count()
    }

    /// Takes all connections that come to `listener`.
    pub(crate) fn listen(&mut self, listener: Listener) -> io::Result<()> {
        self.acceptor = Some(Acceptor::new(listener, self.poll.registry(), LISTENER)?);
        Ok(())
    }

    /// Begins to connect to `address`, from `from` if that is given.
    pub(crate) fn connect(
        &mut self,
        address: SocketAddr,
        from: Option<SocketAddr>,
    ) -> io::Result<PeerId> {
        let stream = stream::connect(address, from)?;
        let codec = C::new(&self.setup)?;
        let id = self.peers.add(stream, codec, Stage::Connecting)?;
        self.joining.push_back((self.clock.now(), id));
        Ok(id)
    }

    /// Waits until something happens, at most until `until`, and does all that
    /// follows from it.
    pub(crate) fn turn(&mut self, until: Option<Time>) -> io::Result<()> {
        let timeout = self.timeout(until)?;
        match self.poll.poll(&mut self.events, timeout) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(error),
        }
        self.note_events();
        self.accept();
        self.read_ready();
        self.user.turn(&mut self.peers, &self.bytes);
        self.used = 0;
        self.write_dirty();
        self.give_up_on_late();
        self.close_over();
        Ok(())
    }

    // ---- waiting -----------------------------------------------------------

    /// How long the poll may wait; sets the alarm to end it in time.
    fn timeout(&mut self, until: Option<Time>) -> io::Result<Option<Duration>> {
        if !self.peers.ready.is_empty() || !self.peers.dirty.is_empty() {
            return Ok(Some(Duration::ZERO));
        }
        let accept = self.acceptor.as_ref().and_then(Acceptor::next_due);
        let late = self.joining.front().map(|&(came, _)| came + self.patience);
        let Some(until) = [until, accept, late].into_iter().flatten().min() else {
            return Ok(None);
        };
        let now = self.clock.now();
        if until <= now {
            return Ok(Some(Duration::ZERO));
        }
        self.alarm.set(until, now)?;
        // The alarm is before that, where there is one.
        Ok(Some(until.since(now)))
    }

    fn note_events(&mut self) {
        for event in &self.events {
            match event.token() {
                ALARM => {}
                LISTENER => {
                    if let Some(acceptor) = &mut self.acceptor {
                        acceptor.note_ready();
                    }
                }
                Token(number) => {
                    let id = PeerId::from_u64(number as u64);
                    note(&mut self.peers, &mut self.user, id, event);
                }
            }
        }
    }

    /// Accepts who waits, within the budget.
    fn accept(&mut self) {
        let now = self.clock.now();
        let Some(acceptor) = &mut self.acceptor else {
            return;
        };
        // Whatever there was no room for: there will be, after a pause.
        let _ = acceptor.accept(now, |stream, _| {
            let codec = C::new(&self.setup)?;
            let id = self.peers.add(stream, codec, Stage::Greeting)?;
            self.joining.push_back((now, id));
            greet(&mut self.peers, &mut self.user, id);
            // It may have spoken already.
            self.peers.ready(id);
            Ok(())
        });
    }

    // ---- reading -----------------------------------------------------------

    /// Reads who is ready, once each, for as long as there is room.
    fn read_ready(&mut self) {
        for waiting in (1..=self.peers.ready.len()).rev() {
            let left = self.bytes.len() - self.used;
            if left < MAX_RECORD {
                return;
            }
            let Some(id) = self.peers.next_ready() else {
                return;
            };
            let Some(slot) = self.peers.get(id) else {
                continue;
            };
            if slot.over.is_some() || slot.ended {
                continue;
            }
            if self.user.may_read(slot) {
                self.read(id, share(left, waiting));
            } else {
                self.peers.paused.push(id);
            }
        }
    }

    /// Reads from `id`, at most `len` bytes.
    fn read(&mut self, id: PeerId, len: usize) {
        let into = self.used..self.used + len;
        let peers = &mut self.peers;
        let Some((slot, room)) = peers.with_room(id) else {
            return;
        };
        let came = slot
            .codec
            .receive(&mut slot.socket, &mut self.bytes[into.clone()], room);
        let came = match came {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(error) => return peers.fail(id, describe(&error)),
            Ok(came) => came,
        };
        let answers = slot.codec.unsent() > 0;
        if came.ended {
            slot.ended = true;
        } else if !came.drained {
            peers.ready(id);
        }
        greet(peers, &mut self.user, id);
        if came.bytes > 0 {
            let range = into.start..into.start + came.bytes;
            if self.user.keeps() {
                self.used = range.end;
            }
            self.user.said(peers, id, &self.bytes, range);
        }
        if came.ended {
            self.user.ended(peers, id);
        }
        if answers {
            peers.dirty(id);
        }
    }

    // ---- writing -----------------------------------------------------------

    /// Writes to whom there is something for, once each.
    fn write_dirty(&mut self) {
        for _ in 0..self.peers.dirty.len() {
            if let Some(id) = self.peers.next_dirty() {
                self.write(id);
            }
        }
    }

    fn write(&mut self, id: PeerId) {
        let peers = &mut self.peers;
        let Some(slot) = peers.get(id) else {
            return;
        };
        if slot.stage == Stage::Connecting || slot.over.is_some() {
            return;
        }
        if slot.codec.unsent() > 0 {
            peers.send(id, &[]);
        }
        let writes = |slot: &Slot<_, _>| slot.stage == Stage::Open && !slot.blocked;
        if peers.get(id).is_some_and(writes) && self.user.write(peers, id) {
            self.finish(id);
        }
    }

    /// Says that nothing more follows, if that is wanted and nothing else waits.
    fn finish(&mut self, id: PeerId) {
        let Some(slot) = self.peers.get_mut(id) else {
            return;
        };
        if slot.finish == Finish::Wanted {
            slot.finish = Finish::Said;
            if let Err(error) = slot.codec.finish() {
                return self.peers.fail(id, describe(&error));
            }
            self.peers.send(id, &[]);
        }
        let Some(slot) = self.peers.get_mut(id) else {
            return;
        };
        if slot.finish == Finish::Said && slot.codec.unsent() == 0 && slot.over.is_none() {
            slot.finish = Finish::Sent;
            slot.socket.shut_down();
            if slot.ended {
                self.peers.close(id, Ok(()));
            }
        }
    }

    /// Gives up on who takes too long to join.
    fn give_up_on_late(&mut self) {
        let now = self.clock.now();
        while let Some(&(came, id)) = self.joining.front() {
            let slot = self.peers.get(id);
            if slot.is_some_and(|slot| slot.stage != Stage::Open) {
                if now < came + self.patience {
                    return;
                }
                self.peers.fail(id, "it took too long to connect");
            }
            self.joining.pop_front();
        }
    }

    /// Closes those that are over.
    fn close_over(&mut self) {
        while let Some(id) = self.peers.over.pop() {
            let Some(slot) = self.peers.remove(id) else {
                continue;
            };
            slot.socket.close(&self.peers.registry);
            let outcome = slot.over.unwrap_or(Ok(()));
            self.user.left(&mut self.peers, id, slot.own, outcome);
        }
    }
}

/// Takes note of an event of a peer's socket.
fn note<C: Codec, U: User<C>>(
    peers: &mut Peers<C, U::Peer>,
    user: &mut U,
    id: PeerId,
    event: &Event,
) {
    let Some(slot) = peers.get_mut(id) else {
        return;
    };
    slot.socket.note(event);
    if slot.stage == Stage::Connecting {
        if let Err(error) = slot.socket.error() {
            return peers.fail(id, describe(&error));
        }
        if !event.is_writable() {
            return;
        }
        slot.stage = Stage::Greeting;
        user.connected(id);
        greet(peers, user, id);
        // What it has to say first.
        peers.dirty(id);
    } else if event.is_writable() && slot.blocked {
        slot.blocked = false;
        peers.dirty(id);
    }
    if event.is_readable() || event.is_read_closed() || event.is_error() {
        peers.ready(id);
    }
}

/// Tells the user of a peer once it can be sent to.
fn greet<C: Codec, U: User<C>>(peers: &mut Peers<C, U::Peer>, user: &mut U, id: PeerId) {
    let slot = peers.get_mut(id);
    if let Some(slot) = slot.filter(|slot| slot.stage == Stage::Greeting && slot.codec.is_open()) {
        slot.stage = Stage::Open;
        // It may have been told to finish before.
        peers.dirty(id);
        user.joined(peers, id);
    }
}

#[cfg(test)]
mod tests;
