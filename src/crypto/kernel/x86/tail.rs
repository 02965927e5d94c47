//! The end of what a record's MAC covers, put together where it is hashed: the end of the
//! text, which is encrypted there, the trailer, and SHA-256's padding. And the plaintext
//! that it ends. Who hashes it: [`super::lanes`], [`super::short`].

use crate::crypto::kernel::mac::{PADDING, TAIL, TRAILER, end_tail};
use crate::limits::BLOCK;

/// What is encrypted: the payload, its kind, and zeros to the end of the text.
pub(super) struct Plain<'a> {
    pub(super) payload: &'a [u8],
    pub(super) kind: u8,
}

/// As many bytes as an end may have.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(super) struct Tail(pub(super) [u8; TAIL]);

/// The longest text that, with trailer and SHA-256's padding, fits a tail: it is
/// worked on there from its beginning.
pub(super) const SHORT: usize = TAIL - TRAILER - PADDING;

impl Plain<'_> {
    /// Fills `text` with its beginning.
    pub(super) fn put(&self, text: &mut [u8]) {
        let (payload, behind) = text.split_at_mut(self.payload.len().min(text.len()));
        payload.copy_from_slice(&self.payload[..payload.len()]);
        behind.fill(0);
        if let Some(kind) = behind.first_mut() {
            *kind = self.kind;
        }
    }
}

impl Tail {
    pub(super) const EMPTY: Self = Self([0; TAIL]);

    /// Begins with the whole blocks of `text`, with zeros behind them.
    pub(super) fn begin(&mut self, text: &[u8]) {
        let from = text.as_chunks::<BLOCK>().0;
        for (i, to) in self.0.as_chunks_mut::<BLOCK>().0.iter_mut().enumerate() {
            *to = from.get(i).copied().unwrap_or_default();
        }
    }

    /// Begins with what of `plain` is behind its first `start` bytes.
    pub(super) fn begin_plain(&mut self, plain: &Plain<'_>, start: usize) {
        let Some(payload) = plain.payload.get(start..) else {
            return self.begin(&[]);
        };
        self.begin(payload);
        let end = payload.len();
        match payload.last_chunk::<BLOCK>() {
            // Over blocks that are there already: of a fixed length, it is no call of `memcpy`.
            Some(last) => self.0[end - BLOCK..end].copy_from_slice(last),
            None => self.0[..end].copy_from_slice(payload),
        }
        self.0[end] = plain.kind;
    }

    /// Puts trailer and padding behind the last `end` bytes of a text of `len`. Returns how
    /// many steps that makes.
    pub(super) fn end(&mut self, end: usize, len: usize, sequence: u64) -> usize {
        end_tail(&mut self.0, end, len, sequence)
    }

    /// Copies its beginning to `text`, which has whole blocks.
    pub(super) fn copy_to(&self, text: &mut [u8]) {
        let (from, to) = (self.0.as_chunks::<BLOCK>().0, text.as_chunks_mut().0);
        for (from, to) in from.iter().zip(to) {
            *to = *from;
        }
    }
}
