//! AVX-512 and VAES: 32 lanes, or 16, each a word of the registers that hash and
//! a quarter of those that encipher.
//!
//! Two sets of 16 hide each other's latency: a round of SHA-256 waits for the
//! one before. Few active lanes are left to [`super::aesni`].

use std::arch::x86_64::*;

use zeroize::Zeroize;

use super::aes::{ROUNDS, Schedule};
use super::aesni::{self, AesNiEngine};
use super::front::{Columns, Engine, Front, STEP_BLOCKS};
use super::sha::{K, OUTER_BITS};
use crate::crypto::cpu::Avx512;

/// Lanes that one register hashes for.
const SET: usize = 16;
/// Two sets.
pub(super) const LANES: usize = 32;
/// Lanes that one register enciphers for: its quarters.
const QUARTERS: usize = 4;
/// Registers that encipher for a set. Quarter q of register g is lane 4 q + g:
/// so the words of its text come out in the order of lanes.
const GROUPS: usize = SET / QUARTERS;
/// So few active lanes are faster there.
const FEW: usize = aesni::LANES;

/// For `vpternlogd`: its table, bit by bit, of all three inputs.
const XOR: i32 = 0b1001_0110;
/// The second input where the first is 1, the third elsewhere.
const CHOICE: i32 = 0b1100_1010;
const MAJORITY: i32 = 0b1110_1000;

/// A block for every lane of a set, in registers that encipher.
type Lines = [__m512i; GROUPS];
/// The same for some sets.
type Text<const SETS: usize> = [Lines; SETS];

/// The block sixteen times, with the constant 0 to 15: a loop has no constants.
macro_rules! sixteen_times {
    ($i:ident => $block:block) => {
        sixteen_times!($i $block 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
    };
    ($i:ident $block:block $($n:literal)*) => {$({
        const $i: usize = $n;
        $block
    })*};
}

/// Takes steps with what the token proves.
pub(super) struct Avx512Engine {
    token: Avx512,
    keys: Keys,
    inputs: [[__m512i; 64]; LANES / SET],
}

/// The keys of every round, in registers as those of the text.
struct Keys([[Lines; ROUNDS + 1]; LANES / SET]);

impl Avx512Engine {
    pub(super) fn new(token: Avx512) -> Self {
        Self {
            token,
            // SAFETY: the token proves the features.
            keys: unsafe { no_keys() },
            // SAFETY: the token proves the features.
            inputs: unsafe { no_inputs() },
        }
    }
}

impl Drop for Avx512Engine {
    fn drop(&mut self) {
        self.keys.0.zeroize();
    }
}

impl Engine<LANES> for Avx512Engine {
    fn set_cipher(&mut self, lane: usize, cipher: &Schedule) {
        // SAFETY: the token proves the features.
        unsafe { put_keys(&mut self.keys, lane, cipher) };
    }

    unsafe fn seal(&mut self, front: &mut Front<'_, LANES>, active: usize, steps: usize) {
        // SAFETY: the token proves the features; the rest is the caller's promise.
        unsafe {
            if active <= FEW {
                AesNiEngine(self.token.aesni()).seal(front, active, steps);
            } else if active <= SET {
                walk::<1, true>(self, front, steps);
            } else {
                walk::<2, true>(self, front, steps);
            }
        }
    }

    unsafe fn hash(&mut self, front: &mut Front<'_, LANES>, active: usize, steps: usize) {
        // SAFETY: as above.
        unsafe {
            if active <= FEW {
                AesNiEngine(self.token.aesni()).hash(front, active, steps);
            } else if active <= SET {
                walk::<1, false>(self, front, steps);
            } else {
                walk::<2, false>(self, front, steps);
            }
        }
    }
}

#[target_feature(enable = "avx512f")]
fn no_keys() -> Keys {
    Keys([[[_mm512_setzero_si512(); GROUPS]; ROUNDS + 1]; LANES / SET])
}

#[target_feature(enable = "avx512f")]
fn no_inputs() -> [[__m512i; 64]; LANES / SET] {
    [[_mm512_setzero_si512(); 64]; LANES / SET]
}

/// Puts the keys of `cipher` into the quarters of `lane`.
#[target_feature(enable = "avx512f")]
fn put_keys(keys: &mut Keys, lane: usize, cipher: &Schedule) {
    let (set, lane) = (lane / SET, lane % SET);
    let quarter = 0b1111 << (4 * (lane / GROUPS));
    for (row, key) in keys.0[set].iter_mut().zip(&cipher.0) {
        let register = &mut row[lane % GROUPS];
        *register = _mm512_mask_broadcast_i32x4(*register, quarter, *key);
    }
}

/// Takes steps in `SETS` × `SET` lanes.
///
/// # Safety
///
/// As of [`Engine::seal`], if `SEAL`, or [`Engine::hash`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,vaes")]
unsafe fn walk<const SETS: usize, const SEAL: bool>(
    engine: &mut Avx512Engine,
    front: &mut Front<'_, LANES>,
    steps: usize,
) {
    let mut states = begin_states::<SETS>(front);
    let mut chains = load_chains::<SETS>(front);
    let masks = masks::<SETS>(front);
    let mut text = [[[_mm512_setzero_si512(); GROUPS]; SETS]; STEP_BLOCKS];
    for step in 0..steps {
        // SAFETY: the caller promises `STEP` bytes for each step.
        unsafe { gather(front, step, &mut text) };
        if SEAL {
            for (text, masks) in text.iter_mut().zip(&masks) {
                for set in 0..SETS {
                    let keys = &engine.keys.0[set];
                    text[set] = encipher(keys, &mut chains[set], text[set], masks[set]);
                }
            }
            // SAFETY: as above.
            unsafe { scatter(front, step, &text) };
        }
        for set in 0..SETS {
            let words = words(front, &text, set);
            schedule(words, &mut engine.inputs[set]);
        }
        compress(&mut states, &engine.inputs);
    }
    store_states(front, &states);
    store_chains(front, &chains);
}

/// The states to begin with, word by word.
#[inline]
#[target_feature(enable = "avx512f")]
fn begin_states<const SETS: usize>(front: &Front<'_, LANES>) -> [[__m512i; 8]; SETS] {
    let mut states = [[_mm512_setzero_si512(); 8]; SETS];
    for (set, state) in states.iter_mut().enumerate() {
        let inner = (front.inner >> (set * SET)) as u16;
        let outer = (front.outer >> (set * SET)) as u16;
        for (word, state) in state.iter_mut().enumerate() {
            let now = column(&front.state, word, set);
            let now = _mm512_mask_mov_epi32(now, inner, column(&front.inner_state, word, set));
            *state = _mm512_mask_mov_epi32(now, outer, column(&front.outer_state, word, set));
        }
    }
    states
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
fn store_states<const SETS: usize>(front: &mut Front<'_, LANES>, states: &[[__m512i; 8]; SETS]) {
    for (set, state) in states.iter().enumerate() {
        for (word, lanes) in state.iter().zip(&mut front.state) {
            let lanes = &mut lanes[set * SET..][..SET];
            // SAFETY: `SET` words are there.
            unsafe { _mm512_storeu_si512(lanes.as_mut_ptr().cast(), *word) };
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_chains<const SETS: usize>(front: &Front<'_, LANES>) -> Text<SETS> {
    let mut chains = [[_mm512_setzero_si512(); GROUPS]; SETS];
    for (set, chains) in chains.iter_mut().enumerate() {
        for (group, chain) in chains.iter_mut().enumerate() {
            let of = |quarter: usize| front.chain[set * SET + quarter * GROUPS + group];
            let low = _mm512_inserti32x4::<1>(_mm512_castsi128_si512(of(0)), of(1));
            *chain = _mm512_inserti32x4::<3>(_mm512_inserti32x4::<2>(low, of(2)), of(3));
        }
    }
    chains
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store_chains<const SETS: usize>(front: &mut Front<'_, LANES>, chains: &Text<SETS>) {
    for (set, chains) in chains.iter().enumerate() {
        for (group, chain) in chains.iter().enumerate() {
            let first = set * SET + group;
            front.chain[first] = _mm512_castsi512_si128(*chain);
            front.chain[first + GROUPS] = _mm512_extracti32x4_epi32::<1>(*chain);
            front.chain[first + 2 * GROUPS] = _mm512_extracti32x4_epi32::<2>(*chain);
            front.chain[first + 3 * GROUPS] = _mm512_extracti32x4_epi32::<3>(*chain);
        }
    }
}

/// Which halves of quarters are enciphered, for each block of a step.
#[inline]
fn masks<const SETS: usize>(front: &Front<'_, LANES>) -> [[[u8; GROUPS]; SETS]; STEP_BLOCKS] {
    let mut masks = [[[0; GROUPS]; SETS]; STEP_BLOCKS];
    for (lane, blocks) in front.enciphered[..SETS * SET].iter().enumerate() {
        let (set, lane) = (lane / SET, lane % SET);
        for mask in &mut masks[..usize::from(*blocks)] {
            mask[set][lane % GROUPS] |= 0b11 << (2 * (lane / GROUPS));
        }
    }
    masks
}

/// Every lane's step, block by block.
///
/// # Safety
///
/// There are `STEP` bytes for each step up to this one.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn gather<const SETS: usize>(
    front: &Front<'_, LANES>,
    step: usize,
    text: &mut [Text<SETS>; STEP_BLOCKS],
) {
    for set in 0..SETS {
        for group in 0..GROUPS {
            let mut lines = [_mm512_setzero_si512(); QUARTERS];
            for (quarter, line) in lines.iter_mut().enumerate() {
                let lane = set * SET + quarter * GROUPS + group;
                // SAFETY: the caller's promise.
                *line = unsafe {
                    let source = front.source[lane].add(step * front.stride[lane]);
                    _mm512_loadu_si512(source.cast())
                };
            }
            for (text, block) in text.iter_mut().zip(turn(lines)) {
                text[set][group] = block;
            }
        }
    }
}

/// Puts every lane's step to its place.
///
/// # Safety
///
/// There are `STEP` bytes for each step up to this one, to which nothing else
/// refers.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn scatter<const SETS: usize>(
    front: &Front<'_, LANES>,
    step: usize,
    text: &[Text<SETS>; STEP_BLOCKS],
) {
    for set in 0..SETS {
        for group in 0..GROUPS {
            let mut blocks = [_mm512_setzero_si512(); STEP_BLOCKS];
            for (block, text) in blocks.iter_mut().zip(text) {
                *block = text[set][group];
            }
            for (quarter, line) in turn(blocks).into_iter().enumerate() {
                let lane = set * SET + quarter * GROUPS + group;
                // SAFETY: the caller's promise.
                unsafe {
                    let target = front.target[lane].add(step * front.stride[lane]);
                    _mm512_storeu_si512(target.cast(), line);
                }
            }
        }
    }
}

/// Turns four lines of four blocks into four times one block of each, and back.
#[inline]
#[target_feature(enable = "avx512f")]
fn turn([a, b, c, d]: [__m512i; 4]) -> [__m512i; 4] {
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

/// Enciphers one block of every lane of a set, where the masks say so.
#[inline]
#[target_feature(enable = "avx512f,vaes")]
fn encipher(
    keys: &[Lines; ROUNDS + 1],
    chains: &mut Lines,
    text: Lines,
    masks: [u8; GROUPS],
) -> Lines {
    let [mut a, mut b, mut c, mut d] = *chains;
    a = _mm512_ternarylogic_epi32::<XOR>(a, text[0], keys[0][0]);
    b = _mm512_ternarylogic_epi32::<XOR>(b, text[1], keys[0][1]);
    c = _mm512_ternarylogic_epi32::<XOR>(c, text[2], keys[0][2]);
    d = _mm512_ternarylogic_epi32::<XOR>(d, text[3], keys[0][3]);
    for keys in &keys[1..ROUNDS] {
        a = _mm512_aesenc_epi128(a, keys[0]);
        b = _mm512_aesenc_epi128(b, keys[1]);
        c = _mm512_aesenc_epi128(c, keys[2]);
        d = _mm512_aesenc_epi128(d, keys[3]);
    }
    let keys = &keys[ROUNDS];
    a = _mm512_aesenclast_epi128(a, keys[0]);
    b = _mm512_aesenclast_epi128(b, keys[1]);
    c = _mm512_aesenclast_epi128(c, keys[2]);
    d = _mm512_aesenclast_epi128(d, keys[3]);
    *chains = [a, b, c, d];
    [
        _mm512_mask_mov_epi64(text[0], masks[0], a),
        _mm512_mask_mov_epi64(text[1], masks[1], b),
        _mm512_mask_mov_epi64(text[2], masks[2], c),
        _mm512_mask_mov_epi64(text[3], masks[3], d),
    ]
}

/// One block of SHA-256 in every lane.
#[inline]
#[target_feature(enable = "avx512f")]
fn compress<const SETS: usize>(
    states: &mut [[__m512i; 8]; SETS],
    inputs: &[[__m512i; 64]; LANES / SET],
) {
    let before = *states;
    for sixteen in (0..64).step_by(16) {
        sixteen_times!(I => {
            for set in 0..SETS {
                round::<I>(&mut states[set], inputs[set][sixteen + I]);
            }
        });
    }
    for (state, before) in states
        .as_flattened_mut()
        .iter_mut()
        .zip(before.as_flattened())
    {
        *state = _mm512_add_epi32(*state, *before);
    }
}

/// What every lane of a set hashes in a step, word by word.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn words<const SETS: usize>(
    front: &Front<'_, LANES>,
    text: &[Text<SETS>; STEP_BLOCKS],
    set: usize,
) -> [__m512i; 16] {
    let mut words = [_mm512_setzero_si512(); 16];
    for (words, text) in words.as_chunks_mut().0.iter_mut().zip(text) {
        *words = spread(text[set]);
    }
    let outer = (front.outer >> (set * SET)) as u16;
    if outer != 0 {
        // The inner hash, with its padding.
        for (word, text) in words.iter_mut().enumerate() {
            let state = match word {
                0..8 => column(&front.state, word, set),
                8 => _mm512_set1_epi32(i32::MIN),
                15 => _mm512_set1_epi32(OUTER_BITS),
                _ => _mm512_setzero_si512(),
            };
            *text = _mm512_mask_mov_epi32(*text, outer, state);
        }
    }
    words
}

/// The words of a block of every lane, word by word.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn spread([a, b, c, d]: [__m512i; GROUPS]) -> [__m512i; 4] {
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

/// The message schedule, each word with its round's constant (FIPS 180-4 §6.2.2).
#[inline]
#[target_feature(enable = "avx512f")]
fn schedule(mut words: [__m512i; 16], inputs: &mut [__m512i; 64]) {
    for sixteen in (0..64).step_by(16) {
        sixteen_times!(I => {
            let constant = _mm512_set1_epi32(K[sixteen + I].cast_signed());
            inputs[sixteen + I] = _mm512_add_epi32(words[I], constant);
            if sixteen < 48 {
                let (near, far) = (words[(I + 1) % 16], words[(I + 14) % 16]);
                let sigma0 = _mm512_ternarylogic_epi32::<XOR>(
                    _mm512_ror_epi32::<7>(near),
                    _mm512_ror_epi32::<18>(near),
                    _mm512_srli_epi32::<3>(near),
                );
                let sigma1 = _mm512_ternarylogic_epi32::<XOR>(
                    _mm512_ror_epi32::<17>(far),
                    _mm512_ror_epi32::<19>(far),
                    _mm512_srli_epi32::<10>(far),
                );
                let old = _mm512_add_epi32(words[I], words[(I + 9) % 16]);
                words[I] = _mm512_add_epi32(old, _mm512_add_epi32(sigma0, sigma1));
            }
        });
    }
}

/// Round `I` of sixteen. Instead of the words, their names move: in round I word
/// a is at place -I, modulo 8.
#[inline]
#[target_feature(enable = "avx512f")]
fn round<const I: usize>(state: &mut [__m512i; 8], input: __m512i) {
    let at = |word: usize| (word + 16 - I) % 8;
    let (a, b, c) = (state[at(0)], state[at(1)], state[at(2)]);
    let (e, f, g) = (state[at(4)], state[at(5)], state[at(6)]);
    let sum1 = _mm512_ternarylogic_epi32::<XOR>(
        _mm512_ror_epi32::<6>(e),
        _mm512_ror_epi32::<11>(e),
        _mm512_ror_epi32::<25>(e),
    );
    let sum0 = _mm512_ternarylogic_epi32::<XOR>(
        _mm512_ror_epi32::<2>(a),
        _mm512_ror_epi32::<13>(a),
        _mm512_ror_epi32::<22>(a),
    );
    let first = _mm512_add_epi32(state[at(7)], input);
    let first = _mm512_add_epi32(first, _mm512_ternarylogic_epi32::<CHOICE>(e, f, g));
    let first = _mm512_add_epi32(first, sum1);
    state[at(3)] = _mm512_add_epi32(state[at(3)], first);
    let second = _mm512_add_epi32(first, _mm512_ternarylogic_epi32::<MAJORITY>(a, b, c));
    state[at(7)] = _mm512_add_epi32(second, sum0);
}

/// Decrypts `text`, whole blocks, in place (CBC, under an inverse schedule).
pub(super) fn decrypt(_: Avx512, cipher: &Schedule, iv: __m128i, text: &mut [u8]) {
    // SAFETY: the token proves the features.
    unsafe { decrypt_all(cipher, iv, text) };
}

#[target_feature(enable = "avx512f,vaes")]
fn decrypt_all(cipher: &Schedule, iv: __m128i, text: &mut [u8]) {
    let mut keys = [_mm512_setzero_si512(); ROUNDS + 1];
    for (key, one) in keys.iter_mut().zip(&cipher.0) {
        *key = _mm512_broadcast_i32x4(*one);
    }
    let mut before = _mm512_inserti32x4::<3>(_mm512_setzero_si512(), iv);
    let (chunks, rest) = text.as_chunks_mut::<{ 8 * 64 }>();
    for chunk in chunks {
        before = decrypt_some::<8>(&keys, before, chunk);
    }
    match rest.len() {
        0 => {}
        1..=64 => _ = decrypt_some::<1>(&keys, before, rest),
        65..=128 => _ = decrypt_some::<2>(&keys, before, rest),
        129..=256 => _ = decrypt_some::<4>(&keys, before, rest),
        _ => _ = decrypt_some::<8>(&keys, before, rest),
    }
}

/// Decrypts at most `COUNT` registers full of blocks, whose last ciphertext it
/// gives back at the end of a register.
#[inline]
#[target_feature(enable = "avx512f,vaes")]
fn decrypt_some<const COUNT: usize>(
    keys: &[__m512i; ROUNDS + 1],
    mut before: __m512i,
    text: &mut [u8],
) -> __m512i {
    assert!(text.len() <= 64 * COUNT);
    let words = text.len() / 8;
    let mask = |i: usize| {
        let words = words.saturating_sub(8 * i).min(8);
        ((1_u16 << words) - 1) as u8
    };
    let mut sealed = [_mm512_setzero_si512(); COUNT];
    for (i, sealed) in sealed.iter_mut().enumerate() {
        // SAFETY: the mask leaves out what is behind the text.
        *sealed =
            unsafe { _mm512_maskz_loadu_epi64(mask(i), text.as_ptr().wrapping_add(64 * i).cast()) };
    }
    let mut state = sealed;
    for state in &mut state {
        *state = _mm512_xor_si512(*state, keys[0]);
    }
    for key in &keys[1..ROUNDS] {
        for state in &mut state {
            *state = _mm512_aesdec_epi128(*state, *key);
        }
    }
    for i in 0..COUNT {
        let shifted = _mm512_alignr_epi64::<6>(sealed[i], before);
        let last = _mm512_xor_si512(keys[ROUNDS], shifted);
        let plain = _mm512_aesdeclast_epi128(state[i], last);
        // SAFETY: as above.
        unsafe {
            _mm512_mask_storeu_epi64(
                text.as_mut_ptr().wrapping_add(64 * i).cast(),
                mask(i),
                plain,
            )
        };
        before = sealed[i];
    }
    before
}
