//! Acts on what was read, peer by peer, in the order in which it came.
//!
//! A peer proves itself with its first record or frame that holds, so that is noticed
//! here. What is whole goes to the mode. Read next: [`super::inbound`], which read and
//! opened it; [`super::mode`].

use std::ops::Range;

use super::inbound::{Found, Kept, Pack, Work};
use super::mode::{Message, Mode};
use super::peer::Protocol;
use super::transport::PeerId;
use super::{Context, Endpoint};
use crate::conn::{Received, StreamEnd};
use crate::error::{Abort, Reason};
use crate::span::Span;
use crate::wire::buffer::Memory;

impl<M: Mode> Endpoint<M> {
    /// Acts on what was read, peer by peer, in order. All peers together hand on as many
    /// chunks of messages as the tick may; what exceeds that is kept.
    pub(super) fn settle(&mut self) {
        let most = self.parts.flow.most_chunks(self.parts.roster.proved());
        let last = self.parts.inbound.handed_on + most as u64;
        // Peers that the end of the budget has met.
        let mut unserved = Vec::new();
        while let Some(work) = self.parts.inbound.next_work() {
            let (id, own) = (work.peer, self.parts.inbound.handed_on + work.most as u64);
            self.settle_peer(work, own.min(last));
            let parts = &mut self.parts;
            let intake = &mut parts.roster[id].intake;
            match intake.has_backlog() {
                true if own <= last => {
                    intake.had_own_share();
                    parts.ready(id);
                }
                true => unserved.push(id),
                false => {}
            }
        }
        // They come first in the next tick, so that peers that pack much starve none.
        for id in unserved.into_iter().rev() {
            let parts = &mut self.parts;
            parts.flow.ready_first(id, &mut parts.roster[id]);
        }
        self.parts.inbound.forget_records();
    }

    /// Settles what one read left, until `handed_on` is `stop_at`.
    fn settle_peer(&mut self, work: Work, stop_at: u64) {
        let id = work.peer;
        self.note_proof(id);
        match work.found {
            Found::Records(records) => self.settle_records(id, records, stop_at),
            Found::Backlog => self.settle_backlog(id, stop_at),
            Found::Frames(range) => self.settle_frames(id, range),
        }
        let parts = &mut self.parts;
        let peer = &mut parts.roster[id];
        if !peer.intake.has_backlog() {
            if let Protocol::Native(conn) = &mut peer.protocol {
                conn.settled(&mut parts.keys);
            }
            if let Some(end) = work.end {
                self.end_of_stream(id, end);
            }
            if work.more {
                self.parts.ready(id);
            }
        }
        if self.parts.roster[id].has_output() {
            self.parts.list_for_output(id);
        }
    }

    /// Settles records of this tick. When `handed_on` reaches `stop_at`, the rest becomes the
    /// peer's backlog, if that may be. A peer that has proved nothing yet has its first record
    /// settled in any case.
    fn settle_records(&mut self, id: PeerId, records: Range<usize>, stop_at: u64) {
        let stop_at = match self.parts.inbound.may_keep() {
            true => stop_at,
            false => u64::MAX,
        };
        for index in records.clone() {
            let parts = &mut self.parts;
            if parts.inbound.handed_on >= stop_at && parts.roster[id].protocol.is_open() {
                return parts.keep(id, None, index..records.end);
            }
            let text = parts.inbound.record(index);
            if let Some(pack) = self.settle_record(id, text, stop_at) {
                return self.parts.keep(id, Some(pack), index + 1..records.end);
            }
        }
    }

    /// Settles records of the peer's backlog, until `handed_on` reaches `stop_at`.
    fn settle_backlog(&mut self, id: PeerId, stop_at: u64) {
        let parts = &mut self.parts;
        let texts = parts.roster[id].intake.backlog_texts();
        if let Some(texts) = texts {
            // The mode may abort the peer, and then read the message once more.
            parts.store.memory.hold(texts);
        }
        while self.parts.inbound.handed_on < stop_at {
            let parts = &mut self.parts;
            let intake = &mut parts.roster[id].intake;
            let Some(kept) = parts.inbound.next_kept(intake) else {
                break;
            };
            let rest = match kept {
                Kept::Pack(pack) => self.unpack(id, pack, stop_at),
                Kept::Record(text) => self.settle_record(id, text, stop_at),
            };
            if let Some(pack) = rest {
                self.parts.roster[id].intake.keep_pack(pack);
            }
        }
        let parts = &mut self.parts;
        let (intake, memory) = (&mut parts.roster[id].intake, &mut parts.store.memory);
        parts.inbound.drop_if_settled(intake, memory);
        if let Some(texts) = texts {
            memory.release(texts);
        }
    }

    /// Settles a record: its `text`, if its tag held. Returns the rest of a pack in which
    /// `handed_on` reached `stop_at`.
    fn settle_record(&mut self, id: PeerId, text: Option<Span>, stop_at: u64) -> Option<Pack> {
        let parts = &mut self.parts;
        let Protocol::Native(conn) = &mut parts.roster[id].protocol else {
            unreachable!("only native peers have records");
        };
        let plaintext = text.map(|text| parts.store.memory.bytes(text));
        let received = conn.settle(parts.now, plaintext);
        let (true, Some(text)) = (self.note_proof(id), text) else {
            return None;
        };
        match received {
            Received::Nothing => {}
            Received::Chunk { len, last } => self.chunk(id, text.slice(0..len), last),
            Received::Pack(messages) => return self.unpack(id, Pack { text, messages }, stop_at),
            Received::Fin => {
                let parts = &mut self.parts;
                parts.roster[id].idle.reset(parts.now);
                let handed_on = self.mode.fin(parts, id);
                self.parts.confirm(id, handed_on);
            }
        }
        None
    }

    /// Opens the classic frames in a range of the scratch one by one, and hands their
    /// text on.
    fn settle_frames(&mut self, id: PeerId, mut rest: Range<usize>) {
        self.parts.become_classic(id);
        loop {
            let parts = &mut self.parts;
            let Protocol::Classic(conn) = &mut parts.roster[id].protocol else {
                return;
            };
            let frames = &mut parts.store.memory.scratch[rest.clone()];
            let iv = frames.first_chunk().copied();
            let Some(opened) = conn.open(parts.now, frames) else {
                if !conn.is_over() {
                    let (peer, memory) = (&mut parts.roster[id], &mut parts.store.memory);
                    parts.inbound.keep_rest(peer, memory, rest);
                }
                return;
            };
            let text = Span::new(Memory::SCRATCH, rest.clone()).slice(opened.text);
            rest.start += opened.used;
            if iv.is_some_and(|iv| !parts.note_frame(id, iv)) {
                return;
            }
            if self.note_proof(id) {
                self.chunk(id, text, opened.last);
            }
        }
    }

    /// Takes the messages of a pack, each in place, for as long as the peer may send. Returns
    /// the rest when `handed_on` reaches `stop_at`.
    fn unpack(&mut self, id: PeerId, mut pack: Pack, stop_at: u64) -> Option<Pack> {
        while !pack.messages.is_done() && self.parts.roster[id].protocol.is_open() {
            if self.parts.inbound.handed_on >= stop_at {
                return Some(pack);
            }
            let bytes = self.parts.store.memory.bytes(pack.text);
            let range = pack.messages.next(bytes)?;
            self.chunk(id, pack.text.slice(range), true);
        }
        None
    }

    /// Takes a chunk of a message, and hands the message on if it is whole: in place,
    /// where it is a single chunk.
    fn chunk(&mut self, id: PeerId, span: Span, last: bool) {
        let parts = &mut self.parts;
        let peer = &mut parts.roster[id];
        peer.idle.reset(parts.now);
        let len = peer.intake.message_len() + span.len();
        if len > parts.limits.max_message {
            return parts.abort(id, Abort::new(Reason::TOO_LARGE, ""));
        }
        if last {
            parts.stats.messages += 1;
            parts.stats.bytes += len as u64;
        }
        if last && peer.intake.message_len() == 0 {
            parts.inbound.handed_on += 1;
            let message = Message::new(std::slice::from_ref(&span));
            return self.mode.message(parts, id, message);
        }
        let (intake, memory) = (&mut peer.intake, &mut parts.store.memory);
        let inbound = &mut parts.inbound;
        let Some(spans) = inbound.assemble(id, intake, memory, parts.now, span, last) else {
            return parts.bound_assembling();
        };
        inbound.handed_on += spans.len() as u64;
        let message = Message::new(&spans);
        self.mode.message(parts, id, message);
        for span in spans {
            self.parts.store.memory.drop_later(span);
        }
    }

    /// The peer sends no more. A proper end of a classic peer stands for FIN.
    fn end_of_stream(&mut self, id: PeerId, end: StreamEnd) {
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
}

impl Context {
    /// Keeps what exceeds a turn of `id`: the rest of a pack, and records of this tick.
    fn keep(&mut self, id: PeerId, pack: Option<Pack>, records: Range<usize>) {
        let (intake, memory) = (&mut self.roster[id].intake, &mut self.store.memory);
        self.inbound.keep_records(intake, memory, pack, records);
    }
}
