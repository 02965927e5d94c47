//! AES-NI and SHA-NI, four lanes at a time or one.
//!
//! Four streams keep the unit for SHA-256 busy, which can begin half an
//! instruction in each cycle; four chains of AES for the step behind run beside
//! it. So enciphering costs next to nothing.

use std::arch::x86_64::*;

use super::aes::{ROUNDS, Schedule, load, store};
use super::front::{Columns, Engine, Front, STEP_BLOCKS};
use super::sha::{K, OUTER_BITS};
use crate::crypto::cpu::AesNi;
use crate::limits::BLOCK;

/// Lanes that are worked on side by side.
const STREAMS: usize = 4;
/// How many lanes it is best fed with: so that the end of one record does not
/// part the others' runs.
pub(super) const LANES: usize = 2 * STREAMS;

/// Takes steps with what the token proves.
pub(super) struct AesNiEngine(pub(super) AesNi);

impl<const LANES: usize> Engine<LANES> for AesNiEngine {
    fn set_cipher(&mut self, _: usize, _: &Schedule) {
        // They are read from where they are.
    }

    unsafe fn seal(&mut self, front: &mut Front<'_, LANES>, active: usize, steps: usize) {
        for first in (0..active).step_by(STREAMS) {
            // SAFETY: the token proves the features; the rest is the caller's
            // promise.
            unsafe {
                match active - first {
                    1 => seal::<1, LANES>(front, first, steps),
                    _ => seal::<STREAMS, LANES>(front, first, steps),
                }
            }
        }
    }

    unsafe fn hash(&mut self, front: &mut Front<'_, LANES>, active: usize, steps: usize) {
        for first in (0..active).step_by(STREAMS) {
            // SAFETY: as above.
            unsafe {
                match active - first {
                    1 => hash::<1, LANES>(front, first, steps),
                    _ => hash::<STREAMS, LANES>(front, first, steps),
                }
            }
        }
    }
}

/// A step of some lanes.
type Text<const COUNT: usize> = [[__m128i; STEP_BLOCKS]; COUNT];

/// Seals in `COUNT` lanes from `first` on.
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
    let mut states = load_states::<COUNT, LANES>(front, first);
    let mut cipher = Cipher::<COUNT>::new(front, first);
    // SAFETY: the caller promises `STEP` bytes for each step.
    let mut text = unsafe { gather(front, first) };
    for part in 0..4 * cipher.most_blocks() {
        cipher.encipher_part(&mut text, part);
    }
    // SAFETY: as above.
    unsafe { scatter(front, first, &text) };
    front.advance::<COUNT>(first);
    for _ in 1..steps {
        // SAFETY: as above.
        let mut next = unsafe { gather(front, first) };
        compress(&mut states, text, |part| {
            cipher.encipher_part(&mut next, part)
        });
        // SAFETY: as above.
        unsafe { scatter(front, first, &next) };
        front.advance::<COUNT>(first);
        text = next;
    }
    put_outer(front, first, &mut text);
    compress(&mut states, text, |_| {});
    store_states(front, first, &states);
    front.chain[first..first + COUNT].copy_from_slice(&cipher.chains);
}

/// Hashes in `COUNT` lanes from `first` on.
///
/// # Safety
///
/// As of [`Engine::hash`].
#[target_feature(enable = "aes,sha,sse4.1,avx")]
unsafe fn hash<const COUNT: usize, const LANES: usize>(
    front: &mut Front<'_, LANES>,
    first: usize,
    steps: usize,
) {
    let mut states = load_states::<COUNT, LANES>(front, first);
    for _ in 0..steps {
        // SAFETY: the caller promises `STEP` bytes for each step.
        let mut text = unsafe { gather(front, first) };
        front.advance::<COUNT>(first);
        put_outer(front, first, &mut text);
        compress(&mut states, text, |_| {});
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
unsafe fn gather<const COUNT: usize, const LANES: usize>(
    front: &Front<'_, LANES>,
    first: usize,
) -> Text<COUNT> {
    let mut text = [[_mm_setzero_si128(); STEP_BLOCKS]; COUNT];
    for (lane, blocks) in (first..).zip(&mut text) {
        let source = front.text[lane];
        for (i, block) in blocks.iter_mut().enumerate() {
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
unsafe fn scatter<const COUNT: usize, const LANES: usize>(
    front: &Front<'_, LANES>,
    first: usize,
    text: &Text<COUNT>,
) {
    for (lane, blocks) in (first..).zip(text) {
        let target = front.text[lane];
        for (i, block) in blocks.iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { _mm_storeu_si128(target.add(i * BLOCK).cast(), *block) };
        }
    }
}

/// Chains of AES, side by side.
struct Cipher<'a, const COUNT: usize> {
    keys: [&'a Schedule; COUNT],
    chains: [__m128i; COUNT],
    enciphered: [u8; COUNT],
}

impl<'a, const COUNT: usize> Cipher<'a, COUNT> {
    /// Those of the lanes from `first` on. Idle ones take the keys of the first
    /// lane, which is active, and leave the result.
    fn new<const LANES: usize>(front: &Front<'a, LANES>, first: usize) -> Self {
        let keys = front.cipher[0].expect("an active lane has a cipher");
        let mut cipher = Self {
            keys: [keys; COUNT],
            chains: [front.chain[first]; COUNT],
            enciphered: [0; COUNT],
        };
        for i in 0..COUNT {
            cipher.keys[i] = front.cipher[first + i].unwrap_or(keys);
            cipher.chains[i] = front.chain[first + i];
            cipher.enciphered[i] = front.enciphered[first + i];
        }
        cipher
    }

    /// How many blocks of a step are to be enciphered, at most.
    fn most_blocks(&self) -> usize {
        self.enciphered
            .iter()
            .fold(0, |most, &n| most.max(n))
            .into()
    }

    /// One of 16 parts of enciphering a step: a quarter of a block.
    #[inline]
    #[target_feature(enable = "aes,avx")]
    fn encipher_part(&mut self, text: &mut Text<COUNT>, part: usize) {
        let (block, quarter) = (part / 4, part % 4);
        if quarter == 0 {
            for (text, (chain, keys)) in text.iter().zip(self.chains.iter_mut().zip(&self.keys)) {
                let plain = _mm_xor_si128(text[block], keys.0[0]);
                *chain = _mm_xor_si128(*chain, plain);
            }
        }
        for round in (4 * quarter).max(1)..(4 * quarter + 4).min(ROUNDS) {
            for (chain, keys) in self.chains.iter_mut().zip(&self.keys) {
                *chain = _mm_aesenc_si128(*chain, keys.0[round]);
            }
        }
        if quarter == 3 {
            let chains = self.chains.iter_mut().zip(&self.keys);
            for ((text, enciphered), (chain, keys)) in
                text.iter_mut().zip(self.enciphered).zip(chains)
            {
                *chain = _mm_aesenclast_si128(*chain, keys.0[ROUNDS]);
                if block < usize::from(enciphered) {
                    text[block] = *chain;
                }
            }
        }
    }
}

/// The states to begin with.
#[inline]
#[target_feature(enable = "sse4.1,avx")]
fn load_states<const COUNT: usize, const LANES: usize>(
    front: &Front<'_, LANES>,
    first: usize,
) -> [State; COUNT] {
    let mut states = [State::new([0; 8]); COUNT];
    for (lane, state) in (first..).zip(&mut states) {
        let columns: &Columns<LANES> = if front.outer >> lane & 1 == 1 {
            &front.outer_state
        } else if front.inner >> lane & 1 == 1 {
            &front.inner_state
        } else {
            &front.state
        };
        *state = State::new(columns.map(|word| word[lane]));
    }
    states
}

#[inline]
#[target_feature(enable = "sse4.1,avx")]
fn store_states<const LANES: usize>(front: &mut Front<'_, LANES>, first: usize, states: &[State]) {
    for (lane, state) in (first..).zip(states) {
        for (word, value) in front.state.iter_mut().zip(state.words()) {
            word[lane] = value;
        }
    }
}

/// Replaces the text of lanes that hash their state.
#[inline]
#[target_feature(enable = "sse4.1,avx")]
fn put_outer<const LANES: usize>(
    front: &Front<'_, LANES>,
    first: usize,
    text: &mut [[__m128i; STEP_BLOCKS]],
) {
    for (lane, blocks) in (first..).zip(text) {
        if front.outer >> lane & 1 == 1 {
            *blocks = padded(front.state.map(|word| word[lane]));
        }
    }
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

/// SHA-256's state as its instructions have it: words A, B, E, F and C, D, G, H.
#[derive(Clone, Copy)]
struct State {
    abef: __m128i,
    cdgh: __m128i,
}

impl State {
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

/// A step of SHA-256 in each lane; `beside` is called for each of 16 parts of it,
/// to be done at the same time.
#[inline]
#[target_feature(enable = "sha,sse4.1,avx")]
fn compress<const COUNT: usize>(
    states: &mut [State; COUNT],
    mut words: Text<COUNT>,
    mut beside: impl FnMut(usize),
) {
    for four in words.as_flattened_mut() {
        *four = swap_bytes(*four);
    }
    let before = *states;
    // A loop would have the words in memory, which they wait for.
    macro_rules! parts {
        ($($part:literal)*) => {$(
            four_rounds::<COUNT, $part>(states, &mut words);
            beside($part);
        )*};
    }
    parts!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    for (state, before) in states.iter_mut().zip(before) {
        state.abef = _mm_add_epi32(state.abef, before.abef);
        state.cdgh = _mm_add_epi32(state.cdgh, before.cdgh);
    }
}

/// Rounds 4 × `PART` to 4 × `PART` + 3, and the words for 16 rounds later.
#[inline]
#[target_feature(enable = "sha,sse4.1,avx")]
fn four_rounds<const COUNT: usize, const PART: usize>(
    states: &mut [State; COUNT],
    words: &mut Text<COUNT>,
) {
    let [k0, k1, k2, k3] = const {
        [
            K[4 * PART],
            K[4 * PART + 1],
            K[4 * PART + 2],
            K[4 * PART + 3],
        ]
    };
    let [k0, k1, k2, k3] = [k0, k1, k2, k3].map(u32::cast_signed);
    let constants = _mm_set_epi32(k3, k2, k1, k0);
    for (state, words) in states.iter_mut().zip(words) {
        let low = _mm_add_epi32(words[PART % 4], constants);
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
