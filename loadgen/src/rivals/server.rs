//! The server of a rival: echo, sink and relay over streams of bytes; and one that closes each
//! connection after a message, which is the control of a cohort.
//!
//! An echo is written from where it was read, and a relay copies a turn's messages once for all
//! receivers. What a socket does not accept is copied to the peer's queue. Above the library's
//! high-water mark, the senders that fill a queue are not read. A slow receiver is never dropped,
//! because the load tester's own peers always read.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::mem;
use std::ops::Range;

use sealwire::limits::INPUT_SCRATCH;
use sealwire::{Clock, Limits, Listener, PeerId};

use super::Rival;
use super::streams::{Event, Slot, Streams};
use crate::plan::ServerMode;

pub(crate) struct Server<R: Rival> {
    streams: Streams<R, Peer>,
    mode: ServerMode,
    size: usize,
    /// The high-water mark: with more bytes waiting for a peer, their senders are not read.
    high_water: usize,
    /// How many peers are above that.
    congested: usize,
    bytes: Box<[u8]>,
    /// Messages to relay when the turn ends, and which peer sent which.
    relayed: Vec<u8>,
    pieces: Vec<(PeerId, Range<usize>)>,
}

#[derive(Debug, Default)]
struct Peer {
    pending: VecDeque<u8>,
    /// They are above the high-water mark.
    congested: bool,
    /// The first part of a message to relay.
    rest: Vec<u8>,
}

impl<R: Rival> Server<R> {
    /// Serves the peers that come to `listener`, with messages of `size` bytes.
    pub(crate) fn new(
        setup: R::Setup,
        mode: ServerMode,
        size: usize,
        listener: Listener,
    ) -> io::Result<Self> {
        let mut streams = Streams::new(setup, Clock::start())?;
        streams.listen(listener)?;
        Ok(Self {
            streams,
            mode,
            size,
            high_water: Limits::default().max_queue.max(Limits::whole(size)),
            congested: 0,
            bytes: vec![0; INPUT_SCRATCH].into_boxed_slice(),
            relayed: Vec::new(),
            pieces: Vec::new(),
        })
    }

    /// Waits until something happens, and does what follows.
    pub(crate) fn turn(&mut self) -> io::Result<()> {
        self.streams.wait(None)?;
        let (mode, relay) = (self.mode, ServerMode::Relay);
        loop {
            let congested = self.congested;
            let may_read = |peer: &Peer| match mode {
                ServerMode::Echo => !peer.congested,
                ServerMode::Sink | ServerMode::Close => true,
                ServerMode::Relay => congested == usize::from(peer.congested),
            };
            match self.streams.next_event(&mut self.bytes, may_read) {
                Some(Event::Said(id, len)) if mode == relay => self.gather(id, len),
                Some(Event::Said(id, len)) if mode == ServerMode::Echo => self.echo(id, len),
                Some(Event::Said(id, len)) if mode == ServerMode::Close => self.close(id, len),
                // Our own end is the confirmation that a peer waits for.
                Some(Event::Ended(id)) => self.streams.finish(id),
                Some(_) => {}
                None => break,
            }
        }
        self.relay();
        self.streams.begin_writes();
        while let Some(id) = self.streams.next_writable() {
            if self.write(id) {
                self.streams.written(id);
            }
        }
        while let Some((_, peer, _)) = self.streams.next_closed() {
            if peer.congested {
                self.congested -= 1;
                self.streams.resume();
            }
        }
        Ok(())
    }

    fn echo(&mut self, id: PeerId, len: usize) {
        let bytes = mem::take(&mut self.bytes);
        self.send(id, &bytes[..len]);
        self.bytes = bytes;
    }

    /// Closes `id` once a whole message has come.
    fn close(&mut self, id: PeerId, len: usize) {
        let Some(slot) = self.streams.get_mut(id) else {
            return;
        };
        slot.peer.rest.extend_from_slice(&self.bytes[..len]);
        if slot.peer.rest.len() >= self.size {
            self.streams.close(id, Ok(()));
        }
    }

    /// Sends `bytes` to `id`, and keeps what is not taken.
    fn send(&mut self, id: PeerId, bytes: &[u8]) {
        let Some(slot) = self.streams.get(id) else {
            return;
        };
        let mut taken = 0;
        if slot.may_write() && slot.peer.pending.is_empty() {
            taken = self.streams.send_some(id, &[IoSlice::new(bytes)]);
        }
        if taken < bytes.len()
            && let Some(slot) = self.streams.get_mut(id)
        {
            slot.peer.pending.extend(&bytes[taken..]);
            self.measure(id);
        }
    }

    /// Notes whether what waits for `id` is above the high-water mark.
    fn measure(&mut self, id: PeerId) {
        let Some(slot) = self.streams.get_mut(id) else {
            return;
        };
        let congested = slot.peer.pending.len() >= self.high_water;
        if congested != mem::replace(&mut slot.peer.congested, congested) {
            if congested {
                self.congested += 1;
            } else {
                self.congested -= 1;
                self.streams.resume();
            }
        }
    }

    /// Notes whole messages of `id` to relay, and keeps the first part of another.
    fn gather(&mut self, id: PeerId, len: usize) {
        let Some(slot) = self.streams.get_mut(id) else {
            return;
        };
        let (rest, bytes) = (&mut slot.peer.rest, &self.bytes[..len]);
        let whole = (rest.len() + len) / self.size * self.size;
        if whole == 0 {
            return rest.extend_from_slice(bytes);
        }
        let start = self.relayed.len();
        let (now, later) = bytes.split_at(whole - rest.len());
        self.relayed.append(rest);
        self.relayed.extend_from_slice(now);
        rest.extend_from_slice(later);
        self.pieces.push((id, start..start + whole));
    }

    /// Sends every piece to all peers but its sender.
    fn relay(&mut self) {
        if self.pieces.is_empty() {
            return;
        }
        let (pieces, relayed) = (mem::take(&mut self.pieces), mem::take(&mut self.relayed));
        let ids: Vec<_> = self.streams.ids().collect();
        for id in ids {
            if !self.streams.get(id).is_some_and(Slot::is_open) {
                continue;
            }
            // The pieces lie one behind the other, so one write sends them all.
            if pieces.iter().all(|(from, _)| *from != id) {
                self.send(id, &relayed);
                continue;
            }
            for (_, range) in pieces.iter().filter(|(from, _)| *from != id) {
                self.send(id, &relayed[range.clone()]);
            }
        }
        (self.pieces, self.relayed) = (pieces, relayed);
        self.pieces.clear();
        self.relayed.clear();
    }

    /// Sends what waits for `id`. Returns whether nothing is left.
    fn write(&mut self, id: PeerId) -> bool {
        let Some(slot) = self.streams.get_mut(id) else {
            return false;
        };
        if slot.peer.pending.is_empty() {
            return true;
        }
        let mut pending = mem::take(&mut slot.peer.pending);
        let (first, second) = pending.as_slices();
        let parts = [IoSlice::new(first), IoSlice::new(second)];
        let taken = self.streams.send_some(id, &parts);
        pending.drain(..taken);
        let done = pending.is_empty();
        if let Some(slot) = self.streams.get_mut(id)
            && !done
        {
            slot.peer.pending = pending;
        }
        self.measure(id);
        done
    }
}
