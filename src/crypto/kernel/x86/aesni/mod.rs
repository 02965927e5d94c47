//! The engine for few lanes: AES-NI and SHA-NI, in one lane or in up to eight side by side.
//!
//! Text and chains: [`aes_cbc_encrypt`]. Hashes: [`super::shani`]. With AVX-512 the chains of four
//! lanes also run beside the hashes of two pairs ([`super::shani::sha256_pairs`]).

pub(super) mod aes256;
pub(super) mod aes_cbc_decrypt;
mod aes_cbc_encrypt;

use std::{array, mem};

use self::aes_cbc_encrypt::{Chains, load_text, store_text};
use self::aes256::{AT_ONCE, Schedule};
use super::Features;
use super::engine::{Engine, FEW_STEPS, LaneData};
use super::shani;
use super::shani::sha256::State;
use super::shani::sha256_pairs::{BESIDE, Keys, hash_and_encrypt};

/// The number of lanes that keeps the engine busy.
pub(super) const LANES: usize = AT_ONCE;

/// Takes steps with the instructions that the features prove.
pub(super) struct AesNiEngine(pub(super) Features);

impl<const LANES: usize> Engine<LANES> for AesNiEngine {
    const COPIES: bool = false;

    fn set_cipher(&mut self, _: usize, _: &Schedule) {
        // The engine reads payloads in place.
    }

    unsafe fn work(
        &mut self,
        lanes: &mut LaneData<'_, LANES>,
        active: usize,
        steps: usize,
        seals: bool,
    ) {
        // SAFETY: the caller's promise.
        unsafe { self.work_from(lanes, 0, active, steps, seals) };
    }
}

impl AesNiEngine {
    /// Hashes in lanes `first` to `active` - 1, if there are any, and encrypts first if it `seals`.
    /// Idle lanes fill the number up to two, four and so on.
    ///
    /// # Safety
    ///
    /// As for [`Engine::work`].
    pub(super) unsafe fn work_from<const LANES: usize>(
        &self,
        lanes: &mut LaneData<'_, LANES>,
        first: usize,
        active: usize,
        steps: usize,
        seals: bool,
    ) {
        let count = active.saturating_sub(first);
        assert!(count <= self::LANES);
        if matches!(self.0, Features::Avx512(..)) && seals && steps > FEW_STEPS && count > 1 {
            for first in (first..active).step_by(BESIDE) {
                // SAFETY: the token proves the features; the rest is the caller's promise.
                unsafe { seal_beside(lanes, first, steps) };
            }
            return;
        }
        // SAFETY: as above.
        unsafe {
            match (seals, count) {
                (_, 0) => {}
                (true, 1) => seal::<1, _>(lanes, first, steps),
                (true, 2) => seal::<2, _>(lanes, first, steps),
                (true, 3 | 4) => seal::<4, _>(lanes, first, steps),
                (true, _) => seal::<{ self::LANES }, _>(lanes, first, steps),
                (false, 1) => hash::<1, _>(lanes, first, steps),
                (false, 2) => hash::<2, _>(lanes, first, steps),
                (false, 3 | 4) => hash::<4, _>(lanes, first, steps),
                (false, 5 | 6) => hash::<6, _>(lanes, first, steps),
                (false, _) => hash::<{ self::LANES }, _>(lanes, first, steps),
            }
        }
    }
}

/// Seals in `COUNT` lanes from `first` on, step by step.
///
/// # Safety
///
/// As for [`Engine::work`], which seals.
#[target_feature(enable = "aes,sha,sse4.1,avx")]
unsafe fn seal<const COUNT: usize, const LANES: usize>(
    lanes: &mut LaneData<'_, LANES>,
    first: usize,
    steps: usize,
) {
    let mut states = load_states::<COUNT, _>(lanes, first);
    let mut chains = Chains::new(lanes, first);
    for step in 0..steps {
        // SAFETY: the caller promises `STEP` bytes for each step.
        let plain = unsafe { load_text::<COUNT, _>(lanes, first, step) };
        let mut text = plain;
        chains.encrypt(step, &mut text);
        chains.restore_plain(step, &plain, &mut text);
        // SAFETY: as above.
        unsafe {
            store_text(lanes, first, step, &text);
            hash_sealed(lanes, first, step, &mut states);
        }
    }
    lanes.advance(first, COUNT, steps);
    store_states(lanes, first, &states);
    lanes.chain[first..][..COUNT].copy_from_slice(&chains.chains);
}

/// Seals in four lanes from `first` on, each step beside the hash of the step before.
///
/// # Safety
///
/// As for [`Engine::work`], which seals.
#[target_feature(enable = "aes,sha,sse4.1,avx512f,avx512vl,vaes")]
unsafe fn seal_beside<const LANES: usize>(
    lanes: &mut LaneData<'_, LANES>,
    first: usize,
    steps: usize,
) {
    let mut states = load_states::<BESIDE, _>(lanes, first);
    let mut chains = Chains::<BESIDE>::new(lanes, first);
    let keys: Line<Keys> = Line(array::from_fn(|round| {
        chains.keys.map(|keys| keys.0[round])
    }));
    // SAFETY: the caller promises `STEP` bytes for each step.
    let mut plain = Line(unsafe { load_text(lanes, first, 0) });
    let (mut one, mut other) = (Line(plain.0), Line(plain.0));
    let (mut text, mut next) = (&mut one.0, &mut other.0);
    chains.encrypt(0, text);
    for step in 1..steps {
        chains.restore_plain(step - 1, &plain.0, text);
        // SAFETY: as above.
        unsafe {
            store_text(lanes, first, step - 1, text);
            plain.0 = load_text(lanes, first, step);
        }
        hash_and_encrypt(
            &mut states,
            text,
            &keys.0,
            &mut chains.chains,
            &plain.0,
            next,
        );
        mem::swap(&mut text, &mut next);
    }
    chains.restore_plain(steps - 1, &plain.0, text);
    // SAFETY: as above.
    unsafe {
        store_text(lanes, first, steps - 1, text);
        hash_sealed(lanes, first, steps - 1, &mut states);
    }
    lanes.advance(first, BESIDE, steps);
    store_states(lanes, first, &states);
    lanes.chain[first..][..BESIDE].copy_from_slice(&chains.chains);
}

/// Hashes in `COUNT` lanes from `first` on.
///
/// # Safety
///
/// As for [`Engine::work`].
#[target_feature(enable = "sha,sse4.1")]
unsafe fn hash<const COUNT: usize, const LANES: usize>(
    lanes: &mut LaneData<'_, LANES>,
    first: usize,
    steps: usize,
) {
    let mut states = load_states::<COUNT, _>(lanes, first);
    let mut texts = *lanes.from[first..].first_chunk().expect("as many lanes");
    // SAFETY: the caller's promise.
    unsafe { hash_steps(lanes, first, &mut states, &mut texts, steps) };
    lanes.advance(first, COUNT, steps);
    store_states(lanes, first, &states);
}

/// Hashes a step that is already sealed, in `COUNT` lanes from `first` on.
///
/// # Safety
///
/// As for [`Engine::work`], whose step it is.
// Not inlined, because its callers enable AVX.
#[inline(never)]
#[target_feature(enable = "sha,sse4.1")]
unsafe fn hash_sealed<const COUNT: usize, const LANES: usize>(
    lanes: &LaneData<'_, LANES>,
    first: usize,
    step: usize,
    states: &mut [State; COUNT],
) {
    let mut texts = array::from_fn(|i| lanes.there(first + i, step).cast_const());
    // SAFETY: the caller's promise.
    unsafe { hash_steps(lanes, first, states, &mut texts, 1) };
}

/// Hashes `steps` steps of `COUNT` lanes from `first` on: the text at `texts`, which advances, or
/// in `outer` lanes their padded state.
///
/// # Safety
///
/// As for [`Engine::work`].
#[inline]
#[target_feature(enable = "sha,sse4.1")]
unsafe fn hash_steps<const COUNT: usize, const LANES: usize>(
    lanes: &LaneData<'_, LANES>,
    first: usize,
    states: &mut [State; COUNT],
    texts: &mut [*const u8; COUNT],
    steps: usize,
) {
    let strides = lanes.stride[first..].first_chunk().expect("as many lanes");
    let padded: [_; COUNT];
    if lanes.outer >> first != 0 {
        padded = array::from_fn(|i| State::new(&lanes.state(first + i)).padded());
        for (i, (text, padded)) in texts.iter_mut().zip(&padded).enumerate() {
            if lanes.is_outer(first + i) {
                *text = padded.as_ptr().cast();
            }
        }
    }
    // SAFETY: the caller's promise, and a padded state is one step, as a run with `outer` lanes is.
    unsafe { shani::hash(states, texts, strides, steps) };
}

/// Aligned so that lanes that are loaded together are in one cache line.
#[repr(align(64))]
struct Line<T>(T);

#[inline]
#[target_feature(enable = "sse4.1")]
fn load_states<const COUNT: usize, const LANES: usize>(
    lanes: &LaneData<'_, LANES>,
    first: usize,
) -> [State; COUNT] {
    let mut states = [State::new(&[0; 8]); COUNT];
    for (lane, state) in (first..).zip(&mut states) {
        *state = State::new(&lanes.begin_state(lane));
    }
    states
}

#[inline]
#[target_feature(enable = "sse4.1")]
fn store_states<const LANES: usize>(
    lanes: &mut LaneData<'_, LANES>,
    first: usize,
    states: &[State],
) {
    for (lane, state) in (first..).zip(states) {
        lanes.set_state(lane, state.words());
    }
}
