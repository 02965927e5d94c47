//! The workload echo: every peer keeps so many messages under way, and every
//! reply must be the message that was sent.
//!
//! A mode of the library's endpoint: it sends, compares, and counts what became
//! of each message. When a phase begins is up to [`crate::run`]. A reply that is
//! missing or comes twice makes all that follow on its peer wrong, too: replies
//! are in order, and none says which it is.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use hdrhistogram::Histogram;
use sealwire::conn::Outcome;
use sealwire::endpoint::Core;
use sealwire::endpoint::mode::{HandedOn, Message, Mode, Receivers};
use sealwire::endpoint::transport::PeerId;

use crate::args::Load;
use crate::pattern::{Pattern, equals};
use crate::times;

/// What became of messages; those of the warm-up too.
///
/// Invariant: what was sent is answered, lost, or under way.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) sent: u64,
    /// Something came back, right or wrong.
    pub(crate) answered: u64,
    /// Nothing came back.
    pub(crate) lost: u64,
    /// Replies other than what was due, and those that nobody waited for.
    pub(crate) wrong: u64,
}

/// How far the run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Peers come, and nothing is said.
    Joining,
    /// The next turn sends the first messages.
    Starting,
    /// A reply is followed by the next message.
    Running,
    /// Nothing more is sent.
    Draining,
    /// The next turn tells all peers that nothing follows.
    Finishing,
    /// They have been told.
    Finished,
}

/// What one peer has under way.
#[derive(Debug)]
struct Lane {
    sent: u64,
    answered: u64,
    /// When those under way were sent, oldest first.
    under_way: VecDeque<Instant>,
}

/// Sends, compares, counts.
#[derive(Debug)]
pub(crate) struct Echo {
    load: Load,
    phase: Phase,
    /// There from the start on.
    pattern: Option<Pattern>,
    lanes: HashMap<PeerId, Lane>,
    counts: Counts,
    /// Messages sent before this are not measured.
    measured_from: Option<Instant>,
    /// Of each message that is measured and was answered right; nanoseconds.
    latencies: Histogram<u64>,
}

impl Echo {
    /// Lets peers come, and says nothing until [`start`](Self::start).
    pub(crate) fn new(load: Load) -> Self {
        Self {
            load,
            phase: Phase::Joining,
            pattern: None,
            lanes: HashMap::new(),
            counts: Counts::default(),
            measured_from: None,
            latencies: times::histogram(),
        }
    }

    /// Begins to send with the next turn.
    pub(crate) fn start(&mut self) {
        self.phase = Phase::Starting;
    }

    /// Has messages measured that are sent from now on.
    pub(crate) fn measure(&mut self) {
        self.measured_from = Some(Instant::now());
    }

    /// Sends nothing more.
    pub(crate) fn stop(&mut self) {
        self.phase = Phase::Draining;
    }

    /// Tells every peer with the next turn that nothing more follows.
    pub(crate) fn finish(&mut self) {
        self.phase = Phase::Finishing;
    }

    /// Gives up on the peers that are still there, says how many, and counts what
    /// is under way as lost.
    pub(crate) fn give_up(&mut self) -> usize {
        self.counts.lost += self.under_way();
        self.lanes.drain().count()
    }

    /// Whether peers may leave now without a fault.
    pub(crate) fn is_finished(&self) -> bool {
        self.phase == Phase::Finished
    }

    /// How many peers are there.
    pub(crate) fn peers(&self) -> usize {
        self.lanes.len()
    }

    /// How many messages are under way.
    pub(crate) fn under_way(&self) -> u64 {
        self.counts.sent - self.counts.answered - self.counts.lost
    }

    /// What became of messages so far.
    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// Of messages measured so far; nanoseconds.
    pub(crate) fn latencies(&self) -> &Histogram<u64> {
        &self.latencies
    }
}

impl Lane {
    /// Sends the next message; says whether it will leave.
    fn send(&mut self, core: &mut Core, peer: PeerId, pattern: &Pattern, now: Instant) -> bool {
        let message = pattern.message(peer, self.sent);
        let leaves = core.send_pinned(peer, message);
        if leaves {
            self.sent += 1;
            self.under_way.push_back(now);
        }
        leaves
    }
}

impl Mode for Echo {
    /// Replies are always read, however much waits to be sent: the server may be
    /// unable to take more before it has got rid of them.
    fn receivers(&self) -> Receivers {
        Receivers::Nobody
    }

    fn joined(&mut self, _: &mut Core, peer: PeerId) {
        let lane = Lane {
            sent: 0,
            answered: 0,
            under_way: VecDeque::with_capacity(self.load.depth),
        };
        self.lanes.insert(peer, lane);
    }

    fn message(&mut self, core: &mut Core, peer: PeerId, message: Message<'_>) {
        let now = Instant::now();
        let lane = self.lanes.get_mut(&peer);
        let (Some(pattern), Some(lane)) = (&self.pattern, lane) else {
            self.counts.wrong += 1;
            return;
        };
        let Some(sent_at) = lane.under_way.pop_front() else {
            self.counts.wrong += 1;
            return;
        };
        self.counts.answered += 1;
        let due = pattern.message(peer, lane.answered);
        lane.answered += 1;
        if !equals(core, message, due) {
            self.counts.wrong += 1;
        } else if self.measured_from.is_some_and(|from| sent_at >= from) {
            let nanos = now.duration_since(sent_at).as_nanos();
            self.latencies.saturating_record(nanos as u64);
        }
        if self.phase == Phase::Running && lane.send(core, peer, pattern, now) {
            self.counts.sent += 1;
        }
    }

    /// A server says so first only if it ends the run.
    fn fin(&mut self, core: &mut Core, peer: PeerId) -> HandedOn {
        core.finish(peer);
        HandedOn::Now
    }

    fn left(&mut self, _: &mut Core, peer: PeerId, _: &Outcome) {
        if let Some(lane) = self.lanes.remove(&peer) {
            self.counts.lost += lane.under_way.len() as u64;
        }
    }

    fn turn(&mut self, core: &mut Core) {
        match self.phase {
            Phase::Starting => {
                let pattern = self.pattern.insert(Pattern::new(core, self.load.size));
                let now = Instant::now();
                for (&peer, lane) in &mut self.lanes {
                    let sent =
                        (0..self.load.depth).take_while(|_| lane.send(core, peer, pattern, now));
                    self.counts.sent += sent.count() as u64;
                }
                self.phase = Phase::Running;
            }
            Phase::Finishing => {
                core.finish_all();
                self.phase = Phase::Finished;
            }
            _ => {}
        }
    }
}
