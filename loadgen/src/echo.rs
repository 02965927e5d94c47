//! The workload echo: every peer keeps so many messages under way, and every
//! reply must be the message that was sent.
//!
//! A mode of the library's endpoint. It sends and compares, and counts what
//! became of each message; it knows no phases but those it is told by
//! [`crate::run`]. A reply that is lost or comes twice on the way makes all that
//! follow on its peer wrong, too: replies are in order, and none says which it is.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use hdrhistogram::Histogram;
use sealwire::conn::Outcome;
use sealwire::endpoint::Core;
use sealwire::endpoint::mode::{HandedOn, Message, Mode, Receivers};
use sealwire::endpoint::transport::PeerId;

use crate::args::Load;
use crate::pattern::{self, Pattern};
use crate::report;

/// What became of the messages, all of them: also those of the warm-up.
///
/// Invariant: what was sent is answered, lost, or still under way.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) sent: u64,
    /// Something came back, right or wrong.
    pub(crate) answered: u64,
    /// Nothing came back before the peer left.
    pub(crate) lost: u64,
    /// Replies that differ from what was due, or that nobody waited for.
    pub(crate) wrong: u64,
}

/// One peer.
#[derive(Debug)]
struct Lane {
    number: u64,
    /// The index of the next message, and of the next reply.
    sent: u64,
    due: u64,
    /// When those under way were sent, oldest first.
    under_way: VecDeque<Instant>,
}

/// What there is to do for all peers in the next turn.
#[derive(Debug, Clone, Copy)]
enum Step {
    Start(Pattern),
    Finish,
}

/// The mode.
#[derive(Debug)]
pub(crate) struct Echo {
    load: Load,
    lanes: HashMap<PeerId, Lane>,
    counts: Counts,
    /// Nanoseconds, of messages sent since `measured_from` and answered right.
    latencies: Histogram<u64>,
    measured_from: Option<Instant>,
    /// Whether replies are followed by more messages.
    running: bool,
    pattern: Option<Pattern>,
    starts: bool,
    finishes: bool,
}

impl Echo {
    /// Says nothing until it [starts](Self::start).
    pub(crate) fn new(load: Load) -> Self {
        Self {
            load,
            lanes: HashMap::new(),
            counts: Counts::default(),
            latencies: report::histogram(),
            measured_from: None,
            running: false,
            pattern: None,
            starts: false,
            finishes: false,
        }
    }
}
