//! Exit codes that no other file here shows: what is no sealwire server, what
//! dies, and what never answers.

use std::io::Write;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Stdio;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::program::Launch;
use crate::raw_peer::accept;

/// What a server does with a connection.
type Answer = fn(TcpStream);

/// Goal: a server that is none is told, with 3. Method: one that closes at once,
/// one that answers something else, one that resets.
#[test]
fn not_a_sealwire_server() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let reset = |socket: TcpStream| {
        let socket = socket2::SockRef::from(&socket);
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    };
    let greet = |mut socket: TcpStream| {
        let _ = socket.write_all(b"220 mail.example.org ESMTP\r\n");
        let _ = socket.shutdown(Shutdown::Write);
        crate::raw_peer::rest(&mut socket);
    };
    let answers: [(Answer, &str); 3] = [
        (drop, "keys or service differ, or not a sealwire server"),
        (reset, "keys or service differ, or not a sealwire server"),
        (greet, "not a sealwire"),
    ];
    for (answer, told) in answers {
        let client = Launch::client(port, "").start();
        answer(accept(&listener));
        client.ends_with(3).refused(3, told);
    }
}

/// Goal: a program that is killed in the middle leaves its peer with 4, as a
/// client, as a one-shot server, and not at all as a server that serves. Method:
/// SIGKILL.
#[test]
fn a_killed_peer() {
    let server = Launch::server("").start();
    let client = Launch::client(server.port(), "").start();
    server.line(" came");
    drop(server);
    let client = client.ends_with(4);
    let told = "the connection ended before everything was transferred";
    assert!(client.only_line().contains(told), "{client}");

    let server = Launch::server("").stdin(Stdio::null()).start();
    let client = Launch::client(server.port(), "").start();
    server.line(" came");
    drop(client);
    server.line(told);
    server.ends_with(4);

    let server = Launch::server("--no-input").start();
    let client = Launch::client(server.port(), "").start();
    server.line(" came");
    drop(client);
    server.line(told);
    server.stop();
}

/// Goal: who never answers is told after the deadline, with 5. Method: a server
/// that accepts and says nothing (5 s), and one whose queue of connections is
/// full, so that not even TCP answers (10 s); both at once.
#[test]
fn deadlines() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let full = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    full.bind(&any.into()).unwrap();
    full.listen(0).unwrap();
    let full_address = full.local_addr().unwrap().as_socket().unwrap();
    let _queue: Vec<_> = (0..4)
        .map(|_| TcpStream::connect_timeout(&full_address, Duration::from_millis(100)))
        .collect();

    let start = Instant::now();
    let to_full = Launch::client(full_address.port(), "").start();
    let to_silent = Launch::client(silent.local_addr().unwrap().port(), "").start();
    let silent = to_silent.ends_with(5);
    assert!((4..9).contains(&start.elapsed().as_secs()), "{silent}");
    silent.refused(5, "no handshake within 5 s");
    let full = to_full.ends_with(5);
    assert!((9..15).contains(&start.elapsed().as_secs()), "{full}");
    full.refused(5, "did not answer within 10 s");
}

/// Goal: a one-shot server's code is that of the worst of its peers. Method: one
/// that finishes and one that is killed.
#[test]
fn one_shot_tells_of_the_worst() {
    let mut server = Launch::server("").start();
    let port = server.port();
    let good = Launch::client(port, "").stdin(Stdio::null()).start();
    let bad = Launch::client(port, "").start();
    server.lines(2, " came");
    drop(bad);
    server.line("the connection ended before");
    server.end_input();
    good.ends_with(0);
    server.ends_with(4);
}
