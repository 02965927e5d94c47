//! What is told of a comparison, of made-up runs.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::plan::Over;
use crate::results::Results;
use crate::testing::{self, SECOND};

/// A comparison with one made-up run of each transport, after `change`.
fn compared(change: impl Fn(Over, &mut Results)) -> Comparison {
    let mut plan = testing::plan();
    plan.rate = None;
    let mut comparison = Comparison::new(&plan, 1, testing::environment().fastest);
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
/// all. Method: a good one; one where the load tester was the bound of one; one
/// with a doubt; one that the user ended.
#[test]
fn how_far_it_can_be_trusted() {
    let good = compared(|_, _| {});
    let shown = table(&good, &testing::environment());
    assert!(shown.ends_with("\n\nVALID\n"), "{shown}");
    assert!(!shown.contains("at least"), "{shown}");
    assert_eq!((exit_code(&good, true), notes(&good).len()), (0, 0));

    let bound = compared(|over, results| {
        if over == Over::Plain {
            results.threads[0].ran = SECOND * 20;
        }
    });
    let shown = table(&bound, &testing::environment());
    assert_eq!(shown.matches("at least 1000").count(), 1, "{shown}");
    assert!(shown.contains("note: the load tester was the bound of plain"));
    let value = json(&bound, &testing::environment());
    assert_eq!(value["transports"]["plain"]["at_least"], true);
    assert_eq!(value["transports"]["sealed"]["at_least"], false);
    assert_eq!(value["verdict"], "VALID");

    let doubtful = compared(|over, results| {
        results.tally.account.shed = u64::from(over == Over::Plain);
        results.tally.account.completed -= results.tally.account.shed;
    });
    let value = json(&doubtful, &testing::environment());
    assert_eq!(value["transports"]["plain"]["verdict"], "SUSPECT");
    assert_eq!(value["transports"]["sealed"]["verdict"], "VALID");
    assert_eq!(
        (exit_code(&doubtful, false), exit_code(&doubtful, true)),
        (0, 5)
    );

    let mut ended = compared(|_, _| {});
    (ended.rounds, ended.interrupted) = (7, true);
    let shown = table(&ended, &testing::environment());
    assert!(shown.contains("note: it was interrupted: 1 of 7 rounds are whole"));
    assert!(shown.ends_with("\n\nSUSPECT\n"), "{shown}");
    let value = json(&ended, &testing::environment());
    assert_eq!(
        (&value["interrupted"], &value["rounds"]),
        (&true.into(), &7.into())
    );
    assert_eq!(exit_code(&ended, true), 5);
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
    let value = json(&none, &testing::environment());
    let sealed = &value["transports"]["sealed"];
    assert_eq!(sealed["server_kib_per_peer"]["median"], 0.0);
    assert!(sealed["response_p99_us"].is_null());
    assert!(value["ratios"]["sealed_by_plain"]["server_kib_per_peer"].is_null());
}

/// Goal: why figures are in doubt is told by name, for the gravest reasons, too, and so
/// is what went wrong. Method: two runs of each transport, in one of which answers are
/// wrong, others fail and the rate is not reached; a build that is not optimised.
#[test]
fn reasons_have_names() {
    let mut environment = testing::environment();
    environment.profile = "debug";
    let plan = testing::plan();
    let mut comparison = Comparison::new(&plan, 2, environment.fastest);
    for index in 0..Over::ALL.len() {
        comparison.note(index, &plan, &testing::results(), &environment);
        let mut results = testing::results();
        let account = &mut results.tally.account;
        (account.errors, results.tally.wrong) = (3, 3);
        account.completed -= 3;
        results.failed = 2;
        results.rows.iter_mut().for_each(|row| row.completed /= 2);
        results.errors.insert("reset".into(), 2);
        comparison.note(index, &plan, &results, &environment);
    }
    let of_plain = |note: &String| note.starts_with("plain, ");
    let told: Vec<_> = notes(&comparison).into_iter().filter(of_plain).collect();
    assert_eq!(
        told,
        [
            "plain, 1 of 2 runs: answers were wrong",
            "plain, 1 of 2 runs: fewer were answered than due",
            "plain, 1 of 2 runs: messages failed",
            "plain, 1 of 2 runs: peers failed",
            "plain, 2 of 2 runs: this is a debug build",
            "plain, error: 2 reset",
        ]
    );
    assert_eq!(exit_code(&comparison, false), 6);
}

/// Goal: a program finds the runs themselves, with the histograms, the kernel and whose
/// machine it was; and why one could not be made.
#[test]
fn every_run_is_there() {
    let mut comparison = compared(|_, _| {});
    let value = json(&comparison, &testing::environment());
    assert_eq!(
        (&value["kernel"], &value["shares_machine"]),
        (&"portable".into(), &true.into())
    );
    let runs = value["runs"].as_array().unwrap();
    assert_eq!(runs.len(), Over::ALL.len());
    for (run, over) in runs.iter().zip(Over::ALL) {
        assert_eq!(
            (&run["over"], &run["round"]),
            (&over.name().into(), &1.into())
        );
        assert!(run["response_ns"]["hdr_v2"].is_string());
    }
    let ratio = &value["ratios"]["sealed_by_plain"]["messages_per_second"];
    assert_eq!(ratio["rounds"], 1);
    let failures = &mut comparison.transports[0].failures;
    failures.insert("no port".into(), 2);
    let shown = table(&comparison, &testing::environment());
    assert!(
        shown.contains("\nnote: sealed, 2 not run: no port\n"),
        "{shown}"
    );
    assert!(shown.contains(" of 1"), "{shown}");
    assert!(shown.ends_with("\n\nSUSPECT\n"), "{shown}");
}
