//! Overwrites what work with secrets leaves on the stack.

use zeroize::zeroize_stack;

/// Does `work`, and overwrites the stack below the caller's frame, `DEPTH` bytes deep.
///
/// The depths come from what a release build was seen to leave there. A panic is not covered.
pub(crate) fn wiped<const DEPTH: usize, T>(work: impl FnOnce() -> T) -> T {
    let result = apart(work);
    zeroize_stack::<DEPTH>();
    result
}

/// Does `work` in a frame of its own. Inlined, its values would be in the caller's frame, which is
/// not overwritten.
#[inline(never)]
fn apart<T>(work: impl FnOnce() -> T) -> T {
    work()
}
