//! Stdin, stdout and stderr that are closed when the program starts. The runtime
//! opens `/dev/null` in their place, so that what is written is lost without a word.

use std::io::ErrorKind;
use std::net::TcpListener;

use crate::program::{Launch, Program};

/// The program with these redirections of a shell.
fn with(redirections: &str, args: &str) -> Launch {
    Launch::by_shell(&format!("exec \"$@\" {redirections}"), args)
}

fn server(redirections: &str, args: &str) -> Launch {
    let args = format!("--server --listen 127.0.0.1 --port 0 {args}");
    with(redirections, &args)
}

fn client(port: u16, redirections: &str, args: &str) -> Launch {
    let args = format!("--client 127.0.0.1 --port {port} {args}");
    with(redirections, &args)
}

/// Goal: what is closed and needed is an error before a socket is opened. Method:
/// each descriptor and both, of a server and of a client; the server never listens,
/// and nobody comes to where the client would connect.
#[test]
fn closed_and_needed() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
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
            let ended = launch.start().ends_with(1);
            assert_eq!(ended.stderr.lines().count(), 1, "{redirections}: {ended}");
            assert!(ended.stderr.contains(told), "{redirections}: {ended}");
        }
    }
    for launch in [server(">&- 2>&-", ""), client(port, ">&- 2>&-", "")] {
        launch.start().ends_with(1);
    }
    let nobody = listener.accept().expect_err("a client connected");
    assert_eq!(nobody.kind(), ErrorKind::WouldBlock);
    for args in ["--help", "--version"] {
        let ended = with(">&-", args).start().ends_with(1);
        assert!(
            ended.stderr.contains("standard output is closed"),
            "{ended}"
        );
    }
}

/// Goal: what is closed and not needed changes nothing. Method: a mode that reads
/// and writes sockets alone, without stdin and stdout; a client without input; one
/// that has nobody to tell.
#[test]
fn closed_and_not_needed() {
    let server: Program = server("<&- >&-", "--echo").start();
    let port = server.port();
    let waits = client(port, "<&-", "--no-input").start();
    waits.line("connected to");
    waits.signal(rustix::process::Signal::TERM);
    // Stopped within the handshake, or behind it.
    let code = waits.wait().code;
    assert!(code == 0 || code == 143, "{code}");
    let mut silent = client(port, "2>&-", "").start();
    silent.say("whole");
    silent.end_input();
    assert_eq!(silent.ends_with(0).stdout, b"whole");
    server.stop();
}

/// Goal: a `/dev/null` that somebody means goes on as before, however it was opened.
/// Method: a file from a client to a server that drops it, with `/dev/null` opened for
/// one way and for both, as shells and other programs open it.
#[test]
fn dev_null_that_is_meant() {
    for null in [
        "</dev/null >/dev/null",
        "0>/dev/null",
        "<>/dev/null 1<>/dev/null",
        "<>/dev/null 1<>/dev/null 2<>/dev/null",
    ] {
        let server = Launch::server("").stdin(std::process::Stdio::null());
        let server = server.start();
        let client = client(server.port(), null, "").start();
        client.ends_with(0);
        server.ends_with(0);
    }
}
