//! The reading side of a local: what is read becomes messages here.
//!
//! What becomes of a message is up to the mode. Read next: `net::local` for the
//! descriptors.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
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
    /// Lines that were read, and are more than one tick may hand on.
    rest: VecDeque<u8>,
}

impl Input {
    pub(super) fn new(kind: InputKind) -> Self {
        Self {
            kind,
            reading: Reading::Ready,
            empty: false,
            given: 0,
            line: Vec::new(),
            rest: VecDeque::new(),
        }
    }

    /// Whether there is something to hand on, or a read is worth a try.
    pub(super) fn is_ready(&self) -> bool {
        self.reading == Reading::Ready || !self.rest.is_empty()
    }

    pub(super) fn has_ended(&self) -> bool {
        self.reading == Reading::Ended
    }

    /// A read is worth a try, unless it has ended.
    pub(super) fn retry(&mut self) {
        if self.reading == Reading::Drained {
            self.reading = Reading::Ready;
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
        (self.whole_line(memory), end)
    }

    /// Takes the next line off those that were read in an earlier tick, if it is whole. The
    /// caller releases its span.
    fn cut_rest(&mut self, memory: &mut Memory) -> Option<Span> {
        let newline = self.rest.iter().position(|&byte| byte == b'\n');
        let end = newline.map_or(self.rest.len(), |at| at + 1);
        self.line.extend(self.rest.drain(..end));
        self.whole_line(memory)
    }

    /// The line that was joined, if its end has come or it is too long.
    fn whole_line(&mut self, memory: &mut Memory) -> Option<Span> {
        let whole = self.line.ends_with(b"\n") || self.line.len() >= MAX_LINE;
        whole.then(|| self.take_line(memory)).flatten()
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

    /// Forgets what inputs that belong to no peer have given and nobody has got.
    pub(in crate::endpoint) fn forget_read(&mut self) {
        for id in self.shared.clone() {
            if let Some(input) = self.input(id) {
                input.line.clear();
                input.rest.clear();
            }
        }
    }
}

impl<M: Mode> Endpoint<M> {
    /// Says that reading from `local` is worth a try.
    pub fn local_readable(&mut self, local: LocalId) {
        if let Some(input) = self.parts.locals.input(local) {
            input.retry();
            self.parts.locals.list_to_read(local);
        }
    }

    /// Whether the input has ended, where one belongs to no peer.
    pub fn input_has_ended(&self) -> bool {
        self.parts.locals.input_has_ended()
    }

    /// Bytes that inputs which belong to no peer have given, such as what was typed.
    pub fn input_given(&self) -> u64 {
        self.parts.locals.inputs().map(|input| input.given).sum()
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
        for index in 0..self.parts.locals.shared().len() {
            let local = self.parts.locals.shared()[index];
            if self.parts.may_read_local(local) {
                self.read_local(local, io);
            }
        }
        self.read_pairs(io);
    }

    /// Reads a local that belongs to no peer.
    fn read_local(&mut self, local: LocalId, io: &mut impl Transport) {
        let parts = &mut self.parts;
        let most = (FAN_OUT / parts.roster.proved().max(1)).max(1);
        let Some(input) = parts.locals.input(local) else {
            return;
        };
        if !input.rest.is_empty() {
            return self.hand_on_rest(local, most);
        }
        let bytes = match input.kind.cut {
            Cut::Blocks => LOCAL_BUDGET.min(most.saturating_mul(STREAM_MESSAGE)),
            Cut::Lines => LINES_BUDGET,
        };
        match parts.read_input(local, bytes, io) {
            Came::Nothing => {}
            Came::Bytes(read) => self.hand_on_read(local, read, most),
            Came::End => {
                let input = parts.locals.input(local);
                let line = input.and_then(|input| input.take_line(&mut parts.store.memory));
                self.hand_on(local, line);
                self.mode.input_end(&mut self.parts, local);
                self.parts.input_ended();
            }
            Came::Failed(error) => parts.input_failed(error),
        }
    }

    /// Hands on the messages in `read` of the scratch, at most `most` of them. What is left is
    /// kept.
    pub(super) fn hand_on_read(&mut self, local: LocalId, mut read: Range<usize>, most: usize) {
        for _ in 0..most {
            let Some(input) = self.parts.locals.input(local).filter(|_| !read.is_empty()) else {
                return;
            };
            let message;
            (message, read.start) = input.cut(&mut self.parts.store.memory, read.clone());
            self.hand_on(local, message);
        }
        if let Some(input) = self.parts.locals.input(local) {
            input.rest.extend(&self.parts.store.memory.scratch[read]);
        }
    }

    /// Hands on lines that were read in an earlier tick, at most `most` of them.
    fn hand_on_rest(&mut self, local: LocalId, most: usize) {
        for _ in 0..most {
            let Some(input) = self
                .parts
                .locals
                .input(local)
                .filter(|input| !input.rest.is_empty())
            else {
                return;
            };
            let line = input.cut_rest(&mut self.parts.store.memory);
            self.hand_on(local, line);
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

/// What one read of a local brought.
#[derive(Debug)]
pub(super) enum Came {
    Nothing,
    /// These bytes of the scratch.
    Bytes(Range<usize>),
    End,
    Failed(io::Error),
}

impl Context {
    /// Reads at most `bytes` of `local` into the scratch, and notes how that went.
    pub(super) fn read_input(
        &mut self,
        local: LocalId,
        bytes: usize,
        io: &mut impl Transport,
    ) -> Came {
        let mut room = self.inbound.room(bytes);
        if room.is_empty() {
            // Others took all the room. This one is read in the next tick.
            return Came::Nothing;
        }
        let read = io.read_local(local, &mut self.store.memory.scratch[room.clone()]);
        let Some(input) = self.locals.input(local) else {
            return Came::Nothing;
        };
        match read {
            Ok(Read { bytes: 0, .. }) => {
                input.reading = Reading::Ended;
                Came::End
            }
            Ok(read) => {
                if read.drained {
                    input.reading = Reading::Drained;
                }
                input.given += read.bytes as u64;
                room.end = room.start + read.bytes;
                self.inbound.use_to(room.end);
                Came::Bytes(room)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                input.reading = Reading::Drained;
                Came::Nothing
            }
            Err(error) => {
                input.reading = Reading::Failed;
                Came::Failed(error)
            }
        }
    }

    /// Whether to read `local`, which belongs to no peer, now. A peer must be there to receive its bytes, unless a
    /// person types and no peer need come; and no peer that it feeds may be above its
    /// high-water mark.
    pub(in crate::endpoint) fn may_read_local(&self, local: LocalId) -> bool {
        let input = self
            .locals
            .get(local)
            .and_then(|local| local.input.as_ref());
        let Some(input) = input else {
            return false;
        };
        input.is_ready()
            && self.flow.may_read_locals()
            && self.shutdown.reads_input()
            && (input.kind.terminal && self.shutdown.may_stay_alone()
                || input.empty && self.shutdown.has_served()
                || self.has_listeners())
    }

    /// Whether a proved peer takes messages.
    fn has_listeners(&self) -> bool {
        let mut peers = self.roster.iter();
        self.roster.proved() > 0 && peers.any(|peer| peer.is_proved() && peer.takes_messages())
    }
}
