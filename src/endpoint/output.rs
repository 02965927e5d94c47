//! What modes may ask for: send, write, finish, give up.
//!
//! Sending queues references; sealing and writing is [`super::flush`], and who
//! has to wait for whom [`super::pressure`].

use super::mode::{HandedOn, Message};
use super::peer::{Protocol, Standing};
use super::queue::Item;
use super::transport::{LocalId, PeerId};
use super::{Core, Event, Notice};
use crate::error::{Abort, Failure};
use crate::limits::MAX_PAYLOAD;
use crate::span::Span;
use crate::wire::chunks;
use crate::wire::record::Kind;

impl Core {
    /// Keeps `bytes` for as long as the endpoint lives, so that messages can be
    /// made of parts of it.
    ///
    /// # Panics
    ///
    /// From 4 GiB on.
    pub fn pin(&mut self, bytes: &[u8]) -> Span {
        self.memory.store(bytes)
    }

    /// Queues `message` for `peer`. Says whether it will be sent: not to who is
    /// gone, is not proved, or was told that no more follows.
    pub fn send(&mut self, peer: PeerId, message: Message<'_>) -> bool {
        let mut text = None;
        let sent = self.queue_message(peer, message, &mut text);
        self.release_text(text);
        sent
    }

    /// Queues the bytes of `span`, which was [pinned](Self::pin), as a message.
    pub fn send_pinned(&mut self, peer: PeerId, span: Span) -> bool {
        self.send(peer, Message::new(&[span]))
    }

    /// Queues `message` for every peer but `except`. Says how many will get it.
    pub fn broadcast(&mut self, except: Option<PeerId>, message: Message<'_>) -> usize {
        let mut text = None;
        let mut count = 0;
        for slot in 0..self.peers.slots() {
            if let Some(id) = self.peers.id_at(slot).filter(|&id| Some(id) != except) {
                count += usize::from(self.queue_message(id, message, &mut text));
            }
        }
        self.release_text(text);
        count
    }

    /// Queues `message`, which `from` said, for `local`.
    pub fn write(&mut self, local: LocalId, from: PeerId, message: Message<'_>) {
        let Some(output) = &mut self.locals[local.index()].output else {
            return;
        };
        if message.is_empty() {
            return;
        }
        if let Some(screen) = &mut output.screen {
            let name = self.names.get(&from).cloned();
            screen.begin(output.queued, name.unwrap_or_else(|| "a peer".into()));
        }
        for &span in message.spans().iter().filter(|span| !span.is_empty()) {
            output.push(&mut self.nodes, &mut self.memory, span);
        }
        self.measure_local(local);
    }

    /// Tells `peer`, behind what is queued for it, that nothing more follows.
    pub fn finish(&mut self, peer: PeerId) {
        if let Some(slot) = self.peers.get_mut(peer) {
            slot.protocol.finish();
            slot.last_active = self.now;
            self.dirty(peer);
            self.touch(peer);
        }
    }

    /// [Finishes](Self::finish) every peer that is proved: our input has ended. A
    /// classic peer takes our end for its own, so one that we have nothing to say to
    /// ends first.
    pub fn finish_all(&mut self) {
        for id in self.peers.in_standing(Standing::Proved) {
            if !self.must_end_before_us(id) {
                self.finish(id);
            }
        }
    }

    /// Gives up on `peer`, and tells it why where it is proved and the format can
    /// say so.
    pub fn abort(&mut self, peer: PeerId, abort: Abort) {
        self.drop_queue(peer);
        self.drop_assembly(peer);
        let Some(slot) = self.peers.get_mut(peer) else {
            return;
        };
        if let Protocol::Native(conn) = &mut slot.protocol {
            conn.abort(self.now, abort);
            if let Some(payload) = conn.abort_payload() {
                let span = self.memory.store(&payload);
                let kind = Kind::Abort;
                let item = Item { span, kind };
                slot.queue.push(&mut self.nodes, &mut self.memory, item);
                self.memory.release(span);
            }
        } else {
            slot.protocol.fail(Failure::Gave(abort));
        }
        // It is read to its end, whoever is above high water.
        self.relieved |= slot.paused;
        self.dirty(peer);
        self.touch(peer);
    }

    /// How far the queue of `peer` is filled: bytes of memory, which are more than
    /// those of the messages.
    pub fn queued_for(&self, peer: PeerId) -> usize {
        self.peers.get(peer).map_or(0, |peer| peer.queue.cost())
    }

    /// Tells the user something.
    pub fn tell(&mut self, notice: Notice) {
        self.events.push_back(Event::Notice(notice));
    }

    // ---- for the rest of the endpoint ------------------------------------

    /// Ends `peer` without a word.
    pub(super) fn fail(&mut self, peer: PeerId, why: &'static str) {
        if let Some(slot) = self.peers.get_mut(peer) {
            slot.protocol.fail(Failure::Closed(why));
            self.touch(peer);
        }
    }

    /// Marks what came before a FIN as handed on, now or when it is.
    pub(super) fn confirm(&mut self, peer: PeerId, handed_on: HandedOn) {
        if let HandedOn::Written(local) = handed_on
            && let Some(output) = &mut self.locals[local.index()].output
            && output.done < output.queued
        {
            output.waiting.push_back((output.queued, peer));
            return;
        }
        self.handed_on(peer);
    }

    pub(super) fn handed_on(&mut self, peer: PeerId) {
        if let Some(slot) = self.peers.get_mut(peer)
            && let Protocol::Native(conn) = &mut slot.protocol
        {
            conn.handed_on();
            self.dirty(peer);
            self.touch(peer);
        }
    }

    /// Queues `message` for `peer`, if it takes messages. `text` is the message
    /// for classic peers, once one of them has needed it.
    fn queue_message(
        &mut self,
        peer: PeerId,
        message: Message<'_>,
        text: &mut Option<Span>,
    ) -> bool {
        let slot = self.peers.get_mut(peer);
        let Some(slot) = slot.filter(|slot| slot.takes_messages()) else {
            return false;
        };
        if !slot.has_waiting() {
            slot.last_active = self.now;
        }
        if let Protocol::Native(_) = slot.protocol {
            self.queue_chunks(peer, message);
        } else {
            let span = text.unwrap_or_else(|| self.text_of(message));
            *text = Some(span);
            let kind = Kind::End;
            self.queue(peer, Item { span, kind });
        }
        self.measure(peer);
        self.dirty(peer);
        self.peers[peer].takes_messages()
    }

    fn queue(&mut self, peer: PeerId, item: Item) {
        let slot = &mut self.peers[peer];
        slot.queue.push(&mut self.nodes, &mut self.memory, item);
    }

    /// Queues the chunks of a message: all spans before the last are full, as
    /// they were cut.
    fn queue_chunks(&mut self, peer: PeerId, message: Message<'_>) {
        let (last, before) = message.spans().split_last().expect("at least one");
        for &span in before {
            assert_eq!(span.len(), MAX_PAYLOAD, "a chunk that is not full");
            let kind = Kind::Part;
            self.queue(peer, Item { span, kind });
        }
        for (range, kind) in chunks::cut(last.len()) {
            let span = last.slice(range);
            self.queue(peer, Item { span, kind });
        }
    }

    /// A message as classic peers get it: one piece of text that ends with a
    /// newline. What is no UTF-8 is left out, and said.
    fn text_of(&mut self, message: Message<'_>) -> Span {
        let mut text = Vec::with_capacity(message.len() + 1);
        for &span in message.spans() {
            text.extend_from_slice(self.memory.bytes(span));
        }
        if str::from_utf8(&text).is_err() {
            let before = text.len();
            let valid = text.utf8_chunks().map(|chunk| chunk.valid());
            text = valid.collect::<String>().into_bytes();
            self.left_out(before - text.len());
        }
        if text.last() != Some(&b'\n') {
            text.push(b'\n');
        }
        self.memory.store(&text)
    }

    fn release_text(&mut self, text: Option<Span>) {
        if let Some(span) = text {
            self.memory.release(span);
        }
    }

    pub(super) fn drop_queue(&mut self, peer: PeerId) {
        if let Some(slot) = self.peers.get_mut(peer) {
            slot.queue.clear(&mut self.nodes, &mut self.memory);
            self.measure(peer);
        }
    }

    /// Drops an unfinished message.
    pub(super) fn drop_assembly(&mut self, peer: PeerId) {
        if let Some(slot) = self.peers.get_mut(peer) {
            self.assembling -= slot.assembly.held();
            for span in slot.assembly.take() {
                self.memory.release(span);
            }
        }
    }
}
