//! The instrument, on real processes: what it tells of a server is what the server
//! did. What exactly it measures is tested on a made-up clock, beside the workloads;
//! the bounds here are those of a machine that has other things to do, too.
//! `scripts/check-instrument` shows the figures.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::{Run, call, command, loadgen};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// A server of our own until this is dropped.
#[derive(Debug)]
struct Server {
    child: Child,
    port: u16,
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
        let port = line.trim_end().parse().unwrap();
        Self { child, port }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn number(run: &Run, names: &[&str]) -> f64 {
    let figures = run.json();
    let value = names.iter().fold(&figures, |value, name| &value[name]);
    value
        .as_f64()
        .unwrap_or_else(|| panic!("{names:?}: {run:?}"))
}

/// The program with `flags`, while `meanwhile` is done.
fn load_while(flags: &str, meanwhile: impl FnOnce()) -> Run {
    let child = command(flags)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    meanwhile();
    Run::of(child.wait_with_output().unwrap())
}

/// Goal: a server that stands still for 200 ms cannot hide it from `response`, while
/// `service` sees one message of each peer. Method: SIGSTOP amid an open loop. Of 3000
/// messages 150 are due in the first three quarters of the pause, and 50 ms late or
/// more: 5 %; of which 8 were under way: 0.3 %. The machine may add to it.
#[test]
fn a_stopped_server() {
    let server = Server::start("sealed echo 64");
    let pid = Pid::from_raw(server.child.id() as i32).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let hgrm = folder.path().join("hgrm");
    let flags = format!(
        "--to 127.0.0.1:{} -c 8 -r 1000 -d 3s -w 200ms --hdr {} --json -",
        server.port,
        hgrm.display()
    );
    let run = load_while(&flags, || {
        thread::sleep(Duration::from_millis(1500));
        kill_process(pid, Signal::STOP).unwrap();
        thread::sleep(Duration::from_millis(200));
        kill_process(pid, Signal::CONT).unwrap();
    });
    assert_eq!(run.code, 0, "{run:?}");
    assert!(quantile(&hgrm, 0.97) > 50e6, "{run:?}");
    assert!(number(&run, &["service_ns", "p99"]) < 150e6, "{run:?}");
    assert!(number(&run, &["service_ns", "max"]) > 150e6, "{run:?}");
}

/// Goal: nothing is published before the server has everybody whom it is for, though
/// TCP says that they are connected. Method: more than are accepted in one turn, while
/// it stands still.
#[test]
fn a_server_that_accepts_late() {
    let server = Server::start("plain relay 64");
    let pid = Pid::from_raw(server.child.id() as i32).unwrap();
    kill_process(pid, Signal::STOP).unwrap();
    let to = format!("--to 127.0.0.1:{} --server-pid {}", server.port, pid);
    let flags = format!("fanout --over plain {to} -c 600 -d 200ms -w 0s --timeout 1s --json -");
    let run = load_while(&flags, || {
        thread::sleep(Duration::from_millis(500));
        kill_process(pid, Signal::CONT).unwrap();
    });
    assert_eq!(run.code, 0, "{run:?}");
}

/// The value at a quantile, in nanoseconds, of the response times that were written.
fn quantile(hgrm: &Path, quantile: f64) -> f64 {
    let text = fs::read_to_string(hgrm).unwrap();
    let rows = text.lines().filter(|line| !line.starts_with('#'));
    let numbers = rows.map(|line| {
        let mut words = line.split_whitespace().map(str::parse::<f64>);
        Some((words.next()?.ok()?, words.next()?.ok()?))
    });
    let at = numbers.flatten().find(|(_, at)| *at >= quantile);
    at.unwrap().0 * 1e6
}

/// Goal: a server that takes 50 ms is measured to take that. Method: one of a thread,
/// over plain TCP; less is impossible, and more is the machine's.
#[test]
fn a_delay() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            thread::spawn(move || {
                let mut bytes = [0; 64];
                while socket.read_exact(&mut bytes).is_ok() {
                    thread::sleep(Duration::from_millis(50));
                    socket.write_all(&bytes).unwrap();
                }
            });
        }
    });
    for pace in ["", "-r 20"] {
        let flags =
            format!("--over plain --to 127.0.0.1:{port} -c 2 -d 1s -w 100ms --json - {pace}");
        let run = loadgen(&flags);
        assert_eq!(run.code, 0, "{run:?}");
        for times in ["response_ns", "service_ns"] {
            let mean = number(&run, &[times, "mean"]) / 1e6;
            assert!((50.0..150.0).contains(&mean), "{times}: {mean}");
        }
    }
}

/// Goal: what is due is sent, on average and one by one. Method: a rate that any
/// machine has.
#[test]
fn a_rate() {
    let run = loadgen("-c 8 -r 2000 -d 2s -w 200ms --json -");
    assert_eq!(run.code, 0, "{run:?}");
    // How it goes is told on a terminal alone.
    assert_eq!(run.stderr, "");
    let rate = number(&run, &["messages_per_second"]);
    // What is late at the end is no part of it.
    assert!((1000.0..2100.0).contains(&rate), "{rate}");
    assert_eq!(number(&run, &["account", "scheduled"]), 4000.0);
}

/// Goal: a server that is asked for more than it can do is not made to look good.
/// Method: ten million messages a second, one at a time: the bound is missed, and the
/// figures are not valid.
#[test]
fn an_overloaded_server() {
    let flags = "-c 4 -r 10000k -d 1s -w 0 --slo p99<1ms --json -";
    let run = loadgen(flags);
    assert_eq!(run.code, 3, "{run:?}");
    assert_eq!(run.json()["verdict"], "INVALID");
    assert_eq!(run.json()["account"]["holds"], true);
    assert!(number(&run, &["account", "unsent"]) > 0.0);
}

/// Goal: the account holds, and the program says what is wrong, when the server goes
/// away amid a run. Method: kill it.
#[test]
fn a_killed_server() {
    let mut server = Server::start("sealed echo 64");
    let flags = format!(
        "--to 127.0.0.1:{} -c 8 -r 4000 -d 2s -w 0 --json -",
        server.port
    );
    let run = load_while(&flags, || {
        thread::sleep(Duration::from_millis(1000));
        server.child.kill().unwrap();
    });
    assert_eq!(run.code, 6, "{run:?}");
    assert_eq!(run.json()["account"]["holds"], true, "{run:?}");
    assert_eq!(number(&run, &["failed_peers"]), 8.0);
    let rules = &run.json()["rules"];
    assert!(
        rules.as_array().unwrap().contains(&"it ended early".into()),
        "{rules}"
    );
}

/// Goal: what was due to a peer that is gone is in the account as that, and the others
/// go on. Method: a server over plain TCP that drops the first of two peers to say a
/// hundred messages; it has hundreds more to say.
#[test]
fn a_dropped_peer() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let dropped = Arc::new(AtomicBool::new(false));
    thread::spawn(move || {
        for socket in listener.incoming() {
            let (mut socket, dropped) = (socket.unwrap(), dropped.clone());
            thread::spawn(move || {
                let mut bytes = [0; 64];
                for k in 0.. {
                    if socket.read_exact(&mut bytes).is_err() || socket.write_all(&bytes).is_err() {
                        return;
                    }
                    if k == 100 && !dropped.swap(true, Ordering::Relaxed) {
                        return;
                    }
                }
            });
        }
    });
    let run = loadgen(&format!(
        "--over plain --to 127.0.0.1:{port} -c 2 -r 1000 -d 2s -w 0 --json -"
    ));
    assert_eq!(run.code, 6, "{run:?}");
    assert_eq!(run.json()["account"]["holds"], true, "{run:?}");
    assert_eq!(number(&run, &["failed_peers"]), 1.0);
    assert_eq!(number(&run, &["account", "scheduled"]), 2000.0);
    assert!(number(&run, &["account", "shed"]) > 100.0, "{run:?}");
    assert!(number(&run, &["account", "completed"]) > 200.0, "{run:?}");
}

/// Goal: the user who has seen enough gets a report, marked as cut short, with the rate
/// of the time that it was, and of a server that was there to the end. Method: SIGINT
/// amid a long run, to all of its group, as a terminal sends it; half a second into an
/// interval. One message of each peer may be answered behind the end.
#[test]
fn interrupted() {
    let began = Instant::now();
    let child = command("-c 4 -d 1000s -w 0 --json -")
        .process_group(0)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    thread::sleep(Duration::from_millis(2500));
    let pid = Pid::from_raw(child.id() as i32).unwrap();
    kill_process_group(pid, Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    let figures: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{figures:#}");
    assert_eq!(figures["interrupted"], true);
    assert_eq!(figures["account"]["holds"], true);
    assert_eq!(figures["failed_peers"], 0, "{figures:#}");
    let completed = figures["account"]["completed"].as_f64().unwrap();
    assert!(completed > 0.0);
    let seconds = figures["measured_s"].as_f64().unwrap();
    let rate = figures["messages_per_second"].as_f64().unwrap();
    let off = (rate * seconds - completed).abs().round();
    assert!(off <= 4.0, "{rate}/s in {seconds} s are not {completed}");
    assert!(began.elapsed() < Duration::from_secs(60));
}

/// Goal: figures that are not valid are an error for who wants that, and only then.
/// Method: a run that is too short to be anything.
#[test]
fn strict() {
    for (flags, code) in [("", 0), ("--strict", 5)] {
        let run = call(command(&format!("-c 1 -d 100ms -w 0 {flags}")));
        assert_eq!(run.code, code, "{run:?}");
    }
}
