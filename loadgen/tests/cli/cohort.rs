//! Misbehaving peers against the real server: every connection is accounted for, and the good
//! peers lose nothing.
//!
//! What the server should do to each kind is tested beside the table of expectations
//! (`src/cohort/expect.rs`); here it is enough that each kind does what it is for.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;

use serde_json::{Value, json};

use crate::faults::{Fault, serve};
use crate::program::{Run, loadgen};

/// The accounts of all groups, whose parts must add up.
fn groups(run: &Run) -> Vec<Value> {
    let groups = run.json()["company"].as_array().unwrap().clone();
    for group in &groups {
        let ends = group["ends"].as_object().unwrap().values();
        let ended: u64 = ends.map(|count| count.as_u64().unwrap()).sum();
        assert_eq!(group["made"], ended, "{group}");
        assert_eq!(group["holds"], true, "{group}");
        assert!(ended >= 1, "{group}");
    }
    groups
}

/// How many connections of `group` have an end that begins so.
fn ended(group: &Value, end: &str) -> u64 {
    let ends = group["ends"].as_object().unwrap().iter();
    let ends = ends.filter(|(name, _)| name.starts_with(end));
    ends.map(|(_, count)| count.as_u64().unwrap()).sum()
}

/// That no good peer of any run failed, and every message of them came once, in order, and is
/// accounted for.
#[track_caller]
fn good_peers_are_whole(run: &Run) {
    for one in run.json()["runs"].as_array().unwrap() {
        let (part, report) = (&one["part"], &one["report"]);
        assert_eq!(report["account"]["holds"], true, "{part}: {run:?}");
        for none in ["lost_messages", "wrong_messages", "failed_peers"] {
            assert_eq!(report[none], 0, "{part}, {none}: {run:?}");
        }
        assert_eq!(report["account"]["errors"], 0, "{part}: {run:?}");
        let counts = report["counts"].as_object().unwrap();
        for none in ["duplicates", "reordered"] {
            // Not every load counts them.
            assert!(
                counts.get(none).is_none_or(|count| *count == 0),
                "{part}, {none}: {run:?}"
            );
        }
        let answered = report["account"]["completed"].as_u64();
        assert!(answered > Some(0), "{part}: {run:?}");
    }
}

/// What is said of bad peers that were ended too late. On a busy machine some are.
const LATE: [&str; 2] = ["not ended within 5 s", "not ended at once"];

/// That all is as it should be, but for bad peers that were ended late, and that the exit code
/// says which of both it was. Returns the groups.
#[track_caller]
fn whole_or_late(run: &Run) -> Vec<Value> {
    good_peers_are_whole(run);
    let groups = groups(run);
    let misfits = |group: &Value| group["misfits"].as_object().unwrap().clone();
    let misfits: Vec<_> = groups.iter().flat_map(misfits).collect();
    for (why, _) in &misfits {
        assert!(LATE.contains(&why.as_str()), "{why}: {run:?}");
    }
    let due = if misfits.is_empty() { 0 } else { 6 };
    assert_eq!(run.code, due, "{run:?}");
    groups
}

/// Goal: peers of every kind come, end as the server or they themselves end them, and are all
/// counted. Method: two of each beside an echo, longer than a handshake may take.
#[test]
fn every_kind() {
    let kinds = "silent:2,drip:2,half-hello:2,bad-hello:2@20/s,replay-hello:2@20/s,slow-reader:2,\
        slow-writer:2,ping-flood:2,bad-tag:2@20/s,oversize:2@20/s,huge-message:2@20/s,\
        reset-mid-record:2@20/s";
    let run = loadgen(&format!(
        "-c 2 -r 50 -d 9s -w 100ms --timeout 60s --json - --cohort {kinds}"
    ));
    let groups = whole_or_late(&run);
    assert_eq!(groups.len(), 12);
    for group in &groups {
        let count = |end: &str| ended(group, end);
        let by_server = count("closed") + count("reset");
        let all = group["made"].as_u64().unwrap();
        let kind = group["kind"].as_str().unwrap();
        assert_eq!(group["not_begun"], 0, "{group}");
        let done = match kind {
            "silent" | "drip" | "half-hello" => by_server > 0,
            "bad-hello" | "bad-tag" | "oversize" => by_server > 1,
            // The first one leaves by itself. The others end when the server says so.
            "replay-hello" => count("left") <= 1 && all > 1,
            "slow-reader" | "slow-writer" | "ping-flood" => all == 2 && count("left") == 0,
            "huge-message" => count("aborted (message too large)") > 0,
            "reset-mid-record" => count("left") > 1,
            _ => false,
        };
        assert!(done, "{group}");
    }
    let figures = &run.json()["figures"];
    for name in ["response_p50_us", "most_server_mb", "server_cpu_percent"] {
        assert!(
            figures[name]["cohort"].as_f64() > Some(0.0),
            "{name}: {figures}"
        );
        assert!(
            figures[name]["clean"].as_f64() > Some(0.0),
            "{name}: {figures}"
        );
    }
}

/// Goal: every load can have company, and good peers get no message of it. Method: a short run of
/// each, with peers that are proved and some that are not.
#[test]
fn every_load() {
    for load in ["sink -c 2", "fanout -c 3", "churn -c 2", "idle -c 50"] {
        let warmup = if load.starts_with("sink") {
            ""
        } else {
            "-w 100ms"
        };
        let cohort = "--cohort silent:2,bad-tag:1@20/s,slow-writer:1,huge-message:1@5/s";
        let run = loadgen(&format!(
            "{load} {warmup} -d 1s --timeout 60s --json - {cohort}"
        ));
        assert_eq!(whole_or_late(&run).len(), 4, "{load}");
    }
}

/// Goal: with a control, the same connections go to a plain server first; rounds repeat all of it.
/// Method: two rounds of bad hellos.
#[test]
fn control() {
    let run = loadgen(
        "-c 2 -r 50 -d 1s -w 0 --timeout 60s --rounds 2 --json - \
         --cohort bad-hello:20@100/s --cohort-control --cohort-source-ip 127.0.0.2",
    );
    whole_or_late(&run);
    let json = run.json();
    let parts = json["runs"].as_array().unwrap().iter();
    let parts: Vec<_> = parts.map(|run| run["part"].as_str().unwrap()).collect();
    let round = ["clean", "control", "cohort"];
    assert_eq!(parts, [round, round].concat());
    for index in [1, 2] {
        let account = &json["runs"][index]["company"][0];
        assert_eq!(account["holds"], true, "{account}");
        assert!(
            ended(account, "closed") + ended(account, "reset") > 1,
            "{account}"
        );
    }
    assert!(json["runs"][0]["company"].is_null());
    let made: u64 = [2, 5]
        .map(|index| json["runs"][index]["company"][0]["made"].as_u64().unwrap())
        .iter()
        .sum();
    assert_eq!(json["company"][0]["made"], made);
    let ratio = &json["figures"]["response_p50_us"]["cohort_by_control"];
    assert_eq!(ratio["rounds"], 2, "{ratio}");
}

/// A way to the server at `to` that keeps a connection for which the server had no answer. Returns
/// its address.
fn keeps_the_bad(to: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let mut kept = Vec::new();
        for came in listener.incoming() {
            let (came, server) = (came.unwrap(), TcpStream::connect(to).unwrap());
            let [mut from, mut into] = [&came, &server].map(|one| one.try_clone().unwrap());
            thread::spawn(move || {
                // Either end may be gone.
                let _ = io::copy(&mut from, &mut into);
                let _ = into.shutdown(Shutdown::Write);
            });
            kept.push(came.try_clone().unwrap());
            let (mut from, mut into) = (server, came);
            thread::spawn(move || {
                if io::copy(&mut from, &mut into).is_ok_and(|answered| answered > 0) {
                    let _ = into.shutdown(Shutdown::Write);
                }
            });
        }
    });
    address
}

/// Goal: a server that does not end bad peers is found at fault, though the good peers lose
/// nothing. Method: something in front of a real server keeps connections that it has closed; bad
/// hellos, longer than they may stay.
#[test]
fn found_at_fault() {
    let server = serve(Fault::None);
    let to = server.strip_prefix("--to ").unwrap().parse().unwrap();
    let to = keeps_the_bad(to);
    let run = loadgen(&format!(
        "--to {to} -c 2 -r 50 -d 4s -w 0 --timeout 60s --json - --cohort bad-hello:2"
    ));
    assert_eq!(run.code, 6, "{run:?}");
    good_peers_are_whole(&run);
    let group = &groups(&run)[0];
    assert_eq!(group["ends"], json!({ "open": 2 }));
    assert_eq!(group["misfits"], json!({ "not ended at once": 2 }));
    assert_eq!(run.json()["as_it_should_be"], false);
}

/// Goal: the table and the line say how the groups ended. Method: a short run of each.
#[test]
fn texts() {
    let flags = "-c 2 -r 50 -d 1s -w 0 --cohort bad-hello:2@20/s";
    let table = loadgen(flags).stdout;
    for part in [
        "cohort/clean",
        "\np99 us ",
        "\nkernel TCP MB ",
        "\nbad-hello:2@20/s\n",
        " made = ",
        "\nround 1, cohort: ",
    ] {
        assert!(table.contains(part), "{part}: {table}");
    }
    let line = loadgen(&format!("{flags} -q")).stdout;
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(line.contains("bad peers ended "), "{line}");
}
