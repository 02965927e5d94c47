//! Where each lane is in the registers of 512 bits; loads and stores text. Code that sealing and
//! hashing share is never inlined, so that the first-level cache of instructions has it once.

use std::arch::x86_64::*;

use super::super::engine::{LaneData, STEP_BLOCKS};
use super::sha256_aes_cbc::{Blocks, Words};

/// Lanes that one register hashes for.
pub(super) const SET: usize = 16;
/// Two sets.
pub(super) const LANES: usize = 2 * SET;
/// Lanes that one register encrypts for: its quarters.
pub(super) const QUARTERS: usize = 4;
/// Registers that encrypt for a set. Quarter q of register g is lane 4 q + g, so the words of the
/// text come out in the order of lanes.
pub(super) const GROUPS: usize = SET / QUARTERS;

/// Which register encrypts for `lane`, and in which of its quarters.
pub(super) fn place(lane: usize) -> (usize, usize) {
    let (set, lane) = (lane / SET, lane % SET);
    (set * GROUPS + lane % GROUPS, lane / GROUPS)
}

/// The lane for which a quarter of a register encrypts: the inverse of [`place`].
pub(super) fn lane(register: usize, quarter: usize) -> usize {
    register / GROUPS * SET + quarter * GROUPS + register % GROUPS
}

/// Loads a step of every lane of `SETS` sets, block by block.
///
/// # Safety
///
/// There are `STEP` bytes.
#[inline(never)]
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn load_text<const SETS: usize>(
    lanes: &LaneData<'_, LANES>,
    text: &mut [Blocks; STEP_BLOCKS],
) {
    for register in 0..SETS * GROUPS {
        let mut lines = [_mm512_setzero_si512(); QUARTERS];
        for (quarter, line) in lines.iter_mut().enumerate() {
            let from = lanes.from[lane(register, quarter)];
            // SAFETY: the caller's promise.
            *line = unsafe { _mm512_loadu_si512(from.cast()) };
        }
        for (text, block) in text.iter_mut().zip(transpose_blocks(lines)) {
            text[register] = block;
        }
    }
}

/// Stores a step of every lane of `SETS` sets at its place.
///
/// # Safety
///
/// There are `STEP` bytes, to which nothing else refers.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn store_text<const SETS: usize>(
    lanes: &LaneData<'_, LANES>,
    text: &[Blocks; STEP_BLOCKS],
) {
    for register in 0..SETS * GROUPS {
        let [a, b, c, d] = text;
        let lines = transpose_blocks([a[register], b[register], c[register], d[register]]);
        for (quarter, line) in lines.into_iter().enumerate() {
            let to = lanes.to[lane(register, quarter)];
            // SAFETY: the caller's promise.
            unsafe { _mm512_storeu_si512(to.cast(), line) };
        }
    }
}

/// Turns four lines of four blocks into four times one block of each, and back.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose_blocks([a, b, c, d]: [__m512i; 4]) -> [__m512i; 4] {
    let ab_low = _mm512_shuffle_i32x4::<0x44>(a, b);
    let ab_high = _mm512_shuffle_i32x4::<0xee>(a, b);
    let cd_low = _mm512_shuffle_i32x4::<0x44>(c, d);
    let cd_high = _mm512_shuffle_i32x4::<0xee>(c, d);
    [
        _mm512_shuffle_i32x4::<0x88>(ab_low, cd_low),
        _mm512_shuffle_i32x4::<0xdd>(ab_low, cd_low),
        _mm512_shuffle_i32x4::<0x88>(ab_high, cd_high),
        _mm512_shuffle_i32x4::<0xdd>(ab_high, cd_high),
    ]
}

/// Turns the text of every lane of `SETS` sets into the words to hash.
#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn to_words<const SETS: usize>(text: &[Blocks; STEP_BLOCKS], words: &mut Words) {
    for (set, words) in words[..SETS].iter_mut().enumerate() {
        for (words, text) in words.as_chunks_mut().0.iter_mut().zip(text) {
            let [a, b, c, d] = *text[set * GROUPS..].first_chunk().expect("a set");
            *words = transpose_words(a, b, c, d);
        }
    }
}

/// A block of every lane of a set as its four words.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn transpose_words(a: __m512i, b: __m512i, c: __m512i, d: __m512i) -> [__m512i; 4] {
    let ab_low = _mm512_unpacklo_epi32(a, b);
    let ab_high = _mm512_unpackhi_epi32(a, b);
    let cd_low = _mm512_unpacklo_epi32(c, d);
    let cd_high = _mm512_unpackhi_epi32(c, d);
    [
        swap_bytes(_mm512_unpacklo_epi64(ab_low, cd_low)),
        swap_bytes(_mm512_unpackhi_epi64(ab_low, cd_low)),
        swap_bytes(_mm512_unpacklo_epi64(ab_high, cd_high)),
        swap_bytes(_mm512_unpackhi_epi64(ab_high, cd_high)),
    ]
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn swap_bytes(words: __m512i) -> __m512i {
    let order = _mm512_set4_epi32(0x0c0d_0e0f, 0x0809_0a0b, 0x0405_0607, 0x0001_0203);
    _mm512_shuffle_epi8(words, order)
}
