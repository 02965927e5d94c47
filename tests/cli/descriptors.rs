//! Stdin, stdout and stderr that are closed when the program starts. The runtime opens
//! `/dev/null` in their place, so that output would be lost silently.

use std::io::ErrorKind;

use rustix::process::Signal;

use crate::program::{CLIENT, Launch, SERVER};
use crate::raw_peer::listener;

/// The program with these redirections of a shell.
fn with(redirections: &str, args: &str) -> Launch {
    Launch::by_shell(&format!("exec \"$@\" {redirections}"), args)
}

fn server(redirections: &str, args: &str) -> Launch {
    with(redirections, &format!("{SERVER} {args}"))
}

fn client(port: u16, redirections: &str, args: &str) -> Launch {
    with(redirections, &format!("{CLIENT} {port} {args}"))
}

/// Goal: a descriptor that is closed and needed is an error before a socket is opened.
/// Method: each descriptor and both, of a server and of a client; the server never
/// listens, and no client connects.
#[test]
fn closed_and_needed() {
    let (listener, port) = listener();
    listener.set_nonblocking(true).unwrap();
    for (redirections, args, told) in [
        (">&-", "", "standard output is closed"),
        ("</dev/null >&-", "", "standard output is closed"),
        (">&-", "--no-input", "standard output is closed"),
        ("<&-", "", "standard input is closed"),
        ("<&- >&-", "", "standard output is closed"),
        ("1</dev/null", "", "standard output is not open for writing"),
        ("0>>/dev/zero", "", "standard input is not open for reading"),
    ] {
        for launch in [server(redirections, args), client(port, redirections, args)] {
            let ended = launch.start().ends_with(1).told(told);
            assert_eq!(ended.stderr.lines().count(), 1, "{redirections}: {ended}");
        }
    }
    for launch in [server(">&- 2>&-", ""), client(port, ">&- 2>&-", "")] {
        launch.start().ends_with(1);
    }
    let connected = listener.accept().expect_err("a client connected");
    assert_eq!(connected.kind(), ErrorKind::WouldBlock);
    for args in ["--help", "--version"] {
        let ended = with(">&-", args).start().ends_with(1);
        ended.told("standard output is closed");
    }
}

/// Goal: a descriptor that is closed and not needed changes nothing. Method: a mode that
/// uses sockets alone, without stdin and stdout; a client without input; a client without
/// stderr.
#[test]
fn closed_and_not_needed() {
    let server = server("<&- >&-", "--echo").start();
    let port = server.port();
    let waits = client(port, "<&-", "--no-input").start();
    waits.line("connected to");
    waits.signal(Signal::TERM);
    // The signal comes within the handshake, or after it.
    let code = waits.wait().code;
    assert!(code == 0 || code == 143, "{code}");
    let silent = client(port, "2>&-", "").start();
    silent.finish("whole").printed("whole");
    server.stop();
}

/// Goal: a `/dev/null` that the user means does for stdin and stdout, however it was opened.
/// Method: a client with `/dev/null` opened for one way and for both, as shells and other
/// programs open it, at a server that sends a file.
#[test]
fn dev_null_that_is_meant() {
    for null in [
        "</dev/null >/dev/null",
        "0>/dev/null",
        "<>/dev/null 1<>/dev/null",
        "<>/dev/null 1<>/dev/null 2<>/dev/null",
    ] {
        let server = Launch::server("").start();
        let reader = client(server.port(), null, "").start();
        server.finish([7; 1_000_000]).printed("");
        reader.ends_with(0);
    }
}
