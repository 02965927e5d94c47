//! The engine for many lanes: AVX-512 and VAES. Each of 32 lanes has a word in the registers that
//! hash and a quarter of a register that encrypts ([`transpose`]); assembly works on them
//! ([`sha256_aes_cbc`]). There are two sets of 16 lanes, and one rests if few lanes are active.
//! It does not choose which lanes go here. Read next: [`units`], which does.

pub(super) mod aes_cbc_decrypt;
pub(super) mod sha256_aes_cbc;
mod transpose;
pub(super) mod units;

use std::arch::x86_64::*;
use std::mem;

use self::sha256_aes_cbc::{Blocks, Keys, States, Words, one_set, two_sets};
use self::transpose::{GROUPS, LANES, SET, lane, load_text, place, store_text, to_words};
use self::units::{Units, sets};
use super::Features;
use super::aesni::AesNiEngine;
use super::aesni::aes256::{ROUNDS, Schedule};
use super::engine::{Columns, Engine, FEW_STEPS, LaneData, STEP_BLOCKS, erase};
use super::shani::sha256::OUTER_BITS;
use crate::crypto::cpu::Avx512;

// SAFETY: any bits are a value.
const ZERO: __m512i = unsafe { mem::zeroed() };
const NO_KEYS: Keys = [[ZERO; 2 * GROUPS]; ROUNDS + 1];
const NO_TEXT: [Blocks; STEP_BLOCKS] = [[ZERO; 2 * GROUPS]; STEP_BLOCKS];

/// Takes steps with the instructions that the token proves.
pub(super) struct Avx512Engine {
    aesni: AesNiEngine,
    keys: Keys,
    chains: Blocks,
    states: States,
    words: Words,
    plain: [Blocks; STEP_BLOCKS],
    sealed: [Blocks; STEP_BLOCKS],
}

impl Avx512Engine {
    pub(super) fn new(token: Avx512) -> Self {
        Self {
            aesni: AesNiEngine(Features::Avx512(token, Units::Whole)),
            keys: NO_KEYS,
            chains: [ZERO; 2 * GROUPS],
            states: [[ZERO; 8]; 2],
            words: [[ZERO; 16]; 2],
            plain: NO_TEXT,
            sealed: NO_TEXT,
        }
    }
}

impl Drop for Avx512Engine {
    fn drop(&mut self) {
        erase(&mut self.keys, NO_KEYS);
        erase(&mut self.plain, NO_TEXT);
        // For a forged record, this is the tag that the forger would need, so it is secret.
        erase(&mut self.states, [[ZERO; 8]; 2]);
    }
}

impl Engine<LANES> for Avx512Engine {
    /// The payloads of a long message's chunks are 16 KiB apart, so the same step of 32 of them
    /// falls into one set of the first-level cache, which has 12 places or fewer. (To seal from
    /// where they are: 64 chunks take 7 % longer on a Zen 4 with sets of lanes, and 5 % on a Xeon
    /// of family 6, model 207. There 16 chunks take 5 % less.)
    const COPIES: bool = true;

    fn set_cipher(&mut self, lane: usize, cipher: &Schedule) {
        // SAFETY: the token proves the features.
        unsafe { put_keys(&mut self.keys, lane, cipher) };
    }

    unsafe fn work(
        &mut self,
        lanes: &mut LaneData<'_, LANES>,
        active: usize,
        steps: usize,
        seals: bool,
    ) {
        let sets = sets(active);
        // SAFETY: the token proves the features; the rest is the caller's promise.
        unsafe {
            match (seals, sets) {
                (_, 0) => {}
                (true, 1) => self.seal_sets::<1>(lanes, active.min(SET), steps),
                (true, _) => self.seal_sets::<2>(lanes, active, steps),
                (false, 1) => self.hash_sets::<1>(lanes, steps),
                (false, _) => self.hash_sets::<2>(lanes, steps),
            }
            self.aesni
                .work_from(lanes, sets * SET, active, steps, seals);
        }
    }
}

impl Avx512Engine {
    /// # Safety
    ///
    /// As for [`Engine::work`], which seals.
    #[target_feature(enable = "avx512f,avx512bw,vaes")]
    unsafe fn seal_sets<const SETS: usize>(
        &mut self,
        lanes: &mut LaneData<'_, LANES>,
        active: usize,
        steps: usize,
    ) {
        // The text of idle lanes does not matter.
        let idle = u32::MAX.checked_shl(active as u32).unwrap_or(0);
        load_states::<SETS>(lanes, &mut self.states);
        load_chains::<SETS>(lanes, &mut self.chains);
        for step in 0..steps {
            if step > 0 {
                to_words::<SETS>(&self.sealed, &mut self.words);
            }
            // SAFETY: the caller promises `STEP` bytes for each step.
            unsafe { load_text::<SETS>(lanes, &mut self.plain) };
            let masks = masks(lanes, step);
            if step > 0 && steps > FEW_STEPS {
                self.hash_and_encrypt::<SETS>();
            } else {
                if step > 0 {
                    self.hash_words::<SETS>();
                }
                self.encrypt::<SETS>(&masks);
            }
            restore_plain::<SETS>(&self.plain, &masks, idle, &mut self.sealed);
            // SAFETY: as above.
            unsafe { store_text::<SETS>(lanes, &self.sealed) };
            lanes.advance(0, SETS * SET, 1);
        }
        to_words::<SETS>(&self.sealed, &mut self.words);
        put_outer::<SETS>(lanes, &mut self.words);
        self.hash_words::<SETS>();
        store_states::<SETS>(lanes, &self.states);
        store_chains::<SETS>(lanes, &self.chains);
    }

    #[target_feature(enable = "avx512f")]
    fn hash_words<const SETS: usize>(&mut self) {
        match SETS {
            1 => one_set::hash(&mut self.states, &mut self.words),
            _ => two_sets::hash(&mut self.states, &mut self.words),
        }
    }

    /// Hashes the step before and encrypts this one.
    #[target_feature(enable = "avx512f,vaes")]
    fn hash_and_encrypt<const SETS: usize>(&mut self) {
        let hash_and_encrypt = match SETS {
            1 => one_set::hash_and_encrypt,
            _ => two_sets::hash_and_encrypt,
        };
        hash_and_encrypt(
            &mut self.states,
            &mut self.words,
            &self.keys,
            &mut self.chains,
            &self.plain,
            &mut self.sealed,
        );
    }

    /// Encrypts as many blocks of this step as any lane wants.
    #[target_feature(enable = "avx512f,vaes")]
    fn encrypt<const SETS: usize>(&mut self, masks: &Masks) {
        let encrypt = match SETS {
            1 => one_set::encrypt,
            _ => two_sets::encrypt,
        };
        let blocks = masks.iter().filter(|&&lanes| lanes != 0).count();
        if blocks > 0 {
            encrypt(
                blocks,
                &self.keys,
                &mut self.chains,
                &self.plain,
                &mut self.sealed,
            );
        }
    }

    /// # Safety
    ///
    /// As for [`Engine::work`].
    #[target_feature(enable = "avx512f,avx512bw")]
    unsafe fn hash_sets<const SETS: usize>(
        &mut self,
        lanes: &mut LaneData<'_, LANES>,
        steps: usize,
    ) {
        load_states::<SETS>(lanes, &mut self.states);
        for _ in 0..steps {
            // SAFETY: the caller promises `STEP` bytes for each step.
            unsafe { load_text::<SETS>(lanes, &mut self.plain) };
            lanes.advance(0, SETS * SET, 1);
            to_words::<SETS>(&self.plain, &mut self.words);
            put_outer::<SETS>(lanes, &mut self.words);
            self.hash_words::<SETS>();
        }
        store_states::<SETS>(lanes, &self.states);
    }
}

/// Puts the keys of `cipher` into the quarters of `lane`.
#[target_feature(enable = "avx512f")]
fn put_keys(keys: &mut Keys, lane: usize, cipher: &Schedule) {
    let (register, quarter) = place(lane);
    let quarter = 0b1111 << (4 * quarter);
    for (row, key) in keys.iter_mut().zip(&cipher.0) {
        row[register] = _mm512_mask_broadcast_i32x4(row[register], quarter, *key);
    }
}

/// Loads the states that the lanes begin with.
#[inline]
#[target_feature(enable = "avx512f")]
fn load_states<const SETS: usize>(lanes: &LaneData<'_, LANES>, states: &mut States) {
    for (set, states) in states[..SETS].iter_mut().enumerate() {
        let inner = (lanes.inner >> (set * SET)) as u16;
        let outer = (lanes.outer >> (set * SET)) as u16;
        for (word, state) in states.iter_mut().enumerate() {
            let now = column(&lanes.state, word, set);
            let now = _mm512_mask_mov_epi32(now, inner, column(&lanes.inner_state, word, set));
            *state = _mm512_mask_mov_epi32(now, outer, column(&lanes.outer_state, word, set));
        }
    }
}

/// A word of every lane of a set.
#[inline]
#[target_feature(enable = "avx512f")]
fn column(columns: &Columns<LANES>, word: usize, set: usize) -> __m512i {
    let lanes = &columns[word][set * SET..][..SET];
    // SAFETY: `SET` words are there.
    unsafe { _mm512_loadu_si512(lanes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store_states<const SETS: usize>(lanes: &mut LaneData<'_, LANES>, states: &States) {
    for (set, states) in states[..SETS].iter().enumerate() {
        for (lanes, state) in lanes.state.iter_mut().zip(states) {
            let lanes = &mut lanes[set * SET..][..SET];
            // SAFETY: `SET` words are there.
            unsafe { _mm512_storeu_si512(lanes.as_mut_ptr().cast(), *state) };
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_chains<const SETS: usize>(lanes: &LaneData<'_, LANES>, chains: &mut Blocks) {
    for (register, chain) in chains[..SETS * GROUPS].iter_mut().enumerate() {
        let of = |quarter: usize| lanes.chain[lane(register, quarter)];
        let low = _mm512_inserti32x4::<1>(_mm512_castsi128_si512(of(0)), of(1));
        *chain = _mm512_inserti32x4::<3>(_mm512_inserti32x4::<2>(low, of(2)), of(3));
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store_chains<const SETS: usize>(lanes: &mut LaneData<'_, LANES>, chains: &Blocks) {
    for (register, chain) in chains[..SETS * GROUPS].iter().enumerate() {
        lanes.chain[lane(register, 0)] = _mm512_castsi512_si128(*chain);
        lanes.chain[lane(register, 1)] = _mm512_extracti32x4_epi32::<1>(*chain);
        lanes.chain[lane(register, 2)] = _mm512_extracti32x4_epi32::<2>(*chain);
        lanes.chain[lane(register, 3)] = _mm512_extracti32x4_epi32::<3>(*chain);
    }
}

/// For each block of a step, the lanes that encrypt it: a bit for each lane.
type Masks = [u32; STEP_BLOCKS];

#[inline]
#[target_feature(enable = "avx512bw")]
fn masks(lanes: &LaneData<'_, LANES>, step: usize) -> Masks {
    // SAFETY: there are 32 times 2 bytes.
    let counts = unsafe { _mm512_loadu_si512(lanes.to_encrypt.as_ptr().cast()) };
    let before = (STEP_BLOCKS * step) as i16;
    let mut masks = [0; STEP_BLOCKS];
    for (mask, block) in masks.iter_mut().zip(before..) {
        *mask = _mm512_cmpgt_epu16_mask(counts, _mm512_set1_epi16(block));
    }
    masks
}

/// Restores the blocks that should not have been encrypted.
#[inline]
#[target_feature(enable = "avx512f")]
fn restore_plain<const SETS: usize>(
    plain: &[Blocks; STEP_BLOCKS],
    masks: &Masks,
    idle: u32,
    sealed: &mut [Blocks; STEP_BLOCKS],
) {
    for (sealed, (plain, mask)) in sealed.iter_mut().zip(plain.iter().zip(masks)) {
        if mask | idle == u32::MAX {
            continue;
        }
        for register in 0..SETS * GROUPS {
            // A bit for each quarter becomes four: one for each word.
            let quarters = mask >> lane(register, 0) & 0x1111;
            let words = (quarters * 0b1111) as u16;
            let (plain, new) = (plain[register], &mut sealed[register]);
            *new = _mm512_mask_mov_epi32(plain, words, *new);
        }
    }
}

/// Replaces the words of lanes that hash their state, with its padding.
#[inline]
#[target_feature(enable = "avx512f")]
fn put_outer<const SETS: usize>(lanes: &LaneData<'_, LANES>, words: &mut Words) {
    if lanes.outer == 0 {
        return;
    }
    for (set, words) in words[..SETS].iter_mut().enumerate() {
        let outer = (lanes.outer >> (set * SET)) as u16;
        for (i, word) in words.iter_mut().enumerate() {
            let padded = match i {
                0..8 => column(&lanes.state, i, set),
                8 => _mm512_set1_epi32(i32::MIN),
                15 => _mm512_set1_epi32(OUTER_BITS),
                _ => _mm512_setzero_si512(),
            };
            *word = _mm512_mask_mov_epi32(*word, outer, padded);
        }
    }
}
