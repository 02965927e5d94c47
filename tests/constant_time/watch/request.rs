//! Messages to the watchers, which take assembly: valgrind learns which bytes are secret. Without
//! valgrind that does nothing.

// Both are sequences of instructions that mean something to the watcher alone.
#![allow(unsafe_code)]

use std::arch::asm;

/// "Which valgrind is this" and "how many errors so far" (`valgrind.h`).
const RUNNING_ON_VALGRIND: usize = 0x1001;
const COUNT_ERRORS: usize = 0x1201;
/// Memcheck's requests begin with its letters (`memcheck.h`).
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
    // SAFETY: for a processor these are four rotations that undo each other, and an exchange of a
    // register with itself. Valgrind knows the sequence, reads the words, and answers in rdx.
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

/// Whether valgrind runs this program.
pub(crate) fn is_watched() -> bool {
    // SAFETY: the arguments are no pointers.
    unsafe { request(RUNNING_ON_VALGRIND, [0; 3]) != 0 }
}

/// The number of errors that memcheck has found.
pub(crate) fn errors() -> usize {
    // SAFETY: the arguments are no pointers.
    unsafe { request(COUNT_ERRORS, [0; 3]) }
}

/// Makes `bytes` secret: from here on, a branch or an address that depends on them, or on what is
/// computed from them, is an error.
pub(crate) fn make_secret(bytes: &mut [u8]) {
    tell(MAKE_MEM_UNDEFINED, bytes);
}

/// Makes `bytes` public, because an observer may have them.
pub(crate) fn make_public(bytes: &mut [u8]) {
    tell(MAKE_MEM_DEFINED, bytes);
}

fn tell(code: usize, bytes: &mut [u8]) {
    // SAFETY: only memcheck's idea of the bytes changes.
    unsafe { request(code, [bytes.as_mut_ptr() as usize, bytes.len(), 0]) };
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

/// Marks, for the script that follows step by step, where a part begins or ends. Without the script
/// the program ends here.
#[inline(never)]
pub(crate) fn mark() {
    // SAFETY: the signal that this raises is the tracer's.
    unsafe { asm!("int3") };
}
