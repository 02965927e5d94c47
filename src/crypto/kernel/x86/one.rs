//! AES-NI and SHA-NI in a single lane. A chain and a hash leave so much room
//! that the processor finds the next step's by itself.

use std::arch::x86_64::*;

use super::aes;
use super::front::{Front, STEP_BLOCKS};
use super::sha::{State, Step, compress};
use crate::limits::BLOCK;

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
    let mut state = State::new(&front.begin_state(lane));
    for step in 0..steps {
        // SAFETY: the caller promises `STEP` bytes for each step.
        let mut text = unsafe { load_text(front, lane) };
        let blocks = usize::from(front.to_encrypt[lane]).saturating_sub(step * STEP_BLOCKS);
        encrypt(front, lane, &mut text[..blocks.min(STEP_BLOCKS)]);
        for (i, block) in text.iter().enumerate() {
            // SAFETY: as above; nothing else refers to them.
            unsafe { _mm_storeu_si128(front.to[lane].add(i * BLOCK).cast(), *block) };
        }
        front.advance(lane, 1, 1);
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
    let mut state = State::new(&front.begin_state(lane));
    for _ in 0..steps {
        // SAFETY: the caller promises `STEP` bytes for each step.
        let mut text = unsafe { load_text(front, lane) };
        front.advance(lane, 1, 1);
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
        *text = State::new(&front.state(lane)).padded();
    }
}
