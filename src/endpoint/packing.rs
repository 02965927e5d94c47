//! What a peer is sent next: a chunk that waits, or several short messages in one PACK.
//!
//! It packs only what waits anyway. Messages that lie behind one another as a pack has
//! them, because they came in one, are sealed from there; others are copied together.
//! Read next: [`crate::wire::pack`] for how many go into a record; [`super::outbound`],
//! which seals it.

use std::ops::Range;

use super::outbound::Outlet;
use super::queue::{Queue, Store};
use crate::conn::Next;
use crate::limits::{
    INPUT_SCRATCH, LEAST_PACK, LOCAL_BUDGET, MIN_RECORD, OUTPUT_SCRATCH, PACK_LENGTH,
};
use crate::span::{Areas, Span};
use crate::wire::buffer::Memory;
use crate::wire::pack;
use crate::wire::record::{self, Kind};

/// The part of the scratch where packs are put together, behind what a tick reads. It has
/// room for every pack of a round, because each is shorter than its record.
const PACKS: Range<usize> = INPUT_SCRATCH + LOCAL_BUDGET..SCRATCH;
/// Bytes of the scratch, with that part.
pub(super) const SCRATCH: usize = INPUT_SCRATCH + LOCAL_BUDGET + OUTPUT_SCRATCH;

/// Packs of one round that were put together.
#[derive(Debug, Default)]
pub(super) struct Packing {
    /// Bytes of their place that this round has used.
    used: usize,
    /// Bytes of it to erase when a peer leaves.
    to_erase: usize,
}

impl Packing {
    /// The round is sealed, and nothing refers to its packs any more.
    pub(super) fn end_round(&mut self) {
        self.to_erase = self.to_erase.max(self.used);
        self.used = 0;
    }

    /// Erases the packs of earlier rounds.
    pub(super) fn erase(&mut self, memory: &mut Memory) {
        let len = std::mem::take(&mut self.to_erase);
        memory.erase_scratch(PACKS.start..PACKS.start + len);
    }

    /// Takes the first `count` messages of `queue` out, and copies them together.
    fn copy(&mut self, queue: &mut Queue, store: &mut Store, count: usize) -> Span {
        let start = PACKS.start + self.used;
        let mut at = start;
        for _ in 0..count {
            let span = queue.pop(store).expect("it was counted").span;
            let length = pack::length_field(span.len());
            store.memory.scratch[at..][..PACK_LENGTH].copy_from_slice(&length);
            at += PACK_LENGTH;
            store.memory.copy_to_scratch(span, at);
            at += span.len();
            store.memory.release(span);
        }
        self.used = at - PACKS.start;
        Span::new(Memory::SCRATCH, start..at)
    }
}

/// What waits for one peer, as the payloads of records.
#[derive(Debug)]
pub(super) struct Payloads<'a> {
    pub(super) packing: &'a mut Packing,
    pub(super) outlet: &'a mut Outlet,
    /// Payloads that have left the queue; released when they are sealed.
    pub(super) spent: &'a mut Vec<Span>,
    /// After how many bytes a pack is closed.
    pub(super) target: usize,
    /// Most messages of a pack.
    pub(super) most: usize,
    /// Bytes that the peer may still be sent. A pack counts as its record, or as one of the
    /// shortest records for each message, if that is more: many tiny messages cost work.
    pub(super) left: usize,
}

impl Payloads<'_> {
    /// Takes the next record's payload out of the queue, if the record fits `room`.
    pub(super) fn next(&mut self, store: &mut Store, room: usize) -> Next {
        let room = room.min(self.left);
        let Outlet { queue, inside, .. } = &mut *self.outlet;
        let Some(first) = queue.front(store) else {
            return Next::Empty;
        };
        let alone = record::len_for(first.span.len());
        if alone > room {
            return Next::NoRoom;
        }
        let count = match *inside {
            true => 1,
            false => {
                let ends = queue.iter(store).take_while(|item| item.kind == Kind::End);
                let lens = ends.map(|item| item.span.len());
                pack::count(lens, self.most, self.target, room)
            }
        };
        if count < 2 {
            queue.pop(store);
            self.spent.push(first.span);
            *inside = first.kind == Kind::Part;
            self.left -= alone;
            return Next::Chunk(first.span, first.kind);
        }
        let (count, payload) = match in_sequence(queue, store, count) {
            Some((found, payload)) if found == count || payload.len() >= LEAST_PACK => {
                for _ in 0..found {
                    let item = queue.pop(store).expect("it was counted");
                    self.spent.push(item.span);
                }
                (found, payload)
            }
            _ => (count, self.packing.copy(queue, store, count)),
        };
        self.left -= record::len_for(payload.len()).max(count * MIN_RECORD);
        Next::Chunk(payload, Kind::Pack)
    }
}

/// How many of the first `most` messages of `queue` lie as a pack has them, each behind its
/// length, and the bytes that hold them so; `None` if fewer than two do.
fn in_sequence(queue: &Queue, store: &Store, most: usize) -> Option<(usize, Span)> {
    let first = queue.front(store)?.span;
    let bytes = store.memory.area(first.area);
    let start = first.range().start.checked_sub(PACK_LENGTH)?;
    let (mut count, mut end) = (0, start);
    for item in queue.iter(store).take(most) {
        let (span, body) = (item.span, end + PACK_LENGTH);
        let lies = span.area == first.area && span.range().start == body;
        if !lies || bytes.get(end..body) != Some(&pack::length_field(span.len())) {
            break;
        }
        (count, end) = (count + 1, span.end());
    }
    (count >= 2).then(|| (count, Span::new(first.area, start..end)))
}
