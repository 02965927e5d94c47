//! The layout of a native record (`PROTOCOL.md` §1.3): its length field, its
//! kind and its padding; and which records a message is cut into.
//!
//! It knows neither sequence nor keys. Read next: [`crate::conn`], which counts records;
//! [`crate::crypto::batch`], which seals them.

use std::ops::Range;

use crate::error::PeerFault;
use crate::limits::{BLOCK, MAX_ABORT, MAX_BLOCKS, MAX_PAYLOAD, PACK_LENGTH, RECORD_HEADER, TAG};

/// What a record is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A chunk of a message; more follow.
    Part = 1,
    /// The last chunk of a message.
    End = 2,
    /// This direction has finished sending.
    Fin = 3,
    /// Asks for a [`Kind::Pong`].
    Ping = 4,
    /// Answers one or several [`Kind::Ping`]s.
    Pong = 5,
    /// Everything before the other's FIN has been handed on.
    Done = 6,
    /// The sender gives up.
    Abort = 7,
    /// Short whole messages: [`pack`](super::pack) has its payload.
    Pack = 8,
}

impl Kind {
    fn parse(number: u8, len: usize) -> Result<Self, PeerFault> {
        let (kind, allowed) = match number {
            1 => (Self::Part, 1..=MAX_PAYLOAD),
            2 => (Self::End, 0..=MAX_PAYLOAD),
            3 => (Self::Fin, 0..=0),
            4 => (Self::Ping, 0..=0),
            5 => (Self::Pong, 0..=0),
            6 => (Self::Done, 0..=0),
            7 => (Self::Abort, 1..=MAX_ABORT),
            8 => (Self::Pack, 2 * PACK_LENGTH..=MAX_PAYLOAD),
            other => return Err(PeerFault::Kind(other)),
        };
        if allowed.contains(&len) {
            Ok(kind)
        } else {
            Err(PeerFault::Payload { kind: number, len })
        }
    }
}

/// The chunks of a message of `len` bytes, in order, each with its kind. An empty message
/// is one empty chunk. All but the last are full, so a message that
/// [`Assembly`](super::buffer::Assembly) joins is cut again at the same places.
pub fn cut(len: usize) -> impl DoubleEndedIterator<Item = (Range<usize>, Kind)> {
    let count = len.div_ceil(MAX_PAYLOAD).max(1);
    (0..count).map(move |i| {
        let start = i * MAX_PAYLOAD;
        let kind = match i + 1 == count {
            true => Kind::End,
            false => Kind::Part,
        };
        (start..len.min(start + MAX_PAYLOAD), kind)
    })
}

/// Blocks of the shortest record that carries `payload` bytes and their kind.
///
/// # Panics
///
/// If `payload` is over [`MAX_PAYLOAD`].
pub fn blocks_for(payload: usize) -> u16 {
    assert!(payload <= MAX_PAYLOAD, "a chunk was not cut");
    (payload / BLOCK + 1) as u16
}

/// Bytes of a record's ciphertext and tag, for a length field of `blocks`.
pub fn body_len(blocks: u16) -> usize {
    usize::from(blocks) * BLOCK + TAG
}

/// Bytes of a whole record of `blocks`.
pub fn record_len(blocks: u16) -> usize {
    RECORD_HEADER + body_len(blocks)
}

/// Bytes of the shortest record that carries `payload` bytes.
pub fn len_for(payload: usize) -> usize {
    record_len(blocks_for(payload))
}

/// Reads the length field at the start of `bytes`: `None` while it is not
/// whole.
pub fn parse_blocks(bytes: &[u8]) -> Result<Option<u16>, PeerFault> {
    let Some(field) = bytes.first_chunk::<RECORD_HEADER>() else {
        return Ok(None);
    };
    let blocks = u16::from_be_bytes(*field);
    if blocks == 0 || usize::from(blocks) > MAX_BLOCKS {
        return Err(PeerFault::Blocks(blocks));
    }
    Ok(Some(blocks))
}

/// Where the last byte that is not zero is. A block at a time: small messages are
/// mostly this.
fn last_not_zero(plaintext: &[u8]) -> Option<usize> {
    let (blocks, rest) = plaintext.as_chunks::<BLOCK>();
    if let Some(at) = rest.iter().rposition(|&byte| byte != 0) {
        return Some(blocks.len() * BLOCK + at);
    }
    let zero = |block: &[u8; BLOCK]| u128::from_le_bytes(*block) == 0;
    let last = blocks.iter().rposition(|block| !zero(block))?;
    let zeros = u128::from_le_bytes(blocks[last]).leading_zeros() / u8::BITS;
    Some((last + 1) * BLOCK - 1 - zeros as usize)
}

/// Splits a decrypted record into its kind and the length of its payload, which
/// starts at the plaintext's first byte.
pub fn parse_plaintext(plaintext: &[u8]) -> Result<(Kind, usize), PeerFault> {
    let len = last_not_zero(plaintext).ok_or(PeerFault::NoKind)?;
    if len > MAX_PAYLOAD {
        return Err(PeerFault::LongPayload(len));
    }
    Ok((Kind::parse(plaintext[len], len)?, len))
}
