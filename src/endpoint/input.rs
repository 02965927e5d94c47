//! The first half of a tick: reading, and finding what is whole.
//!
//! Reads land in the scratch, one behind the other; only what is not whole when
//! the read ends is kept in a buffer, and the rest of it is read in behind it.
//!
//! Who streams makes way: if others are ready who do not, it goes behind them once, and
//! is not read in this tick, so that they are answered before a scratch full of records
//! is opened and sealed.

use std::io::{self, IoSliceMut};
use std::ops::Range;

use super::mode::{Message, Mode};
use super::peer::{Partial, Peer, Protocol};
use super::transport::{LocalId, PeerId, Read, Transport};
use super::{Core, Cut, Endpoint};
use crate::conn::StreamEnd;
use crate::limits::{
    CHAT_BELOW, FAN_OUT, LINES_BUDGET, LOCAL_BUDGET, MAX_LINE, MAX_RECORD, STREAM_FROM,
    STREAM_MESSAGE, share,
};
use crate::span::{Areas, AreasMut, Span};
use crate::wire::buffer::Memory;

/// What one read of one peer left to be settled.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) peer: PeerId,
    /// Its records in the batch.
    pub(super) records: Range<usize>,
    /// Its stream has ended.
    pub(super) end: Option<StreamEnd>,
}

impl<M: Mode> Endpoint<M> {
    /// Reads who is ready, for as long as there is scratch.
    pub(super) fn read_peers(&mut self, io: &mut impl Transport) {
        let end = self.core.read_room();
        debug_assert_eq!(self.core.chats_ready, self.core.count_chats_ready());
        let chats = self.core.chats_ready > 0;
        for waiting in (1..=self.core.ready.len()).rev() {
            let left = end - self.core.used;
            if left < MAX_RECORD {
                return;
            }
            let Some(id) = self.core.ready.pop_front() else {
                return;
            };
            let Some(slot) = self.core.peers.get_mut(id) else {
                continue;
            };
            slot.ready = false;
            self.core.chats_ready -= usize::from(!slot.streams);
            slot.made_way = chats && slot.streams && !slot.made_way;
            if slot.made_way {
                self.core.ready(id);
                continue;
            }
            let may_read = self.core.may_read(id);
            let now = self.core.now;
            let slot = &mut self.core.peers[id];
            if may_read {
                // Of who has proved nothing, one record is to be opened and no more.
                let share = match slot.joined {
                    true => share(left, waiting),
                    false => MAX_RECORD,
                };
                self.read_peer(id, share, io);
            } else {
                slot.set_reading(now, false);
                self.core.paused.push(id);
            }
        }
    }

    /// Reads from `id`, at most `len` bytes and the rest of a partial unit.
    fn read_peer(&mut self, id: PeerId, len: usize, io: &mut impl Transport) {
        let core = &mut self.core;
        let start = core.used;
        let slot = &mut core.peers[id];
        let read = fill(&mut core.memory, slot, id, start..start + len, io);
        let mut work = Work {
            peer: id,
            records: core.opens.len()..core.opens.len(),
            end: None,
        };
        match read {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) => work.end = Some(StreamEnd::Broken(describe(&error))),
            Ok(Read { bytes: 0, .. }) => work.end = Some(StreamEnd::Closed),
            Ok(read) => {
                let from = match slot.streams {
                    true => CHAT_BELOW,
                    false => STREAM_FROM,
                };
                slot.streams = read.bytes >= from;
                self.take(id, start, read.bytes);
                if !read.drained {
                    self.core.ready(id);
                }
            }
        }
        if work.end.is_some() {
            self.core.peers[id].ended = true;
        }
        work.records.end = self.core.opens.len();
        self.work.push(work);
        self.core.touch(id);
    }

    /// Takes `bytes` that were read: first the rest of a partial unit, then what
    /// starts at `start` in the scratch.
    fn take(&mut self, id: PeerId, start: usize, mut bytes: usize) {
        let core = &mut self.core;
        let now = core.now;
        let slot = &mut core.peers[id];
        slot.protocol.heard(now);
        match slot.partial.take() {
            None => {}
            Some(partial @ Partial::Start(kept)) => {
                // Back in front of what was read behind it.
                let (before, scratch) = core.memory.beside_scratch(kept);
                scratch[start..start + kept.len()].copy_from_slice(before);
                core.uncount_partial(partial);
                core.memory.release(kept);
                bytes += kept.len();
            }
            Some(Partial::Unit { unit, filled }) => {
                let rest = bytes.min(unit.len() - filled as usize);
                bytes -= rest;
                let filled = filled + rest as u32;
                if filled < unit.len {
                    slot.partial = Some(Partial::Unit { unit, filled });
                    return;
                }
                core.uncount_partial(Partial::Unit { unit, filled });
                core.in_use.push(unit);
                if let Protocol::Native(conn) = &mut core.peers[id].protocol {
                    let all = core.memory.bytes(unit);
                    conn.gather(now, &mut core.keys, all, unit, &mut core.opens);
                }
            }
        }
        self.find(id, start..start + bytes);
    }

    /// Finds what is whole in a range of the scratch, and keeps the rest.
    fn find(&mut self, id: PeerId, range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        self.core.used = range.end;
        self.core.decide(id, range.clone());
        let now = self.core.now;
        let core = &mut self.core;
        let slot = &mut core.peers[id];
        let mut used = 0;
        match &mut slot.protocol {
            Protocol::Undecided(_) => {}
            Protocol::Ended(_) => used = range.len(),
            Protocol::Native(conn) => {
                let span = Span::new(Memory::SCRATCH, range.clone());
                let bytes = &core.memory.scratch[range.clone()];
                used = conn.gather(now, &mut core.keys, bytes, span, &mut core.opens);
            }
            Protocol::Classic(_) => used = self.find_frames(id, range.clone()),
        }
        self.core.keep_rest(id, range.start + used..range.end);
    }

    /// Opens classic frames one by one and hands their text on. Returns how many
    /// bytes they took.
    fn find_frames(&mut self, id: PeerId, range: Range<usize>) -> usize {
        let mut at = range.start;
        loop {
            let core = &mut self.core;
            let slot = &mut core.peers[id];
            let Protocol::Classic(conn) = &mut slot.protocol else {
                return range.len();
            };
            let bytes = &mut core.memory.area_mut(Memory::SCRATCH)[at..range.end];
            let Some(opened) = conn.open(core.now, bytes) else {
                // Of a connection that is over, the rest is nothing.
                return if conn.is_over() {
                    range.len()
                } else {
                    at - range.start
                };
            };
            let text = at + opened.text.start..at + opened.text.end;
            at += opened.used;
            if self.note_open(id) {
                self.chunk(id, Span::new(Memory::SCRATCH, text), opened.last);
            }
        }
    }

    /// Reads every local that may be read, and hands on what it gave.
    pub(super) fn read_locals(&mut self, io: &mut impl Transport) {
        for index in 0..self.core.locals.len() {
            let local = LocalId(index as u32);
            if self.core.may_read_local(local) {
                self.read_local(local, io);
            }
        }
    }

    fn read_local(&mut self, local: LocalId, io: &mut impl Transport) {
        let core = &mut self.core;
        let start = core.used;
        let most = core.most_of_local(local);
        let end = (start + most).min(core.memory.scratch.len());
        if start == end {
            // The locals before this one took it all; in the next tick, then.
            return;
        }
        let read = io.read_local(local, &mut core.memory.scratch[start..end]);
        let Some(input) = &mut core.locals[local.index()].input else {
            return;
        };
        match read {
            Ok(Read { bytes: 0, .. }) => {
                input.ended = true;
                self.last_line(local);
                self.mode.input_end(&mut self.core, local);
                self.core.input_ended();
            }
            Ok(read) => {
                input.ready = !read.drained;
                input.given += read.bytes as u64;
                core.used = start + read.bytes;
                match input.kind.cut {
                    Cut::Blocks => self.blocks(local, start..start + read.bytes),
                    Cut::Lines => self.lines(local, start..start + read.bytes),
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => input.ready = false,
            Err(error) => {
                input.failed = true;
                self.core.input_failed(error);
            }
        }
    }

    fn blocks(&mut self, local: LocalId, range: Range<usize>) {
        for start in range.clone().step_by(STREAM_MESSAGE) {
            let block = start..range.end.min(start + STREAM_MESSAGE);
            let span = Span::new(Memory::SCRATCH, block);
            self.mode
                .input(&mut self.core, local, Message::new(&[span]));
        }
    }

    fn lines(&mut self, local: LocalId, range: Range<usize>) {
        let mut start = range.start;
        while start < range.end {
            let rest = &self.core.memory.scratch[start..range.end];
            let newline = rest.iter().position(|&byte| byte == b'\n');
            let end = newline.map_or(range.end, |at| start + at + 1);
            let Some(input) = &mut self.core.locals[local.index()].input else {
                return;
            };
            if newline.is_some() && input.line.is_empty() {
                let span = Span::new(Memory::SCRATCH, start..end);
                self.mode
                    .input(&mut self.core, local, Message::new(&[span]));
            } else {
                input
                    .line
                    .extend_from_slice(&self.core.memory.scratch[start..end]);
                if newline.is_some() || input.line.len() >= MAX_LINE {
                    self.last_line(local);
                }
            }
            start = end;
        }
    }

    /// Hands on a line that had to be put together, or lacks its end.
    fn last_line(&mut self, local: LocalId) {
        let Some(input) = &mut self.core.locals[local.index()].input else {
            return;
        };
        let line = std::mem::take(&mut input.line);
        if !line.is_empty() {
            let span = self.core.memory.store(&line);
            self.mode
                .input(&mut self.core, local, Message::new(&[span]));
            self.core.memory.release(span);
        }
    }
}

/// Reads for a peer: the rest of a partial unit behind its first bytes, and what
/// follows into `room` of the scratch; where the unit's length is not known yet,
/// leaving room for its first bytes.
fn fill(
    memory: &mut Memory,
    slot: &Peer,
    id: PeerId,
    room: Range<usize>,
    io: &mut impl Transport,
) -> io::Result<Read> {
    match slot.partial {
        None => io.read(id, &mut [IoSliceMut::new(&mut memory.scratch[room])]),
        Some(Partial::Start(kept)) => {
            let room = room.start + kept.len()..room.end;
            io.read(id, &mut [IoSliceMut::new(&mut memory.scratch[room])])
        }
        Some(Partial::Unit { unit, filled }) => {
            let (unit, scratch) = memory.beside_scratch(unit);
            let mut slices = [
                IoSliceMut::new(&mut unit[filled as usize..]),
                IoSliceMut::new(&mut scratch[room]),
            ];
            io.read(id, &mut slices)
        }
    }
}

fn describe(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ConnectionReset => "it was reset",
        io::ErrorKind::TimedOut => "the network gave up on it",
        _ => "reading failed",
    }
}

impl Core {
    /// What `chats_ready` is to be.
    fn count_chats_ready(&self) -> usize {
        let live = self.ready.iter().filter_map(|&id| self.peers.get(id));
        live.filter(|slot| !slot.streams).count()
    }

    /// Keeps the bytes in `range` of the scratch, which are a first part of
    /// something, until the rest is there.
    fn keep_rest(&mut self, id: PeerId, range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        let slot = &mut self.peers[id];
        let bytes = &self.memory.scratch[range.clone()];
        let whole = match &slot.protocol {
            Protocol::Native(conn) => conn.unit(bytes),
            _ => None,
        };
        let start = Span::new(Memory::SCRATCH, range);
        let partial = match whole {
            None => Partial::Start(self.memory.keep(start)),
            Some(whole) => {
                let buffer = self.memory.pool.take(whole);
                self.memory.copy(start, buffer, 0);
                Partial::Unit {
                    unit: Span::new(Memory::area_of(buffer), 0..whole),
                    filled: start.len,
                }
            }
        };
        self.partial += self.memory.area(partial.span().area).len();
        slot.partial = Some(partial);
    }

    /// Takes the buffer of a partial unit out of the count.
    pub(super) fn uncount_partial(&mut self, partial: Partial) {
        self.partial -= self.memory.area(partial.span().area).len();
    }

    /// Whether `local` has something that may be read now: somebody is there who
    /// it is for, or it is typed where nobody need come; and no peer it feeds is
    /// above high water.
    pub(super) fn may_read_local(&self, local: LocalId) -> bool {
        self.locals[local.index()]
            .input
            .as_ref()
            .is_some_and(|input| {
                input.ready
                    && !input.ended
                    && !input.failed
                    && self.congested == 0
                    && !self.full
                    && self.ends.reads_input()
                    && (input.kind.terminal && self.ends.may_stay_alone()
                        || input.empty && self.ends.has_served()
                        || self.somebody_listens())
            })
    }

    /// Most bytes that one tick reads from `local`: as lines, each may be a message for
    /// everybody.
    fn most_of_local(&self, local: LocalId) -> usize {
        match &self.locals[local.index()].input {
            Some(input) if input.kind.cut == Cut::Lines => {
                (FAN_OUT / self.proved().max(1)).clamp(1, LINES_BUDGET)
            }
            _ => LOCAL_BUDGET,
        }
    }

    /// Whether a proved peer takes messages.
    fn somebody_listens(&self) -> bool {
        let listens = |peer: &Peer| peer.joined && peer.takes_messages();
        self.proved() > 0
            && self
                .peers
                .ids()
                .any(|id| self.peers.get(id).is_some_and(listens))
    }

    pub(super) fn locals_busy(&self) -> bool {
        (0..self.locals.len() as u32).any(|index| self.may_read_local(LocalId(index)))
    }
}
