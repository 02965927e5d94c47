//! AES-NI and SHA-NI: up to eight lanes. Eight chains of AES are under way at
//! once, and then twice four streams of SHA, or four or one of each.

use std::arch::x86_64::*;

use super::aes::{ROUNDS, Schedule, load, store};
use super::front::{Engine, Front, STEP_BLOCKS};
use super::sha::{K, OUTER_BITS};
use crate::crypto::cpu::AesNi;
use crate::limits::BLOCK;

/// How many lanes it is best fed with.
pub(super) const LANES: usize = 8;

/// Takes steps with what the token proves.
pub(super) struct AesNiEngine(pub(super) AesNi);

impl<const LANES: usize> Engine<LANES> for AesNiEngine {
    fn set_cipher(&mut self, _: usize, _: &Schedule) {
        // They are read from where they are.
    }

    unsafe fn seal(&mut self, front: &mut Front<'_, LANES>, active: usize, steps: usize) {
        // SAFETY: the token proves the features; the rest is the caller's promise.
        unsafe {
            match active {
                1 => walk::<1, 1, true, LANES>(front, steps),
                2..=4 => walk::<1, 4, true, LANES>(front, steps),
                _ => walk::<2, 4, true, LANES>(front, steps),
            }
        }
    }

    unsafe fn hash(&mut self, front: &mut Front<'_, LANES>, active: usize, steps: usize) {
        // SAFETY: as above.
        unsafe {
            match active {
                1 => walk::<1, 1, false, LANES>(front, steps),
                2..=4 => walk::<1, 4, false, LANES>(front, steps),
                _ => walk::<2, 4, false, LANES>(front, steps),
            }
        }
    }
}

/// Takes steps in `GROUPS` × `STREAMS` lanes.
///
/// # Safety
///
/// As of [`Engine::seal`], if `SEAL`, or [`Engine::hash`].
#[target_feature(enable = "aes,sha,sse4.1,avx")]
unsafe fn walk<const GROUPS: usize, const STREAMS: usize, const SEAL: bool, const LANES: usize>(
    front: &mut Front<'_, LANES>,
    steps: usize,
) {
    let mut states = [[State::zero(); STREAMS]; GROUPS];
    for (lane, state) in states.as_flattened_mut().iter_mut().enumerate() {
        *state = State::new(begin(front, lane));
    }
    for step in 0..steps {
        let mut text = [[[_mm_setzero_si128(); STEP_BLOCKS]; STREAMS]; GROUPS];
        for (lane, blocks) in text.as_flattened_mut().iter_mut().enumerate() {
            // SAFETY: the caller promises `STEP` bytes for each step.
            let source = unsafe { front.source[lane].add(step * front.stride[lane]) };
            for (block, i) in blocks.iter_mut().zip(0..) {
                // SAFETY: as above.
                *block = unsafe { _mm_loadu_si128(source.add(i * BLOCK).cast()) };
            }
        }
        if SEAL {
            encipher(front, &mut text);
            for (lane, blocks) in text.as_flattened().iter().enumerate() {
                // SAFETY: the caller promises `STEP` bytes for each step.
                let target = unsafe { front.target[lane].add(step * front.stride[lane]) };
                for (block, i) in blocks.iter().zip(0..) {
                    // SAFETY: as above.
                    unsafe { _mm_storeu_si128(target.add(i * BLOCK).cast(), *block) };
                }
            }
        }
        if front.outer != 0 {
            for (lane, blocks) in text.as_flattened_mut().iter_mut().enumerate() {
                if front.outer >> lane & 1 == 1 {
                    *blocks = padded(front.state.map(|word| word[lane]));
                }
            }
        }
        for (states, text) in states.iter_mut().zip(&text) {
            compress(states, text);
        }
    }
    for (lane, state) in states.as_flattened().iter().enumerate() {
        for (word, value) in front.state.iter_mut().zip(state.words()) {
            word[lane] = value;
        }
    }
}

/// The state that a lane begins with.
fn begin<const LANES: usize>(front: &Front<'_, LANES>, lane: usize) -> [u32; 8] {
    let columns = if front.outer >> lane & 1 == 1 {
        &front.outer_state
    } else if front.inner >> lane & 1 == 1 {
        &front.inner_state
    } else {
        &front.state
    };
    columns.map(|word| word[lane])
}

/// The inner hash with its padding, as bytes.
#[inline]
#[target_feature(enable = "sse4.1,avx")]
fn padded(state: [u32; 8]) -> [__m128i; STEP_BLOCKS] {
    let [a, b, c, d, e, f, g, h] = state.map(u32::cast_signed);
    [
        swap_bytes(_mm_set_epi32(d, c, b, a)),
        swap_bytes(_mm_set_epi32(h, g, f, e)),
        swap_bytes(_mm_set_epi32(0, 0, 0, i32::MIN)),
        swap_bytes(_mm_set_epi32(OUTER_BITS, 0, 0, 0)),
    ]
}

#[inline]
#[target_feature(enable = "sse4.1,avx")]
fn swap_bytes(words: __m128i) -> __m128i {
    let order = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
    _mm_shuffle_epi8(words, order)
}

/// Enciphers the first blocks of each lane's step.
#[inline]
#[target_feature(enable = "aes,sha,sse4.1,avx")]
fn encipher<const GROUPS: usize, const STREAMS: usize, const LANES: usize>(
    front: &mut Front<'_, LANES>,
    text: &mut [[[__m128i; STEP_BLOCKS]; STREAMS]; GROUPS],
) {
    let text = text.as_flattened_mut();
    // The first lane is active. Idle lanes take its keys and leave the result.
    let first = front.cipher[0].expect("an active lane has a cipher");
    let mut keys = [[first; STREAMS]; GROUPS];
    let mut chains = [[_mm_setzero_si128(); STREAMS]; GROUPS];
    let (keys, chains) = (keys.as_flattened_mut(), chains.as_flattened_mut());
    for lane in 0..GROUPS * STREAMS {
        keys[lane] = front.cipher[lane].unwrap_or(first);
        chains[lane] = front.chain[lane];
    }
    for block in 0..STEP_BLOCKS {
        for lane in 0..GROUPS * STREAMS {
            let plain = _mm_xor_si128(text[lane][block], keys[lane].0[0]);
            chains[lane] = _mm_xor_si128(chains[lane], plain);
        }
        for round in 1..ROUNDS {
            for lane in 0..GROUPS * STREAMS {
                chains[lane] = _mm_aesenc_si128(chains[lane], keys[lane].0[round]);
            }
        }
        for lane in 0..GROUPS * STREAMS {
            chains[lane] = _mm_aesenclast_si128(chains[lane], keys[lane].0[ROUNDS]);
            if block < usize::from(front.enciphered[lane]) {
                text[lane][block] = chains[lane];
            }
        }
    }
    front.chain[..chains.len()].copy_from_slice(chains);
}

/// SHA-256's state as its instructions have it: words A, B, E, F and C, D, G, H.
#[derive(Clone, Copy)]
struct State {
    abef: __m128i,
    cdgh: __m128i,
}

impl State {
    #[inline]
    #[target_feature(enable = "sse4.1,avx")]
    fn zero() -> Self {
        let zero = _mm_setzero_si128();
        Self {
            abef: zero,
            cdgh: zero,
        }
    }

    #[inline]
    #[target_feature(enable = "sse4.1,avx")]
    fn new(words: [u32; 8]) -> Self {
        let [a, b, c, d, e, f, g, h] = words.map(u32::cast_signed);
        Self {
            abef: _mm_set_epi32(a, b, e, f),
            cdgh: _mm_set_epi32(c, d, g, h),
        }
    }

    #[inline]
    #[target_feature(enable = "sse4.1,avx")]
    fn words(self) -> [u32; 8] {
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
}

/// One block of SHA-256 in each stream.
#[inline]
#[target_feature(enable = "sha,sse4.1,avx")]
fn compress<const STREAMS: usize>(
    states: &mut [State; STREAMS],
    text: &[[__m128i; STEP_BLOCKS]; STREAMS],
) {
    let mut words = *text;
    for four in words.as_flattened_mut() {
        *four = swap_bytes(*four);
    }
    let before = *states;
    for four in 0..16 {
        let [k0, k1, k2, k3] = [0, 1, 2, 3].map(|i| K[4 * four + i].cast_signed());
        let constants = _mm_set_epi32(k3, k2, k1, k0);
        for (state, words) in states.iter_mut().zip(&mut words) {
            let low = _mm_add_epi32(words[four % 4], constants);
            let high = _mm_shuffle_epi32::<0b1110>(low);
            state.cdgh = _mm_sha256rnds2_epu32(state.cdgh, state.abef, low);
            state.abef = _mm_sha256rnds2_epu32(state.abef, state.cdgh, high);
            if four < 12 {
                let (third, last) = (words[(four + 2) % 4], words[(four + 3) % 4]);
                let next = _mm_sha256msg1_epu32(words[four % 4], words[(four + 1) % 4]);
                let next = _mm_add_epi32(next, _mm_alignr_epi8::<4>(last, third));
                words[four % 4] = _mm_sha256msg2_epu32(next, last);
            }
        }
    }
    for (state, before) in states.iter_mut().zip(before) {
        state.abef = _mm_add_epi32(state.abef, before.abef);
        state.cdgh = _mm_add_epi32(state.cdgh, before.cdgh);
    }
}

/// Decrypts `text`, whole blocks, in place (CBC, under an inverse schedule).
pub(super) fn decrypt(_: AesNi, cipher: &Schedule, iv: __m128i, text: &mut [u8]) {
    let (chunks, rest) = text.as_chunks_mut::<{ 8 * BLOCK }>();
    let mut before = iv;
    for chunk in chunks {
        // SAFETY: the token proves the features.
        before = unsafe { decrypt_some::<8>(cipher, before, chunk.as_chunks_mut().0) };
    }
    for block in rest.as_chunks_mut::<BLOCK>().0.chunks_mut(1) {
        // SAFETY: as above.
        before = unsafe { decrypt_some::<1>(cipher, before, block) };
    }
}

/// Decrypts `COUNT` blocks, and gives back the last as it was.
#[target_feature(enable = "aes,avx")]
fn decrypt_some<const COUNT: usize>(
    cipher: &Schedule,
    mut before: __m128i,
    blocks: &mut [[u8; BLOCK]],
) -> __m128i {
    let mut text = [_mm_setzero_si128(); COUNT];
    for (text, block) in text.iter_mut().zip(&*blocks) {
        *text = load(block);
    }
    let mut state = text;
    for block in &mut state {
        *block = _mm_xor_si128(*block, cipher.0[0]);
    }
    for round in 1..ROUNDS {
        for block in &mut state {
            *block = _mm_aesdec_si128(*block, cipher.0[round]);
        }
    }
    for ((state, text), block) in state.iter().zip(text).zip(blocks) {
        let plain = _mm_aesdeclast_si128(*state, cipher.0[ROUNDS]);
        store(_mm_xor_si128(plain, before), block);
        before = text;
    }
    before
}
