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

/// The connection of one peer.
#[derive(Debug)]
struct Slot {
    peer: PeerId,
    /// `None` once it is closed. The rest stays until the slot is used again, because a report
    /// may still ask for the address.
    open: Option<Open>,
    address: SocketAddr,
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
    pub(super) input: Option<Local>,
    pub(super) output: Option<Local>,
}

impl Sockets {
    pub(super) fn new(registry: Registry, buffers: Buffers) -> Self {
        Self {
            registry,
            slots: Vec::new(),
            buffers,
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
        self.slots[place] = Some(Slot {
            peer,
            open: Some(open),
            address,
        });
        Ok(())
    }

    /// A peer has proved itself: from now on its buffers have a part of the budget. Strangers
    /// get none, so that they leave it to peers.
    pub(super) fn joined(&mut self, peer: PeerId) {
        if let Ok(open) = find(&mut self.slots, peer)
            && open.made == Made::ByPeer
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
        let slot = self.slots.get(peer.slot as usize)?.as_ref()?;
        (slot.peer == peer).then_some(slot.address)
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

    fn read_local(&mut self, _: LocalId, into: &mut [u8]) -> io::Result<Read> {
        let input = self.input.as_mut().ok_or(ErrorKind::NotConnected)?;
        input.read(into)
    }

    fn write_local(&mut self, _: LocalId, bytes: &[IoSlice<'_>]) -> io::Result<usize> {
        let output = self.output.as_mut().ok_or(ErrorKind::NotConnected)?;
        output.write(bytes)
    }
}
