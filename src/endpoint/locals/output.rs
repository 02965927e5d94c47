//! The writing side of a local: what waits for it.
//!
//! Short pieces are joined, because a stream has no messages. Read next:
//! [`super::screen`] for terminals, `net::local` for the descriptors.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::sync::Arc;

use super::Locals;
use super::screen::Screen;
use crate::endpoint::mode::{Message, Mode};
use crate::endpoint::queue::{Item, Queue, Store};
use crate::endpoint::roster::Roster;
use crate::endpoint::transport::{LocalId, PeerId, Transport};
use crate::endpoint::{Context, Endpoint};
use crate::limits::{GATHER, MAX_PAYLOAD, SHORT};
use crate::span::{Area, Span};
use crate::wire::record::Kind;

/// What a local writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputKind {
    /// A pipe, a file, a socket.
    Stream,
    /// A person reads. What peers send is marked with their
    /// [names](crate::Endpoint::set_name) and made harmless. It is written in the next
    /// tick, after the notice of each peer that came.
    Terminal,
}

/// The writing side of a local.
///
/// Invariant: `open` is the buffer of the queue's last item, and ours alone.
#[derive(Debug, Default)]
pub(super) struct Output {
    /// For a terminal: how to show what waits.
    screen: Option<Screen>,
    queue: Queue,
    /// Takes short pieces, behind those before it.
    open: Option<Area>,
    blocked: bool,
    congested: bool,
    /// Bytes that were queued since the start, and how many of them are done with.
    queued: u64,
    done: u64,
    /// Peers to tell when `done` has come as far as `queued` was. Some may be gone.
    waiting: VecDeque<(u64, PeerId)>,
    /// A write that takes less than all says that the socket takes no more for now.
    socket: bool,
    /// `done` at the last look while memory is short, if it took nothing more then.
    seen: Option<u64>,
}

impl Output {
    pub(super) fn new(kind: OutputKind) -> Self {
        Self {
            screen: (kind == OutputKind::Terminal).then(Screen::default),
            ..Self::default()
        }
    }

    /// That of a socket which belongs to a peer, and takes nothing yet.
    pub(super) fn for_socket() -> Self {
        Self {
            socket: true,
            blocked: true,
            ..Self::default()
        }
    }

    /// Whether a write is not worth a try.
    pub(super) fn is_blocked(&self) -> bool {
        self.blocked
    }

    pub(super) fn block(&mut self) {
        self.blocked = true;
    }

    pub(super) fn unblock(&mut self) {
        self.blocked = false;
    }

    /// Whether all that was queued is written.
    pub(super) fn is_written(&self) -> bool {
        self.queue.is_empty()
    }

    /// Looks whether it takes what waits. Returns whether it was blocked at the last look,
    /// too, and has taken less than `share` since then.
    pub(super) fn is_slow(&mut self, share: u64) -> bool {
        let waits = self.blocked && !self.queue.is_empty();
        let seen = std::mem::replace(&mut self.seen, waits.then_some(self.done));
        waits && seen.is_some_and(|seen| self.done < seen + share)
    }

    /// Whether something waits and a write is worth a try.
    fn may_be_written(&self) -> bool {
        !self.blocked && !self.queue.is_empty()
    }

    /// Queues the bytes of `span`. Where something waits already, short pieces are
    /// copied together. Otherwise the items of a peer that writes a few bytes at a time
    /// would take more memory than its bytes.
    fn push(&mut self, store: &mut Store, span: Span) {
        self.queued += span.len() as u64;
        let kind = Kind::Part;
        if span.len() >= SHORT || self.queue.is_empty() {
            self.open = None;
            return self.queue.push(store, Item { span, kind });
        }
        let end = self.queue.back(store).map_or(0, |item| item.span.end());
        if let Some(buffer) = self.open
            && end + span.len() <= MAX_PAYLOAD
        {
            store.memory.copy(span, buffer, end);
            return self.queue.extend_last(store, span.len());
        }
        let buffer = store.memory.take(MAX_PAYLOAD);
        store.memory.copy(span, buffer.area, 0);
        let span = buffer.slice(0..span.len());
        self.queue.push(store, Item { span, kind });
        store.memory.release(buffer);
        self.open = Some(buffer.area);
    }

    /// Memory that what waits takes.
    fn cost(&self) -> usize {
        self.queue.cost() + self.screen.as_ref().map_or(0, Screen::cost)
    }

    /// Writes some of what is queued. Returns whether the local accepted any of it.
    pub(super) fn write(
        &mut self,
        local: LocalId,
        store: &mut Store,
        io: &mut impl Transport,
    ) -> io::Result<bool> {
        if !self.may_be_written() {
            return Ok(false);
        }
        let items = self.queue.iter(store);
        let waiting = items.map(|item| store.memory.bytes(item.span));
        let result = match &mut self.screen {
            None => {
                let mut slices = [IoSlice::new(&[]); GATHER];
                let (mut used, mut given) = (0, 0);
                for (slice, bytes) in slices.iter_mut().zip(waiting) {
                    *slice = IoSlice::new(bytes);
                    used += 1;
                    given += bytes.len();
                }
                let taken = io.write_local(local, &slices[..used]);
                self.blocked = self.socket && matches!(taken, Ok(count) if count < given);
                taken
            }
            Some(screen) => {
                let piece = screen.piece(self.done, self.queued, waiting);
                let taken = io.write_local(local, &[IoSlice::new(piece)]);
                taken.map(|count| screen.written(count))
            }
        };
        match result {
            Ok(count) => {
                self.queue.consume(store, count);
                self.done += count as u64;
                if self.queue.is_empty() {
                    self.open = None;
                }
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.blocked = true;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}

impl Locals {
    /// Queues `message` from the peer called `name`.
    pub(in crate::endpoint) fn push(
        &mut self,
        local: LocalId,
        store: &mut Store,
        name: Option<Arc<str>>,
        message: Message<'_>,
    ) {
        if message.is_empty() || !self.takes(local) {
            return;
        }
        let Some(output) = self.output(local) else {
            return;
        };
        if let Some(screen) = &mut output.screen {
            screen.begin(output.queued, name.unwrap_or_else(|| "a peer".into()));
        }
        for &span in message.spans().iter().filter(|span| !span.is_empty()) {
            output.push(store, span);
        }
        self.list_to_write(local);
    }

    /// Whether something waits for a local and a write is worth a try.
    pub(in crate::endpoint) fn may_be_written(&self) -> bool {
        self.outputs().any(Output::may_be_written)
    }

    /// Whether every local has accepted all that was queued for it.
    pub(in crate::endpoint) fn have_all(&self) -> bool {
        self.outputs().all(|output| output.queue.is_empty())
    }

    pub(in crate::endpoint) fn is_congested(&self, local: LocalId) -> bool {
        let output = self.get(local).and_then(|local| local.output.as_ref());
        output.is_some_and(|output| output.congested)
    }

    /// Notes whether the queue is above the high-water mark. Returns whether it has just
    /// fallen below it.
    pub(in crate::endpoint) fn measure(&mut self, local: LocalId, high_water: usize) -> bool {
        let Some(output) = self.output(local) else {
            return false;
        };
        let congested = output.cost() >= high_water;
        std::mem::replace(&mut output.congested, congested) && !congested
    }

    /// Makes `peer` wait until `local` has accepted all that is queued by now. Returns
    /// whether it waits: always for its own local, whose end confirms it.
    pub(in crate::endpoint) fn must_wait(
        &mut self,
        local: LocalId,
        peer: PeerId,
        roster: &Roster,
    ) -> bool {
        if self.is_paired(local) {
            return true;
        }
        let Some(output) = self.output(local) else {
            return false;
        };
        let waits = output.done < output.queued;
        if waits {
            // Peers that are gone are dropped when they are most of the list.
            if output.waiting.len() > 2 * roster.len() {
                output
                    .waiting
                    .retain(|&(_, peer)| roster.get(peer).is_some());
            }
            output.waiting.push_back((output.queued, peer));
        }
        waits
    }

    /// The next peer whose last bytes `local` has accepted.
    fn next_written(&mut self, local: LocalId) -> Option<PeerId> {
        let output = self.output(local)?;
        let &(mark, peer) = output.waiting.front()?;
        if output.done < mark {
            return None;
        }
        output.waiting.pop_front();
        Some(peer)
    }

    /// Drops all that is queued for `local`: it counts as written, and no peer is told.
    pub(in crate::endpoint) fn drop_output(&mut self, local: LocalId, store: &mut Store) {
        let Some(output) = self.output(local) else {
            return;
        };
        output.queue.clear(store);
        output.open = None;
        output.screen = output.screen.take().map(|_| Screen::default());
        output.waiting.clear();
        output.done = output.queued;
    }
}

impl<M: Mode> Endpoint<M> {
    /// Says that writing to `local` is worth a try.
    pub fn local_writable(&mut self, local: LocalId) {
        if let Some(output) = self.parts.locals.output(local) {
            output.unblock();
            self.parts.locals.list_to_write(local);
        }
    }
}

impl Context {
    /// Writes what is queued for locals of this kind, for as long as they accept it.
    pub(in crate::endpoint) fn write_locals(&mut self, kind: OutputKind, io: &mut impl Transport) {
        for index in 0..self.locals.shared().len() {
            let local = self.locals.shared()[index];
            while let Some(output) = self.locals.output(local)
                && output.screen.is_some() == (kind == OutputKind::Terminal)
            {
                match output.write(local, &mut self.store, io) {
                    Ok(true) => self.note_written(local),
                    Ok(false) => break,
                    Err(error) => {
                        self.output_failed(local, error);
                        break;
                    }
                }
            }
        }
    }

    /// Writes what is queued for streams, those of pairs too.
    pub(in crate::endpoint) fn write_streams(&mut self, io: &mut impl Transport) {
        self.write_locals(OutputKind::Stream, io);
        self.write_pairs(io);
    }

    /// Tells peers whose last bytes `local` has accepted.
    fn note_written(&mut self, local: LocalId) {
        self.measure_local(local);
        while let Some(peer) = self.locals.next_written(local) {
            self.handed_on(peer);
        }
    }
}
