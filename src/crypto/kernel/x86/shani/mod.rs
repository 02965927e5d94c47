//! SHA-256 with SHA-NI: one lane in intrinsics ([`sha256`]), pairs of lanes in assembly
//! ([`sha256_pairs`]).
//!
//! No function with SHA-NI intrinsics enables AVX, because a compiler that may use AVX copies text
//! through 256-bit registers. SHA-NI's instructions keep the upper halves of registers, and while
//! those are not zero, Intel's processors take hundreds of cycles for each. (Xeon, family 6, model
//! 207: sealing one record of 16 KiB takes 1.5 ms with AVX enabled, and 23 us without.)

pub(super) mod sha256;
pub(super) mod sha256_pairs;

use self::sha256::State;

/// Hashes `steps` steps, at least one, in each of `COUNT` lanes: one lane, or an even number. A
/// lane's text advances by its stride in each step.
///
/// No caller enables AVX, because this may be inlined.
///
/// # Safety
///
/// The processor has AVX. There is a step at each of `texts`, each time.
#[inline]
#[target_feature(enable = "sha,sse4.1")]
pub(super) unsafe fn hash<const COUNT: usize>(
    states: &mut [State; COUNT],
    texts: &mut [*const u8; COUNT],
    strides: &[usize; COUNT],
    steps: usize,
) {
    // SAFETY: the caller's promise.
    unsafe {
        match COUNT {
            1 => sha256::hash(&mut states[0], &mut texts[0], strides[0], steps),
            _ => sha256_pairs::hash(states, texts, strides, steps),
        }
    }
}
