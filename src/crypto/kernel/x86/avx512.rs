//! AVX-512 and VAES: 32 lanes, each a word of the registers that hash and a
//! quarter of those that encrypt ([`super::text512`]). What is done with text there
//! is in [`super::stitch512`]. Of two sets of lanes, one rests if it is not needed. Not every
//! processor is faster with it, and no lanes that are few: [`Units`].

use std::arch::x86_64::*;
use std::mem;

use super::Features;
use super::aes::{ROUNDS, Schedule};
use super::aesni::{self, AesNiEngine};
use super::front::{Columns, Engine, FEW_STEPS, Front, STEP_BLOCKS, erase};
use super::sha::OUTER_BITS;
use super::stitch512::{Blocks, Keys, States, Words, one, two};
use super::text512::{GROUPS, LANES, SET, lane, load_text, place, store_text, to_words};
use crate::crypto::cpu::Avx512;

/// How an instruction on 512 bits starts.
#[derive(Clone, Copy)]
pub(in crate::crypto::kernel) enum Units {
    /// As one.
    Whole,
    /// As two halves: lanes never go in sets. (Zen 4, 64 records to seal, us each, in
    /// [`super::short`] or [`super::aesni`], and in sets: of 64 B 0.085, 0.115, of 300 B 0.231,
    /// 0.214, of 1000 B 0.46, 0.49, of 16 KiB 5.6, 6.3. At 300 B sets win, but not enough to
    /// have them for that alone. To open, they were never faster.)
    Halves,
}

/// So few active lanes are faster in [`super::aesni`]. (Zen 5, 16 KiB to seal, us: four lanes
/// there 25, a set 56, two sets 90; so eight lanes and not twelve, and four beside a set. That
/// was before there were pairs, and groups of short records.)
const ALONE: usize = aesni::LANES;
/// And so few beside a full set, which leaves the other one to rest.
const BESIDE: usize = 4;

/// How many sets so many active lanes take; those behind them are for the other engine.
fn sets(active: usize) -> usize {
    if active <= ALONE {
        0
    } else if active <= SET + BESIDE {
        1
    } else {
        2
    }
}

impl Units {
    /// Of this processor.
    pub(super) fn detect() -> Self {
        // AMD64 Architecture Programmer's Manual, volume 3, E.4.17: its units are of 256
        // bits, and not of 512. Others do not have the leaf.
        const HIGHEST: u32 = 0x8000_0000;
        const UNITS: u32 = 0x8000_001a;
        const FP256: u32 = 1 << 2;
        const FP512: u32 = 1 << 3;
        // SAFETY: every 64-bit processor has the instruction. (Compilers later than the
        // oldest that we take know that.)
        #[allow(unused_unsafe)]
        let eax = |leaf| unsafe { __cpuid(leaf).eax };
        let units = match eax(HIGHEST) >= UNITS {
            true => eax(UNITS),
            false => 0,
        };
        match units & (FP256 | FP512) {
            FP256 => Self::Halves,
            _ => Self::Whole,
        }
    }

    /// Whether so many records are worked on in sets of lanes.
    pub(super) fn uses_sets(self, records: usize) -> bool {
        matches!(self, Self::Whole) && sets(records) > 0
    }
}

// SAFETY: any bits are a value.
const ZERO: __m512i = unsafe { mem::zeroed() };
const NO_KEYS: Keys = [[ZERO; 2 * GROUPS]; ROUNDS + 1];
const NO_TEXT: [Blocks; STEP_BLOCKS] = [[ZERO; 2 * GROUPS]; STEP_BLOCKS];

/// Takes steps with what the token proves.
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
        // Of a forged record this is the tag that its forger looks for.
        erase(&mut self.states, [[ZERO; 8]; 2]);
    }
}

impl Engine<LANES> for Avx512Engine {
    /// The payloads of a long message's chunks are 16 KiB apart, so that the same step of
    /// 32 of them would be in one set of the first-level cache, which has 12 places or
    /// less. (Zen 4, made to use sets of lanes: to seal 64 such chunks from where they are takes
    /// 7 % longer, and 2 % less where they are 16,000 bytes apart.)
    const COPIES: bool = true;

    fn set_cipher(&mut self, lane: usize, cipher: &Schedule) {
        // SAFETY: the token proves the features.
        unsafe { put_keys(&mut self.keys, lane, cipher) };
    }

    unsafe fn seal(&mut self, front: &mut Front<'_, LANES>, active: usize, steps: usize) {
        let sets = sets(active);
        // SAFETY: the token proves the features; the rest is the caller's promise.
        unsafe {
            match sets {
                0 => {}
                1 => self.seal_sets::<1>(front, active.min(SET), steps),
                _ => self.seal_sets::<2>(front, active, steps),
            }
            self.aesni.work_from(front, sets * SET, active, steps, true);
        }
    }

    unsafe fn hash(&mut self, front: &mut Front<'_, LANES>, active: usize, steps: usize) {
        let sets = sets(active);
        // SAFETY: as above.
        unsafe {
            match sets {
                0 => {}
                1 => self.hash_sets::<1>(front, steps),
                _ => self.hash_sets::<2>(front, steps),
            }
            self.aesni
                .work_from(front, sets * SET, active, steps, false);
        }
    }
}

impl Avx512Engine {
    /// # Safety
    ///
    /// As of [`Engine::seal`].
    #[target_feature(enable = "avx512f,avx512bw,vaes")]
    unsafe fn seal_sets<const SETS: usize>(
        &mut self,
        front: &mut Front<'_, LANES>,
        active: usize,
        steps: usize,
    ) {
        // What becomes of the text of idle lanes does not matter.
        let idle = u32::MAX.checked_shl(active as u32).unwrap_or(0);
        load_states::<SETS>(front, &mut self.states);
        load_chains::<SETS>(front, &mut self.chains);
        for step in 0..steps {
            if step > 0 {
                to_words::<SETS>(&self.sealed, &mut self.words);
            }
            // SAFETY: the caller promises `STEP` bytes for each step.
            unsafe { load_text::<SETS>(front, &mut self.plain) };
            let masks = masks(front, step);
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
            unsafe { store_text::<SETS>(front, &self.sealed) };
            front.advance(0, SETS * SET, 1);
        }
        to_words::<SETS>(&self.sealed, &mut self.words);
        put_outer::<SETS>(front, &mut self.words);
        self.hash_words::<SETS>();
        store_states::<SETS>(front, &self.states);
        store_chains::<SETS>(front, &self.chains);
    }

    #[target_feature(enable = "avx512f")]
    fn hash_words<const SETS: usize>(&mut self) {
        match SETS {
            1 => one::hash(&mut self.states, &mut self.words),
            _ => two::hash(&mut self.states, &mut self.words),
        }
    }

    /// Hashes the step before, and encrypts this one.
    #[target_feature(enable = "avx512f,vaes")]
    fn hash_and_encrypt<const SETS: usize>(&mut self) {
        let hash_and_encrypt = match SETS {
            1 => one::hash_and_encrypt,
            _ => two::hash_and_encrypt,
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
            1 => one::encrypt,
            _ => two::encrypt,
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
    /// As of [`Engine::hash`].
    #[target_feature(enable = "avx512f,avx512bw")]
    unsafe fn hash_sets<const SETS: usize>(&mut self, front: &mut Front<'_, LANES>, steps: usize) {
        load_states::<SETS>(front, &mut self.states);
        for _ in 0..steps {
            // SAFETY: the caller promises `STEP` bytes for each step.
            unsafe { load_text::<SETS>(front, &mut self.plain) };
            front.advance(0, SETS * SET, 1);
            to_words::<SETS>(&self.plain, &mut self.words);
            put_outer::<SETS>(front, &mut self.words);
            self.hash_words::<SETS>();
        }
        store_states::<SETS>(front, &self.states);
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

/// The states to begin with.
#[inline]
#[target_feature(enable = "avx512f")]
fn load_states<const SETS: usize>(front: &Front<'_, LANES>, states: &mut States) {
    for (set, states) in states[..SETS].iter_mut().enumerate() {
        let inner = (front.inner >> (set * SET)) as u16;
        let outer = (front.outer >> (set * SET)) as u16;
        for (word, state) in states.iter_mut().enumerate() {
            let now = column(&front.state, word, set);
            let now = _mm512_mask_mov_epi32(now, inner, column(&front.inner_state, word, set));
            *state = _mm512_mask_mov_epi32(now, outer, column(&front.outer_state, word, set));
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
fn store_states<const SETS: usize>(front: &mut Front<'_, LANES>, states: &States) {
    for (set, states) in states[..SETS].iter().enumerate() {
        for (lanes, state) in front.state.iter_mut().zip(states) {
            let lanes = &mut lanes[set * SET..][..SET];
            // SAFETY: `SET` words are there.
            unsafe { _mm512_storeu_si512(lanes.as_mut_ptr().cast(), *state) };
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_chains<const SETS: usize>(front: &Front<'_, LANES>, chains: &mut Blocks) {
    for (register, chain) in chains[..SETS * GROUPS].iter_mut().enumerate() {
        let of = |quarter: usize| front.chain[lane(register, quarter)];
        let low = _mm512_inserti32x4::<1>(_mm512_castsi128_si512(of(0)), of(1));
        *chain = _mm512_inserti32x4::<3>(_mm512_inserti32x4::<2>(low, of(2)), of(3));
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store_chains<const SETS: usize>(front: &mut Front<'_, LANES>, chains: &Blocks) {
    for (register, chain) in chains[..SETS * GROUPS].iter().enumerate() {
        front.chain[lane(register, 0)] = _mm512_castsi512_si128(*chain);
        front.chain[lane(register, 1)] = _mm512_extracti32x4_epi32::<1>(*chain);
        front.chain[lane(register, 2)] = _mm512_extracti32x4_epi32::<2>(*chain);
        front.chain[lane(register, 3)] = _mm512_extracti32x4_epi32::<3>(*chain);
    }
}

/// Which lanes have each block of a step encrypted; a bit each.
type Masks = [u32; STEP_BLOCKS];

#[inline]
#[target_feature(enable = "avx512bw")]
fn masks(front: &Front<'_, LANES>, step: usize) -> Masks {
    // SAFETY: there are 32 times 2 bytes.
    let counts = unsafe { _mm512_loadu_si512(front.to_encrypt.as_ptr().cast()) };
    let before = (STEP_BLOCKS * step) as i16;
    let mut masks = [0; STEP_BLOCKS];
    for (mask, block) in masks.iter_mut().zip(before..) {
        *mask = _mm512_cmpgt_epu16_mask(counts, _mm512_set1_epi16(block));
    }
    masks
}

/// Takes the plaintext back of what should not have been encrypted.
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
            // A bit for each quarter, and then four: one for each word.
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
fn put_outer<const SETS: usize>(front: &Front<'_, LANES>, words: &mut Words) {
    if front.outer == 0 {
        return;
    }
    for (set, words) in words[..SETS].iter_mut().enumerate() {
        let outer = (front.outer >> (set * SET)) as u16;
        for (i, word) in words.iter_mut().enumerate() {
            let padded = match i {
                0..8 => column(&front.state, i, set),
                8 => _mm512_set1_epi32(i32::MIN),
                15 => _mm512_set1_epi32(OUTER_BITS),
                _ => _mm512_setzero_si512(),
            };
            *word = _mm512_mask_mov_epi32(*word, outer, padded);
        }
    }
}
