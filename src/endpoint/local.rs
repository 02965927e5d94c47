//! The plain side: streams such as stdin, stdout or a back-end socket.
//!
//! What is read becomes messages here; what is written is queued here, short
//! pieces of it together, as a stream has no messages. The descriptor itself is
//! the [transport](super::transport)'s.

use std::collections::VecDeque;

use super::queue::{Item, Nodes, Queue};
use super::screen::Screen;
use super::transport::PeerId;
use crate::limits::{MAX_PAYLOAD, SHORT};
use crate::span::Span;
use crate::wire::buffer::{BufferId, Memory};
use crate::wire::record::Kind;

/// How the bytes of a local become messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// As they come, in pieces of at most
    /// [`STREAM_MESSAGE`](crate::limits::STREAM_MESSAGE).
    Blocks,
    /// One line each, with its newline.
    Lines,
}

/// What reads from a local.
#[derive(Debug, Clone, Copy)]
pub struct InputKind {
    /// How it is cut.
    pub cut: Cut,
    /// Somebody types: it is read even when nobody is there, and to stop before
    /// its end loses nothing.
    pub terminal: bool,
}

/// What writes to a local are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputKind {
    /// A pipe, a file, a socket.
    Stream,
    /// Somebody reads along. What peers say is marked with their
    /// [names](super::Endpoint::set_name) and made harmless, and written in the tick after,
    /// when the user has been told of the peers that came.
    Terminal,
}

/// The reading side of a local.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) kind: InputKind,
    pub(super) ready: bool,
    pub(super) ended: bool,
    /// It has nothing to give but its end.
    pub(super) empty: bool,
    /// Reading it failed.
    pub(super) failed: bool,
    /// Bytes that it has given.
    pub(super) given: u64,
    /// A line whose end has not come yet.
    pub(super) line: Vec<u8>,
}

impl Input {
    pub(super) fn new(kind: InputKind) -> Self {
        Self {
            kind,
            ready: true,
            ended: false,
            empty: false,
            failed: false,
            given: 0,
            line: Vec::new(),
        }
    }
}

/// The writing side of a local.
///
/// Invariant: `open` is the buffer of the queue's last item, and ours alone.
#[derive(Debug)]
pub(super) struct Output {
    /// Where it is a terminal, how what waits is shown.
    pub(super) screen: Option<Screen>,
    pub(super) queue: Queue,
    /// Takes short pieces, behind those before it.
    open: Option<BufferId>,
    pub(super) blocked: bool,
    pub(super) congested: bool,
    /// Bytes ever queued, and done with.
    pub(super) queued: u64,
    pub(super) done: u64,
    /// Peers to be told when `done` has come as far as `queued` was.
    pub(super) waiting: VecDeque<(u64, PeerId)>,
}

impl Output {
    pub(super) fn new(kind: OutputKind) -> Self {
        Self {
            screen: (kind == OutputKind::Terminal).then(Screen::default),
            queue: Queue::default(),
            open: None,
            blocked: false,
            congested: false,
            queued: 0,
            done: 0,
            waiting: VecDeque::new(),
        }
    }

    /// Queues the bytes of `span`. Where something waits already, short pieces are
    /// copied together: a program that writes a few bytes at a time would fill the
    /// queue with what they cost besides.
    pub(super) fn push(&mut self, nodes: &mut Nodes, memory: &mut Memory, span: Span) {
        self.queued += span.len() as u64;
        if span.len() >= SHORT || self.queue.is_empty() {
            self.open = None;
            let kind = Kind::Part;
            return self.queue.push(nodes, memory, Item { span, kind });
        }
        let end = self.queue.back(nodes).map_or(0, |item| item.span.end());
        if let Some(buffer) = self.open
            && end + span.len() <= MAX_PAYLOAD
        {
            memory.copy(span, buffer, end);
            return self.queue.extend_last(nodes, span.len());
        }
        let buffer = memory.pool.take(MAX_PAYLOAD);
        memory.copy(span, buffer, 0);
        let span = Span::new(Memory::area_of(buffer), 0..span.len());
        let kind = Kind::Part;
        self.queue.push(nodes, memory, Item { span, kind });
        memory.release(span);
        self.open = Some(buffer);
    }

    /// What it takes in memory for what waits.
    pub(super) fn cost(&self) -> usize {
        self.queue.cost() + self.screen.as_ref().map_or(0, Screen::cost)
    }

    /// Takes `count` bytes off the queue: they are written.
    pub(super) fn written(&mut self, nodes: &mut Nodes, memory: &mut Memory, count: usize) {
        self.queue.consume(nodes, memory, count);
        self.done += count as u64;
        if self.queue.is_empty() {
            self.open = None;
        }
    }

    /// Drops everything: it counts as written, and nobody is told.
    pub(super) fn drop_all(&mut self, nodes: &mut Nodes, memory: &mut Memory) {
        self.queue.clear(nodes, memory);
        self.open = None;
        if let Some(screen) = &mut self.screen {
            screen.clear();
        }
        self.waiting.clear();
        self.done = self.queued;
    }
}

/// One local.
#[derive(Debug)]
pub(super) struct Local {
    pub(super) input: Option<Input>,
    pub(super) output: Option<Output>,
}

impl Local {
    /// Whether something waits for it that it would take.
    pub(super) fn may_be_written(&self) -> bool {
        let output = self.output.as_ref();
        output.is_some_and(|output| !output.blocked && !output.queue.is_empty())
    }
}
