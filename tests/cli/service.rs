//! What a service manager does with the program: it passes a socket, and hears how it goes.

use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::time::Instant;

use crate::program::{Launch, PATIENCE};

/// The program with `args`, which is passed `socket` as one of `count`, as systemd does it.
/// `before` is done before it starts.
fn passed(socket: impl Into<OwnedFd>, count: usize, before: &str, args: &str) -> Launch {
    let script = format!(
        "exec 3<&0 0</dev/null; LISTEN_PID=$$ LISTEN_FDS={count}; export LISTEN_PID LISTEN_FDS; \
         {before} exec \"$@\""
    );
    Launch::by_shell(&script, args).stdin(socket.into())
}

fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// Goal: a server takes the socket that it is passed, with the connections that wait there, and
/// leaves it open for the next server. Method: a client connects before either of two servers
/// has started.
#[test]
fn a_socket_is_passed() {
    let (listener, port) = listener();
    for _ in 0..2 {
        let mut client = Launch::client(port, "").start();
        client.line("connected to");
        let server = passed(listener.try_clone().unwrap(), 1, "", "--server --echo").start();
        assert_eq!(server.port(), port);
        client.say("hello");
        client.prints("hello");
        client.finish("");
        server.stop();
    }
}

/// Goal: a socket that cannot be used is refused, and an address beside one; a socket that is
/// for another process is left alone. Method: each.
#[test]
fn sockets_that_do_not_fit() {
    // Its stdin is the socket, so `Launch::refused` is not for it.
    let refused = |launch: Launch, code, text: &str| launch.start().wait().refused(code, text);
    let server = "--server --echo";
    let told = "LISTEN_FDS: one TCP socket is wanted from the service manager, but ";
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let why = format!("{told}fd 3 is not a valid tcp socket");
    refused(passed(udp, 1, "", server), 1, &why);
    let two = passed(listener().0, 2, "", server);
    refused(two, 1, &format!("{told}there are 2"));
    let closed = passed(listener().0, 1, "exec 3<&-;", server);
    refused(closed, 1, &format!("{told}fd 3 is not a socket"));
    let (listening, port) = listener();
    let client = passed(
        TcpStream::connect(("127.0.0.1", port)).unwrap(),
        1,
        "",
        server,
    );
    refused(client, 1, "manager: no connections come to it");
    let address = passed(listening, 1, "", "--server --echo --port 0");
    let why = "--port: the service manager has passed a socket (LISTEN_FDS)";
    refused(address, 2, why);
    let (listening, port) = listener();
    let other = passed(listening, 1, "LISTEN_PID=1;", "--server --echo --port 0").start();
    assert_ne!(other.port(), port);
    other.stop();
}

/// Goal: the manager hears when the program serves, that it is alive, and when it stops.
/// Method: a socket of the test; half of the time that is asked for is short.
#[test]
fn the_manager_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let heard = UnixDatagram::bind(&path).unwrap();
    heard.set_read_timeout(Some(PATIENCE)).unwrap();
    let next = || {
        let mut text = [0; 100];
        let len = heard.recv(&mut text).unwrap();
        String::from_utf8_lossy(&text[..len]).into_owned()
    };
    let server = Launch::server("--echo")
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "200000")
        .start();
    assert_eq!(next(), "READY=1");
    server.port();
    let start = Instant::now();
    for _ in 0..5 {
        assert_eq!(next(), "WATCHDOG=1");
    }
    assert!(start.elapsed().as_millis() >= 300, "{:?}", start.elapsed());
    server.stop();
    let mut told = next();
    while told == "WATCHDOG=1" {
        told = next();
    }
    assert_eq!(told, "STOPPING=1");
}

/// Goal: a manager that does not listen, or does not read, keeps no server from its work.
/// Method: no socket at the path; a socket whose queue is full.
#[test]
fn a_manager_that_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let full = folder.path().join("full");
    let _unread = UnixDatagram::bind(&full).unwrap();
    let filling = UnixDatagram::unbound().unwrap();
    filling.set_nonblocking(true).unwrap();
    while filling.send_to(b"x", &full).is_ok() {}
    for path in [folder.path().join("none"), full] {
        let server = Launch::server("--echo").env("NOTIFY_SOCKET", &path).start();
        let mut client = Launch::client(server.port(), "").start();
        client.say("hello");
        client.prints("hello");
        client.finish("");
        server.stop();
    }
}
