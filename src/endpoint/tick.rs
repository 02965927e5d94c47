//! One tick: what has come is read, opened, handed to the mode,
//! answered and written.
//!
//! The order is fixed: who was held up and is not any more, reading, one batch
//! opened, results settled peer by peer, the mode's turn, locals, sealing and
//! writing in rounds, timers, what is left in the scratch kept, who is over closed,
//! memory looked at. Timers come late, so that nobody is given
//! up for what was there but had not been looked at, after a pause of ours. Nothing
//! in it waits. Read next: `input` and `flush` for the two halves.

use super::mode::{Message, Mode};
use super::peer::{Peer, Protocol, Standing};
use super::transport::{PeerId, Transport};
use super::{Core, Endpoint, Event};
use crate::conn::{Received, StreamEnd};
use crate::error::{Abort, Reason};
use crate::limits::TOO_SLOW;
use crate::span::Span;
use crate::time::Time;

impl<M: Mode> Endpoint<M> {
    /// Does everything that can be done at `now` without waiting.
    pub fn tick(&mut self, now: Time, io: &mut impl Transport) {
        self.core.now = now;
        self.write_locals(true, io);
        self.core.resume();
        self.read_peers(io);
        self.core
            .opens
            .run(&self.core.keys.open, &mut self.core.memory);
        self.settle();
        self.mode.turn(&mut self.core);
        self.write_locals(false, io);
        self.read_locals(io);
        self.flush(io);
        self.core.expire(io);
        self.core.nodes.keep_scratch(&mut self.core.memory);
        let used = self.core.scratch_to_erase.max(self.core.used);
        self.core.scratch_to_erase = used;
        self.core.used = 0;
        for unit in self.core.in_use.drain(..) {
            self.core.memory.release(unit);
        }
        self.look(io);
        if std::mem::take(&mut self.core.peer_left) {
            // What a peer has said outlives it by no tick.
            let used = std::mem::take(&mut self.core.scratch_to_erase);
            self.core.memory.erase_scratch(used);
        }
        self.core.look_at_pressure();
    }

    /// Acts on the results of the batch, in order, peer by peer.
    fn settle(&mut self) {
        self.core.stats.opened += self.core.opens.len() as u64;
        let mut work = std::mem::take(&mut self.work);
        for item in work.drain(..) {
            let id = item.peer;
            self.note_open(id);
            for index in item.records {
                self.settle_record(id, index);
            }
            if let Protocol::Native(conn) = &mut self.core.peers[id].protocol {
                conn.settled(&mut self.core.keys);
            }
            if let Some(end) = item.end {
                self.end_of_stream(id, end);
            }
            if self.core.peers[id].has_output() {
                self.core.dirty(id);
            }
        }
        self.work = work;
        self.core.opens.clear();
    }

    fn settle_record(&mut self, id: PeerId, index: usize) {
        let core = &mut self.core;
        let (job, held) = core.opens.result(index);
        let text = job.text();
        let Protocol::Native(conn) = &mut core.peers[id].protocol else {
            unreachable!("only native peers have records");
        };
        let plaintext = held.then(|| core.memory.bytes(text));
        let received = conn.settle(core.now, plaintext);
        if !self.note_open(id) {
            return;
        }
        match received {
            Received::Nothing => {}
            Received::Chunk { len, last } => self.chunk(id, text.slice(0..len), last),
            Received::Fin => {
                self.core.peers[id].last_active = self.core.now;
                let handed_on = self.mode.fin(&mut self.core, id);
                self.core.confirm(id, handed_on);
            }
        }
    }

    /// Tells the mode about a peer that has just proved itself. Says whether the
    /// mode knows it.
    #[inline]
    pub(super) fn note_open(&mut self, id: PeerId) -> bool {
        self.core.peers[id].joined || self.join(id)
    }

    fn join(&mut self, id: PeerId) -> bool {
        let slot = &self.core.peers[id];
        let proved = match &slot.protocol {
            Protocol::Native(conn) => conn.is_open(),
            Protocol::Classic(conn) => conn.is_proved() || slot.standing == Standing::Proved,
            Protocol::Undecided(_) | Protocol::Ended(_) => false,
        };
        if !proved || slot.is_over() {
            return false;
        }
        if slot.standing != Standing::Proved {
            let full = self.core.proved() >= self.core.setup.limits.max_peers;
            // A listener was there in time.
            let listened = slot.standing == Standing::Listening;
            let why = self.core.too_late().filter(|_| !listened);
            if let Some(why) = why.or(full.then_some("this server is full")) {
                // It keeps the slot that it has: those are counted, too.
                self.core.abort(id, Abort::new(Reason::GOING_AWAY, why));
                return false;
            }
            self.core.peers.set_standing(id, Standing::Proved);
        }
        self.core.peers[id].joined = true;
        self.core.peers[id].last_active = self.core.now;
        self.core.stats.joined += 1;
        self.core.events.push_back(Event::Joined(id));
        self.mode.joined(&mut self.core, id);
        self.core.greet(id);
        true
    }

    /// Takes a chunk of a message, and hands the message on if it is whole: in
    /// place, where it is a single chunk.
    pub(super) fn chunk(&mut self, id: PeerId, span: Span, last: bool) {
        let core = &mut self.core;
        let slot = &mut core.peers[id];
        slot.last_active = core.now;
        let len = slot.assembly.len() + span.len();
        if len > core.setup.limits.max_message {
            let abort = Abort::new(Reason::TOO_LARGE, "");
            return core.abort(id, abort);
        }
        if last {
            core.stats.messages += 1;
            core.stats.bytes += len as u64;
        }
        if last && slot.assembly.is_empty() {
            return self.mode.message(&mut self.core, id, Message::new(&[span]));
        }
        core.assembling -= slot.assembly.held();
        slot.assembly.push(&mut core.memory, span);
        if !last {
            core.assembling += slot.assembly.held();
            return core.bound_assembling();
        }
        let spans = slot.assembly.take();
        self.mode.message(&mut self.core, id, Message::new(&spans));
        for span in spans {
            self.core.memory.release(span);
        }
    }

    fn end_of_stream(&mut self, id: PeerId, end: StreamEnd) {
        let cut = self.core.input_is_open();
        let slot = &mut self.core.peers[id];
        if !slot.protocol.end_of_stream(end) || !slot.joined {
            return;
        }
        if let Protocol::Classic(conn) = &mut slot.protocol
            && cut
        {
            conn.cut_short();
        }
        self.mode.fin(&mut self.core, id);
    }

    /// Looks at every peer that something happened to: shuts down, closes, plans
    /// the next look.
    fn look(&mut self, io: &mut impl Transport) {
        let now = self.core.now;
        let mut touched = std::mem::take(&mut self.core.touched);
        for id in touched.drain(..) {
            let Some(slot) = self.core.peers.get_mut(id) else {
                continue;
            };
            slot.touched = false;
            if slot.take_shutdown(now) {
                // It is read to its end now, whoever holds it up.
                self.core.relieved |= slot.paused;
                io.shut_down(id);
            }
            if slot.is_over() {
                match slot.must_reset() {
                    true => io.reset(id),
                    false => io.close(id),
                }
                self.remove(id);
            } else {
                self.core.plan(id);
            }
        }
        // What modes did to others while these left is for the next tick.
        touched.append(&mut self.core.touched);
        self.core.touched = touched;
    }

    fn remove(&mut self, id: PeerId) {
        self.core.drop_queue(id);
        self.core.drop_assembly(id);
        let mut slot = self.core.peers.remove(id);
        self.core.names.remove(&id);
        self.core.chats_ready -= usize::from(slot.ready && !slot.streams);
        self.core.relieved = true;
        self.core.peer_left = true;
        self.core.release_buffers(&mut slot);
        self.core.forget_waiting(id);
        if let Protocol::Native(conn) = &mut slot.protocol {
            conn.erase(&mut self.core.keys);
        }
        let outcome = slot.outcome();
        self.core.note_end(slot.joined, &outcome);
        if slot.joined {
            self.mode.left(&mut self.core, id, &outcome);
            self.core.events.push_back(Event::Left(id, outcome));
            self.core.leave_if_abandoned();
        } else {
            self.core.events.push_back(Event::Refused(id, outcome));
        }
    }
}

impl Core {
    /// Does what is due.
    fn expire(&mut self, io: &mut impl Transport) {
        while let Some((at, id)) = self.timers.pop(self.now) {
            let Some(slot) = self.peers.get_mut(id) else {
                continue;
            };
            if slot.planned == Some(at) {
                slot.planned = None;
                self.handle_timeout(id, io);
                self.touch(id);
            }
        }
        self.expire_ends();
    }

    fn handle_timeout(&mut self, id: PeerId, io: &mut impl Transport) {
        let slot = &mut self.peers[id];
        if slot.protocol.handle_timeout(self.now, slot.ready) {
            self.listen(id);
        }
        if self.may_be_too_slow(id) {
            // That a socket is writable is told when much of its buffer is free: what
            // its peer has taken since shows when something is written.
            self.send_rest(id, io);
        }
        self.drop_if_too_slow(id);
        self.drop_if_idle(id);
        if self.peers[id].has_output() {
            self.dirty(id);
        }
    }

    /// Puts `id` where it belongs in the timers.
    fn plan(&mut self, id: PeerId) {
        let now = self.now;
        let slow = self.may_be_too_slow(id);
        let slot = &mut self.peers[id];
        // Whether others wait may change at any time, so it is asked again.
        let slow = slow.then(|| match slot.progress + TOO_SLOW {
            at if at > now => at,
            _ => now + TOO_SLOW,
        });
        let due = slot.protocol.poll_timeout();
        let idle = self.idle_due(id);
        if let Some(at) = due.into_iter().chain(slow).chain(idle).min() {
            self.timers.plan(&mut self.peers[id].planned, id, at);
        }
    }

    /// Gives back what a peer that has gone still held.
    fn release_buffers(&mut self, slot: &mut Peer) {
        if let Some(partial) = slot.partial.take() {
            self.uncount_partial(partial);
            self.memory.release(partial.span());
        }
        if let Some(unsent) = slot.unsent.take() {
            self.memory.release(unsent);
        }
    }
}
