//! The sockets of an endpoint's peers, and its locals: what
//! [`Transport`] asks for, done by the operating system.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::net::SocketAddr;

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Registry, Token};

use super::local::{Input, Output};
use super::stream::Stream;
use crate::endpoint::transport::{LocalId, PeerId, Read, Transport};

/// Poll tokens of peers are their numbers; these few at the end are never one.
pub(super) const FIRST_RESERVED: usize = usize::MAX - 15;

#[derive(Debug)]
struct Slot {
    peer: PeerId,
    stream: Stream,
    address: SocketAddr,
}

/// Everything that can be read and written.
///
/// Invariant: a peer's place is its slot in the endpoint, which no two peers
/// have at once.
#[derive(Debug)]
pub(super) struct Sockets {
    registry: Registry,
    slots: Vec<Option<Slot>>,
    /// Who was closed in this turn, for those who want to print it.
    closed: Vec<(PeerId, SocketAddr)>,
    pub(super) input: Option<Input>,
    pub(super) output: Option<Output>,
}

impl Sockets {
    pub(super) fn new(registry: Registry) -> Self {
        Self {
            registry,
            slots: Vec::new(),
            closed: Vec::new(),
            input: None,
            output: None,
        }
    }

    /// Registers the connection of `peer`. Without it, or if that fails, reading
    /// from the peer fails, which ends it.
    pub(super) fn add(
        &mut self,
        peer: PeerId,
        socket: TcpStream,
        address: SocketAddr,
    ) -> io::Result<()> {
        let place = peer.slot as usize;
        if self.slots.len() <= place {
            self.slots.resize_with(place + 1, || None);
        }
        let stream = Stream::new(socket, &self.registry, token_of(peer))?;
        self.slots[place] = Some(Slot {
            peer,
            stream,
            address,
        });
        Ok(())
    }

    /// Takes note of an event of a peer's socket.
    pub(super) fn note(&mut self, peer: PeerId, event: &Event) {
        if let Ok(stream) = self.stream(peer) {
            stream.note(event);
        }
    }

    /// Where `peer` is, or was when it was closed in this turn.
    pub(super) fn address(&self, peer: PeerId) -> Option<SocketAddr> {
        let slot = self.slots.get(peer.slot as usize)?.as_ref();
        let here = slot.filter(|slot| slot.peer == peer);
        let gone = || self.closed.iter().find(|(id, _)| *id == peer);
        here.map(|slot| slot.address)
            .or_else(|| gone().map(|(_, address)| *address))
    }

    /// A new turn begins; who was closed in the last one is forgotten.
    pub(super) fn forget_closed(&mut self) {
        self.closed.clear();
    }

    fn stream(&mut self, peer: PeerId) -> io::Result<&mut Stream> {
        find(&mut self.slots, peer)
    }
}

fn find(slots: &mut [Option<Slot>], peer: PeerId) -> io::Result<&mut Stream> {
    slots
        .get_mut(peer.slot as usize)
        .and_then(Option::as_mut)
        .filter(|slot| slot.peer == peer)
        .map(|slot| &mut slot.stream)
        .ok_or_else(|| ErrorKind::NotConnected.into())
}

/// The poll token of `peer`.
pub(super) fn token_of(peer: PeerId) -> Token {
    Token(peer.as_u64() as usize)
}

impl Transport for Sockets {
    fn read(&mut self, peer: PeerId, into: &mut [IoSliceMut<'_>]) -> io::Result<Read> {
        self.stream(peer)?.read(into)
    }

    fn write(&mut self, peer: PeerId, bytes: &[u8]) -> io::Result<usize> {
        self.stream(peer)?.write(bytes)
    }

    fn write_alone(&mut self, peer: PeerId, bytes: &[u8]) -> io::Result<usize> {
        find(&mut self.slots, peer)?.write_frame(&self.registry, bytes)
    }

    fn shut_down(&mut self, peer: PeerId) {
        if let Ok(stream) = self.stream(peer) {
            stream.shut_down();
        }
    }

    fn reset(&mut self, peer: PeerId) {
        if let Ok(stream) = self.stream(peer) {
            stream.reset_on_close();
        }
        self.close(peer);
    }

    fn close(&mut self, peer: PeerId) {
        let place = self.slots.get_mut(peer.slot as usize);
        if let Some(slot) = place.and_then(|place| place.take_if(|slot| slot.peer == peer)) {
            self.closed.push((peer, slot.address));
            slot.stream.close(&self.registry);
        }
    }

    fn read_local(&mut self, _: LocalId, into: &mut [u8]) -> io::Result<Read> {
        match &mut self.input {
            Some(input) => input.read(into),
            None => Err(ErrorKind::NotConnected.into()),
        }
    }

    fn write_local(&mut self, _: LocalId, bytes: &[IoSlice<'_>]) -> io::Result<usize> {
        match &mut self.output {
            Some(output) => output.write(bytes),
            None => Err(ErrorKind::NotConnected.into()),
        }
    }
}
