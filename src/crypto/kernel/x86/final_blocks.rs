//! The final blocks of what a record's MAC covers, built where they are hashed: the end of the
//! text, which is encrypted there, the trailer, and SHA-256's padding. [`super::lanes`] and
//! [`super::short_records`] hash them.

use crate::crypto::kernel::mac::{FINAL_LEN, PADDING, TRAILER, end_message};
use crate::limits::BLOCK;

/// What is encrypted: the payload, its kind, and zeros to the end of the text.
pub(super) struct Plaintext<'a> {
    pub(super) payload: &'a [u8],
    pub(super) kind: u8,
}

/// Room for the longest end.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(super) struct FinalBlocks(pub(super) [u8; FINAL_LEN]);

/// The longest text that fits the final blocks with trailer and padding. Such a text is sealed or
/// checked there as a whole.
pub(super) const SHORT: usize = FINAL_LEN - TRAILER - PADDING;

impl Plaintext<'_> {
    /// Fills `text` with the beginning of the plaintext.
    pub(super) fn put(&self, text: &mut [u8]) {
        let (payload, behind) = text.split_at_mut(self.payload.len().min(text.len()));
        payload.copy_from_slice(&self.payload[..payload.len()]);
        behind.fill(0);
        if let Some(kind) = behind.first_mut() {
            *kind = self.kind;
        }
    }
}

impl FinalBlocks {
    pub(super) const EMPTY: Self = Self([0; FINAL_LEN]);

    /// Begins with the whole blocks of `text`, with zeros behind them.
    pub(super) fn begin(&mut self, text: &[u8]) {
        let from = text.as_chunks::<BLOCK>().0;
        for (i, to) in self.0.as_chunks_mut::<BLOCK>().0.iter_mut().enumerate() {
            *to = from.get(i).copied().unwrap_or_default();
        }
    }

    /// Begins with what follows the first `start` bytes of `plain`.
    pub(super) fn begin_plain(&mut self, plain: &Plaintext<'_>, start: usize) {
        let Some(payload) = plain.payload.get(start..) else {
            return self.begin(&[]);
        };
        self.begin(payload);
        let end = payload.len();
        match payload.last_chunk::<BLOCK>() {
            // Overlaps blocks that are there already: a fixed length saves a call of `memcpy`.
            Some(last) => self.0[end - BLOCK..end].copy_from_slice(last),
            None => self.0[..end].copy_from_slice(payload),
        }
        self.0[end] = plain.kind;
    }

    /// Puts trailer and padding behind the last `end` bytes of a text of `len`. Returns the
    /// number of steps.
    pub(super) fn finish(&mut self, end: usize, len: usize, sequence: u64) -> usize {
        end_message(&mut self.0, end, len, sequence)
    }

    /// Copies the beginning to `text`, which has whole blocks.
    pub(super) fn copy_to(&self, text: &mut [u8]) {
        let (from, to) = (self.0.as_chunks::<BLOCK>().0, text.as_chunks_mut().0);
        for (from, to) in from.iter().zip(to) {
            *to = *from;
        }
    }
}
