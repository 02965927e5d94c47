//! Tunnels: the near end and the far end, over the network of the test, with a program behind
//! each.

use std::io::ErrorKind;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sealwire::limits::{INPUT_HIGH_WATER, LINGER, MOST_LINGERING, MOST_SHARE};
use sealwire::{Abort, Echo, Failure, Leaves, LocalId, PeerFault, Reason, Tunnel};

use crate::net::{Faults, Side};
use crate::people::{Sender, aborted, gave, limited, native};
use crate::world::{Pair, World};

/// A program behind one end of a tunnel.
#[derive(Debug)]
struct Program {
    end: Side,
    /// What it has still to say; then it ends its stream, if it `ends`.
    to_say: Vec<u8>,
    ends: bool,
    /// Most bytes that it reads at a time.
    pace: usize,
    /// It says nothing before it has heard the other's end.
    listens_first: bool,
    said: usize,
    shut: bool,
    heard: Vec<u8>,
    /// How what it hears has ended: with the stream, or with an error.
    ended: Option<Result<(), ErrorKind>>,
    /// Writing has failed: it only reads.
    deaf: bool,
    gone: bool,
}

impl Program {
    fn new(end: Side, to_say: Vec<u8>) -> Self {
        Self {
            end,
            to_say,
            ends: true,
            pace: usize::MAX,
            listens_first: false,
            said: 0,
            shut: false,
            heard: Vec::new(),
            ended: None,
            deaf: false,
            gone: false,
        }
    }

    /// Says and hears what it can. It closes when both directions have ended.
    fn act(&mut self, world: &mut World) {
        if self.gone {
            return;
        }
        self.hear(world);
        if !self.listens_first || self.ended.is_some() {
            self.say(world);
        }
        let failed = matches!(self.ended, Some(Err(_)));
        if failed || self.shut && self.ended.is_some() {
            self.leave(world);
        }
    }

    fn say(&mut self, world: &mut World) {
        while self.said < self.to_say.len() && !self.deaf {
            match world.net.write(self.end, &self.to_say[self.said..]) {
                Ok(count) => self.said += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => self.deaf = true,
            }
        }
        if self.ends && !self.shut {
            self.shut = true;
            if !self.deaf {
                world.net.shut_down(self.end);
            }
        }
    }

    fn hear(&mut self, world: &mut World) {
        let mut left = self.pace;
        while self.ended.is_none() && left > 0 {
            let mut bytes = vec![0; left.min(1 << 16)];
            match world.net.read(self.end, &mut bytes) {
                Ok((0, _)) => self.ended = Some(Ok(())),
                Ok((count, _)) => {
                    self.heard.extend_from_slice(&bytes[..count]);
                    left -= count;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => self.ended = Some(Err(error.kind())),
            }
        }
    }

    /// Closes: if it has not read all, that is a reset.
    fn leave(&mut self, world: &mut World) {
        self.gone = true;
        world.net.close(self.end);
    }

    fn reset(&mut self, world: &mut World) {
        self.gone = true;
        world.net.break_off(self.end);
        world.net.close(self.end);
    }
}

/// The far end is the first host.
fn tunnel(seed: u64, faults: Faults) -> (World, usize) {
    let mut world = World::new(seed, faults);
    world.host(native(seed, Leaves::WhenStopped), Tunnel);
    let near = world.host(native(seed + 1, Leaves::WhenStopped), Tunnel);
    (world, near)
}

/// A tunnel with one connection, whose target is there.
struct One {
    world: World,
    near: usize,
    pair: Pair,
    /// What the two ends call their plain connections.
    locals: [LocalId; 2],
    source: Program,
    target: Program,
}

impl One {
    fn new(to_target: Vec<u8>, to_source: Vec<u8>) -> Self {
        let (mut world, near) = tunnel(1, Faults::default());
        let (at_near, source) = world.plain(near);
        let pair = world.connect_for(near, at_near);
        world.settle();
        let (at_far, peer) = world.dials().remove(0);
        assert_eq!(peer, pair.at_server);
        let target = world.open(at_far);
        world.settle();
        Self {
            world,
            near,
            pair,
            locals: [at_near, at_far],
            source: Program::new(source, to_target),
            target: Program::new(target, to_source),
        }
    }

    /// Lets both programs act for so many milliseconds.
    fn run(&mut self, millis: u64) {
        for _ in 0..millis {
            self.source.act(&mut self.world);
            self.target.act(&mut self.world);
            self.world.run_millis(1);
        }
    }

    fn outcomes(&self) -> [Option<sealwire::Outcome>; 2] {
        let near = self.world.hosts[self.near].outcome(self.pair.at_client);
        [near, self.world.outcome(self.pair.at_server)]
    }
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n * 7 + n / 251) as u8).collect()
}

/// Goal: bytes and ends go both ways, whichever side ends first, and each direction ends by
/// itself. Method: both at once; each side listening to the end first; empty streams.
#[test]
fn ends_are_carried() {
    for (up, down) in [(300_000, 500_000), (0, 70_000), (70_000, 0), (0, 0)] {
        for first in [None, Some(0), Some(1)] {
            let mut one = One::new(bytes(up), bytes(down));
            one.source.listens_first = first == Some(0);
            one.target.listens_first = first == Some(1);
            one.run(100);
            assert_eq!(one.target.ended, Some(Ok(())), "{up} {down} {first:?}");
            assert_eq!(one.source.ended, Some(Ok(())));
            assert!(one.target.heard == bytes(up) && one.source.heard == bytes(down));
            assert_eq!(one.outcomes(), [Some(Ok(())), Some(Ok(()))]);
            assert_eq!(one.world.hosts[one.near].endpoint.pairs(), 0);
        }
    }
}

/// Goal: a target that takes nothing holds up the source, end to end, in little memory; and
/// when it takes, all arrives. The other direction goes on meanwhile. Method: 20 MB to a target
/// that reads nothing for a second.
#[test]
fn a_slow_target_holds_up_the_source() {
    let mut one = One::new(bytes(20_000_000), bytes(300_000));
    one.target.pace = 0;
    one.run(1000);
    let most = 2 * (INPUT_HIGH_WATER + 2 * MOST_SHARE) + 4 * 65_536;
    assert!(one.source.said < most, "{}", one.source.said);
    for host in &one.world.hosts {
        assert!(host.most_held < 4 * MOST_SHARE, "{}", host.most_held);
    }
    assert!(one.source.heard == bytes(300_000), "the other direction");
    one.target.pace = usize::MAX;
    one.run(2000);
    assert!(one.target.heard == bytes(20_000_000));
    assert_eq!(one.outcomes(), [Some(Ok(())), Some(Ok(()))]);
}

/// Goal: what came before a reset arrives, and then the reset, at the other program; the log of
/// both ends names it. Method: each side in turn says something and resets, with the other's
/// stream open.
#[test]
fn a_reset_is_carried() {
    for by_target in [false, true] {
        let mut one = One::new(bytes(50_000), bytes(50_000));
        (one.source.ends, one.target.ends) = (false, false);
        one.run(20);
        match by_target {
            true => one.target.reset(&mut one.world),
            false => one.source.reset(&mut one.world),
        }
        one.run(20);
        let other = match by_target {
            true => &one.source,
            false => &one.target,
        };
        assert!(other.heard == bytes(50_000));
        assert_eq!(other.ended, Some(Err(ErrorKind::ConnectionReset)));
        let (teller, told) = (gave(Reason::RESET), aborted(Reason::RESET, ""));
        let outcomes = match by_target {
            true => [told, teller],
            false => [teller, told],
        };
        assert_eq!(one.outcomes(), outcomes);
    }
}

/// Goal: a target that answers and closes before it has read all gives its answer, and then the
/// source sees an error. Method: a target that reads a part of 2 MB.
#[test]
fn an_early_answer_arrives() {
    let mut one = One::new(bytes(2_000_000), bytes(3000));
    (one.target.pace, one.target.ends) = (1000, false);
    one.run(2);
    one.target.leave(&mut one.world);
    one.run(50);
    assert!(
        one.source.heard == bytes(3000),
        "{}",
        one.source.heard.len()
    );
    assert_eq!(one.source.ended, Some(Err(ErrorKind::ConnectionReset)));
    assert_eq!(
        one.outcomes(),
        [aborted(Reason::RESET, ""), gave(Reason::RESET)]
    );
}

/// Goal: a cut connection is an error for both programs, behind what came before. A program that
/// takes nothing of it gets a reset after 5 s. Method: the link is reset while both sides talk.
#[test]
fn a_cut_is_an_error() {
    let mut one = One::new(bytes(100_000), bytes(100_000));
    (one.source.ends, one.target.ends) = (false, false);
    one.target.pace = 0;
    one.run(20);
    one.world.reset(one.pair.link);
    one.run(4900);
    assert_eq!(one.source.ended, Some(Err(ErrorKind::ConnectionReset)));
    assert!(one.source.heard == bytes(100_000));
    assert_eq!(one.target.ended, None);
    assert_eq!(one.world.hosts[0].endpoint.pairs(), 1);
    one.run(200);
    assert_eq!(one.world.hosts[0].endpoint.pairs(), 0);
    one.target.pace = usize::MAX;
    one.run(20);
    assert_eq!(one.target.ended, Some(Err(ErrorKind::ConnectionReset)));
    assert_eq!(LINGER, Duration::from_secs(5));
}

/// Goal: a target that refuses, or does not answer, ends just its connection, with the reason at
/// both ends; what was sent meanwhile waited in little memory. Method: two connections, one of
/// which fails.
#[test]
fn a_refusal_is_carried() {
    for reason in [Reason::REFUSED, Reason::TIMED_OUT] {
        let mut one = One::new(bytes(10), bytes(10));
        (one.source.ends, one.target.ends) = (false, false);
        let (at_near, end) = one.world.plain(one.near);
        let pair = one.world.connect_for(one.near, at_near);
        let mut other = Program::new(end, bytes(5_000_000));
        for _ in 0..50 {
            other.act(&mut one.world);
            one.world.run_millis(1);
        }
        assert!(one.world.hosts[0].most_held < 3 * MOST_SHARE);
        let (at_far, _) = one.world.dials().remove(0);
        one.world.fail_local(0, at_far, Abort::new(reason, "why"));
        one.world.run_millis(10);
        other.act(&mut one.world);
        assert_eq!(other.ended, Some(Err(ErrorKind::ConnectionReset)));
        let near = one.world.hosts[one.near].outcome(pair.at_client);
        assert_eq!(near, aborted(reason, "why"));
        one.run(10);
        assert_eq!(one.target.heard, bytes(10));
        assert_eq!(one.source.ended, None);
    }
}

/// Goal: a local whose server cannot be reached, or refuses, is reset. Method: the driver says
/// so; and a server in another mode, which closes.
#[test]
fn a_server_that_is_none() {
    let mut world = World::new(1, Faults::default());
    world.host(native(1, Leaves::WhenStopped), Echo);
    let near = world.host(native(2, Leaves::WhenStopped), Tunnel);
    let (first, end) = world.plain(near);
    let mut source = Program::new(end, bytes(10));
    source.act(&mut world);
    world.fail_local(near, first, Abort::new(Reason::REFUSED, ""));
    world.run_millis(10);
    source.act(&mut world);
    assert_eq!(source.ended, Some(Err(ErrorKind::ConnectionReset)));
    assert_eq!(
        world.hosts[near].endpoint.dialled_for(world.net.now, first),
        None
    );

    let (second, end) = world.plain(near);
    let mut source = Program::new(end, bytes(10));
    source.act(&mut world);
    let pair = world.connect_for(near, second);
    world.run_millis(10);
    source.act(&mut world);
    assert_eq!(source.ended, Some(Err(ErrorKind::ConnectionReset)));
    let fault = |fault| Some(Err(Failure::Peer(fault)));
    assert_eq!(
        world.hosts[near].outcome(pair.at_client),
        fault(PeerFault::NoHandshake)
    );
    assert_eq!(world.outcome(pair.at_server), fault(PeerFault::Service(1)));
}

/// Goal: a client of another mode is refused by the far end, and dials nothing.
#[test]
fn a_client_in_another_mode() {
    let (mut world, _) = World::with(native(1, Leaves::WhenStopped), Tunnel);
    let (client, pair) = world.client(Sender::new(vec![b"x".to_vec()]));
    world.run_millis(10);
    assert_eq!(
        world.outcome(pair.at_server),
        Some(Err(Failure::Peer(PeerFault::Service(0))))
    );
    let refused = Some(Err(Failure::Peer(PeerFault::NoHandshake)));
    assert_eq!(world.hosts[client].outcome(pair.at_client), refused);
    assert!(world.dials().is_empty());
}

/// Goal: an end that is stopped aborts connections whose program has more to say (3), and both
/// programs see an error; one whose program has ended is let finish. Method: either end is
/// stopped, with one connection of each kind.
#[test]
fn stopping_is_no_clean_end() {
    for stop_near in [false, true] {
        let mut one = One::new(bytes(1000), bytes(1000));
        (one.source.ends, one.target.ends) = (false, false);
        let (at_near, end) = one.world.plain(one.near);
        one.world.connect_for(one.near, at_near);
        one.world.settle();
        let (at_far, _) = one.world.dials().remove(0);
        let end_at_target = one.world.open(at_far);
        let mut near = Program::new(end, bytes(1000));
        let mut far = Program::new(end_at_target, bytes(1000));
        // The program behind the end that is stopped has ended.
        (near.listens_first, far.listens_first) = (!stop_near, stop_near);
        (near.ends, far.ends) = (true, true);
        let waits = |one: &mut One, near: &mut Program, far: &mut Program| match stop_near {
            true => near.act(&mut one.world),
            false => far.act(&mut one.world),
        };
        one.run(10);
        waits(&mut one, &mut near, &mut far);
        one.run(10);
        let host = if stop_near { one.near } else { 0 };
        one.world.stop(host);
        one.run(10);
        for program in [&one.source, &one.target] {
            assert_eq!(program.heard, bytes(1000));
            assert_eq!(program.ended, Some(Err(ErrorKind::ConnectionReset)));
        }
        for _ in 0..50 {
            near.act(&mut one.world);
            far.act(&mut one.world);
            one.run(1);
        }
        assert_eq!((near.ended, far.ended), (Some(Ok(())), Some(Ok(()))));
        assert_eq!((near.heard, far.heard), (bytes(1000), bytes(1000)));
        assert!(one.world.end(host).is_some());
        assert_eq!(one.locals.len(), 2);
    }
}

/// How one connection of a run goes wrong, if it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Calm,
    Cut,
    SourceResets,
    TargetResets,
    Refused,
}

/// One connection of a run by seed.
struct Planned {
    pair: Pair,
    near_local: LocalId,
    source: Program,
    target: Option<Program>,
    to_source: Vec<u8>,
    fate: Fate,
    /// When that happens, in steps.
    at: u64,
    /// When the target answers.
    opens: u64,
    far_local: Option<LocalId>,
}

/// Goal: whatever the network and the programs do, each program gets all that the other said and
/// a clean end, or an error: never a clean end after a loss. Connections disturb no other.
/// Method: by seed, 200 connections in ten runs, of all sizes and fates, over a network that
/// delays, cuts and moves single bytes. `SEALWIRE_TUNNEL_SEEDS` is another number of runs.
#[test]
fn no_clean_end_after_a_loss() {
    let seeds = std::env::var("SEALWIRE_TUNNEL_SEEDS");
    let seeds = seeds.map_or(10, |text| text.parse().expect("a number"));
    for seed in 0..seeds {
        let mut rng = StdRng::seed_from_u64(seed);
        let faults = Faults {
            one_byte: 0.02,
            short: 0.2,
            would_block: 0.1,
            delay: Duration::from_millis(rng.random_range(0..4)),
        };
        let (mut world, near) = tunnel(2 * seed + 10, faults);
        let mut all: Vec<_> = (0..20).map(|_| plan(&mut rng, &mut world, near)).collect();
        for step in 0..3000 {
            for (local, peer) in world.dials() {
                let one = all.iter_mut().find(|one| one.pair.at_server == peer);
                one.unwrap().far_local = Some(local);
            }
            for one in &mut all {
                one.act(&mut world, step);
            }
            world.run_millis(1);
        }
        let fates: Vec<_> = all.iter().map(|one| one.fate).collect();
        assert!(fates.contains(&Fate::Calm), "{seed}");
        for one in &all {
            one.check(seed);
        }
        world.run_millis(LINGER.as_millis() as u64 + 500);
        assert_eq!(world.hosts[near].endpoint.pairs(), 0, "seed {seed}");
        assert_eq!(world.hosts[0].endpoint.pairs(), 0, "seed {seed}");
    }
}

fn plan(rng: &mut StdRng, world: &mut World, near: usize) -> Planned {
    let mut size = || match rng.random_range(0..4) {
        0 => 0,
        1 => rng.random_range(1..100),
        2 => rng.random_range(1..20_000),
        _ => rng.random_range(1..400_000),
    };
    let (up, down) = (size(), size());
    let (near_local, end) = world.plain(near);
    let pair = world.connect_for(near, near_local);
    let mut source = Program::new(end, bytes(up));
    source.listens_first = rng.random_bool(0.2);
    source.pace = [usize::MAX, 500, 5000][rng.random_range(0..3)];
    let fates = [
        Fate::Calm,
        Fate::Calm,
        Fate::Cut,
        Fate::SourceResets,
        Fate::TargetResets,
        Fate::Refused,
    ];
    Planned {
        pair,
        near_local,
        source,
        target: None,
        to_source: bytes(down),
        fate: fates[rng.random_range(0..fates.len())],
        at: rng.random_range(1..200),
        opens: rng.random_range(0..50),
        far_local: None,
    }
}

impl Planned {
    fn act(&mut self, world: &mut World, step: u64) {
        self.source.act(world);
        if let Some(target) = &mut self.target {
            target.act(world);
        } else if let Some(local) = self.far_local.filter(|_| step >= self.opens) {
            self.far_local = None;
            match self.fate {
                Fate::Refused => {
                    world.fail_local(0, local, Abort::new(Reason::REFUSED, ""));
                }
                _ => {
                    let to_source = std::mem::take(&mut self.to_source);
                    let end = world.open(local);
                    self.target = Some(Program::new(end, to_source));
                }
            }
        }
        if step == self.at {
            match self.fate {
                Fate::Cut => world.reset(self.pair.link),
                Fate::SourceResets if !self.source.gone => self.source.reset(world),
                Fate::TargetResets => {
                    if let Some(target) = self.target.as_mut().filter(|target| !target.gone) {
                        target.reset(world);
                    }
                }
                _ => {}
            }
        }
    }

    fn check(&self, seed: u64) {
        let what = format!("seed {seed}, {:?}, {:?}", self.near_local, self.fate);
        let Some(target) = &self.target else {
            assert_ne!(self.fate, Fate::Calm, "{what}");
            assert_ne!(self.source.ended, Some(Ok(())), "{what}");
            return;
        };
        for (hearer, teller) in [(&self.source, target), (target, &self.source)] {
            assert!(
                teller.to_say.starts_with(&hearer.heard),
                "{what}: other bytes"
            );
            if hearer.ended == Some(Ok(())) {
                assert!(
                    hearer.heard == teller.to_say,
                    "{what}: a clean end after a loss"
                );
                assert!(teller.shut, "{what}");
            } else {
                let resets = hearer.gone && hearer.ended.is_none();
                assert!(
                    resets || hearer.ended.is_some(),
                    "{what}: it waits for ever"
                );
                assert_ne!(self.fate, Fate::Calm, "{what}: {:?}", hearer.ended);
            }
        }
    }
}

/// A connection through the tunnel whose target is there.
fn connect(world: &mut World, near: usize, to_target: Vec<u8>) -> (Pair, Program, Program) {
    let (local, end) = world.plain(near);
    let pair = world.connect_for(near, local);
    world.settle();
    let (at_far, _) = world.dials().remove(0);
    let target = world.open(at_far);
    world.settle();
    let source = Program::new(end, to_target);
    (pair, source, Program::new(target, Vec::new()))
}

/// Goal: targets that take nothing do not hold up other connections, even when what waits for
/// them exceeds the bound of all queues: they are given up. Method: twenty of them, small bounds,
/// and one connection that goes on.
#[test]
fn slow_targets_cannot_fill_the_memory() {
    let mut world = World::new(1, Faults::default());
    let far = limited(|limits| {
        (limits.max_queue, limits.max_queued) = (200_000, 400_000);
        limits.max_message = 100_000;
    });
    world.host(far, Tunnel);
    let near = world.host(native(2, Leaves::WhenStopped), Tunnel);
    let mut slow = Vec::new();
    for _ in 0..20 {
        let (pair, source, mut target) = connect(&mut world, near, bytes(1_000_000));
        target.pace = 0;
        slow.push((pair, source, target));
    }
    let (pair, mut source, mut target) = connect(&mut world, near, bytes(3_000_000));
    source.ends = false;
    for _ in 0..6000 {
        for (_, source, target) in &mut slow {
            source.act(&mut world);
            target.act(&mut world);
        }
        source.act(&mut world);
        target.act(&mut world);
        world.run_millis(1);
    }
    assert!(target.heard == bytes(3_000_000), "{}", target.heard.len());
    assert_eq!(world.outcome(pair.at_server), None);
    let given_up = |pair: &Pair| world.gave(pair.at_server) == Some(Reason::TOO_SLOW);
    let count = slow.iter().filter(|(pair, ..)| given_up(pair)).count();
    assert!(count >= 12, "{count}");
    assert!(
        world.hosts[0].most_held < 3_000_000,
        "{}",
        world.hosts[0].most_held
    );
}

/// Goal: locals whose peer has failed do not pile up. Method: 300 targets that take nothing, and a
/// network that breaks.
#[test]
fn few_locals_linger() {
    let (mut world, near) = tunnel(1, Faults::default());
    let mut all = Vec::new();
    for _ in 0..300 {
        let (pair, mut source, target) = connect(&mut world, near, bytes(100_000));
        source.act(&mut world);
        world.run_millis(1);
        source.act(&mut world);
        all.push((pair, source, target));
    }
    world.run_millis(100);
    for (pair, ..) in &all {
        world.net.reset(pair.link);
    }
    world.run_millis(100);
    assert_eq!(world.hosts[0].endpoint.connections(), 0);
    assert_eq!(world.hosts[0].endpoint.pairs(), MOST_LINGERING);
    for (_, _, target) in &mut all {
        target.act(&mut world);
        assert!(matches!(target.ended, None | Some(Err(_))));
    }
    world.run_millis(10);
    assert_eq!(world.hosts[0].endpoint.pairs(), 0);
}

/// Goal: a peer that leaves while its target is dialled leaves nothing, and the target that comes
/// too late is reset.
#[test]
fn a_target_that_comes_too_late() {
    let (mut world, near) = tunnel(1, Faults::default());
    let (local, end) = world.plain(near);
    let pair = world.connect_for(near, local);
    let mut source = Program::new(end, bytes(1000));
    source.act(&mut world);
    world.settle();
    let (at_far, _) = world.dials().remove(0);
    world.reset(pair.link);
    assert_eq!(world.hosts[0].endpoint.pairs(), 0);
    let mut target = Program::new(world.open(at_far), Vec::new());
    target.act(&mut world);
    assert_eq!(target.ended, Some(Err(ErrorKind::ConnectionReset)));
    source.act(&mut world);
    assert_eq!(source.ended, Some(Err(ErrorKind::ConnectionReset)));
}

/// Goal: idle connections cost nothing while another is busy. Method: 300 of them, and how often
/// the far end's sockets are read while one carries 1 MB.
#[test]
fn idle_connections_cost_nothing() {
    let reads = |idle: usize| {
        let (mut world, near) = tunnel(1, Faults::default());
        let idle: Vec<_> = (0..idle)
            .map(|_| connect(&mut world, near, Vec::new()))
            .collect();
        let (_, mut source, mut target) = connect(&mut world, near, bytes(1_000_000));
        world.run_millis(100);
        let before = world.net.calls;
        for _ in 0..100 {
            source.act(&mut world);
            target.act(&mut world);
            world.run_millis(1);
        }
        assert!(target.heard == bytes(1_000_000));
        assert!(idle.iter().all(|(_, source, _)| source.ended.is_none()));
        world.net.calls - before
    };
    assert_eq!(reads(0), reads(300));
}

/// Goal: what a program said before its reset arrives, also if it still waited to be sealed then;
/// past 5 s the reset comes first. Method: a network that takes nothing for 1 s, or for 8 s.
#[test]
fn what_came_before_a_reset_arrives() {
    for (stalled, heard) in [(1, 51_000), (8, 1000)] {
        let mut one = One::new(bytes(51_000), Vec::new());
        (one.source.ends, one.target.ends) = (false, false);
        one.run(2);
        let near = Side::client(one.pair.link);
        one.world.net.stall(near, Duration::from_secs(stalled));
        let all = one.source.to_say.clone();
        one.source.to_say.truncate(1000);
        (one.source.said, one.target.heard) = (0, Vec::new());
        one.run(5);
        one.source.to_say = all;
        one.run(5);
        assert_eq!(one.source.said, 51_000);
        one.source.reset(&mut one.world);
        one.run(100);
        assert!(one.target.heard.is_empty());
        one.run(10_000);
        assert!(
            one.target.heard == bytes(heard),
            "{}",
            one.target.heard.len()
        );
        assert_eq!(one.target.ended, Some(Err(ErrorKind::ConnectionReset)));
    }
}

/// Goal: an end is not confirmed while the socket behind it has an error that no read or write has
/// told. Method: an error that comes with nothing to write; then the target ends, too.
#[test]
fn an_error_is_looked_for_before_done() {
    let mut one = One::new(bytes(1000), bytes(1000));
    (one.source.ends, one.target.ends) = (false, false);
    one.run(10);
    let at_far = one.world.hosts[0].wires[&one.locals[1]];
    one.world.net.outgoing(at_far).write_error = Some(ErrorKind::ConnectionReset);
    one.source.ends = true;
    one.run(10);
    one.target.ends = true;
    one.run(10);
    assert_eq!(one.source.ended, Some(Err(ErrorKind::ConnectionReset)));
    let outcomes = [aborted(Reason::RESET, ""), gave(Reason::RESET)];
    assert_eq!(one.outcomes(), outcomes);
}
