//! Overwrites what work with secrets leaves on the stack.

use zeroize::zeroize_stack;

/// The depth in a debug build, whose frames are several times as large: tests that look for
/// secrets must find what a release build would leave, too.
const DEBUG: usize = 32_768;

/// Does `work`, and overwrites the stack below the caller's frame, `DEPTH` bytes deep.
///
/// The depths come from what a release build was seen to leave there; a debug build gets
/// [`DEBUG`] instead. A panic is not covered.
pub(crate) fn wiped<const DEPTH: usize, T>(work: impl FnOnce() -> T) -> T {
    let result = apart(work);
    if cfg!(debug_assertions) {
        zeroize_stack::<DEBUG>();
    } else {
        zeroize_stack::<DEPTH>();
    }
    result
}

/// Does `work` in a frame of its own. Inlined, its values would be in the caller's frame, which is
/// not overwritten.
#[inline(never)]
fn apart<T>(work: impl FnOnce() -> T) -> T {
    work()
}
