//! How the server should end each kind of misbehaving peer (`PROTOCOL.md` §1.2 to §1.5).
//!
//! [`misfit`] is that table. It judges one connection, by what its own side has seen.

use std::time::Duration;

use sealwire::Reason;
use sealwire::limits::{HANDSHAKE_DEADLINE, SERVER_HELLO, SLOW_WINDOW};

use super::account::{End, Seen};
use super::kind::BadKind;
use crate::limits::{COHORT_SLACK, HUGE};
use crate::plan::ServerMode;

/// What was not as it should be, if anything, at a connection of `kind` to a server that serves
/// as `mode`.
pub(super) fn misfit(kind: BadKind, mode: ServerMode, seen: &Seen) -> Option<&'static str> {
    match seen.end {
        End::Connecting => return None,
        End::Refused | End::Failed => return Some("could not be connected, or the network failed"),
        // Before it is proved, a connection may be closed at any time to make room.
        End::Closed | End::Reset if kind.proves_itself() && !seen.proved => return None,
        _ => {}
    }
    match kind {
        BadKind::Silent | BadKind::HalfHello => unproved(seen, 0),
        BadKind::Drip => unproved(seen, SERVER_HELLO as u64),
        BadKind::BadHello | BadKind::ReplayHello => refused(seen),
        BadKind::BadTag | BadKind::Oversize => broke_a_record(seen, mode),
        BadKind::SlowReader => slow(seen),
        BadKind::PingFlood if mode == ServerMode::Relay => slow(seen),
        BadKind::PingFlood => stays(seen),
        BadKind::SlowWriter if seen.end == End::Aborted(Reason::TOO_SLOW) => None,
        BadKind::SlowWriter => stays(seen),
        BadKind::HugeMessage => huge(seen),
        BadKind::ResetMidRecord => match seen.end {
            End::Left | End::Open => None,
            _ => Some("ended before it did anything wrong"),
        },
    }
}

fn later_than(took: Option<Duration>, most: Duration) -> bool {
    took.is_some_and(|took| took > most + COHORT_SLACK)
}

/// One that is never proved: from accepting it on it has 5 s in all, and gets no more than `due`
/// bytes.
fn unproved(seen: &Seen, due: u64) -> Option<&'static str> {
    if seen.heard > due {
        return Some("the server sent it something");
    }
    later_than(seen.lived, HANDSHAKE_DEADLINE).then_some("not ended within 5 s")
}

/// One whose hello must be refused: closed at once, without an answer. The one that a replay
/// repeats has sent its hello first, and leaves.
fn refused(seen: &Seen) -> Option<&'static str> {
    if seen.end == End::Left {
        return None;
    }
    if seen.after > 0 {
        return Some("the server answered its hello");
    }
    later_than(seen.since, Duration::ZERO).then_some("not ended at once")
}

/// One that sent what no record is: ended at once, and nothing is sent after it. Where the server
/// passes messages on, some may be on their way.
fn broke_a_record(seen: &Seen, mode: ServerMode) -> Option<&'static str> {
    match (seen.end, seen.since) {
        (End::Aborted(_), _) => Some("the server sent ABORT"),
        (End::Open, None) => None,
        (_, None) => Some("ended before it did anything wrong"),
        _ if seen.after > 0 && mode != ServerMode::Relay => Some("the server sent something after"),
        _ => later_than(seen.since, Duration::ZERO).then_some("not ended at once"),
    }
}

/// One that accepts little: it may stay while it keeps up, and is given up as too slow. The ABORT
/// may not reach it, so its stream may just end.
fn slow(seen: &Seen) -> Option<&'static str> {
    match seen.end {
        End::Open => None,
        End::Aborted(reason) if reason != Reason::TOO_SLOW => Some("aborted for another reason"),
        _ if seen.lived.is_some_and(|lived| lived < SLOW_WINDOW) => Some("ended in less than 1 s"),
        _ => None,
    }
}

/// One that does nothing that is forbidden.
fn stays(seen: &Seen) -> Option<&'static str> {
    (seen.end != End::Open).then_some("ended, though what it does is allowed")
}

/// One whose message is above the limit: told so, and soon.
fn huge(seen: &Seen) -> Option<&'static str> {
    match seen.end {
        End::Aborted(Reason::TOO_LARGE) => None,
        End::Open => (seen.said > HUGE).then_some("not aborted at the limit of a message"),
        _ => Some("ended without ABORT (message too large)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const TAKEN: Option<&str> = None;

    /// A connection that ended so, half a second after it did what is wrong.
    fn ended(end: End, lived: u32) -> Seen {
        Seen {
            end,
            lived: Some(SECOND * lived),
            since: Some(SECOND / 2),
            proved: true,
            heard: 0,
            after: 0,
            said: 100,
        }
    }

    fn aborted(reason: Reason) -> End {
        End::Aborted(reason)
    }

    /// Goal: each kind has its proper ends, and no others. Method: rows of a kind, an end, how
    /// many seconds it lived, and the judgement.
    #[test]
    fn ends() {
        use BadKind::*;
        let allowed = Some("ended, though what it does is allowed");
        let innocent = Some("ended before it did anything wrong");
        let huge = Some("ended without ABORT (message too large)");
        for (kind, end, lived, due) in [
            (Silent, End::Closed, 5, TAKEN),
            (Silent, End::Reset, 0, TAKEN),
            (Silent, End::Open, 4, TAKEN),
            (Silent, End::Open, 8, Some("not ended within 5 s")),
            (HalfHello, End::Closed, 8, Some("not ended within 5 s")),
            (Drip, End::Closed, 5, TAKEN),
            (Drip, End::Closed, 30, Some("not ended within 5 s")),
            (BadHello, End::Closed, 0, TAKEN),
            (ReplayHello, End::Left, 0, TAKEN),
            (BadTag, End::Closed, 9, TAKEN),
            (Oversize, End::Reset, 9, TAKEN),
            (
                BadTag,
                aborted(Reason::TOO_LARGE),
                1,
                Some("the server sent ABORT"),
            ),
            (SlowReader, End::Open, 99, TAKEN),
            (SlowReader, End::Reset, 3, TAKEN),
            (SlowReader, aborted(Reason::TOO_SLOW), 3, TAKEN),
            (SlowReader, End::Closed, 0, Some("ended in less than 1 s")),
            (
                SlowReader,
                aborted(Reason::TOO_LARGE),
                3,
                Some("aborted for another reason"),
            ),
            (SlowWriter, End::Open, 99, TAKEN),
            (SlowWriter, aborted(Reason::TOO_SLOW), 9, TAKEN),
            (SlowWriter, End::Closed, 9, allowed),
            (PingFlood, End::Open, 99, TAKEN),
            (PingFlood, aborted(Reason::TOO_SLOW), 9, allowed),
            (HugeMessage, aborted(Reason::TOO_LARGE), 1, TAKEN),
            (HugeMessage, End::Open, 1, TAKEN),
            (HugeMessage, End::Closed, 1, huge),
            (HugeMessage, aborted(Reason::TOO_SLOW), 1, huge),
            (ResetMidRecord, End::Left, 1, TAKEN),
            (ResetMidRecord, End::Closed, 1, innocent),
            (
                Silent,
                End::Refused,
                0,
                Some("could not be connected, or the network failed"),
            ),
            (Silent, End::Connecting, 0, TAKEN),
        ] {
            let told = misfit(kind, ServerMode::Echo, &ended(end, lived));
            assert_eq!(told, due, "{kind:?} {end:?} {lived}");
        }
        let flood = ended(aborted(Reason::TOO_SLOW), 9);
        assert_eq!(misfit(PingFlood, ServerMode::Relay, &flood), TAKEN);
    }

    /// Goal: what came, and when, counts as well as how it ended. Method: a proper end of each
    /// kind, then one thing changed.
    #[test]
    fn more_than_the_end() {
        use BadKind::*;
        type Change = fn(&mut Seen);
        let late: Change = |seen| seen.since = Some(SECOND * 3);
        let heard: Change = |seen| seen.heard = 72;
        let after: Change = |seen| (seen.heard, seen.after) = (72, 72);
        let before: Change = |seen| seen.since = None;
        let unproved: Change = |seen| (seen.since, seen.proved) = (None, false);
        let innocent = Some("ended before it did anything wrong");
        for (kind, change, due) in [
            (Silent, heard, Some("the server sent it something")),
            (Drip, heard, TAKEN),
            (BadHello, late, Some("not ended at once")),
            (BadHello, after, Some("the server answered its hello")),
            (ReplayHello, after, Some("the server answered its hello")),
            (BadTag, late, Some("not ended at once")),
            (BadTag, heard, TAKEN),
            (BadTag, after, Some("the server sent something after")),
            (BadTag, before, innocent),
            (BadTag, unproved, TAKEN),
            (Oversize, before, innocent),
            (HugeMessage, unproved, TAKEN),
        ] {
            let mut seen = ended(End::Closed, 1);
            change(&mut seen);
            assert_eq!(misfit(kind, ServerMode::Echo, &seen), due, "{kind:?}");
        }
        let mut relayed = ended(End::Closed, 1);
        after(&mut relayed);
        assert_eq!(misfit(BadTag, ServerMode::Relay, &relayed), TAKEN);
        let mut huge = ended(End::Open, 9);
        huge.said = HUGE + 1;
        let told = misfit(HugeMessage, ServerMode::Sink, &huge);
        assert_eq!(told, Some("not aborted at the limit of a message"));
    }
}
