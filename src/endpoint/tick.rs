//! One tick: reads what has come, opens it, hands it to the mode, seals and writes.
//!
//! It never blocks. Read next: `inbound`, `settle` and `outbound`, in the order in which a
//! message passes them.

use super::locals::OutputKind;
use super::mode::Mode;
use super::peer::Protocol;
use super::transport::{PeerId, Transport};
use super::{Context, Endpoint, EndpointEvent};
use crate::limits::{PEERS_CLOSED, PEERS_WRITTEN, UNREAD_LOOK};
use crate::time::Time;

impl<M: Mode> Endpoint<M> {
    /// Does everything that can be done at `now` without waiting.
    pub fn tick(&mut self, now: Time, io: &mut impl Transport) {
        let parts = &mut self.parts;
        let before = std::mem::replace(&mut parts.now, now);
        parts.roster.begin_tick();
        // A terminal gets the peers' messages of the tick before, so that the user first
        // reads that a peer came.
        parts.write_locals(OutputKind::Terminal, io);
        parts.note_late(before);
        let unfinished = &mut parts.inbound.unfinished;
        parts
            .flow
            .resume(&mut parts.roster, &parts.locals, unfinished, now);
        parts.read_peers(io);
        parts.open();
        self.settle();
        // Open peers went first.
        self.parts.answer_hellos();
        self.mode.tick(&mut self.parts);
        self.parts.write_streams(io);
        self.read_locals(io);
        self.parts.flush(io);
        // Behind the work, so that after a pause of ours no peer is dropped while its
        // bytes have come and are still unread.
        self.parts.expire(io);
        self.parts.store.keep_scratch();
        self.parts.inbound.end_tick(&mut self.parts.store.memory);
        self.visit_touched(io);
        self.parts.close_locals(io);
        self.parts.store.free_dropped();
        self.parts.note_memory();
    }

    /// Looks at every touched peer: shuts its stream down, closes it, or plans when to
    /// look next. Those beyond what one tick may close come first in the next.
    fn visit_touched(&mut self, io: &mut impl Transport) {
        let mut left = 0;
        // Peers that the mode touches meanwhile are for the next tick.
        for _ in 0..self.parts.roster.touched() {
            if left == PEERS_CLOSED {
                break;
            }
            let parts = &mut self.parts;
            let Some((id, peer)) = parts.roster.next_touched() else {
                continue;
            };
            if peer.take_shutdown(parts.now) {
                if peer.flow.is_paused() {
                    // From now on it is read to its end, even if its receivers are congested.
                    parts.flow.recheck_paused();
                }
                io.shut_down(id);
            }
            if peer.is_over() {
                match peer.protocol.must_reset() {
                    true => io.reset(id),
                    false => io.close(id),
                }
                self.remove(id);
                left += 1;
            } else {
                parts.plan(id);
            }
        }
        if left > 0 {
            let memory = &mut self.parts.store.memory;
            self.parts.inbound.erase_scratch(memory);
            self.parts.outbound.packing.erase(memory);
        }
    }

    fn remove(&mut self, id: PeerId) {
        let parts = &mut self.parts;
        parts.drop_queue(id);
        let mut peer = parts.roster.remove(id);
        let memory = &mut parts.store.memory;
        parts.inbound.drop_intake(&mut peer.intake, memory);
        peer.outlet.close(&mut parts.store);
        parts.flow.forget(&peer);
        if let Protocol::Native(conn) = &mut peer.protocol {
            conn.erase(&mut parts.keys);
        }
        let outcome = peer.protocol.outcome();
        if let Some(local) = peer.local
            && outcome.is_err()
        {
            parts.break_off(local);
        }
        parts.note_end(peer.is_proved(), &outcome);
        if peer.is_proved() {
            self.mode.left(parts, id, &outcome);
            let event = EndpointEvent::Left(id, outcome);
            self.parts.events.push_back(event);
            self.parts.leave_if_abandoned();
        } else {
            parts.events.push_back(EndpointEvent::Refused(id, outcome));
        }
    }
}

impl Context {
    fn expire(&mut self, io: &mut impl Transport) {
        // Each may be written to, so those beyond what a tick may write to come in the next.
        for _ in 0..PEERS_WRITTEN {
            if self.outbound.has_written_enough() {
                break;
            }
            let Some(id) = self.roster.next_planned(self.now) else {
                break;
            };
            self.handle_timeout(id, io);
            self.roster.touch(id);
        }
        self.expire_slow();
        self.expire_stalled();
        self.expire_locals();
        self.expire_shutdown();
    }

    fn handle_timeout(&mut self, id: PeerId, io: &mut impl Transport) {
        let peer = &mut self.roster[id];
        let unread = peer.has_unread();
        if peer.protocol.handle_timeout(&self.limits, self.now, unread) {
            self.listen(id);
        }
        if self.may_be_too_slow(&self.roster[id]) {
            // The poll reports a socket as writable only when much of its buffer is free.
            // So a write has to show whether the peer has accepted anything since.
            self.send_rest(id, io);
        }
        self.drop_if_too_slow(id);
        self.drop_if_idle(id);
        if self.roster[id].has_output() {
            self.list_for_output(id);
        }
    }

    fn plan(&mut self, id: PeerId) {
        let peer = &self.roster[id];
        let due = peer.protocol.poll_timeout(&self.limits);
        let slow = self.too_slow_due(peer);
        let idle = self.idle_due(peer);
        if let Some(mut at) = due.into_iter().chain(slow).chain(idle).min() {
            if peer.has_unread() {
                // Its deadlines do not count until its turn has come.
                at = at.max(self.now + UNREAD_LOOK);
            }
            self.roster.plan(id, at);
        }
    }
}
