//! AES-256 with AES-NI (FIPS 197): key schedules, blocks under many keys side by side, and the IVs
//! of many records at once.

use std::arch::x86_64::*;
use std::array;

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::crypto::cpu::AesNi;

/// Rounds of AES-256.
pub(in super::super) const ROUNDS: usize = 14;
/// How many blocks are best encrypted at once: a round takes about four cycles, and two rounds
/// start in each cycle.
pub(in super::super) const AT_ONCE: usize = 8;

/// The round keys of one direction of the cipher, in the order of their use.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(in super::super) struct Schedule(pub(in super::super) [__m128i; ROUNDS + 1]);

impl Schedule {
    /// The schedule that encrypts.
    pub(in super::super) fn to_encrypt(_: AesNi, key: &[u8; 32]) -> Self {
        // SAFETY: the token proves the features.
        Self(unsafe { expand(key) })
    }

    /// The schedule that decrypts (FIPS 197 §5.3.5, the equivalent inverse cipher).
    pub(in super::super) fn to_decrypt(token: AesNi, key: &[u8; 32]) -> Self {
        let forward = Self::to_encrypt(token, key);
        // SAFETY: the token proves the features.
        Self(unsafe { invert(&forward.0) })
    }
}

#[target_feature(enable = "aes,avx")]
fn expand(key: &[u8; 32]) -> [__m128i; ROUNDS + 1] {
    let (low, high) = key.split_at(16);
    let mut keys = [_mm_setzero_si128(); ROUNDS + 1];
    keys[0] = load(low.first_chunk().expect("16 bytes"));
    keys[1] = load(high.first_chunk().expect("16 bytes"));
    macro_rules! two {
        ($at:literal $constant:literal) => {
            one!($at $constant);
            let word = _mm_aeskeygenassist_si128::<0>(keys[$at]);
            keys[$at + 1] = mix(keys[$at - 1], _mm_shuffle_epi32::<0xaa>(word));
        };
    }
    macro_rules! one {
        ($at:literal $constant:literal) => {
            let word = _mm_aeskeygenassist_si128::<$constant>(keys[$at - 1]);
            keys[$at] = mix(keys[$at - 2], _mm_shuffle_epi32::<0xff>(word));
        };
    }
    two!(2 0x01);
    two!(4 0x02);
    two!(6 0x04);
    two!(8 0x08);
    two!(10 0x10);
    two!(12 0x20);
    one!(14 0x40);
    keys
}

/// The next four words, from the four before the last four and from what the last word gives.
#[inline]
#[target_feature(enable = "aes,avx")]
fn mix(mut words: __m128i, derived: __m128i) -> __m128i {
    for _ in 0..3 {
        let moved = _mm_slli_si128::<4>(words);
        words = _mm_xor_si128(words, moved);
    }
    _mm_xor_si128(words, derived)
}

#[target_feature(enable = "aes,avx")]
fn invert(forward: &[__m128i; ROUNDS + 1]) -> [__m128i; ROUNDS + 1] {
    let mut keys = *forward;
    keys.reverse();
    for key in &mut keys[1..ROUNDS] {
        *key = _mm_aesimc_si128(*key);
    }
    keys
}

/// The IVs of `count` records, at most `COUNT`: `AES-256-ECB(key, 00×8 ‖ sequence)`
/// (`PROTOCOL.md` §1.3). `of` tells the key and the sequence of a record. The places behind
/// `count` repeat the first IV.
pub(in super::super) fn ivs<'a, const COUNT: usize>(
    _: AesNi,
    count: usize,
    of: impl Fn(usize) -> (&'a Schedule, u64),
) -> [__m128i; COUNT] {
    let of = |i| of(if i < count { i } else { 0 });
    let keys = array::from_fn(|i| of(i).0);
    // SAFETY: the token proves the features.
    unsafe { encrypt(&keys, array::from_fn(|i| sequence_block(of(i).1))) }
}

fn sequence_block(sequence: u64) -> __m128i {
    // SAFETY: SSE2 is on every x86-64.
    unsafe { _mm_set_epi64x(sequence.swap_bytes().cast_signed(), 0) }
}

/// Encrypts each block under its own key, side by side.
#[inline]
#[target_feature(enable = "aes,avx")]
pub(in super::super) fn encrypt<const COUNT: usize>(
    keys: &[&Schedule; COUNT],
    mut blocks: [__m128i; COUNT],
) -> [__m128i; COUNT] {
    for (block, keys) in blocks.iter_mut().zip(keys) {
        *block = _mm_xor_si128(*block, keys.0[0]);
    }
    for round in 1..ROUNDS {
        for (block, keys) in blocks.iter_mut().zip(keys) {
            *block = _mm_aesenc_si128(*block, keys.0[round]);
        }
    }
    for (block, keys) in blocks.iter_mut().zip(keys) {
        *block = _mm_aesenclast_si128(*block, keys.0[ROUNDS]);
    }
    blocks
}

/// 16 bytes from anywhere.
#[inline(always)]
pub(in super::super) fn load(bytes: &[u8; 16]) -> __m128i {
    // SAFETY: 16 bytes are there, and SSE2 is on every x86-64.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

/// 16 bytes to anywhere.
#[inline(always)]
pub(in super::super) fn store(block: __m128i, bytes: &mut [u8; 16]) {
    // SAFETY: 16 bytes are there, and SSE2 is on every x86-64.
    unsafe { _mm_storeu_si128(bytes.as_mut_ptr().cast(), block) }
}
