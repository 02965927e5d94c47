//! SHA-256 in 32 lanes, and AES-256 CBC in as many beside it, in assembly.
//!
//! The speed depends on where every value is and in which order instructions start. Registers 0
//! to 15 hold the states of two sets of 16 lanes, 16 to 23 hold text, and 24 to 31 are scratch.
//! Words and keys are read from the cache. With intrinsics instead, a compiler runs out of
//! registers, and puts chains in sequence that should run side by side.
//!
//! A round of SHA-256 waits for the one before. So rounds of the two sets alternate, with the
//! message schedule between them, and in [`hash_and_encrypt`](two_sets::hash_and_encrypt) a round
//! of AES for other text: 16 rounds go with a block of every lane, and 64 with a step.
//!
//! Each function exists once for each number of sets. The first-level cache of instructions has
//! little more room than they need.
//!
//! Why their time tells nothing about secrets: `docs/CONSTANT_TIME.md`.

use std::arch::asm;
use std::arch::x86_64::__m512i;

use super::super::aesni::aes256::ROUNDS;
use super::super::engine::STEP_BLOCKS;
use super::super::shani::sha256::K;

/// The states of two sets of lanes, word by word.
pub(super) type States = [[__m512i; 8]; 2];
/// What two sets hash in a step, word by word.
pub(super) type Words = [[__m512i; 16]; 2];
/// A block of every lane of both.
pub(super) type Blocks = [__m512i; 8];
/// The keys of each round, for every lane.
pub(super) type Keys = [Blocks; ROUNDS + 1];

/// What `$make` makes of each register.
macro_rules! each {
    ($make:ident $arguments:tt $($register:literal)*) => {
        concat!($($make!($arguments $register),)*)
    };
}

/// The part of register `$n` of what is at `$place`, from register `$first` on.
macro_rules! part {
    ($place:expr, $first:literal, $n:literal) => {
        concat!("[", $place, " + 64*", $n, " - 64*", $first, "]")
    };
}

macro_rules! load {
    (($place:expr, $first:literal) $n:literal) => {
        ins!("vmovdqa64" concat!("zmm", $n), part!($place, $first, $n))
    };
}

macro_rules! store {
    (($place:expr, $first:literal) $n:literal) => {
        ins!("vmovdqa64" part!($place, $first, $n), concat!("zmm", $n))
    };
}

/// `$name` of register `$n` and what is in memory.
macro_rules! combine {
    (($name:literal, $place:expr, $first:literal) $n:literal) => {
        ins!($name concat!("zmm", $n), concat!("zmm", $n), part!($place, $first, $n))
    };
}

macro_rules! states {
    (one $make:ident $arguments:tt) => {
        each!($make $arguments 0 1 2 3 4 5 6 7)
    };
    (two $make:ident $arguments:tt) => {
        each!($make $arguments 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
    };
}

macro_rules! chains {
    (one $make:ident $arguments:tt) => {
        each!($make $arguments 16 17 18 19)
    };
    (two $make:ident $arguments:tt) => {
        each!($make $arguments 16 17 18 19 20 21 22 23)
    };
}

/// A sixteenth of encrypting a block of every lane (CBC).
macro_rules! aes {
    ($sets:ident 0) => {
        chains!($sets combine("vpxorq", "{plain}", 16))
    };
    ($sets:ident 1) => {
        chains!($sets combine("vpxorq", "{keys}", 16))
    };
    ($sets:ident 15) => {
        concat!(
            chains!($sets combine("vaesenclast", "{keys} + 14*512", 16)),
            chains!($sets store("{sealed}", 16))
        )
    };
    ($sets:ident $n:literal) => {
        chains!($sets combine(
            "vaesenc",
            concat!("{keys} + ", $n, "*512 - 512"),
            16
        ))
    };
}

/// Word `$i` of what set `$set` hashes.
macro_rules! word {
    ($set:literal $i:literal) => {
        concat!("[{words} + 1024*", $set, " + 64*", $i, "]")
    };
}

/// A round of one set (FIPS 180-4 §6.2.2), in place: h becomes the new a, and d the new e.
macro_rules! round {
    (
        [$a:literal $b:literal $c:literal $d:literal $e:literal $f:literal $g:literal $h:literal]
        [$x:literal $y:literal $z:literal] $set:literal $i:literal
    ) => {
        concat!(
            ins!("vpaddd" $h, $h, word!($set $i)),
            ins!("vprord" $x, $e, 6),
            ins!("vprord" $y, $e, 11),
            ins!("vprord" $z, $e, 25),
            ins!("vpaddd" $h, $h, concat!("dword ptr [{constants} + 4*", $i, "]{{1to16}}")),
            ins!("vpternlogd" $x, $y, $z, "0x96"), // all three, exclusive or
            ins!("vmovdqa64" $y, $e),
            ins!("vpternlogd" $y, $f, $g, "0xca"), // e ? f : g
            ins!("vpaddd" $h, $h, $y),
            ins!("vpaddd" $h, $h, $x),
            ins!("vpaddd" $d, $d, $h),
            ins!("vprord" $x, $a, 2),
            ins!("vprord" $y, $a, 13),
            ins!("vprord" $z, $a, 22),
            ins!("vpternlogd" $x, $y, $z, "0x96"),
            ins!("vmovdqa64" $y, $a),
            ins!("vpternlogd" $y, $b, $c, "0xe8"), // the majority
            ins!("vpaddd" $h, $h, $y),
            ins!("vpaddd" $h, $h, $x)
        )
    };
}

/// The word that replaces word `$i` 16 rounds later.
macro_rules! schedule {
    (
        [$w:literal $x:literal $y:literal $z:literal] $set:literal
        $i:literal $i1:literal $i9:literal $i14:literal
    ) => {
        concat!(
            ins!("vmovdqa64" $x, word!($set $i1)),
            ins!("vmovdqa64" $w, word!($set $i14)),
            ins!("vprord" $y, $x, 7),
            ins!("vprord" $z, $x, 18),
            ins!("vpsrld" $x, $x, 3),
            ins!("vpternlogd" $x, $y, $z, "0x96"),
            ins!("vprord" $y, $w, 17),
            ins!("vprord" $z, $w, 19),
            ins!("vpsrld" $w, $w, 10),
            ins!("vpternlogd" $w, $y, $z, "0x96"),
            ins!("vpaddd" $x, $x, word!($set $i)),
            ins!("vpaddd" $w, $w, word!($set $i9)),
            ins!("vpaddd" $x, $x, $w),
            ins!("vmovdqa64" word!($set $i), $x)
        )
    };
}

/// Rounds of one set or of two. The names of the words of the states move, not the words.
macro_rules! rounds {
    ($sets:ident $schedule:ident $aes:ident $first:tt $second:tt) => {
        ""
    };
    (
        one $schedule:ident $aes:ident
        [$a:literal $b:literal $c:literal $d:literal $e:literal $f:literal $g:literal $h:literal]
        $second:tt ($i:tt $i1:tt $i9:tt $i14:tt) $($more:tt)*
    ) => {
        concat!(
            round!([$a $b $c $d $e $f $g $h] ["zmm24" "zmm25" "zmm26"] 0 $i),
            $schedule!(["zmm30" "zmm27" "zmm28" "zmm29"] 0 $i $i1 $i9 $i14),
            $aes!(one $i),
            rounds!(one $schedule $aes [$h $a $b $c $d $e $f $g] $second $($more)*)
        )
    };
    (
        two $schedule:ident $aes:ident
        [$a:literal $b:literal $c:literal $d:literal $e:literal $f:literal $g:literal $h:literal]
        [$m:literal $n:literal $o:literal $p:literal $q:literal $r:literal $s:literal $t:literal]
        ($i:tt $i1:tt $i9:tt $i14:tt) $($more:tt)*
    ) => {
        concat!(
            round!([$a $b $c $d $e $f $g $h] ["zmm24" "zmm25" "zmm26"] 0 $i),
            $schedule!(["zmm30" "zmm24" "zmm25" "zmm26"] 0 $i $i1 $i9 $i14),
            $aes!(two $i),
            round!([$m $n $o $p $q $r $s $t] ["zmm27" "zmm28" "zmm29"] 1 $i),
            $schedule!(["zmm31" "zmm27" "zmm28" "zmm29"] 1 $i $i1 $i9 $i14),
            rounds!(two $schedule $aes [$h $a $b $c $d $e $f $g] [$t $m $n $o $p $q $r $s] $($more)*)
        )
    };
}

/// Sixteen rounds, with the words that the schedule needs in each.
macro_rules! sixteen {
    ($sets:ident $schedule:ident $aes:ident) => {
        rounds!(
            $sets $schedule $aes
            ["zmm0" "zmm1" "zmm2" "zmm3" "zmm4" "zmm5" "zmm6" "zmm7"]
            ["zmm8" "zmm9" "zmm10" "zmm11" "zmm12" "zmm13" "zmm14" "zmm15"]
            (0 1 9 14) (1 2 10 15) (2 3 11 0) (3 4 12 1) (4 5 13 2) (5 6 14 3) (6 7 15 4)
            (7 8 0 5) (8 9 1 6) (9 10 2 7) (10 11 3 8) (11 12 4 9) (12 13 5 10) (13 14 6 11)
            (14 15 7 12) (15 0 8 13)
        )
    };
}

/// Names all 32 registers as changed.
macro_rules! asm_with_registers {
    ($($code:tt)*) => {
        asm!(
            $($code)*
            out("zmm0") _, out("zmm1") _, out("zmm2") _, out("zmm3") _, out("zmm4") _,
            out("zmm5") _, out("zmm6") _, out("zmm7") _, out("zmm8") _, out("zmm9") _,
            out("zmm10") _, out("zmm11") _, out("zmm12") _, out("zmm13") _, out("zmm14") _,
            out("zmm15") _, out("zmm16") _, out("zmm17") _, out("zmm18") _, out("zmm19") _,
            out("zmm20") _, out("zmm21") _, out("zmm22") _, out("zmm23") _, out("zmm24") _,
            out("zmm25") _, out("zmm26") _, out("zmm27") _, out("zmm28") _, out("zmm29") _,
            out("zmm30") _, out("zmm31") _, options(nostack)
        )
    };
}

/// The functions for one set or two.
macro_rules! functions {
    ($sets:ident) => {
        /// Hashes a step. The words are lost.
        #[inline(never)]
        #[target_feature(enable = "avx512f")]
        pub(in super::super) fn hash(states: &mut States, words: &mut Words) {
            // SAFETY: it reads K, reads and writes its arguments within the bounds of their types,
            // and names the registers that it changes.
            unsafe {
                asm_with_registers!(
                    states!($sets load("{states}", 0)),
                    "mov {left:e}, 3",
                    "2:",
                    sixteen!($sets schedule nothing),
                    "add {constants}, 64",
                    "dec {left:e}",
                    "jnz 2b",
                    sixteen!($sets nothing nothing),
                    states!($sets combine("vpaddd", "{states}", 0)),
                    states!($sets store("{states}", 0)),
                    left = out(reg) _,
                    states = in(reg) states.as_mut_ptr(),
                    words = in(reg) words.as_mut_ptr(),
                    constants = inout(reg) K.0.as_ptr() => _,
                );
            }
        }

        /// Hashes a step and encrypts another. The words are lost.
        #[inline(never)]
        #[target_feature(enable = "avx512f,vaes")]
        pub(in super::super) fn hash_and_encrypt(
            states: &mut States,
            words: &mut Words,
            keys: &Keys,
            chains: &mut Blocks,
            plain: &[Blocks; STEP_BLOCKS],
            sealed: &mut [Blocks; STEP_BLOCKS],
        ) {
            // SAFETY: as above.
            unsafe {
                asm_with_registers!(
                    states!($sets load("{states}", 0)),
                    chains!($sets load("{chains}", 16)),
                    "mov {left:e}, 3",
                    "2:",
                    sixteen!($sets schedule aes),
                    "add {constants}, 64",
                    "add {plain}, 512",
                    "add {sealed}, 512",
                    "dec {left:e}",
                    "jnz 2b",
                    sixteen!($sets nothing aes),
                    states!($sets combine("vpaddd", "{states}", 0)),
                    states!($sets store("{states}", 0)),
                    chains!($sets store("{chains}", 16)),
                    left = out(reg) _,
                    states = in(reg) states.as_mut_ptr(),
                    words = in(reg) words.as_mut_ptr(),
                    constants = inout(reg) K.0.as_ptr() => _,
                    keys = in(reg) keys.as_ptr(),
                    chains = in(reg) chains.as_mut_ptr(),
                    plain = inout(reg) plain.as_ptr() => _,
                    sealed = inout(reg) sealed.as_mut_ptr() => _,
                );
            }
        }

        /// Encrypts the first blocks of a step, at least one.
        #[inline(never)]
        #[target_feature(enable = "avx512f,vaes")]
        pub(in super::super) fn encrypt(
            blocks: usize,
            keys: &Keys,
            chains: &mut Blocks,
            plain: &[Blocks; STEP_BLOCKS],
            sealed: &mut [Blocks; STEP_BLOCKS],
        ) {
            assert!((1..=STEP_BLOCKS).contains(&blocks));
            // SAFETY: as above.
            unsafe {
                asm_with_registers!(
                    chains!($sets load("{chains}", 16)),
                    "2:",
                    aes!($sets 0), aes!($sets 1), aes!($sets 2), aes!($sets 3),
                    aes!($sets 4), aes!($sets 5), aes!($sets 6), aes!($sets 7),
                    aes!($sets 8), aes!($sets 9), aes!($sets 10), aes!($sets 11),
                    aes!($sets 12), aes!($sets 13), aes!($sets 14), aes!($sets 15),
                    "add {plain}, 512",
                    "add {sealed}, 512",
                    "dec {left:e}",
                    "jnz 2b",
                    chains!($sets store("{chains}", 16)),
                    left = inout(reg) blocks => _,
                    keys = in(reg) keys.as_ptr(),
                    chains = in(reg) chains.as_mut_ptr(),
                    plain = inout(reg) plain.as_ptr() => _,
                    sealed = inout(reg) sealed.as_mut_ptr() => _,
                );
            }
        }
    };
}

/// One set: 16 lanes.
pub(super) mod one_set {
    use super::*;

    functions!(one);
}

/// Two sets: 32 lanes, in a fifth more time.
pub(super) mod two_sets {
    use super::*;

    functions!(two);
}
