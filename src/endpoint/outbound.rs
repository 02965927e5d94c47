//! Bytes that go: what waits for each peer, sealing and writing, in rounds.
//!
//! A round seals for as many peers as the output scratch has room for, in one batch,
//! then writes for each. Only what a socket did not accept is kept. Which peers must wait
//! for a full queue is [`super::flow`]'s. Read next: [`super::queue`], which holds what
//! waits; `crypto::batch`, which seals.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::ops::Range;

use super::Context;
use super::packing::{Packing, Payloads};
use super::peer::{Peer, Protocol};
use super::queue::{Chain, Item, Queue, Store};
use super::transport::{PeerId, Transport};
use crate::conn::Outgoing;
use crate::crypto::batch::SealBatch;
use crate::limits::{
    FRAME_COST, LEAST_SHARE, MAX_RECORD, OUTPUT_SCRATCH, OUTPUT_TICK, PEERS_WRITTEN, share,
};
use crate::span::Span;
use crate::wire::pack;
use crate::wire::record::Kind;

/// Whether a peer is sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Sending {
    #[default]
    Idle,
    /// It is on the list of peers to send to.
    Listed,
    /// Its socket accepts nothing until the driver says that it is writable.
    Blocked,
}

/// What waits for a peer.
#[derive(Debug, Default)]
pub(super) struct Outlet {
    pub(super) queue: Queue,
    /// What left the queue last was a PART: no pack may follow it.
    pub(super) inside: bool,
    /// Sealed bytes that the socket did not accept.
    unsent: Option<Span>,
    sending: Sending,
}

impl Outlet {
    /// Memory that its queue takes.
    pub(super) fn cost(&self) -> usize {
        self.queue.cost()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(super) fn has_unsent(&self) -> bool {
        self.unsent.is_some()
    }

    /// Whether its socket accepts nothing for now.
    pub(super) fn is_blocked(&self) -> bool {
        self.sending == Sending::Blocked
    }

    /// Whether anything waits, sealed or not.
    pub(super) fn has_waiting(&self) -> bool {
        self.unsent.is_some() || !self.queue.is_empty()
    }

    pub(super) fn push(&mut self, store: &mut Store, span: Span, kind: Kind) {
        self.queue.push(store, Item { span, kind });
    }

    /// Queues a message of several chunks.
    pub(super) fn push_chain(&mut self, store: &mut Store, chain: Chain) {
        self.queue.push_chain(store, chain);
    }

    pub(super) fn clear(&mut self, store: &mut Store) {
        self.queue.clear(store);
    }

    /// Drops the queue and what the socket did not accept: the peer is gone.
    pub(super) fn close(&mut self, store: &mut Store) {
        self.clear(store);
        if let Some(unsent) = self.unsent.take() {
            store.memory.release(unsent);
        }
    }
}

/// What one round seals.
#[derive(Debug, Default)]
struct Round {
    /// Which peer gets which part of the output.
    parts: Vec<(PeerId, Range<usize>)>,
    /// Payloads that have left their queues; released when they are sealed.
    spent: Vec<Span>,
    at: usize,
}

/// Which peers are sent to, and what is sealed for them.
#[derive(Debug)]
pub(super) struct Outbound {
    listed: VecDeque<PeerId>,
    pub(super) packing: Packing,
    seals: SealBatch,
    output: Box<[u8]>,
    round: Round,
    /// Bytes that this tick has sealed, or written although they were sealed before.
    sent: usize,
}

impl Default for Outbound {
    fn default() -> Self {
        Self {
            listed: VecDeque::new(),
            packing: Packing::default(),
            seals: SealBatch::default(),
            output: vec![0; OUTPUT_SCRATCH].into_boxed_slice(),
            round: Round::default(),
            sent: 0,
        }
    }
}

impl Outbound {
    /// Puts a peer on the list of peers to send to, unless its socket is blocked.
    pub(super) fn list(&mut self, id: PeerId, peer: &mut Peer) {
        if peer.outlet.sending == Sending::Idle {
            peer.outlet.sending = Sending::Listed;
            self.listed.push_back(id);
        }
    }

    pub(super) fn unblock(&mut self, id: PeerId, peer: &mut Peer) {
        if peer.outlet.sending == Sending::Blocked {
            peer.outlet.sending = Sending::Idle;
            self.list(id, peer);
        }
    }

    /// Whether this tick has written as much as its deadlines may, too.
    pub(super) fn has_written_enough(&self) -> bool {
        self.sent >= 2 * OUTPUT_TICK
    }

    pub(super) fn is_busy(&self) -> bool {
        !self.listed.is_empty()
    }
}

impl Context {
    /// Seals and writes for listed peers, once each. Those beyond what one tick may write to
    /// come first in the next.
    pub(super) fn flush(&mut self, io: &mut impl Transport) {
        self.outbound.sent = 0;
        let peers = self.outbound.listed.len().min(PEERS_WRITTEN);
        for waiting in (1..=peers).rev() {
            if self.outbound.sent >= OUTPUT_TICK {
                break;
            }
            let Some(id) = self.outbound.listed.pop_front() else {
                break;
            };
            let Some(peer) = self.roster.get_mut(id) else {
                continue;
            };
            if peer.outlet.sending == Sending::Listed {
                peer.outlet.sending = Sending::Idle;
            }
            if peer.is_over() {
                // It gets no more bytes, not even sealed ones.
                continue;
            }
            match peer.protocol {
                Protocol::Native(_) => self.send_native(id, waiting, io),
                Protocol::Classic(_) => self.send_frames(id, io),
                Protocol::Undecided(_) if peer.has_output() => {
                    // From the first frame on it is a classic peer.
                    self.become_classic(id);
                    self.send_frames(id, io);
                }
                Protocol::Undecided(_) => {}
            }
        }
        self.finish_round(io);
    }

    /// Adds what `id` has to send to the round. `waiting` peers share what is left to the tick.
    fn send_native(&mut self, id: PeerId, waiting: usize, io: &mut impl Transport) {
        if !self.send_rest(id, io) || !self.roster[id].has_output() {
            return;
        }
        if OUTPUT_SCRATCH - self.outbound.round.at < LEAST_SHARE {
            self.finish_round(io);
        }
        let left = OUTPUT_TICK.saturating_sub(self.outbound.sent);
        let share = share(left, waiting).max(LEAST_SHARE);
        let mut room = share.min(OUTPUT_SCRATCH - self.outbound.round.at);
        if self.flow.is_short(self.queued_memory()) {
            // Plaintext that many peers share waits once, but is sealed for each of them. So
            // seal little while memory is short.
            room = room.min(MAX_RECORD);
        }
        self.gather_output(id, waiting, room);
    }

    /// Puts what `id`, one of `peers` that wait, has to send into the round, as far as it fits
    /// `room`.
    fn gather_output(&mut self, id: PeerId, peers: usize, room: usize) {
        let peer = &mut self.roster[id];
        let Protocol::Native(conn) = &mut peer.protocol else {
            return;
        };
        let (outlet, store) = (&mut peer.outlet, &mut self.store);
        let Outbound {
            round,
            packing,
            seals,
            output,
            sent,
            ..
        } = &mut self.outbound;
        let start = round.at;
        let queued = outlet.queue.cost();
        let mut payloads = Payloads {
            target: pack::target_len(outlet.queue.packed_len(), peers),
            packing,
            outlet,
            spent: &mut round.spent,
            most: self.limits.max_packed,
            left: room,
        };
        let mut out = Outgoing {
            batch: seals,
            bytes: output,
            at: start,
            end: start + room,
        };
        conn.seal(self.now, &mut self.keys, &mut out, |room| {
            payloads.next(store, room)
        });
        let cost = (room - payloads.left).max(out.at - start);
        round.at = out.at;
        if outlet.queue.cost() < queued {
            peer.idle.reset(self.now);
        }
        *sent += cost;
        if round.at > start {
            round.parts.push((id, start..round.at));
        }
        self.measure(id);
        self.roster.touch(id);
        self.abort_if_doomed(id, false);
    }

    fn finish_round(&mut self, io: &mut impl Transport) {
        let outbound = &mut self.outbound;
        self.stats.sealed += outbound.seals.len() as u64;
        let (seals, output) = (&mut outbound.seals, &mut outbound.output);
        seals.run(&self.keys.seal, &self.store.memory, output);
        let round = &mut outbound.round;
        round.at = 0;
        outbound.packing.end_round();
        for span in round.spent.drain(..) {
            self.store.memory.release(span);
        }
        let mut parts = std::mem::take(&mut round.parts);
        for (id, range) in parts.drain(..) {
            self.write_out(id, range, io);
        }
        self.outbound.round.parts = parts;
    }

    /// Writes a part of the output, and keeps what the socket did not accept.
    fn write_out(&mut self, id: PeerId, range: Range<usize>, io: &mut impl Transport) {
        let result = io.write(id, &self.outbound.output[range.clone()]);
        let Some(count) = self.wrote(id, result, range.len()) else {
            return;
        };
        let rest = range.start + count..range.end;
        if rest.is_empty() {
            self.taken(id);
            if self.roster[id].has_output() {
                self.list_for_output(id);
            }
            return;
        }
        let unsent = self.store.memory.store_sealed(&self.outbound.output[rest]);
        let peer = &mut self.roster[id];
        peer.outlet.unsent = Some(unsent);
    }

    /// Writes what an earlier round left. Returns whether all of it is written now.
    pub(super) fn send_rest(&mut self, id: PeerId, io: &mut impl Transport) -> bool {
        let Some(unsent) = self.roster[id].outlet.unsent else {
            return true;
        };
        let result = io.write(id, self.store.memory.bytes(unsent));
        let count = self.wrote(id, result, unsent.len());
        self.outbound.sent += count.unwrap_or(0);
        let peer = &mut self.roster[id];
        if count > Some(0) {
            peer.idle.reset(self.now);
        }
        let left = unsent.slice(count.unwrap_or(unsent.len())..unsent.len());
        let done = left.is_empty();
        peer.outlet.unsent = (!done).then_some(left);
        if done {
            self.store.memory.release(unsent);
        }
        if done && count.is_some() {
            self.taken(id);
        }
        done
    }

    /// Notes the result of a write of `given` bytes. Returns how many the socket accepted,
    /// or `None` if writing has failed and will not work again.
    fn wrote(&mut self, id: PeerId, result: io::Result<usize>, given: usize) -> Option<usize> {
        let peer = &mut self.roster[id];
        match result {
            Ok(count) => {
                let sending = &mut peer.outlet.sending;
                match count < given {
                    true => *sending = Sending::Blocked,
                    false if *sending == Sending::Blocked => *sending = Sending::Idle,
                    false => {}
                }
                self.stats.written += count as u64;
                self.note_accepted(id, count);
                Some(count)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                peer.outlet.sending = Sending::Blocked;
                Some(0)
            }
            Err(_) => {
                peer.protocol.write_failed();
                self.drop_queue(id);
                self.roster.touch(id);
                None
            }
        }
    }

    /// The socket has accepted everything that was sealed for `id`.
    fn taken(&mut self, id: PeerId) {
        if let Protocol::Native(conn) = &mut self.roster[id].protocol {
            conn.taken(self.now);
            self.roster.touch(id);
        }
    }

    /// Sends classic frames, one at a time, until the peer has had its share or the socket
    /// accepts no more.
    fn send_frames(&mut self, id: PeerId, io: &mut impl Transport) {
        self.roster.touch(id);
        let mut sent = 0;
        while sent < LEAST_SHARE {
            let peer = &mut self.roster[id];
            let Protocol::Classic(conn) = &mut peer.protocol else {
                return;
            };
            if !conn.may_send() {
                return;
            }
            if conn.frame().is_none() {
                let Some(item) = peer.outlet.queue.front(&self.store) else {
                    return;
                };
                let text = self.store.memory.bytes(item.span);
                let count = conn.seal(conn.next_line(text), self.admission.iv());
                peer.outlet.queue.consume(&mut self.store, count);
            }
            let Some(frame) = conn.frame() else {
                return;
            };
            let given = frame.len();
            let result = io.write_alone(id, frame);
            self.measure(id);
            match self.wrote(id, result, given) {
                None | Some(0) => return,
                Some(count) => {
                    sent += count;
                    self.outbound.sent += FRAME_COST;
                    let peer = &mut self.roster[id];
                    peer.idle.reset(self.now);
                    if let Protocol::Classic(conn) = &mut peer.protocol {
                        conn.taken(count);
                    }
                }
            }
        }
        self.list_for_output(id);
    }

    pub(super) fn drop_queue(&mut self, id: PeerId) {
        if let Some(peer) = self.roster.get_mut(id) {
            peer.outlet.clear(&mut self.store);
            self.measure(id);
        }
    }
}
