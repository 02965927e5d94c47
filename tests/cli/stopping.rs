//! Signals, and a stdout or stderr that closes: what each leads to. Descriptors that are
//! closed from the start are in [`crate::descriptors`].

use std::fs::File;
use std::io::{Read, Write};
use std::process::Stdio;
use std::thread::sleep;
use std::time::Instant;

use rustix::pipe::fcntl_setpipe_size;
use rustix::process::Signal;

use crate::modes::joined;
use crate::program::{A_WHILE, Launch};
use crate::raw_peer::RawPeer;

/// A disk that is full.
pub(crate) fn dev_full() -> File {
    File::options().write(true).open("/dev/full").unwrap()
}

/// Goal: a program that is stopped in the middle ends with 128 + n, and its peer learns
/// that this is no proper end. Method: a client and a one-shot server on open pipes; one of
/// them is stopped.
#[test]
fn stopped_in_the_middle() {
    let told = "the peer gave up: going away";
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let server = Launch::receiver("").start();
        let client = Launch::client(server.port(), "").start();
        server.line(" came");
        client.signal(signal);
        client.ends_with(code);
        server.ends_with(3).told(told);
    }
    let server = Launch::server("").start();
    let client = Launch::client(server.port(), "").start();
    server.line(" came");
    server.signal(Signal::INT);
    server.ends_with(130);
    client.ends_with(3).told(told);
}

/// Goal: a client that is stopped when it has sent all ends with 0. Method: a client
/// without input, at a server without input.
#[test]
fn stopped_with_no_message_cut_short() {
    let server = Launch::server("--no-input").start();
    let mut client = Launch::client(server.port(), "--no-input").start();
    joined(&server, 1);
    assert!(client.is_running());
    client.signal(Signal::TERM);
    client.ends_with(0);
    server.line(" left");
    server.stop();
}

/// Goal: a server that serves until stopped leaves with 0 when it is stopped, and lets its
/// clients finish. Method: stop one of each kind with a client whose input is open.
#[test]
fn a_server_that_serves_leaves_with_0() {
    for mode in ["--echo", "--relay", "--sink", "--no-input"] {
        let server = Launch::server(mode).start();
        let mut client = Launch::client(server.port(), "").start();
        joined(&server, 1);
        client.say("x");
        sleep(A_WHILE);
        server.signal(Signal::TERM);
        sleep(A_WHILE);
        client.finish("");
        server.ends_with(0);
    }
}

/// Goal: without peers, a stopped program leaves at once: a server that serves until
/// stopped with 0, a one-shot server with 128 + n. Stderr tells of a hangup, so that the user
/// does not take its code for an end that was asked for.
#[test]
fn stopped_alone() {
    for (args, signal, code, told) in [
        ("--echo", Signal::TERM, 0, ""),
        ("--no-input", Signal::TERM, 0, ""),
        ("", Signal::TERM, 143, ""),
        ("--echo", Signal::HUP, 0, "SIGHUP: leaving"),
    ] {
        let server = Launch::server(args).start();
        server.port();
        let start = Instant::now();
        server.signal(signal);
        server.ends_with(code).told(told);
        assert!(start.elapsed().as_secs() < 3, "{args}");
    }
}

/// Goal: a second signal ends a server that waits for a peer. Method: a peer that sends nothing
/// and closes nothing. How long a server waits for such a peer is in `tests/sim`.
#[test]
fn a_second_signal_leaves_at_once() {
    let mut server = Launch::server("--echo").start();
    let _peer = RawPeer::proved(server.port());
    joined(&server, 1);
    let start = Instant::now();
    server.signal(Signal::INT);
    sleep(A_WHILE);
    assert!(server.is_running(), "it waits");
    server.signal(Signal::INT);
    server.ends_with(0);
    assert!(start.elapsed().as_secs() < 3, "{:?}", start.elapsed());
}

/// Goal: a reader that wants only the start, as `| head -1`, ends a client quietly with
/// 141, as it ends other programs, and the sender learns that not all was taken. Method: a
/// client whose stdout is closed after its first bytes, and whose own input is open.
#[test]
fn a_closed_stdout_is_quiet() {
    let mut server = Launch::server("").start();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let client = Launch::client(server.port(), "").stdout(writer).start();
    let mut input = server.take_input();
    let pouring = std::thread::spawn(move || {
        let line = [b'x'; 1000];
        while input.write_all(&line).is_ok() {}
    });
    let mut start = [0; 1000];
    reader.read_exact(&mut start).unwrap();
    drop(reader);
    let client = client.ends_with(141);
    assert_eq!(client.stderr.lines().count(), 1, "{client}");
    server.ends_with(3).told("the peer gave up: local error");
    pouring.join().unwrap();
}

/// Goal: a reader that has gone is no failure by itself: with nothing lost the code is 0.
/// Method: a client whose reader goes at once, and that receives nothing.
#[test]
fn a_closed_stdout_without_a_loss() {
    let server = Launch::receiver("").start();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let client = Launch::client(server.port(), "").stdout(writer).start();
    client.finish("one way");
    server.ends_with(0).printed("one way");
}

/// Goal: a stderr that is full or closed changes nothing, and no program that ends waits for
/// it. Method: a client with a full disk and a closed pipe, whose echo is whole; a program that
/// cannot run, and has its code alone to say so, with these and a full pipe.
#[test]
fn a_lost_stderr() {
    let server = Launch::server("--echo").start();
    let closed = || std::io::pipe().unwrap().1;
    for stderr in [Stdio::from(dev_full()), Stdio::from(closed())] {
        let client = Launch::client(server.port(), "").stderr(stderr).start();
        client.finish("whole").printed("whole");
    }
    let (_reader, mut full) = std::io::pipe().unwrap();
    fcntl_setpipe_size(&full, 4096).unwrap();
    full.write_all(&[b'x'; 4096]).unwrap();
    let start = Instant::now();
    for stderr in [dev_full().into(), closed().into(), Stdio::from(full)] {
        let ended = Launch::new("--frobnicate").stderr(stderr).run();
        assert_eq!(ended.code, 2, "{ended}");
    }
    assert!(start.elapsed().as_secs() < 30);
    server.stop();
}

/// Goal: the help goes to stdout and is no error, as the version does ([`crate::kernel`]). The code
/// is 141 if the reader is gone, as of other programs, and 1 if the disk is full. Method: print
/// them.
#[test]
fn the_help_and_a_lost_stdout() {
    let ended = Launch::new("--help").run();
    assert_eq!((ended.code, &ended.stderr[..]), (0, ""), "{ended}");
    let shown = String::from_utf8_lossy(&ended.stdout);
    assert!(shown.contains("Exit codes: 0 complete"), "{ended}");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let ended = Launch::new("--help").stdout(writer).run();
    assert_eq!((ended.code, &ended.stderr[..]), (141, ""), "{ended}");
    let version = Launch::new("--version").stdout(dev_full());
    version.refused(1, "writing standard output: No space left");
}
