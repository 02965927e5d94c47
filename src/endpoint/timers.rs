//! When to look at which peer.
//!
//! A heap with lazy entries: the deadlines of a busy connection move with every byte,
//! almost always later. So an entry stays where it is until it comes up, and then
//! moves to where it belongs.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::transport::PeerId;
use crate::time::Time;

/// The entries of all peers.
#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(Time, PeerId)>>,
}

impl Timers {
    /// Looks at `peer` at `at`. `planned` is the peer's note of its earliest entry.
    pub(super) fn plan(&mut self, planned: &mut Option<Time>, peer: PeerId, at: Time) {
        if planned.is_none_or(|planned| at < planned) {
            *planned = Some(at);
            self.heap.push(Reverse((at, peer)));
        }
    }

    /// The next entry that is due, taken out.
    pub(super) fn pop(&mut self, now: Time) -> Option<(Time, PeerId)> {
        let Reverse((at, _)) = *self.heap.peek()?;
        (at <= now).then(|| self.heap.pop().expect("seen").0)
    }

    /// When the next entry is due.
    pub(super) fn next(&self) -> Option<Time> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }
}
