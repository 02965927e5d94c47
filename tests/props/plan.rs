//! A plan: what is sealed and opened together. It has some directions, each somewhere in its
//! sequence, and their records, which share source memory.
//!
//! It draws and runs no plan. Read next: [`crate::drawn`] and [`crate::batches`], which do.

use std::fmt;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sealwire::crypto::keys::epoch_of;
use sealwire::limits::{EPOCH_BITS, MAX_BLOCKS, RECORD_HEADER};
use sealwire::span::{Area, Areas, AreasMut, Span};
use sealwire::wire::record::{blocks_for, body_len};

use crate::plain::PlainKeys;

/// Upper bound of a plan's records.
pub(crate) const RECORDS: usize = 100;
/// Areas that records are opened in.
pub(crate) const OPENED_IN: usize = 3;
/// The byte around records, which must not change.
pub(crate) const AROUND: u8 = 0xa5;

/// What is sealed or opened together.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) directions: Vec<Direction>,
    pub(crate) sources: Memory,
    pub(crate) records: Vec<Record>,
}

/// One direction of some connection.
#[derive(Debug, Clone)]
pub(crate) struct Direction {
    /// The secret of the epoch of `first`.
    pub(crate) secret: [u8; 32],
    /// The sequence of its first record here.
    pub(crate) first: u64,
}

/// One record of a plan.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) direction: usize,
    pub(crate) sequence: u64,
    pub(crate) kind: u8,
    pub(crate) blocks: u16,
    pub(crate) payload: Span,
    /// Where its ciphertext and tag are among the sealed bytes.
    pub(crate) body: Span,
    /// Bytes between it and the record before it.
    pub(crate) gap: usize,
    /// The area that it is opened in.
    pub(crate) opened_in: Area,
}

/// A record that has no sequence and no place yet.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) direction: usize,
    pub(crate) kind: u8,
    /// Blocks beyond those that the payload needs.
    pub(crate) more_blocks: usize,
    pub(crate) payload: Span,
    pub(crate) gap: usize,
    pub(crate) opened_in: Area,
}

impl Plan {
    /// Gives each record its sequence, and its body a place behind the one before.
    pub(crate) fn new(
        directions: Vec<Direction>,
        sources: Memory,
        drafts: impl IntoIterator<Item = Draft>,
    ) -> Self {
        let mut next: Vec<u64> = directions.iter().map(|d| d.first).collect();
        let mut free = 0;
        let lay_out = |draft: Draft| {
            let blocks = usize::from(blocks_for(draft.payload.len())) + draft.more_blocks;
            let blocks = blocks.min(MAX_BLOCKS) as u16;
            let start = free + draft.gap;
            free = start + body_len(blocks);
            let sequence = next[draft.direction];
            next[draft.direction] += 1;
            Record {
                direction: draft.direction,
                sequence,
                kind: draft.kind,
                blocks,
                payload: draft.payload,
                body: Span::new(Area::ONLY, start..free),
                gap: draft.gap,
                opened_in: draft.opened_in,
            }
        };
        let records = drafts.into_iter().map(lay_out).collect();
        Self {
            directions,
            sources,
            records,
        }
    }

    /// Records with payloads of these lengths, in turn of three directions. One direction soon
    /// reaches an epoch's end.
    pub(crate) fn of_lengths(lengths: &[usize]) -> Self {
        let directions = [(1, 7), (2, (9 << EPOCH_BITS) - 2), (3, 5 << EPOCH_BITS)];
        let directions = directions.map(|(byte, first)| Direction {
            secret: [byte; 32],
            first,
        });
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let source = any_bytes(1, lengths.len() + longest);
        let drafts = lengths.iter().enumerate().map(|(n, &len)| Draft {
            direction: n % directions.len(),
            kind: 1 + (n % 7) as u8,
            more_blocks: 0,
            payload: Span::new(Area(0), n..n + len),
            gap: RECORD_HEADER,
            opened_in: Area((n % OPENED_IN) as u32),
        });
        Self::new(directions.to_vec(), Memory(vec![source]), drafts)
    }

    /// Payload, kind and padding.
    pub(crate) fn plaintext(&self, record: &Record) -> Vec<u8> {
        let mut text = [self.payload(record), &[record.kind]].concat();
        text.resize(usize::from(record.blocks) * 16, 0);
        text
    }

    fn payload(&self, record: &Record) -> &[u8] {
        &self.sources.area(record.payload.area)[record.payload.range()]
    }

    /// The keys of `record`.
    pub(crate) fn keys(&self, record: &Record) -> PlainKeys {
        let direction = &self.directions[record.direction];
        let later = epoch_of(record.sequence) - epoch_of(direction.first);
        PlainKeys::new(&direction.secret, later)
    }

    /// All records as the plain crates seal them, with the bytes around them.
    pub(crate) fn all_sealed(&self) -> Vec<u8> {
        let mut bytes = self.empty_output();
        for record in &self.records {
            let body = &mut bytes[record.body.range()];
            let payload = self.payload(record);
            let keys = self.keys(record);
            keys.seal(record.sequence, record.kind, payload, body);
        }
        bytes
    }

    /// Room for all records, filled with the byte that must stay around them.
    pub(crate) fn empty_output(&self) -> Vec<u8> {
        let end = self.records.last().map_or(0, |r| r.body.end());
        vec![AROUND; end + 2]
    }
}

/// Bytes in several areas, which their numbers name.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Memory(pub(crate) Vec<Vec<u8>>);

impl Areas for Memory {
    fn area(&self, area: Area) -> &[u8] {
        &self.0[area.0 as usize]
    }
}

impl AreasMut for Memory {
    fn area_mut(&mut self, area: Area) -> &mut [u8] {
        &mut self.0[area.0 as usize]
    }
}

/// Shows lengths only: a plan that fails has tens of thousands of bytes.
impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory")?;
        f.debug_list()
            .entries(self.0.iter().map(|area| area.len()))
            .finish()
    }
}

/// Bytes without a pattern, from a seed. Drawing each byte from proptest is slow.
pub(crate) fn any_bytes(seed: u32, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    StdRng::seed_from_u64(seed.into()).fill_bytes(&mut bytes);
    bytes
}
