//! The table, as it is shown.

use std::time::Duration;

use anstream::adapter::strip_str;

use super::super::told;
use super::*;
use crate::measure::results::{Results, Tally};
use crate::plan::Rate;
use crate::testing;

/// The table of the made-up run after `change`, without colours.
fn shown(change: impl FnOnce(&mut Results), slos: &str) -> String {
    strip_str(&told(change, slos, table)).to_string()
}

#[track_caller]
fn has_lines(shown: &str, lines: &[&str]) {
    for line in lines {
        assert!(shown.contains(&format!("\n{line}\n")), "{line}: {shown}");
    }
}

/// Goal: the whole table of a good run is right, and only the verdict has a colour. Method:
/// compare both.
#[test]
fn a_good_run() {
    let coloured = told(|_| {}, "p99<5ms", table);
    let due = "\
loadgen 1.2.3 (0123456789ab, release): echo over sealed
64 peers, 100 B, depth 4, 2 threads
open loop, 1000 messages/s evenly, 20 s after 1 s
Made-up CPU @ 2 GHz, 8 processors, Linux 6.1.0
load on a server of its own at 127.0.0.1:9999, both on this machine
kernel portable on both sides

rate            1000 messages/s of 1000 asked for (100.0 %)
payload         0.10 MB/s one way
us                      p50        p90        p99      p99.9        max       mean
response              160.1      200.1      209.0      210.0      210.0      160.5
service               150.0      190.1      199.0      200.1      200.1      150.5
load tester lag        10.0       10.0       10.0       10.0       10.0       10.0
handshake             400.1          -          -          -      400.1      400.0
account         20000 scheduled = 20000 completed + 0 errors + 0 timeouts + 0 shed + 0 unsent + 0 in flight
answers         0 wrong, 0 lost, with the warm-up
peers           64 joined, 64 complete, 0 failed; 128 handshakes/s
server CPU      10.00 us per message: 4.00 user + 6.00 system; 1 % of a processor
of it crypto    5 %, at 0.30 us to seal (2 at once) and 0.20 us to open (2 at once)
server memory   10.6 MB, 1500 bytes per peer
server          70 descriptors; waits 500 times a second, made to 20 times
load tester CPU 20 %, 25 % of each thread
slo             p99<5ms met: 209.0 us

VALID
";
    assert_eq!(strip_str(&coloured).to_string(), due);
    assert_eq!(coloured.replace("\x1b[32mVALID\x1b[0m", "VALID"), due);
}

/// Goal: the table shows no figure that a run lacks. Method: a closed loop that ended early,
/// over plain TCP to an unknown server.
#[test]
fn unknown_figures() {
    let change = |results: &mut Results| {
        testing::to_an_unknown_server(results);
        results.address = "192.0.2.1:9999".parse().unwrap();
        results.took = Duration::from_millis(370);
    };
    let due = [
        "closed loop, 20 s after 1 s; it ended after 0.37 s",
        "load on the server at 192.0.2.1:9999, on another machine",
        "rate            54054 messages/s",
        "server CPU      n/a",
    ];
    let shown = shown(change, "");
    has_lines(&shown, &due);
    let none = "kernel|lag|crypto|bytes per peer|asked|descriptors";
    for none in none.split('|') {
        assert!(!shown.contains(none), "{none}: {shown}");
    }
}

/// Goal: the table shows what went wrong, with the reasons for doubt; no text of an error
/// drives a terminal. Method: a run with a bit of everything, an account that does not hold, and
/// bounds that are missed and not decided.
#[test]
fn what_went_wrong() {
    let change = |results: &mut Results| {
        results.tally.account.errors = 3;
        results.tally.wrong = 3;
        results.threads[0].ran = results.took;
        results.peers.errors.insert("reset\x1b[2J".into(), 2);
        results.peers.failed = 2;
        results.address = "[::1]:9999".parse().unwrap();
    };
    let due = [
        "load on a server of its own at [::1]:9999, both on this machine",
        "rate            at least 1000 messages/s of 1000 asked for (100.0 %)",
        "account         20000 scheduled is not 20000 completed + 3 errors + 0 timeouts + 0 shed + 0 unsent + 0 in flight",
        "answers         3 wrong, 0 lost, with the warm-up",
        r"error           2 reset\u{1b}[2J",
        "slo             p99<5us missed: 209.0 us",
        "slo             p99.999<1s not decided: 20000 samples of 1000000 that it takes",
        "INVALID",
        "  3 answers were wrong",
    ];
    let shown = shown(change, "p99<5us,p99.999<1s");
    has_lines(&shown, &due);
    assert!(shown.contains("may be the bound"), "{shown}");
}

/// Goal: stages come in the order in which they happen, counts with their names, and rates in
/// their unit. Method: runs of churn and of fanout.
#[test]
fn stages_and_counts() {
    let with_stages = |kind, stages: &[&'static str]| {
        let change = |results: &mut Results| {
            results.plan.kind = kind;
            let (from, to) = (500.0, 1500.0);
            results.plan.rate = Some(Rate { from, to });
            for name in stages {
                let times = results.tally.service.clone();
                results.tally.stages.insert(name, times);
            }
            results.tally.counts.insert("deliveries", 1_280_000);
        };
        shown(change, "")
    };
    let in_order = |shown: &str, names: &[&str]| {
        let place = |name: &&str| shown.find(&format!("\n{name:<16}"));
        let places: Vec<_> = names.iter().map(place).collect();
        let sorted = places[0].is_some() && places.is_sorted();
        assert!(sorted, "{places:?}: {shown}");
    };
    let churn = ["complete", "connect", "first reply", "handshake"];
    let churn = with_stages(Kind::Churn, &churn);
    in_order(&churn, &["connect", "handshake", "first reply", "complete"]);
    assert_eq!(churn.matches("\nhandshake ").count(), 1, "{churn}");
    let fanout = with_stages(Kind::Fanout, &["first", "last", "median"]);
    in_order(&fanout, &["first", "median", "last"]);
    for (shown, part) in [
        (&churn, "rate            1000 connections/s of"),
        (&churn, " 10.00 us per connection: "),
        (&fanout, "\ndeliveries      1280000\n"),
        (&fanout, "\n1 publishers, 64 subscribers, 100 B"),
        (&fanout, "\nopen loop, 500 to 1500 messages/s evenly"),
    ] {
        assert!(shown.contains(part), "{shown}");
    }
}

/// Goal: one line has what counts, and names what ran. Method: a good run; one that is in
/// doubt and misses its bound; one without answers.
#[test]
fn one_line() {
    let good = told(|_| {}, "p99<5ms", line);
    let busy = |results: &mut Results| results.threads[0].ran = results.took;
    let empty = |results: &mut Results| {
        results.tally = Tally::new();
        results.intervals.clear();
        results.threads.clear();
        results.took = Duration::ZERO;
    };
    let missed = "at least 1000 messages/s, p50 160.1 us, p99 209.0 us, \
        slo p50<1us missed: 160.1 us, SUSPECT; ";
    for (told, due) in [
        (
            good,
            "1000 messages/s, p50 160.1 us, p99 209.0 us, VALID; loadgen ",
        ),
        (told(busy, "p50<1us", line), missed),
        (
            told(empty, "", line),
            "0 messages/s, p50 - us, p99 - us, INVALID; ",
        ),
    ] {
        assert!(told.starts_with(due), "{told}");
        assert_eq!(told.lines().count(), 1);
    }
}
