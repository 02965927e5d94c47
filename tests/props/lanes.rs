//! The numbers and lengths of records that kernels take different ways for, one
//! after the other. What is together in one batch is drawn in [`crate::records`].

use std::iter::{once, repeat_n};

use sealwire::crypto::batch::{OpenBatch, SealBatch};
use sealwire::crypto::kernel::Kernel;
use sealwire::limits::MAX_PAYLOAD;

use crate::batches::{Keys, arrived, open, seal};
use crate::plan::{Plan, RECORDS};

/// A piece that lanes go on by.
const STEP: usize = 64;

/// Seals and opens records of these lengths in one batch, with every kernel; `of`
/// says what they are.
fn check(of: &str, lengths: &[usize]) {
    let plan = Plan::of_lengths(lengths);
    let sealed = plan.all_sealed();
    let arrived = arrived(&plan.records, &sealed);
    for kernel in Kernel::all() {
        let mut output = plan.empty_output();
        let mut keys = Keys::new(kernel, &plan);
        seal(
            &mut SealBatch::default(),
            &mut keys,
            &plan.records,
            &mut output,
        );
        assert!(output == sealed, "{kernel:?}: {of}");

        let mut keys = Keys::new(kernel, &plan);
        let opened = open(&mut OpenBatch::default(), &mut keys, &arrived);
        for (record, opened) in plan.records.iter().zip(opened) {
            assert!(opened.is(&plan.plaintext(record)), "{kernel:?}: {of}");
        }
    }
}

/// Goal: every length is right wherever it ends within a step, alone and side by
/// side. Method: all that end in the first steps; one record, and as many equal ones as
/// fill lanes or groups in part, wholly and again; then different ones together.
#[test]
fn every_short_length() {
    for len in 0..=300 {
        for count in [1, 2, 3, 4, 5, 8, 9, 17, 32, 40] {
            check(&format!("{count} of {len}"), &vec![len; count]);
        }
    }
    for first in (0..=300).step_by(20) {
        let lengths: Vec<usize> = (first..first + 40).collect();
        check(&format!("{first} and up"), &lengths);
    }
}

/// Goal: any number of records fills lanes and groups, and empties them, right. Method:
/// each number of records, all equal, ever longer or shorter by a block or a step,
/// and with one or two among them that go on when all others are over; which have lanes
/// everywhere, or are short.
#[test]
fn every_number_of_records() {
    for count in 0..=RECORDS {
        let check = |of: &str, lengths: &mut dyn Iterator<Item = usize>| {
            let lengths: Vec<usize> = lengths.collect();
            check(&format!("{count} records, {of}"), &lengths);
        };
        check("equal", &mut repeat_n(count, count));
        check("by blocks", &mut (0..count).map(|n| n * 16));
        check("by steps, down", &mut (0..count).rev().map(|n| n * STEP));
        for len in [20, 100] {
            let others = |count| repeat_n(len, count);
            let half = count / 2;
            check("one long first", &mut once(3000).chain(others(count)));
            check("one long last", &mut others(count).chain(once(3000)));
            let within = others(half).chain([2000, 3000]).chain(others(half));
            check("two long within", &mut { within });
        }
    }
}

/// Goal: records of the greatest length are right beside each other. Method: as
/// many as fill lanes of each width, one less and one more.
#[test]
fn full_records() {
    for count in [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 65] {
        check(&format!("{count} full"), &vec![MAX_PAYLOAD; count]);
    }
}
