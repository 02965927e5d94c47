//! How one connection through a tunnel ends.

use std::io::ErrorKind;
use std::time::Duration;

use sealwire::limits::{LINGER, LINGER_BEHIND_END, MOST_SHARE};
use sealwire::{Abort, LocalId, Reason};

use super::program::Program;
use super::{bytes, tunnel};
use crate::net::{Faults, Side};
use crate::people::{aborted, gave};
use crate::world::{Pair, World};

/// A tunnel with one connection, whose target is there.
pub(super) struct One {
    pub(super) world: World,
    pub(super) near: usize,
    pub(super) pair: Pair,
    /// What the two ends call their plain connections.
    pub(super) locals: [LocalId; 2],
    pub(super) source: Program,
    pub(super) target: Program,
}

impl One {
    pub(super) fn new(to_target: Vec<u8>, to_source: Vec<u8>) -> Self {
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
    pub(super) fn run(&mut self, millis: u64) {
        for _ in 0..millis {
            self.source.act(&mut self.world);
            self.target.act(&mut self.world);
            self.world.run_millis(1);
        }
    }

    pub(super) fn outcomes(&self) -> [Option<sealwire::Outcome>; 2] {
        let near = self.world.hosts[self.near].outcome(self.pair.at_client);
        [near, self.world.outcome(self.pair.at_server)]
    }
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

/// Goal: the same for a source that ends before it takes the answer. Method: a target that reads
/// little, answers as much as fits, and closes, while the source says all and reads nothing.
#[test]
fn an_early_answer_waits_for_the_source() {
    let mut one = One::new(bytes(200_000), bytes(2_000_000));
    (one.target.pace, one.target.ends, one.source.pace) = (100, false, 0);
    one.run(100);
    let said = one.target.said;
    assert!((100_000..2_000_000).contains(&said), "{said}");
    one.target.leave(&mut one.world);
    one.run(100);
    assert!(one.source.shut);
    one.source.pace = usize::MAX;
    one.run(100);
    assert!(
        one.source.heard == bytes(said),
        "{}",
        one.source.heard.len()
    );
    assert_eq!(one.source.ended, Some(Err(ErrorKind::ConnectionReset)));
    let outcomes = [aborted(Reason::RESET, ""), gave(Reason::RESET)];
    assert_eq!(one.outcomes(), outcomes);
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

/// Goal: a program that had the end of its stream, and still speaks, sees a reset soon if the other
/// program resets: it need not wait for what may be unsent. Method: the source ends, and resets
/// while the target has more to say.
#[test]
fn a_reset_behind_an_end() {
    let mut one = One::new(bytes(1000), bytes(1 << 20));
    one.source.listens_first = false;
    one.source.pace = 100;
    one.run(100);
    assert!(one.target.heard == bytes(1000) && one.source.shut);
    assert_eq!(one.target.ended, Some(Ok(())));
    one.source.reset(&mut one.world);
    one.run(LINGER_BEHIND_END.as_millis() as u64 + 50);
    for host in [0, one.near] {
        assert_eq!(one.world.hosts[host].endpoint.pairs(), 0, "{host}");
    }
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

/// Goal: after a write that failed, the target gets no clean end, and the source no confirmation,
/// even if the error was told just once. Method: one write fails, in the middle of a stream; then
/// the source ends, and then the target.
#[test]
fn what_a_failed_write_has_lost_is_not_confirmed() {
    let mut one = One::new(bytes(2000), bytes(1000));
    (one.source.ends, one.target.ends) = (false, false);
    let all = one.source.to_say.clone();
    one.source.to_say.truncate(1000);
    one.run(10);
    let at_far = one.world.hosts[0].wires[&one.locals[1]];
    one.world.net.outgoing(at_far).write_error = Some(ErrorKind::BrokenPipe);
    one.source.to_say = all;
    one.run(10);
    one.world.net.outgoing(at_far).write_error = None;
    one.source.ends = true;
    one.run(10);
    assert_eq!((&one.target.heard, one.target.ended), (&bytes(1000), None));
    one.target.ends = true;
    one.run(10);
    assert_eq!(one.source.ended, Some(Err(ErrorKind::ConnectionReset)));
    let outcomes = [aborted(Reason::RESET, ""), gave(Reason::RESET)];
    assert_eq!(one.outcomes(), outcomes);
}
