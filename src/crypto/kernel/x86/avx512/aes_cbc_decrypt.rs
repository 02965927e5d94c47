//! AES-256 CBC decryption with VAES, 32 blocks at a time: they do not wait for each other.

use std::arch::x86_64::*;

use super::super::aesni::aes256::{ROUNDS, Schedule, store};
use crate::crypto::cpu::Avx512;

/// Decrypts `text`, whole blocks, in place (CBC, under an inverse schedule).
pub(in super::super) fn decrypt(_: Avx512, cipher: &Schedule, iv: __m128i, text: &mut [u8]) {
    // SAFETY: the token proves the features.
    unsafe { decrypt_text(cipher, iv, text) };
}

#[target_feature(enable = "avx512f,vaes")]
fn decrypt_text(cipher: &Schedule, iv: __m128i, text: &mut [u8]) {
    let mut keys = [_mm512_setzero_si512(); ROUNDS + 1];
    for (key, one) in keys.iter_mut().zip(&cipher.0) {
        *key = _mm512_broadcast_i32x4(*one);
    }
    let mut before = _mm512_inserti32x4::<3>(_mm512_setzero_si512(), iv);
    let (chunks, rest) = text.as_chunks_mut::<{ 8 * 64 }>();
    for chunk in chunks {
        before = decrypt_lines::<8>(&keys, before, chunk);
    }
    match rest.len() {
        0 => {}
        1..=64 => _ = decrypt_lines::<1>(&keys, before, rest),
        65..=128 => _ = decrypt_lines::<2>(&keys, before, rest),
        129..=256 => _ = decrypt_lines::<4>(&keys, before, rest),
        _ => _ = decrypt_lines::<8>(&keys, before, rest),
    }
}

/// Decrypts at most `COUNT` registers of blocks. Returns the last register of ciphertext.
#[inline]
#[target_feature(enable = "avx512f,vaes")]
fn decrypt_lines<const COUNT: usize>(
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
        // SAFETY: the mask leaves out the bytes behind the text.
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
        if let Some(text) = text.get_mut(64 * i..) {
            store_blocks(text, plain);
        }
        before = sealed[i];
    }
    before
}

/// Stores as many blocks at the start of `text` as it has room for.
///
/// It uses no masked store. A read behind one, as for the next record, waits for it although they
/// share no byte: a ninth of the time to open 64 bytes.
#[inline]
#[target_feature(enable = "avx512f")]
fn store_blocks(text: &mut [u8], blocks: __m512i) {
    if let Some(line) = text.first_chunk_mut::<64>() {
        // SAFETY: 64 bytes are there.
        unsafe { _mm512_storeu_si512(line.as_mut_ptr().cast(), blocks) };
        return;
    }
    let blocks = [
        _mm512_castsi512_si128(blocks),
        _mm512_extracti32x4_epi32::<1>(blocks),
        _mm512_extracti32x4_epi32::<2>(blocks),
    ];
    for (text, block) in text.as_chunks_mut().0.iter_mut().zip(blocks) {
        store(block, text);
    }
}
