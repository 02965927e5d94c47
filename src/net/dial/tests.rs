#![allow(clippy::unwrap_used)]

use std::net::TcpListener;
use std::time::Duration;

use super::*;
use crate::net::clock::Clock;
use crate::net::testing::{Bench, PATIENCE, SUBJECT, refusing, silent};

fn listening() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Dials `addresses` by the real clock. Returns which one it reached, and after how long.
fn reached(addresses: Vec<SocketAddr>) -> (SocketAddr, Duration) {
    let (mut bench, clock) = (Bench::new(), Clock::start());
    let mut dial = Dial::over("name", 1, addresses, clock.now());
    while clock.now() < Time::ZERO + PATIENCE {
        match dial.turn(bench.registry(), SUBJECT, clock.now()) {
            Progress::Pending => {}
            Progress::Connected(socket, address) => {
                assert_eq!(socket.peer_addr().unwrap(), address);
                return (address, clock.now().since(Time::ZERO));
            }
            Progress::Failed(error) => panic!("{error}"),
        }
        bench.events(dial.next_timeout().since(clock.now()));
    }
    panic!("the dial never ended");
}

/// Goal: when one address fails, the next gets its try at once; one that keeps silent holds
/// it up for the stagger and no longer. Method: a refusing address, then a full listener,
/// before a good one.
#[test]
fn the_next_address() {
    let (_socket, refusing) = refusing();
    let (_held, silent) = silent();
    let (_listener, good) = listening();
    assert_eq!(reached(vec![refusing, good]).0, good);
    let (address, after) = reached(vec![silent, good]);
    assert_eq!(address, good);
    let in_time = CONNECT_STAGGER..CONNECT_DEADLINE;
    assert!(in_time.contains(&after), "{after:?}");
}

/// Goal: where there may be two attempts at a time, there are no more, and addresses that do not
/// answer make room for others after a while. Method: two of them before a good one, and times that
/// the test makes up.
#[test]
fn two_attempts_at_a_time() {
    let (_held, one) = silent();
    let (_also_held, other) = silent();
    let (_listener, good) = listening();
    let bench = Bench::new();
    let mut dial = Dial::over("name", 1, vec![one, other, good], Time::ZERO);
    dial.set_most(2);
    let mut now = Time::ZERO;
    while now < Time::ZERO + ATTEMPT_PATIENCE {
        let progress = dial.turn(bench.registry(), SUBJECT, now);
        assert!(matches!(progress, Progress::Pending), "{progress:?}");
        assert!((1..=2).contains(&dial.attempts()));
        assert!(dial.next_timeout() > now, "it does not spin");
        now = dial.next_timeout();
    }
    assert!(now < Time::ZERO + CONNECT_DEADLINE);
    let progress = dial.turn(bench.registry(), SUBJECT, now);
    let reached = |progress: &Progress| match progress {
        Progress::Connected(_, address) => Some(*address),
        _ => None,
    };
    assert_eq!(reached(&progress), Some(good), "{progress:?}");
}

/// Goal: silence ends at the deadline, as an error of its own, and so does a lookup that
/// hangs. Method: a full listener, a lookup whose answer never comes, and times that the test
/// makes up.
#[test]
fn silence_ends_at_the_deadline() {
    let (_held, address) = silent();
    let bench = Bench::new();
    let answers = Dial::over("name", 9, vec![address], Time::ZERO);
    let mut resolves = Dial::over("name", 9, Vec::new(), Time::ZERO);
    let (_sender, lookup) = Lookup::hanging("name");
    resolves.lookup = Some(lookup);
    assert_eq!(resolves.next_timeout(), Time::ZERO + CONNECT_DEADLINE);
    for (mut dial, told) in [
        (
            answers,
            "name port 9 did not answer within 10 s (tried 127.0.0.1)",
        ),
        (resolves, "cannot resolve name: no answer within 10 s"),
    ] {
        for millis in [0, 9_999] {
            let now = Time::ZERO + Duration::from_millis(millis);
            let progress = dial.turn(bench.registry(), SUBJECT, now);
            assert!(matches!(progress, Progress::Pending), "{told}");
        }
        match dial.turn(bench.registry(), SUBJECT, Time::ZERO + CONNECT_DEADLINE) {
            Progress::Failed(error @ Error::Silent { .. }) => assert_eq!(error.to_string(), told),
            other => panic!("{other:?}"),
        }
    }
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

/// Goal: families take turns, beginning with the system's first. Method: a list with a
/// repetition.
#[test]
fn families_take_turns() {
    let list = |texts: &str| -> Vec<SocketAddr> {
        let texts = texts.split(' ');
        texts.map(|text| text.parse().unwrap()).collect()
    };
    let asked = list("[::1]:1 [::2]:1 [::1]:1 [::3]:1 1.1.1.1:1 2.2.2.2:1");
    let expected = list("[::1]:1 1.1.1.1:1 [::2]:1 2.2.2.2:1 [::3]:1");
    assert_eq!(alternating(asked), expected);
}
