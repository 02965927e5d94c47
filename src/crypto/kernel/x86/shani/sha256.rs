//! SHA-256 (FIPS 180-4) in one lane: its constants, its state as SHA-NI has it, and a step.

use std::arch::x86_64::*;
use std::{array, mem};

use super::super::engine::STEP_BLOCKS;
use crate::limits::BLOCK;

/// Aligned for instructions that read 16 bytes of them.
#[repr(align(16))]
pub(in super::super) struct Constants(pub(in super::super) [u32; 64]);

/// Bits that the outer hash covers: a key's block and the inner hash.
pub(in super::super) const OUTER_BITS: i32 = 8 * (64 + 32);

/// The round constants, in rows of eight as in the standard (§4.2.2).
pub(in super::super) static K: Constants = Constants([
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
]);

/// Where in the text the bytes of four words are.
// SAFETY: any bits are a value.
pub(super) static BYTE_ORDER: __m128i =
    unsafe { mem::transmute([3_u8, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12]) };

/// SHA-256's state as its instructions have it: words A, B, E, F and C, D, G, H, in the order
/// that [`super::sha256_pairs`] reads from memory.
#[derive(Clone, Copy)]
#[repr(C)]
pub(in super::super) struct State {
    pub(super) abef: __m128i,
    pub(super) cdgh: __m128i,
}

/// A step's text, block by block.
pub(in super::super) type Step = [__m128i; STEP_BLOCKS];

impl State {
    /// From its words, A to H.
    #[inline]
    #[target_feature(enable = "sse4.1")]
    pub(in super::super) fn new(words: &[u32; 8]) -> Self {
        let half = |at: usize| words[at..].as_ptr().cast();
        // SAFETY: eight words are there.
        let (abcd, efgh) = unsafe { (_mm_loadu_si128(half(0)), _mm_loadu_si128(half(4))) };
        let badc = _mm_shuffle_epi32::<0b10_11_00_01>(abcd);
        let fehg = _mm_shuffle_epi32::<0b10_11_00_01>(efgh);
        Self {
            abef: _mm_unpacklo_epi64(fehg, badc),
            cdgh: _mm_unpackhi_epi64(fehg, badc),
        }
    }

    /// The hash, if nothing follows.
    #[inline]
    #[target_feature(enable = "sse4.1")]
    pub(in super::super) fn bytes(self) -> [__m128i; 2] {
        // Each half has two words, the later one first, each with its last byte first.
        let order = _mm_set_epi64x(0x0809_0a0b_0c0d_0e0f, 0x0001_0203_0405_0607);
        [
            _mm_shuffle_epi8(_mm_unpackhi_epi64(self.abef, self.cdgh), order),
            _mm_shuffle_epi8(_mm_unpacklo_epi64(self.abef, self.cdgh), order),
        ]
    }

    /// The text of the outer hash: this state as the inner hash, and padding.
    #[inline]
    #[target_feature(enable = "sse4.1")]
    pub(in super::super) fn padded(self) -> Step {
        let [first, second] = self.bytes();
        let mut padding = [
            _mm_set_epi32(0, 0, 0, i32::MIN),
            _mm_set_epi32(OUTER_BITS, 0, 0, 0),
        ];
        swap_bytes(&mut padding);
        [first, second, padding[0], padding[1]]
    }

    /// Its words, A to H.
    #[inline]
    #[target_feature(enable = "sse4.1")]
    pub(in super::super) fn words(self) -> [u32; 8] {
        [
            _mm_extract_epi32::<3>(self.abef),
            _mm_extract_epi32::<2>(self.abef),
            _mm_extract_epi32::<3>(self.cdgh),
            _mm_extract_epi32::<2>(self.cdgh),
            _mm_extract_epi32::<1>(self.abef),
            _mm_extract_epi32::<0>(self.abef),
            _mm_extract_epi32::<1>(self.cdgh),
            _mm_extract_epi32::<0>(self.cdgh),
        ]
        .map(i32::cast_unsigned)
    }

    /// The sum, word by word.
    #[inline]
    #[target_feature(enable = "sse2")]
    fn add(self, other: Self) -> Self {
        Self {
            abef: _mm_add_epi32(self.abef, other.abef),
            cdgh: _mm_add_epi32(self.cdgh, other.cdgh),
        }
    }
}

/// Hashes `steps` steps. The text advances by its stride in each.
///
/// # Safety
///
/// There is a step at `text`, each time.
#[inline]
#[target_feature(enable = "sha,sse4.1")]
pub(super) unsafe fn hash(state: &mut State, text: &mut *const u8, stride: usize, steps: usize) {
    let mut now = *state;
    for _ in 0..steps {
        let block = |i| text.wrapping_add(i * BLOCK).cast();
        // SAFETY: the caller's promise.
        let words = array::from_fn(|i| unsafe { _mm_loadu_si128(block(i)) });
        now = compress(now, words);
        *text = text.wrapping_add(stride);
    }
    *state = now;
}

/// A step of SHA-256.
#[inline]
#[target_feature(enable = "sha,sse4.1")]
fn compress(before: State, mut words: Step) -> State {
    swap_bytes(&mut words);
    let mut state = before;
    // A loop would keep the words in memory, and the rounds would wait for them.
    macro_rules! parts {
        ($($part:literal)*) => {
            $(four_rounds::<$part>(&mut state, &mut words);)*
        };
    }
    parts!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    state.add(before)
}

/// Rounds 4 × `PART` to 4 × `PART` + 3, and the words of the rounds 16 later.
#[inline]
#[target_feature(enable = "sha,sse4.1")]
fn four_rounds<const PART: usize>(state: &mut State, words: &mut Step) {
    let [k0, k1, k2, k3] = K.0.as_chunks().0[PART].map(u32::cast_signed);
    let low = _mm_add_epi32(words[PART % 4], _mm_set_epi32(k3, k2, k1, k0));
    let high = _mm_shuffle_epi32::<0b1110>(low);
    state.cdgh = _mm_sha256rnds2_epu32(state.cdgh, state.abef, low);
    state.abef = _mm_sha256rnds2_epu32(state.abef, state.cdgh, high);
    if PART < 12 {
        let (third, last) = (words[(PART + 2) % 4], words[(PART + 3) % 4]);
        let next = _mm_sha256msg1_epu32(words[PART % 4], words[(PART + 1) % 4]);
        let next = _mm_add_epi32(next, _mm_alignr_epi8::<4>(last, third));
        words[PART % 4] = _mm_sha256msg2_epu32(next, last);
    }
}

/// Words to bytes, and the reverse.
#[inline]
#[target_feature(enable = "sse4.1")]
fn swap_bytes(text: &mut [__m128i]) {
    for words in text {
        *words = _mm_shuffle_epi8(*words, BYTE_ORDER);
    }
}
