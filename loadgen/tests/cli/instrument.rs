//! The instrument, on real processes: its figures of a server are what the server did.
//!
//! What exactly it measures is tested on a simulated clock, beside the workloads; the bounds
//! here leave room for a busy machine. `scripts/check-instrument` shows the figures.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::program::{Run, command, loadgen, plain_echo, start};

/// A server of our own until this is dropped.
#[derive(Debug)]
struct Server {
    child: Child,
    to: String,
}

impl Server {
    /// One that serves as `flags` say: transport, mode, bytes of messages.
    fn start(flags: &str) -> Self {
        let mut child = command(&format!("serve {flags}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let to = format!("--to 127.0.0.1:{}", line.trim_end());
        Self { child, to }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program with `flags`, after `meanwhile`.
fn load_while(flags: &str, meanwhile: impl FnOnce()) -> Run {
    let child = start(command(flags));
    meanwhile();
    Run::of(child.wait_with_output().unwrap())
}

/// Goal: a pause of 200 ms shows in `response`, while `service` sees one message of each peer.
/// Method: SIGSTOP in an open loop. Of 3000 messages 50 are due in the first quarter of the
/// pause, and 150 ms late or more: 1.7 %; 8 of them were in flight: 0.3 %. The machine may add
/// to it.
#[test]
fn a_stopped_server() {
    let server = Server::start("sealed echo 64");
    let flags = "-c 8 -r 1000 -d 3s -w 200ms --json -";
    let run = load_while(&format!("{flags} {}", server.to), || {
        thread::sleep(Duration::from_millis(1500));
        server.signal(Signal::STOP);
        thread::sleep(Duration::from_millis(200));
        server.signal(Signal::CONT);
    });
    let run = run.ended(0);
    assert!(run.number("/response_ns/p99") > 150e6, "{run:?}");
    assert!(run.number("/service_ns/p99") < 150e6, "{run:?}");
    assert!(run.number("/service_ns/max") > 150e6, "{run:?}");
}

/// Goal: a freeze is named with its time and length, and the figures are not valid, though a closed
/// loop has few slow answers; a bound that only the closed loop meets is told. Without a freeze
/// nothing is said of one. Method: SIGSTOP for 1 s of 3, in a closed and an open loop.
#[test]
fn a_frozen_server() {
    let server = Server::start("sealed echo 64");
    for pace in ["", "-r 2000"] {
        let flags = format!("-c 4 -d 3s -w 200ms --strict --json - {pace} {}", server.to);
        let flags = format!("{flags} --slo p99<400ms");
        let run = load_while(&flags, || {
            thread::sleep(Duration::from_millis(1200));
            server.signal(Signal::STOP);
            thread::sleep(Duration::from_millis(1000));
            server.signal(Signal::CONT);
        });
        let closed = pace.is_empty();
        // In an open loop the bound is missed.
        let run = run.ended(if closed { 5 } else { 3 });
        let rules = run.json()["rules"].to_string();
        assert!(rules.contains("the server stood still"), "{pace}: {rules}");
        assert_eq!(
            rules.contains("because the loop is closed"),
            closed,
            "{rules}"
        );
        // A busy machine adds short ones.
        let freezes = run.json()["freezes"].as_array().unwrap().clone();
        let of = |freeze: &Value, name: &str| freeze[name].as_f64().unwrap();
        let longest = freezes
            .iter()
            .max_by(|a, b| of(a, "took_s").total_cmp(&of(b, "took_s")));
        let [from, took] = ["from_s", "took_s"].map(|name| of(longest.unwrap(), name));
        assert!((0.5..1.9).contains(&from), "{pace}: from {from} s");
        assert!((0.8..2.0).contains(&took), "{pace}: took {took} s");
        let open = &run.json()["response_as_open_loop_ns"];
        assert_eq!(open.is_null(), !closed);
        if closed {
            let p99 = open["p99"].as_f64().unwrap();
            assert!(p99 > 400e6, "{p99}");
        }
    }
}

/// Goal: no message is published before the server has accepted all subscribers, though TCP has
/// connected them. Method: more than one turn accepts, while the server is stopped.
#[test]
fn a_server_that_accepts_late() {
    let server = Server::start("plain relay 64");
    server.signal(Signal::STOP);
    let pid = format!("--server-pid {}", server.child.id());
    let flags = "fanout --over plain -c 600 -d 200ms -w 0s --timeout 1s --json -";
    let run = load_while(&format!("{flags} {} {pid}", server.to), || {
        thread::sleep(Duration::from_millis(500));
        server.signal(Signal::CONT);
    });
    run.ended(0);
}

/// Goal: a server that takes 50 ms is measured to take that. Method: one of a thread, over plain
/// TCP; less is impossible, and the machine may add to it.
#[test]
fn a_delay() {
    let (address, _) = plain_echo(Duration::from_millis(50));
    for pace in ["", "-r 20"] {
        let flags = format!("--over plain --to {address} -c 2 -d 1s -w 100ms --json - {pace}");
        let run = loadgen(&flags).ended(0);
        for times in ["response_ns", "service_ns"] {
            let mean = run.number(&format!("/{times}/mean")) / 1e6;
            assert!((50.0..150.0).contains(&mean), "{times}: {mean}");
        }
    }
}

/// Goal: a server that is asked for more than it can do does not look good. Method: ten million
/// messages a second, one at a time: the bound is missed, and the figures are not valid.
#[test]
fn an_overloaded_server() {
    let run = loadgen("-c 4 -r 10000k -d 1s -w 0 --slo p99<1ms --json -").ended(3);
    assert_eq!(run.json()["verdict"], "INVALID");
    assert!(run.number("/account/unsent") > 0.0);
}

/// Goal: when the server dies in a run, the account holds, and the report says what is wrong.
/// Method: kill it, over each transport that takes no certificate.
#[test]
fn a_killed_server() {
    for over in ["sealed", "plain"] {
        let mut server = Server::start(&format!("{over} echo 64"));
        let to = &server.to;
        let flags = format!("--over {over} -c 8 -r 4000 -d 2s -w 0 --json - {to}");
        let run = load_while(&flags, || {
            thread::sleep(Duration::from_millis(1000));
            server.child.kill().unwrap();
        });
        let run = run.ended(6);
        assert_eq!(run.number("/failed_peers"), 8.0);
        let rules = &run.json()["rules"];
        let early = rules.as_array().unwrap().contains(&"it ended early".into());
        assert!(early, "{rules}");
    }
}
