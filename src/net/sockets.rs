//! The sockets of an endpoint's peers, and its local: [`Transport`] over the operating
//! system.
//!
//! It only finds the socket of a peer: the endpoint decides what is read and written, and
//! when. Read next: [`super::stream`] and [`super::local`].

use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::net::SocketAddr;

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Registry, Token};

use super::buffers::{Allowance, Buffers};
use super::local::Local;
use super::stream::Stream;
use crate::endpoint::transport::{LocalId, PeerId, Read, Transport};

/// The poll token of a peer is its number, which is never one of these last few.
pub(super) const FIRST_RESERVED: usize = usize::MAX - 15;

#[derive(Debug)]
struct Slot {
    peer: PeerId,
    stream: Stream,
    address: SocketAddr,
    allowance: Allowance,
}

/// How a connection came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// The peer made it, and may make any number of them: it gets its part of the budget.
    Accepted,
    /// We made it.
    Dialled,
}

/// Everything that can be read and written.
///
/// Invariant: a peer's place is its slot in the endpoint, which no two peers
/// have at once.
#[derive(Debug)]
pub(super) struct Sockets {
    registry: Registry,
    slots: Vec<Option<Slot>>,
    buffers: Buffers,
    /// The peers that were closed in this turn: a report may still ask for an address.
    closed: Vec<(PeerId, SocketAddr)>,
    pub(super) input: Option<Local>,
    pub(super) output: Option<Local>,
}

impl Sockets {
    pub(super) fn new(registry: Registry, buffers: Buffers) -> Self {
        Self {
            registry,
            slots: Vec::new(),
            buffers,
            closed: Vec::new(),
            input: None,
            output: None,
        }
    }

    /// Registers the connection of `peer`. If that fails, so does reading from the peer,
    /// which ends it.
    pub(super) fn add(
        &mut self,
        peer: PeerId,
        socket: TcpStream,
        address: SocketAddr,
        origin: Origin,
    ) -> io::Result<()> {
        let place = peer.slot as usize;
        if self.slots.len() <= place {
            self.slots.resize_with(place + 1, || None);
        }
        let token = Token(peer.as_u64() as usize);
        let mut stream = Stream::new(socket, &self.registry, token)?;
        let allowance = match origin {
            Origin::Accepted => self.buffers.take(),
            Origin::Dialled => Allowance::ELSEWHERE,
        };
        if let Some(sizes) = allowance.sizes {
            stream.set_buffers(sizes);
        }
        self.slots[place] = Some(Slot {
            peer,
            stream,
            address,
            allowance,
        });
        Ok(())
    }

    /// Takes note of an event of a peer's socket.
    pub(super) fn note(&mut self, peer: PeerId, event: &Event) {
        if let Ok(slot) = find(&mut self.slots, peer) {
            slot.stream.note(event);
        }
    }

    /// The address of `peer`, also if it was closed in this turn.
    pub(super) fn address(&self, peer: PeerId) -> Option<SocketAddr> {
        let slot = self.slots.get(peer.slot as usize)?.as_ref();
        let open = slot.map(|slot| (slot.peer, slot.address));
        let known = open.iter().chain(&self.closed);
        known
            .copied()
            .find(|(id, _)| *id == peer)
            .map(|(_, address)| address)
    }

    /// A new turn begins: forgets the peers that were closed in the last one.
    pub(super) fn forget_closed(&mut self) {
        self.closed.clear();
    }
}

fn find(slots: &mut [Option<Slot>], peer: PeerId) -> io::Result<&mut Slot> {
    slots
        .get_mut(peer.slot as usize)
        .and_then(Option::as_mut)
        .filter(|slot| slot.peer == peer)
        .ok_or_else(|| ErrorKind::NotConnected.into())
}

impl Transport for Sockets {
    fn read(&mut self, peer: PeerId, into: &mut [IoSliceMut<'_>]) -> io::Result<Read> {
        let slot = find(&mut self.slots, peer)?;
        // Others may have left. A peer that only receives is read, too: it answers PING.
        if let Some(sizes) = self.buffers.raise(&mut slot.allowance) {
            slot.stream.set_buffers(sizes);
        }
        slot.stream.read(into)
    }

    fn write(&mut self, peer: PeerId, bytes: &[u8]) -> io::Result<usize> {
        find(&mut self.slots, peer)?.stream.write(bytes)
    }

    fn write_alone(&mut self, peer: PeerId, bytes: &[u8]) -> io::Result<usize> {
        let slot = find(&mut self.slots, peer)?;
        slot.stream.write_frame(&self.registry, bytes)
    }

    fn shut_down(&mut self, peer: PeerId) {
        if let Ok(slot) = find(&mut self.slots, peer) {
            slot.stream.shut_down();
        }
    }

    fn reset(&mut self, peer: PeerId) {
        if let Ok(slot) = find(&mut self.slots, peer) {
            slot.stream.reset_on_close();
        }
        self.close(peer);
    }

    fn close(&mut self, peer: PeerId) {
        let place = self.slots.get_mut(peer.slot as usize);
        if let Some(slot) = place.and_then(|place| place.take_if(|slot| slot.peer == peer)) {
            self.closed.push((peer, slot.address));
            self.buffers.give_back(&slot.allowance);
            slot.stream.close(&self.registry);
        }
    }

    fn read_local(&mut self, _: LocalId, into: &mut [u8]) -> io::Result<Read> {
        let input = self.input.as_mut().ok_or(ErrorKind::NotConnected)?;
        input.read(into)
    }

    fn write_local(&mut self, _: LocalId, bytes: &[IoSlice<'_>]) -> io::Result<usize> {
        let output = self.output.as_mut().ok_or(ErrorKind::NotConnected)?;
        output.write(bytes)
    }
}
