//! Receivers that take little: which of them are given up, and what they cost others.

use sealwire::limits::CLASSIC_FRAME;
use sealwire::{Chat, End, Leaves, PeerId, Reason, Relay};

use crate::hand::{Raw, frames};
use crate::people::{Sender, both, gave, limited, much, native};
use crate::port::{PIPE, Plain};
use crate::world::World;

/// Milliseconds of a step, and the bytes that the sender of a relay offers in each: 300 kB/s.
const STEP: u64 = 10;
const OFFERED: usize = 3000;

/// How a receiver takes what it is sent: `bytes` every `every` milliseconds, from `first` on.
#[derive(Debug, Clone, Copy)]
struct Pace {
    bytes: usize,
    every: u64,
    first: u64,
}

fn pace(bytes: usize, every: u64) -> Pace {
    let first = 0;
    Pace {
        bytes,
        every,
        first,
    }
}

/// A relay with a peer that sends, peers that read all, and peers that read at their pace.
struct Party {
    world: World,
    senders: Vec<Raw>,
    fast: Vec<Raw>,
    slow: Vec<(Raw, Pace)>,
    at: u64,
}

impl Party {
    /// The sockets of the slow ones hold `socket` bytes.
    fn new(fast: usize, slow: &[Pace], socket: usize) -> Self {
        let setup = limited(|limits| limits.max_queue = 1 << 16);
        let (mut world, _) = World::with(setup, Relay);
        world.net.socket = 8000;
        let senders = vec![Raw::join(&mut world)];
        world.net.incoming(senders[0].end).capacity = 64 * 1024;
        world.net.socket = 64 * 1024;
        let fast = (0..fast).map(|_| Raw::join(&mut world)).collect();
        world.net.socket = socket;
        let slow = slow.iter().map(|&pace| (Raw::join(&mut world), pace));
        let slow = slow.collect();
        Self {
            world,
            senders,
            fast,
            slow,
            at: 0,
        }
    }

    /// Goes on for `millis`: senders offer, and receivers take.
    fn run(&mut self, millis: u64) {
        let world = &mut self.world;
        for _ in 0..millis / STEP {
            for sender in &mut self.senders {
                if world.net.outgoing(sender.end).room() > OFFERED + 100 {
                    let record = sender.seal(world, &[1; OFFERED]);
                    assert_eq!(
                        world.net.write(sender.end, &record).ok(),
                        Some(record.len())
                    );
                }
            }
            for (raw, pace) in &self.slow {
                if self.at >= pace.first && (self.at - pace.first).is_multiple_of(pace.every) {
                    // It may have been closed.
                    let _ = world.net.read(raw.end, &mut vec![0; pace.bytes]);
                }
            }
            world.run_millis(STEP);
            for raw in self.fast.iter_mut().chain(&mut self.senders) {
                raw.read(world);
            }
            self.at += STEP;
        }
    }

    /// How many messages each fast peer has.
    fn heard(&self) -> Vec<usize> {
        self.fast.iter().map(|raw| raw.messages().len()).collect()
    }

    /// How many of the slow ones were given up as too slow.
    fn given_up(&self) -> usize {
        let peers = self.slow.iter().map(|(raw, _)| raw.peer);
        let gone = peers.filter(|&peer| is_too_slow(&self.world, peer));
        gone.count()
    }
}

/// Whether `peer` was told that it is too slow. It may not have taken that yet.
fn is_too_slow(world: &World, peer: PeerId) -> bool {
    let outcome = world.outcome(peer);
    assert!(outcome.is_none() || world.gave(peer) == Some(Reason::TOO_SLOW));
    outcome.is_some()
}

/// Goal: receivers of a relay that take little cost the others at most a fifth of their rate,
/// two seconds after they have become congested: at any trickle, whatever their sockets hold,
/// one or many of them. Method: paces from nothing to two thirds of what is offered, sockets
/// from small to large; the deliveries of four seconds are counted.
#[test]
fn a_trickle_costs_others_little() {
    for socket in [4000, 64 * 1024, 300_000] {
        for slow in [
            vec![pace(0, 1000)],
            vec![pace(8192, 500)],
            vec![pace(2000, 10)],
            vec![pace(8192, 500); 12],
            (0..8).map(|n| pace(500 + 2500 * n, 100)).collect(),
        ] {
            let mut party = Party::new(2, &slow, socket);
            // By then the sockets are full, and the slowest has been congested for 2 s.
            party.run(4000);
            let before = party.heard();
            party.run(4000);
            let offered = 4000 / STEP as usize;
            for (before, after) in before.iter().zip(party.heard()) {
                assert!(
                    (after - before) * 5 >= offered * 4,
                    "{} of {offered}; {slow:?}, {socket}",
                    after - before
                );
            }
            // Those that are dropped are closed 5 s later.
            party.run(1200);
            if slow[0].bytes < 2000 {
                assert!(party.given_up() > 0, "{slow:?}, {socket}");
            }
        }
    }
}

/// Goal: where all peers send, one that takes little is given up, too. Method: four that
/// stream to each other, and a trickle above the absolute share.
#[test]
fn a_trickle_among_senders_is_given_up() {
    let mut party = Party::new(0, &[pace(8000, 100)], 20_000);
    for _ in 0..3 {
        party.world.net.socket = 8000;
        let another = Raw::join(&mut party.world);
        party.world.net.incoming(another.end).capacity = 64 * 1024;
        party.senders.push(another);
    }
    party.run(8000);
    assert_eq!(party.given_up(), 1);
    let before: Vec<_> = party
        .senders
        .iter()
        .map(|raw| raw.messages().len())
        .collect();
    party.run(1000);
    for (raw, before) in party.senders.iter().zip(before) {
        assert!(raw.messages().len() - before > 3 * 80, "three others send");
    }
}

/// Goal: receivers that are equally slow are waited for, however slow beyond their share.
/// Method: four that take a third of what is offered, at different moments; none is dropped,
/// and each gets as much.
#[test]
fn equally_slow_receivers_stay() {
    for socket in [4000, 64 * 1024] {
        let slow = [0, 20, 50, 70].map(|first| Pace {
            bytes: 10_000,
            every: 100,
            first,
        });
        // A socket of 4000 bytes is read more often.
        let slow = match socket {
            4000 => slow.map(|pace| Pace {
                bytes: 1000,
                every: 10,
                first: pace.first,
            }),
            _ => slow,
        };
        let mut party = Party::new(0, &slow, socket);
        party.run(12_000);
        assert_eq!(party.given_up(), 0);
        for (raw, _) in &party.slow {
            let taken = party.world.net.incoming(raw.end).written;
            assert!(taken > 1_000_000, "{taken}");
        }
    }
}

/// Goal: a receiver that just keeps up is not dropped, even if it takes what there is in large
/// pieces. Method: as much as is offered, ten times a second and twice, beside a fast one.
#[test]
fn a_receiver_that_keeps_up_stays() {
    for every in [100, 200] {
        let bytes = (OFFERED + 100) * (every / STEP) as usize;
        let mut party = Party::new(1, &[pace(bytes, every)], 100_000);
        party.run(10_000);
        assert_eq!(party.given_up(), 0, "every {every} ms");
        assert!(party.heard()[0] > 950);
    }
}

/// Goal: a sole receiver takes its time, however little it takes. Method: two peers, and a
/// trickle.
#[test]
fn a_sole_receiver_may_trickle() {
    let mut party = Party::new(0, &[pace(1000, 500)], 4000);
    party.run(15_000);
    assert_eq!(party.given_up(), 0);
}

/// Goal: peers that get a file from a chat may differ in speed, but must take their share.
/// Method: a fast peer, one that takes 100 kB/s, one that takes 16 kB/s. The last is given
/// up, and the others get all of it.
#[test]
fn a_file_goes_at_the_pace_of_the_slower() {
    const FILE: usize = 600_000;
    let (mut world, server) = World::with(native(1, Leaves::WhenStopped), Chat::new(true));
    world.local(server, Some(PIPE), Plain::open(b""));
    world.net.socket = 20_000;
    let mut raws: Vec<Raw> = (0..3).map(|_| Raw::join(&mut world)).collect();
    world.give(server, &vec![7; FILE]);
    let mut taken = [0; 3];
    for step in 0..1200 {
        raws[0].read(&mut world);
        for (n, every, bytes) in [(1, 10, 10_000), (2, 50, 8192)] {
            if step % every == 0 {
                let read = world.net.read(raws[n].end, &mut vec![0; bytes]);
                taken[n] += read.map_or(0, |(count, _)| count);
            }
        }
        world.run_millis(10);
    }
    raws[0].read(&mut world);
    assert_eq!(raws[0].messages().concat().len(), FILE);
    assert!(taken[1] > FILE, "{}", taken[1]);
    assert_eq!(world.outcome(raws[1].peer), None);
    assert_eq!(world.gave(raws[2].peer), Some(Reason::TOO_SLOW));
}

/// Goal: a classic peer that does not read holds up no native peer, not for a moment, and is
/// reset. Method: a relay with two native peers; and a chat that sends a file to a native one.
#[test]
fn a_classic_peer_holds_up_no_native_one() {
    let mut setup = both(1, Leaves::WhenStopped);
    setup.limits.max_queue = 1 << 16;
    let (mut world, _) = World::with(setup, Relay);
    let old = world.accept();
    world.write(old.end, &frames(old.end.link, "x\n"));
    world.net.incoming(old.end).capacity = 10 * CLASSIC_FRAME;
    let (other, _) = world.client(Sender::staying(vec![]));
    world.settle();
    let (sender, _) = world.client(Sender::new(much()));
    world.run_millis(10);
    assert!(world.hosts[other].log().all() == much());
    assert_eq!(world.end(sender), Some(End::Complete));
    assert_eq!(world.outcome(old.peer), gave(Reason::TOO_SLOW));

    let mut setup = both(1, Leaves::WhenStopped);
    setup.limits.max_queue = 1 << 18;
    let (mut world, server) = World::with(setup, Chat::new(true));
    world.local(server, Some(PIPE), Plain::open(b""));
    let old = world.accept();
    world.write(old.end, &frames(old.end.link, "x\n"));
    world.net.incoming(old.end).capacity = 10 * CLASSIC_FRAME;
    let (other, _) = world.client(Sender::staying(vec![]));
    world.settle();
    world.give(server, &[b'a'; 200_000]);
    world.run_millis(10);
    assert_eq!(world.hosts[other].log().all().concat().len(), 200_000);
    assert_eq!(world.outcome(old.peer), None, "below the usual mark");
    world.give(server, &[b'a'; 200_000]);
    world.run_millis(10);
    assert_eq!(world.hosts[other].log().all().concat().len(), 400_000);
    assert_eq!(world.outcome(old.peer), gave(Reason::TOO_SLOW));
}

/// Goal: classic peers among themselves wait for each other as ever, until a native one is
/// there. Method: two that read, or not, and one that sends much; the deaf one holds it up for
/// most of a second. Then a native peer comes.
#[test]
fn classic_peers_wait_until_a_native_one_comes() {
    let mut setup = both(1, Leaves::WhenStopped);
    setup.limits.max_queue = 1 << 14;
    let (mut world, server) = World::with(setup, Relay);
    let olds: Vec<_> = (0..3).map(|_| world.accept()).collect();
    for old in &olds {
        world.write(old.end, &frames(old.end.link, "x\n"));
    }
    world.net.incoming(olds[0].end).capacity = 10 * CLASSIC_FRAME;
    world.net.incoming(olds[1].end).capacity = 1 << 20;
    let line = frames(0, "y\n");
    for _ in 0..40 {
        let _ = world.net.write(olds[2].end, &line.repeat(10));
        world.settle();
    }
    world.run_millis(900);
    let heard = world.hosts[server].log().of(olds[2].peer).len();
    assert!(heard < 400, "it is held up: {heard}");
    assert_eq!(world.outcome(olds[0].peer), None);
    Raw::join(&mut world);
    assert_eq!(world.outcome(olds[0].peer), gave(Reason::TOO_SLOW));
    let heard = world.hosts[server].log().of(olds[2].peer).len();
    assert_eq!(heard, 401);
}
