//! As many real connections as a process has descriptors for.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use sealwire::net::rlimit::raise_descriptor_limit;
use sealwire::{
    Clock, Context, Echo, Endpoint, EndpointEvent, EventLoop, HandedOn, Identity, Leaves, Listener,
    Message, Mode, PeerId, Receivers, Report, Secret, SecretPair, Setup,
};

const PEERS: usize = 9000;
/// Both ends of each are in this process; and what else is open.
const DESCRIPTORS: u64 = 2 * PEERS as u64 + 200;
/// Handshakes under way at once: few enough to have their five seconds on any machine.
const AT_ONCE: usize = 64;
/// Messages of each of those that talk.
const ROUNDS: usize = 10;
const MESSAGE: &[u8] = b"one of thousands";
const PATIENCE: Duration = Duration::from_secs(240);

fn events<M: Mode>(mode: M) -> EventLoop<M> {
    let [confkey, authkey] = [1, 2].map(|byte| Secret::new(vec![byte; 32]));
    let kernel = crate::chosen::kernel();
    let mut setup = Setup::new(kernel, Leaves::WhenStopped, rand::random());
    setup.identity = Identity::new(&SecretPair { confkey, authkey });
    EventLoop::new(Endpoint::new(setup, mode), Clock::start()).unwrap()
}

/// Clients: every other one talks, once all have joined.
#[derive(Default)]
struct Talk {
    joined: Vec<PeerId>,
    begun: bool,
    /// How many replies each that talks has had, and how many have had all.
    replies: HashMap<PeerId, usize>,
    done: usize,
    /// All has been said.
    finish: bool,
}

impl Talk {
    fn say(&mut self, context: &mut Context, peer: PeerId) {
        assert!(context.send_bytes(peer, MESSAGE));
    }
}

impl Mode for Talk {
    fn receivers(&self) -> Receivers {
        Receivers::Sender
    }

    fn joined(&mut self, _: &mut Context, peer: PeerId) {
        self.joined.push(peer);
    }

    fn message(&mut self, context: &mut Context, peer: PeerId, message: Message<'_>) {
        let bytes: Vec<_> = context.pieces(message).collect();
        assert_eq!(bytes.concat(), MESSAGE);
        let replies = self.replies.entry(peer).or_default();
        *replies += 1;
        if *replies < ROUNDS {
            self.say(context, peer);
        } else {
            self.done += 1;
        }
    }

    fn fin(&mut self, _: &mut Context, _: PeerId) -> HandedOn {
        HandedOn::Now
    }

    fn tick(&mut self, context: &mut Context) {
        if self.joined.len() == PEERS && !std::mem::replace(&mut self.begun, true) {
            let talkers: Vec<_> = self.joined.iter().copied().step_by(2).collect();
            for peer in talkers {
                self.say(context, peer);
            }
        }
        if std::mem::take(&mut self.finish) {
            context.finish_all();
        }
    }
}

/// Serves until `stop` and until all have gone. Nothing is left behind then.
fn serve(said: &mpsc::Sender<SocketAddr>, stop: &AtomicBool) {
    let mut events = events(Echo);
    let listener = Listener::on_first(&["127.0.0.1:0".parse().unwrap()]).unwrap();
    said.send(listener.local_addr()).unwrap();
    events.accept_from(listener).unwrap();
    let start = Instant::now();
    while !stop.load(Ordering::Relaxed) || events.endpoint().connections() > 0 {
        assert!(start.elapsed() < PATIENCE, "it takes too long");
        events.turn(Some(Duration::from_millis(50))).unwrap();
        events.take_reports();
    }
    let endpoint = events.endpoint();
    let stats = endpoint.stats();
    assert_eq!([stats.joined, stats.complete], [PEERS as u64; 2]);
    assert_eq!(stats.messages, (PEERS / 2 * ROUNDS) as u64);
    assert_eq!((endpoint.held(), endpoint.keyed()), (0, 0));
}

/// Goal: thousands of peers are served by one thread, talking and silent ones, and leave
/// nothing behind. Method: 9,000 connections over loopback, with both ends in this
/// process; every other peer has ten messages echoed, one at a time.
#[test]
fn nine_thousand_peers() {
    let descriptors = raise_descriptor_limit();
    if descriptors < DESCRIPTORS {
        eprintln!("skipped: {DESCRIPTORS} descriptors are needed, and {descriptors} allowed");
        return;
    }
    let (said, hears) = mpsc::channel();
    let stop = Arc::new(AtomicBool::new(false));
    let server = thread::spawn({
        let stop = Arc::clone(&stop);
        move || serve(&said, &stop)
    });
    let address = hears.recv().unwrap();
    let mut events = events(Talk::default());
    let start = Instant::now();
    let turn = |events: &mut EventLoop<Talk>| {
        events.turn(Some(Duration::from_millis(50))).unwrap();
        for report in events.take_reports() {
            if let Report::Endpoint(EndpointEvent::Refused(_, outcome)) = report {
                panic!("a peer did not join: {outcome:?}");
            }
        }
        assert!(start.elapsed() < PATIENCE, "it takes too long");
    };
    let mut begun = 0;
    while events.endpoint().mode().joined.len() < PEERS {
        let waiting = begun - events.endpoint().mode().joined.len();
        for _ in waiting..AT_ONCE.min(waiting + PEERS - begun) {
            events.connect(address, None).unwrap();
            begun += 1;
        }
        turn(&mut events);
        assert_eq!(events.endpoint().stats().failed, 0);
    }
    while events.endpoint().mode().done < PEERS / 2 {
        turn(&mut events);
    }
    assert_eq!(events.endpoint().proved(), PEERS);
    events.endpoint_mut().mode_mut().finish = true;
    while events.endpoint().connections() > 0 {
        turn(&mut events);
    }
    let talk = events.endpoint().mode();
    assert_eq!(talk.replies.len(), PEERS / 2);
    assert!(talk.replies.values().all(|&replies| replies == ROUNDS));
    assert_eq!(events.endpoint().stats().complete, PEERS as u64);
    stop.store(true, Ordering::Relaxed);
    server.join().unwrap();
}
