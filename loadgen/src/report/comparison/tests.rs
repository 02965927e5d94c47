//! The report of a comparison of made-up runs.

use clap::ValueEnum as _;
use sealwire::Kernel;

use super::*;
use crate::measure::results::Results;
use crate::plan::Transport;
use crate::report::Report;
use crate::testing::{self, SECOND};

/// Adds a run of each transport, after `change`.
fn add(comparison: &mut Comparison, here: &Environment, change: impl Fn(Transport, &mut Results)) {
    for (index, &over) in Transport::value_variants().iter().enumerate() {
        let mut results = testing::results();
        (results.plan.over, results.plan.rate) = (over, None);
        change(over, &mut results);
        let report = Report::new(&results, &[], here);
        let value = of_runs::value(&report);
        comparison.note(index, &results, &report.figures, &report.verdict, value);
    }
}

/// A comparison with one run of each transport, after `change`; its table and its JSON.
fn compared(change: impl Fn(Transport, &mut Results)) -> (Comparison, String, Value) {
    let (mut plan, here) = (testing::plan(), testing::environment());
    plan.rate = None;
    let mut comparison = Comparison::new(&plan, 1, Kernel::PORTABLE);
    add(&mut comparison, &here, change);
    let (table, json) = (table(&comparison, &here), json(&comparison, &here));
    (comparison, table, json)
}

/// Goal: a comparison says how far it can be trusted, for each transport and in all. Method: a
/// good one; one in which the load tester was the bound of one; one with a doubt; one that the
/// user ended.
#[test]
fn how_far_it_can_be_trusted() {
    let (good, shown, _) = compared(|_, _| {});
    assert!(shown.ends_with("\n\nVALID\n"), "{shown}");
    assert!(!shown.contains("at least"), "{shown}");
    assert_eq!((exit_code(&good, true), notes(&good).len()), (0, 0));

    let (_, shown, value) = compared(|over, results| {
        if over == Transport::Plain {
            results.threads[0].ran = SECOND * 20;
        }
    });
    assert_eq!(shown.matches("at least 1000").count(), 1, "{shown}");
    assert!(shown.contains("note: the load tester was the bound of plain"));
    assert_eq!(value["transports"]["plain"]["at_least"], true);
    assert_eq!(value["transports"]["sealed"]["at_least"], false);
    assert_eq!(value["verdict"], "VALID");

    let (doubtful, _, value) = compared(|over, results| {
        results.tally.account.shed = u64::from(over == Transport::Plain);
        results.tally.account.completed -= results.tally.account.shed;
    });
    assert_eq!(value["transports"]["plain"]["verdict"], "SUSPECT");
    assert_eq!(value["transports"]["sealed"]["verdict"], "VALID");
    let codes = [false, true].map(|strict| exit_code(&doubtful, strict));
    assert_eq!(codes, [0, 5]);

    let (mut ended, ..) = compared(|_, _| {});
    (ended.rounds, ended.interrupted) = (7, true);
    let shown = table(&ended, &testing::environment());
    assert!(shown.contains("note: it was interrupted: 1 of 7 rounds are whole"));
    assert!(shown.ends_with("\n\nSUSPECT\n"), "{shown}");
    let value = json(&ended, &testing::environment());
    assert!(value["interrupted"] == true && value["rounds"] == 7);
    assert_eq!(exit_code(&ended, true), 5);
}

/// Goal: peers may take no memory; a ratio to them is unknown, and so is a
/// percentile of too few samples. Method: a run of that kind.
#[test]
fn unknown_figures() {
    let (_, _, value) = compared(|_, results| {
        if let Some(server) = &mut results.server {
            server.before.resident = 0;
        }
        results.tally.response = testing::times(1000, 999);
    });
    let sealed = &value["transports"]["sealed"];
    assert_eq!(sealed["server_kib_per_peer"]["median"], 0.0);
    assert!(sealed["response_p99_us"].is_null());
    assert!(value["ratios"]["sealed_by_plain"]["server_kib_per_peer"].is_null());
}

/// Goal: notes name every reason for doubt, and what went wrong. Method: two runs of
/// each transport, of a debug build; in one answers are wrong, others fail and the rate is not
/// reached.
#[test]
fn reasons_have_names() {
    let mut here = testing::environment();
    here.profile = "debug";
    let plan = testing::plan();
    let mut comparison = Comparison::new(&plan, 2, Kernel::PORTABLE);
    add(&mut comparison, &here, |_, _| {});
    add(&mut comparison, &here, |_, results| {
        results.plan.rate = testing::plan().rate;
        let account = &mut results.tally.account;
        (account.errors, results.tally.wrong) = (3, 3);
        account.completed -= 3;
        testing::answers(results, |count| count / 2);
        results.peers.failed = 2;
        results.peers.errors.insert("reset".into(), 2);
    });
    let mut told = notes(&comparison);
    told.retain(|note| note.starts_with("plain, "));
    let due = [
        "plain, 1 of 2 runs: answers were wrong",
        "plain, 1 of 2 runs: fewer were answered than due",
        "plain, 1 of 2 runs: messages failed",
        "plain, 1 of 2 runs: peers failed",
        "plain, 2 of 2 runs: this is a debug build",
        "plain, error: 2 reset",
    ];
    assert_eq!(told, due);
    assert_eq!(exit_code(&comparison, false), 6);
}

/// Goal: a program finds the runs themselves, with the histograms, the kernel and the machine;
/// and why a run failed. Method: the JSON, and a failure added.
#[test]
fn every_run_is_there() {
    let (mut comparison, _, value) = compared(|_, _| {});
    let names = value.as_object().unwrap().keys().map(String::as_str);
    let due = "baseline environment format interrupted kernel notes plan ratios rounds runs \
        server_is_own shares_machine transports verdict";
    assert!(names.eq(due.split_whitespace()), "{value}");
    for (place, due) in [
        ("/kernel", json!("portable")),
        ("/shares_machine", json!(true)),
        ("/plan/over", Value::Null),
        ("/plan/depth", json!(4)),
        ("/environment/profile", json!("release")),
        ("/transports/plain/runs", json!(1)),
        ("/transports/plain/rules", json!({})),
        ("/transports/plain/failures", json!({})),
    ] {
        assert_eq!(value.pointer(place), Some(&due), "{place}");
    }
    let runs = value["runs"].as_array().unwrap();
    assert_eq!(runs.len(), Transport::value_variants().len());
    for (run, &over) in runs.iter().zip(Transport::value_variants()) {
        assert!(run["over"] == name(over) && run["round"] == 1, "{run}");
        assert!(run["response_ns"]["hdr_v2"].is_string());
    }
    let ratio = &value["ratios"]["sealed_by_plain"]["messages_per_second"];
    let due = json!({"least": 1.0, "median": 1.0, "most": 1.0, "rounds": 1});
    assert_eq!(ratio, &due);
    let failures = &mut comparison.transports[0].failures;
    failures.insert("no port".into(), 2);
    let shown = table(&comparison, &testing::environment());
    let note = "\nnote: sealed, 2 not run: no port\n";
    assert!(shown.contains(note) && shown.contains(" of 1"), "{shown}");
    assert!(shown.ends_with("\n\nSUSPECT\n"), "{shown}");
}
