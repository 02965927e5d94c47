//! The program as it is called: what it prints, and its exit code.

use std::collections::HashSet;
use std::fs;
use std::time::Duration;

use sealwire::Kernel;
use serde_json::json;

use crate::program::{call, call_to, closed_pipe, command, free_address, loadgen, plain_echo};

/// Goal: a run against its own server measures, and its account adds up. Method: a short open
/// loop, several messages deep and on two threads, whose JSON goes to stdout.
#[test]
fn own_server() {
    let run = loadgen("-c 8 -s 100 -p 3 -t 2 -r 2000 -d 2s -w 200ms --json -");
    assert_eq!((run.code, &run.stderr[..]), (0, ""), "{run:?}");
    for (name, due) in [
        ("/format", 2.0),
        ("/account/scheduled", 4000.0),
        ("/lost_messages", 0.0),
        ("/wrong_messages", 0.0),
        ("/joined_peers", 8.0),
        ("/complete_peers", 8.0),
        ("/failed_peers", 0.0),
    ] {
        assert_eq!(run.number(name), due, "{name}");
    }
    let figures = run.json();
    assert_eq!(figures["shares_machine"], true);
    let commit = figures["commit"]
        .as_str()
        .unwrap()
        .trim_end_matches("-dirty");
    let is_hash = commit.len() >= 12 && commit.bytes().all(|b| b.is_ascii_hexdigit());
    assert!(is_hash || commit == "unknown", "{commit}");
    assert!(run.number("/processors") > 0.0);
    for name in ["version", "profile", "processor", "system"] {
        let text = figures[name].as_str().unwrap();
        assert!(!text.is_empty() && !text.contains('\n'), "{name}: {text}");
    }
    assert_eq!(figures["errors"], json!({}));
    assert_eq!(figures["generator_busy"].as_array().map(Vec::len), Some(2));
    // What is late at the end does not count.
    let rate = run.number("/messages_per_second");
    assert!((1000.0..2100.0).contains(&rate), "{rate}");
    assert!((1.9..10.0).contains(&run.number("/measured_s")));
    assert!(run.number("/handshakes_per_second") > 0.0);
    assert!(run.number("/server_cpu_us_per_message") > 0.0);
    assert!(run.number("/server_bytes_per_peer") >= 0.0);
    for times in ["response_ns", "service_ns"] {
        let at = |name: &str| run.number(&format!("/{times}/{name}"));
        let spread = ["p50", "p90", "p99", "max"].map(at);
        assert!(spread.is_sorted() && spread[0] > 0.0, "{spread:?}");
    }
}

/// Goal: every workload runs over every transport, with messages of any size, and has its
/// figures. Method: a short run of each; `loadgen` itself compares every reply.
#[test]
fn every_workload() {
    let overs: &[&str] = match cfg!(feature = "tls") {
        true => &["sealed", "plain", "tls"],
        false => &["sealed", "plain"],
    };
    for over in overs {
        for (flags, own) in [
            ("echo -c 4 -r 500 --arrival poisson", "/lag_ns/count"),
            ("echo -c 4 -r 100:2000", "/lag_ns/count"),
            ("echo -c 3 -s 1 -p 300", "/response_ns/count"),
            ("echo -c 3 -s 16385 -p 20", "/response_ns/count"),
            ("echo -c 2 -s 1m -p 4", "/response_ns/count"),
            ("sink -c 3 -s 1000", "/megabytes_per_second"),
            ("sink -c 3 -s 1m", "/megabytes_per_second"),
            ("fanout -c 6 -p 4 --publishers 2", "/stages_ns/last/count"),
            (
                "fanout -c 3 -p 30 --publishers 2 -s 100000",
                "/counts/deliveries",
            ),
            ("churn -c 3", "/stages_ns/first_reply/count"),
            ("churn -c 3 -r 50", "/stages_ns/complete/count"),
            ("idle -c 100", "/response_ns/count"),
        ] {
            let warmup = if flags.starts_with("sink") {
                ""
            } else {
                "-w 100ms"
            };
            let flags = format!("{flags} --over {over} {warmup} -d 300ms --json -");
            let run = loadgen(&flags).ended(0);
            for none in ["errors", "shed", "in_flight"] {
                assert_eq!(run.number(&format!("/account/{none}")), 0.0, "{flags}");
            }
            for some in ["/account/completed", own] {
                assert!(run.number(some) > 0.0, "{flags}: {some}");
            }
        }
    }
    let empty = loadgen("echo -c 2 -s 0 -p 2 -d 100ms -w 0 --json -").ended(0);
    assert!(empty.number("/account/completed") > 0.0, "{empty:?}");
}

/// Goal: peers connect from the addresses that were asked for. Method: two of loopback, seen
/// from the server; and one of another machine.
#[test]
fn sources() {
    let (to, came) = plain_echo(Duration::ZERO);
    let from = "--source-ip 127.0.0.2 --source-ip 127.0.0.3";
    loadgen(&format!(
        "--over plain --to {to} -c 4 -d 100ms -w 0 -q {from}"
    ))
    .ended(0);
    let due = ["127.0.0.2", "127.0.0.3"].map(|ip| ip.parse().unwrap());
    assert_eq!(came.try_iter().collect::<HashSet<_>>(), due.into());
    loadgen("-c 4 -d 100ms --source-ip 192.0.2.1").failed(1, "cannot connect from 192.0.2.1");
}

/// Goal: a comparison has every transport, in a table and as JSON. Method: a short one of each.
#[test]
fn comparison() {
    let run = loadgen("compare -c 2 -d 400ms -w 0 --rounds 1").ended(0);
    for word in ["sealed (1 runs)", "plain (1 runs)", "sealed / plain"] {
        assert!(run.stdout.contains(word), "{run:?}");
    }
    let run = loadgen("compare churn -c 2 -d 400ms --rounds 1 --json -");
    assert_eq!(run.number("/runs/0/round"), 1.0);
    let median = run.number("/ratios/sealed_by_plain/connections_per_second/median");
    assert!(median > 0.0, "{run:?}");
}

/// Goal: a search says how long it takes, finds a rate that most runs meet, and tells how sure it
/// is. Method: a short one with a bound that a low rate always meets, in a table and as JSON; one
/// that no rate meets.
#[test]
fn search() {
    let flags = "search -c 2 -d 200ms -w 50ms --rounds 2 --json -";
    let run = loadgen(&format!("{flags} --slo p50<500ms")).ended(0);
    assert!(run.stderr.contains("a search takes up to"), "{run:?}");
    assert!(run.number("/highest_rate_per_second") > 0.0);
    assert_eq!(run.number("/met/met_runs"), 2.0);
    assert!(run.number("/closed_loop/messages_per_second") > 0.0);
    assert!(run.number("/runs/0/report/account/completed") > 0.0);
    let run = loadgen("search -c 1 -d 200ms -w 0 --rounds 2 -q --slo p50<1us").ended(3);
    assert!(
        run.stdout.starts_with("no rate was found with p50<1us"),
        "{run:?}"
    );
    assert_eq!(
        (run.stdout.lines().count(), &run.stderr[..]),
        (1, ""),
        "{run:?}"
    );
}

/// Goal: a sweep says how long it takes, and has a point for each rate. Method: two low rates, in a
/// table and as JSON.
#[test]
fn sweep() {
    let flags = "sweep --rates 100..400 --steps 2 -c 2 -d 200ms -w 50ms";
    let run = loadgen(&format!("{flags} --json -")).ended(0);
    assert!(
        run.stderr.contains("a sweep takes 2 runs of 0.5 s"),
        "{run:?}"
    );
    assert_eq!(run.number("/points/0/rate_per_second"), 100.0);
    assert!(run.number("/points/0/messages_per_second") > 0.0);
    let run = loadgen(flags).ended(0);
    for word in ["\n100 ", "p99.9 us", "knee"] {
        assert!(run.stdout.contains(word), "{run:?}");
    }
}

/// Goal: each output is written to its place, also if stdout is closed, and names what ran and
/// where; stderr stays empty without a terminal. Method: all at once; then with a stdout whose
/// reader is gone.
#[test]
fn outputs() {
    let folder = tempfile::tempdir().unwrap();
    let files = ["json", "hdr", "csv", "html"].map(|name| folder.path().join(name));
    let [json, hdr, csv, html] = files.each_ref().map(|file| file.display());
    let flags = format!(
        "-c 2 -d 1500ms -w 0 -q --json {json} --hdr {hdr} --timeseries {csv} --html {html}"
    );
    let run = loadgen(&flags);
    assert_eq!((run.code, run.stdout.lines().count()), (0, 1), "{run:?}");
    assert_eq!(run.stderr, "");
    let system = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let named = [env!("CARGO_PKG_VERSION"), system.trim(), "echo", "sealed"];
    for (file, part) in
        files
            .iter()
            .zip(["\"format\": 2", "1/(1-Percentile)", "until_s,", "</html>"])
    {
        let text = fs::read_to_string(file).unwrap();
        for part in named.into_iter().chain([part]) {
            assert!(text.contains(part), "{part}: {text}");
        }
        fs::remove_file(file).unwrap();
    }
    let run = call_to(closed_pipe(), &flags);
    assert_eq!((run.code, &run.stderr[..]), (141, ""), "{run:?}");
    assert!(files.iter().all(|file| file.exists()), "{run:?}");
}

/// Goal: what cannot run is refused in one line, with its code. Method: calls of each kind; an
/// address without a server; a process that cannot be.
#[test]
fn refusals() {
    for flags in "-c 0|-d 2h|frob|--frob|--keys x|-c 1000000000".split('|') {
        loadgen(flags).failed(2, "");
    }
    let mut program = command("--to localhost:1");
    program
        .env_remove("SEALWIRE_CONFKEY")
        .env_remove("SEALWIRE_AUTHKEY");
    call(program).failed(2, "no keys");
    let to = format!("--to {}", free_address());
    loadgen(&to).failed(1, "refused the connection");
    loadgen("--to 127.0.0.1:1 --server-pid 4294967295").failed(1, "--server-pid");
}

/// Goal: figures that are not valid are an error only with `--strict`. Method: a run that is
/// too short to be valid.
#[test]
fn strict() {
    for (flags, code) in [("", 0), ("--strict", 5)] {
        loadgen(&format!("-c 1 -d 100ms -w 0 {flags}")).ended(code);
    }
}

/// Goal: table and JSON name the kernel of both processes, which can be forced; an unknown one
/// is refused before anything starts. Method: a short run with each of this processor, and with
/// none; as the load tester, and as its server.
#[test]
fn kernels() {
    let folder = tempfile::tempdir().unwrap();
    for name in Kernel::all().map(Kernel::name) {
        let file = folder.path().join(name);
        let mut program = command("-c 1 -d 100ms -w 0 --json");
        program.arg(&file).env("SEALWIRE_KERNEL", name);
        let run = call(program);
        let line = format!("\nkernel {name} on both sides\n");
        assert!(run.code == 0 && run.stdout.contains(&line), "{run:?}");
        let text = fs::read_to_string(&file).unwrap();
        let figures: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(figures["kernel"] == name && figures["server_kernel"] == name);
    }
    for flags in ["-c 1 -d 100ms", "serve sealed echo 64"] {
        let mut program = command(flags);
        program.env("SEALWIRE_KERNEL", "deadbeef");
        let told = "loadgen: SEALWIRE_KERNEL: no such kernel; there are portable, aesni, avx512\n";
        call(program).failed(2, told);
    }
}

/// Goal: rounds are set beside those of an older report, and worse ones have their exit code; a
/// report of another setting is refused before anything runs. Method: six short rounds; with
/// another size, too few rounds, and no file; against the same report with rates a hundred times as
/// high.
#[test]
fn baselines() {
    let folder = tempfile::tempdir().unwrap();
    let old = folder.path().join("old");
    // Too few samples for a run to be INVALID, however busy the machine is.
    let flags = "-c 1 -d 100ms -w 0";
    let shown = old.display();
    let run = loadgen(&format!("{flags} --rounds 6 --json {shown}")).ended(0);
    assert!(run.stdout.contains("sealed (6 runs)"), "{run:?}");
    assert!(!run.stdout.contains(" / "), "{run:?}");
    let refused = loadgen(&format!("{flags} --baseline {shown} -s 65")).ended(1);
    let told = "not comparable: plan/size_bytes is 64 there, and 65 here";
    assert!(refused.stderr.contains(told), "{refused:?}");
    loadgen(&format!("{flags} --baseline {shown} --rounds 4")).failed(1, "too few to tell");
    loadgen(&format!("{flags} --baseline /none")).failed(1, "--baseline /none: ");

    let text = fs::read_to_string(&old).unwrap();
    let mut report: serde_json::Value = serde_json::from_str(&text).unwrap();
    for run in report["runs"].as_array_mut().unwrap() {
        run["verdict"] = "SUSPECT".into();
        let rate = &mut run["messages_per_second"];
        *rate = (rate.as_f64().unwrap() * 100.0).into();
    }
    fs::write(&old, report.to_string()).unwrap();
    let run = loadgen(&format!("{flags} --rounds 6 --baseline {shown} --json -")).ended(7);
    let figures = run.json();
    assert_eq!(figures["baseline"]["change"], "worse", "{figures}");
    assert_eq!(figures["baseline"]["rows"][0]["figure"], "messages/s");
    assert_eq!(figures["baseline"]["rows"][0]["change"], "worse");
    let run = loadgen(&format!("{flags} --rounds 6 --baseline {shown}")).ended(7);
    assert!(run.stdout.contains("worse than the baseline"), "{run:?}");
}

/// Goal: other programs learn the options: a man page with all parts of the help, and a script for
/// each shell. Method: both; a shell that is none.
#[test]
fn texts_for_other_programs() {
    let page = loadgen("man").ended(0).stdout;
    for text in [
        ".TH loadgen 1",
        ".SH EXAMPLES",
        ".SH EXIT CODES",
        "\\-\\-baseline",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
    for shell in ["bash", "fish", "zsh"] {
        let script = loadgen(&format!("completions {shell}")).ended(0).stdout;
        assert!(script.contains("baseline"), "{shell}: {script}");
    }
    let refused = loadgen("completions csh").ended(2).stderr;
    assert!(refused.contains("bash"), "{refused}");
}
