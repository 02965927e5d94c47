//! The payload of a PACK (`PROTOCOL.md` §1.3): its layout, and how many messages go into one.
//!
//! It has no queue, and knows no order of records. Read next: `endpoint::packing`, which
//! takes messages from a queue.

use std::ops::Range;

use super::record;
use crate::error::PeerFault;
use crate::limits::{
    LEAST_PACK, MAX_PACKED, MAX_PAYLOAD, MIN_RECORD, PACK_LANES, PACK_LENGTH, PACK_UP_TO,
};

/// The length field in front of a message.
///
/// # Panics
///
/// If `len` is over [`MAX_PAYLOAD`].
pub(crate) fn length_field(len: usize) -> [u8; PACK_LENGTH] {
    assert!(len <= MAX_PAYLOAD, "a packed message is short");
    (len as u16).to_be_bytes()
}

/// Reads the messages of a pack one by one.
///
/// Invariant: the lengths of its payload fill it exactly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackReader {
    at: usize,
    end: usize,
}

impl PackReader {
    /// Checks a whole payload, so that a pack that does not parse hands nothing on.
    pub fn new(payload: &[u8]) -> Result<Self, PeerFault> {
        let end = payload.len();
        let mut reader = Self { at: 0, end };
        let mut count = 0;
        while reader.next(payload).is_some() {
            count += 1;
        }
        if reader.at != end || !(2..=MAX_PACKED).contains(&count) {
            return Err(PeerFault::Pack);
        }
        Ok(Self { at: 0, end })
    }

    /// Whether all messages were read.
    pub fn is_done(&self) -> bool {
        self.at == self.end
    }

    /// The range of the next message in `payload`, which was checked.
    pub fn next(&mut self, payload: &[u8]) -> Option<Range<usize>> {
        let length = payload[..self.end].get(self.at..)?.first_chunk()?;
        let start = self.at + PACK_LENGTH;
        self.at = start + usize::from(u16::from_be_bytes(*length));
        Some(start..self.at)
    }
}

/// After how many bytes a pack for one of `peers` is closed, when packs of all that waits for
/// each of them would have `waiting` bytes. Records are sealed and opened side by side, so few
/// peers get several short packs each, and not one long one.
pub(crate) fn target_len(waiting: usize, peers: usize) -> usize {
    let target = waiting.saturating_mul(peers).div_ceil(PACK_LANES);
    target.clamp(LEAST_PACK, MAX_PAYLOAD)
}

/// How many of the next messages, which have these lengths, go into one pack: short ones, at
/// most `most`, until the payload has `target` bytes. The pack's record has at most `room`
/// bytes, and so would have the shortest records of as many messages alone.
pub(crate) fn count(
    lens: impl Iterator<Item = usize>,
    most: usize,
    target: usize,
    room: usize,
) -> usize {
    let most = most.min(MAX_PACKED).min(room / MIN_RECORD);
    let mut payload = 0;
    let goes_in = |&len: &usize| {
        let open = payload < target;
        payload += PACK_LENGTH + len;
        open && len <= PACK_UP_TO && payload <= MAX_PAYLOAD && record::len_for(payload) <= room
    };
    lens.take(most).take_while(goes_in).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many packs all of `waiting` messages of 64 bytes make, for each of `peers`.
    fn packs(mut waiting: usize, peers: usize) -> usize {
        let target = target_len(waiting * (PACK_LENGTH + 64), peers);
        let mut packs = 0;
        while waiting > 0 {
            let lens = std::iter::repeat_n(64, waiting);
            waiting -= count(lens, MAX_PACKED, target, usize::MAX);
            packs += 1;
        }
        packs
    }

    /// Goal: the lanes stay full. Method: the messages of one peer go into records side by
    /// side, a set at most; those of each of many peers go into one record.
    #[test]
    fn packs_fill_the_lanes() {
        assert_eq!(packs(1000, 1), PACK_LANES);
        assert_eq!(packs(32, 64), 1);
        assert_eq!(packs(15, 1), 1, "too few to divide");
    }
}
