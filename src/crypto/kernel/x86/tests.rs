//! Every path of these kernels gives the same bytes, also paths that this processor would
//! not choose.

#![allow(clippy::unwrap_used)]

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::*;
use crate::crypto::check::{Records, gives_right_answers};
use crate::crypto::kernel::{Choice, Kernel};
use crate::limits::BLOCK;

/// Kernels as each kind of processor takes them.
fn kernels() -> Option<[Kernel; 3]> {
    let Some(token) = Avx512::detect() else {
        eprintln!("skipped: this processor lacks AVX-512");
        return None;
    };
    let features = [
        Features::AesNi(token.aesni()),
        Features::Avx512(token, Units::Whole),
        Features::Avx512(token, Units::Halves),
    ];
    Some(features.map(|features| Kernel(Choice::X86(features))))
}

/// Goal: the bytes are the same however a processor shares records out between engines. Method:
/// the known answers, as processors other than this one give them.
#[test]
fn known_answers_on_other_processors() {
    for kernel in kernels().into_iter().flatten() {
        assert!(gives_right_answers(kernel));
    }
}

/// Goal: every kind of processor seals a batch of short and long records as `portable` does, and
/// opens it. Method: draw their lengths, and how many zeros end them.
#[test]
fn as_portable_on_other_processors() {
    let Some(kernels) = kernels() else {
        return;
    };
    let blocks = prop_oneof![1..9_usize, 1..60_usize];
    let record = (blocks, prop_oneof![0..BLOCK, 0..200_usize])
        .prop_map(|(blocks, zeros)| ((blocks * BLOCK - 1).saturating_sub(zeros), blocks));
    let same = |lens: Vec<(usize, usize)>| {
        let records = Records::in_one_batch(lens);
        let sealed = records.sealed(Kernel::PORTABLE);
        for kernel in kernels {
            prop_assert!(records.sealed(kernel) == sealed);
            prop_assert!(records.open(kernel, sealed.clone()));
        }
        Ok(())
    };
    TestRunner::default()
        .run(&vec(record, 1..80), same)
        .unwrap();
}
