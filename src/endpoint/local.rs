//! The plain side: streams such as stdin, stdout or a back-end socket.
//!
//! What is read becomes messages here; what is written is queued here. The
//! descriptor itself is the [transport](super::transport)'s.

use std::collections::VecDeque;

use super::queue::Queue;
use super::transport::PeerId;

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

/// The reading side of a local.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) kind: InputKind,
    pub(super) ready: bool,
    pub(super) ended: bool,
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
            failed: false,
            given: 0,
            line: Vec::new(),
        }
    }
}

/// The writing side of a local.
#[derive(Debug, Default)]
pub(super) struct Output {
    pub(super) queue: Queue,
    pub(super) blocked: bool,
    pub(super) congested: bool,
    /// Bytes ever queued, and ever written.
    pub(super) queued: u64,
    pub(super) written: u64,
    /// Peers to be told when `written` has come as far as `queued` was.
    pub(super) waiting: VecDeque<(u64, PeerId)>,
}

/// One local.
#[derive(Debug)]
pub(super) struct Local {
    pub(super) input: Option<Input>,
    pub(super) output: Option<Output>,
}
