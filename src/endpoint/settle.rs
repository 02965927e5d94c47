//! Acts on what was read, peer by peer, in the order in which it came.
//!
//! A peer proves itself with its first record or frame that holds, so that is noticed
//! here. What is whole goes to the mode. Read next: [`super::inbound`], which read and
//! opened it; [`super::mode`].

use std::ops::Range;

use super::Endpoint;
use super::inbound::{Found, Work};
use super::mode::{Message, Mode};
use super::peer::Protocol;
use super::transport::PeerId;
use crate::conn::{Received, StreamEnd};
use crate::error::{Abort, Reason};
use crate::span::Span;
use crate::wire::buffer::Memory;

impl<M: Mode> Endpoint<M> {
    /// Acts on what was read, peer by peer, in order.
    pub(super) fn settle(&mut self) {
        while let Some(work) = self.parts.inbound.next_work() {
            self.settle_peer(work);
        }
        self.parts.inbound.forget_records();
    }

    fn settle_peer(&mut self, work: Work) {
        let id = work.peer;
        self.note_proof(id);
        match work.found {
            Found::Records(records) => {
                for index in records {
                    self.settle_record(id, index);
                }
            }
            Found::Frames(range) => self.settle_frames(id, range),
        }
        let parts = &mut self.parts;
        let peer = &mut parts.roster[id];
        if let Protocol::Native(conn) = &mut peer.protocol {
            conn.settled(&mut parts.keys);
        }
        if let Some(end) = work.end {
            self.end_of_stream(id, end);
        }
        if self.parts.roster[id].has_output() {
            self.parts.list_for_output(id);
        }
    }

    fn settle_record(&mut self, id: PeerId, index: usize) {
        let parts = &mut self.parts;
        let (text, held) = parts.inbound.record(index);
        let Protocol::Native(conn) = &mut parts.roster[id].protocol else {
            unreachable!("only native peers have records");
        };
        let plaintext = held.then(|| parts.store.memory.bytes(text));
        let received = conn.settle(parts.now, plaintext);
        if !self.note_proof(id) {
            return;
        }
        match received {
            Received::Nothing => {}
            Received::Chunk { len, last } => self.chunk(id, text.slice(0..len), last),
            Received::Fin => {
                let parts = &mut self.parts;
                parts.roster[id].idle.reset(parts.now);
                let handed_on = self.mode.fin(parts, id);
                self.parts.confirm(id, handed_on);
            }
        }
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
            let Some(opened) = conn.open(parts.now, frames) else {
                if !conn.is_over() {
                    let (peer, memory) = (&mut parts.roster[id], &mut parts.store.memory);
                    parts.inbound.keep_rest(peer, memory, rest);
                }
                return;
            };
            let text = Span::new(Memory::SCRATCH, rest.clone()).slice(opened.text);
            rest.start += opened.used;
            if self.note_proof(id) {
                self.chunk(id, text, opened.last);
            }
        }
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
