//! HMAC-SHA256 as every kernel begins and ends it: the states that come from a key, and what
//! follows a record's ciphertext. [`MacKey::tag`] is the whole MAC, for a kernel that takes one
//! record after the other.

use sha2::block_api::compress256;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::limits::{BLOCK, TAG};

/// Bytes of a SHA-256 block (FIPS 180-4).
pub(super) const HASH_BLOCK: usize = 64;
/// Bytes of the final blocks: room for the longest end of what a MAC covers.
pub(super) const FINAL_LEN: usize = 2 * HASH_BLOCK;
/// The sequence and the length, which only the MAC sees.
pub(super) const TRAILER: usize = 8 + 2;
/// SHA-256's shortest padding: a bit, and the length.
pub(super) const PADDING: usize = 1 + 8;
/// SHA-256's initial state (FIPS 180-4 §5.3.3).
const INITIAL: [u32; 8] = [
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
];

/// HMAC-SHA256 (RFC 2104) whose two blocks of key are hashed already.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct MacKey {
    pub(super) inner: [u32; 8],
    pub(super) outer: [u32; 8],
}

impl MacKey {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        let state = |pad: u8| {
            let mut block = Zeroizing::new([pad; HASH_BLOCK]);
            block.iter_mut().zip(key).for_each(|(b, k)| *b ^= k);
            let mut state = INITIAL;
            compress256(&mut state, std::slice::from_ref(&*block));
            state
        };
        Self {
            inner: state(0x36),
            outer: state(0x5c),
        }
    }

    /// The first 16 bytes of `HMAC(ciphertext ‖ sequence ‖ blocks)`.
    pub(super) fn tag(&self, ciphertext: &[u8], sequence: u64) -> [u8; TAG] {
        let (whole, rest) = ciphertext.as_chunks::<HASH_BLOCK>();
        let mut state = self.inner;
        compress256(&mut state, whole);

        let mut last = [0; FINAL_LEN];
        last[..rest.len()].copy_from_slice(rest);
        let count = end_message(&mut last, rest.len(), ciphertext.len(), sequence);
        compress256(&mut state, &last.as_chunks().0[..count]);

        let mut outer = [0; HASH_BLOCK];
        write_words(&state, &mut outer);
        finish(&mut outer, 32, HASH_BLOCK + 32);
        state = self.outer;
        compress256(&mut state, &[outer]);
        let mut tag = [0; TAG];
        write_words(&state[..4], &mut tag);
        tag
    }
}

/// Puts trailer and padding behind the last `end` bytes of a ciphertext of `len` bytes. Returns
/// the number of SHA-256 blocks.
pub(super) fn end_message(
    last: &mut [u8; FINAL_LEN],
    end: usize,
    len: usize,
    sequence: u64,
) -> usize {
    let trailer = &mut last[end..][..TRAILER];
    trailer[..8].copy_from_slice(&sequence.to_be_bytes());
    trailer[8..].copy_from_slice(&((len / BLOCK) as u16).to_be_bytes());
    finish(last, end + TRAILER, HASH_BLOCK + len + TRAILER)
}

/// Pads a last piece of `end` bytes of a message of `total` bytes (FIPS 180-4 §5.1.1). Returns
/// the number of blocks that it fills.
fn finish(piece: &mut [u8], end: usize, total: usize) -> usize {
    let count = (end + PADDING).div_ceil(HASH_BLOCK);
    piece[end] = 0x80;
    piece[count * HASH_BLOCK - 8..count * HASH_BLOCK]
        .copy_from_slice(&(8 * total as u64).to_be_bytes());
    count
}

/// Words as bytes of the hash.
pub(super) fn write_words(words: &[u32], bytes: &mut [u8]) {
    for (chunk, word) in bytes.chunks_exact_mut(4).zip(words) {
        chunk.copy_from_slice(&word.to_be_bytes());
    }
}
