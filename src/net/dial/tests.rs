#![allow(clippy::unwrap_used)]

use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, Socket, Type};

use super::*;
use crate::net::clock::Clock;
use crate::net::testing::{Bench, PATIENCE, SUBJECT};

/// A loopback port that is bound but not listened on: it refuses.
fn refusing() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    socket.bind(&any.into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

/// A loopback port that never answers: its queue of connections is full.
fn silent() -> (Vec<Socket>, SocketAddr) {
    let (socket, address) = refusing();
    socket.listen(0).unwrap();
    let mut held = vec![socket];
    for _ in 0..4 {
        let filler = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        filler.set_nonblocking(true).unwrap();
        let _ = filler.connect(&SockAddr::from(address));
        held.push(filler);
    }
    (held, address)
}

fn listening() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Drives `dial` by the real clock until it is over.
fn finish(bench: &mut Bench, clock: Clock, dial: &mut Dial) -> Progress {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        match dial.turn(bench.registry(), SUBJECT, clock.now()) {
            Progress::Pending => {}
            over => return over,
        }
        bench.events(dial.next_timeout().since(clock.now()));
    }
    panic!("the dial never ended");
}

/// Dials `host` to the end; with the poll that it used.
fn dialled(host: &str, port: u16) -> (Bench, Progress) {
    let (mut bench, clock) = (Bench::new(), Clock::start());
    let mut dial = Dial::start(host, port, Arc::clone(&bench.waker), clock.now());
    let progress = finish(&mut bench, clock, &mut dial);
    (bench, progress)
}

/// Dials `addresses`; says which one it reached, and after how long.
fn reached(addresses: Vec<SocketAddr>) -> (SocketAddr, Duration) {
    let (mut bench, clock) = (Bench::new(), Clock::start());
    let mut dial = Dial::over("name", 1, addresses, clock.now());
    match finish(&mut bench, clock, &mut dial) {
        Progress::Connected(socket, address) => {
            assert_eq!(socket.peer_addr().unwrap(), address);
            (address, clock.now().since(Time::ZERO))
        }
        other => panic!("{other:?}"),
    }
}

/// Whether a deadline failed it, and the text of the error.
fn failure(progress: Progress) -> (bool, String) {
    match progress {
        Progress::Failed(error) => (matches!(error, Error::Silent(_)), error.to_string()),
        other => panic!("{other:?}"),
    }
}

/// Goal: an address, a bracketed one and a name lead to a connection that has left the
/// poll, so that the same poll takes it again and reports it. Method: dial a listener by
/// each; a name may have IPv6 addresses first, which refuse.
#[test]
fn addresses_and_names_connect() {
    let (_listener, address) = listening();
    for host in ["127.0.0.1", "[127.0.0.1]", "localhost"] {
        let (mut bench, progress) = dialled(host, address.port());
        let Progress::Connected(mut socket, reached) = progress else {
            panic!("{host}: {progress:?}");
        };
        assert_eq!(reached, address);
        let both = Interest::READABLE | Interest::WRITABLE;
        let registry = bench.registry();
        registry.register(&mut socket, SUBJECT, both).unwrap();
        bench.until(SUBJECT, |event| event.is_writable());
    }
}

/// Goal: the error names the address that refuses, and a name that does not exist.
/// Method: dial a port that is bound but not listened on, by address and by name; a name
/// that cannot exist.
#[test]
fn failures_are_clear() {
    let (_socket, address) = refusing();
    let port = address.port();
    let refused = format!("127.0.0.1 port {port} refused the connection");
    for (host, part) in [
        ("127.0.0.1", &*refused),
        ("localhost", "127.0.0.1"),
        ("no..such..name", "cannot resolve no..such..name: "),
    ] {
        let (late, text) = failure(dialled(host, port).1);
        assert!(!late && text.contains(part), "{host}: {text}");
    }
    assert_eq!(failure(dialled("127.0.0.1", port).1).1, refused);
}

/// Goal: when one address fails, the next gets its try at once. Method: a refusing
/// address before a good one.
#[test]
fn next_address_after_a_refusal() {
    let (_socket, refusing) = refusing();
    let (_listener, good) = listening();
    let (address, _) = reached(vec![refusing, good]);
    assert_eq!(address, good);
}

/// Goal: an address that keeps silent does not hold up the next. Method: a full
/// listener before a good one; the connection comes after the stagger and before the
/// deadline.
#[test]
fn next_address_after_a_silence() {
    let (_held, silent) = silent();
    let (_listener, good) = listening();
    let (address, after) = reached(vec![silent, good]);
    assert_eq!(address, good);
    assert!(
        after >= CONNECT_STAGGER && after < CONNECT_DEADLINE,
        "{after:?}"
    );
}

/// Goal: silence ends at the deadline, as an error of its own. Method: a full
/// listener, and times that the test makes up.
#[test]
fn silence_ends_at_the_deadline() {
    let (_held, address) = silent();
    let bench = Bench::new();
    let mut dial = Dial::over("name", 9, vec![address], Time::ZERO);
    let mut turn = |now| dial.turn(bench.registry(), SUBJECT, now);
    assert!(matches!(turn(Time::ZERO), Progress::Pending));
    let just_before = Duration::from_millis(9_999);
    assert!(matches!(turn(Time::ZERO + just_before), Progress::Pending));
    let expected = "name port 9 did not answer within 10 s (tried 127.0.0.1)".to_owned();
    assert_eq!(
        failure(turn(Time::ZERO + CONNECT_DEADLINE)),
        (true, expected)
    );
}

/// Goal: a lookup that hangs ends at the same deadline. Method: a lookup
/// whose answer never comes, and times that the test makes up.
#[test]
fn hanging_lookup_ends_at_the_deadline() {
    let bench = Bench::new();
    let mut dial = Dial::over("name", 9, Vec::new(), Time::ZERO);
    let (_sender, lookup) = Lookup::hanging("name");
    dial.lookup = Some(lookup);
    assert_eq!(dial.next_timeout(), Time::ZERO + CONNECT_DEADLINE);
    let early = dial.turn(bench.registry(), SUBJECT, Time::ZERO);
    assert!(matches!(early, Progress::Pending));
    let late = dial.turn(bench.registry(), SUBJECT, Time::ZERO + CONNECT_DEADLINE);
    let expected = "cannot resolve name: no answer within 10 s".to_owned();
    assert_eq!(failure(late), (true, expected));
}

/// Goal: errors name every address with its failure and its zone, and no address twice.
/// Method: put failures in place.
#[test]
fn every_address_is_named() {
    let zoned = "[fe80::1%1]:9";
    for (host, failures, unreachable, tried) in [
        (
            "name",
            &[
                ("[::1]:9", ErrorKind::NetworkUnreachable),
                ("127.0.0.1:9", ErrorKind::ConnectionRefused),
            ][..],
            "cannot connect to name port 9: ::1: network unreachable; \
             127.0.0.1: connection refused",
            " (tried ::1, 127.0.0.1)",
        ),
        (
            "name",
            &[(zoned, ErrorKind::HostUnreachable)],
            "cannot connect to name port 9: fe80::1%lo: host unreachable",
            " (tried fe80::1%lo)",
        ),
        (
            "name",
            &[(zoned, ErrorKind::ConnectionRefused)],
            "name port 9 refused the connection (tried fe80::1%lo)",
            " (tried fe80::1%lo)",
        ),
        (
            "fe80::1%lo",
            &[(zoned, ErrorKind::ConnectionRefused)],
            "fe80::1%lo port 9 refused the connection",
            "",
        ),
    ] {
        let mut dial = Dial::over(host, 9, Vec::new(), Time::ZERO);
        let failed = |&(address, kind): &(&str, ErrorKind)| (address.parse().unwrap(), kind.into());
        dial.failures = failures.iter().map(failed).collect();
        let silent = format!("{host} port 9 did not answer within 10 s{tried}");
        assert_eq!(dial.silent().to_string(), silent);
        assert_eq!(dial.unreachable().to_string(), unreachable);
    }
}

/// Goal: the error of an address that lacks its zone says so. Method: dial one, which the
/// system refuses at once.
#[test]
fn a_missing_zone_is_told() {
    let (late, text) = failure(dialled("fe80::1", 9).1);
    assert!(!late);
    // Without IPv6 the error is another one.
    if TcpListener::bind("[::1]:0").is_ok() {
        let told = "cannot connect to fe80::1 port 9: fe80::1 is a link-local address: name the \
            interface, as in fe80::1%eth0";
        assert_eq!(text, told);
    }
}

/// Goal: families take turns, beginning with the system's first. Method: a list with a
/// repetition.
#[test]
fn families_take_turns() {
    let list = |texts: &[&str]| -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    };
    let asked = list(&[
        "[::1]:1",
        "[::2]:1",
        "[::1]:1",
        "[::3]:1",
        "1.1.1.1:1",
        "2.2.2.2:1",
    ]);
    let expected = list(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"]);
    assert_eq!(alternating(asked), expected);
}
