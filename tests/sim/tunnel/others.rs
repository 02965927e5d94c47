//! What other connections, and other sides, of a tunnel have to do with one.

use std::io::ErrorKind;

use sealwire::limits::{INPUT_HIGH_WATER, MOST_LINGERING, MOST_SHARE};
use sealwire::{Abort, Echo, Failure, Leaves, PeerFault, Reason, Tunnel};

use super::ends::One;
use super::program::Program;
use super::{bytes, tunnel};
use crate::net::Faults;
use crate::people::{Sender, limited, native};
use crate::world::{Pair, World};

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
