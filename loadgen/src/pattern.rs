//! What messages are made of: parts of one random pattern.
//!
//! The pattern is kept once and messages refer to it, so that no message is
//! copied; where a message begins in it tells whose it is and which, so that a
//! reply that is another's, or comes twice or out of order, does not compare
//! equal.

use rand::Rng;
use sealwire::endpoint::Core;
use sealwire::endpoint::mode::Message;
use sealwire::endpoint::transport::PeerId;
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

    /// Message `index` of `peer`.
    pub(crate) fn message(&self, peer: PeerId, index: u64) -> Span {
        let first = peer.as_u64() % PLACES as u64 * PEER_STRIDE;
        let step = (first + index) % PLACES as u64;
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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use sealwire::span::Area;

    use super::*;

    const SIZE: usize = 100;

    fn pattern() -> Pattern {
        Pattern {
            whole: Span::new(Area(0), 0..SIZE + PLACES),
            size: SIZE,
        }
    }

    /// Goal: messages of one peer do not repeat within all places. Method: as
    /// many of them.
    #[test]
    fn messages_of_a_peer_differ() {
        let peer = PeerId::from_u64(3 << 32 | 2);
        let messages = (0..PLACES as u64).map(|index| pattern().message(peer, index));
        let places: HashSet<_> = messages.map(|message| message.offset).collect();
        assert_eq!(places.len(), PLACES);
        let last = pattern().message(peer, u64::from(u32::MAX));
        assert_eq!(last.len(), SIZE);
    }

    /// Goal: no two peers send the same at once. Method: the first message of
    /// many peers, as the endpoint numbers them.
    #[test]
    fn messages_of_peers_differ() {
        let peers = (0..20_000).map(|slot: u64| PeerId::from_u64((slot + 1) << 32 | slot));
        let places = peers.map(|peer| pattern().message(peer, 0).offset);
        assert_eq!(places.collect::<HashSet<_>>().len(), 20_000);
    }
}
