//! Which records and which lanes go through sets of 16, depending on the processor.

use std::arch::x86_64::__cpuid;

use super::super::aesni;
use super::transpose::SET;

/// How the processor executes an instruction on 512 bits.
#[derive(Clone, Copy)]
pub(in crate::crypto::kernel) enum Units {
    /// At once.
    Whole,
    /// In two halves, so lanes never go in sets. (Zen 4, to seal one of 64 records, us without and
    /// with sets: of 64 B 0.085 and 0.115, of 300 B 0.231 and 0.214, of 1000 B 0.46 and 0.49, of
    /// 16 KiB 5.6 and 6.3. To open, sets were never faster.)
    Halves,
}

/// Up to this many active lanes are faster in [`aesni`] than in a set. (Xeon, family 6, model 207:
/// eight records of 16 KiB take 1.5 times as long in sets.)
const ALONE: usize = aesni::LANES;
/// Up to this many lanes are faster in [`aesni`] beside a full set than in a second set. (The same
/// processor: 20 records of 1 KiB take 1.3 times as long in two sets.)
const BESIDE: usize = 4;

/// How many sets `active` lanes take. Lanes behind them go to the other engine.
pub(super) fn sets(active: usize) -> usize {
    if active <= ALONE {
        0
    } else if active <= SET + BESIDE {
        1
    } else {
        2
    }
}

impl Units {
    /// What this processor does.
    pub(in super::super) fn detect() -> Self {
        // AMD64 Architecture Programmer's Manual, volume 3, E.4.17: units of 256 bits and not of
        // 512. Processors of other makers do not have the leaf.
        const HIGHEST: u32 = 0x8000_0000;
        const UNITS: u32 = 0x8000_001a;
        const FP256: u32 = 1 << 2;
        const FP512: u32 = 1 << 3;
        // SAFETY: every 64-bit processor has the instruction. (Newer compilers know that.)
        #[allow(unused_unsafe)]
        let eax = |leaf| unsafe { __cpuid(leaf).eax };
        let units = match eax(HIGHEST) >= UNITS {
            true => eax(UNITS),
            false => 0,
        };
        match units & (FP256 | FP512) {
            FP256 => Self::Halves,
            _ => Self::Whole,
        }
    }

    /// Whether `records` records go through sets of lanes.
    pub(in super::super) fn uses_sets(self, records: usize) -> bool {
        matches!(self, Self::Whole) && sets(records) > 0
    }
}
