//! Where bytes are kept when they outlive the tick that brought them.
//!
//! [`Memory`] is one scratch and a pool of counted buffers: for partial records,
//! messages being joined, plaintexts that wait for slow receivers, and sealed bytes that
//! a socket did not accept. A [`Span`] names bytes without borrowing them; an
//! [`Assembly`] joins the chunks of a message. It does not know what the bytes mean, and
//! does not bound them. Read next: `endpoint::queue` and `endpoint::flow`, which do.

use std::hint::black_box;
use std::ops::Range;

use slab::Slab;

use crate::limits::{KEPT_BUFFERS, MAX_PAYLOAD, MAX_RECORD};
use crate::span::{Area, Areas, AreasMut, Span};

#[derive(Debug)]
struct Buffer {
    holders: u32,
    /// How many of the first bytes may be plaintext: erased with the last holder.
    secret: u32,
    bytes: Box<[u8]>,
}

/// All memory that a [`Span`] of an endpoint can name. Area 0 is the scratch, area
/// `n + 1` is buffer `n`.
///
/// Buffers are counted, and kept for reuse in the sizes that are needed all the time.
///
/// Invariant: `held` is the sum of the sizes of all buffers that have a holder.
#[derive(Debug)]
pub struct Memory {
    /// Where reads land. Its bytes are valid until the tick ends.
    pub scratch: Box<[u8]>,
    buffers: Slab<Buffer>,
    free: [Vec<Box<[u8]>>; KEPT_BUFFERS.len()],
    /// What was dropped, and is released later; and the bytes of its buffers.
    dropped: Vec<Span>,
    dropped_bytes: usize,
    held: usize,
    copied: u64,
}

impl Memory {
    /// The area of the scratch.
    pub const SCRATCH: Area = Area(0);

    /// A scratch of `len` bytes, and no buffer.
    pub fn new(len: usize) -> Self {
        Self {
            scratch: vec![0; len].into_boxed_slice(),
            buffers: Slab::new(),
            free: Default::default(),
            dropped: Vec::new(),
            dropped_bytes: 0,
            held: 0,
            copied: 0,
        }
    }

    /// Bytes in buffers that have a holder.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Bytes copied since the start: into buffers, and together within the scratch.
    pub fn copied(&self) -> u64 {
        self.copied
    }

    /// The bytes that `span` names.
    pub fn bytes(&self, span: Span) -> &[u8] {
        &self.area(span.area)[span.range()]
    }

    /// The bytes that `span` names, and the scratch.
    ///
    /// # Panics
    ///
    /// If `span` is in the scratch.
    pub fn beside_scratch(&mut self, span: Span) -> (&mut [u8], &mut [u8]) {
        let place = place(span.area).expect("it is in a buffer");
        let bytes = &mut self.buffers[place].bytes[span.range()];
        (bytes, &mut self.scratch)
    }

    // ---- holders ---------------------------------------------------------

    /// The first `len` bytes of a buffer with one holder. They are zero, or ciphertext
    /// that was there before.
    #[must_use = "it has a holder"]
    pub fn take(&mut self, len: usize) -> Span {
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
        let place = self.buffers.insert(buffer);
        Span::new(Area(place as u32 + 1), 0..len)
    }

    /// A copy of `bytes`, with one holder.
    #[must_use = "it has a holder"]
    pub fn store(&mut self, bytes: &[u8]) -> Span {
        let span = self.take(bytes.len());
        self.copied += bytes.len() as u64;
        self.area_mut(span.area)[..bytes.len()].copy_from_slice(bytes);
        span
    }

    /// As [`store`](Self::store), of bytes that are sealed already and need not be
    /// erased.
    #[must_use = "it has a holder"]
    pub fn store_sealed(&mut self, bytes: &[u8]) -> Span {
        let span = self.store(bytes);
        if let Some(place) = place(span.area) {
            self.buffers[place].secret = 0;
        }
        span
    }

    /// A span with the bytes of `span` that outlives the tick, with a holder of its own:
    /// the same buffer, or a copy of what is in the scratch.
    #[must_use = "it has a holder"]
    pub fn keep(&mut self, span: Span) -> Span {
        if self.hold(span) {
            return span;
        }
        let kept = self.take(span.len());
        self.copy(span, kept.area, 0);
        kept
    }

    /// Adds a holder to `span`'s buffer. Returns whether `span` is in a buffer, and not in the
    /// scratch.
    pub fn hold(&mut self, span: Span) -> bool {
        let place = place(span.area);
        if let Some(place) = place {
            self.buffers[place].holders += 1;
        }
        place.is_some()
    }

    /// Takes a holder of `span`'s buffer away; the last one gives the buffer back. Does
    /// nothing for the scratch.
    pub fn release(&mut self, span: Span) {
        let Some(place) = place(span.area) else {
            return;
        };
        let buffer = &mut self.buffers[place];
        buffer.holders -= 1;
        if buffer.holders > 0 {
            return;
        }
        let Buffer {
            secret, mut bytes, ..
        } = self.buffers.remove(place);
        erase(&mut bytes[..secret as usize]);
        self.held -= bytes.len();
        let kept = KEPT_BUFFERS.iter().zip(&mut self.free);
        for (&(_, size, most), free) in kept {
            if bytes.len() == size && free.len() < most {
                return free.push(bytes);
            }
        }
    }

    /// As [`release`](Self::release), later: there may be much to erase.
    pub fn drop_later(&mut self, span: Span) {
        self.dropped_bytes += self.area(span.area).len();
        self.dropped.push(span);
    }

    /// Bytes of the buffers that were dropped, and are not released yet.
    pub fn dropped_bytes(&self) -> usize {
        self.dropped_bytes
    }

    /// Whether something that was dropped is left to release.
    pub fn has_dropped(&self) -> bool {
        !self.dropped.is_empty()
    }

    /// Releases what was dropped, until buffers hold less than `enough` bytes.
    pub fn free_dropped(&mut self, enough: usize) {
        while self.held >= enough
            && let Some(span) = self.dropped.pop()
        {
            self.dropped_bytes -= self.area(span.area).len();
            self.release(span);
        }
    }

    // ---- bytes -----------------------------------------------------------

    /// Copies the bytes of `from` into the buffer `to` at `offset`, and counts them.
    pub fn copy(&mut self, from: Span, to: Area, offset: usize) {
        self.copied += from.len() as u64;
        let to = place(to).expect("copies go to buffers");
        let (source, target) = match place(from.area) {
            None => (&*self.scratch, &mut self.buffers[to]),
            Some(source) => {
                let both = self.buffers.get2_mut(source, to);
                let (source, target) = both.expect("two buffers in use");
                (&*source.bytes, target)
            }
        };
        target.bytes[offset..][..from.len()].copy_from_slice(&source[from.range()]);
    }

    /// Copies the bytes of `from` into the scratch at `offset`, and counts them.
    pub fn copy_to_scratch(&mut self, from: Span, offset: usize) {
        self.copied += from.len() as u64;
        match place(from.area) {
            None => self.scratch.copy_within(from.range(), offset),
            Some(place) => {
                let source = &self.buffers[place].bytes[from.range()];
                self.scratch[offset..][..source.len()].copy_from_slice(source);
            }
        }
    }

    /// Overwrites a part of the scratch.
    pub fn erase_scratch(&mut self, part: Range<usize>) {
        erase(&mut self.scratch[part]);
    }
}

impl Drop for Memory {
    /// Erases the plaintext that is left, such as that of peers that were there at the end.
    fn drop(&mut self) {
        erase(&mut self.scratch);
        for (_, buffer) in &mut self.buffers {
            erase(&mut buffer.bytes[..buffer.secret as usize]);
        }
    }
}

/// The place of the buffer that `area` is, unless it is the scratch.
fn place(area: Area) -> Option<usize> {
    area.0.checked_sub(1).map(|place| place as usize)
}

/// Overwrites plaintext. `zeroize` writes byte by byte, which takes longer than
/// decryption.
pub(crate) fn erase(bytes: &mut [u8]) {
    bytes.fill(0);
    // Keeps the compiler from removing the fill where the buffer is freed next.
    black_box(&*bytes);
}

impl Areas for Memory {
    fn area(&self, area: Area) -> &[u8] {
        match place(area) {
            None => &self.scratch,
            Some(place) => &self.buffers[place].bytes,
        }
    }
}

impl AreasMut for Memory {
    fn area_mut(&mut self, area: Area) -> &mut [u8] {
        match place(area) {
            None => &mut self.scratch,
            Some(place) => &mut self.buffers[place].bytes,
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
                self.chunks.push(memory.take(MAX_PAYLOAD).slice(0..0));
                continue;
            }
            let last = self.chunks.last_mut().expect("one with room");
            let count = source.len().min(room);
            memory.copy(source.slice(0..count), last.area, last.len());
            last.len += count as u32;
            source = source.slice(count..source.len());
        }
    }

    /// The chunks joined so far, each with a holder that the caller releases.
    #[must_use = "the chunks have holders"]
    pub fn take(&mut self) -> Vec<Span> {
        std::mem::take(&mut self.chunks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::SHORT;

    /// Goal: plaintext is gone with the last holder of its buffer; erasing costs nothing
    /// for what is sealed already. Method: buffers of a kept size, which are used again.
    #[test]
    fn plaintext_is_erased() {
        let text = [7; SHORT + 1];
        let mut memory = Memory::new(0);
        let span = memory.store(&text);
        assert!(memory.hold(span));
        memory.release(span);
        assert_eq!(memory.bytes(span), text, "it has another holder");
        memory.release(span);
        let again = memory.take(text.len());
        assert_eq!(memory.area(again.area), [0; MAX_RECORD]);
        memory.release(again);

        let sealed = memory.store_sealed(&text);
        memory.release(sealed);
        let again = memory.take(text.len());
        assert_eq!(memory.bytes(again), text);
    }
}
