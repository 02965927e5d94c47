//! Where bytes are kept when they outlive the tick that brought them.
//!
//! A [`Pool`] of counted buffers holds partial records, messages being put
//! together, plaintexts that wait for slow receivers, and sealed bytes that a
//! socket would not take. A [`Span`] names bytes without borrowing them; an
//! [`Assembly`] joins the chunks of a message. Nothing here knows what the bytes
//! mean.

use std::hint::black_box;
use std::ops::Range;

use slab::Slab;

use crate::limits::{KEPT_BUFFERS, MAX_PAYLOAD, MAX_RECORD};
use crate::span::{Area, Areas, AreasMut, Span};

/// Names a buffer of a [`Pool`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BufferId(u32);

#[derive(Debug)]
struct Buffer {
    holders: u32,
    /// How many of the first bytes may be plaintext: erased with the last holder.
    secret: u32,
    bytes: Box<[u8]>,
}

/// Counted buffers, kept for reuse in the sizes that are needed all the time.
///
/// Invariant: `held` is the sum of the sizes of all buffers that have a holder.
#[derive(Debug, Default)]
pub struct Pool {
    buffers: Slab<Buffer>,
    free: [Vec<Box<[u8]>>; KEPT_BUFFERS.len()],
    held: usize,
    copied: u64,
}

impl Pool {
    /// A buffer of at least `len` bytes with one holder; no more than `len` are to be
    /// used. It is zero, or ciphertext that was there before.
    pub fn take(&mut self, len: usize) -> BufferId {
        let fits = |&(above, size, _): &(usize, usize, usize)| above < len && len <= size;
        let (size, free) = match KEPT_BUFFERS.iter().position(fits) {
            Some(index) => (KEPT_BUFFERS[index].1, self.free[index].pop()),
            None => (len, None),
        };
        let bytes = free.unwrap_or_else(|| vec![0; size].into_boxed_slice());
        self.held += bytes.len();
        let buffer = Buffer {
            holders: 1,
            secret: len as u32,
            bytes,
        };
        BufferId(self.buffers.insert(buffer) as u32)
    }

    /// A buffer with one holder that starts with a copy of `bytes`.
    pub fn keep(&mut self, bytes: &[u8]) -> BufferId {
        let id = self.take(bytes.len());
        self.copy_in(id, 0, bytes);
        id
    }

    /// Says that `id` holds what is sealed already, which need not be erased.
    fn mark_sealed(&mut self, id: BufferId) {
        self.buffers[id.0 as usize].secret = 0;
    }

    /// Copies `bytes` into buffer `id` at `offset`, and counts them.
    pub fn copy_in(&mut self, id: BufferId, offset: usize, bytes: &[u8]) {
        self.copied += bytes.len() as u64;
        self.bytes_mut(id)[offset..][..bytes.len()].copy_from_slice(bytes);
    }

    /// Copies the bytes `range` of buffer `from` into buffer `to` at `offset`,
    /// and counts them.
    fn copy_between(&mut self, from: BufferId, range: Range<usize>, to: BufferId, offset: usize) {
        self.copied += range.len() as u64;
        let (from, to) = self
            .buffers
            .get2_mut(from.0 as usize, to.0 as usize)
            .expect("two buffers in use");
        to.bytes[offset..][..range.len()].copy_from_slice(&from.bytes[range]);
    }

    /// Adds a holder.
    pub fn hold(&mut self, id: BufferId) {
        self.buffers[id.0 as usize].holders += 1;
    }

    /// Takes a holder away; the last one gives the buffer back.
    pub fn release(&mut self, id: BufferId) {
        let buffer = &mut self.buffers[id.0 as usize];
        buffer.holders -= 1;
        if buffer.holders > 0 {
            return;
        }
        let Buffer {
            secret, mut bytes, ..
        } = self.buffers.remove(id.0 as usize);
        erase(&mut bytes[..secret as usize]);
        self.held -= bytes.len();
        let kept = KEPT_BUFFERS.iter().zip(&mut self.free);
        for (&(_, size, most), free) in kept {
            if bytes.len() == size && free.len() < most {
                return free.push(bytes);
            }
        }
    }

    /// The bytes of a buffer.
    pub fn bytes(&self, id: BufferId) -> &[u8] {
        &self.buffers[id.0 as usize].bytes
    }

    /// The bytes of a buffer, to write to.
    pub fn bytes_mut(&mut self, id: BufferId) -> &mut [u8] {
        &mut self.buffers[id.0 as usize].bytes
    }

    /// Bytes in buffers that someone holds.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Bytes copied into buffers since the start.
    pub fn copied(&self) -> u64 {
        self.copied
    }
}

/// The input scratch and the pool: all memory that a [`Span`] of an endpoint can
/// name. Area 0 is the scratch, area `n + 1` is buffer `n`.
#[derive(Debug)]
pub struct Memory {
    /// Where reads land; what is in it is not used any more when the tick ends.
    pub scratch: Box<[u8]>,
    /// What outlives a tick.
    pub pool: Pool,
}

impl Memory {
    /// The area of the scratch.
    pub const SCRATCH: Area = Area(0);

    /// A scratch of `len` bytes, and an empty pool.
    pub fn new(len: usize) -> Self {
        Self {
            scratch: vec![0; len].into_boxed_slice(),
            pool: Pool::default(),
        }
    }

    /// The bytes that `span` names.
    pub fn bytes(&self, span: Span) -> &[u8] {
        &self.area(span.area)[span.range()]
    }

    /// The buffer that `area` is, unless it is the scratch.
    pub fn buffer(area: Area) -> Option<BufferId> {
        area.0.checked_sub(1).map(BufferId)
    }

    /// The area that buffer `id` is.
    pub fn area_of(id: BufferId) -> Area {
        Area(id.0 + 1)
    }

    /// A span with the bytes of `span` that outlives the tick, with a holder of
    /// its own: the same buffer, or a copy of what is in the scratch.
    pub fn keep(&mut self, span: Span) -> Span {
        match Self::buffer(span.area) {
            Some(id) => {
                self.pool.hold(id);
                span
            }
            None => {
                let id = self.pool.keep(&self.scratch[span.range()]);
                Span::new(Self::area_of(id), 0..span.len())
            }
        }
    }

    /// Takes a holder of `span`'s buffer away; nothing for the scratch.
    pub fn release(&mut self, span: Span) {
        if let Some(id) = Self::buffer(span.area) {
            self.pool.release(id);
        }
    }

    /// The bytes that `span` names, and the scratch.
    ///
    /// # Panics
    ///
    /// If it is of the scratch.
    pub fn beside_scratch(&mut self, span: Span) -> (&mut [u8], &mut [u8]) {
        let id = Self::buffer(span.area).expect("it is in a buffer");
        let bytes = &mut self.pool.bytes_mut(id)[span.range()];
        (bytes, &mut self.scratch)
    }

    /// A span with a copy of `bytes` and a holder.
    pub fn store(&mut self, bytes: &[u8]) -> Span {
        Span::new(Self::area_of(self.pool.keep(bytes)), 0..bytes.len())
    }

    /// As [`store`](Self::store), of what is sealed already.
    pub fn store_sealed(&mut self, bytes: &[u8]) -> Span {
        let id = self.pool.keep(bytes);
        self.pool.mark_sealed(id);
        Span::new(Self::area_of(id), 0..bytes.len())
    }

    /// Overwrites the first `len` bytes of the scratch.
    pub fn erase_scratch(&mut self, len: usize) {
        erase(&mut self.scratch[..len]);
    }

    /// Copies the bytes of `from` into buffer `to` at `offset`, and counts them.
    pub fn copy(&mut self, from: Span, to: BufferId, offset: usize) {
        match Self::buffer(from.area) {
            None => self.pool.copy_in(to, offset, &self.scratch[from.range()]),
            Some(id) => self.pool.copy_between(id, from.range(), to, offset),
        }
    }
}

/// Overwrites plaintext. `zeroize` writes byte by byte, which takes longer than
/// decryption.
fn erase(bytes: &mut [u8]) {
    bytes.fill(0);
    // Keeps the compiler from removing the fill where the buffer is freed next.
    black_box(&*bytes);
}

impl Areas for Memory {
    fn area(&self, area: Area) -> &[u8] {
        match Self::buffer(area) {
            None => &self.scratch,
            Some(id) => self.pool.bytes(id),
        }
    }
}

impl AreasMut for Memory {
    fn area_mut(&mut self, area: Area) -> &mut [u8] {
        match Self::buffer(area) {
            None => &mut self.scratch,
            Some(id) => self.pool.bytes_mut(id),
        }
    }
}

/// A message being joined from its chunks.
///
/// Invariant: every chunk but the last holds exactly [`MAX_PAYLOAD`] bytes, so
/// each fits a record when the message is sent on.
#[derive(Debug, Default)]
pub struct Assembly {
    chunks: Vec<Span>,
}

impl Assembly {
    /// Payload bytes so far.
    pub fn len(&self) -> usize {
        match self.chunks.as_slice() {
            [] => 0,
            [full @ .., last] => full.len() * MAX_PAYLOAD + last.len(),
        }
    }

    /// Bytes of the buffers that it holds.
    pub fn held(&self) -> usize {
        self.chunks.len() * MAX_RECORD
    }

    /// Whether nothing is being joined.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Appends the bytes of `source`. They are copied, once: the message
    /// outlives the scratch that they came in.
    pub fn push(&mut self, memory: &mut Memory, mut source: Span) {
        while !source.is_empty() {
            let room = MAX_PAYLOAD - self.chunks.last().map_or(MAX_PAYLOAD, |c| c.len());
            if room == 0 {
                let id = memory.pool.take(MAX_PAYLOAD);
                self.chunks.push(Span::new(Memory::area_of(id), 0..0));
                continue;
            }
            let last = self.chunks.last_mut().expect("one with room");
            let count = source.len().min(room);
            let to = Memory::buffer(last.area).expect("chunks are pooled");
            memory.copy(source.slice(0..count), to, last.len());
            last.len += count as u32;
            source = source.slice(count..source.len());
        }
    }

    /// The chunks joined so far, each with a holder that whoever takes them
    /// releases.
    pub fn take(&mut self) -> Vec<Span> {
        std::mem::take(&mut self.chunks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::SHORT;

    /// Goal: plaintext is gone with the last holder of its buffer; what is sealed
    /// already costs nothing. Method: buffers of a kept size, which are used again.
    #[test]
    fn plaintext_is_erased() {
        let text = [7; SHORT + 1];
        let mut memory = Memory::new(0);
        let span = memory.store(&text);
        memory.keep(span);
        memory.release(span);
        assert_eq!(memory.bytes(span), text, "it has another holder");
        memory.release(span);
        let id = memory.pool.take(text.len());
        assert_eq!(memory.pool.bytes(id), [0; MAX_RECORD]);
        memory.pool.release(id);

        let sealed = memory.store_sealed(&text);
        memory.release(sealed);
        let id = memory.pool.take(text.len());
        assert_eq!(memory.pool.bytes(id)[..text.len()], text);
    }
}
