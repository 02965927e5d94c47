//! Which peer waits for which, so that memory stays bounded and no peer waits for ever.
//!
//! A queue above its high-water mark is congested: the peers that fill it are not read.
//! When all queues together exceed their bound, memory is short: the high-water mark
//! falls, and peers with queued data are not read. At twice the bound, a peer is read only if
//! its messages go to no queue. When a receiver is dropped for what it does not take is up to
//! [`super::slow`].
//!
//! A classic peer holds up no native one: while one is proved, no peer waits for the queue
//! of a classic peer, which is reset when its queue reaches the mark.
//!
//! A streaming peer yields once to ready peers that are not streaming: it goes behind
//! them, and is not read in this tick, so that they are answered before a scratch full
//! of its records is opened and sealed.

use std::collections::VecDeque;

use super::Context;
use super::locals::Locals;
use super::mode::Receivers;
use super::peer::{Peer, Protocol};
use super::roster::Roster;
use super::transport::{LocalId, PeerId};
use super::unfinished::Unfinished;
use crate::error::{Abort, Reason};
use crate::limits::{
    CHAT_BELOW, FAN_OUT, INPUT_HIGH_WATER, INPUT_SCRATCH, LISTENER_QUEUE, Limits, MIN_RECORD,
    STREAM_FROM,
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
    /// It has proved nothing: no other yields to it, or leaves room for it.
    #[default]
    Unproved,
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
    /// Its stream is known to have ended or failed, behind bytes that came before.
    end_told: bool,
}

impl PeerFlow {
    pub(super) fn is_ready(&self) -> bool {
        self.reading == Reading::Ready
    }

    pub(super) fn is_paused(&self) -> bool {
        self.reading == Reading::Paused
    }

    pub(super) fn is_congested(&self) -> bool {
        self.congested
    }

    /// Its stream is known to have ended or failed.
    pub(super) fn end_told(&mut self) {
        self.end_told = true;
    }

    /// The end of its stream was read.
    pub(super) fn ended(&mut self) {
        self.reading = Reading::Ended;
    }

    /// Notes how much one read of a proved peer brought.
    pub(super) fn note_read(&mut self, bytes: usize) {
        let from = match self.pace {
            Pace::Unproved => return,
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
/// Invariant: `proved_ready` counts the ready peers that are proved, `chats_ready` those of them
/// that do not stream, `congested` all peers that are, `natives` the proved peers that are native.
#[derive(Debug)]
pub(super) struct Flow {
    receivers: Receivers,
    max_queue: usize,
    max_queued: usize,
    ready: VecDeque<PeerId>,
    chats_ready: usize,
    proved_ready: usize,
    paused: Vec<PeerId>,
    congested: usize,
    natives: usize,
    /// The first native peer has come, or the last has left: classic peers are measured anew.
    remeasure: bool,
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
            proved_ready: 0,
            paused: Vec::new(),
            congested: 0,
            natives: 0,
            remeasure: false,
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
            self.count_ready(peer.flow.pace, 1);
            self.ready.push_back(id);
        }
    }

    /// Counts a peer of this `pace` that is ready (1), or is no more (-1).
    fn count_ready(&mut self, pace: Pace, change: isize) {
        let count = |count: &mut usize, counts: bool| {
            if counts {
                *count = count.checked_add_signed(change).expect("it was counted");
            }
        };
        count(&mut self.proved_ready, pace != Pace::Unproved);
        count(&mut self.chats_ready, pace == Pace::Chats);
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

    /// How many peers are ready.
    pub(super) fn count_waiting(&self) -> usize {
        self.ready.len()
    }

    /// How many of them are proved.
    pub(super) fn proved_waiting(&self) -> usize {
        self.proved_ready
    }

    /// Whether some of those do not stream.
    pub(super) fn has_chats(&self) -> bool {
        self.chats_ready > 0
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
        self.count_ready(peer.flow.pace, -1);
        peer.flow.reading = Reading::Idle;
        match peer.flow.pace {
            Pace::Streams if chats => {
                peer.flow.pace = Pace::Yielded;
                self.ready(id, peer);
                return None;
            }
            Pace::Yielded => peer.flow.pace = Pace::Streams,
            Pace::Unproved | Pace::Chats | Pace::Streams => {}
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
            Memory::Short => {
                let waits = |local| locals.has_waiting(local);
                !peer.outlet.is_empty() || peer.local.is_some_and(waits)
            }
            Memory::Full => true,
        };
        match self.receivers {
            Receivers::Nobody => true,
            _ if full => false,
            Receivers::Sender => !peer.flow.congested,
            Receivers::Others => self.congested == usize::from(peer.flow.congested),
            Receivers::Local(local) => !locals.is_congested(local),
            // Whatever its local takes, its failure must reach it, and no more can come than
            // its socket holds.
            Receivers::Paired => {
                let full = |local| locals.is_congested(local);
                peer.flow.end_told || !peer.local.is_some_and(full)
            }
        }
    }

    /// Whether locals may be read: no peer that they feed is congested, and there is memory.
    pub(super) fn may_read_locals(&self) -> bool {
        self.congested == 0 && self.memory < Memory::Full
    }

    /// Whether each message goes to many receivers.
    pub(super) fn fans_out(&self) -> bool {
        self.receivers == Receivers::Others
    }

    /// How many chunks of messages one tick may hand on: less where each goes to many of the
    /// `proved` peers. Elsewhere it is as many as could come if none were packed.
    pub(super) fn most_chunks(&self, proved: usize) -> usize {
        let most = INPUT_SCRATCH / MIN_RECORD;
        match self.fans_out() {
            true => (FAN_OUT / proved.max(1)).clamp(1, most),
            false => most,
        }
    }

    /// Checks the paused peers again in the next tick, because a reason to pause may be
    /// gone.
    pub(super) fn recheck_paused(&mut self) {
        self.recheck = true;
    }

    /// Makes the paused peers ready that no reason holds up any more.
    pub(super) fn resume(
        &mut self,
        roster: &mut Roster,
        locals: &Locals,
        unfinished: &mut Unfinished,
        now: Time,
    ) {
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
                unfinished.resumed(id, &mut peer.intake, now);
                self.ready(id, peer);
                roster.touch(id);
            }
            held_up
        });
        self.paused = paused;
    }

    /// A peer is proved.
    pub(super) fn joined(&mut self, peer: &mut Peer) {
        if peer.flow.is_ready() {
            self.count_ready(peer.flow.pace, -1);
            self.count_ready(Pace::Chats, 1);
        }
        peer.flow.pace = Pace::Chats;
        if matches!(peer.protocol, Protocol::Native(_)) {
            self.remeasure |= self.natives == 0;
            self.natives += 1;
        }
    }

    /// A peer is gone, and its queue is empty.
    pub(super) fn forget(&mut self, peer: &Peer) {
        if peer.is_proved() && matches!(peer.protocol, Protocol::Native(_)) {
            self.natives -= 1;
            self.remeasure |= self.natives == 0;
        }
        debug_assert!(!peer.flow.congested, "its queue was measured");
        if peer.flow.is_ready() {
            self.count_ready(peer.flow.pace, -1);
        }
        self.recheck = true;
    }

    // ---- queues ----------------------------------------------------------

    /// The high-water mark: how much may be queued for one receiver before the peers
    /// that feed it wait.
    pub(super) fn high_water(&self) -> usize {
        match self.memory {
            Memory::Enough => self.max_queue,
            Memory::Short | Memory::Full => INPUT_HIGH_WATER,
        }
    }

    /// Which queues a peer's messages fill.
    pub(super) fn receivers(&self) -> Receivers {
        self.receivers
    }

    pub(super) fn memory_is_short(&self) -> bool {
        self.memory > Memory::Enough
    }

    pub(super) fn memory_is_full(&self) -> bool {
        self.memory == Memory::Full
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
    /// Memory of all queues. Unfinished input has its own bound, and what was dropped is freed
    /// soon.
    pub(super) fn queued_memory(&self) -> usize {
        self.store.cost() - self.inbound.held() - self.store.memory.dropped_bytes()
    }

    /// Notes whether what is queued for `id` is above the high-water mark. The mark is
    /// low for what a local feeds, because a file must not be read into memory. A peer that
    /// must hold up no other has the usual mark, and is dropped above it: one that is not
    /// proved, or a classic one beside native ones.
    pub(super) fn measure(&mut self, id: PeerId) {
        let (flow, peer) = (&mut self.flow, &mut self.roster[id]);
        let beside_native = flow.natives > 0 && peer.protocol.is_classic();
        let may_hold_up = peer.is_proved() && !beside_native;
        let high_water = match flow.receivers {
            Receivers::Local(_) | Receivers::Paired if may_hold_up => {
                INPUT_HIGH_WATER.min(flow.max_queue)
            }
            _ if peer.is_proved() => flow.high_water(),
            _ => flow.high_water().min(LISTENER_QUEUE),
        };
        let short = flow.memory > Memory::Enough;
        flow.recheck |= short && peer.flow.is_paused() && peer.outlet.is_empty();
        let above = peer.outlet.cost() >= high_water;
        if above && !may_hold_up {
            return self.abort(id, Abort::new(Reason::TOO_SLOW, ""));
        }
        if above == peer.flow.congested {
            return;
        }
        peer.flow.congested = above;
        if above {
            flow.congested += 1;
        } else {
            flow.congested -= 1;
            flow.recheck = true;
            if let Some(local) = peer.local {
                self.locals.list_to_read(local);
            }
        }
        self.note_congested(id, above);
    }

    /// Notes whether what is queued for `local` is above the high-water mark.
    pub(super) fn measure_local(&mut self, local: LocalId) {
        let high_water = self.high_water_of(local);
        self.flow.recheck |= self.locals.measure(local, high_water);
        if self.flow.memory_is_short() && self.locals.is_paired(local) {
            self.flow.recheck |= !self.locals.has_waiting(local);
        }
    }

    /// Checks, when a tick ends, whether queues exceed their bound. If that has changed,
    /// every high-water mark has changed, too.
    pub(super) fn note_memory(&mut self) {
        let was_full = self.flow.memory_is_full();
        let changed = self.flow.note_queued(self.queued_memory());
        if was_full && !self.flow.memory_is_full() {
            self.locals.list_all_to_read();
        }
        if !std::mem::take(&mut self.flow.remeasure) && !changed {
            return;
        }
        let short = self.flow.memory > Memory::Enough;
        for slot in 0..self.roster.slots() {
            if let Some(id) = self.roster.id_at(slot) {
                let peer = &mut self.roster[id];
                if short && !peer.flow.congested && !peer.outlet.has_unsent() {
                    // Its time to accept something begins now.
                    peer.taking.restart(self.now);
                }
                self.measure(id);
                self.roster.touch(id);
            }
        }
        for local in self.locals.ids() {
            self.measure_local(local);
        }
    }
}
