//! What work with secrets leaves behind on the stack, overwritten.

use zeroize::zeroize_stack;

/// Does `work`, and overwrites what it left on the stack, down to `DEPTH` bytes
/// below the caller's frame.
///
/// How deep it goes is what a release build was seen to leave there. A panic is not
/// covered: nothing here catches one.
pub(crate) fn wiped<const DEPTH: usize, T>(work: impl FnOnce() -> T) -> T {
    let result = apart(work);
    zeroize_stack::<DEPTH>();
    result
}

/// Does `work` in a frame of its own: inlined, it would have its values in the
/// caller's, which is above all that is overwritten.
#[inline(never)]
fn apart<T>(work: impl FnOnce() -> T) -> T {
    work()
}
