//! What must not be: for the watchers to find.

use std::hint::black_box;

/// Whether both are the same; sooner, the earlier they differ.
#[inline(never)]
pub(crate) fn by_a_branch(secret: &[u8; 32], other: &[u8; 32]) -> bool {
    let mut pairs = secret.iter().zip(other);
    pairs.all(|(byte, other)| black_box(byte) == other)
}

/// What a table has for a byte, as AES once was made.
#[inline(never)]
pub(crate) fn by_an_address(secret: &[u8; 32], table: &[u8; 512]) -> u8 {
    black_box(table)[usize::from(secret[0])]
}
