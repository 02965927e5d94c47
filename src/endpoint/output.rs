//! What modes may ask for: send, write, finish, give up.
//!
//! Sending queues references; records are sealed when the receiver's socket has
//! room ([`super::flush`]). Queues above high water hold up those who fill them.

use super::mode::{HandedOn, Message, Receivers};
use super::peer::{Protocol, Standing};
use super::queue::Item;
use super::transport::{LocalId, PeerId};
use super::{Core, Notice};
use crate::error::{Abort, Failure};
use crate::limits::{INPUT_HIGH_WATER, QUEUED_ITEM, TOO_SLOW};
use crate::span::Span;
use crate::wire::buffer::Memory;
use crate::wire::chunks;
use crate::wire::record::Kind;

impl Core {
    /// Keeps `bytes` for as long as the endpoint lives, so that messages can be
    /// made of parts of it.
    pub fn pin(&mut self, bytes: &[u8]) -> Span {
        let id = self.memory.pool.keep(bytes);
        Span::new(Memory::area_of(id), 0..bytes.len())
    }

    /// Queues `message` for `peer`. Says whether it will be sent: not to who is
    /// gone, is not proved, or was told that no more follows.
    pub fn send(&mut self, peer: PeerId, message: Message<'_>) -> bool {
        let Some(slot) = self.peer(peer).filter(|slot| slot.takes_messages()) else {
            return false;
        };
        if let Protocol::Native(_) = slot.protocol {
            self.queue_chunks(peer, message);
        } else {
            self.queue_lines(peer, message);
        }
        self.measure(peer);
        self.dirty(peer);
        true
    }

    /// Queues the bytes of `span`, which was [pinned](Self::pin), as a message.
    pub fn send_pinned(&mut self, peer: PeerId, span: Span) -> bool {
        self.send(peer, Message::new(&[span]))
    }

    /// Queues `message` for every peer but `except`. Says how many will get it.
    pub fn broadcast(&mut self, except: Option<PeerId>, message: Message<'_>) -> usize {
        let mut count = 0;
        for slot in 0..self.peers.capacity() {
            if let Some(id) = self.id_at(slot).filter(|&id| Some(id) != except) {
                count += usize::from(self.send(id, message));
            }
        }
        count
    }

    /// Queues `message` for `local`.
    pub fn write(&mut self, local: LocalId, message: Message<'_>) {
        let high_water = self.high_water();
        let Some(output) = &mut self.locals[local.index()].output else {
            return;
        };
        for &span in message.spans().iter().filter(|span| !span.is_empty()) {
            let kind = Kind::Part;
            let item = Item { span, kind };
            output.queue.push(&mut self.nodes, &mut self.memory, item);
            output.queued += span.len() as u64;
        }
        output.congested = output.queue.cost() >= high_water;
    }

    /// Tells `peer`, behind what is queued for it, that nothing more follows.
    pub fn finish(&mut self, peer: PeerId) {
        if let Some(slot) = self.peer_mut(peer) {
            slot.finish();
            self.dirty(peer);
            self.touch(peer);
        }
    }

    /// [Finishes](Self::finish) every peer that is proved.
    pub fn finish_all(&mut self) {
        for id in self.proved_ids() {
            self.finish(id);
        }
    }

    /// Gives up on `peer`, and tells it why where it is proved and the format can
    /// say so.
    pub fn abort(&mut self, peer: PeerId, abort: Abort) {
        let now = self.now;
        self.drop_queue(peer);
        let Some(slot) = self.peer_mut(peer) else {
            return;
        };
        let payload = abort.payload();
        let says = match &mut slot.protocol {
            Protocol::Undecided { .. } | Protocol::Ended(_) => {
                return self.close(peer, "given up");
            }
            Protocol::Classic(conn) => {
                conn.fail(Failure::Gave(abort));
                false
            }
            Protocol::Native(conn) => {
                conn.abort(now, abort);
                conn.is_aborting()
            }
        };
        self.drop_assembly(peer);
        if says {
            let id = self.memory.pool.keep(&payload);
            let span = Span::new(Memory::area_of(id), 0..payload.len());
            let kind = Kind::Abort;
            self.queue(peer, Item { span, kind });
            self.memory.release(span);
        }
        self.dirty(peer);
        self.touch(peer);
    }

    /// How far the queue of `peer` is filled: bytes of memory, which are more than
    /// those of the messages.
    pub fn queued_for(&self, peer: PeerId) -> usize {
        self.peer(peer).map_or(0, |peer| peer.queue.cost())
    }

    // ---- for the rest of the endpoint ------------------------------------

    /// Closes `peer` without a word.
    pub(super) fn close(&mut self, peer: PeerId, why: &'static str) {
        let Some(slot) = self.peer_mut(peer) else {
            return;
        };
        match &mut slot.protocol {
            Protocol::Native(conn) => conn.drop_for(why),
            Protocol::Classic(conn) => conn.fail(Failure::Closed(why)),
            Protocol::Undecided { .. } => slot.protocol = Protocol::Ended(Failure::Closed(why)),
            Protocol::Ended(_) => {}
        }
        self.touch(peer);
    }

    pub(super) fn proved_ids(&self) -> Vec<PeerId> {
        self.ids()
            .filter(|&id| {
                self.peer(id)
                    .is_some_and(|p| p.standing == Standing::Proved)
            })
            .collect()
    }

    /// Marks what came before a FIN as handed on, now or when it is.
    pub(super) fn confirm(&mut self, peer: PeerId, handed_on: HandedOn) {
        if let HandedOn::Written(local) = handed_on
            && let Some(output) = &mut self.locals[local.index()].output
            && output.written < output.queued
        {
            output.waiting.push_back((output.queued, peer));
            return;
        }
        self.handed_on(peer);
    }

    pub(super) fn handed_on(&mut self, peer: PeerId) {
        if let Some(slot) = self.peer_mut(peer)
            && let Protocol::Native(conn) = &mut slot.protocol
        {
            conn.handed_on();
            self.dirty(peer);
            self.touch(peer);
        }
    }

    fn queue(&mut self, peer: PeerId, item: Item) {
        let slot = &mut self.peers[peer.slot as usize];
        slot.queue.push(&mut self.nodes, &mut self.memory, item);
    }

    fn queue_chunks(&mut self, peer: PeerId, message: Message<'_>) {
        let (last, before) = message.spans().split_last().expect("at least one");
        for span in before {
            for (range, _) in chunks::cut(span.len()).filter(|(range, _)| !range.is_empty()) {
                let span = span.slice(range);
                let kind = Kind::Part;
                self.queue(peer, Item { span, kind });
            }
        }
        for (range, kind) in chunks::cut(last.len()) {
            let span = last.slice(range);
            self.queue(peer, Item { span, kind });
        }
    }

    /// Queues a message for a classic peer: as lines, each of which is one piece
    /// of memory and ends with a newline. What is no UTF-8 is left out, and said.
    fn queue_lines(&mut self, peer: PeerId, message: Message<'_>) {
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
        let id = self.memory.pool.keep(&text);
        let all = Span::new(Memory::area_of(id), 0..text.len());
        let mut start = 0;
        for line in text.split_inclusive(|&byte| byte == b'\n') {
            let span = all.slice(start..start + line.len());
            let kind = Kind::End;
            self.queue(peer, Item { span, kind });
            start += line.len();
        }
        self.memory.release(all);
    }

    pub(super) fn drop_queue(&mut self, peer: PeerId) {
        let Some(slot) = self.peers.get_mut(peer.slot as usize) else {
            return;
        };
        if slot.generation == peer.generation {
            slot.queue.clear(&mut self.nodes, &mut self.memory);
            self.measure(peer);
        }
    }

    /// Drops an unfinished message.
    pub(super) fn drop_assembly(&mut self, peer: PeerId) {
        if let Some(slot) = self.peer_mut(peer) {
            let mut assembly = std::mem::take(&mut slot.assembly);
            self.assembling -= assembly.len();
            for span in assembly.take() {
                self.memory.release(span);
            }
        }
    }

    // ---- who holds up whom -----------------------------------------------

    /// Whether messages that wait for receivers take more memory than they may.
    pub(super) fn is_pressed(&self) -> bool {
        let taken = self.memory.pool.held() + self.nodes.len() * QUEUED_ITEM;
        taken >= self.setup.limits.max_queued + self.assembling
    }

    /// How much may be queued for one receiver before those who feed it wait.
    pub(super) fn high_water(&self) -> usize {
        if self.is_pressed() {
            INPUT_HIGH_WATER
        } else {
            self.setup.limits.max_queue
        }
    }

    /// Notes whether `peer`'s queue is above high water. What a local feeds is held
    /// up early: a file is not to be read into memory.
    pub(super) fn measure(&mut self, peer: PeerId) {
        let high_water = match self.receivers {
            Receivers::Local(_) => INPUT_HIGH_WATER.min(self.setup.limits.max_queue),
            _ => self.high_water(),
        };
        let now = self.now;
        let pressed = self.is_pressed();
        let Some(slot) = self.peer_mut(peer) else {
            return;
        };
        let congested = slot.queue.cost() >= high_water;
        let may_be_read = pressed && slot.paused && slot.queue.is_empty();
        self.relieved |= may_be_read;
        let slot = &mut self.peers[peer.slot as usize];
        if congested == slot.congested {
            return;
        }
        slot.congested = congested;
        if congested {
            slot.progress = now;
            self.congested += 1;
            let planned = &mut self.peers[peer.slot as usize].planned;
            self.timers.plan(planned, peer, now + TOO_SLOW);
        } else {
            self.congested -= 1;
            self.relieved = true;
        }
    }

    /// Whether nothing holds `peer` up: no receiver of its messages is above high
    /// water, and there is memory for what it says.
    pub(super) fn may_read(&self, peer: PeerId) -> bool {
        let Some(slot) = self.peer(peer) else {
            return false;
        };
        if !slot.joined {
            return true;
        }
        if self.is_pressed() && !slot.queue.is_empty() {
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

    /// Whether somebody waits because `receivers` peers cannot all take what they
    /// are sent; a sole receiver keeps nobody waiting but who feeds it.
    pub(super) fn others_wait(&self) -> bool {
        match self.receivers {
            _ if self.is_pressed() => true,
            Receivers::Others => self.proved > 2,
            Receivers::Local(_) => self.proved > 1,
            Receivers::Sender | Receivers::Nobody => false,
        }
    }

    /// Tells the user something.
    pub fn tell(&mut self, notice: Notice) {
        self.events.push_back(super::Event::Notice(notice));
    }
}
