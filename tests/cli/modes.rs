//! What a server does with messages, and what its clients see of it.

use crate::program::{A_WHILE, Launch, Program};

fn clients(server: &Program, count: usize) -> Vec<Program> {
    let port = server.port();
    (0..count)
        .map(|_| Launch::client(port, "").start())
        .collect()
}

/// Goal: each client gets its own bytes back, whole, and leaves with 0 when it
/// has said all and heard all. Method: three clients with different messages,
/// one of them large.
#[test]
fn echo() {
    let server = Launch::server("--echo").start();
    let messages = [
        "small\n".to_owned(),
        "y".repeat(2_000_000),
        "z\n".to_owned(),
    ];
    let mut clients = clients(&server, 3);
    let writers: Vec<_> = clients
        .iter_mut()
        .zip(&messages)
        .map(|(client, message)| {
            let (mut input, message) = (client.take_input(), message.clone());
            std::thread::spawn(move || std::io::Write::write_all(&mut input, message.as_bytes()))
        })
        .collect();
    for (client, message) in clients.into_iter().zip(&messages) {
        assert_eq!(client.ends_with(0).stdout, message.as_bytes());
    }
    for writer in writers {
        writer.join().unwrap().unwrap();
    }
    let ended = server.stop();
    assert!(ended.stdout.is_empty(), "{ended}");
}

/// Goal: a sink takes everything, says nothing, and counts it. Method: two
/// clients, then the statistics.
#[test]
fn sink() {
    let server = Launch::server("--sink").start();
    for (mut client, size) in clients(&server, 2).into_iter().zip([1_000, 2_000_000]) {
        let mut input = client.take_input();
        let bytes = vec![7; size];
        std::thread::spawn(move || std::io::Write::write_all(&mut input, &bytes));
        assert!(client.ends_with(0).stdout.is_empty());
    }
    server.signal(rustix::process::Signal::USR1);
    let line = server.line("2 complete");
    assert!(line.contains(" of 2001000 bytes received"), "{line}");
    server.stop();
}

/// Goal: a relay passes a message to all others and not back. Method: three
/// clients; each says something in turn, and the others print it.
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
    std::thread::sleep(A_WHILE);
    for (index, mut client) in clients.into_iter().enumerate() {
        client.end_input();
        let others = (0..3).filter(|&said| said != index);
        let expected: String = others.map(|said| format!("{said}\n")).collect();
        assert_eq!(client.ends_with(0).stdout, expected.as_bytes());
    }
    assert!(server.stop().stdout.is_empty());
}

/// Waits until the statistics tell of `count` peers.
pub(crate) fn joined(server: &Program, count: usize) {
    let text = format!(" {count} peers now");
    for asked in 1..=600 {
        server.signal(rustix::process::Signal::USR1);
        server.lines(asked, "peers now");
        if server.has(&text) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("there are never {count} peers");
}

/// Goal: a server with a mode reads no input and is not ended by its end.
/// Method: the input ends at once; a client comes after that.
#[test]
fn a_mode_needs_no_input() {
    let server = Launch::server("--echo").stdin(std::process::Stdio::null());
    let server = server.start();
    let port = server.port();
    std::thread::sleep(A_WHILE);
    let mut client = Launch::client(port, "").start();
    client.say("back");
    client.end_input();
    assert_eq!(client.ends_with(0).stdout, b"back");
    server.stop();
}
