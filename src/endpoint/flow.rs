//! Which peer waits for which, so that memory stays bounded and no peer waits for ever.
//!
//! A queue above its high-water mark is congested: the peers that fill it are not read.
//! When all queues together exceed their bound, memory is short: the high-water mark
//! falls, peers with queued data are not read, and a peer that accepts nothing of its
//! queue is dropped. At twice the bound, a peer is read only if its messages go to no
//! queue.
//!
//! A streaming peer yields once to ready peers that are not streaming: it goes behind
//! them, and is not read in this tick, so that they are answered before a scratch full
//! of its records is opened and sealed.

use std::collections::VecDeque;

use super::Context;
use super::locals::Locals;
use super::mode::Receivers;
use super::peer::Peer;
use super::roster::Roster;
use super::transport::{LocalId, PeerId};
use crate::error::{Abort, Failure, Reason};
use crate::limits::{
    CHAT_BELOW, FAN_OUT, INPUT_HIGH_WATER, INPUT_SCRATCH, Limits, MAX_RECORD, MIN_RECORD,
    STREAM_FROM, TOO_SLOW,
};
use crate::time::Time;

/// Whether a peer's socket is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Reading {
    /// There is nothing to read, as far as is known.
    #[default]
    Idle,
    /// It is on the list of ready peers.
    Ready,
    /// It is held up, and on the list of paused peers.
    Paused,
    /// The end of its stream was read.
    Ended,
}

/// How much a peer sends at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Pace {
    #[default]
    Chats,
    /// One read brings at least [`STREAM_FROM`].
    Streams,
    /// It streams, and has yielded its last turn.
    Yielded,
}

/// What the flow notes on each peer.
#[derive(Debug, Default)]
pub(super) struct PeerFlow {
    reading: Reading,
    pace: Pace,
    /// Its queue is above the high-water mark.
    congested: bool,
    /// When its socket last accepted something, or when others began to wait for that.
    pub(super) progress: Time,
}

impl PeerFlow {
    pub(super) fn is_ready(&self) -> bool {
        self.reading == Reading::Ready
    }

    pub(super) fn is_paused(&self) -> bool {
        self.reading == Reading::Paused
    }

    /// The end of its stream was read.
    pub(super) fn ended(&mut self) {
        self.reading = Reading::Ended;
    }

    /// Notes how much one read brought.
    pub(super) fn note_read(&mut self, bytes: usize) {
        let from = match self.pace {
            Pace::Chats => STREAM_FROM,
            Pace::Streams | Pace::Yielded => CHAT_BELOW,
        };
        self.pace = match bytes >= from {
            true => Pace::Streams,
            false => Pace::Chats,
        };
    }
}

/// How much memory queues take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Memory {
    Enough,
    /// Queues exceed their bound.
    Short,
    /// Queues exceed twice their bound.
    Full,
}

/// Which peer waits for which.
///
/// Invariant: `chats_ready` counts the ready peers whose pace is [`Pace::Chats`],
/// `congested` all peers that are.
#[derive(Debug)]
pub(super) struct Flow {
    receivers: Receivers,
    max_queue: usize,
    max_queued: usize,
    ready: VecDeque<PeerId>,
    chats_ready: usize,
    paused: Vec<PeerId>,
    congested: usize,
    /// As the last tick left it.
    memory: Memory,
    /// A reason to pause may be gone since the paused peers were last checked.
    recheck: bool,
}

impl Flow {
    pub(super) fn new(receivers: Receivers, limits: &Limits) -> Self {
        Self {
            receivers,
            max_queue: limits.max_queue,
            max_queued: limits.max_queued,
            ready: VecDeque::new(),
            chats_ready: 0,
            paused: Vec::new(),
            congested: 0,
            memory: Memory::Enough,
            recheck: false,
        }
    }

    pub(super) fn is_busy(&self) -> bool {
        !self.ready.is_empty() || self.recheck && !self.paused.is_empty()
    }

    // ---- turns -----------------------------------------------------------

    /// Puts a peer on the list of ready peers, unless it is held up or has ended.
    pub(super) fn ready(&mut self, id: PeerId, peer: &mut Peer) {
        if peer.flow.reading == Reading::Idle {
            peer.flow.reading = Reading::Ready;
            self.chats_ready += usize::from(peer.flow.pace == Pace::Chats);
            self.ready.push_back(id);
        }
    }

    /// As [`ready`](Self::ready), ahead of all others: its turn came to nothing. It need not
    /// yield once more.
    pub(super) fn ready_first(&mut self, id: PeerId, peer: &mut Peer) {
        if peer.flow.reading == Reading::Idle {
            if peer.flow.pace == Pace::Streams {
                peer.flow.pace = Pace::Yielded;
            }
            self.ready(id, peer);
            self.ready.rotate_right(1);
        }
    }

    /// How many peers are ready, and whether some of them do not stream.
    pub(super) fn waiting(&self) -> (usize, bool) {
        (self.ready.len(), self.chats_ready > 0)
    }

    /// The next ready peer, if it may be read: `None` where it is gone, is held up, or
    /// yields to `chats`.
    pub(super) fn next_ready(
        &mut self,
        roster: &mut Roster,
        locals: &Locals,
        chats: bool,
        now: Time,
    ) -> Option<PeerId> {
        let id = self.ready.pop_front()?;
        let peer = roster.get_mut(id)?;
        self.chats_ready -= usize::from(peer.flow.pace == Pace::Chats);
        peer.flow.reading = Reading::Idle;
        match peer.flow.pace {
            Pace::Streams if chats => {
                peer.flow.pace = Pace::Yielded;
                self.ready(id, peer);
                return None;
            }
            Pace::Yielded => peer.flow.pace = Pace::Streams,
            Pace::Chats | Pace::Streams => {}
        }
        if self.may_read(peer, locals) {
            return Some(id);
        }
        peer.flow.reading = Reading::Paused;
        peer.protocol.set_reading(now, false);
        self.paused.push(id);
        None
    }

    /// Whether to read `peer`: no receiver of its messages is above its high-water mark,
    /// and there is memory for what it sends.
    fn may_read(&self, peer: &Peer, locals: &Locals) -> bool {
        if !peer.is_proved() || !peer.protocol.is_open() {
            return true;
        }
        let full = match self.memory {
            Memory::Enough => false,
            Memory::Short => !peer.outlet.is_empty(),
            Memory::Full => true,
        };
        match self.receivers {
            Receivers::Nobody => true,
            _ if full => false,
            Receivers::Sender => !peer.flow.congested,
            Receivers::Others => self.congested == usize::from(peer.flow.congested),
            Receivers::Local(local) => !locals.is_congested(local),
        }
    }

    /// Whether locals may be read: no peer that they feed is congested, and there is memory.
    pub(super) fn may_read_locals(&self) -> bool {
        self.congested == 0 && self.memory < Memory::Full
    }

    /// How much one tick may read: less where every record goes to many receivers.
    pub(super) fn read_room(&self, proved: usize) -> usize {
        let receivers = match self.receivers {
            Receivers::Others => proved.max(1),
            _ => 1,
        };
        let records = FAN_OUT / receivers;
        (records * MIN_RECORD).clamp(MAX_RECORD, INPUT_SCRATCH)
    }

    /// Checks the paused peers again in the next tick, because a reason to pause may be
    /// gone.
    pub(super) fn recheck_paused(&mut self) {
        self.recheck = true;
    }

    /// Makes the paused peers ready that no reason holds up any more.
    pub(super) fn resume(&mut self, roster: &mut Roster, locals: &Locals, now: Time) {
        if !std::mem::take(&mut self.recheck) {
            return;
        }
        let mut paused = std::mem::take(&mut self.paused);
        paused.retain(|&id| {
            let Some(peer) = roster.get_mut(id).filter(|peer| peer.flow.is_paused()) else {
                return false;
            };
            let held_up = !self.may_read(peer, locals);
            if !held_up {
                peer.flow.reading = Reading::Idle;
                peer.protocol.set_reading(now, true);
                self.ready(id, peer);
                roster.touch(id);
            }
            held_up
        });
        self.paused = paused;
    }

    /// A peer is gone, and its queue is empty.
    pub(super) fn forget(&mut self, peer: &Peer) {
        debug_assert!(!peer.flow.congested, "its queue was measured");
        let listed = peer.flow.is_ready() && peer.flow.pace == Pace::Chats;
        self.chats_ready -= usize::from(listed);
        self.recheck = true;
    }

    // ---- queues ----------------------------------------------------------

    /// The high-water mark: how much may be queued for one receiver before the peers
    /// that feed it wait.
    fn high_water(&self) -> usize {
        match self.memory {
            Memory::Enough => self.max_queue,
            Memory::Short | Memory::Full => INPUT_HIGH_WATER,
        }
    }

    /// Whether others wait until `peer` accepts something: its queue is above the
    /// high-water mark or, when memory is short, anything waits for it.
    pub(super) fn may_be_too_slow(&self, peer: &Peer) -> bool {
        let waits = self.memory > Memory::Enough && peer.outlet.has_waiting();
        peer.protocol.is_open() && (peer.flow.congested || waits)
    }

    /// When to check whether `peer` is too slow. Others may begin to wait at any time, so a
    /// check whose time has passed is repeated.
    pub(super) fn too_slow_due(&self, peer: &Peer, now: Time) -> Option<Time> {
        let due = peer.flow.progress + TOO_SLOW;
        let next = || if due > now { due } else { now + TOO_SLOW };
        self.may_be_too_slow(peer).then(next)
    }

    /// Notes that queues take `queued` bytes when a tick ends. Returns whether the
    /// high-water mark has changed.
    fn note_queued(&mut self, queued: usize) -> bool {
        let memory = match queued {
            _ if queued >= 2 * self.max_queued => Memory::Full,
            _ if queued >= self.max_queued => Memory::Short,
            _ => Memory::Enough,
        };
        let before = std::mem::replace(&mut self.memory, memory);
        let changed = (memory == Memory::Enough) != (before == Memory::Enough);
        self.recheck |= changed || memory < before;
        changed
    }

    /// Whether `queued` bytes exceed `max_queued`.
    pub(super) fn is_short(&self, queued: usize) -> bool {
        queued >= self.max_queued
    }
}

impl Context {
    /// Memory of all queues. Unfinished input has its own bound.
    pub(super) fn queued_memory(&self) -> usize {
        self.store.cost() - self.inbound.held()
    }

    /// Notes whether what is queued for `id` is above the high-water mark. The mark is
    /// low for what a local feeds, because a file must not be read into memory. An unproved
    /// peer has the usual mark, and is dropped above it, because it must hold up no other
    /// peer.
    pub(super) fn measure(&mut self, id: PeerId) {
        let (flow, peer) = (&mut self.flow, &mut self.roster[id]);
        let proved = peer.is_proved();
        let high_water = match flow.receivers {
            Receivers::Local(_) if proved => INPUT_HIGH_WATER.min(flow.max_queue),
            _ => flow.high_water(),
        };
        let short = flow.memory > Memory::Enough;
        flow.recheck |= short && peer.flow.is_paused() && peer.outlet.is_empty();
        let congested = peer.outlet.cost() >= high_water;
        if congested && !proved {
            return self.abort(id, Abort::new(Reason::TOO_SLOW, ""));
        }
        if congested == peer.flow.congested {
            return;
        }
        peer.flow.congested = congested;
        if congested {
            flow.congested += 1;
            peer.flow.progress = self.now;
            self.roster.plan(id, self.now + TOO_SLOW);
        } else {
            flow.congested -= 1;
            flow.recheck = true;
        }
    }

    /// Notes whether what is queued for `local` is above the high-water mark.
    pub(super) fn measure_local(&mut self, local: LocalId) {
        let high_water = self.flow.high_water();
        self.flow.recheck |= self.locals.measure(local, high_water);
    }

    /// Drops `id` if it has accepted nothing for too long while others wait. A sole
    /// receiver holds up only the peer that feeds it, unless memory is short.
    pub(super) fn drop_if_too_slow(&mut self, id: PeerId) {
        let proved = self.roster.proved();
        let others_wait = match self.flow.receivers {
            _ if self.flow.memory > Memory::Enough => true,
            Receivers::Others => proved > 2,
            Receivers::Local(_) => proved > 1,
            Receivers::Sender | Receivers::Nobody => false,
        };
        let peer = &mut self.roster[id];
        let slow = self.now >= peer.flow.progress + TOO_SLOW;
        if !others_wait || !slow || !self.flow.may_be_too_slow(peer) {
            return;
        }
        let abort = Abort::new(Reason::TOO_SLOW, "");
        if self.flow.memory == Memory::Full {
            // An ABORT would take the memory that is short.
            peer.protocol.fail(Failure::Gave(abort));
            self.roster.touch(id);
        } else {
            self.abort(id, abort);
        }
    }

    /// Checks, when a tick ends, whether queues exceed their bound. If that has changed,
    /// every high-water mark has changed, too.
    pub(super) fn note_memory(&mut self) {
        if !self.flow.note_queued(self.queued_memory()) {
            return;
        }
        let short = self.flow.memory > Memory::Enough;
        for slot in 0..self.roster.slots() {
            if let Some(id) = self.roster.id_at(slot) {
                let peer = &mut self.roster[id];
                if short && !peer.flow.congested && !peer.outlet.has_unsent() {
                    // Its time to accept something begins now.
                    peer.flow.progress = self.now;
                }
                self.measure(id);
                self.roster.touch(id);
            }
        }
        for local in self.locals.ids() {
            self.measure_local(local);
        }
    }

    /// Aborts the peer with the largest unfinished message, until all of them together are
    /// within their bound.
    pub(super) fn bound_assembling(&mut self) {
        while self.inbound.assembling() > self.limits.max_assembling {
            let ids = (0..self.roster.slots()).filter_map(|slot| self.roster.id_at(slot));
            let size = |&id: &PeerId| self.roster[id].intake.assembling();
            let largest = ids.max_by_key(size).filter(|id| size(id) > 0);
            let Some(largest) = largest else {
                return debug_assert!(false, "what is held is some peer's");
            };
            let abort = Abort::new(Reason::TOO_LARGE, "too many unfinished messages");
            self.abort(largest, abort);
        }
    }
}
