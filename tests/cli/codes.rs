//! Exit codes of a client whose server is none, or never answers. A peer that dies is in
//! [`crate::records`].

use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::program::Launch;
use crate::raw_peer::{accept, listener, reset_on_close, rest};

/// What a server does with a connection.
type Answer = fn(TcpStream);

/// Goal: a client ends with 3 if its server is no sealwire server. Method: one that closes
/// at once, one that resets, one that answers something else.
#[test]
fn not_a_sealwire_server() {
    let (listener, port) = listener();
    let reset = |socket: TcpStream| reset_on_close(&socket);
    let greet = |mut socket: TcpStream| {
        let _ = socket.write_all(b"220 mail.example.org ESMTP\r\n");
        let _ = socket.shutdown(Shutdown::Write);
        rest(&mut socket);
    };
    let answers: [(Answer, &str); 3] = [
        (drop, "keys or service differ, or not a sealwire server"),
        (reset, "keys or service differ, or not a sealwire server"),
        (greet, "not a sealwire"),
    ];
    for (answer, told) in answers {
        let client = Launch::client(port, "").start();
        answer(accept(&listener));
        client.wait().refused(3, told);
    }
}

/// Goal: a client ends with 5 after the deadline of a server that never answers. Method:
/// a server that accepts and says nothing (5 s), and one with a full backlog, so that not
/// even TCP answers (10 s); both at once.
#[test]
fn deadlines() {
    let (_silent, silent_port) = listener();
    let full = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    full.bind(&any.into()).unwrap();
    full.listen(0).unwrap();
    let full_address = full.local_addr().unwrap().as_socket().unwrap();
    let _queue: Vec<_> = (0..4)
        .map(|_| TcpStream::connect_timeout(&full_address, Duration::from_millis(100)))
        .collect();

    let start = Instant::now();
    let to_full = Launch::client(full_address.port(), "").start();
    let to_silent = Launch::client(silent_port, "").start();
    for (client, seconds, told) in [
        (to_silent, 4..9, "no handshake within 5 s"),
        (to_full, 9..15, "did not answer within 10 s"),
    ] {
        let ended = client.wait().refused(5, told);
        assert!(seconds.contains(&start.elapsed().as_secs()), "{ended}");
    }
}
