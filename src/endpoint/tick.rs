//! One tick: everything that has come is read, opened, handed to the mode,
//! answered and written.
//!
//! The order is fixed: timers, reading, one batch opened, results settled peer by
//! peer, the mode's turn, locals, sealing and writing in rounds, what is left in
//! the scratch kept, who is over closed. Nothing in it waits.

use super::mode::{Message, Mode};
use super::peer::{Protocol, Standing};
use super::transport::{PeerId, Transport};
use super::{Core, Endpoint, Event};
use crate::conn::Received;
use crate::error::{Abort, Deadline, Failure, Reason};
use crate::limits::{CLASSIC_SILENCE, HANDSHAKE_DEADLINE, TOO_SLOW};
use crate::span::Span;
use crate::time::Time;

impl<M: Mode> Endpoint<M> {
    /// Does everything that can be done at `now` without waiting.
    pub fn tick(&mut self, now: Time, io: &mut impl Transport) {
        self.core.now = now;
        self.core.expire();
        self.core.resume();
        self.read_peers(io);
        self.core
            .opens
            .run(&self.core.keys.open, &mut self.core.memory);
        self.settle();
        self.mode.turn(&mut self.core);
        self.write_locals(io);
        self.read_locals(io);
        self.send(io);
        self.core.nodes.keep_scratch(&mut self.core.memory);
        self.core.used = 0;
        for buffer in self.core.in_use.drain(..) {
            self.core.memory.pool.release(buffer);
        }
        self.look(io);
        let pressed = self.core.is_pressed();
        self.core.relieved |= self.core.pressed && !pressed;
        self.core.pressed = pressed;
    }

    /// The code to exit with (`DESIGN.md`, Exit codes), once everything is done.
    pub fn exit(&self) -> Option<u8> {
        self.core.exit()
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
            if let Protocol::Native(conn) = &mut self.core.peers[id.slot as usize].protocol {
                conn.settled(&mut self.core.keys);
            }
            if let Some(broken) = item.end {
                self.end_of_stream(id, broken);
            }
            if self.core.peers[id.slot as usize].has_output() {
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
        let Protocol::Native(conn) = &mut core.peers[id.slot as usize].protocol else {
            unreachable!("only native peers have records");
        };
        let plaintext = held.then(|| core.memory.bytes(text));
        let received = conn.settle(core.now, plaintext);
        self.note_open(id);
        if !self.core.peers[id.slot as usize].joined {
            return;
        }
        match received {
            Received::Nothing => {}
            Received::Chunk { len, last } => self.chunk(id, text.slice(0..len), last),
            Received::Fin => {
                let handed_on = self.mode.fin(&mut self.core, id);
                self.core.confirm(id, handed_on);
            }
        }
    }

    /// Tells the mode about a peer that has just proved itself.
    pub(super) fn note_open(&mut self, id: PeerId) {
        let slot = &self.core.peers[id.slot as usize];
        let proved = match &slot.protocol {
            Protocol::Native(conn) => conn.is_open(),
            Protocol::Classic(conn) => conn.is_proved() || slot.standing == Standing::Proved,
            Protocol::Undecided { .. } | Protocol::Ended(_) => false,
        };
        if slot.joined || !proved || slot.is_over() {
            return;
        }
        if slot.standing != Standing::Proved {
            if self.core.proved >= self.core.setup.limits.max_peers {
                // It keeps the slot that it has: those are counted, too.
                let abort = Abort::new(Reason::GOING_AWAY, "this server is full");
                return self.core.abort(id, abort);
            }
            self.core.set_standing(id, Standing::Proved);
        }
        self.core.peers[id.slot as usize].joined = true;
        self.core.stats.joined += 1;
        self.core.events.push_back(Event::Joined(id));
        self.mode.joined(&mut self.core, id);
        self.core.greet(id);
    }

    /// Takes a chunk of a message, and hands the message on if it is whole: in
    /// place, where it is a single chunk.
    pub(super) fn chunk(&mut self, id: PeerId, span: Span, last: bool) {
        let core = &mut self.core;
        let slot = &mut core.peers[id.slot as usize];
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
        slot.assembly.push(&mut core.memory, span);
        core.assembling += span.len();
        if last {
            core.assembling -= len;
            let spans = core.peers[id.slot as usize].assembly.take();
            self.mode.message(&mut self.core, id, Message::new(&spans));
            for span in spans {
                self.core.memory.release(span);
            }
        } else {
            core.bound_assembling();
        }
    }

    fn end_of_stream(&mut self, id: PeerId, broken: Option<&'static str>) {
        let cut = self.core.input_is_open();
        let slot = &mut self.core.peers[id.slot as usize];
        match &mut slot.protocol {
            Protocol::Native(conn) => conn.end_of_stream(broken),
            Protocol::Classic(conn) => {
                if conn.end_of_stream(broken) && slot.joined {
                    if cut {
                        conn.cut_short();
                    }
                    self.mode.fin(&mut self.core, id);
                }
            }
            Protocol::Undecided { .. } => self.core.close(id, "it closed without a word"),
            Protocol::Ended(_) => {}
        }
    }

    /// Looks at every peer that something happened to: shuts down, closes, plans
    /// the next look.
    fn look(&mut self, io: &mut impl Transport) {
        let mut touched = std::mem::take(&mut self.core.touched);
        for id in touched.drain(..) {
            let Some(slot) = self.core.peer_mut(id) else {
                continue;
            };
            slot.touched = false;
            if self.core.shuts_down(id) {
                io.shut_down(id);
            }
            if self.core.peers[id.slot as usize].is_over() {
                self.remove(id);
                io.close(id);
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
        let mut slot = self.core.peers.remove(id.slot as usize);
        *self.core.count(slot.standing) -= 1;
        self.core.relieved = true;
        let partial = slot.partial.map(|partial| partial.buffer);
        let unsent = slot.unsent.map(|unsent| unsent.buffer);
        for buffer in partial.into_iter().chain(unsent) {
            self.core.memory.pool.release(buffer);
        }
        if let Protocol::Native(conn) = &mut slot.protocol {
            conn.erase(&mut self.core.keys);
        }
        let outcome = slot.outcome();
        self.core.note_end(slot.joined, &outcome);
        if slot.joined {
            self.mode.left(&mut self.core, id, &outcome);
            self.core.events.push_back(Event::Left(id, outcome));
        } else {
            self.core.events.push_back(Event::Refused(id, outcome));
        }
    }
}

impl Core {
    /// Does what is due.
    fn expire(&mut self) {
        while let Some((at, id)) = self.timers.pop(self.now) {
            let Some(slot) = self.peer_mut(id) else {
                continue;
            };
            if slot.planned == Some(at) {
                slot.planned = None;
                self.handle_timeout(id);
                self.touch(id);
            }
        }
        self.expire_ends();
    }

    fn handle_timeout(&mut self, id: PeerId) {
        let now = self.now;
        let slot = &mut self.peers[id.slot as usize];
        match &mut slot.protocol {
            Protocol::Native(conn) => conn.handle_timeout(now),
            Protocol::Classic(conn) => conn.handle_timeout(now),
            Protocol::Undecided { .. } => self.undecided_timeout(id),
            Protocol::Ended(_) => {}
        }
        let slot = &self.peers[id.slot as usize];
        // Nobody waits for who has proved nothing.
        let waited_for = slot.standing == Standing::Proved && !self.others_wait();
        if slot.congested && now >= slot.progress + TOO_SLOW && !waited_for {
            let abort = Abort::new(Reason::TOO_SLOW, "");
            self.abort(id, abort);
        } else if slot.has_output() {
            self.dirty(id);
        }
    }

    fn undecided_timeout(&mut self, id: PeerId) {
        let slot = &mut self.peers[id.slot as usize];
        let Protocol::Undecided { first_byte } = slot.protocol else {
            return;
        };
        let Some(due) = undecided_due(slot.born, slot.standing, first_byte) else {
            return;
        };
        if self.now < due {
            return;
        }
        if first_byte.is_some() {
            slot.protocol = Protocol::Ended(Failure::Deadline(Deadline::Handshake));
        } else {
            self.listen(id);
        }
    }

    /// Puts `id` where it belongs in the timers.
    fn plan(&mut self, id: PeerId) {
        let now = self.now;
        let slot = &mut self.peers[id.slot as usize];
        let due = match &slot.protocol {
            Protocol::Native(conn) => conn.poll_timeout(),
            Protocol::Classic(conn) => conn.poll_timeout(),
            Protocol::Undecided { first_byte } => {
                undecided_due(slot.born, slot.standing, *first_byte)
            }
            Protocol::Ended(_) => None,
        };
        // Whether others wait may change at any time, so it is asked again.
        let slow = slot.congested.then(|| match slot.progress + TOO_SLOW {
            at if at > now => at,
            _ => now + TOO_SLOW,
        });
        if let Some(at) = due.into_iter().chain(slow).min() {
            self.timers.plan(&mut slot.planned, id, at);
        }
    }

    /// Reads on from those that nothing holds up any more.
    fn resume(&mut self) {
        if !std::mem::take(&mut self.relieved) {
            return;
        }
        let now = self.now;
        let mut paused = std::mem::take(&mut self.paused);
        paused.retain(|&id| {
            if self.peer(id).is_none() {
                return false;
            }
            let held_up = !self.may_read(id);
            if !held_up {
                self.peers[id.slot as usize].reading(now, true);
                self.ready(id);
                self.touch(id);
            }
            held_up
        });
        self.paused = paused;
    }

    /// Gives up on whoever has the largest unfinished message, while there is too
    /// much of them.
    fn bound_assembling(&mut self) {
        while self.assembling > self.setup.limits.max_assembling {
            let largest = self
                .ids()
                .max_by_key(|&id| self.peer(id).map_or(0, |peer| peer.assembly.len()));
            let Some(id) = largest else {
                return;
            };
            let abort = Abort::new(Reason::TOO_LARGE, "too many unfinished messages");
            self.abort(id, abort);
        }
    }

    fn shuts_down(&mut self, id: PeerId) -> bool {
        let now = self.now;
        let slot = &mut self.peers[id.slot as usize];
        match &mut slot.protocol {
            Protocol::Native(conn) => conn.shuts_down(),
            Protocol::Classic(conn) => slot.queue.is_empty() && conn.shuts_down(now),
            Protocol::Undecided { .. } | Protocol::Ended(_) => false,
        }
    }
}

/// When an undecided connection is to be looked at: one that says nothing may be
/// an old client that only listens; one that has begun has the time of a
/// handshake.
fn undecided_due(born: Time, standing: Standing, first_byte: Option<Time>) -> Option<Time> {
    match (standing, first_byte) {
        (Standing::Listening, Some(first)) => Some(first + HANDSHAKE_DEADLINE),
        (Standing::Listening, None) => None,
        (_, Some(_)) => Some(born + HANDSHAKE_DEADLINE),
        (_, None) => Some(born + CLASSIC_SILENCE),
    }
}
