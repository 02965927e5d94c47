//! The sockets of an endpoint's peers, and its locals: [`Transport`] over the operating
//! system.
//!
//! It only finds the socket of a peer or a local: the endpoint decides what is read and written, and
//! when. Read next: [`super::stream`], [`super::local`] and [`super::plain`].

use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::net::SocketAddr;

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Registry, Token};

use super::buffers::{Allowance, Buffers};
use super::local::Local;
use super::plain::{Plain, PlainSocket};
use super::stream::Stream;
use crate::endpoint::transport::{LocalId, PeerId, Read, Transport};

/// The poll token of a peer is its number, which is never one of these last few.
pub(super) const FIRST_RESERVED: usize = usize::MAX - 15;

/// The connection of one peer.
#[derive(Debug)]
struct Slot {
    peer: PeerId,
    /// `None` once it is closed. The rest stays until the turn after, because a report may still
    /// ask for the address.
    open: Option<Open>,
    address: SocketAddr,
    /// Where the plain connection comes from that it was made for.
    source: Option<SocketAddr>,
}

/// A socket, and what its buffers may take.
#[derive(Debug)]
struct Open {
    stream: Stream,
    made: Made,
    allowance: Allowance,
}

/// How a connection came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Made {
    /// The peer made it, and may make any number of them: once it is proved, it gets its part of
    /// the budget.
    ByPeer,
    /// We made it.
    ByUs,
    /// We made it for a plain connection, of which there may be any number, too.
    ForLocal,
}

/// The bit of a poll token that tells a local from a peer. No slot of either has it.
const LOCAL: u64 = 1 << 31;

/// The poll token of a local that belongs to a peer.
pub(super) fn token_of_local(local: LocalId) -> Token {
    Token((local.as_u64() | LOCAL) as usize)
}

/// Whose token it is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Owner {
    Peer(PeerId),
    Local(LocalId),
}

impl Owner {
    pub(super) fn of(token: Token) -> Self {
        let number = token.0 as u64;
        match number & LOCAL {
            0 => Self::Peer(PeerId::from_u64(number)),
            _ => Self::Local(LocalId::from_u64(number & !LOCAL)),
        }
    }
}

/// The plain socket of a local, and what its buffers may take.
#[derive(Debug)]
struct PlainSlot {
    local: LocalId,
    plain: Plain,
    allowance: Allowance,
}

/// Everything that can be read and written.
///
/// Invariant: a peer's place is its slot in the endpoint, which no two peers
/// have at once.
#[derive(Debug)]
pub(super) struct Sockets {
    registry: Registry,
    slots: Vec<Option<Slot>>,
    /// Those of closed peers whose place was used again in this turn.
    replaced: Vec<Slot>,
    buffers: Buffers,
    pub(super) input: Option<Local>,
    pub(super) output: Option<Local>,
    /// Those of locals that belong to a peer, each at its local's place.
    plain: Vec<Option<PlainSlot>>,
    /// Locals that are over and had no connection yet.
    unopened: Vec<LocalId>,
}

impl Sockets {
    pub(super) fn new(registry: Registry, buffers: Buffers) -> Self {
        Self {
            registry,
            slots: Vec::new(),
            replaced: Vec::new(),
            buffers,
            input: None,
            output: None,
            plain: Vec::new(),
            unopened: Vec::new(),
        }
    }

    /// Registers the connection of `peer`. If that fails, so does reading from the peer,
    /// which ends it.
    pub(super) fn add(
        &mut self,
        peer: PeerId,
        socket: TcpStream,
        address: SocketAddr,
        made: Made,
    ) -> io::Result<()> {
        let place = peer.slot as usize;
        if self.slots.len() <= place {
            self.slots.resize_with(place + 1, || None);
        }
        let token = Token(peer.as_u64() as usize);
        let stream = Stream::new(socket, &self.registry, token)?;
        let open = Open {
            stream,
            made,
            allowance: Allowance::ELSEWHERE,
        };
        let slot = Slot {
            peer,
            open: Some(open),
            address,
            source: None,
        };
        self.replaced.extend(self.slots[place].replace(slot));
        Ok(())
    }

    /// A turn begins: nobody asks any more for the addresses of peers that left before it and whose
    /// place is used again.
    pub(super) fn begin_turn(&mut self) {
        self.replaced.clear();
    }

    /// What is known of `peer`, also if it was closed in this turn.
    fn known(&self, peer: PeerId) -> Option<&Slot> {
        let slot = self.slots.get(peer.slot as usize)?.as_ref();
        let mut slots = slot.into_iter().chain(&self.replaced);
        slots.find(|slot| slot.peer == peer)
    }

    /// Notes that the connection of `peer` is for the plain one from `source`.
    pub(super) fn set_source(&mut self, peer: PeerId, source: Option<SocketAddr>) {
        let slot = self.slots.get_mut(peer.slot as usize);
        if let Some(slot) = slot.and_then(Option::as_mut)
            && slot.peer == peer
        {
            slot.source = source;
        }
    }

    /// Where the plain connection comes from that `peer` was dialled for.
    pub(super) fn source(&self, peer: PeerId) -> Option<SocketAddr> {
        self.known(peer)?.source
    }

    /// Registers the plain connection of `local`. If that fails, so does reading from it.
    pub(super) fn add_plain(&mut self, local: LocalId, socket: PlainSocket) -> io::Result<()> {
        let place = local.index();
        if self.plain.len() <= place {
            self.plain.resize_with(place + 1, || None);
        }
        let plain = Plain::new(socket, &self.registry, token_of_local(local))?;
        let allowance = self.buffers.take();
        if let Some(sizes) = allowance.sizes {
            plain.set_buffers(sizes);
        }
        self.plain[place] = Some(PlainSlot {
            local,
            plain,
            allowance,
        });
        Ok(())
    }

    /// Takes note of an event of a local's socket.
    pub(super) fn note_plain(&mut self, local: LocalId, event: &Event) {
        if let Ok(slot) = find_plain(&mut self.plain, local) {
            slot.plain.note(event);
        }
    }

    /// Locals that are over and had no connection yet: nobody wants one for them any more.
    pub(super) fn take_unopened(&mut self) -> Vec<LocalId> {
        std::mem::take(&mut self.unopened)
    }

    fn take_plain(&mut self, local: LocalId) -> Option<Plain> {
        let slot = self.plain.get_mut(local.index())?;
        let slot = slot.take_if(|slot| slot.local == local)?;
        self.buffers.give_back(&slot.allowance);
        Some(slot.plain)
    }

    /// A peer has proved itself: from now on its buffers have a part of the budget. Strangers
    /// get none, so that they leave it to peers.
    pub(super) fn joined(&mut self, peer: PeerId) {
        if let Ok(open) = find(&mut self.slots, peer)
            && open.made != Made::ByUs
        {
            open.allowance = self.buffers.take();
            if let Some(sizes) = open.allowance.sizes {
                open.stream.set_buffers(sizes);
            }
        }
    }

    /// Takes note of an event of a peer's socket.
    pub(super) fn note(&mut self, peer: PeerId, event: &Event) {
        if let Ok(open) = find(&mut self.slots, peer) {
            open.stream.note(event);
        }
    }

    /// The address of `peer`, also if it was closed in this turn.
    pub(super) fn address(&self, peer: PeerId) -> Option<SocketAddr> {
        self.known(peer).map(|slot| slot.address)
    }
}

fn find(slots: &mut [Option<Slot>], peer: PeerId) -> io::Result<&mut Open> {
    slots
        .get_mut(peer.slot as usize)
        .and_then(Option::as_mut)
        .filter(|slot| slot.peer == peer)
        .and_then(|slot| slot.open.as_mut())
        .ok_or_else(|| ErrorKind::NotConnected.into())
}

fn find_plain(slots: &mut [Option<PlainSlot>], local: LocalId) -> io::Result<&mut PlainSlot> {
    slots
        .get_mut(local.index())
        .and_then(Option::as_mut)
        .filter(|slot| slot.local == local)
        .ok_or_else(|| ErrorKind::NotConnected.into())
}

impl Transport for Sockets {
    fn read(&mut self, peer: PeerId, into: &mut [IoSliceMut<'_>]) -> io::Result<Read> {
        let open = find(&mut self.slots, peer)?;
        // Others may have left. A peer that only receives is read, too: it answers PING.
        if let Some(sizes) = self.buffers.raise(&mut open.allowance) {
            open.stream.set_buffers(sizes);
        }
        open.stream.read(into)
    }

    fn write(&mut self, peer: PeerId, bytes: &[u8]) -> io::Result<usize> {
        find(&mut self.slots, peer)?.stream.write(bytes)
    }

    fn write_alone(&mut self, peer: PeerId, bytes: &[u8]) -> io::Result<usize> {
        let open = find(&mut self.slots, peer)?;
        open.stream.write_frame(&self.registry, bytes)
    }

    fn shut_down(&mut self, peer: PeerId) {
        if let Ok(open) = find(&mut self.slots, peer) {
            open.stream.shut_down();
        }
    }

    fn reset(&mut self, peer: PeerId) {
        if let Ok(open) = find(&mut self.slots, peer) {
            open.stream.reset_on_close();
        }
        self.close(peer);
    }

    fn close(&mut self, peer: PeerId) {
        let slot = self.slots.get_mut(peer.slot as usize);
        let slot = slot
            .and_then(Option::as_mut)
            .filter(|slot| slot.peer == peer);
        if let Some(open) = slot.and_then(|slot| slot.open.take()) {
            self.buffers.give_back(&open.allowance);
        }
    }

    fn read_local(&mut self, local: LocalId, into: &mut [u8]) -> io::Result<Read> {
        if let Some(input) = &mut self.input {
            return input.read(into);
        }
        let slot = find_plain(&mut self.plain, local)?;
        if let Some(sizes) = self.buffers.raise(&mut slot.allowance) {
            slot.plain.set_buffers(sizes);
        }
        slot.plain.read(into)
    }

    fn write_local(&mut self, local: LocalId, bytes: &[IoSlice<'_>]) -> io::Result<usize> {
        if let Some(output) = &mut self.output {
            return output.write(bytes);
        }
        find_plain(&mut self.plain, local)?.plain.write(bytes)
    }

    fn shut_down_local(&mut self, local: LocalId) -> io::Result<()> {
        find_plain(&mut self.plain, local)?.plain.shut_down()
    }

    fn flush_local(&mut self, local: LocalId) -> io::Result<()> {
        let slot = find_plain(&mut self.plain, local)?;
        slot.plain.flush(&self.registry)
    }

    fn close_local(&mut self, local: LocalId) {
        if let Some(plain) = self.take_plain(local) {
            plain.close();
        }
    }

    fn reset_local(&mut self, local: LocalId) {
        // Dropping it resets it.
        if self.take_plain(local).is_none() {
            self.unopened.push(local);
        }
    }
}
