//! What is told of a comparison.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::testing::{self, SECOND};

/// A comparison with one made-up run of each transport, after `change`.
fn compared(change: impl Fn(Over, &mut Results)) -> Comparison {
    let mut plan = testing::plan();
    plan.rate = None;
    let mut comparison = Comparison::new(&plan, 1);
    for (index, &over) in Over::ALL.iter().enumerate() {
        let mut results = testing::results();
        results.kernel = testing::environment().fastest;
        change(over, &mut results);
        plan.over = over;
        comparison.note(index, &plan, &results, &testing::environment());
    }
    comparison
}

/// Goal: a comparison says how far it can be trusted, for each transport and in
/// all. Method: a good one; one where the generator was the bound of one; one
/// with a doubt; one that the user ended.
#[test]
fn how_far_it_can_be_trusted() {
    let good = compared(|_, _| {});
    let table = good.table(&testing::environment());
    assert!(table.ends_with("\n\nVALID\n"), "{table}");
    assert!(!table.contains("at least"), "{table}");
    assert_eq!((good.exit_code(true), good.notes().len()), (0, 0));

    let bound = compared(|over, results| {
        if over == Over::Plain {
            results.threads[0].ran = SECOND * 20;
        }
    });
    let table = bound.table(&testing::environment());
    assert_eq!(table.matches("at least 1000").count(), 1, "{table}");
    assert!(table.contains("note: the generator was the bound of plain"));
    let json = bound.json(&testing::environment());
    assert_eq!(json["transports"]["plain"]["at_least"], true);
    assert_eq!(json["transports"]["sealed"]["at_least"], false);
    assert_eq!(json["verdict"], "VALID");

    let doubtful = compared(|over, results| {
        results.tally.account.shed = u64::from(over == Over::Plain);
        results.tally.account.completed -= results.tally.account.shed;
    });
    let json = doubtful.json(&testing::environment());
    assert_eq!(json["transports"]["plain"]["verdict"], "SUSPECT");
    assert_eq!(json["transports"]["sealed"]["verdict"], "VALID");
    assert_eq!(
        (doubtful.exit_code(false), doubtful.exit_code(true)),
        (0, 5)
    );

    let mut ended = compared(|_, _| {});
    (ended.rounds, ended.interrupted) = (7, true);
    let table = ended.table(&testing::environment());
    assert!(table.contains("note: it was interrupted: 1 of 7 rounds are whole"));
    assert!(table.ends_with("\n\nSUSPECT\n"), "{table}");
    let json = ended.json(&testing::environment());
    assert_eq!(
        (&json["interrupted"], &json["rounds"]),
        (&true.into(), &7.into())
    );
    assert_eq!(ended.exit_code(true), 5);
}

/// Goal: a median of an even number is between the two in the middle.
#[test]
fn medians() {
    for (values, due) in [
        (vec![3.0], [3.0, 3.0, 3.0]),
        (vec![4.0, 1.0], [1.0, 2.5, 4.0]),
        (vec![9.0, 1.0, 2.0], [1.0, 2.0, 9.0]),
    ] {
        assert_eq!(Spread::of(values).unwrap().0, due);
    }
    assert!(Spread::of(Vec::new()).is_none());
}

/// Goal: peers that take no memory are told as that, and are nothing to divide
/// by; a percentile of too few is not told.
#[test]
fn what_can_be_told() {
    let none = compared(|_, results| {
        if let Some(server) = &mut results.server {
            server.before.resident = 0;
        }
        results.tally.response.reset();
        results.tally.response.saturating_record_n(1000, 999);
    });
    let json = none.json(&testing::environment());
    let sealed = &json["transports"]["sealed"];
    assert_eq!(sealed["server_kib_per_peer"]["median"], 0.0);
    assert!(sealed["response_p99_us"].is_null());
    assert!(json["ratios"]["sealed_by_plain"]["server_kib_per_peer"].is_null());
}
