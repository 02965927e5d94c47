#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;
use crate::meter::Meter;
use crate::server::Mode;
#[cfg(feature = "tls")]
use crate::wire::testing::TlsPair;
use crate::wire::testing::{PATIENCE, Pair, PlainPair, Running};
use crate::workload::Workload;

/// What peers did and heard.
#[derive(Default)]
struct Seen {
    connected: usize,
    joined: Vec<PeerId>,
    /// What each was sent.
    heard: HashMap<PeerId, Vec<u8>>,
    left: Vec<(PeerId, bool)>,
}

/// Peers that all say `count` messages, if they are among the first `speakers`, once
/// `peers` are there on both sides; and that end when they have heard `wanted` bytes.
struct Talk {
    pattern: Pattern,
    speakers: usize,
    peers: usize,
    count: u64,
    wanted: usize,
    begun: bool,
    meter: Meter,
    seen: Arc<Mutex<Seen>>,
    /// How many are there on the server's side.
    open: Arc<AtomicUsize>,
}

impl Workload for Talk {
    fn connected(&mut self, _: Time, _: PeerId) {
        self.seen.lock().unwrap().connected += 1;
    }

    fn joined(&mut self, _: &mut dyn Link, peer: PeerId) {
        self.seen.lock().unwrap().joined.push(peer);
    }

    fn meter(&mut self) -> &mut Meter {
        &mut self.meter
    }

    fn message(&mut self, _: Time, peer: PeerId, message: Received<'_>) {
        let mut seen = self.seen.lock().unwrap();
        let heard = seen.heard.entry(peer).or_default();
        heard.extend(message.0.concat());
    }

    fn go_on(&mut self, link: &mut dyn Link, peer: PeerId) {
        if self.seen.lock().unwrap().heard[&peer].len() == self.wanted {
            link.finish(peer);
            assert!(!link.send(peer, self.pattern.part(0, 0)));
        }
    }

    fn left(&mut self, _: Time, peer: PeerId, complete: bool) {
        self.seen.lock().unwrap().left.push((peer, complete));
    }

    fn turn(&mut self, link: &mut dyn Link) {
        let joined = self.seen.lock().unwrap().joined.clone();
        let open = self.open.load(Ordering::Relaxed);
        if self.begun || joined.len().min(open) < self.peers {
            return;
        }
        self.begun = true;
        for (index, &peer) in joined.iter().take(self.speakers).enumerate() {
            for message in 0..self.count {
                assert!(link.send(peer, self.pattern.part(index, message)));
            }
            assert!(link.waiting(peer) > 0);
            if self.wanted == 0 {
                link.finish(peer);
            }
        }
    }

    fn next_due(&mut self) -> Option<Time> {
        None
    }

    fn stop(&mut self, _: Time, _: bool) {}
}

/// Clients of a server, and what they do.
struct Bench<P: Pair> {
    wire: Streams<P::Client>,
    server: Option<Running>,
    pattern: Pattern,
    seen: Arc<Mutex<Seen>>,
}

impl<P: Pair> Bench<P> {
    /// `peers` peers of a server that does `mode`, of whom the first `speakers` say
    /// `count` messages of `size` bytes, and that end when each has heard `wanted` of
    /// them.
    fn new(
        mode: Mode,
        size: usize,
        peers: usize,
        speakers: usize,
        count: u64,
        wanted: u64,
    ) -> Self {
        let (client, server) = P::setups();
        let server = Running::start::<P::Server>(server, P::OVER, mode, size);
        let (pattern, seen) = (Pattern::new(size), Arc::default());
        let talk = Talk {
            pattern: pattern.clone(),
            speakers,
            peers,
            count,
            wanted: wanted as usize * size,
            begun: false,
            meter: Meter::new(PATIENCE),
            seen: Arc::clone(&seen),
            open: server.open.clone(),
        };
        let crew = Crew::new(Box::new(talk));
        let clock = Clock::start();
        let mut wire = streams(client, server.address, clock, pattern.clone(), size, crew);
        for _ in 0..peers {
            let peer = wire.connect(None).unwrap();
            let now = wire.now();
            wire.crew().begin(now, peer);
        }
        Self {
            wire,
            server: Some(server),
            pattern,
            seen,
        }
    }

    /// Turns until `done`.
    fn until(&mut self, done: impl Fn(&Seen) -> bool) {
        let late = self.wire.now() + PATIENCE;
        while !done(&self.seen.lock().unwrap()) {
            let now = self.wire.now();
            assert!(now < late, "it takes too long");
            self.wire.turn(now + Duration::from_millis(10)).unwrap();
        }
    }

    /// All that the speaker `index` says, in one.
    fn said(&self, index: usize, count: u64) -> Vec<u8> {
        let parts = (0..count).map(|message| self.pattern.part(index, message));
        parts
            .flat_map(|part| self.pattern.bytes()[part].to_vec())
            .collect()
    }
}

fn streams<C: Codec>(
    setup: C::Setup,
    address: SocketAddr,
    clock: Clock,
    pattern: Pattern,
    size: usize,
    crew: Crew,
) -> Streams<C> {
    let client = Client {
        crew,
        clock,
        pattern,
        size,
        spares: Spares::default(),
    };
    let turns = Turns::new(setup, clock, client).unwrap();
    Streams { turns, address }
}

fn echo<P: Pair>() {
    for (size, count) in [(1, 3000), (64, 3000), (16 << 10, 100), (1 << 20, 4)] {
        let mut bench = Bench::<P>::new(Mode::Echo, size, 5, 5, count, count);
        bench.until(|seen| seen.left.len() == 5);
        let seen = bench.seen.lock().unwrap();
        assert_eq!((seen.connected, seen.joined.len()), (5, 5));
        assert!(seen.left.iter().all(|&(_, complete)| complete), "{size}");
        for (index, peer) in seen.joined.iter().enumerate() {
            assert!(seen.heard[peer] == bench.said(index, count), "{size}");
        }
    }
}

/// Goal: messages of any size come back as they were, many at once on many peers,
/// and an end that is asked for is confirmed. Method: sizes far below and above what
/// is read at once.
#[test]
fn messages_come_back() {
    echo::<PlainPair>();
    #[cfg(feature = "tls")]
    echo::<TlsPair>();
}

fn sink<P: Pair>() {
    for (size, count) in [(64, 20_000), (1 << 20, 20)] {
        let mut bench = Bench::<P>::new(Mode::Sink, size, 3, 3, count, 0);
        bench.until(|seen| seen.left.len() == 3);
        let seen = bench.seen.lock().unwrap();
        assert!(seen.left.iter().all(|&(_, complete)| complete));
        assert!(seen.heard.is_empty());
    }
}

/// Goal: a sink says nothing but that it has had everything. Method: a megabyte and
/// twenty, and the end right behind.
#[test]
fn a_sink_confirms_the_end() {
    sink::<PlainPair>();
    #[cfg(feature = "tls")]
    sink::<TlsPair>();
}

fn relay<P: Pair>() {
    for (size, count) in [(10, 5000), (100_000, 30)] {
        let mut bench = Bench::<P>::new(Mode::Relay, size, 5, 2, count, 0);
        let (one, two) = (size * count as usize, 2 * size * count as usize);
        // A speaker ends at once, so it need not hear all of the other.
        bench.until(|seen| {
            let heard = |index: usize| seen.heard.get(&seen.joined[index]).map_or(0, Vec::len);
            seen.joined.len() == 5 && (2..5).all(|index| heard(index) == two)
        });
        let said = [bench.said(0, count), bench.said(1, count)];
        let seen = bench.seen.lock().unwrap();
        for peer in &seen.joined[2..] {
            // Messages of the two take turns, but each is whole.
            let mut heard = [Vec::new(), Vec::new()];
            for message in seen.heard[peer].chunks(size) {
                let next = |index: usize| {
                    let from = heard[index].len();
                    said[index].get(from..from + size) == Some(message)
                };
                let from = usize::from(!next(0));
                assert!(next(from), "of nobody, or cut");
                heard[from].extend_from_slice(message);
            }
            assert!(heard.iter().all(|all| all.len() == one));
        }
    }
}

/// Goal: a relay passes every message on to everyone else, whole and in order.
/// Method: two that speak at once to three that listen; short messages, and such as
/// no read holds.
#[test]
fn a_relay_passes_whole_messages_on() {
    relay::<PlainPair>();
    #[cfg(feature = "tls")]
    relay::<TlsPair>();
}

fn gone<P: Pair>() {
    let mut bench = Bench::<P>::new(Mode::Echo, 64, 3, 3, 10, 11);
    bench.until(|seen| seen.heard.len() == 3);
    drop(bench.server.take());
    bench.until(|seen| seen.left.len() == 3);
    let seen = bench.seen.lock().unwrap();
    assert!(seen.left.iter().all(|&(_, complete)| !complete));
    drop(seen);
    assert_eq!(bench.wire.crew().attendance().failed, 3);
}

/// Goal: peers of a server that goes away have failed, and so has who connects to
/// none. Method: the server is dropped while peers wait for more; then another peer.
#[test]
fn a_server_goes_away() {
    gone::<PlainPair>();
    #[cfg(feature = "tls")]
    gone::<TlsPair>();

    let mut bench = Bench::<PlainPair>::new(Mode::Echo, 64, 0, 0, 0, 1);
    drop(bench.server.take());
    bench.wire.connect(None).unwrap();
    bench.until(|seen| seen.left.len() == 1);
    let errors = &bench.wire.crew().attendance().errors;
    assert_eq!(errors["the server refused the connection"], 1);
}

/// Goal: a server that cannot show the certificate that is trusted is not talked to.
/// Method: two that were set up apart.
#[cfg(feature = "tls")]
#[test]
fn a_stranger_is_not_trusted() {
    let mut bench = Bench::<TlsPair>::new(Mode::Echo, 64, 0, 0, 0, 1);
    let (_, other) = TlsPair::setups();
    let other = Running::start::<crate::wire::tls::TlsServer>(other, TlsPair::OVER, Mode::Echo, 64);
    bench.wire.address = other.address;
    bench.wire.connect(None).unwrap();
    bench.until(|seen| seen.left.len() == 1);
    let errors = &bench.wire.crew().attendance().errors;
    assert!(
        errors.keys().all(|why| why.contains("certificate")),
        "{errors:?}"
    );
    assert!(bench.seen.lock().unwrap().joined.is_empty());
}

/// Goal: a peer connects from the address that it is to, and the port where one
/// is named. Method: some of the many of loopback, seen from the other side; only Linux has them without being told.
#[cfg(target_os = "linux")]
#[test]
fn a_source_address_is_used() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut bench = Bench::<PlainPair>::new(Mode::Echo, 64, 0, 0, 0, 1);
    bench.wire.address = listener.local_addr().unwrap();
    for from in ["127.0.0.1:0", "127.0.0.7:0", "127.3.2.1:23456"] {
        let from: SocketAddr = from.parse().unwrap();
        bench.wire.connect(Some(from)).unwrap();
        let (_, seen) = listener.accept().unwrap();
        assert_eq!(seen.ip(), from.ip());
        assert!(from.port() == 0 || from == seen, "{seen}");
    }
    bench.until(|seen| seen.joined.len() == 3);
}

/// Goal: a turn waits until it is told to, and not for ever. Method: nothing happens,
/// and some times that no poll could wait for to the microsecond.
#[test]
fn a_turn_ends_in_time() {
    let mut bench = Bench::<PlainPair>::new(Mode::Echo, 64, 0, 0, 0, 1);
    for micros in [0, 1, 50, 700, 1500, 20_300] {
        let until = bench.wire.now() + Duration::from_micros(micros);
        let mut turns = 0;
        while bench.wire.now() < until {
            bench.wire.turn(until).unwrap();
            turns += 1;
        }
        assert!(turns < 100, "it does not wait");
        assert!(bench.wire.now().since(until) < PATIENCE);
    }
}
