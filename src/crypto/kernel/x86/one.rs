//! AES-NI and SHA-NI in a single lane. A chain and a hash leave so much room
//! that the processor finds the next step's by itself.

use std::arch::x86_64::*;

use super::aes;
use super::front::{Front, STEP_BLOCKS};
use super::sha::{K, State, padded, swap_bytes};
use crate::limits::BLOCK;

/// A step, block by block.
type Step = [__m128i; STEP_BLOCKS];

/// Seals in `lane`.
///
/// # Safety
///
/// As of [`Engine::seal`](super::front::Engine::seal).
#[target_feature(enable = "aes,sha,sse4.1,avx")]
pub(super) unsafe fn seal_one<const LANES: usize>(
    front: &mut Front<'_, LANES>,
    lane: usize,
    steps: usize,
) {
    let mut state = State::new(front.begin_state(lane));
    for step in 0..steps {
        // SAFETY: the caller promises `STEP` bytes for each step.
        let mut text = unsafe { load_text(front, lane) };
        front.advance_from(lane, 1);
        let blocks = usize::from(front.to_encrypt[lane]).saturating_sub(step * STEP_BLOCKS);
        encrypt(front, lane, &mut text[..blocks.min(STEP_BLOCKS)]);
        for (i, block) in text.iter().enumerate() {
            // SAFETY: as above; nothing else refers to them.
            unsafe { _mm_storeu_si128(front.to[lane].add(i * BLOCK).cast(), *block) };
        }
        front.advance_to(lane, 1);
        put_outer(front, lane, &mut text);
        state = compress(state, text);
    }
    front.set_state(lane, state.words());
}

/// Hashes in `lane`.
///
/// # Safety
///
/// As of [`Engine::hash`](super::front::Engine::hash).
#[target_feature(enable = "aes,sha,sse4.1,avx")]
pub(super) unsafe fn hash_one<const LANES: usize>(
    front: &mut Front<'_, LANES>,
    lane: usize,
    steps: usize,
) {
    let mut state = State::new(front.begin_state(lane));
    for _ in 0..steps {
        // SAFETY: the caller promises `STEP` bytes for each step.
        let mut text = unsafe { load_text(front, lane) };
        front.advance_from(lane, 1);
        put_outer(front, lane, &mut text);
        state = compress(state, text);
    }
    front.set_state(lane, state.words());
}

/// # Safety
///
/// There are `STEP` bytes.
#[inline]
#[target_feature(enable = "avx")]
unsafe fn load_text<const LANES: usize>(front: &Front<'_, LANES>, lane: usize) -> Step {
    let mut text = [_mm_setzero_si128(); STEP_BLOCKS];
    for (i, block) in text.iter_mut().enumerate() {
        // SAFETY: the caller's promise.
        *block = unsafe { _mm_loadu_si128(front.from[lane].add(i * BLOCK).cast()) };
    }
    text
}

#[inline]
#[target_feature(enable = "aes,avx")]
fn encrypt<const LANES: usize>(front: &mut Front<'_, LANES>, lane: usize, text: &mut [__m128i]) {
    let keys = front.cipher[lane].expect("an active lane has a cipher");
    let mut chain = front.chain[lane];
    for block in text {
        [chain] = aes::encrypt(&[keys], [_mm_xor_si128(chain, *block)]);
        *block = chain;
    }
    front.chain[lane] = chain;
}

/// Replaces the text of a lane that hashes its state.
#[inline]
#[target_feature(enable = "sse4.1,avx")]
fn put_outer<const LANES: usize>(front: &Front<'_, LANES>, lane: usize, text: &mut Step) {
    if front.is_outer(lane) {
        *text = padded(front.state(lane));
    }
}

/// A step of SHA-256.
#[inline]
#[target_feature(enable = "sha,sse4.1,avx")]
pub(super) fn compress(before: State, mut words: Step) -> State {
    swap_bytes(&mut words);
    let mut state = before;
    // A loop would have the words in memory, which the rounds would wait for.
    macro_rules! parts {
        ($($part:literal)*) => {
            $(four_rounds::<$part>(&mut state, &mut words);)*
        };
    }
    parts!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    state.add(before)
}

/// Rounds 4 × `PART` to 4 × `PART` + 3, and the words for 16 rounds later.
#[inline]
#[target_feature(enable = "sha,sse4.1,avx")]
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
