//! The content of messages: parts of one random pattern.
//!
//! Messages refer to the pattern, so that none is copied. Each peer's messages begin at places
//! of their own, so that a reply that belongs to another peer or message does not compare equal.

use std::ops::Range;
use std::sync::Arc;

use rand::Rng as _;

use crate::limits::PLACES;

/// The distance of successive messages, in places; and of successive peers' first messages, in
/// messages. The number of places is prime, so any distance visits all of them.
const STRIDE: u64 = 4099;
const PEER_STRIDE: u64 = 7919;

#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    bytes: Arc<[u8]>,
    size: usize,
}

impl Pattern {
    pub(crate) fn new(size: usize) -> Self {
        let mut bytes = vec![0; size + PLACES];
        rand::rng().fill_bytes(&mut bytes);
        Self {
            bytes: bytes.into(),
            size,
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where message `index` of peer `peer` is.
    pub(crate) fn part(&self, peer: usize, index: u64) -> Range<usize> {
        let first = peer as u64 % PLACES as u64 * PEER_STRIDE;
        self.at((first + index) % PLACES as u64)
    }

    /// Where the message is that comes `step` messages after the very first one.
    pub(crate) fn at(&self, step: u64) -> Range<usize> {
        let place = (step * STRIDE % PLACES as u64) as usize;
        place..place + self.size
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// Goal: messages of one peer repeat only after all places, and no two peers send the same one
    /// at once. Method: as many messages as there are places; the first of many peers.
    #[test]
    fn messages_differ() {
        let pattern = Pattern::new(100);
        let messages = (0..PLACES as u64).map(|index| pattern.part(2, index));
        let places: HashSet<_> = messages.collect();
        assert_eq!(places.len(), PLACES);
        let last = pattern.part(2, u64::from(u32::MAX));
        assert_eq!(last.len(), 100);
        assert!(last.end <= pattern.bytes().len());
        let places = (0..20_000).map(|peer| pattern.part(peer, 0));
        assert_eq!(places.collect::<HashSet<_>>().len(), 20_000);
    }
}
