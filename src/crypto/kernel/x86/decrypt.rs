//! CBC decryption with VAES: a record's blocks do not wait for each other.

use std::arch::x86_64::*;

use super::aes::{ROUNDS, Schedule};
use crate::crypto::cpu::Avx512;

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
