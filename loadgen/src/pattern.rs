//! What messages are made of: parts of one random pattern.
//!
//! The pattern is kept once and messages refer to it, so that no message is
//! copied; where a message begins in it tells whose it is and which, so that a
//! reply that is another's, or comes twice or out of order, does not compare
//! equal.

use rand::Rng;
use sealwire::endpoint::Core;
use sealwire::endpoint::mode::Message;
use sealwire::span::Span;

use crate::limits::PLACES;

/// How far apart the beginnings of successive messages are, and the first
/// messages of successive peers, counted in messages; no factors in common with
/// the number of places, which is prime.
const STRIDE: u64 = 4099;
const PEER_STRIDE: u64 = 7919;

/// The bytes that all messages are parts of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pattern {
    whole: Span,
    size: usize,
}

impl Pattern {
    /// A pattern, kept in `core`, for messages of `size` bytes.
    pub(crate) fn new(core: &mut Core, size: usize) -> Self {
        let mut bytes = vec![0; size + PLACES];
        rand::rng().fill_bytes(&mut bytes);
        let whole = core.pin(&bytes);
        Self { whole, size }
    }

    /// Message `index` of peer `number`.
    pub(crate) fn message(&self, number: u64, index: u64) -> Span {
        let step = number.wrapping_mul(PEER_STRIDE).wrapping_add(index) % PLACES as u64;
        let place = (step * STRIDE % PLACES as u64) as usize;
        self.whole.slice(place..place + self.size)
    }
}

/// Whether `message` is the bytes of `span`.
pub(crate) fn equals(core: &Core, message: Message<'_>, span: Span) -> bool {
    let mut wanted = core.bytes(span);
    message.len() == wanted.len()
        && message.spans().iter().all(|&part| {
            let (here, rest) = wanted.split_at(part.len());
            wanted = rest;
            core.bytes(part) == here
        })
}
