//! What modes may ask for: send, write, finish, abort.
//!
//! Sending only queues references. Read next: [`super::outbound`], which seals and writes
//! them; [`super::flow`], which decides which peer waits for which.

use std::sync::Arc;

use super::mode::{HandedOn, Message};
use super::peer::Protocol;
use super::queue::Chain;
use super::roster::Standing;
use super::transport::{LocalId, PeerId};
use super::{Context, EndpointEvent, Notice};
use crate::classic;
use crate::crypto::ring::Key;
use crate::error::{Abort, Failure};
use crate::limits::MAX_PAYLOAD;
use crate::span::Span;
use crate::time::Time;
use crate::wire::buffer::erase;
use crate::wire::record::Kind;

impl Context {
    /// The time of this tick.
    pub fn now(&self) -> Time {
        self.now
    }

    /// Whether the endpoint was stopped and has sent FIN: messages that arrive now cannot
    /// be answered.
    pub fn is_stopping(&self) -> bool {
        self.shutdown.is_stopping()
    }

    /// The bytes of `message`, in order. A message that came in one record is one piece, which
    /// may be empty.
    pub fn pieces<'a>(&'a self, message: Message<'a>) -> impl ExactSizeIterator<Item = &'a [u8]> {
        let spans = message.spans().iter();
        spans.map(|&span| self.store.memory.bytes(span))
    }

    /// The key that `peer` has proved, for a peer that connected to us and speaks the native
    /// format.
    pub fn key(&self, peer: PeerId) -> Option<&Arc<Key>> {
        let peer = self.roster.get(peer).filter(|peer| peer.is_proved())?;
        peer.protocol.key()
    }

    /// Bytes of memory that the queue of `peer` takes. They are more than those of the
    /// messages.
    pub fn queued_for(&self, peer: PeerId) -> usize {
        let peer = self.roster.get(peer);
        peer.map_or(0, |peer| peer.outlet.cost())
    }

    /// How many chunks wait in all queues.
    #[doc(hidden)]
    pub fn queued(&self) -> usize {
        self.store.queued()
    }

    /// Queues `message` for `peer`. Returns whether it will be sent: not to a peer that is
    /// gone, is not proved, or was told that no more follows.
    #[must_use = "a message that was refused is lost"]
    pub fn send(&mut self, peer: PeerId, message: Message<'_>) -> bool {
        let mut shared = Shared::default();
        let sent = self.queue_message(peer, message, &mut shared);
        self.release(shared);
        sent
    }

    /// As [`send`](Self::send), of bytes of the mode's own, which are copied.
    #[must_use = "a message that was refused is lost"]
    pub fn send_bytes(&mut self, peer: PeerId, bytes: &[u8]) -> bool {
        let span = self.store.memory.store(bytes);
        let sent = self.send(peer, Message::new(&[span]));
        self.store.memory.release(span);
        sent
    }

    /// Queues `message` for every peer but `except`. Returns how many peers will get it.
    pub fn broadcast(&mut self, except: Option<PeerId>, message: Message<'_>) -> usize {
        let mut shared = Shared::default();
        let mut count = 0;
        // Queueing removes no peer. Connections that have proved nothing cost no look.
        for index in 0..self.roster.members().len() {
            let id = self.roster.members()[index];
            if Some(id) != except {
                let sent = self.queue_message(id, message, &mut shared);
                count += usize::from(sent);
            }
        }
        self.release(shared);
        count
    }

    /// Queues `message`, which came from `from`, for `local`.
    pub fn write(&mut self, local: LocalId, from: PeerId, message: Message<'_>) {
        let name = self.roster.name(from);
        self.locals.push(local, &mut self.store, name, message);
        self.measure_local(local);
    }

    /// Tells `peer`, behind what is queued for it, that nothing more follows.
    pub fn finish(&mut self, peer: PeerId) {
        if let Some(slot) = self.roster.get_mut(peer) {
            slot.protocol.finish();
            slot.idle.reset(self.now);
            self.stir(peer);
        }
    }

    /// [Finishes](Self::finish) every peer that is proved: our input has ended. A classic
    /// peer that sees our end sends no more, so where we only receive it ends first.
    pub fn finish_all(&mut self) {
        for id in self.roster.in_standing(Standing::Proved) {
            if !self.must_end_before_us(id) {
                self.finish(id);
            }
        }
    }

    /// Gives up on `peer`. It is told why if it is proved and its format has an ABORT.
    pub fn abort(&mut self, peer: PeerId, abort: Abort) {
        self.drop_queue(peer);
        let Some(slot) = self.roster.get_mut(peer) else {
            return;
        };
        let memory = &mut self.store.memory;
        self.inbound.drop_message(&mut slot.intake, memory);
        self.inbound.drop_texts(&mut slot.intake, memory);
        if let Protocol::Native(conn) = &mut slot.protocol {
            conn.abort(self.now, abort);
            if let Some(payload) = conn.abort_payload() {
                let span = memory.store(&payload);
                slot.outlet.push(&mut self.store, span, Kind::Abort);
                self.store.memory.release(span);
            }
        } else {
            slot.protocol.fail(Failure::Gave(abort));
        }
        if slot.flow.is_paused() {
            // From now on it is read to its end, even if its receivers are congested.
            self.flow.recheck_paused();
        }
        if let Some(local) = slot.local {
            self.break_off(local);
        }
        self.stir(peer);
    }

    /// Tells the user something.
    pub fn tell(&mut self, notice: Notice) {
        self.events.push_back(EndpointEvent::Notice(notice));
    }

    /// Keeps `bytes` for as long as the endpoint lives, so that the load tester can make
    /// messages of parts of it without a copy.
    ///
    /// # Panics
    ///
    /// From 4 GiB on.
    #[cfg(feature = "internals")]
    pub fn pin(&mut self, bytes: &[u8]) -> Span {
        self.store.memory.store(bytes)
    }

    /// As [`send`](Self::send), of the bytes of `span`, which was [pinned](Self::pin).
    #[cfg(feature = "internals")]
    #[must_use = "a message that was refused is lost"]
    pub fn send_pinned(&mut self, peer: PeerId, span: Span) -> bool {
        self.send(peer, Message::new(&[span]))
    }
}

impl Context {
    /// Ends `id` without sending ABORT.
    pub(super) fn fail(&mut self, id: PeerId, why: &'static str) {
        if let Some(peer) = self.roster.get_mut(id) {
            peer.protocol.fail(Failure::Closed(why));
            self.roster.touch(id);
        }
    }

    /// Answers a FIN with DONE once everything before it is handed on: now, or when the
    /// local has accepted it.
    pub(super) fn confirm(&mut self, id: PeerId, handed_on: HandedOn) {
        if let HandedOn::Written(local) = handed_on
            && self.locals.must_wait(local, id, &self.roster)
        {
            return;
        }
        self.handed_on(id);
    }

    pub(super) fn handed_on(&mut self, id: PeerId) {
        if let Some(peer) = self.roster.get_mut(id)
            && let Protocol::Native(conn) = &mut peer.protocol
            && conn.is_open()
        {
            conn.handed_on();
            self.stir(id);
        }
    }

    /// Queues `message` for `id`, if it takes messages. What its receivers share is made for
    /// the first of them that needs it.
    fn queue_message(&mut self, id: PeerId, message: Message<'_>, shared: &mut Shared) -> bool {
        let peer = self.roster.get_mut(id);
        let Some(peer) = peer.filter(|peer| peer.takes_messages()) else {
            return false;
        };
        if !peer.outlet.has_waiting() {
            peer.idle.reset(self.now);
            peer.taking.restart(self.now);
        }
        let store = &mut self.store;
        match (&peer.protocol, message.spans()) {
            (Protocol::Native(_), &[span]) if span.len() <= MAX_PAYLOAD => {
                peer.outlet.push(store, span, Kind::End);
            }
            (Protocol::Native(_), spans) => {
                let chain = *shared.chain.get_or_insert_with(|| store.chain(spans));
                peer.outlet.push_chain(store, chain);
            }
            _ => {
                let span = shared.text.unwrap_or_else(|| self.text_of(message));
                shared.text = Some(span);
                let peer = &mut self.roster[id];
                peer.outlet.push(&mut self.store, span, Kind::End);
            }
        }
        self.measure(id);
        self.list_for_output(id);
        self.roster[id].takes_messages()
    }

    /// A message as classic peers get it, in one piece. If bytes are left out, the user is
    /// told.
    fn text_of(&mut self, message: Message<'_>) -> Span {
        let mut bytes = Vec::with_capacity(message.len() + 1);
        for part in self.pieces(message) {
            bytes.extend_from_slice(part);
        }
        let (mut text, left_out) = classic::as_text(bytes);
        if left_out > 0 {
            self.left_out(left_out);
        }
        let span = self.store.memory.store(&text);
        erase(&mut text);
        span
    }

    fn release(&mut self, shared: Shared) {
        if let Some(span) = shared.text {
            self.store.memory.release(span);
        }
        if let Some(chain) = shared.chain {
            self.store.release_chain(chain);
        }
    }
}

/// What receivers of one message share, once one of them has needed it.
#[derive(Debug, Default)]
struct Shared {
    /// The chunks, if there are several.
    chain: Option<Chain>,
    /// The message as classic peers get it.
    text: Option<Span>,
}
