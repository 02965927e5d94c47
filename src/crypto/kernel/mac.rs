//! What every kernel's MAC begins and ends with: the states that a key gives, and
//! what follows a record's ciphertext. [`MacKey::tag`] is all of it, for who takes
//! one record after the other.

use sha2::block_api::compress256;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::limits::{BLOCK, TAG};

/// Bytes of a SHA-256 block (FIPS 180-4).
pub(super) const HASH_BLOCK: usize = 64;
/// Bytes that have room for the end of what a MAC covers.
pub(super) const TAIL: usize = 2 * HASH_BLOCK;
/// The sequence and the length, which only the MAC sees.
pub(super) const TRAILER: usize = 8 + 2;
/// The least that SHA-256 pads with: a bit, and the length.
pub(super) const PADDING: usize = 1 + 8;
/// SHA-256's initial state (FIPS 180-4 §5.3.3).
const INITIAL: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// HMAC-SHA256 (RFC 2104) with the key's two blocks already hashed.
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

        let mut tail = [0; TAIL];
        tail[..rest.len()].copy_from_slice(rest);
        let count = end_tail(&mut tail, rest.len(), ciphertext.len(), sequence);
        compress256(&mut state, &tail.as_chunks().0[..count]);

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

/// Puts behind the last `end` bytes of a ciphertext of `len` what else the MAC
/// covers, and the padding; says how many blocks of the hash that makes.
pub(super) fn end_tail(tail: &mut [u8; TAIL], end: usize, len: usize, sequence: u64) -> usize {
    let trailer = &mut tail[end..][..TRAILER];
    trailer[..8].copy_from_slice(&sequence.to_be_bytes());
    trailer[8..].copy_from_slice(&((len / BLOCK) as u16).to_be_bytes());
    finish(tail, end + TRAILER, HASH_BLOCK + len + TRAILER)
}

/// Pads a last piece of `end` bytes (FIPS 180-4 §5.1.1), of a message of `total`
/// bytes, and says how many blocks it fills.
fn finish(piece: &mut [u8], end: usize, total: usize) -> usize {
    let count = (end + PADDING).div_ceil(HASH_BLOCK);
    piece[end] = 0x80;
    piece[count * HASH_BLOCK - 8..count * HASH_BLOCK]
        .copy_from_slice(&(8 * total as u64).to_be_bytes());
    count
}

/// Words as SHA-256 gives them out.
pub(super) fn write_words(words: &[u32], bytes: &mut [u8]) {
    for (chunk, word) in bytes.chunks_exact_mut(4).zip(words) {
        chunk.copy_from_slice(&word.to_be_bytes());
    }
}
