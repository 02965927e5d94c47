//! The reading side of a local: what is read becomes messages here.
//!
//! What becomes of a message is up to the mode. Read next: `net::local` for the
//! descriptors.

use std::io::ErrorKind;
use std::ops::Range;

use super::Locals;
use crate::endpoint::mode::{Message, Mode};
use crate::endpoint::transport::{LocalId, Read, Transport};
use crate::endpoint::{Context, Endpoint};
use crate::limits::{FAN_OUT, LINES_BUDGET, LOCAL_BUDGET, MAX_LINE, STREAM_MESSAGE};
use crate::span::Span;
use crate::wire::buffer::Memory;

/// How the bytes of a local become messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// As they come, in pieces of at most 16 KiB.
    Blocks,
    /// One line each, with its newline.
    Lines,
}

/// What reads from a local.
#[derive(Debug, Clone, Copy)]
pub struct InputKind {
    /// How it is cut.
    pub cut: Cut,
    /// A person types. It is read even when no peer is there, and stopping before its
    /// end loses nothing.
    pub terminal: bool,
}

/// Whether a local is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// A read is worth a try.
    Ready,
    /// It has nothing for now.
    Drained,
    /// Its end was read.
    Ended,
    Failed,
}

/// The reading side of a local.
#[derive(Debug)]
pub(super) struct Input {
    kind: InputKind,
    reading: Reading,
    /// It is empty: the next read finds its end.
    empty: bool,
    given: u64,
    /// A line whose end has not come yet.
    line: Vec<u8>,
}

impl Input {
    pub(super) fn new(kind: InputKind) -> Self {
        Self {
            kind,
            reading: Reading::Ready,
            empty: false,
            given: 0,
            line: Vec::new(),
        }
    }

    /// Takes the next message off the bytes `rest` of the scratch. Returns its span, if it
    /// is whole, and where the rest goes on. The caller releases the span.
    fn cut(&mut self, memory: &mut Memory, rest: Range<usize>) -> (Option<Span>, usize) {
        if self.kind.cut == Cut::Blocks {
            let end = rest.end.min(rest.start + STREAM_MESSAGE);
            return (Some(Span::new(Memory::SCRATCH, rest.start..end)), end);
        }
        let bytes = &memory.scratch[rest.clone()];
        let newline = bytes.iter().position(|&byte| byte == b'\n');
        let end = newline.map_or(rest.end, |at| rest.start + at + 1);
        if newline.is_some() && self.line.is_empty() {
            return (Some(Span::new(Memory::SCRATCH, rest.start..end)), end);
        }
        self.line.extend_from_slice(&bytes[..end - rest.start]);
        let whole = newline.is_some() || self.line.len() >= MAX_LINE;
        (whole.then(|| self.take_line(memory)).flatten(), end)
    }

    /// The line that was joined from several reads, or that lacks its end.
    fn take_line(&mut self, memory: &mut Memory) -> Option<Span> {
        let line = std::mem::take(&mut self.line);
        (!line.is_empty()).then(|| memory.store(&line))
    }
}

impl Locals {
    /// Whether stopping now would cut off a pipe or file that has not ended.
    pub(in crate::endpoint) fn input_is_open(&self) -> bool {
        self.inputs()
            .any(|input| !input.kind.terminal && input.reading != Reading::Ended)
    }

    /// Whether the input has ended, where there is one.
    pub(in crate::endpoint) fn input_has_ended(&self) -> bool {
        self.inputs().any(|input| input.reading == Reading::Ended)
    }

    /// Bytes that a pipe or file has given.
    pub(in crate::endpoint) fn given(&self) -> u64 {
        let piped = self.inputs().filter(|input| !input.kind.terminal);
        piped.map(|input| input.given).sum()
    }
}

impl<M: Mode> Endpoint<M> {
    /// Says that reading from `local` is worth a try.
    pub fn local_readable(&mut self, local: LocalId) {
        if let Some(input) = self.parts.locals.input(local)
            && input.reading == Reading::Drained
        {
            input.reading = Reading::Ready;
        }
    }

    /// Says that `local` is known to be empty. Its end is read as soon as a peer has come,
    /// even if that peer is gone already.
    pub fn local_is_empty(&mut self, local: LocalId) {
        if let Some(input) = self.parts.locals.input(local) {
            input.empty = true;
        }
    }

    /// Reads every local that may be read, and hands on what it gave.
    pub(in crate::endpoint) fn read_locals(&mut self, io: &mut impl Transport) {
        for local in self.parts.locals.ids() {
            if self.parts.may_read_local(local) {
                self.read_local(local, io);
            }
        }
    }

    fn read_local(&mut self, local: LocalId, io: &mut impl Transport) {
        let parts = &mut self.parts;
        let most = parts.most_of_local(local);
        let mut room = parts.inbound.room(most);
        if room.is_empty() {
            // The locals before this one took all the room. This one is read in the next
            // tick.
            return;
        }
        let read = io.read_local(local, &mut parts.store.memory.scratch[room.clone()]);
        let Some(input) = parts.locals.input(local) else {
            return;
        };
        match read {
            Ok(Read { bytes: 0, .. }) => {
                input.reading = Reading::Ended;
                let line = input.take_line(&mut parts.store.memory);
                self.hand_on(local, line);
                self.mode.input_end(&mut self.parts, local);
                self.parts.input_ended();
            }
            Ok(read) => {
                if read.drained {
                    input.reading = Reading::Drained;
                }
                input.given += read.bytes as u64;
                room.end = room.start + read.bytes;
                parts.inbound.use_to(room.end);
                while !room.is_empty()
                    && let Some(input) = self.parts.locals.input(local)
                {
                    let message;
                    (message, room.start) = input.cut(&mut self.parts.store.memory, room.clone());
                    self.hand_on(local, message);
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                input.reading = Reading::Drained;
            }
            Err(error) => {
                input.reading = Reading::Failed;
                self.parts.input_failed(error);
            }
        }
    }

    fn hand_on(&mut self, local: LocalId, message: Option<Span>) {
        if let Some(span) = message {
            let spans = [span];
            self.mode
                .input(&mut self.parts, local, Message::new(&spans));
            self.parts.store.memory.release(span);
        }
    }
}

impl Context {
    /// Whether to read `local` now. A peer must be there to receive its bytes, unless a
    /// person types and no peer need come; and no peer that it feeds may be above its
    /// high-water mark.
    pub(in crate::endpoint) fn may_read_local(&self, local: LocalId) -> bool {
        let Some(input) = &self.locals.0[local.index()].input else {
            return false;
        };
        input.reading == Reading::Ready
            && self.flow.may_read_locals()
            && self.shutdown.reads_input()
            && (input.kind.terminal && self.shutdown.may_stay_alone()
                || input.empty && self.shutdown.has_served()
                || self.has_listeners())
    }

    /// Most bytes that one tick reads from `local`. Lines have a smaller bound, because
    /// each line may become a message for every peer.
    fn most_of_local(&mut self, local: LocalId) -> usize {
        let proved = self.roster.proved();
        match self.locals.input(local) {
            Some(input) if input.kind.cut == Cut::Lines => {
                (FAN_OUT / proved.max(1)).clamp(1, LINES_BUDGET)
            }
            _ => LOCAL_BUDGET,
        }
    }

    /// Whether a proved peer takes messages.
    fn has_listeners(&self) -> bool {
        let mut peers = self.roster.iter();
        self.roster.proved() > 0 && peers.any(|peer| peer.is_proved() && peer.takes_messages())
    }
}
