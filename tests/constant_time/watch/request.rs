//! What only assembly can tell those who watch: to valgrind, which bytes are secret.
//! Without valgrind that does nothing.

// Both are sequences of instructions that mean something to the watcher alone.
#![allow(unsafe_code)]

use std::arch::asm;

/// "Which valgrind is this" and "how many errors so far" (`valgrind.h`).
const RUNNING_ON_VALGRIND: usize = 0x1001;
const COUNT_ERRORS: usize = 0x1201;
/// Requests of memcheck have its letters in front (`memcheck.h`).
const MEMCHECK: usize = u32::from_be_bytes(*b"MC\0\0") as usize;
const MAKE_MEM_UNDEFINED: usize = MEMCHECK + 1;
const MAKE_MEM_DEFINED: usize = MEMCHECK + 2;
const GET_VBITS: usize = MEMCHECK + 8;

/// Asks valgrind; 0 without it.
///
/// # Safety
///
/// What the arguments point to may be read and written as the request says.
unsafe fn request(code: usize, arguments: [usize; 3]) -> usize {
    let [a, b, c] = arguments;
    let words = [code, a, b, c, 0, 0];
    let mut answer = 0;
    // SAFETY: to a processor it is four rotations that undo each other and an
    // exchange of a register with itself. Valgrind knows this sequence, reads the
    // words and puts its answer into rdx.
    unsafe {
        asm!(
            "rol rdi, 3",
            "rol rdi, 13",
            "rol rdi, 61",
            "rol rdi, 51",
            "xchg rbx, rbx",
            in("rax") words.as_ptr(),
            inout("rdx") answer,
            options(nostack),
        );
    }
    answer
}

/// Whether valgrind runs this.
pub(crate) fn is_watched() -> bool {
    // SAFETY: nothing is pointed to.
    unsafe { request(RUNNING_ON_VALGRIND, [0; 3]) != 0 }
}

/// How many errors memcheck has found.
pub(crate) fn errors() -> usize {
    // SAFETY: nothing is pointed to.
    unsafe { request(COUNT_ERRORS, [0; 3]) }
}

/// From here on a branch or an address that depends on `bytes` is an error, and
/// whatever is computed from them is as they are.
pub(crate) fn make_secret(bytes: &mut [u8]) {
    // SAFETY: only memcheck's idea of them changes.
    unsafe {
        request(
            MAKE_MEM_UNDEFINED,
            [bytes.as_mut_ptr() as usize, bytes.len(), 0],
        )
    };
}

/// Ends that for `bytes` that an observer may have.
pub(crate) fn make_public(bytes: &mut [u8]) {
    // SAFETY: as above.
    unsafe {
        request(
            MAKE_MEM_DEFINED,
            [bytes.as_mut_ptr() as usize, bytes.len(), 0],
        )
    };
}

/// Whether every bit of `bytes` is, or depends on, a secret.
pub(crate) fn is_secret(bytes: &[u8]) -> bool {
    let mut bits = vec![0_u8; bytes.len()];
    // SAFETY: as many bytes are written as are there.
    let answer = unsafe {
        request(
            GET_VBITS,
            [
                bytes.as_ptr() as usize,
                bits.as_mut_ptr() as usize,
                bytes.len(),
            ],
        )
    };
    answer == 1 && bits.iter().all(|&bits| bits == u8::MAX)
}

/// Marks, for who follows step by step, where what matters begins or ends. Without
/// one the program ends here.
#[inline(never)]
pub(crate) fn mark() {
    // SAFETY: the signal that this raises is the tracer's.
    unsafe { asm!("int3") };
}
