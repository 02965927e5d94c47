//! The program as it is called: what it prints, and what it leaves with.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::net::TcpListener;
use std::process::Stdio;

use common::{Run, call, command, loadgen};
use sealwire::crypto::kernel::Kernel;

/// Goal: a run against its own server measures, and its accounts add up.
/// Method: a short run, several messages deep and on two threads, whose JSON goes to
/// stdout.
#[test]
fn own_server() {
    let run = loadgen("-c 5 -s 100 -p 3 -t 2 -d 500ms -w 100ms --json -");
    assert_eq!(run.code, 0, "{run:?}");
    let figures = run.json();
    let number = |name: &str| {
        figures[name]
            .as_f64()
            .unwrap_or_else(|| panic!("{name}: {run:?}"))
    };
    assert_eq!(number("format"), 2.0);
    assert_eq!(number("lost_messages") + number("wrong_messages"), 0.0);
    let account = &figures["account"];
    assert_eq!(account["scheduled"], account["completed"]);
    assert!(account["holds"] == true && account["completed"].as_u64() > Some(0));
    for name in ["joined_peers", "complete_peers"] {
        assert_eq!(number(name), 5.0, "{name}");
    }
    assert_eq!(number("failed_peers"), 0.0);

    let rate = number("measured_messages") / number("measured_s");
    assert!((number("messages_per_second") / rate - 1.0).abs() < 0.01);
    assert!((number("megabytes_per_second") / rate * 1e4 - 1.0).abs() < 0.01);
    assert!((0.4..10.0).contains(&number("measured_s")));
    assert!(number("handshakes_per_second") > 0.0);
    if cfg!(target_os = "linux") {
        assert!(number("server_cpu_us_per_message") > 0.0);
        assert!(number("server_bytes_per_peer") >= 0.0);
    }
    for times in ["response_ns", "service_ns"] {
        let at = |name: &str| figures[times][name].as_u64().unwrap();
        let spread = ["p50", "p90", "p99", "max"].map(at);
        assert!(spread.is_sorted() && spread[0] > 0, "{spread:?}");
    }
    assert_eq!(figures["generator_busy"].as_array().map(Vec::len), Some(2));
    assert_eq!(figures["shares_machine"], true);
    assert_eq!(figures["errors"], serde_json::json!({}));
}

/// Goal: every workload runs, over every transport, and has the figures that it is run
/// for. Method: a short run of each; how much of it is done is the machine's.
#[test]
fn every_workload() {
    let overs: &[&str] = match cfg!(feature = "tls") {
        true => &["sealed", "plain", "tls"],
        false => &["sealed", "plain"],
    };
    for over in overs {
        for (flags, own) in [
            (
                "echo -c 4 -r 500 --arrival poisson -w 100ms",
                "/lag_ns/count",
            ),
            ("echo -c 4 -r 100:2000 -w 100ms", "/lag_ns/count"),
            ("sink -c 3 -s 1000", "/megabytes_per_second"),
            (
                "fanout -c 6 -p 4 --publishers 2 -w 0",
                "/stages_ns/last/count",
            ),
            ("fanout -c 6 -p 4 -w 0", "/counts/deliveries"),
            ("churn -c 3 -w 0", "/stages_ns/first_reply/count"),
            ("churn -c 3 -r 50 -w 0", "/stages_ns/complete/count"),
            ("idle -c 100 -w 0", "/response_ns/count"),
        ] {
            let flags = format!("{flags} --over {over} -d 300ms --json -");
            let run = loadgen(&flags);
            assert_eq!(run.code, 0, "{flags}: {run:?}");
            let figures = run.json();
            let account = &figures["account"];
            assert_eq!(account["holds"], true, "{flags}: {run:?}");
            for none in ["errors", "shed", "in_flight"] {
                assert_eq!(account[none], 0, "{flags}: {none}: {account}");
            }
            assert!(
                account["completed"].as_u64() > Some(0),
                "{flags}: {account}"
            );
            let own = figures.pointer(own).and_then(|figure| figure.as_f64());
            assert!(own.is_some_and(|own| own > 0.0), "{flags}: {own:?}");
        }
    }
}

/// Goal: peers connect from the addresses that were asked for. Method: two, of
/// loopback; and one that is none of ours.
#[test]
fn sources() {
    let run = loadgen("-c 4 -d 100ms -w 0 --source-ip 127.0.0.2 --source-ip 127.0.0.3 -q");
    assert_eq!(run.code, 0, "{run:?}");
    let run = loadgen("-c 4 -d 100ms --source-ip 192.0.2.1");
    assert_eq!((run.code, run.stderr.lines().count()), (1, 1), "{run:?}");
    assert!(
        run.stderr.contains("cannot connect from 192.0.2.1"),
        "{run:?}"
    );
}

/// Goal: a comparison tells of every transport, in a table and as JSON.
#[test]
fn comparison() {
    let run = loadgen("compare -c 2 -d 400ms -w 0 --rounds 1");
    assert_eq!(run.code, 0, "{run:?}");
    for word in ["sealed (1 runs)", "plain (1 runs)", "sealed / plain"] {
        assert!(run.stdout.contains(word), "{run:?}");
    }
    let run = loadgen("compare churn -c 2 -d 400ms --rounds 1 --json -");
    let ratio = &run.json()["ratios"]["sealed_by_plain"];
    assert_eq!(run.json()["runs"][0]["round"], 1, "{run:?}");
    let median = ratio["connections_per_second"]["median"].as_f64();
    assert!(median.is_some_and(|ratio| ratio > 0.0), "{run:?}");
}

/// Goal: each output is written where it should be, also if nobody reads stdout, and
/// nothing is on stderr where there is no terminal. Method: all at once; then with a
/// stdout whose reader is gone.
#[test]
fn outputs() {
    let folder = tempfile::tempdir().unwrap();
    let files = ["json", "hdr", "csv"].map(|name| folder.path().join(name));
    let [json, hdr, csv] = files.each_ref().map(|file| file.display());
    let flags = format!("-c 2 -d 1500ms -w 0 -q --json {json} --hdr {hdr} --timeseries {csv}");
    let run = loadgen(&flags);
    assert_eq!((run.code, run.stdout.lines().count()), (0, 1), "{run:?}");
    assert_eq!(run.stderr, "");
    for file in &files {
        assert!(fs::metadata(file).unwrap().len() > 100, "{file:?}");
        fs::remove_file(file).unwrap();
    }
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut program = command(&flags);
    program.stdout(writer).stderr(Stdio::piped());
    let run = Run::of(program.spawn().unwrap().wait_with_output().unwrap());
    assert_eq!((run.code, &run.stderr[..]), (141, ""), "{run:?}");
    assert!(files.iter().all(|file| file.exists()), "{run:?}");
}

/// Goal: messages without a byte, and of many records, come back too, and the
/// table and a file of JSON tell of them. Method: a short run of each.
#[test]
fn odd_sizes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("figures");
    for size in ["0", "1", "16385", "1m"] {
        let flags = format!(
            "echo -c 2 -s {size} -p 2 -d 100ms -w 0 --json {}",
            file.display()
        );
        let run = loadgen(&flags);
        assert_eq!(run.code, 0, "{size}: {run:?}");
        assert!(run.stdout.contains("messages/s"), "{run:?}");
        assert!(run.stdout.contains("both on this machine"), "{run:?}");
        let text = fs::read_to_string(&file).unwrap();
        let figures: serde_json::Value = serde_json::from_str(&text).unwrap();
        // The largest may take longer than is measured.
        let completed = &figures["account"]["completed"];
        assert!(completed.as_u64().unwrap() > 0, "{text}");
    }
}

/// Goal: what cannot run is refused in one line, with code 2.
#[test]
fn usage() {
    for flags in [
        "-c 0",
        "-d 2h",
        "frob",
        "--frob",
        "--keys x",
        "-c 1000000000",
    ] {
        let run = loadgen(flags);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{run:?}");
        assert_eq!(run.stderr.lines().count(), 1, "{run:?}");
    }
    let mut program = command("--to localhost:1");
    program
        .env_remove("SEALWIRE_CONFKEY")
        .env_remove("SEALWIRE_AUTHKEY");
    let run = call(program);
    assert_eq!(run.code, 2, "{run:?}");
    assert!(run.stderr.contains("no keys"), "{run:?}");
}

/// Goal: no server, and no process to measure, are said in one line, with code
/// 1. Method: a port that was free a moment ago; a process that cannot be.
#[test]
fn nothing_there() {
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let run = loadgen(&format!("--to 127.0.0.1:{port}"));
    assert_eq!((run.code, run.stderr.lines().count()), (1, 1), "{run:?}");
    assert!(run.stderr.contains("refused the connection"), "{run:?}");

    let run = loadgen("--to 127.0.0.1:1 --server-pid 4294967295");
    assert_eq!((run.code, run.stderr.lines().count()), (1, 1), "{run:?}");
    assert!(run.stderr.contains("--server-pid"), "{run:?}");
}

/// Goal: table and JSON name the kernel of both processes, which can be forced.
/// Method: a short run with each that this processor has.
#[test]
fn the_kernel_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for name in Kernel::all().map(Kernel::name) {
        let file = folder.path().join(name);
        let mut program = command("-c 1 -d 100ms -w 0 --json");
        program.arg(&file).env("SEALWIRE_KERNEL", name);
        let run = call(program);
        assert_eq!(run.code, 0, "{run:?}");
        let line = format!("\nkernel {name} on both sides\n");
        assert!(run.stdout.contains(&line), "{run:?}");
        let text = fs::read_to_string(&file).unwrap();
        let figures: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(figures["kernel"], name);
        assert_eq!(figures["server_kernel"], name);
    }
}

/// Goal: a kernel that there is not is refused in one line, with code 2, before
/// anything is started. Method: as the load tester, and as the server it starts.
#[test]
fn an_unknown_kernel_is_refused() {
    for flags in ["-c 1 -d 100ms", "serve sealed echo 64"] {
        let mut program = command(flags);
        program.env("SEALWIRE_KERNEL", "deadbeef");
        let run = call(program);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{run:?}");
        let told = "loadgen: SEALWIRE_KERNEL: no such kernel; there are portable, aesni, avx512\n";
        assert_eq!(run.stderr, told);
    }
}
