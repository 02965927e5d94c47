//! The second half of a tick: sealing and writing, in rounds.
//!
//! A round seals for as many peers as the output scratch has room for, in one
//! batch, then writes for each. Only what a socket would not take is kept.

use std::io::{self, ErrorKind, IoSlice};
use std::ops::Range;

use rand::Rng;

use super::mode::Mode;
use super::peer::Protocol;
use super::queue::Item;
use super::transport::{LocalId, PeerId, Transport};
use super::{Core, Endpoint};
use crate::conn::{Next, Outgoing};
use crate::limits::{BLOCK, GATHER, LEAST_SHARE, MAX_RECORD, OUTPUT_SCRATCH, OUTPUT_TICK, share};
use crate::span::Span;
use crate::wire::record;

/// What one round seals.
#[derive(Debug, Default)]
pub(super) struct Round {
    /// Who gets which part of the output.
    parts: Vec<(PeerId, Range<usize>)>,
    /// Payloads that have left their queues; released when they are sealed.
    spent: Vec<Span>,
    at: usize,
    /// How much may be sealed in all rounds of this tick that are still to come.
    left: usize,
}

impl<M: Mode> Endpoint<M> {
    /// Seals and writes for everyone who has something to be sent, once each.
    pub(super) fn flush(&mut self, io: &mut impl Transport) {
        self.round.left = OUTPUT_TICK;
        for waiting in (1..=self.core.dirty.len()).rev() {
            let Some(id) = self.core.dirty.pop_front() else {
                break;
            };
            let Some(slot) = self.core.peers.get_mut(id) else {
                continue;
            };
            slot.dirty = false;
            if slot.is_over() {
                // Nothing more is sent, not even what is sealed.
                continue;
            }
            match slot.protocol {
                Protocol::Native(_) => self.send_native(id, waiting, io),
                Protocol::Classic(_) => self.core.send_frames(id, io),
                Protocol::Ended(_) => {}
                Protocol::Undecided(_) if slot.has_output() => {
                    // From the first frame on it is a classic peer.
                    self.core.become_classic(id);
                    self.core.send_frames(id, io);
                }
                Protocol::Undecided(_) => {}
            }
        }
        self.finish_round(io);
    }

    /// Has `id` take part in the round: one of so many that are `waiting`.
    fn send_native(&mut self, id: PeerId, waiting: usize, io: &mut impl Transport) {
        if !self.core.send_rest(id, io) || !self.core.peers[id].has_output() {
            return;
        }
        if OUTPUT_SCRATCH - self.round.at < LEAST_SHARE {
            self.finish_round(io);
        }
        let share = share(self.round.left, waiting).max(LEAST_SHARE);
        let mut room = share.min(OUTPUT_SCRATCH - self.round.at);
        if self.core.is_short() {
            // Sealed, it may be one of many copies of what waits once.
            room = room.min(MAX_RECORD);
        }
        self.core.gather_output(id, room, &mut self.round);
    }

    /// Seals and writes what the round has gathered.
    fn finish_round(&mut self, io: &mut impl Transport) {
        let core = &mut self.core;
        core.stats.sealed += core.seals.len() as u64;
        core.seals
            .run(&core.keys.seal, &core.memory, &mut core.output);
        for span in self.round.spent.drain(..) {
            core.memory.release(span);
        }
        for (id, range) in self.round.parts.drain(..) {
            core.write_out(id, range, io);
        }
        self.round.at = 0;
    }

    /// Writes what is queued for locals that are terminals, or for those that are not.
    pub(super) fn write_locals(&mut self, terminals: bool, io: &mut impl Transport) {
        for index in 0..self.core.locals.len() {
            let local = LocalId(index as u32);
            let output = self.core.locals[index].output.as_ref();
            if output.is_none_or(|output| output.screen.is_some() != terminals) {
                continue;
            }
            if let Err(error) = self.core.write_local(local, io) {
                self.core.output_failed(local, error);
            }
        }
    }
}

impl Core {
    /// Puts what `id` has to say into the round, as far as it fits `room`.
    fn gather_output(&mut self, id: PeerId, room: usize, round: &mut Round) {
        let slot = &mut self.peers[id];
        let Protocol::Native(conn) = &mut slot.protocol else {
            return;
        };
        let (queue, nodes, spent) = (&mut slot.queue, &mut self.nodes, &mut round.spent);
        let start = round.at;
        let queued = queue.cost();
        let mut out = Outgoing {
            batch: &mut self.seals,
            bytes: &mut self.output,
            at: start,
            end: start + room,
        };
        conn.seal(self.now, &mut self.keys, &mut out, |room| {
            match queue.front(nodes) {
                None => Next::Empty,
                Some(item) if record::len_for(item.span.len()) > room => Next::NoRoom,
                Some(Item { span, kind }) => {
                    queue.pop(nodes);
                    spent.push(span);
                    Next::Chunk(span, kind)
                }
            }
        });
        if queue.cost() < queued {
            slot.last_active = self.now;
        }
        round.at = out.at;
        round.left = round.left.saturating_sub(round.at - start);
        if round.at > start {
            round.parts.push((id, start..round.at));
        }
        self.measure(id);
        self.touch(id);
    }

    /// Writes what an earlier round left. Says whether nothing is left now.
    pub(super) fn send_rest(&mut self, id: PeerId, io: &mut impl Transport) -> bool {
        let slot = &self.peers[id];
        let Some(unsent) = slot.unsent else {
            return true;
        };
        let result = io.write(id, self.memory.bytes(unsent));
        let count = self.wrote(id, result, unsent.len());
        if count > Some(0) {
            self.peers[id].last_active = self.now;
        }
        let left = unsent.slice(count.unwrap_or(unsent.len())..unsent.len());
        let done = left.is_empty();
        if done {
            self.memory.release(unsent);
        }
        self.peers[id].unsent = (!done).then_some(left);
        if done && count.is_some() {
            self.taken(id);
        }
        done
    }

    /// Writes a part of the output, and keeps what the socket would not take.
    fn write_out(&mut self, id: PeerId, range: Range<usize>, io: &mut impl Transport) {
        let result = io.write(id, &self.output[range.clone()]);
        let Some(count) = self.wrote(id, result, range.len()) else {
            return;
        };
        let rest = range.start + count..range.end;
        if rest.is_empty() {
            self.taken(id);
            if self.peers[id].has_output() {
                self.dirty(id);
            }
            return;
        }
        let unsent = self.memory.store_sealed(&self.output[rest]);
        let slot = &mut self.peers[id];
        slot.progress = self.now;
        slot.unsent = Some(unsent);
    }

    /// Looks at the result of a write of so many bytes: how many were taken, or
    /// nothing if writing has failed for good.
    fn wrote(&mut self, id: PeerId, result: io::Result<usize>, given: usize) -> Option<usize> {
        let slot = &mut self.peers[id];
        match result {
            Ok(count) => {
                slot.progress = self.now;
                slot.blocked = count < given;
                Some(count)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                slot.blocked = true;
                Some(0)
            }
            Err(_) => {
                slot.protocol.write_failed();
                self.drop_queue(id);
                self.touch(id);
                None
            }
        }
    }

    /// The socket has everything that was sealed for `id`.
    fn taken(&mut self, id: PeerId) {
        let now = self.now;
        if let Protocol::Native(conn) = &mut self.peers[id].protocol {
            conn.taken(now);
            self.touch(id);
        }
    }

    /// Sends classic frames, one at a time, for as long as each leaves at once.
    fn send_frames(&mut self, id: PeerId, io: &mut impl Transport) {
        self.touch(id);
        let mut sent = 0;
        while sent < LEAST_SHARE {
            let slot = &mut self.peers[id];
            let Protocol::Classic(conn) = &mut slot.protocol else {
                return;
            };
            if !conn.may_send() {
                return;
            }
            if conn.frame().is_none() {
                let Some(item) = slot.queue.front(&self.nodes) else {
                    return;
                };
                let text = self.memory.bytes(item.span);
                let line = match conn.left_of_line() {
                    0 => first_line(text),
                    left => &text[..left],
                };
                let mut iv = [0; BLOCK];
                self.setup.rng.fill_bytes(&mut iv);
                let count = conn.seal(line, iv);
                slot.queue.consume(&mut self.nodes, &mut self.memory, count);
            }
            let Some(frame) = conn.frame() else {
                return;
            };
            let given = frame.len();
            let result = io.write_frame(id, frame);
            self.measure(id);
            match self.wrote(id, result, given) {
                None | Some(0) => return,
                Some(count) => {
                    sent += count;
                    self.peers[id].last_active = self.now;
                    if let Protocol::Classic(conn) = &mut self.peers[id].protocol {
                        conn.taken(count);
                    }
                }
            }
        }
        self.dirty(id);
    }

    /// Writes what is queued for `local`, for as long as it takes it.
    fn write_local(&mut self, local: LocalId, io: &mut impl Transport) -> io::Result<()> {
        while let Some(output) = &mut self.locals[local.index()].output
            && !output.blocked
            && !output.queue.is_empty()
        {
            let items = output.queue.iter(&self.nodes);
            let waiting = items.map(|item| self.memory.bytes(item.span));
            let result = match &mut output.screen {
                None => {
                    let mut slices = [IoSlice::new(&[]); GATHER];
                    let mut used = 0;
                    for (slice, bytes) in slices.iter_mut().zip(waiting) {
                        *slice = IoSlice::new(bytes);
                        used += 1;
                    }
                    io.write_local(local, &slices[..used])
                }
                Some(screen) => {
                    let piece = screen.piece(output.done, output.queued, waiting);
                    let taken = io.write_local(local, &[IoSlice::new(piece)]);
                    taken.map(|count| screen.written(count))
                }
            };
            let count = match result {
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    output.blocked = true;
                    return Ok(());
                }
                Err(error) => return Err(error),
            };
            output.written(&mut self.nodes, &mut self.memory, count);
            self.measure_local(local);
            self.confirm_written(local);
        }
        Ok(())
    }

    /// Tells peers whose last bytes `local` has taken.
    fn confirm_written(&mut self, local: LocalId) {
        while let Some(output) = &mut self.locals[local.index()].output
            && let Some(&(mark, peer)) = output.waiting.front()
            && output.done >= mark
        {
            output.waiting.pop_front();
            self.handed_on(peer);
        }
    }

    /// Tells nobody that has gone what `local` has taken.
    pub(super) fn forget_waiting(&mut self, gone: PeerId) {
        for local in &mut self.locals {
            if let Some(output) = &mut local.output {
                output.waiting.retain(|&(_, peer)| peer != gone);
            }
        }
    }
}

/// The first line of `text`, with its newline.
fn first_line(text: &[u8]) -> &[u8] {
    let newline = text.iter().position(|&byte| byte == b'\n');
    &text[..newline.map_or(text.len(), |at| at + 1)]
}
