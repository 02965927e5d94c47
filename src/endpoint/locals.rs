//! The plain side: streams such as a pipe, a terminal or a back-end socket.
//!
//! What is read becomes messages here. What is written is queued here, and short pieces
//! are joined, because a stream has no messages. Descriptors belong to the
//! [transport](super::transport), and what becomes of a message is up to the mode.
//! Read next: [`super::screen`] for terminals, `net::local` for the descriptors.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::ops::Range;
use std::sync::Arc;

use super::mode::{Message, Mode};
use super::queue::{Item, Queue, Store};
use super::screen::Screen;
use super::transport::{LocalId, PeerId, Read, Transport};
use super::{Context, Endpoint};
use crate::limits::{
    FAN_OUT, GATHER, LINES_BUDGET, LOCAL_BUDGET, MAX_LINE, MAX_PAYLOAD, SHORT, STREAM_MESSAGE,
};
use crate::span::{Area, Span};
use crate::wire::buffer::Memory;
use crate::wire::record::Kind;

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

/// What a local writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputKind {
    /// A pipe, a file, a socket.
    Stream,
    /// A person reads. What peers send is marked with their
    /// [names](super::Endpoint::set_name) and made harmless. It is written in the next
    /// tick, after the notice of each peer that came.
    Terminal,
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
struct Input {
    kind: InputKind,
    reading: Reading,
    /// It is empty: the next read finds its end.
    empty: bool,
    given: u64,
    /// A line whose end has not come yet.
    line: Vec<u8>,
}

/// The writing side of a local.
///
/// Invariant: `open` is the buffer of the queue's last item, and ours alone.
#[derive(Debug, Default)]
struct Output {
    /// For a terminal: how to show what waits.
    screen: Option<Screen>,
    queue: Queue,
    /// Takes short pieces, behind those before it.
    open: Option<Area>,
    blocked: bool,
    congested: bool,
    /// Bytes that were queued since the start, and how many of them are done with.
    queued: u64,
    done: u64,
    /// Peers to tell when `done` has come as far as `queued` was.
    waiting: VecDeque<(u64, PeerId)>,
}

impl Input {
    fn new(kind: InputKind) -> Self {
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

impl Output {
    fn new(kind: OutputKind) -> Self {
        Self {
            screen: (kind == OutputKind::Terminal).then(Screen::default),
            ..Self::default()
        }
    }

    /// Whether something waits and a write is worth a try.
    fn may_be_written(&self) -> bool {
        !self.blocked && !self.queue.is_empty()
    }

    /// Queues the bytes of `span`. Where something waits already, short pieces are
    /// copied together. Otherwise the items of a peer that writes a few bytes at a time
    /// would take more memory than its bytes.
    fn push(&mut self, store: &mut Store, span: Span) {
        self.queued += span.len() as u64;
        let kind = Kind::Part;
        if span.len() >= SHORT || self.queue.is_empty() {
            self.open = None;
            return self.queue.push(store, Item { span, kind });
        }
        let end = self.queue.back(store).map_or(0, |item| item.span.end());
        if let Some(buffer) = self.open
            && end + span.len() <= MAX_PAYLOAD
        {
            store.memory.copy(span, buffer, end);
            return self.queue.extend_last(store, span.len());
        }
        let buffer = store.memory.take(MAX_PAYLOAD);
        store.memory.copy(span, buffer.area, 0);
        let span = buffer.slice(0..span.len());
        self.queue.push(store, Item { span, kind });
        store.memory.release(buffer);
        self.open = Some(buffer.area);
    }

    /// Memory that what waits takes.
    fn cost(&self) -> usize {
        self.queue.cost() + self.screen.as_ref().map_or(0, Screen::cost)
    }

    /// Writes some of what is queued. Returns whether the local accepted any of it.
    fn write(
        &mut self,
        local: LocalId,
        store: &mut Store,
        io: &mut impl Transport,
    ) -> io::Result<bool> {
        if !self.may_be_written() {
            return Ok(false);
        }
        let items = self.queue.iter(store);
        let waiting = items.map(|item| store.memory.bytes(item.span));
        let result = match &mut self.screen {
            None => {
                let mut slices = [IoSlice::new(&[]); GATHER];
                let mut used = 0;
                for (slice, bytes) in slices.iter_mut().zip(waiting) {
                    *slice = IoSlice::new(bytes);
                    used += 1;
                }
                io.write_local(local, &slices[..used])
            }
            Some(screen) => {
                let piece = screen.piece(self.done, self.queued, waiting);
                let taken = io.write_local(local, &[IoSlice::new(piece)]);
                taken.map(|count| screen.written(count))
            }
        };
        match result {
            Ok(count) => {
                self.queue.consume(store, count);
                self.done += count as u64;
                if self.queue.is_empty() {
                    self.open = None;
                }
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.blocked = true;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}

/// One local: it is read, written, or both.
#[derive(Debug)]
struct Local {
    input: Option<Input>,
    output: Option<Output>,
}

/// All locals of an endpoint.
#[derive(Debug, Default)]
pub(super) struct Locals(Vec<Local>);

impl Locals {
    pub(super) fn ids(&self) -> impl Iterator<Item = LocalId> + use<> {
        (0..self.0.len() as u32).map(LocalId)
    }

    fn input(&mut self, local: LocalId) -> Option<&mut Input> {
        self.0.get_mut(local.index())?.input.as_mut()
    }

    fn output(&mut self, local: LocalId) -> Option<&mut Output> {
        self.0.get_mut(local.index())?.output.as_mut()
    }

    fn inputs(&self) -> impl Iterator<Item = &Input> {
        self.0.iter().filter_map(|local| local.input.as_ref())
    }

    fn outputs(&self) -> impl Iterator<Item = &Output> {
        self.0.iter().filter_map(|local| local.output.as_ref())
    }

    // ---- reading ---------------------------------------------------------

    /// Whether stopping now would cut off a pipe or file that has not ended.
    pub(super) fn input_is_open(&self) -> bool {
        self.inputs()
            .any(|input| !input.kind.terminal && input.reading != Reading::Ended)
    }

    /// Whether the input has ended, where there is one.
    pub(super) fn input_has_ended(&self) -> bool {
        self.inputs().any(|input| input.reading == Reading::Ended)
    }

    /// Bytes that a pipe or file has given.
    pub(super) fn given(&self) -> u64 {
        let piped = self.inputs().filter(|input| !input.kind.terminal);
        piped.map(|input| input.given).sum()
    }

    // ---- writing ---------------------------------------------------------

    /// Queues `message` from the peer called `name`.
    pub(super) fn push(
        &mut self,
        local: LocalId,
        store: &mut Store,
        name: Option<Arc<str>>,
        message: Message<'_>,
    ) {
        let Some(output) = self.output(local) else {
            return;
        };
        if message.is_empty() {
            return;
        }
        if let Some(screen) = &mut output.screen {
            screen.begin(output.queued, name.unwrap_or_else(|| "a peer".into()));
        }
        for &span in message.spans().iter().filter(|span| !span.is_empty()) {
            output.push(store, span);
        }
    }

    /// Whether something waits for a local and a write is worth a try.
    pub(super) fn may_be_written(&self) -> bool {
        self.outputs().any(Output::may_be_written)
    }

    /// Whether every local has accepted all that was queued for it.
    pub(super) fn have_all(&self) -> bool {
        self.outputs().all(|output| output.queue.is_empty())
    }

    pub(super) fn is_congested(&self, local: LocalId) -> bool {
        let output = self.0[local.index()].output.as_ref();
        output.is_some_and(|output| output.congested)
    }

    /// Notes whether the queue is above the high-water mark. Returns whether it has just
    /// fallen below it.
    pub(super) fn measure(&mut self, local: LocalId, high_water: usize) -> bool {
        let Some(output) = self.output(local) else {
            return false;
        };
        let congested = output.cost() >= high_water;
        std::mem::replace(&mut output.congested, congested) && !congested
    }

    /// Makes `peer` wait until `local` has accepted all that is queued by now. Returns
    /// whether anything is queued.
    pub(super) fn must_wait(&mut self, local: LocalId, peer: PeerId) -> bool {
        let Some(output) = self.output(local) else {
            return false;
        };
        let waits = output.done < output.queued;
        if waits {
            output.waiting.push_back((output.queued, peer));
        }
        waits
    }

    /// The next peer whose last bytes `local` has accepted.
    fn next_written(&mut self, local: LocalId) -> Option<PeerId> {
        let output = self.output(local)?;
        let &(mark, peer) = output.waiting.front()?;
        if output.done < mark {
            return None;
        }
        output.waiting.pop_front();
        Some(peer)
    }

    /// A peer is gone, and does not wait any more.
    pub(super) fn forget(&mut self, gone: PeerId) {
        for output in self.0.iter_mut().filter_map(|local| local.output.as_mut()) {
            output.waiting.retain(|&(_, peer)| peer != gone);
        }
    }

    /// Drops all that is queued for `local`: it counts as written, and no peer is told.
    pub(super) fn drop_output(&mut self, local: LocalId, store: &mut Store) {
        let Some(output) = self.output(local) else {
            return;
        };
        output.queue.clear(store);
        output.open = None;
        output.screen = output.screen.take().map(|_| Screen::default());
        output.waiting.clear();
        output.done = output.queued;
    }
}

impl<M: Mode> Endpoint<M> {
    /// Adds a local that is read, written, or both. The first is
    /// [index](LocalId::index) 0.
    pub fn add_local(&mut self, input: Option<InputKind>, output: Option<OutputKind>) -> LocalId {
        let locals = &mut self.parts.locals.0;
        locals.push(Local {
            input: input.map(Input::new),
            output: output.map(Output::new),
        });
        LocalId(locals.len() as u32 - 1)
    }

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

    /// Says that writing to `local` is worth a try.
    pub fn local_writable(&mut self, local: LocalId) {
        if let Some(output) = self.parts.locals.output(local) {
            output.blocked = false;
        }
    }

    /// Reads every local that may be read, and hands on what it gave.
    pub(super) fn read_locals(&mut self, io: &mut impl Transport) {
        for local in self.parts.locals.ids() {
            if self.parts.may_read_local(local) {
                self.read_local(local, io);
            }
        }
    }

    fn read_local(&mut self, local: LocalId, io: &mut impl Transport) {
        let parts = &mut self.parts;
        let most = parts.most_of_local(local);
        let mut room = parts.inbound.room(most, &parts.store.memory);
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
    /// Writes what is queued for locals of this kind, for as long as they accept it.
    pub(super) fn write_locals(&mut self, kind: OutputKind, io: &mut impl Transport) {
        for local in self.locals.ids() {
            while let Some(output) = self.locals.output(local)
                && output.screen.is_some() == (kind == OutputKind::Terminal)
            {
                match output.write(local, &mut self.store, io) {
                    Ok(true) => self.note_written(local),
                    Ok(false) => break,
                    Err(error) => {
                        self.output_failed(local, error);
                        break;
                    }
                }
            }
        }
    }

    /// Tells peers whose last bytes `local` has accepted.
    fn note_written(&mut self, local: LocalId) {
        self.measure_local(local);
        while let Some(peer) = self.locals.next_written(local) {
            self.handed_on(peer);
        }
    }

    /// Whether to read `local` now. A peer must be there to receive its bytes, unless a
    /// person types and no peer need come; and no peer that it feeds may be above its
    /// high-water mark.
    pub(super) fn may_read_local(&self, local: LocalId) -> bool {
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
