//! AES-NI and SHA-NI: up to eight lanes side by side, or one, in [`super::one`]. Here text
//! comes and goes; what is done with it is in [`super::aes`] and [`super::pairs`].

use std::arch::x86_64::*;
use std::{array, mem};

use super::Features;
use super::aes::{self, AT_ONCE, Schedule};
use super::front::{Engine, FEW_STEPS, Front, STEP_BLOCKS};
use super::one::{hash_one, seal_one};
use super::pairs::{BESIDE, Keys, Step, hash, hash_and_encrypt};
use super::sha::State;
use crate::limits::BLOCK;

/// How many lanes it is best fed with.
pub(super) const LANES: usize = AT_ONCE;

/// Takes steps with what the features prove.
pub(super) struct AesNiEngine(pub(super) Features);

impl<const LANES: usize> Engine<LANES> for AesNiEngine {
    const COPIES: bool = false;

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
    /// Hashes in lanes `first` to `active` - 1, if there are any, and encrypts before if
    /// it `seals`. Idle lanes make up what the others lack to two, four and so on.
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
        let count = active.saturating_sub(first);
        assert!(count <= self::LANES);
        if matches!(self.0, Features::Avx512(..)) && seals && steps > FEW_STEPS && count > 1 {
            for first in (first..active).step_by(BESIDE) {
                // SAFETY: the token proves the features; the rest is the caller's promise.
                unsafe { seal_beside(front, first, steps) };
            }
            return;
        }
        // SAFETY: as above.
        unsafe {
            match (seals, count) {
                (_, 0) => {}
                (true, 1) => seal_one(front, first, steps),
                (true, 2) => seal::<2, _>(front, first, steps),
                (true, 3 | 4) => seal::<4, _>(front, first, steps),
                (true, _) => seal::<{ self::LANES }, _>(front, first, steps),
                (false, 1) => hash_one(front, first, steps),
                (false, 2) => hash_in_pairs::<2, _>(front, first, steps),
                (false, 3 | 4) => hash_in_pairs::<4, _>(front, first, steps),
                (false, 5 | 6) => hash_in_pairs::<6, _>(front, first, steps),
                (false, _) => hash_in_pairs::<{ self::LANES }, _>(front, first, steps),
            }
        }
    }
}

/// Seals in `COUNT` lanes from `first` on, step by step.
///
/// # Safety
///
/// As of [`Engine::seal`].
#[target_feature(enable = "aes,sha,sse4.1,avx")]
unsafe fn seal<const COUNT: usize, const LANES: usize>(
    front: &mut Front<'_, LANES>,
    first: usize,
    steps: usize,
) {
    let mut states = load_states::<COUNT, _>(front, first);
    let mut chains = Chains::new(front, first);
    for step in 0..steps {
        // SAFETY: the caller promises `STEP` bytes for each step.
        let plain = unsafe { load_text::<COUNT, _>(front, first, step) };
        let mut text = plain;
        chains.encrypt(step, &mut text);
        chains.restore_plain(step, &plain, &mut text);
        // SAFETY: as above.
        unsafe {
            store_text(front, first, step, &text);
            hash_sealed(front, first, step, &mut states);
        }
    }
    front.advance(first, COUNT, steps);
    store_states(front, first, &states);
    front.chain[first..][..COUNT].copy_from_slice(&chains.chains);
}

/// Seals in four lanes from `first` on: each step beside the hash of the one before.
///
/// # Safety
///
/// As of [`Engine::seal`].
#[target_feature(enable = "aes,sha,sse4.1,avx512f,avx512vl,vaes")]
unsafe fn seal_beside<const LANES: usize>(
    front: &mut Front<'_, LANES>,
    first: usize,
    steps: usize,
) {
    let mut states = load_states::<BESIDE, _>(front, first);
    let mut chains = Chains::<BESIDE>::new(front, first);
    let keys: Line<Keys> = Line(array::from_fn(|round| {
        chains.keys.map(|keys| keys.0[round])
    }));
    // SAFETY: the caller promises `STEP` bytes for each step.
    let mut plain = Line(unsafe { load_text(front, first, 0) });
    let (mut one, mut other) = (Line(plain.0), Line(plain.0));
    let (mut text, mut next) = (&mut one.0, &mut other.0);
    chains.encrypt(0, text);
    for step in 1..steps {
        chains.restore_plain(step - 1, &plain.0, text);
        // SAFETY: as above.
        unsafe {
            store_text(front, first, step - 1, text);
            plain.0 = load_text(front, first, step);
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
        store_text(front, first, steps - 1, text);
        hash_sealed(front, first, steps - 1, &mut states);
    }
    front.advance(first, BESIDE, steps);
    store_states(front, first, &states);
    front.chain[first..][..BESIDE].copy_from_slice(&chains.chains);
}

/// Hashes in `COUNT` lanes from `first` on.
///
/// # Safety
///
/// As of [`Engine::hash`].
#[target_feature(enable = "sha,sse4.1,avx")]
unsafe fn hash_in_pairs<const COUNT: usize, const LANES: usize>(
    front: &mut Front<'_, LANES>,
    first: usize,
    steps: usize,
) {
    let mut states = load_states::<COUNT, _>(front, first);
    let mut texts = *front.from[first..].first_chunk().expect("as many lanes");
    // SAFETY: the caller's promise.
    unsafe { hash_steps(front, first, &mut states, &mut texts, steps) };
    front.advance(first, COUNT, steps);
    store_states(front, first, &states);
}

/// Hashes a step that has been sealed, in `COUNT` lanes from `first` on.
///
/// # Safety
///
/// As of [`Engine::seal`], whose step it is.
#[inline]
#[target_feature(enable = "sha,sse4.1,avx")]
unsafe fn hash_sealed<const COUNT: usize, const LANES: usize>(
    front: &Front<'_, LANES>,
    first: usize,
    step: usize,
    states: &mut [State; COUNT],
) {
    let mut texts = array::from_fn(|i| front.there(first + i, step).cast_const());
    // SAFETY: the caller's promise.
    unsafe { hash_steps(front, first, states, &mut texts, 1) };
}

/// Hashes so many steps of `COUNT` lanes from `first` on, whose text is at `texts`, which goes
/// on with them; of lanes in `outer` their padded state.
///
/// # Safety
///
/// As of [`Engine::hash`].
#[inline]
#[target_feature(enable = "sha,sse4.1,avx")]
unsafe fn hash_steps<const COUNT: usize, const LANES: usize>(
    front: &Front<'_, LANES>,
    first: usize,
    states: &mut [State; COUNT],
    texts: &mut [*const u8; COUNT],
    steps: usize,
) {
    let strides = front.stride[first..].first_chunk().expect("as many lanes");
    if front.outer >> first == 0 {
        // SAFETY: the caller's promise.
        return unsafe { hash(states, texts, strides, steps) };
    }
    let mut outer = [[_mm_setzero_si128(); STEP_BLOCKS]; COUNT];
    for (i, outer) in outer.iter_mut().enumerate() {
        if front.is_outer(first + i) {
            *outer = State::new(&front.state(first + i)).padded();
            texts[i] = outer.as_ptr().cast();
        }
    }
    // SAFETY: the caller's promise of a run of one step, and what is padded is one.
    unsafe { hash(states, texts, strides, 1) };
}

/// Aligned so that no two lanes that are loaded at once are in two lines of the cache.
#[repr(align(64))]
struct Line<T>(T);

/// A step of every lane, to be sealed.
///
/// # Safety
///
/// It is one of [`Engine::seal`]'s.
#[inline]
#[target_feature(enable = "avx")]
unsafe fn load_text<const COUNT: usize, const LANES: usize>(
    front: &Front<'_, LANES>,
    first: usize,
    step: usize,
) -> Step<COUNT> {
    let mut text = [[_mm_setzero_si128(); COUNT]; STEP_BLOCKS];
    let from: [_; COUNT] = array::from_fn(|i| front.here(first + i, step));
    for (i, blocks) in text.iter_mut().enumerate() {
        for (block, from) in blocks.iter_mut().zip(from) {
            // SAFETY: the caller's promise.
            *block = unsafe { _mm_loadu_si128(from.add(i * BLOCK).cast()) };
        }
    }
    text
}

/// Puts it to its place.
///
/// # Safety
///
/// As of [`load_text`].
#[inline]
#[target_feature(enable = "avx")]
unsafe fn store_text<const COUNT: usize, const LANES: usize>(
    front: &Front<'_, LANES>,
    first: usize,
    step: usize,
    text: &Step<COUNT>,
) {
    let to: [_; COUNT] = array::from_fn(|i| front.there(first + i, step));
    for (i, blocks) in text.iter().enumerate() {
        for (block, to) in blocks.iter().zip(to) {
            // SAFETY: the caller's promise.
            unsafe { _mm_storeu_si128(to.add(i * BLOCK).cast(), *block) };
        }
    }
}

/// Chains of AES, and how many blocks of each are encrypted.
struct Chains<'a, const COUNT: usize> {
    keys: [&'a Schedule; COUNT],
    chains: [__m128i; COUNT],
    to_encrypt: [u16; COUNT],
}

impl<'a, const COUNT: usize> Chains<'a, COUNT> {
    /// Those of the lanes from `first` on. Idle ones take the keys of the first of
    /// all lanes, which is active.
    fn new<const LANES: usize>(front: &Front<'a, LANES>, first: usize) -> Self {
        let keys = front.cipher[0].expect("an active lane has a cipher");
        Self {
            keys: array::from_fn(|i| front.cipher[first + i].unwrap_or(keys)),
            chains: array::from_fn(|i| front.chain[first + i]),
            to_encrypt: array::from_fn(|i| front.to_encrypt[first + i]),
        }
    }

    /// How many blocks of each lane are left from `step` on.
    fn left(&self, step: usize) -> [u16; COUNT] {
        let before = (STEP_BLOCKS * step) as u16;
        self.to_encrypt.map(|blocks| blocks.saturating_sub(before))
    }

    /// Encrypts as many blocks of every lane in `step` as any lane wants.
    #[inline]
    #[target_feature(enable = "aes,avx")]
    fn encrypt(&mut self, step: usize, text: &mut Step<COUNT>) {
        let most = self.left(step).into_iter().fold(0, u16::max);
        for text in text.iter_mut().take(usize::from(most)) {
            for (chain, text) in self.chains.iter_mut().zip(&*text) {
                *chain = _mm_xor_si128(*chain, *text);
            }
            self.chains = aes::encrypt(&self.keys, self.chains);
            *text = self.chains;
        }
    }

    /// Takes the plaintext back of what should not have been encrypted in `step`.
    #[inline]
    fn restore_plain(&self, step: usize, plain: &Step<COUNT>, text: &mut Step<COUNT>) {
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

#[inline]
#[target_feature(enable = "sse4.1,avx")]
fn load_states<const COUNT: usize, const LANES: usize>(
    front: &Front<'_, LANES>,
    first: usize,
) -> [State; COUNT] {
    let mut states = [State::new(&[0; 8]); COUNT];
    for (lane, state) in (first..).zip(&mut states) {
        *state = State::new(&front.begin_state(lane));
    }
    states
}

#[inline]
#[target_feature(enable = "sse4.1,avx")]
fn store_states<const LANES: usize>(front: &mut Front<'_, LANES>, first: usize, states: &[State]) {
    for (lane, state) in (first..).zip(states) {
        front.set_state(lane, state.words());
    }
}
