//! What a server does with messages, and what its clients see.

use std::thread::sleep;

use rustix::process::Signal;

use crate::program::{A_WHILE, Launch, Program};

fn clients(server: &Program, count: usize) -> Vec<Program> {
    let port = server.port();
    let start = |_| Launch::client(port, "").start();
    (0..count).map(start).collect()
}

/// Goal: the input of either side reaches the other's stdout, and nothing else does. The
/// server tells which peers came and left, the client where it is connected. Method: one
/// message each way, then both inputs end, the client's first.
#[test]
fn chat() {
    let mut server = Launch::server("").start();
    let mut client = Launch::client(server.port(), "").start();
    client.line("connected to 127.0.0.1:");
    server.line(" came");
    client.say("hello\n");
    server.prints("hello\n");
    server.say("and hello back\n");
    client.prints("and hello back\n");
    client.end_input();
    server.say("still here\n");
    client.prints("and hello back\nstill here\n");
    assert!(client.is_running());
    let server = server.finish("").printed("hello\n");
    let client = client.ends_with(0);
    let client = client.printed("and hello back\nstill here\n");
    let server = server.told(" came").told(" left");
    server.told("input ended: leaving after these peers");
    assert_eq!(client.stderr.lines().count(), 1, "{client}");
}

/// Goal: a sink takes everything, sends nothing, and counts; SIGUSR1 asks for the counts, the times
/// of ticks among them, and changes nothing. Method: two clients, one after the other.
#[test]
fn sink() {
    let server = Launch::server("--sink").start();
    for (mut client, size) in clients(&server, 2).into_iter().zip([1_000, 2_000_000]) {
        client.pour(vec![7; size]);
        client.ends_with(0).printed("");
    }
    server.signal(Signal::USR1);
    let line = server.line(" 0 peers now, 2 joined, 2 complete");
    assert!(line.contains(" of 2001000 bytes received"), "{line}");
    let ticks = server.line(" ticks, us: p50 ");
    assert!(
        ticks.contains(", longest ") && ticks.contains("; <2 "),
        "{ticks}"
    );
    server.stop().printed("");
}

/// Goal: a relay passes a message to all others and not back. Method: three clients; each
/// sends a line in turn, and the others print it.
#[test]
fn relay() {
    let server = Launch::server("--relay").start();
    let mut clients = clients(&server, 3);
    joined(&server, 3);
    for speaker in 0..3 {
        let line = format!("{speaker}\n");
        clients[speaker].say(&line);
        for (index, client) in clients.iter().enumerate() {
            let heard = (0..=speaker).filter(|&said| said != index);
            client.prints(heard.map(|said| format!("{said}\n")).collect::<String>());
        }
    }
    sleep(A_WHILE);
    for (index, client) in clients.into_iter().enumerate() {
        let others = (0..3).filter(|&said| said != index);
        let expected: String = others.map(|said| format!("{said}\n")).collect();
        client.finish("").printed(expected);
    }
    server.stop().printed("");
}

/// Waits until the statistics show `count` peers.
pub(crate) fn joined(server: &Program, count: usize) {
    server.statistics(&format!(" {count} peers now"));
}

/// Goal: a server with a mode reads no input, so the end of that does not end the server.
/// Method: the input ends at once; a client comes after that.
#[test]
fn a_mode_needs_no_input() {
    let server = Launch::receiver("--echo").start();
    let port = server.port();
    sleep(A_WHILE);
    let client = Launch::client(port, "").start();
    client.finish("back").printed("back");
    server.stop();
}
