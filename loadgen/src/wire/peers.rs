//! The connections of a loop: where each stands, who is worth a try, and sending.
//!
//! When each is read and written is [`turns`](super::turns)'; what is said is up to
//! whoever uses it.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use mio::net::TcpStream;
use mio::{Registry, Token};
use sealwire::endpoint::transport::PeerId;
use sealwire::net::stream::Stream;
use slab::Slab;

use super::codec::Codec;

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// There is no TCP connection yet.
    Connecting,
    /// There is, and it cannot be sent to yet.
    Greeting,
    Open,
}

/// How far we have come with saying that nothing more follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finish {
    No,
    /// It is to be said behind all that waits.
    Wanted,
    /// The codec has been told.
    Said,
    /// It has left.
    Sent,
}

/// A connection, and what its user keeps for it.
#[derive(Debug)]
pub(crate) struct Slot<C, P> {
    pub(super) id: PeerId,
    pub(super) socket: Stream,
    pub(super) codec: C,
    pub(super) stage: Stage,
    pub(super) finish: Finish,
    /// The other side has said all.
    pub(super) ended: bool,
    /// The socket takes no more until the poll says so.
    pub(super) blocked: bool,
    ready: bool,
    dirty: bool,
    /// It is to be closed when the turn ends, and why.
    pub(super) over: Option<Result<(), String>>,
    /// Its user's.
    pub(crate) own: P,
}

impl<C, P> Slot<C, P> {
    /// Whether it can be sent to.
    pub(crate) fn is_open(&self) -> bool {
        self.stage == Stage::Open && self.finish == Finish::No && self.over.is_none()
    }

    /// Whether a send is worth a try.
    pub(crate) fn may_write(&self) -> bool {
        !self.blocked
    }

    /// Whether we have said that nothing more follows, and that has left.
    pub(crate) fn is_finished(&self) -> bool {
        self.finish == Finish::Sent
    }
}

/// All connections of a loop.
pub(crate) struct Peers<C: Codec, P> {
    slots: Slab<Slot<C, P>>,
    generation: u32,
    pub(super) registry: Registry,
    /// Who may have said something, who may be written to; once each.
    pub(super) ready: VecDeque<PeerId>,
    pub(super) dirty: VecDeque<PeerId>,
    /// Who may have said something, and its user did not want to hear it.
    pub(super) paused: Vec<PeerId>,
    /// Who is to be closed.
    pub(super) over: Vec<PeerId>,
    pub(super) room: C::Room,
}

fn place(id: PeerId) -> usize {
    id.as_u64() as u32 as usize
}

impl<C: Codec, P: Default> Peers<C, P> {
    pub(super) fn new(registry: Registry) -> Self {
        Self {
            slots: Slab::new(),
            generation: 0,
            registry,
            ready: VecDeque::new(),
            dirty: VecDeque::new(),
            paused: Vec::new(),
            over: Vec::new(),
            room: C::Room::default(),
        }
    }

    /// Adds a connection.
    pub(super) fn add(&mut self, stream: TcpStream, codec: C, stage: Stage) -> io::Result<PeerId> {
        // So that an id is not used again for as long as anybody remembers it.
        self.generation = self.generation.wrapping_add(1);
        let entry = self.slots.vacant_entry();
        let number = u64::from(self.generation) << 32 | entry.key() as u64;
        let id = PeerId::from_u64(number);
        let socket = Stream::new(stream, &self.registry, Token(number as usize))?;
        entry.insert(Slot {
            id,
            socket,
            codec,
            stage,
            finish: Finish::No,
            ended: false,
            blocked: false,
            ready: false,
            dirty: false,
            over: None,
            own: P::default(),
        });
        Ok(id)
    }

    /// Takes a connection out, if it is there.
    pub(super) fn remove(&mut self, id: PeerId) -> Option<Slot<C, P>> {
        self.get(id)?;
        self.slots.try_remove(place(id))
    }

    /// A connection, if it is there.
    pub(crate) fn get(&self, id: PeerId) -> Option<&Slot<C, P>> {
        self.slots.get(place(id)).filter(|slot| slot.id == id)
    }

    /// A connection, if it is there.
    pub(crate) fn get_mut(&mut self, id: PeerId) -> Option<&mut Slot<C, P>> {
        self.slots.get_mut(place(id)).filter(|slot| slot.id == id)
    }

    /// A connection, if it is there, and the room that all share.
    pub(super) fn with_room(&mut self, id: PeerId) -> Option<(&mut Slot<C, P>, &mut C::Room)> {
        let slot = self.slots.get_mut(place(id)).filter(|slot| slot.id == id)?;
        Some((slot, &mut self.room))
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whoever is in place `index`, of those below [`places`](Self::places).
    pub(crate) fn at(&self, index: usize) -> Option<PeerId> {
        self.slots.get(index).map(|slot| slot.id)
    }

    /// How many places there are, with the empty ones.
    pub(crate) fn places(&self) -> usize {
        self.slots.capacity()
    }

    // ---- lists -----------------------------------------------------------

    /// Notes that reading from `id` is worth a try.
    pub(super) fn ready(&mut self, id: PeerId) {
        if let Some(slot) = self.get_mut(id).filter(|slot| !slot.ready) {
            slot.ready = true;
            self.ready.push_back(id);
        }
    }

    /// The next who may have something to say, and does not count as ready now.
    pub(super) fn next_ready(&mut self) -> Option<PeerId> {
        let id = self.ready.pop_front()?;
        if let Some(slot) = self.get_mut(id) {
            slot.ready = false;
        }
        Some(id)
    }

    /// Notes that there is something to be written to `id`.
    pub(crate) fn dirty(&mut self, id: PeerId) {
        if let Some(slot) = self.get_mut(id).filter(|slot| !slot.dirty) {
            slot.dirty = true;
            self.dirty.push_back(id);
        }
    }

    /// The next to be written to.
    pub(super) fn next_dirty(&mut self) -> Option<PeerId> {
        let id = self.dirty.pop_front()?;
        if let Some(slot) = self.get_mut(id) {
            slot.dirty = false;
        }
        Some(id)
    }

    /// Tries to read again from those that their user did not want to hear.
    pub(crate) fn resume(&mut self) {
        let mut paused = std::mem::take(&mut self.paused);
        for id in paused.drain(..) {
            self.ready(id);
        }
        self.paused = paused;
    }

    // ---- for their user --------------------------------------------------

    /// Sends a first part of `parts`; says how much of it need not be sent again,
    /// which is all of it if sending has failed for good.
    pub(crate) fn send(&mut self, id: PeerId, parts: &[IoSlice<'_>]) -> usize {
        let all = parts.iter().map(|part| part.len()).sum();
        let slot = self.slots.get_mut(place(id)).filter(|slot| slot.id == id);
        let Some(slot) = slot.filter(|slot| slot.over.is_none()) else {
            return all;
        };
        match slot.codec.send(&mut slot.socket, parts, &mut self.room) {
            Ok(taken) => {
                slot.blocked = taken < all || slot.codec.unsent() > 0;
                taken
            }
            Err(error) => {
                self.fail(id, describe(&error));
                all
            }
        }
    }

    /// Tells `id`, behind all that waits, that nothing more follows.
    pub(crate) fn finish(&mut self, id: PeerId) {
        let slot = self.get_mut(id);
        if let Some(slot) = slot.filter(|slot| slot.finish == Finish::No) {
            slot.finish = Finish::Wanted;
            self.dirty(id);
        }
    }

    /// Closes `id` when the turn ends, because of `why`.
    pub(crate) fn fail(&mut self, id: PeerId, why: impl Into<String>) {
        self.close(id, Err(why.into()));
    }

    pub(super) fn close(&mut self, id: PeerId, outcome: Result<(), String>) {
        let slot = self.get_mut(id).filter(|slot| slot.over.is_none());
        if let Some(slot) = slot {
            slot.over = Some(outcome);
            self.over.push(id);
        }
    }
}

/// Why a connection has failed.
pub(super) fn describe(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "the server refused the connection".into(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            "the connection was reset".into()
        }
        _ => format!("the connection failed: {error}"),
    }
}
