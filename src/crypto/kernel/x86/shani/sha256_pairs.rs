//! SHA-256 in pairs of lanes with SHA-NI, and AES-256 CBC in four lanes beside two pairs with
//! VAES, in assembly. Why assembly: [`super::super::avx512::sha256_aes_cbc`].
//!
//! The unit for SHA-256 begins an instruction every other cycle, and each takes four. Two lanes
//! keep it busy, and leave room for all their words in registers. Pairs take turns at every step,
//! because the wait at the end of one is time for the next. Rounds of AES beside them are almost
//! free while their chains wait. (Zen 4, ns for a step of a lane: to hash, 16.8 in pairs, 19.6 in
//! fours with words in memory; to seal, 23.5 and 30.1.)

use std::arch::asm;
use std::arch::x86_64::__m128i;

use super::super::aesni::aes256::ROUNDS;
use super::super::engine::STEP_BLOCKS;
use super::sha256::{BYTE_ORDER, K, State};

/// Lanes that AES encrypts beside the hash.
pub(in super::super) const BESIDE: usize = 4;
/// A step of `COUNT` lanes, block by block.
pub(in super::super) type Step<const COUNT: usize> = [[__m128i; COUNT]; STEP_BLOCKS];
/// The keys of each round, for four lanes.
pub(in super::super) type Keys = [[__m128i; BESIDE]; ROUNDS + 1];

/// Four words of a lane, in the byte order of the hash.
macro_rules! load_words {
    ($($word:literal $at:expr),*) => {
        concat!($(
            ins!("vmovdqu" $word, $at),
            ins!("vpshufb" $word, $word, "[{order}]"),
        )*)
    };
}

/// Four rounds in a lane, and the words that replace theirs 16 rounds later.
macro_rules! four_rounds {
    (
        $schedule:ident $i:literal $abef:literal $cdgh:literal
        [$w:literal $w1:literal $w2:literal $w3:literal]
    ) => {
        concat!(
            // xmm0 is the instruction's third operand.
            ins!("vpaddd" "xmm0", $w, concat!("[{constants} + 16*", $i, "]")),
            ins!("sha256rnds2" $cdgh, $abef),
            ins!("vpshufd" "xmm0", "xmm0", "0x0e"),
            ins!("sha256rnds2" $abef, $cdgh),
            $schedule!($w $w1 $w2 $w3)
        )
    };
}

macro_rules! schedule {
    ($w:literal $w1:literal $w2:literal $w3:literal) => {
        concat!(
            ins!("sha256msg1" $w, $w1),
            ins!("vpalignr" "xmm13", $w3, $w2, 4),
            ins!("vpaddd" $w, $w, "xmm13"),
            ins!("sha256msg2" $w, $w3)
        )
    };
}

/// Four rounds in both lanes, and what `$beside` makes beside them.
macro_rules! pair {
    ($schedule:ident $beside:ident ($i:tt $($part:tt)*) $one:tt $other:tt) => {
        concat!(
            four_rounds!($schedule $i "xmm1" "xmm2" $one),
            four_rounds!($schedule $i "xmm3" "xmm4" $other),
            $beside!($($part)*)
        )
    };
}

/// Sixteen rounds. The names of the words move, not the words.
macro_rules! sixteen {
    ($schedule:ident $beside:ident $first:tt $second:tt $third:tt $fourth:tt) => {
        concat!(
            pair!($schedule $beside $first
                ["xmm5" "xmm6" "xmm7" "xmm8"] ["xmm9" "xmm10" "xmm11" "xmm12"]),
            pair!($schedule $beside $second
                ["xmm6" "xmm7" "xmm8" "xmm5"] ["xmm10" "xmm11" "xmm12" "xmm9"]),
            pair!($schedule $beside $third
                ["xmm7" "xmm8" "xmm5" "xmm6"] ["xmm11" "xmm12" "xmm9" "xmm10"]),
            pair!($schedule $beside $fourth
                ["xmm8" "xmm5" "xmm6" "xmm7"] ["xmm12" "xmm9" "xmm10" "xmm11"])
        )
    };
}

/// All rounds of both lanes; beside each four, a block of the cipher and two of its sixteenths.
macro_rules! rounds {
    ($beside:ident) => {
        concat!(
            sixteen!(schedule $beside (0 0 0 1) (1 0 2 3) (2 0 4 5) (3 0 6 7)),
            sixteen!(schedule $beside (4 0 8 9) (5 0 10 11) (6 0 12 13) (7 0 14 15)),
            sixteen!(schedule $beside (8 1 0 1) (9 1 2 3) (10 1 4 5) (11 1 6 7)),
            sixteen!(nothing $beside (12 1 8 9) (13 1 10 11) (14 1 12 13) (15 1 14 15))
        )
    };
}

/// What `$make` makes of the states of two lanes.
macro_rules! states {
    ($make:ident $place:literal) => {
        concat!(
            $make!("xmm1" concat!("[", $place, "]")),
            $make!("xmm2" concat!("[", $place, " + 16]")),
            $make!("xmm3" concat!("[", $place, " + 32]")),
            $make!("xmm4" concat!("[", $place, " + 48]"))
        )
    };
}

macro_rules! load_state {
    ($register:literal $at:expr) => {
        ins!("vmovdqu" $register, $at)
    };
}

macro_rules! add_state {
    ($register:literal $at:expr) => {
        concat!(
            ins!("vpaddd" $register, $register, $at),
            ins!("vmovdqu" $at, $register)
        )
    };
}

/// `$name` of four chains, two in a register, and memory.
macro_rules! chains {
    ($name:literal $place:expr) => {
        concat!(
            ins!($name "ymm16", "ymm16", concat!("[", $place, "]")),
            ins!($name "ymm17", "ymm17", concat!("[", $place, " + 32]"))
        )
    };
}

macro_rules! store_chains {
    ($place:expr) => {
        concat!(
            ins!("vmovdqu64" concat!("[", $place, "]"), "ymm16"),
            ins!("vmovdqu64" concat!("[", $place, " + 32]"), "ymm17")
        )
    };
}

/// A sixteenth of encrypting block `$block` of every lane (CBC).
macro_rules! sixteenth {
    ($block:literal 0) => {
        chains!("vpxorq" concat!("{plain} + 64*", $block))
    };
    ($block:literal 1) => {
        chains!("vpxorq" "{keys}")
    };
    ($block:literal 15) => {
        concat!(
            chains!("vaesenclast" "{keys} + 64*14"),
            store_chains!(concat!("{sealed} + 64*", $block))
        )
    };
    ($block:literal $n:literal) => {
        chains!("vaesenc" concat!("{keys} + 64*", $n, " - 64"))
    };
}

/// An eighth of a block of all four lanes, beside four rounds of a pair. So a pair takes as long
/// as two blocks, and two pairs take as long as a step.
macro_rules! eighth {
    ($block:tt $n:tt $next:tt) => {
        concat!(sixteenth!($block $n), sixteenth!($block $next))
    };
}

/// Names the registers as changed whose upper halves are cleared.
macro_rules! asm_with_registers {
    ($($code:tt)*) => {
        asm!(
            // Upper halves that are not zero make SHA-NI slow (see the module above).
            "vzeroupper",
            $($code)*
            out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _, out("xmm4") _,
            out("xmm5") _, out("xmm6") _, out("xmm7") _, out("xmm8") _, out("xmm9") _,
            out("xmm10") _, out("xmm11") _, out("xmm12") _, out("xmm13") _,
            out("xmm14") _, out("xmm15") _, options(nostack)
        )
    };
}

/// Hashes `steps` steps, at least one, in each of `COUNT` lanes, an even number. A lane's text
/// advances by its stride in each step.
///
/// # Safety
///
/// The processor has AVX. There is a step at each of `texts`, each time.
#[inline(never)]
#[target_feature(enable = "sha,sse4.1")]
pub(super) unsafe fn hash<const COUNT: usize>(
    states: &mut [State; COUNT],
    texts: &mut [*const u8; COUNT],
    strides: &[usize; COUNT],
    steps: usize,
) {
    assert!(COUNT > 0 && COUNT.is_multiple_of(2) && steps > 0);
    // SAFETY: it reads constants and what the caller promises, changes its arguments within the
    // bounds of their types, and names the registers that it changes.
    unsafe {
        asm_with_registers!(
            "2:",
            // `at` counts bytes of pointers: 16 for a pair, whose states have four times as many.
            "xor {at:e}, {at:e}",
            "3:",
            "mov {one}, [{texts} + {at}]",
            "mov {other}, [{texts} + {at} + 8]",
            states!(load_state "{states} + 4*{at}"),
            load_words!(
                "xmm5" "[{one}]", "xmm6" "[{one} + 16]",
                "xmm7" "[{one} + 32]", "xmm8" "[{one} + 48]",
                "xmm9" "[{other}]", "xmm10" "[{other} + 16]",
                "xmm11" "[{other} + 32]", "xmm12" "[{other} + 48]"
            ),
            "add {one}, [{strides} + {at}]",
            "add {other}, [{strides} + {at} + 8]",
            "mov [{texts} + {at}], {one}",
            "mov [{texts} + {at} + 8], {other}",
            rounds!(nothing),
            states!(add_state "{states} + 4*{at}"),
            "add {at:e}, 16",
            "cmp {at:e}, {end}",
            "jne 3b",
            "dec {left}",
            "jnz 2b",
            states = in(reg) states.as_mut_ptr(),
            texts = in(reg) texts.as_mut_ptr(),
            strides = in(reg) strides.as_ptr(),
            at = out(reg) _,
            one = out(reg) _,
            other = out(reg) _,
            end = const 8 * COUNT,
            left = inout(reg) steps => _,
            order = in(reg) &raw const BYTE_ORDER,
            constants = in(reg) K.0.as_ptr(),
        );
    }
}

/// Hashes a step, `text`, of each of four lanes, and encrypts another, `plain`.
#[inline(never)]
#[target_feature(enable = "sha,sse4.1,avx512f,avx512vl,vaes")]
pub(in super::super) fn hash_and_encrypt(
    states: &mut [State; BESIDE],
    text: &Step<BESIDE>,
    keys: &Keys,
    chains: &mut [__m128i; BESIDE],
    plain: &Step<BESIDE>,
    sealed: &mut Step<BESIDE>,
) {
    // SAFETY: it reads constants, reads and writes its arguments within the bounds of their types,
    // and names the registers that it changes.
    unsafe {
        asm_with_registers!(
            "vmovdqu64 ymm16, [{chains}]",
            "vmovdqu64 ymm17, [{chains} + 32]",
            "mov {left:e}, 2",
            // A pair to hash, and two blocks of every lane to encrypt.
            "2:",
            states!(load_state "{states}"),
            load_words!(
                "xmm5" "[{text}]", "xmm6" "[{text} + 64]",
                "xmm7" "[{text} + 128]", "xmm8" "[{text} + 192]",
                "xmm9" "[{text} + 16]", "xmm10" "[{text} + 80]",
                "xmm11" "[{text} + 144]", "xmm12" "[{text} + 208]"
            ),
            rounds!(eighth),
            states!(add_state "{states}"),
            "add {states}, 64",
            "add {text}, 32",
            "add {plain}, 128",
            "add {sealed}, 128",
            "dec {left:e}",
            "jnz 2b",
            store_chains!("{chains}"),
            left = out(reg) _,
            states = inout(reg) states.as_mut_ptr() => _,
            text = inout(reg) text.as_ptr() => _,
            keys = in(reg) keys.as_ptr(),
            chains = in(reg) chains.as_mut_ptr(),
            plain = inout(reg) plain.as_ptr() => _,
            sealed = inout(reg) sealed.as_mut_ptr() => _,
            order = in(reg) &raw const BYTE_ORDER,
            constants = in(reg) K.0.as_ptr(),
            out("ymm16") _, out("ymm17") _,
        );
    }
}
