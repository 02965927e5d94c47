//! Who has to wait for whom, so that memory stays bounded and nobody waits for
//! ever.
//!
//! A queue above high water is congested: those who fill it are not read. When
//! all queues together take more than they may, high water falls, who has
//! something queued is not read, and whoever takes nothing of what waits for it is
//! given up; at twice that much nobody whose messages would wait is read until they
//! are.

use super::Core;
use super::mode::Receivers;
use super::peer::Standing;
use super::transport::{LocalId, PeerId};
use crate::error::{Abort, Failure, Reason};
use crate::limits::{
    FAN_OUT, INPUT_HIGH_WATER, INPUT_SCRATCH, MAX_RECORD, MIN_RECORD, QUEUED_ITEM, TOO_SLOW,
};

impl Core {
    /// Bytes of memory that what waits for receivers takes.
    fn waiting(&self) -> usize {
        let others = self.assembling + self.partial;
        self.memory.pool.held() - others + self.nodes.len() * QUEUED_ITEM
    }

    /// Whether queues take more than they may, now.
    pub(super) fn is_short(&self) -> bool {
        self.waiting() >= self.setup.limits.max_queued
    }

    /// Looks, when a tick ends, whether queues take more than they may. If that
    /// has changed, so has high water for everyone.
    pub(super) fn look_at_pressure(&mut self) {
        let waiting = self.waiting();
        let full = waiting >= 2 * self.setup.limits.max_queued;
        self.relieved |= self.full && !full;
        self.full = full;
        let pressed = self.is_short();
        if pressed == self.pressed {
            return;
        }
        self.pressed = pressed;
        self.relieved = true;
        for slot in 0..self.peers.slots() {
            if let Some(id) = self.peers.id_at(slot) {
                let peer = &mut self.peers[id];
                if pressed && !peer.congested && peer.unsent.is_none() {
                    // From now on whatever waits for it counts.
                    peer.progress = self.now;
                }
                self.measure(id);
                self.touch(id);
            }
        }
        for local in 0..self.locals.len() as u32 {
            self.measure_local(LocalId(local));
        }
    }

    /// How much may be queued for one receiver before those who feed it wait.
    fn high_water(&self) -> usize {
        if self.pressed {
            INPUT_HIGH_WATER
        } else {
            self.setup.limits.max_queue
        }
    }

    /// Notes whether `peer`'s queue is above high water. What a local feeds is held
    /// up early: a file is not to be read into memory. Who has proved nothing holds
    /// nothing up, and has the usual room before it is given up for it.
    pub(super) fn measure(&mut self, peer: PeerId) {
        let proved = self.peers[peer].standing == Standing::Proved;
        let high_water = match self.receivers {
            Receivers::Local(_) if proved => INPUT_HIGH_WATER.min(self.setup.limits.max_queue),
            _ => self.high_water(),
        };
        let slot = &mut self.peers[peer];
        let congested = slot.queue.cost() >= high_water;
        self.relieved |= self.pressed && slot.paused && slot.queue.is_empty();
        if congested && !proved {
            // Nobody waits for who has proved nothing.
            return self.abort(peer, Abort::new(Reason::TOO_SLOW, ""));
        }
        if congested == slot.congested {
            return;
        }
        slot.congested = congested;
        if congested {
            slot.progress = self.now;
            self.congested += 1;
            let at = self.now + TOO_SLOW;
            self.timers.plan(&mut slot.planned, peer, at);
        } else {
            self.congested -= 1;
            self.relieved = true;
        }
    }

    /// Notes whether what is queued for `local` is above high water.
    pub(super) fn measure_local(&mut self, local: LocalId) {
        let high_water = self.high_water();
        if let Some(output) = &mut self.locals[local.index()].output {
            let congested = output.cost() >= high_water;
            self.relieved |= output.congested && !congested;
            output.congested = congested;
        }
    }

    /// Whether nothing holds `peer` up: no receiver of its messages is above high
    /// water, and there is memory for what it says.
    pub(super) fn may_read(&self, peer: PeerId) -> bool {
        let slot = &self.peers[peer];
        if !slot.joined || !slot.protocol.is_open() {
            return true;
        }
        let fills = self.receivers != Receivers::Nobody;
        if fills && (self.full || self.pressed && !slot.queue.is_empty()) {
            return false;
        }
        match self.receivers {
            Receivers::Nobody => true,
            Receivers::Sender => !slot.congested,
            Receivers::Others => self.congested == usize::from(slot.congested),
            Receivers::Local(local) => self.locals[local.index()]
                .output
                .as_ref()
                .is_none_or(|output| !output.congested),
        }
    }

    /// Gives up on `peer` if it has taken nothing for too long while others wait.
    /// A sole receiver keeps nobody waiting but who feeds it, unless memory is
    /// short.
    pub(super) fn drop_if_too_slow(&mut self, peer: PeerId) {
        let proved = self.peers.count(Standing::Proved);
        let others_wait = match self.receivers {
            _ if self.pressed => true,
            Receivers::Others => proved > 2,
            Receivers::Local(_) => proved > 1,
            Receivers::Sender | Receivers::Nobody => false,
        };
        let slow = self.now >= self.peers[peer].progress + TOO_SLOW;
        if !others_wait || !slow || !self.may_be_too_slow(peer) {
            return;
        }
        let abort = Abort::new(Reason::TOO_SLOW, "");
        if self.full {
            // What it would take to tell it is what is short.
            self.peers[peer].protocol.fail(Failure::Gave(abort));
            self.touch(peer);
        } else {
            self.abort(peer, abort);
        }
    }

    /// Whether `peer` keeps others waiting for as long as it takes nothing: its
    /// queue is above high water or, when memory is short, anything waits for it.
    pub(super) fn may_be_too_slow(&self, peer: PeerId) -> bool {
        let slot = &self.peers[peer];
        slot.protocol.is_open() && (slot.congested || self.pressed && slot.has_waiting())
    }

    /// How much one tick may read: where every record goes to many, it may not be
    /// as many as where it goes to one.
    pub(super) fn read_room(&self) -> usize {
        let receivers = match self.receivers {
            Receivers::Others => self.proved().max(1),
            _ => 1,
        };
        let records = FAN_OUT / receivers;
        (records * MIN_RECORD).clamp(MAX_RECORD, INPUT_SCRATCH)
    }

    /// Reads on from those that nothing holds up any more.
    pub(super) fn resume(&mut self) {
        if !std::mem::take(&mut self.relieved) {
            return;
        }
        let now = self.now;
        let mut paused = std::mem::take(&mut self.paused);
        paused.retain(|&id| {
            let Some(slot) = self.peers.get(id).filter(|slot| slot.paused) else {
                return false;
            };
            debug_assert!(!slot.ready);
            let held_up = !self.may_read(id);
            if !held_up {
                self.peers[id].set_reading(now, true);
                self.ready(id);
                self.touch(id);
            }
            held_up
        });
        self.paused = paused;
    }

    /// Gives up on whoever has the largest unfinished message, while there is too
    /// much of them.
    pub(super) fn bound_assembling(&mut self) {
        while self.assembling > self.setup.limits.max_assembling {
            let size = |&id: &PeerId| self.peers[id].assembly.held();
            let Some(largest) = self.peers.ids().max_by_key(size) else {
                return;
            };
            let abort = Abort::new(Reason::TOO_LARGE, "too many unfinished messages");
            self.abort(largest, abort);
        }
    }
}
