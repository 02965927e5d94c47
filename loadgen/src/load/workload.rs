//! What a workload is: the peers' side of the conversation.
//!
//! It runs on any clock, so the tests run it on a simulated one. Read next: [`super::echo`].

use std::time::Duration;

use sealwire::{PeerId, Time};

use super::churn::Churn;
use super::echo::Echo;
use super::fanout::Fanout;
use super::pattern::Pattern;
use super::sink::Sink;
use super::{Link, Received};
use crate::measure::meter::{Meter, Window};
use crate::measure::results::Tally;
use crate::plan::{Kind, Plan};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Share {
    pub(crate) thread: usize,
    /// The number of its first peer, among those of all threads.
    pub(crate) first: usize,
    pub(crate) peers: usize,
}

impl Share {
    /// The share of one thread of `plan`: shares are as even as can be.
    pub(crate) fn new(plan: &Plan, thread: usize) -> Self {
        let first_of = |thread| plan.all_peers() * thread / plan.threads;
        let first = first_of(thread);
        Self {
            thread,
            first,
            peers: first_of(thread + 1) - first,
        }
    }
}

/// What the peers of `share` do in `plan`.
pub(crate) fn new(plan: &Plan, pattern: &Pattern, share: Share) -> Box<dyn Workload> {
    let (plan, pattern) = (plan.clone(), pattern.clone());
    match plan.kind {
        Kind::Echo | Kind::Idle => Box::new(Echo::new(plan, pattern, share)),
        Kind::Sink => Box::new(Sink::new(plan, pattern, share)),
        Kind::Fanout => Box::new(Fanout::new(plan, pattern)),
        Kind::Churn => Box::new(Churn::new(plan, pattern, share)),
    }
}

pub(crate) trait Workload: Send {
    /// How many peers to begin now, within the load.
    fn wanted(&mut self, _now: Time) -> usize {
        0
    }

    fn connecting(&mut self, _now: Time, _peer: PeerId) {}

    /// TCP has connected `peer`.
    fn connected(&mut self, _now: Time, _peer: PeerId) {}

    /// `peer` can be sent to.
    fn joined(&mut self, link: &mut dyn Link, peer: PeerId);

    /// Says when the load begins and ends.
    fn begin(&mut self, window: Window) {
        self.meter().begin(window);
    }

    fn meter(&mut self) -> &mut Meter;

    /// `peer` sent `message`, which the link owns. So sending waits for
    /// [`go_on`](Self::go_on), which is called next.
    fn message(&mut self, now: Time, peer: PeerId, message: Received<'_>);

    /// `peer` has sent something, and can be answered.
    fn go_on(&mut self, _link: &mut dyn Link, _peer: PeerId) {}

    /// `peer` left, or never came; `complete` if both sides had finished and had everything.
    fn left(&mut self, now: Time, peer: PeerId, complete: bool);

    /// Called once in every turn, after all messages that came.
    fn turn(&mut self, _link: &mut dyn Link) {}

    /// All that waited to be sent has left since [`turn`](Self::turn), so that no event will
    /// come: a workload that stopped at full queues goes on at once.
    fn drained(&mut self) {}

    /// When to call the workload, seen from `now`, even if nothing happens.
    fn next_due(&mut self, now: Time) -> Option<Time>;

    /// How long the measured time was, if it differs from the plan. All is over `now`.
    fn took(&mut self, _now: Time) -> Option<Duration> {
        None
    }

    /// From `now` on no answer counts: the user `cut_short` the run, or the time for answers is
    /// over. Next the peers are told that nothing follows.
    fn stop(&mut self, now: Time, cut_short: bool);

    /// The results, when all is over and all peers have left.
    fn tally(&mut self) -> Tally {
        self.meter().tally.clone()
    }
}
