#![allow(clippy::unwrap_used)]

use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, Socket, Type};

use super::*;
use crate::net::clock::Clock;
use crate::net::testing::{Bench, PATIENCE, SUBJECT};

/// A loopback port that is taken but not listened on: it refuses.
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

fn dialled(host: &str, port: u16) -> Progress {
    let (mut bench, clock) = (Bench::new(), Clock::start());
    let mut dial = Dial::start(host, port, Arc::clone(&bench.waker), clock.now());
    finish(&mut bench, clock, &mut dial)
}

/// Dials all of `addresses`; says which one was reached, and after how long.
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

/// What is told of a failure, and whether it is one of time.
fn failure(progress: Progress) -> (bool, String) {
    match progress {
        Progress::Failed(error) => (matches!(error, Error::Silent(_)), error.to_string()),
        other => panic!("{other:?}"),
    }
}

/// Goal: an address, a bracketed one and a name lead to a connection that can
/// be registered anew. Method: dial a listener by each; a name may have IPv6
/// addresses first, which refuse.
#[test]
fn addresses_and_names_connect() {
    let (_listener, address) = listening();
    for host in ["127.0.0.1", "[127.0.0.1]", "localhost"] {
        match dialled(host, address.port()) {
            Progress::Connected(mut socket, reached) => {
                assert_eq!(reached, address);
                let mut bench = Bench::new();
                let both = Interest::READABLE | Interest::WRITABLE;
                bench
                    .registry()
                    .register(&mut socket, SUBJECT, both)
                    .unwrap();
                bench.until(SUBJECT, |event| event.is_writable());
            }
            other => panic!("{host}: {other:?}"),
        }
    }
}

/// Goal: a connection that is handed over has left the poll, so that the same
/// poll takes it again and tells it. Method: register it with the poll of the
/// dial.
#[test]
fn handed_over_to_the_same_poll() {
    let (_listener, address) = listening();
    let (mut bench, clock) = (Bench::new(), Clock::start());
    let mut dial = Dial::over("name", 1, vec![address], clock.now());
    let Progress::Connected(mut socket, _) = finish(&mut bench, clock, &mut dial) else {
        panic!("not connected");
    };
    let writable = Interest::WRITABLE;
    bench
        .registry()
        .register(&mut socket, SUBJECT, writable)
        .unwrap();
    bench.until(SUBJECT, |event| event.is_writable());
}

/// Goal: a refusal is told with its address. Method:
/// dial a port that is bound and not listened on, by address and by name.
#[test]
fn refusal_is_told() {
    let (_socket, address) = refusing();
    let port = address.port();
    let expected = format!("127.0.0.1 port {port} refused the connection");
    assert_eq!(failure(dialled("127.0.0.1", port)), (false, expected));
    let (late, text) = failure(dialled("localhost", port));
    assert!(!late);
    assert!(text.contains("127.0.0.1"), "{text}");
}

/// Goal: when one address fails the next is tried at once. Method: a refusing
/// address before a good one, well within the stagger.
#[test]
fn next_address_after_a_refusal() {
    let (_socket, refusing) = refusing();
    let (_listener, good) = listening();
    let (address, _) = reached(vec![refusing, good]);
    assert_eq!(address, good);
}

/// Goal: an address that keeps silent does not hold up the next. Method: a
/// full listener before a good one; the connection comes after the stagger and
/// long before the deadline.
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
/// listener, and a clock of the test's own.
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
/// whose answer never comes, and a clock of the test's own.
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

/// Goal: a name that does not exist is told. Method: one that cannot exist.
#[test]
fn unknown_name_is_told() {
    let (late, text) = failure(dialled("no..such..name", 1));
    assert!(!late);
    assert!(
        text.starts_with("cannot resolve no..such..name: "),
        "{text}"
    );
}

/// Goal: unlike failures are all told. Method: put two in place.
#[test]
fn mixed_failures_are_told() {
    let mut dial = Dial::over("name", 9, Vec::new(), Time::ZERO);
    let fail = |address: &str, kind: ErrorKind| (address.parse().unwrap(), kind.into());
    dial.failures = vec![
        fail("[::1]:9", ErrorKind::NetworkUnreachable),
        fail("127.0.0.1:9", ErrorKind::ConnectionRefused),
    ];
    let expected = "cannot connect to name port 9: \
        ::1: network unreachable; 127.0.0.1: connection refused";
    assert_eq!(dial.unreachable().to_string(), expected);
}

/// Goal: an address keeps its zone in every text, and one that lacks it is told so.
/// Method: put failures in place; then dial one, which the system refuses at once.
#[test]
fn zones_are_told() {
    let zoned: SocketAddr = "[fe80::1%1]:9".parse().unwrap();
    let fail = |kind: ErrorKind| vec![(zoned, kind.into())];
    let mut dial = Dial::over("name", 9, Vec::new(), Time::ZERO);
    dial.failures = fail(ErrorKind::ConnectionRefused);
    let silent = dial.silent().to_string();
    assert!(silent.ends_with(" (tried fe80::1%lo)"), "{silent}");
    let refused = "name port 9 refused the connection (tried fe80::1%lo)";
    assert_eq!(dial.unreachable().to_string(), refused);
    dial.failures = fail(ErrorKind::HostUnreachable);
    let unreachable = "cannot connect to name port 9: fe80::1%lo: host unreachable";
    assert_eq!(dial.unreachable().to_string(), unreachable);
    dial.host = "fe80::1%lo".into();
    dial.failures = fail(ErrorKind::ConnectionRefused);
    let itself = "fe80::1%lo port 9 refused the connection";
    assert_eq!(dial.unreachable().to_string(), itself);

    let (late, text) = failure(dialled("fe80::1", 9));
    assert!(!late);
    // Where there is no IPv6, that is the trouble.
    if TcpListener::bind("[::1]:0").is_ok() {
        let told = "cannot connect to fe80::1 port 9: fe80::1 is a link-local address: name the \
            interface, as in fe80::1%eth0";
        assert_eq!(text, told);
    }
}

/// Goal: families take turns, the system's first one first. Method: a list
/// with a repetition.
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
