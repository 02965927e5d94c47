//! How the program ends when stdout, its reader or the user does not let it go on: with
//! the code that says so, soon, and with no server left behind.
#![allow(clippy::unwrap_used)]

mod common;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use common::{KEYS, Run, call, command, loadgen};
use rustix::process::{Pid, Signal, kill_process};
use socket2::{Domain, Socket, Type};

/// Within this the program has ended, on a machine that has other things to do. What it
/// might wait for instead takes ten seconds.
const SOON: Duration = Duration::from_secs(5);
/// Long before this a process that should be there, or gone, is.
const PATIENCE: Duration = Duration::from_secs(60);

/// A short run of every command that prints, and `serve`, which says its port.
const COMMANDS: [&str; 6] = [
    "--help",
    "--version",
    "-c 1 -d 100ms -w 0",
    "-c 1 -d 100ms -w 0 --json -",
    "compare -c 1 -d 100ms -w 0 --rounds 1",
    "serve plain echo 64",
];

/// The program with `flags`, as a shell starts it once it has done `before`.
fn shell(before: &str, flags: &str) -> Command {
    let mut shell = Command::new("sh");
    let [confkey, authkey] = KEYS;
    shell
        .args(["-c", &format!("{before}; exec \"$0\" \"$@\"")])
        .arg(env!("CARGO_BIN_EXE_loadgen"))
        .args(flags.split_whitespace())
        .env("SEALWIRE_CONFKEY", confkey)
        .env("SEALWIRE_AUTHKEY", authkey)
        .stdin(Stdio::null());
    shell
}

/// The program with `flags`, under way.
fn start(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn id(child: &Child) -> Pid {
    Pid::from_child(child)
}

/// The servers that `parent` has started and that run: no zombies, and none that is not
/// yet another program than `parent`, which waits for that.
fn servers(parent: Pid) -> Vec<Pid> {
    let all = fs::read_dir("/proc").unwrap();
    let ids = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let is_child = |id: &i32| {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let mut words = stat.rsplit(") ").next().unwrap().split_whitespace();
        let is_child = words.next() != Some("Z") && words.next() == Some(&parent.to_string());
        let words = fs::read_to_string(format!("/proc/{id}/cmdline")).unwrap_or_default();
        is_child && words.split('\0').nth(1) == Some("serve")
    };
    ids.filter(is_child).filter_map(Pid::from_raw).collect()
}

/// Waits for the server that `program` starts, other than `known`.
fn server_of(program: &Child, known: &[Pid]) -> Pid {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        let mut found = servers(id(program)).into_iter();
        if let Some(server) = found.find(|server| !known.contains(server)) {
            return server;
        }
        thread::sleep(Duration::from_millis(1));
    }
    panic!("no server was started");
}

/// Waits until `process` is gone.
#[track_caller]
fn is_gone(process: Pid) {
    let began = Instant::now();
    let runs = || {
        let stat = fs::read_to_string(format!("/proc/{process}/stat"));
        stat.is_ok_and(|stat| !stat.contains(") Z "))
    };
    while runs() {
        assert!(began.elapsed() < PATIENCE, "a server was left behind");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Sends `signal`, and waits for the end, which comes soon.
#[track_caller]
fn end(program: Child, signal: Signal) -> Output {
    let began = Instant::now();
    kill_process(id(&program), signal).unwrap();
    let output = program.wait_with_output().unwrap();
    assert!(began.elapsed() < SOON, "{:?}: {output:?}", began.elapsed());
    output
}

/// Goal: a stdout that is closed is told, by every command, before anything is started
/// or connected; one that is not wanted is no error, nor is a stderr that is closed.
/// Method: a shell that closes them.
#[test]
fn closed_descriptors() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let to = format!("--to 127.0.0.1:{port}");
    for flags in COMMANDS.into_iter().chain([&to[..]]) {
        let run = call(shell("exec >&-", flags));
        let told = "loadgen: standard output is closed: open it, for instance with >/dev/null\n";
        assert_eq!((run.code, &run.stderr[..]), (1, told), "{flags}: {run:?}");
    }
    let nobody = listener.accept().unwrap_err();
    assert_eq!(nobody.kind(), ErrorKind::WouldBlock);
    let run = call(shell("exec 1</dev/null", "--version"));
    assert!(run.code == 1 && run.stderr.contains("not open for writing"));
    let run = call(shell("exec <&-", "serve plain echo 64"));
    assert!(run.code == 1 && run.stderr.contains("standard input is closed"));
    for before in ["exec >/dev/null", "exec 2>&-", "exec <&-"] {
        let run = call(shell(before, "-c 1 -d 100ms -w 0"));
        assert_eq!((run.code, &run.stderr[..]), (0, ""), "{before}: {run:?}");
    }
}

/// Goal: what could not be printed is never told as printed: 141 if the reader has gone,
/// as of other programs, else 1 and why. Method: a pipe whose reader is gone; a full disk.
#[test]
fn nobody_takes_the_report() {
    for flags in &COMMANDS[..5] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let to = |stdout: Stdio| {
            let mut program = command(flags);
            program.stdout(stdout).stderr(Stdio::piped());
            Run::of(program.spawn().unwrap().wait_with_output().unwrap())
        };
        let run = to(writer.into());
        assert_eq!((run.code, &run.stderr[..]), (141, ""), "{flags}: {run:?}");
        let full = File::options().write(true).open("/dev/full").unwrap();
        let run = to(full.into());
        assert_eq!((run.code, run.stderr.lines().count()), (1, 1), "{run:?}");
        assert!(run.stderr.contains("writing standard output: "), "{run:?}");
    }
    for file in ["--json", "--hdr", "--timeseries"] {
        let run = loadgen(&format!("-c 1 -d 100ms -w 0 -q {file} /dev/full"));
        assert_eq!(run.code, 1, "{run:?}");
        assert!(run.stderr.contains("/dev/full: cannot write"), "{run:?}");
    }
}

/// Goal: messages that nobody reads change nothing. Method: keys on the command line,
/// which is warned of, and a stderr whose reader is gone.
#[test]
fn nobody_reads_messages() {
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let [confkey, authkey] = KEYS;
    let flags = format!("--to 127.0.0.1:{port} --confkey {confkey} --authkey {authkey}");
    let told = loadgen(&flags);
    assert_eq!((told.code, told.stderr.lines().count()), (1, 2), "{told:?}");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut program = command(&flags);
    let status = program.stderr(writer).status().unwrap();
    assert_eq!(status.code(), Some(1));
}

/// Goal: whatever the program waits for before it measures, a signal ends it at once, as
/// if nobody had caught it, and its server leaves. Method: a server that lets nobody
/// connect, one that never answers, and a warm-up without end; each of the signals.
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
            // Whatever it has come to by now: all of it is before there is a report.
            thread::sleep(Duration::from_millis(300));
            let output = end(program, signal);
            let ended = output.status.signal();
            assert_eq!(ended, Some(signal.as_raw()), "{flags}: {output:?}");
            assert!(output.stdout.is_empty() && output.stderr.is_empty());
            server.into_iter().for_each(is_gone);
        }
    }
}

/// Goal: once it measures the first signal brings the report; a terminal that goes away
/// is such a one. Method: each of the signals amid a long run.
#[test]
fn a_signal_brings_the_report() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let program = start(command("-c 1 -d 600s -w 0 --json -"));
        let server = server_of(&program, &[]);
        thread::sleep(Duration::from_secs(2));
        let output = end(program, signal);
        let run = Run::of(output);
        assert_eq!(run.code, 0, "{run:?}");
        assert_eq!(run.json()["interrupted"], true);
        is_gone(server);
    }
}

/// Goal: a comparison that is interrupted between its measurements tells at once of the
/// rounds that it has. Method: the server of a later run stands still as soon as it is
/// there, so that the comparison waits for its port, its peer, or the warm-up.
#[test]
fn a_signal_between_runs() {
    let program = start(command("compare -c 1 -d 300ms -w 1s --rounds 1000"));
    let mut known = Vec::new();
    for _ in 0..3 {
        known.push(server_of(&program, &known));
    }
    let server = known[2];
    kill_process(server, Signal::STOP).unwrap();
    thread::sleep(Duration::from_millis(300));
    let run = Run::of(end(program, Signal::INT));
    assert_eq!((run.code, &run.stderr[..]), (0, ""), "{run:?}");
    let told = "it was interrupted: 1 of 1000 rounds are whole";
    assert!(run.stdout.contains(told), "{run:?}");
    is_gone(server);
}

/// Goal: a signal that was ignored when the program started stays so, as nohup wants.
/// Method: a shell that ignores all three; each of them amid a run.
#[test]
fn ignored_signals() {
    let program = start(shell(
        "trap '' HUP INT TERM",
        "-c 1 -d 2s -w 0 -p 2 --json -",
    ));
    let server = server_of(&program, &[]);
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        for process in [id(&program), server] {
            kill_process(process, signal).unwrap();
        }
    }
    thread::sleep(Duration::from_secs(1));
    kill_process(id(&program), Signal::HUP).unwrap();
    let run = Run::of(program.wait_with_output().unwrap());
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(run.json()["interrupted"], false);
}

/// Goal: no server is left behind by a program that could do nothing about it. Method:
/// SIGKILL.
#[test]
fn a_killed_program_leaves_no_server() {
    let mut program = start(command("-c 1 -d 600s"));
    let server = server_of(&program, &[]);
    program.kill().unwrap();
    program.wait().unwrap();
    is_gone(server);
}

/// Goal: no name that somebody chose drives the terminal. Method: an escape sequence in
/// a host, which cannot be looked up, and in a file's name.
#[test]
fn names_are_harmless() {
    for (flags, name) in [
        ("--to", &b"no..such\x1b[2Jname:1"[..]),
        ("-c 1 -d 100ms -w 0 -q --json", b"/no/such\x1b[2J/folder"),
        ("--to h:1 --keys", b"/no/such\x1b[2J/keys"),
    ] {
        let mut program = command(flags);
        program.arg(OsStr::from_bytes(name));
        let run = call(program);
        assert!(run.stderr.contains("such\\u{1b}[2J"), "{run:?}");
        assert!(!run.stderr.contains('\x1b'), "{run:?}");
    }
}

/// Goal: a link-local address without its interface is told as that. Method: as the
/// server, where the machine has IPv6, and to connect from.
#[test]
fn link_local() {
    let told = "fe80::1 is a link-local address: name the interface, as in fe80::1%eth0";
    if TcpListener::bind("[::1]:0").is_ok() {
        let run = loadgen("--to [fe80::1]:1");
        assert!(run.code == 1 && run.stderr.contains(told), "{run:?}");
    }
    let run = loadgen("--source-ip fe80::1");
    assert!(run.code == 2 && run.stderr.contains(told), "{run:?}");
}
