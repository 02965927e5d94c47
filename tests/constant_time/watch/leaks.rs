//! Two leaks that the watchers must find.

use std::hint::black_box;

/// Whether both are equal; the answer comes sooner if they differ earlier.
#[inline(never)]
pub(crate) fn by_a_branch(secret: &[u8; 32], other: &[u8; 32]) -> bool {
    let mut pairs = secret.iter().zip(other);
    pairs.all(|(byte, other)| black_box(byte) == other)
}

/// A look-up in a table by a secret byte, as in old implementations of AES.
#[inline(never)]
pub(crate) fn by_an_address(secret: &[u8; 32], table: &[u8; 512]) -> u8 {
    black_box(table)[usize::from(secret[0])]
}
