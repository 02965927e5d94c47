//! AES-256 CBC decryption with AES-NI, eight blocks at a time: they do not wait for each other.

use std::arch::x86_64::*;

use super::aes256::{ROUNDS, Schedule, load, store};
use crate::crypto::cpu::AesNi;
use crate::limits::BLOCK;

/// Decrypts `text`, whole blocks, in place (CBC, under an inverse schedule).
pub(in super::super) fn decrypt(_: AesNi, cipher: &Schedule, iv: __m128i, text: &mut [u8]) {
    // SAFETY: the token proves the features.
    unsafe { decrypt_text(cipher, iv, text) };
}

#[target_feature(enable = "aes,avx")]
fn decrypt_text(cipher: &Schedule, iv: __m128i, text: &mut [u8]) {
    let (chunks, rest) = text.as_chunks_mut::<{ 8 * BLOCK }>();
    let mut before = iv;
    for chunk in chunks {
        before = decrypt_blocks::<8>(cipher, before, chunk.as_chunks_mut().0);
    }
    for block in rest.as_chunks_mut::<BLOCK>().0.chunks_mut(1) {
        before = decrypt_blocks::<1>(cipher, before, block);
    }
}

/// Decrypts `COUNT` blocks. Returns the last as it was.
#[target_feature(enable = "aes,avx")]
fn decrypt_blocks<const COUNT: usize>(
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
