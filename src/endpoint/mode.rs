//! What a mode implements: what is done with messages.
//!
//! A mode sees peers by name and messages by span; it sends through the
//! [`Core`] that it is handed. The modes of the program are in
//! [`crate::modes`]; the load tester has its own.

use super::Core;
use super::transport::{LocalId, PeerId};
use crate::conn::Outcome;
use crate::span::Span;

/// A whole message: its bytes, in order, as the spans they are in. They are
/// there for as long as the call lasts; sending holds on to them without a copy.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    spans: &'a [Span],
}

impl<'a> Message<'a> {
    /// The message that `spans` make up; at least one, which may be empty.
    pub(super) fn new(spans: &'a [Span]) -> Self {
        assert!(!spans.is_empty(), "an empty message is one empty span");
        Self { spans }
    }

    /// Where its bytes are.
    pub fn spans(self) -> &'a [Span] {
        self.spans
    }

    /// How many bytes.
    pub fn len(self) -> usize {
        self.spans.iter().map(|span| span.len()).sum()
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// Whose queues a peer's messages end up in: while one of those is above high
/// water the peer is not read. Nor is it, unless it fills nobody's, when memory is
/// short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receivers {
    /// The peer's own: answers.
    Sender,
    /// Those of all other peers.
    Others,
    /// That of a local, which in turn feeds all peers.
    Local(LocalId),
    /// Nobody's.
    Nobody,
}

/// When what came before a FIN counts as handed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandedOn {
    /// It does: it is counted, or queued for every receiver.
    Now,
    /// When this local has taken everything queued for it by now.
    Written(LocalId),
}

/// What is done with messages, and with who comes and goes.
pub trait Mode {
    /// Whose queues hold a peer's messages.
    fn receivers(&self) -> Receivers;

    /// `peer` is proved, or was dialled and is ready.
    fn joined(&mut self, _core: &mut Core, _peer: PeerId) {}

    /// `peer` said `message`.
    fn message(&mut self, core: &mut Core, peer: PeerId, message: Message<'_>);

    /// `peer` has said all. Once that counts as handed on, it is told so; when our
    /// side [finishes](Core::finish) is up to the mode.
    fn fin(&mut self, core: &mut Core, peer: PeerId) -> HandedOn;

    /// `peer`, which had joined, is gone.
    fn left(&mut self, _core: &mut Core, _peer: PeerId, _outcome: &Outcome) {}

    /// A local gave `message`: a line, or a piece of a stream.
    fn input(&mut self, _core: &mut Core, _local: LocalId, _message: Message<'_>) {}

    /// A local has given all.
    fn input_end(&mut self, _core: &mut Core, _local: LocalId) {}

    /// Called once in every tick, behind what came in.
    fn turn(&mut self, _core: &mut Core) {}
}

impl<M: Mode + ?Sized> Mode for Box<M> {
    fn receivers(&self) -> Receivers {
        (**self).receivers()
    }

    fn joined(&mut self, core: &mut Core, peer: PeerId) {
        (**self).joined(core, peer);
    }

    fn message(&mut self, core: &mut Core, peer: PeerId, message: Message<'_>) {
        (**self).message(core, peer, message);
    }

    fn fin(&mut self, core: &mut Core, peer: PeerId) -> HandedOn {
        (**self).fin(core, peer)
    }

    fn left(&mut self, core: &mut Core, peer: PeerId, outcome: &Outcome) {
        (**self).left(core, peer, outcome);
    }

    fn input(&mut self, core: &mut Core, local: LocalId, message: Message<'_>) {
        (**self).input(core, local, message);
    }

    fn input_end(&mut self, core: &mut Core, local: LocalId) {
        (**self).input_end(core, local);
    }

    fn turn(&mut self, core: &mut Core) {
        (**self).turn(core);
    }
}
