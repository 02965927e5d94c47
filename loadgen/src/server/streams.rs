//! Echo, sink and relay over streams of bytes.
//!
//! What was read is written from where it lies. Only what a socket does not take is
//! copied, once, to where it waits; and whoever fills what waits is not read while
//! that is more than the library would let wait.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::time::Duration;

use sealwire::endpoint::transport::PeerId;
use sealwire::limits::{Limits, TOO_SLOW};
use sealwire::net::clock::Clock;
use sealwire::net::listen::Listener;
use sealwire::time::Time;

use super::{Mode, Service};
use crate::limits::{GATHER, LOOK_AT_SLOW};
use crate::wire::codec::Codec;
use crate::wire::cutting::{Rest, Spares};
use crate::wire::peers::{Peers, Slot};
use crate::wire::turns::Turns;
use crate::wire::user::User;

/// A server, and its peers.
pub(crate) struct Server<C: Codec> {
    turns: Turns<C, Serving>,
    clock: Clock,
}

impl<C: Codec> Server<C> {
    /// Serves as `service` says.
    pub(crate) fn new(setup: C::Setup, service: Service) -> io::Result<Self> {
        let clock = Clock::start();
        let turns = Turns::new(setup, clock, Serving::new(service, clock))?;
        Ok(Self { turns, clock })
    }

    /// Serves those who come to `listener`.
    pub(crate) fn listen(&mut self, listener: Listener) -> io::Result<()> {
        self.turns.listen(listener)
    }

    /// How many peers can be sent to.
    #[cfg(test)]
    pub(crate) fn open(&self) -> usize {
        self.turns.open()
    }

    /// Waits until something happens, at most for `at_most`, and does all that
    /// follows from it.
    pub(crate) fn turn(&mut self, at_most: Option<Duration>) -> io::Result<()> {
        let wait = self.turns.user.patience().into_iter().chain(at_most).min();
        self.turns.turn(wait.map(|wait| self.clock.now() + wait))
    }
}

/// What a server keeps of a peer.
#[derive(Debug, Default)]
struct Peer {
    /// What waits to be sent.
    pending: VecDeque<u8>,
    /// It is above high water.
    congested: bool,
    /// When its socket last took something while more waited.
    progress: Time,
    /// The first part of a message that is to be relayed.
    rest: Rest,
}

/// What is to be relayed when the turn ends.
#[derive(Debug)]
struct Piece {
    from: PeerId,
    bytes: Bytes,
}

#[derive(Debug)]
enum Bytes {
    /// The first part of a message that came before.
    Kept(Rest),
    /// Where it was read to.
    Read(Range<usize>),
}

/// Does what the service is.
struct Serving {
    service: Service,
    clock: Clock,
    /// Most bytes that wait for a peer before those who fill it are not read.
    high_water: usize,
    /// How many are above that.
    congested: usize,
    pieces: Vec<Piece>,
    spares: Spares,
}

impl Serving {
    fn new(service: Service, clock: Clock) -> Self {
        Self {
            service,
            clock,
            high_water: Limits::for_messages(service.size).max_queue,
            congested: 0,
            pieces: Vec::new(),
            spares: Spares::default(),
        }
    }

    /// How long a turn may wait: some are to be looked at again, because they may be
    /// too slow.
    fn patience(&self) -> Option<Duration> {
        (self.congested > 0 && self.service.mode == Mode::Relay).then_some(LOOK_AT_SLOW)
    }

    /// Sends `parts` to `id`, and keeps what is not taken.
    fn send<C: Codec>(&mut self, peers: &mut Peers<C, Peer>, id: PeerId, parts: &[IoSlice<'_>]) {
        let Some(slot) = peers.get(id) else {
            return;
        };
        let mut taken = 0;
        if slot.may_write() && slot.own.pending.is_empty() {
            taken = peers.send(id, parts);
            if taken == parts.iter().map(|part| part.len()).sum::<usize>() {
                return;
            }
        }
        let Some(slot) = peers.get_mut(id) else {
            return;
        };
        if slot.own.pending.is_empty() {
            slot.own.progress = self.clock.now();
        }
        for part in parts {
            let skipped = taken.min(part.len());
            taken -= skipped;
            slot.own.pending.extend(&part[skipped..]);
        }
        self.measure(peers, id);
    }

    /// Notes whether what waits for `id` is above high water.
    fn measure<C: Codec>(&mut self, peers: &mut Peers<C, Peer>, id: PeerId) {
        let Some(slot) = peers.get_mut(id) else {
            return;
        };
        let congested = slot.own.pending.len() >= self.high_water;
        if congested != slot.own.congested {
            slot.own.congested = congested;
            if congested {
                self.congested += 1;
            } else {
                self.congested -= 1;
                peers.resume();
            }
        }
    }

    /// Notes whole messages of `id`, which are to be relayed, and keeps the first
    /// part of one that is not whole.
    fn gather(&mut self, from: PeerId, peer: &mut Peer, bytes: &[u8], range: Range<usize>) {
        let before = peer.rest.len();
        if before + range.len() < self.service.size {
            let bytes = &bytes[range];
            match peer.rest.is_empty() {
                true => peer.rest = self.spares.take(self.service.size, bytes),
                false => peer.rest.extend_from_slice(bytes),
            }
            return;
        }
        let left = (before + range.len()) % self.service.size;
        let whole = range.start..range.end - left;
        let next = match left {
            0 => Rest::new(),
            _ => self
                .spares
                .take(self.service.size, &bytes[whole.end..range.end]),
        };
        let rest = std::mem::replace(&mut peer.rest, next);
        if before > 0 {
            let bytes = Bytes::Kept(rest);
            self.pieces.push(Piece { from, bytes });
        }
        let bytes = Bytes::Read(whole);
        self.pieces.push(Piece { from, bytes });
    }

    /// Sends every piece to everyone but whom it is from.
    fn relay<C: Codec>(&mut self, peers: &mut Peers<C, Peer>, bytes: &[u8]) {
        let mut pieces = std::mem::take(&mut self.pieces);
        for index in 0..peers.places() {
            let open = |id: &PeerId| peers.get(*id).is_some_and(Slot::is_open);
            if let Some(id) = peers.at(index).filter(open) {
                self.relay_to(peers, id, &pieces, bytes);
            }
        }
        for piece in pieces.drain(..) {
            if let Bytes::Kept(rest) = piece.bytes {
                self.spares.give(rest);
            }
        }
        self.pieces = pieces;
    }

    fn relay_to<C: Codec>(
        &mut self,
        peers: &mut Peers<C, Peer>,
        id: PeerId,
        pieces: &[Piece],
        bytes: &[u8],
    ) {
        let mut parts = [IoSlice::new(&[]); GATHER];
        let mut count = 0;
        for piece in pieces.iter().filter(|piece| piece.from != id) {
            let part = match &piece.bytes {
                Bytes::Kept(rest) => rest,
                Bytes::Read(range) => &bytes[range.clone()],
            };
            parts[count] = IoSlice::new(part);
            count += 1;
            if count == GATHER {
                self.send(peers, id, &parts);
                count = 0;
            }
        }
        if count > 0 {
            self.send(peers, id, &parts[..count]);
        }
    }

    /// Gives up on whoever has taken nothing for too long while others wait.
    fn drop_slow<C: Codec>(&mut self, peers: &mut Peers<C, Peer>) {
        let now = self.clock.now();
        for index in 0..peers.places() {
            let slow = |id: &PeerId| {
                let own = peers.get(*id).map(|slot| &slot.own);
                own.is_some_and(|own| own.congested && now >= own.progress + TOO_SLOW)
            };
            if let Some(id) = peers.at(index).filter(slow) {
                peers.fail(id, "too slow");
            }
        }
    }
}

impl<C: Codec> User<C> for Serving {
    type Peer = Peer;

    fn may_read(&self, slot: &Slot<C, Peer>) -> bool {
        match self.service.mode {
            Mode::Echo => !slot.own.congested,
            Mode::Sink => true,
            Mode::Relay => self.congested == usize::from(slot.own.congested),
        }
    }

    fn keeps(&self) -> bool {
        self.service.mode == Mode::Relay
    }

    fn said(&mut self, peers: &mut Peers<C, Peer>, id: PeerId, bytes: &[u8], range: Range<usize>) {
        match self.service.mode {
            Mode::Echo => self.send(peers, id, &[IoSlice::new(&bytes[range])]),
            Mode::Sink => {}
            Mode::Relay => {
                if let Some(slot) = peers.get_mut(id) {
                    self.gather(id, &mut slot.own, bytes, range);
                }
            }
        }
    }

    /// The confirmation that it waits for is our own end.
    fn ended(&mut self, peers: &mut Peers<C, Peer>, id: PeerId) {
        peers.finish(id);
    }

    fn turn(&mut self, peers: &mut Peers<C, Peer>, bytes: &[u8]) {
        if !self.pieces.is_empty() {
            self.relay(peers, bytes);
        }
        // A sole receiver keeps nobody waiting but who feeds it.
        if self.patience().is_some() && peers.len() > 2 {
            self.drop_slow(peers);
        }
    }

    fn write(&mut self, peers: &mut Peers<C, Peer>, id: PeerId) -> bool {
        let Some(slot) = peers.get_mut(id) else {
            return false;
        };
        if slot.own.pending.is_empty() {
            return true;
        }
        let mut pending = std::mem::take(&mut slot.own.pending);
        let (first, second) = pending.as_slices();
        let taken = peers.send(id, &[IoSlice::new(first), IoSlice::new(second)]);
        pending.drain(..taken);
        let done = pending.is_empty();
        if let Some(slot) = peers.get_mut(id) {
            if taken > 0 {
                slot.own.progress = self.clock.now();
            }
            if !done {
                slot.own.pending = pending;
            }
        }
        self.measure(peers, id);
        done
    }

    fn left(&mut self, peers: &mut Peers<C, Peer>, _: PeerId, own: Peer, _: Result<(), String>) {
        self.spares.give(own.rest);
        if own.congested {
            self.congested -= 1;
            peers.resume();
        }
    }
}

#[cfg(test)]
mod tests;
