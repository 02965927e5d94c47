//! AES-256 CBC in lanes with AES-NI: text from memory to registers and back, and the chains.

use std::arch::x86_64::*;
use std::array;

use super::super::engine::{LaneData, STEP_BLOCKS};
use super::super::shani::sha256_pairs::Step;
use super::aes256::{self, Schedule};
use crate::limits::BLOCK;

/// A step of `COUNT` lanes from `first` on, before it is sealed.
///
/// # Safety
///
/// It is a step of [`Engine::work`](super::super::engine::Engine::work).
#[inline]
#[target_feature(enable = "avx")]
pub(super) unsafe fn load_text<const COUNT: usize, const LANES: usize>(
    lanes: &LaneData<'_, LANES>,
    first: usize,
    step: usize,
) -> Step<COUNT> {
    let mut text = [[_mm_setzero_si128(); COUNT]; STEP_BLOCKS];
    let from: [_; COUNT] = array::from_fn(|i| lanes.here(first + i, step));
    for (i, blocks) in text.iter_mut().enumerate() {
        for (block, from) in blocks.iter_mut().zip(from) {
            // SAFETY: the caller's promise.
            *block = unsafe { _mm_loadu_si128(from.add(i * BLOCK).cast()) };
        }
    }
    text
}

/// Stores a sealed step at its place.
///
/// # Safety
///
/// As for [`load_text`].
#[inline]
#[target_feature(enable = "avx")]
pub(super) unsafe fn store_text<const COUNT: usize, const LANES: usize>(
    lanes: &LaneData<'_, LANES>,
    first: usize,
    step: usize,
    text: &Step<COUNT>,
) {
    let to: [_; COUNT] = array::from_fn(|i| lanes.there(first + i, step));
    for (i, blocks) in text.iter().enumerate() {
        for (block, to) in blocks.iter().zip(to) {
            // SAFETY: the caller's promise.
            unsafe { _mm_storeu_si128(to.add(i * BLOCK).cast(), *block) };
        }
    }
}

/// The chains of some lanes, and how many blocks of each are encrypted.
pub(super) struct Chains<'a, const COUNT: usize> {
    pub(super) keys: [&'a Schedule; COUNT],
    pub(super) chains: [__m128i; COUNT],
    to_encrypt: [u16; COUNT],
}

impl<'a, const COUNT: usize> Chains<'a, COUNT> {
    /// The chains of the lanes from `first` on. Idle lanes take the keys of lane 0, which is
    /// active.
    pub(super) fn new<const LANES: usize>(lanes: &LaneData<'a, LANES>, first: usize) -> Self {
        let keys = lanes.cipher[0].expect("an active lane has a cipher");
        Self {
            keys: array::from_fn(|i| lanes.cipher[first + i].unwrap_or(keys)),
            chains: array::from_fn(|i| lanes.chain[first + i]),
            to_encrypt: array::from_fn(|i| lanes.to_encrypt[first + i]),
        }
    }

    /// How many blocks of each lane are left from `step` on.
    fn left(&self, step: usize) -> [u16; COUNT] {
        let before = (STEP_BLOCKS * step) as u16;
        self.to_encrypt.map(|blocks| blocks.saturating_sub(before))
    }

    /// Encrypts as many blocks of every lane in `step` as the lane that needs the most.
    #[inline]
    #[target_feature(enable = "aes,avx")]
    pub(super) fn encrypt(&mut self, step: usize, text: &mut Step<COUNT>) {
        let most = self.left(step).into_iter().fold(0, u16::max);
        for text in text.iter_mut().take(usize::from(most)) {
            for (chain, text) in self.chains.iter_mut().zip(&*text) {
                *chain = _mm_xor_si128(*chain, *text);
            }
            self.chains = aes256::encrypt(&self.keys, self.chains);
            *text = self.chains;
        }
    }

    /// Restores the blocks that `step` should not have encrypted.
    #[inline]
    pub(super) fn restore_plain(&self, step: usize, plain: &Step<COUNT>, text: &mut Step<COUNT>) {
        let left = self.left(step);
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
}
