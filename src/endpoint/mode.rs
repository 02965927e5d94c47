//! What a mode implements: what is done with messages.
//!
//! A mode knows a peer by its [`PeerId`], and a message only during the call that hands it
//! over; it acts through the [`Context`] that
//! each call hands it. The modes of the program are in [`crate::modes`]; the load tester
//! has its own.

use super::Context;
use super::transport::{LocalId, PeerId};
use crate::conn::Outcome;
use crate::span::Span;
use crate::wire::hello::Service;

/// A whole message. It is valid during the call that gets it.
/// [`Context::pieces`] has its bytes; sending it keeps them without a copy.
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

    pub(super) fn spans(self) -> &'a [Span] {
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

/// Which queues a peer's messages fill. While one of them is above its high-water mark, the
/// peer is not read. A peer may also have to wait when memory is short, unless its messages
/// fill no queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receivers {
    /// The peer's own: answers.
    Sender,
    /// Those of all other peers.
    Others,
    /// That of a local, which in turn feeds all peers.
    Local(LocalId),
    /// That of the local that belongs to the peer, which in turn feeds that peer alone.
    Paired,
    /// No queue.
    Nobody,
}

/// When what came before a FIN counts as handed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandedOn {
    /// At once: it is counted, or queued for every receiver.
    Now,
    /// When this local has accepted everything queued for it by now. One that belongs to the
    /// peer must be [finished](Context::finish_local), and confirms it then, unless it has
    /// failed.
    Written(LocalId),
}

/// What is done with messages, and with peers that come and go.
pub trait Mode {
    /// Which queues hold a peer's messages. Asked once, when the endpoint is made.
    fn receivers(&self) -> Receivers;

    /// What clients ask for, and servers offer (`PROTOCOL.md` §1.2). Asked once, too.
    fn service(&self) -> Service {
        Service::Messages
    }

    /// `peer` is proved, or was dialled and is ready.
    fn joined(&mut self, _context: &mut Context, _peer: PeerId) {}

    /// `peer` sent `message`. If an answer is refused, for instance because the endpoint
    /// [is stopping](Context::is_stopping), abort the peer: otherwise DONE tells it that
    /// the message was handed on.
    fn message(&mut self, context: &mut Context, peer: PeerId, message: Message<'_>);

    /// `peer` has sent FIN. Returns when to answer it with DONE. The mode decides when our
    /// side [finishes](Context::finish): by default at once.
    fn fin(&mut self, context: &mut Context, peer: PeerId) -> HandedOn {
        context.finish(peer);
        HandedOn::Now
    }

    /// `peer`, which had joined, is gone.
    fn left(&mut self, _context: &mut Context, _peer: PeerId, _outcome: &Outcome) {}

    /// A local gave `message`: a line, or a piece of a stream.
    fn input(&mut self, _context: &mut Context, _local: LocalId, _message: Message<'_>) {}

    /// A local has ended.
    fn input_end(&mut self, _context: &mut Context, _local: LocalId) {}

    /// Called once in every tick, after everything that came in.
    fn tick(&mut self, _context: &mut Context) {}
}

impl<M: Mode + ?Sized> Mode for Box<M> {
    fn receivers(&self) -> Receivers {
        (**self).receivers()
    }

    fn service(&self) -> Service {
        (**self).service()
    }

    fn joined(&mut self, context: &mut Context, peer: PeerId) {
        (**self).joined(context, peer);
    }

    fn message(&mut self, context: &mut Context, peer: PeerId, message: Message<'_>) {
        (**self).message(context, peer, message);
    }

    fn fin(&mut self, context: &mut Context, peer: PeerId) -> HandedOn {
        (**self).fin(context, peer)
    }

    fn left(&mut self, context: &mut Context, peer: PeerId, outcome: &Outcome) {
        (**self).left(context, peer, outcome);
    }

    fn input(&mut self, context: &mut Context, local: LocalId, message: Message<'_>) {
        (**self).input(context, local, message);
    }

    fn input_end(&mut self, context: &mut Context, local: LocalId) {
        (**self).input_end(context, local);
    }

    fn tick(&mut self, context: &mut Context) {
        (**self).tick(context);
    }
}
