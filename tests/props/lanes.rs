//! The numbers and lengths of records for which kernels take different paths, one after the other.
//! [`crate::records`] draws batches of any mixture.

use std::iter::{once, repeat_n};

use sealwire::limits::MAX_PAYLOAD;

use crate::batches::check_every_kernel;
use crate::plan::{Plan, RECORDS};

/// Bytes by which lanes advance.
const STEP: usize = 64;

/// Seals and opens records of these lengths in one batch, with every kernel.
fn check(what: &str, lengths: &[usize]) {
    check_every_kernel(&Plan::of_lengths(lengths), what);
}

/// Goal: every length is right wherever it ends within a step, alone and side by side. Method: all
/// lengths that end in the first steps; one record, and as many equal ones as fill lanes or groups
/// in part, wholly and again; then different ones together.
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

/// Goal: any number of records fills lanes and groups, and empties them, correctly. Method: each
/// number of records: all equal; each longer or shorter than the last by a block or a step; and
/// with one or two that continue when all others, short or in lanes, have ended.
#[test]
fn every_number_of_records() {
    for count in 0..=RECORDS {
        let check = |what: &str, lengths: &mut dyn Iterator<Item = usize>| {
            let lengths: Vec<usize> = lengths.collect();
            check(&format!("{count} records, {what}"), &lengths);
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

/// Goal: records of the greatest length are right beside each other. Method: as many as fill lanes
/// of each width, one fewer and one more.
#[test]
fn full_records() {
    for count in [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 65] {
        check(&format!("{count} full"), &vec![MAX_PAYLOAD; count]);
    }
}
