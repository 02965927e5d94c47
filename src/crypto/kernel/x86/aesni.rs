//! AES-NI and SHA-NI: four lanes at a time, or one in [`super::one`]. Here text
//! comes and goes; what is done with it is in [`super::stitch128`].

use std::arch::x86_64::*;

use super::aes::{self, Schedule};
use super::front::{Engine, Front, STEP_BLOCKS};
use super::one::{hash_one, seal_one};
use super::sha::{State, padded};
use super::stitch128::{Blocks, STREAMS, hash, hash_and_encrypt};
use crate::crypto::cpu::AesNi;
use crate::limits::BLOCK;

/// How many lanes it is best fed with: two times four, so that fewer of them wait
/// for the end of one record.
pub(super) const LANES: usize = 2 * STREAMS;

/// Up to so many lanes go one by one: a four takes as long for two as for four, and two by
/// themselves take less. Not where more than two steps are encrypted: a lane by itself
/// then waits for its chain of AES, of which a four has four side by side. (Zen 4, two
/// records in a four and one by one, ns: of 64 B to open 541, 391, to seal 661, 511; of
/// 16 KiB 21132, 19739, and 29634, 44016.)
pub(super) fn one_by_one(seals: bool, steps: usize) -> usize {
    if seals && steps > 2 { 1 } else { 2 }
}

/// Takes steps with what the token proves.
pub(super) struct AesNiEngine(pub(super) AesNi);

impl<const LANES: usize> Engine<LANES> for AesNiEngine {
    fn set_cipher(&mut self, _: usize, _: &Schedule) {
        // They are read from where they are.
    }

    unsafe fn seal(&mut self, front: &mut Front<'_, LANES>, active: usize, steps: usize) {
        // SAFETY: the caller's promise.
        unsafe { self.work_from(front, 0, active, steps, true) };
    }

    unsafe fn hash(&mut self, front: &mut Front<'_, LANES>, active: usize, steps: usize) {
        // SAFETY: the caller's promise.
        unsafe { self.work_from(front, 0, active, steps, false) };
    }
}

impl AesNiEngine {
    /// Hashes in lanes `first` to `active` - 1, and encrypts before if it `seals`.
    ///
    /// # Safety
    ///
    /// As of [`Engine::seal`], or of [`Engine::hash`].
    pub(super) unsafe fn work_from<const LANES: usize>(
        &self,
        front: &mut Front<'_, LANES>,
        first: usize,
        active: usize,
        steps: usize,
        seals: bool,
    ) {
        for first in (first..active).step_by(STREAMS) {
            let lanes = first..active.min(first + STREAMS);
            let in_four = lanes.len() > one_by_one(seals, steps);
            // SAFETY: the token proves the features; the rest is the caller's promise.
            unsafe {
                match (seals, in_four) {
                    (true, true) => seal_four(front, first, steps),
                    (true, false) => lanes.for_each(|lane| seal_one(front, lane, steps)),
                    (false, true) => hash_four(front, first, steps),
                    (false, false) => lanes.for_each(|lane| hash_one(front, lane, steps)),
                }
            }
        }
    }
}

/// Seals in four lanes from `first` on: each step beside the hash of the one
/// before.
///
/// # Safety
///
/// As of [`Engine::seal`].
#[target_feature(enable = "aes,sha,sse4.1,avx")]
unsafe fn seal_four<const LANES: usize>(front: &mut Front<'_, LANES>, first: usize, steps: usize) {
    let mut states = load_states(front, first);
    let mut chains = Chains::new(front, first);
    let to_encrypt = *front.to_encrypt[first..].first_chunk().expect("four lanes");
    // SAFETY: the caller promises `STEP` bytes for each step.
    let mut plain = unsafe { load_text(front, first) };
    let mut text = plain;
    chains.encrypt(to_encrypt.into_iter().fold(0, u16::max), &mut text);
    for step in 1..steps {
        restore_plain(&to_encrypt, step - 1, &plain, &mut text);
        // SAFETY: as above.
        unsafe { store_text(front, first, &text) };
        front.advance(first, STREAMS);
        // SAFETY: as above.
        plain = unsafe { load_text(front, first) };
        let words = text;
        hash_and_encrypt(
            &mut states,
            words,
            &chains.keys,
            &mut chains.chains,
            &plain,
            &mut text,
        );
    }
    restore_plain(&to_encrypt, steps - 1, &plain, &mut text);
    // SAFETY: as above.
    unsafe { store_text(front, first, &text) };
    front.advance(first, STREAMS);
    put_outer(front, first, &mut text);
    hash(&mut states, text);
    store_states(front, first, &states);
    front.chain[first..first + STREAMS].copy_from_slice(&chains.chains);
}

/// Hashes in four lanes from `first` on.
///
/// # Safety
///
/// As of [`Engine::hash`].
#[target_feature(enable = "aes,sha,sse4.1,avx")]
unsafe fn hash_four<const LANES: usize>(front: &mut Front<'_, LANES>, first: usize, steps: usize) {
    let mut states = load_states(front, first);
    for _ in 0..steps {
        // SAFETY: the caller promises `STEP` bytes for each step.
        let mut text = unsafe { load_text(front, first) };
        front.advance(first, STREAMS);
        put_outer(front, first, &mut text);
        hash(&mut states, text);
    }
    store_states(front, first, &states);
}

/// Every lane's step.
///
/// # Safety
///
/// There are `STEP` bytes.
#[inline]
#[target_feature(enable = "avx")]
unsafe fn load_text<const LANES: usize>(
    front: &Front<'_, LANES>,
    first: usize,
) -> [Blocks; STEP_BLOCKS] {
    let mut text = [[_mm_setzero_si128(); STREAMS]; STEP_BLOCKS];
    let sources = &front.text[first..][..STREAMS];
    for (i, blocks) in text.iter_mut().enumerate() {
        for (block, source) in blocks.iter_mut().zip(sources) {
            // SAFETY: the caller's promise.
            *block = unsafe { _mm_loadu_si128(source.add(i * BLOCK).cast()) };
        }
    }
    text
}

/// Puts every lane's step to its place.
///
/// # Safety
///
/// There are `STEP` bytes, to which nothing else refers.
#[inline]
#[target_feature(enable = "avx")]
unsafe fn store_text<const LANES: usize>(
    front: &Front<'_, LANES>,
    first: usize,
    text: &[Blocks; STEP_BLOCKS],
) {
    let targets = &front.text[first..][..STREAMS];
    for (i, blocks) in text.iter().enumerate() {
        for (block, target) in blocks.iter().zip(targets) {
            // SAFETY: the caller's promise.
            unsafe { _mm_storeu_si128(target.add(i * BLOCK).cast(), *block) };
        }
    }
}

/// Four chains of AES.
struct Chains<'a> {
    keys: [&'a Schedule; STREAMS],
    chains: Blocks,
}

impl<'a> Chains<'a> {
    /// Those of the lanes from `first` on. Idle ones take the keys of the first of
    /// all lanes, which is active.
    fn new<const LANES: usize>(front: &Front<'a, LANES>, first: usize) -> Self {
        let keys = front.cipher[0].expect("an active lane has a cipher");
        let mut chains = Self {
            keys: [keys; STREAMS],
            chains: [front.chain[first]; STREAMS],
        };
        for i in 0..STREAMS {
            chains.keys[i] = front.cipher[first + i].unwrap_or(keys);
            chains.chains[i] = front.chain[first + i];
        }
        chains
    }

    /// Encrypts at most so many blocks of every lane.
    #[inline]
    #[target_feature(enable = "aes,avx")]
    fn encrypt(&mut self, most: u16, text: &mut [Blocks; STEP_BLOCKS]) {
        for text in text.iter_mut().take(usize::from(most)) {
            for (chain, text) in self.chains.iter_mut().zip(&*text) {
                *chain = _mm_xor_si128(*chain, *text);
            }
            self.chains = aes::encrypt(&self.keys, self.chains);
            *text = self.chains;
        }
    }
}

/// Takes the plaintext back of what should not have been encrypted in `step`.
#[inline]
fn restore_plain(
    to_encrypt: &[u16; STREAMS],
    step: usize,
    plain: &[Blocks; STEP_BLOCKS],
    text: &mut [Blocks; STEP_BLOCKS],
) {
    let before = (STEP_BLOCKS * step) as u16;
    let left = to_encrypt.map(|blocks| blocks.saturating_sub(before));
    if left.iter().all(|&blocks| blocks >= STEP_BLOCKS as u16) {
        return;
    }
    for (block, (text, plain)) in (0..).zip(text.iter_mut().zip(plain)) {
        for ((text, plain), blocks) in text.iter_mut().zip(plain).zip(left) {
            if block >= blocks {
                *text = *plain;
            }
        }
    }
}

#[inline]
#[target_feature(enable = "sse4.1,avx")]
fn load_states<const LANES: usize>(front: &Front<'_, LANES>, first: usize) -> [State; STREAMS] {
    let mut states = [State::new([0; 8]); STREAMS];
    for (lane, state) in (first..).zip(&mut states) {
        *state = State::new(front.begin_state(lane));
    }
    states
}

#[inline]
#[target_feature(enable = "sse4.1,avx")]
fn store_states<const LANES: usize>(
    front: &mut Front<'_, LANES>,
    first: usize,
    states: &[State; STREAMS],
) {
    for (lane, state) in (first..).zip(states) {
        front.set_state(lane, state.words());
    }
}

/// Replaces the text of lanes that hash their state.
#[inline]
#[target_feature(enable = "sse4.1,avx")]
fn put_outer<const LANES: usize>(
    front: &Front<'_, LANES>,
    first: usize,
    text: &mut [Blocks; STEP_BLOCKS],
) {
    for i in (0..STREAMS).filter(|i| front.is_outer(first + i)) {
        for (blocks, block) in text.iter_mut().zip(padded(front.state(first + i))) {
            blocks[i] = block;
        }
    }
}
