//! SHA-256 in pairs of lanes, with SHA-NI, and AES-256 in four beside two pairs, with
//! VAES, in assembly: for the same reasons as [`super::stitch512`], in the same way.
//!
//! The unit for SHA-256 begins an instruction every other cycle, and each takes four: two
//! lanes keep it busy, and leave room for all their words in registers. Pairs take turns
//! at every step, because what one waits for at its end is time for the next. Beside them
//! rounds of AES are as good as free, while its chains wait for themselves. (Zen 4, ns for
//! a step of a lane: to hash, 16.8 in this way, 19.6 in fours with words in memory; to
//! seal, 23.5 and 30.1.)

use std::arch::asm;
use std::arch::x86_64::__m128i;

use super::aes::ROUNDS;
use super::front::STEP_BLOCKS;
use super::sha::{BYTE_ORDER, K, State};

/// Lanes that [`hash_and_encrypt`] works on.
pub(super) const FOUR: usize = 4;
/// A step of so many lanes, block by block.
pub(super) type Text<const COUNT: usize> = [[__m128i; COUNT]; STEP_BLOCKS];
/// The keys of each round, for four lanes.
pub(super) type Keys = [[__m128i; FOUR]; ROUNDS + 1];

/// Four words of a lane, as they are hashed.
macro_rules! load_words {
    ($($word:literal $at:expr),*) => {
        concat!($(
            ins!("vmovdqu" $word, $at),
            ins!("vpshufb" $word, $word, "[{order}]"),
        )*)
    };
}

/// Four rounds in a lane; and the words that take the place of theirs, 16 rounds later.
macro_rules! four_rounds {
    (
        $schedule:ident $i:literal $abef:literal $cdgh:literal
        [$w:literal $w1:literal $w2:literal $w3:literal] $temporary:literal
    ) => {
        concat!(
            // The instruction has its third operand in xmm0.
            ins!("vpaddd" "xmm0", $w, concat!("[{constants} + 16*", $i, "]")),
            ins!("sha256rnds2" $cdgh, $abef),
            ins!("vpshufd" "xmm0", "xmm0", "0x0e"),
            ins!("sha256rnds2" $abef, $cdgh),
            $schedule!($w $w1 $w2 $w3 $temporary)
        )
    };
}

macro_rules! schedule {
    ($w:literal $w1:literal $w2:literal $w3:literal $temporary:literal) => {
        concat!(
            ins!("sha256msg1" $w, $w1),
            ins!("vpalignr" $temporary, $w3, $w2, 4),
            ins!("vpaddd" $w, $w, $temporary),
            ins!("sha256msg2" $w, $w3)
        )
    };
}

/// All rounds in both lanes, and beside every four of them what `$beside` makes.
/// Instead of the words, their names move.
macro_rules! rounds {
    ($beside:ident) => {
        rounds!(
            $beside
            schedule 0 ["xmm5" "xmm6" "xmm7" "xmm8"] ["xmm9" "xmm10" "xmm11" "xmm12"]
            schedule 1 ["xmm6" "xmm7" "xmm8" "xmm5"] ["xmm10" "xmm11" "xmm12" "xmm9"]
            schedule 2 ["xmm7" "xmm8" "xmm5" "xmm6"] ["xmm11" "xmm12" "xmm9" "xmm10"]
            schedule 3 ["xmm8" "xmm5" "xmm6" "xmm7"] ["xmm12" "xmm9" "xmm10" "xmm11"]
            schedule 4 ["xmm5" "xmm6" "xmm7" "xmm8"] ["xmm9" "xmm10" "xmm11" "xmm12"]
            schedule 5 ["xmm6" "xmm7" "xmm8" "xmm5"] ["xmm10" "xmm11" "xmm12" "xmm9"]
            schedule 6 ["xmm7" "xmm8" "xmm5" "xmm6"] ["xmm11" "xmm12" "xmm9" "xmm10"]
            schedule 7 ["xmm8" "xmm5" "xmm6" "xmm7"] ["xmm12" "xmm9" "xmm10" "xmm11"]
            schedule 8 ["xmm5" "xmm6" "xmm7" "xmm8"] ["xmm9" "xmm10" "xmm11" "xmm12"]
            schedule 9 ["xmm6" "xmm7" "xmm8" "xmm5"] ["xmm10" "xmm11" "xmm12" "xmm9"]
            schedule 10 ["xmm7" "xmm8" "xmm5" "xmm6"] ["xmm11" "xmm12" "xmm9" "xmm10"]
            schedule 11 ["xmm8" "xmm5" "xmm6" "xmm7"] ["xmm12" "xmm9" "xmm10" "xmm11"]
            nothing 12 ["xmm5" "xmm6" "xmm7" "xmm8"] ["xmm9" "xmm10" "xmm11" "xmm12"]
            nothing 13 ["xmm6" "xmm7" "xmm8" "xmm5"] ["xmm10" "xmm11" "xmm12" "xmm9"]
            nothing 14 ["xmm7" "xmm8" "xmm5" "xmm6"] ["xmm11" "xmm12" "xmm9" "xmm10"]
            nothing 15 ["xmm8" "xmm5" "xmm6" "xmm7"] ["xmm12" "xmm9" "xmm10" "xmm11"]
        )
    };
    ($beside:ident $($schedule:ident $i:tt $one:tt $other:tt)*) => {
        concat!($(
            four_rounds!($schedule $i "xmm1" "xmm2" $one "xmm13"),
            four_rounds!($schedule $i "xmm3" "xmm4" $other "xmm14"),
            $beside!($i),
        )*)
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

/// What `$make` makes of four chains, two in a register, and what is at the same place.
macro_rules! chains {
    ($make:ident $arguments:tt $place:expr) => {
        concat!(
            $make!($arguments "ymm16" concat!("[", $place, "]")),
            $make!($arguments "ymm17" concat!("[", $place, " + 32]"))
        )
    };
}

macro_rules! load {
    (() $register:literal $at:expr) => {
        ins!("vmovdqu64" $register, $at)
    };
}

macro_rules! store {
    (() $register:literal $at:expr) => {
        ins!("vmovdqu64" $at, $register)
    };
}

macro_rules! combine {
    (($name:literal) $register:literal $at:expr) => {
        ins!($name $register, $register, $at)
    };
}

/// A sixteenth of encrypting block `$block` from here of every lane (CBC).
macro_rules! sixteenth {
    ($block:literal 0) => {
        chains!(combine ("vpxorq") concat!("{plain} + 64*", $block))
    };
    ($block:literal 1) => {
        chains!(combine ("vpxorq") "{keys}")
    };
    ($block:literal 15) => {
        concat!(
            chains!(combine ("vaesenclast") "{keys} + 64*14"),
            chains!(store () concat!("{sealed} + 64*", $block))
        )
    };
    ($block:literal $n:literal) => {
        chains!(combine ("vaesenc") concat!("{keys} + 64*", $n, " - 64"))
    };
}

/// What is encrypted beside four rounds of a pair of four lanes: an eighth of a block, so
/// that both pairs are hashed when four blocks are encrypted.
macro_rules! eighth {
    (0) => { eighth!(0: 0 1) };
    (1) => { eighth!(0: 2 3) };
    (2) => { eighth!(0: 4 5) };
    (3) => { eighth!(0: 6 7) };
    (4) => { eighth!(0: 8 9) };
    (5) => { eighth!(0: 10 11) };
    (6) => { eighth!(0: 12 13) };
    (7) => { eighth!(0: 14 15) };
    (8) => { eighth!(1: 0 1) };
    (9) => { eighth!(1: 2 3) };
    (10) => { eighth!(1: 4 5) };
    (11) => { eighth!(1: 6 7) };
    (12) => { eighth!(1: 8 9) };
    (13) => { eighth!(1: 10 11) };
    (14) => { eighth!(1: 12 13) };
    (15) => { eighth!(1: 14 15) };
    ($block:tt: $n:tt $next:tt) => {
        concat!(sixteenth!($block $n), sixteenth!($block $next))
    };
}

/// Names all registers that SHA-NI can have as changed: the upper halves of all are
/// cleared.
macro_rules! asm_with_registers {
    ($($code:tt)*) => {
        asm!(
            // What is left in the upper halves would be waited for.
            "vzeroupper",
            $($code)*
            out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _, out("xmm4") _,
            out("xmm5") _, out("xmm6") _, out("xmm7") _, out("xmm8") _, out("xmm9") _,
            out("xmm10") _, out("xmm11") _, out("xmm12") _, out("xmm13") _,
            out("xmm14") _, out("xmm15") _, options(nostack)
        )
    };
}

/// Hashes so many steps, at least one, of each of an even number of lanes; in each step,
/// a lane's text goes on by its stride.
///
/// # Safety
///
/// There is a step at each of `texts`, each time.
#[inline(never)]
#[target_feature(enable = "sha,sse4.1,avx")]
pub(super) unsafe fn hash<const COUNT: usize>(
    states: &mut [State; COUNT],
    texts: &mut [*const u8; COUNT],
    strides: &[usize; COUNT],
    steps: usize,
) {
    const { assert!(COUNT > 0 && COUNT.is_multiple_of(2)) };
    assert!(steps > 0);
    // SAFETY: it reads constants, and what the caller promises, and changes what it is
    // given, within the bounds of the types, and says which registers it changes.
    unsafe {
        asm_with_registers!(
            "2:",
            "xor {pair:e}, {pair:e}",
            "3:",
            "mov {one}, [{texts} + {pair}]",
            "mov {other}, [{texts} + {pair} + 8]",
            states!(load_state "{states} + 4*{pair}"),
            load_words!(
                "xmm5" "[{one}]", "xmm6" "[{one} + 16]",
                "xmm7" "[{one} + 32]", "xmm8" "[{one} + 48]",
                "xmm9" "[{other}]", "xmm10" "[{other} + 16]",
                "xmm11" "[{other} + 32]", "xmm12" "[{other} + 48]"
            ),
            "add {one}, [{strides} + {pair}]",
            "add {other}, [{strides} + {pair} + 8]",
            "mov [{texts} + {pair}], {one}",
            "mov [{texts} + {pair} + 8], {other}",
            rounds!(nothing),
            states!(add_state "{states} + 4*{pair}"),
            "add {pair:e}, 16",
            "cmp {pair:e}, {end}",
            "jne 3b",
            "dec {left}",
            "jnz 2b",
            states = in(reg) states.as_mut_ptr(),
            texts = in(reg) texts.as_mut_ptr(),
            strides = in(reg) strides.as_ptr(),
            pair = out(reg) _,
            one = out(reg) _,
            other = out(reg) _,
            end = const 8 * COUNT,
            left = inout(reg) steps => _,
            order = in(reg) BYTE_ORDER.0.as_ptr(),
            constants = in(reg) K.0.as_ptr(),
        );
    }
}

/// Hashes a step, `text`, of each of four lanes, and encrypts another, `plain`.
#[inline(never)]
#[target_feature(enable = "sha,sse4.1,avx512f,avx512vl,vaes")]
pub(super) fn hash_and_encrypt(
    states: &mut [State; FOUR],
    text: &Text<FOUR>,
    keys: &Keys,
    chains: &mut [__m128i; FOUR],
    plain: &Text<FOUR>,
    sealed: &mut Text<FOUR>,
) {
    // SAFETY: it reads constants and reads and writes what it is given, all within the
    // bounds of the types, and says which registers it changes.
    unsafe {
        asm_with_registers!(
            chains!(load () "{chains}"),
            "mov {left:e}, 2",
            // A pair to hash, and two blocks of all to encrypt.
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
            chains!(store () "{chains}"),
            left = out(reg) _,
            states = inout(reg) states.as_mut_ptr() => _,
            text = inout(reg) text.as_ptr() => _,
            keys = in(reg) keys.as_ptr(),
            chains = in(reg) chains.as_mut_ptr(),
            plain = inout(reg) plain.as_ptr() => _,
            sealed = inout(reg) sealed.as_mut_ptr() => _,
            order = in(reg) BYTE_ORDER.0.as_ptr(),
            constants = in(reg) K.0.as_ptr(),
            out("ymm16") _, out("ymm17") _,
        );
    }
}
