//! Messages that are not whole yet: which of them goes when they take too much memory.
//!
//! A message makes progress when it begins, and when it has grown by a full payload since
//! then. The one without progress for the longest time goes first, so that peers that leave
//! messages unfinished keep none from others. Their bytes are [`super::inbound`]'s.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Context;
use super::inbound::Intake;
use super::roster::Roster;
use super::transport::PeerId;
use crate::error::{Abort, Reason};
use crate::limits::{MAX_PAYLOAD, PEERS_WRITTEN, STALLED, STALLED_LOOK};
use crate::time::Time;

/// When a peer's unfinished message last made progress, and how long it was then.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Growth {
    at: Time,
    len: Reverse<usize>,
}

/// The order in which unfinished messages go: those without progress for the longest time
/// first, and of several the longest.
///
/// Invariant: `count` says how many peers have one, and `order` has an entry for the last
/// progress of each. Entries of earlier progress are skipped.
#[derive(Debug, Default)]
pub(super) struct Unfinished {
    order: BinaryHeap<Reverse<(Growth, PeerId)>>,
    count: usize,
    /// When stalled messages were last looked for.
    looked: Time,
}

impl Unfinished {
    /// The message of `id` has grown from `before` to `len` bytes, and is not whole.
    pub(super) fn grew(
        &mut self,
        id: PeerId,
        growth: &mut Growth,
        now: Time,
        before: usize,
        len: usize,
    ) {
        self.count += usize::from(before == 0 && len > 0);
        if len > 0 && (before == 0 || len >= growth.len.0 + MAX_PAYLOAD) {
            let len = Reverse(len);
            self.note(id, growth, Growth { at: now, len });
        }
    }

    fn note(&mut self, id: PeerId, growth: &mut Growth, to: Growth) {
        *growth = to;
        self.order.push(Reverse((to, id)));
    }

    /// A message of `len` bytes is whole, or dropped.
    pub(super) fn gone(&mut self, len: usize) {
        self.count -= usize::from(len > 0);
    }

    /// The time of a message begins anew: its peer was not read, and is from now on.
    pub(super) fn resumed(&mut self, id: PeerId, intake: &mut Intake, now: Time) {
        if intake.message_len() > 0 {
            let to = Growth {
                at: now,
                ..intake.growth
            };
            self.note(id, &mut intake.growth, to);
        }
    }

    /// Drops entries that are skipped when they are most of the list.
    fn tidy(&mut self, roster: &Roster) {
        if self.order.len() > 2 * self.count {
            self.order
                .retain(|Reverse((growth, id))| is_last(roster, *id, *growth));
        }
    }

    /// The peer whose message goes next. A peer that we do not read is not to blame: its
    /// time begins now.
    fn first(&mut self, roster: &mut Roster, now: Time) -> Option<(Growth, PeerId)> {
        loop {
            let &Reverse((growth, id)) = self.order.peek()?;
            if !is_last(roster, id, growth) {
                self.order.pop();
            } else if roster[id].flow.is_paused() && growth.at < now {
                self.order.pop();
                self.resumed(id, &mut roster[id].intake, now);
            } else {
                return Some((growth, id));
            }
        }
    }
}

/// Whether this was the last progress of the message of `id`.
fn is_last(roster: &Roster, id: PeerId, growth: Growth) -> bool {
    let peer = roster.get(id);
    peer.is_some_and(|peer| peer.intake.message_len() > 0 && peer.intake.growth == growth)
}

impl Context {
    /// Aborts peers with unfinished messages until all of these together are within their
    /// bound.
    pub(super) fn bound_assembling(&mut self) {
        self.inbound.unfinished.tidy(&self.roster);
        while self.inbound.assembling() > self.limits.max_assembling {
            let first = self.inbound.unfinished.first(&mut self.roster, self.now);
            let Some((_, id)) = first else {
                return debug_assert!(false, "what is held is some peer's");
            };
            let abort = Abort::new(Reason::TOO_LARGE, "too many unfinished messages");
            self.abort(id, abort);
        }
    }

    /// Whether unfinished messages take so much that they must make progress.
    fn must_grow(&self) -> bool {
        self.inbound.assembling() > self.limits.max_assembling / 2
    }

    /// When to look for stalled messages.
    pub(super) fn stalled_due(&self) -> Option<Time> {
        let unfinished = &self.inbound.unfinished;
        let Reverse((growth, _)) = unfinished.order.peek().filter(|_| self.must_grow())?;
        Some((growth.at + STALLED).max(unfinished.looked + STALLED_LOOK))
    }

    /// Aborts peers whose message has made no progress for too long, while unfinished messages
    /// take more than half of what they may. A peer whose bytes wait unread keeps its message.
    pub(super) fn expire_stalled(&mut self) {
        if self.stalled_due().is_none_or(|due| self.now < due) {
            return;
        }
        let mut spared = Vec::new();
        self.inbound.unfinished.looked = self.now;
        for _ in 0..PEERS_WRITTEN {
            let first = self.inbound.unfinished.first(&mut self.roster, self.now);
            let stalled = first.filter(|(growth, _)| self.now >= growth.at + STALLED);
            let Some((_, id)) = stalled.filter(|_| self.must_grow()) else {
                break;
            };
            let entry = self.inbound.unfinished.order.pop();
            if self.roster[id].has_unread() {
                spared.extend(entry);
            } else {
                let why = "your message made no progress";
                self.abort(id, Abort::new(Reason::TOO_SLOW, why));
            }
        }
        self.inbound.unfinished.order.extend(spared);
    }
}
