//! The instrument, on real processes: its figures of a server are what the server did.
//!
//! What exactly it measures is tested on a simulated clock, beside the workloads; the bounds
//! here leave room for a busy machine. `scripts/check-instrument` shows the figures.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

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
