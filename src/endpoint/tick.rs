//! One tick: reads what has come, opens it, hands it to the mode, seals and writes.
//!
//! It never blocks. Read next: `inbound` and `outbound` for the two halves.

use super::locals::OutputKind;
use super::mode::{Message, Mode};
use super::peer::Protocol;
use super::roster::Standing;
use super::transport::{PeerId, Transport};
use super::{Context, Endpoint, EndpointEvent};
use crate::conn::StreamEnd;
use crate::error::{Abort, Reason};
use crate::span::Span;
use crate::time::Time;

impl<M: Mode> Endpoint<M> {
    /// Does everything that can be done at `now` without waiting.
    pub fn tick(&mut self, now: Time, io: &mut impl Transport) {
        let parts = &mut self.parts;
        parts.now = now;
        // A terminal gets the peers' messages of the tick before, so that the user first
        // reads that a peer came.
        parts.write_locals(OutputKind::Terminal, io);
        parts.flow.resume(&mut parts.roster, &parts.locals, now);
        parts.read_peers(io);
        parts.open();
        self.settle();
        self.mode.turn(&mut self.parts);
        self.parts.write_locals(OutputKind::Stream, io);
        self.read_locals(io);
        self.parts.flush(io);
        // Behind the work, so that after a pause of ours no peer is dropped while its
        // bytes have come and are still unread.
        self.parts.expire(io);
        self.parts.store.keep_scratch();
        self.parts.inbound.end_tick(&mut self.parts.store.memory);
        self.look(io);
        self.parts.look_at_memory();
    }

    /// Tells the mode about a peer that has just proved itself. Returns whether the mode
    /// knows the peer.
    #[inline]
    pub(super) fn note_proof(&mut self, id: PeerId) -> bool {
        self.parts.roster[id].is_proved() || self.take_proved(id)
    }

    /// Lets a peer join if it has proved itself, came in time and finds room. Returns
    /// whether it joined.
    fn take_proved(&mut self, id: PeerId) -> bool {
        let parts = &mut self.parts;
        let peer = &parts.roster[id];
        if !peer.protocol.is_proved() || peer.is_over() {
            return false;
        }
        let full = parts.roster.proved() >= parts.limits.max_peers;
        // A listener came before the input began.
        let listened = peer.membership.standing() == Standing::Listening;
        let why = parts.too_late().filter(|_| !listened);
        if let Some(why) = why.or(full.then_some("this server is full")) {
            // It keeps its slot until it is closed: the bound on unproved peers counts it.
            parts.abort(id, Abort::new(Reason::GOING_AWAY, why));
            return false;
        }
        self.join(id);
        true
    }

    /// Counts `id` as proved, and tells the mode.
    pub(super) fn join(&mut self, id: PeerId) {
        let parts = &mut self.parts;
        parts.roster.set_standing(id, Standing::Proved);
        parts.roster[id].turn.active = parts.now;
        parts.stats.joined += 1;
        parts.events.push_back(EndpointEvent::Joined(id));
        self.mode.joined(parts, id);
        self.parts.greet(id);
    }

    /// Takes a chunk of a message, and hands the message on if it is whole: in place,
    /// where it is a single chunk.
    pub(super) fn chunk(&mut self, id: PeerId, span: Span, last: bool) {
        let parts = &mut self.parts;
        let peer = &mut parts.roster[id];
        peer.turn.active = parts.now;
        let len = peer.intake.message_len() + span.len();
        if len > parts.limits.max_message {
            return parts.abort(id, Abort::new(Reason::TOO_LARGE, ""));
        }
        if last {
            parts.stats.messages += 1;
            parts.stats.bytes += len as u64;
        }
        if last && peer.intake.message_len() == 0 {
            let message = Message::new(std::slice::from_ref(&span));
            return self.mode.message(parts, id, message);
        }
        let (intake, memory) = (&mut peer.intake, &mut parts.store.memory);
        let Some(spans) = parts.inbound.assemble(intake, memory, span, last) else {
            return parts.bound_assembling();
        };
        let message = Message::new(&spans);
        self.mode.message(parts, id, message);
        for span in spans {
            self.parts.store.memory.release(span);
        }
    }

    pub(super) fn end_of_stream(&mut self, id: PeerId, end: StreamEnd) {
        let parts = &mut self.parts;
        let cut = parts.locals.input_is_open();
        let peer = &mut parts.roster[id];
        if !peer.protocol.end_of_stream(end) || !peer.is_proved() {
            return;
        }
        if let Protocol::Classic(conn) = &mut peer.protocol
            && cut
        {
            conn.cut_short();
        }
        self.mode.fin(parts, id);
    }

    /// Looks at every touched peer: shuts its stream down, closes it, or plans when to
    /// look next.
    fn look(&mut self, io: &mut impl Transport) {
        let mut left = false;
        // Peers that the mode touches meanwhile are for the next tick.
        for _ in 0..self.parts.roster.touched() {
            let parts = &mut self.parts;
            let Some((id, peer)) = parts.roster.next_touched() else {
                continue;
            };
            if peer.take_shutdown(parts.now) {
                if peer.turn.is_paused() {
                    // From now on it is read to its end, even if its receivers are congested.
                    parts.flow.relieve();
                }
                io.shut_down(id);
            }
            if peer.is_over() {
                match peer.protocol.must_reset() {
                    true => io.reset(id),
                    false => io.close(id),
                }
                self.remove(id);
                left = true;
            } else {
                parts.plan(id);
            }
        }
        if left {
            let memory = &mut self.parts.store.memory;
            self.parts.inbound.erase_scratch(memory);
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
        parts.locals.forget(id);
        if let Protocol::Native(conn) = &mut peer.protocol {
            conn.erase(&mut parts.keys);
        }
        let outcome = peer.protocol.outcome();
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
        while let Some(id) = self.roster.next_planned(self.now) {
            self.handle_timeout(id, io);
            self.roster.touch(id);
        }
        self.expire_shutdown();
    }

    fn handle_timeout(&mut self, id: PeerId, io: &mut impl Transport) {
        let peer = &mut self.roster[id];
        if peer.protocol.handle_timeout(self.now, peer.turn.is_ready()) {
            self.listen(id);
        }
        if self.flow.may_be_too_slow(&self.roster[id]) {
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
        let due = peer.protocol.poll_timeout();
        let slow = self.flow.too_slow_due(peer, self.now);
        let idle = self.idle_due(peer);
        if let Some(at) = due.into_iter().chain(slow).chain(idle).min() {
            self.roster.plan(id, at);
        }
    }
}
