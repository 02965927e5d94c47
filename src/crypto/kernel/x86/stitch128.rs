//! SHA-256 in four lanes with AES-256 beside it, in assembly: for the same
//! reasons as [`super::stitch512`], in the same way.
//!
//! The unit for SHA-256 begins an instruction every other cycle, and four streams
//! keep it busy. A round of AES costs no more than a place between two of them.

use std::arch::asm;
use std::arch::x86_64::__m128i;

use super::aes::Schedule;
use super::front::STEP_BLOCKS;
use super::sha::{K, State, swap_bytes};

/// Lanes that are worked on side by side.
pub(super) const STREAMS: usize = 4;

/// A block of every lane.
pub(super) type Blocks = [__m128i; STREAMS];

/// Four words, the `$four`th such of a step, of a lane; also a block of text.
macro_rules! at {
    ($place:literal $four:literal $lane:literal) => {
        concat!("[{", $place, "} + 64*", $four, " + 16*", $lane, "]")
    };
}

/// Four rounds in a lane; and which words they and the schedule need.
macro_rules! four_rounds {
    ($schedule:ident $lane:literal $abef:literal $cdgh:literal $i:literal $i1:literal $i2:literal $i3:literal) => {
        concat!(
            // The instruction has its third operand in xmm0.
            ins!("vmovdqa" "xmm0", at!("words" $i $lane)),
            ins!("vpaddd" "xmm0", "xmm0", concat!("[{constants} + 16*", $i, "]")),
            ins!("sha256rnds2" $cdgh, $abef),
            ins!("vpshufd" "xmm0", "xmm0", "0x0e"),
            ins!("sha256rnds2" $abef, $cdgh),
            $schedule!($lane $i $i1 $i2 $i3)
        )
    };
}

/// The four words that take the place of the `$i`th four, 16 rounds later.
macro_rules! schedule {
    ($lane:literal $i:literal $i1:literal $i2:literal $i3:literal) => {
        concat!(
            ins!("vmovdqa" "xmm13", at!("words" $i $lane)),
            ins!("vmovdqa" "xmm15", at!("words" $i3 $lane)),
            ins!("sha256msg1" "xmm13", at!("words" $i1 $lane)),
            ins!("vpalignr" "xmm14", "xmm15", at!("words" $i2 $lane), 4),
            ins!("vpaddd" "xmm13", "xmm13", "xmm14"),
            ins!("sha256msg2" "xmm13", "xmm15"),
            ins!("vmovdqa" at!("words" $i $lane), "xmm13")
        )
    };
}

/// `$name` of every chain and what is at the same place of four.
macro_rules! chains {
    ($name:literal $at0:expr, $at1:expr, $at2:expr, $at3:expr) => {
        concat!(
            ins!($name "xmm9", "xmm9", $at0),
            ins!($name "xmm10", "xmm10", $at1),
            ins!($name "xmm11", "xmm11", $at2),
            ins!($name "xmm12", "xmm12", $at3)
        )
    };
}

/// A sixteenth of encrypting a block of every lane (CBC).
macro_rules! aes {
    (0) => {
        chains!("vpxor" at!("plain" 0 0), at!("plain" 0 1), at!("plain" 0 2), at!("plain" 0 3))
    };
    (1) => {
        aes!("vpxor" 0)
    };
    (15) => {
        concat!(
            aes!("vaesenclast" 14),
            ins!("vmovdqa" at!("sealed" 0 0), "xmm9"),
            ins!("vmovdqa" at!("sealed" 0 1), "xmm10"),
            ins!("vmovdqa" at!("sealed" 0 2), "xmm11"),
            ins!("vmovdqa" at!("sealed" 0 3), "xmm12")
        )
    };
    ($sixteenth:literal) => {
        aes!("vaesenc" concat!($sixteenth, " - 16"))
    };
    ($name:literal $round:expr) => {
        chains!(
            $name
            concat!("[{keys0} + 16*", $round, "]"),
            concat!("[{keys1} + 16*", $round, "]"),
            concat!("[{keys2} + 16*", $round, "]"),
            concat!("[{keys3} + 16*", $round, "]")
        )
    };
}

/// Four rounds in every lane, and beside them a quarter of a block of AES.
macro_rules! part {
    ($schedule:ident $aes:ident $i:tt $i1:tt $i2:tt $i3:tt $a:tt $b:tt $c:tt $d:tt) => {
        concat!(
            four_rounds!($schedule 0 "xmm1" "xmm2" $i $i1 $i2 $i3),
            $aes!($a),
            four_rounds!($schedule 1 "xmm3" "xmm4" $i $i1 $i2 $i3),
            $aes!($b),
            four_rounds!($schedule 2 "xmm5" "xmm6" $i $i1 $i2 $i3),
            $aes!($c),
            four_rounds!($schedule 3 "xmm7" "xmm8" $i $i1 $i2 $i3),
            $aes!($d)
        )
    };
}

/// Sixteen rounds in every lane.
macro_rules! sixteen {
    ($schedule:ident $aes:ident) => {
        concat!(
            part!($schedule $aes 0 1 2 3 0 1 2 3),
            part!($schedule $aes 1 2 3 0 4 5 6 7),
            part!($schedule $aes 2 3 0 1 8 9 10 11),
            part!($schedule $aes 3 0 1 2 12 13 14 15)
        )
    };
}

/// With the states in their registers. The caller names registers 9 to 12: all
/// sixteen are to be named, because the upper halves of all are cleared.
macro_rules! asm_with_states {
    ($states:ident, $($code:tt)*) => {{
        let [state0, state1, state2, state3] = $states;
        asm!(
            // What is left in the upper halves would be waited for.
            "vzeroupper",
            $($code)*
            out("xmm0") _, inout("xmm1") state0.abef, inout("xmm2") state0.cdgh,
            inout("xmm3") state1.abef, inout("xmm4") state1.cdgh,
            inout("xmm5") state2.abef, inout("xmm6") state2.cdgh,
            inout("xmm7") state3.abef, inout("xmm8") state3.cdgh,
            out("xmm13") _, out("xmm14") _, out("xmm15") _, options(nostack)
        )
    }};
}

/// Hashes a step.
#[target_feature(enable = "sha,sse4.1,avx")]
pub(super) fn hash(states: &mut [State; STREAMS], mut words: [Blocks; STEP_BLOCKS]) {
    swap_bytes(words.as_flattened_mut());
    let before = *states;
    // SAFETY: it reads K and changes what it is given, all within the bounds of the
    // types, and says which registers it changes.
    unsafe {
        asm_with_states!(
            states,
            "mov {left:e}, 3",
            "2:",
            sixteen!(schedule nothing),
            "add {constants}, 64",
            "dec {left:e}",
            "jnz 2b",
            sixteen!(nothing nothing),
            left = out(reg) _,
            words = in(reg) words.as_mut_ptr(),
            constants = inout(reg) K.0.as_ptr() => _,
            out("xmm9") _, out("xmm10") _, out("xmm11") _, out("xmm12") _,
        );
    }
    add(states, &before);
}

/// Hashes a step, and encrypts another.
#[target_feature(enable = "aes,sha,sse4.1,avx")]
pub(super) fn hash_and_encrypt(
    states: &mut [State; STREAMS],
    mut words: [Blocks; STEP_BLOCKS],
    keys: &[&Schedule; STREAMS],
    chains: &mut Blocks,
    plain: &[Blocks; STEP_BLOCKS],
    sealed: &mut [Blocks; STEP_BLOCKS],
) {
    swap_bytes(words.as_flattened_mut());
    let before = *states;
    let [chain0, chain1, chain2, chain3] = chains;
    let [keys0, keys1, keys2, keys3] = keys.map(|keys| keys.0.as_ptr());
    // SAFETY: as in `hash`.
    unsafe {
        asm_with_states!(
            states,
            "mov {left:e}, 3",
            "2:",
            sixteen!(schedule aes),
            "add {constants}, 64",
            "add {plain}, 64",
            "add {sealed}, 64",
            "dec {left:e}",
            "jnz 2b",
            sixteen!(nothing aes),
            left = out(reg) _,
            words = in(reg) words.as_mut_ptr(),
            constants = inout(reg) K.0.as_ptr() => _,
            keys0 = in(reg) keys0,
            keys1 = in(reg) keys1,
            keys2 = in(reg) keys2,
            keys3 = in(reg) keys3,
            plain = inout(reg) plain.as_ptr() => _,
            sealed = inout(reg) sealed.as_mut_ptr() => _,
            inout("xmm9") *chain0,
            inout("xmm10") *chain1,
            inout("xmm11") *chain2,
            inout("xmm12") *chain3,
        );
    }
    add(states, &before);
}

#[inline]
#[target_feature(enable = "avx")]
fn add(states: &mut [State; STREAMS], before: &[State; STREAMS]) {
    for (state, before) in states.iter_mut().zip(before) {
        *state = state.add(*before);
    }
}
