//! Clients on a terminal that connect again. Tunnels that do are in [`crate::tunnel`].

use std::io::Write;

use rustix::process::Signal;

use crate::program::{A_WHILE, AUTHKEY, CONFKEY, Launch, Program};
use crate::raw_peer::{accept, listener};
use crate::terminal::{END, Keyboard, terminal};

/// Starts a client whose stdin and stdout are a terminal.
fn on_terminal(launch: Launch) -> (Program, Keyboard) {
    let (keyboard, slave) = terminal();
    let stdout = slave.try_clone().unwrap();
    (launch.stdin(slave).stdout(stdout).start(), keyboard)
}

fn client(port: u16) -> (Program, Keyboard) {
    on_terminal(Launch::client(port, "--retry"))
}

fn server_on(port: u16, args: &str) -> Program {
    Launch::new(&format!("--server --listen 127.0.0.1 --port {port} {args}")).start()
}

fn kill(program: Program) {
    program.signal(Signal::KILL);
    program.wait();
}

/// A port on which nobody listens.
fn nobody() -> u16 {
    listener().1
}

/// Goal: a chat goes on with a server that was killed and started again, and with one that says that
/// it goes away; the user is told what may be lost, and that it is connected again. What is typed
/// between the two waits for the next. Ctrl-D ends it as ever. Method: two servers on one port,
/// and a third.
#[test]
fn a_server_that_comes_back() {
    let first = Launch::server("--no-input").start();
    let port = first.port();
    let (client, mut keyboard) = client(port);
    keyboard.types("one\n");
    first.prints("one\n");
    kill(first);
    client.line("what you typed last may not have arrived; trying again in 0.1 s");
    keyboard.types("between\n");
    client.line(&format!(
        "127.0.0.1 port {port} refused the connection; trying again in 0."
    ));
    let second = server_on(port, "");
    client.line(&format!("connected to 127.0.0.1:{port} again"));
    keyboard.types("two\n");
    second.prints("between\ntwo\n");
    // Its input is a pipe that has not ended.
    second.signal(Signal::TERM);
    second.ends_with(143);
    client.lines(
        2,
        "what you typed last may not have arrived; trying again in",
    );
    client.line("the peer gave up: going away");
    let mut third = server_on(port, "");
    client.lines(2, "again\n");
    third.line(" came");
    third.say("hello\n");
    keyboard.sees(|seen| seen.contains("> hello\r\n"));
    keyboard.types(END);
    // The end is read before the server's own comes.
    std::thread::sleep(A_WHILE);
    third.finish("");
    client.ends_with(0);
}

/// Goal: a server that is stopped and has nothing more to say ends the talk properly, and the chat
/// goes on with the next; nothing is said to be lost. A half line that the first server never got is
/// not joined to a line for the second. Method: a server without input, stopped and started again;
/// half a line before that.
#[test]
fn a_server_that_is_started_again() {
    let first = Launch::server("--no-input").start();
    let port = first.port();
    let (client, mut keyboard) = client(port);
    keyboard.types("one\n");
    first.prints("one\n");
    // Ctrl-D behind some text gives the text, without a newline.
    keyboard.types("half\x04");
    std::thread::sleep(A_WHILE);
    first.signal(Signal::TERM);
    first.ends_with(0);
    client.line(&format!("127.0.0.1:{port} left; trying again in 0.1 s"));
    let second = server_on(port, "--no-input");
    client.line(&format!("connected to 127.0.0.1:{port} again"));
    keyboard.types("two\n");
    second.prints("two\n");
    keyboard.types(END);
    let ended = client.ends_with(0);
    assert!(!ended.stderr.contains("may not have arrived"), "{ended}");
    second.stop();
}

/// Goal: it waits for a server that is not there yet, and nothing may be lost then. Method: start
/// the client first.
#[test]
fn a_server_that_comes_later() {
    let port = nobody();
    let (client, mut keyboard) = client(port);
    keyboard.types("ahead\n");
    client.lines(2, "refused the connection; trying again in");
    let server = server_on(port, "--no-input");
    server.prints("ahead\n");
    keyboard.types(END);
    let ended = client.ends_with(0).told_once("connected to 127.0.0.1:");
    assert!(!ended.stderr.contains("may not have arrived"), "{ended}");
    server.stop();
}

/// Goal: a pipe or a file is never resumed: neither may be stdin or stdout. Method: each of them.
#[test]
fn no_pipe_is_resumed() {
    let refusal = "is no terminal, and what a pipe or a file has lost with its connection";
    let args = "--retry";
    Launch::client(9, args).refused(2, &format!("--retry: stdin {refusal}"));
    let (_keyboard, slave) = terminal();
    let launch = Launch::client(9, args).stdin(slave);
    let refusal = format!("--retry: stdout {refusal}");
    launch.start().wait().refused(2, &refusal);
    Launch::client(9, "--retry --no-input").refused(2, &refusal);
}

/// Goal: what another try would meet again ends it at once, with the code of a run without
/// `--retry`: other keys, a peer that breaks the protocol. A server that closes before the
/// handshake is tried again where the keys were right before. Method: each of them.
#[test]
fn what_does_not_pass() {
    let server = Launch::server("--echo").start();
    let launch = Launch::client(server.port(), "--retry").keys(AUTHKEY, CONFKEY);
    let (wrong, _keyboard) = on_terminal(launch);
    let ended = wrong.ends_with(3).told("keys or service differ");
    assert!(!ended.stderr.contains("trying again"), "{ended}");

    let port = server.port();
    let (right, keyboard) = client(port);
    server.statistics(" 1 peers now");
    kill(server);
    let listener = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    drop(accept(&listener));
    right.line("keys or service differ");
    right.lines(2, "trying again in");
    let mut socket = accept(&listener);
    socket.write_all(&[b'x'; 100]).unwrap();
    right.ends_with(3).told("not a sealwire peer");
    drop(keyboard);
}

/// Goal: signals are answered at once while it waits, with the code of a run without `--retry`.
/// Method: a server that cannot be reached, and a name that has no address; each signal, when the
/// waits are long.
#[test]
fn stopped_while_it_waits() {
    let (refused, _at_refused) = client(nobody());
    let launch = Launch::new("--client no.such.name.invalid --retry");
    let (unknown, _at_unknown) = on_terminal(launch);
    let (hung_up, _at_hung_up) = client(nobody());
    let (killed, _at_killed) = client(nobody());
    unknown.line("cannot resolve no.such.name.invalid");
    for (client, signal, code) in [
        (refused, Signal::INT, 130),
        (unknown, Signal::INT, 130),
        (hung_up, Signal::HUP, 129),
        (killed, Signal::TERM, 143),
    ] {
        let tries = client.lines(6, "trying again in").len();
        client.signal(signal);
        let ended = client.ends_with(code);
        let all = ended.stderr.matches("trying again in").count();
        assert!(all <= tries + 1, "{ended}");
    }
}
