//! How the program ends when stdout, its reader or the user keeps it from going on: with the
//! right code, soon, and without leaving a server behind.

use std::ffi::OsStr;
use std::fs::File;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Output};
use std::thread;
use std::time::{Duration, Instant};

use procfs::process::{self, Process};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use socket2::{Domain, Socket, Type};

use crate::program::{
    KEYS, Run, call, call_to, closed_pipe, command, free_address, loadgen, shell, start,
};

/// The program ends within this on a busy machine: on a free one within 200 ms. The waits that it
/// might be in instead take ten seconds.
const SOON: Duration = Duration::from_secs(5);
/// A process that should appear, or disappear, does so long before this.
const PATIENCE: Duration = Duration::from_secs(60);

/// A short run of every command that prints, and `serve`, which prints its port.
const COMMANDS: [&str; 8] = [
    "--help",
    "--version",
    "-c 1 -d 100ms -w 0",
    "-c 1 -d 100ms -w 0 --json -",
    "compare -c 1 -d 100ms -w 0 --rounds 1",
    "-c 1 -d 100ms -w 0 --rounds 1",
    "sweep --rates 100..200 --steps 2 -c 1 -d 100ms -w 0 -q",
    "serve plain echo 64",
];

/// The running servers that `parent` has started, without zombies, and without a process that
/// still is a copy of `parent`.
fn servers(parent: Pid) -> Vec<Pid> {
    let server = |process: Process| {
        let (stat, words) = (process.stat().ok()?, process.cmdline().ok()?);
        let is_child = stat.state != 'Z' && Pid::from_raw(stat.ppid) == Some(parent);
        let serves = is_child && words.get(1).is_some_and(|word| word == "serve");
        Pid::from_raw(stat.pid).filter(|_| serves)
    };
    let all = process::all_processes().unwrap().flatten();
    all.filter_map(server).collect()
}

/// Waits for the server that `program` starts, other than `known`.
fn server_of(program: &Child, known: &[Pid]) -> Pid {
    let began = Instant::now();
    loop {
        let mut found = servers(Pid::from_child(program)).into_iter();
        if let Some(server) = found.find(|server| !known.contains(server)) {
            return server;
        }
        assert!(began.elapsed() < PATIENCE, "no server was started");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Waits until `process` is gone.
#[track_caller]
fn is_gone(process: Pid) {
    let began = Instant::now();
    let runs = || {
        let stat = Process::new(process.as_raw_pid()).and_then(|process| process.stat());
        stat.is_ok_and(|stat| stat.state != 'Z')
    };
    while runs() {
        assert!(began.elapsed() < PATIENCE, "a server was left behind");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Sends `signal` to all of its group, as a terminal does, and waits for the end, which must
/// come soon.
#[track_caller]
fn end(program: Child, signal: Signal) -> Output {
    let began = Instant::now();
    kill_process_group(Pid::from_child(&program), signal).unwrap();
    let output = program.wait_with_output().unwrap();
    assert!(began.elapsed() < SOON, "{:?}: {output:?}", began.elapsed());
    output
}

/// Goal: every command reports a closed stdout before it starts or connects anything; a closed
/// stderr, or a stdin that is not needed, is no error. Method: a shell that closes them.
#[test]
fn closed_descriptors() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let to = format!("--to 127.0.0.1:{port}");
    for flags in COMMANDS.into_iter().chain([&to[..]]) {
        let told = "loadgen: standard output is closed: open it, for instance with >/dev/null\n";
        call(shell("exec >&-", flags)).failed(1, told);
    }
    let none = listener.accept().unwrap_err();
    assert_eq!(none.kind(), ErrorKind::WouldBlock);
    call(shell("exec 1</dev/null", "--version")).failed(1, "not open for writing");
    call(shell("exec <&-", "serve plain echo 64")).failed(1, "standard input is closed");
    for before in ["exec >/dev/null", "exec 2>&-", "exec <&-"] {
        let run = call(shell(before, "-c 1 -d 100ms -w 0"));
        assert_eq!((run.code, &run.stderr[..]), (0, ""), "{before}: {run:?}");
    }
}

/// Goal: a report that cannot be printed is an error: 141 if the reader of stdout has gone, as
/// with other programs, else 1 and the reason. Method: a pipe whose reader is gone; a full disk.
#[test]
fn reports_that_cannot_be_printed() {
    for flags in &COMMANDS[..7] {
        let run = call_to(closed_pipe(), flags).ended(141);
        assert_eq!(run.stderr, "", "{flags}");
        let full = File::options().write(true).open("/dev/full").unwrap();
        call_to(full.into(), flags).failed(1, "writing standard output: ");
    }
    for file in ["--json", "--hdr", "--timeseries", "--prometheus", "--html"] {
        let run = loadgen(&format!("-c 1 -d 100ms -w 0 -q {file} /dev/full")).ended(1);
        let told = "the report is not whole: cannot write /dev/full";
        assert!(run.stderr.contains(told), "{run:?}");
        assert!(run.stdout.contains("p99"), "the table is there: {run:?}");
    }
    // A file that cannot be written is told, though the reader of stdout has gone.
    let flags = "-c 1 -d 100ms -w 0 --json /dev/full";
    call_to(closed_pipe(), flags).failed(1, "cannot write /dev/full");
}

/// Goal: an output that cannot be written is told before the run. What was in a file stays until
/// the report is there, and a run without one leaves no empty file. Method: no such folder, a
/// folder, a folder that is none; runs that would take an hour; a run that fails.
#[test]
fn outputs_that_cannot_be_opened() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).display().to_string();
    for (path, why) in [
        (place("no/file"), "No such file"),
        (place(""), "Is a directory"),
        ("/dev/null/file".into(), "Not a directory"),
    ] {
        for option in ["--json", "--hdr", "--timeseries", "--prometheus", "--html"] {
            let run = loadgen(&format!("-c 1 -d 1h -w 0 {option} {path}")).ended(1);
            let told = format!("{option}: cannot write {path}: ");
            assert!(run.stderr.contains(&told), "{run:?}");
            assert!(run.stderr.contains(why), "{run:?}");
        }
        for option in ["--json", "--html"] {
            let run = loadgen(&format!("compare -d 1h {option} {path}")).ended(1);
            let told = format!("{option}: cannot write");
            assert!(run.stderr.contains(&told), "{run:?}");
        }
    }
    let (old, new) = (place("old"), place("new"));
    std::fs::write(&old, "as it was, and long enough to show".repeat(1000)).unwrap();
    let to = format!("--over plain --to {}", free_address());
    loadgen(&format!("{to} -d 1s --json {old} --hdr {new}")).ended(1);
    assert!(
        std::fs::read_to_string(&old)
            .unwrap()
            .starts_with("as it was")
    );
    assert!(!std::fs::exists(&new).unwrap(), "an empty file was left");
    loadgen(&format!("-c 1 -d 100ms -w 0 --json {old} --hdr {new}")).ended(0);
    let json = std::fs::read_to_string(&old).unwrap();
    serde_json::from_str::<serde_json::Value>(&json).unwrap();
    assert!(std::fs::exists(&new).unwrap());
}

/// Goal: a closed stderr changes nothing else. Method: keys on the command line, which cause a
/// warning, with and without a reader of stderr.
#[test]
fn closed_stderr() {
    let ([confkey, authkey], address) = (KEYS, free_address());
    let flags = format!("--to {address} --confkey {confkey} --authkey {authkey}");
    let told = loadgen(&flags);
    assert_eq!((told.code, told.stderr.lines().count()), (1, 2), "{told:?}");
    let status = command(&flags).stderr(closed_pipe()).status().unwrap();
    assert_eq!(status.code(), Some(1));
}

/// Goal: before it measures, a signal ends the program at once, as if it were not caught, and
/// its server leaves. Method: a server with a full backlog, one that never answers, and a
/// warm-up without end; each of the signals.
#[test]
fn a_signal_before_there_is_a_report() {
    let silent = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    silent.bind(&any.into()).unwrap();
    silent.listen(0).unwrap();
    let address = silent.local_addr().unwrap();
    let fillers = (0..4).map(|_| {
        let filler = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        filler.set_nonblocking(true).unwrap();
        let _ = filler.connect(&address);
        filler
    });
    let _fillers: Vec<_> = fillers.collect();
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let full = format!("--to {}", address.as_socket().unwrap());
    let mute = format!("--to {}", mute.local_addr().unwrap());
    for (flags, starts) in [(&full[..], false), (&mute, false), ("-c 1 -w 600s", true)] {
        for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
            let program = start(command(flags));
            let server = starts.then(|| server_of(&program, &[]));
            // However far it has come by now, there is no report yet.
            thread::sleep(Duration::from_millis(300));
            let output = end(program, signal);
            let ended = output.status.signal();
            assert_eq!(ended, Some(signal.as_raw()), "{flags}: {output:?}");
            assert!(output.stdout.is_empty() && output.stderr.is_empty());
            server.into_iter().for_each(is_gone);
        }
    }
}

/// Goal: once it measures, the first signal brings the report, also if the terminal goes away:
/// marked as interrupted, with the rate of the time until then, and of a server that was there
/// to the end; every message is accounted for. Method: each signal in a long run of two threads, half
/// a second into an interval. One message of each peer may be answered after the end.
#[test]
fn a_signal_brings_the_report() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let program = start(command("-c 4 --threads 2 -d 1000s -w 0 --json -"));
        let server = server_of(&program, &[]);
        thread::sleep(Duration::from_millis(2500));
        let run = Run::of(end(program, signal)).ended(0);
        let figures = run.json();
        is_gone(server);
        assert_eq!(figures["interrupted"], true);
        assert_eq!(figures["account"]["holds"], true, "{figures:#}");
        assert_eq!(figures["failed_peers"], 0, "{figures:#}");
        let completed = run.number("/account/completed");
        let [rate, seconds] = ["/messages_per_second", "/measured_s"].map(|name| run.number(name));
        assert!(completed > 0.0 && seconds < 60.0, "{figures:#}");
        let off = (rate * seconds - completed).abs().round();
        assert!(off <= 4.0, "{rate}/s in {seconds} s are not {completed}");
    }
}

/// Goal: against a server that takes connections and never answers, a signal brings a report soon,
/// and it has no impossible figure. Method: a plain server that reads nothing, in both loops, and a
/// stream, whose messages are in flight.
#[test]
fn a_signal_without_an_answer() {
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = format!("--over plain --to {}", mute.local_addr().unwrap());
    for workload in ["-w 0", "-r 100 -w 0", "sink"] {
        let program = start(command(&format!("{workload} {to} -c 2 -d 100s --json -")));
        thread::sleep(Duration::from_millis(1500));
        let run = Run::of(end(program, Signal::INT)).ended(0);
        let account = &run.json()["account"];
        assert_eq!(account["holds"], true, "{workload}: {account}");
        assert_eq!(account["completed"], 0, "{workload}: {account}");
        assert!(
            account["in_flight"].as_u64() > Some(0),
            "{workload}: {account}"
        );
        assert!(run.number("/generator_busy/0") < 1.5, "{run:?}");
        assert!(run.number("/measured_s") > 0.1, "{run:?}");
    }
}

/// Goal: a comparison that is interrupted between its measurements reports its whole rounds at
/// once. Method: the server of a later run is stopped as soon as it is there, so that the
/// comparison waits for its port, its peer, or the warm-up.
#[test]
fn a_signal_between_runs() {
    let program = start(command("compare -c 1 -d 300ms -w 1s --rounds 1000"));
    let transports = if cfg!(feature = "tls") { 3 } else { 2 };
    let mut known = Vec::new();
    for _ in 0..=transports {
        known.push(server_of(&program, &known));
    }
    let server = known[transports];
    kill_process(server, Signal::STOP).unwrap();
    thread::sleep(Duration::from_millis(300));
    let run = Run::of(end(program, Signal::INT));
    assert_eq!((run.code, &run.stderr[..]), (0, ""), "{run:?}");
    let told = "it was interrupted: 1 of 1000 rounds are whole";
    assert!(run.stdout.contains(told), "{run:?}");
    is_gone(server);
}

/// Goal: what has several runs reports those that are whole, also if that is none. Method: a signal
/// in the first run of a search, of a sweep and of rounds.
#[test]
fn a_signal_in_a_first_run() {
    for (flags, code, told) in [
        ("search --slo p99<1s", 3, "it was interrupted"),
        ("sweep --rates 100..200", 0, "0 of 10 rates were run"),
        ("--rounds 5", 0, "0 of 5 rounds are whole"),
    ] {
        let program = start(command(&format!("{flags} -c 1 -d 1000s -w 0")));
        let server = server_of(&program, &[]);
        thread::sleep(Duration::from_millis(2500));
        let run = Run::of(end(program, Signal::INT)).ended(code);
        assert!(run.stdout.contains(told), "{run:?}");
        is_gone(server);
    }
}

/// Goal: a signal that was ignored when the program started stays ignored, as nohup wants.
/// Method: a shell that ignores all three; each of them in a run.
#[test]
fn ignored_signals() {
    let program = start(shell(
        "trap '' HUP INT TERM",
        "-c 1 -d 2s -w 0 -p 2 --json -",
    ));
    let server = server_of(&program, &[]);
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        for process in [Pid::from_child(&program), server] {
            kill_process(process, signal).unwrap();
        }
    }
    thread::sleep(Duration::from_secs(1));
    kill_process(Pid::from_child(&program), Signal::HUP).unwrap();
    let run = Run::of(program.wait_with_output().unwrap()).ended(0);
    assert_eq!(run.json()["interrupted"], false);
}

/// Goal: a program that is killed leaves no server behind. Method: SIGKILL.
#[test]
fn a_killed_program_leaves_no_server() {
    let mut program = start(command("-c 1 -d 600s"));
    let server = server_of(&program, &[]);
    program.kill().unwrap();
    program.wait().unwrap();
    is_gone(server);
}

/// Goal: no name drives the terminal. Method: an escape sequence in a host, which cannot be
/// looked up, and in a file's name.
#[test]
fn names_are_harmless() {
    for (flags, name) in [
        ("--to", &b"no..such\x1b[2Jname:1"[..]),
        ("-c 1 -d 100ms -w 0 -q --json", b"/no/such\x1b[2J/folder"),
        ("--baseline", b"/no/such\x1b[2J/report"),
        ("--to h:1 --keys", b"/no/such\x1b[2J/keys"),
    ] {
        let mut program = command(flags);
        program.arg(OsStr::from_bytes(name));
        let run = call(program);
        assert!(run.stderr.contains("such\\u{1b}[2J"), "{run:?}");
        assert!(!run.stderr.contains('\x1b'), "{run:?}");
    }
}

/// Goal: a link-local address without its interface is refused with that reason. Method: as the
/// server, where the machine has IPv6, and to connect from.
#[test]
fn link_local() {
    let told = "fe80::1 is a link-local address: name the interface, as in fe80::1%eth0";
    if TcpListener::bind("[::1]:0").is_ok() {
        let run = loadgen("--to [fe80::1]:1");
        assert!(run.code == 1 && run.stderr.contains(told), "{run:?}");
    }
    loadgen("--source-ip fe80::1").failed(2, told);
}
