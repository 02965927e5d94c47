//! Any batch: some directions, each somewhere in its sequence, and records of
//! theirs that share source memory.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use sealwire::crypto::batch::SealJob;
use sealwire::crypto::kernel::Kernel;
use sealwire::crypto::keys::{Handle, KeyStore, RecordKeys, epoch_of};
use sealwire::limits::{EPOCH_BITS, LAST_SEQUENCE, MAX_BLOCKS, MAX_PAYLOAD, RECORD_HEADER};
use sealwire::span::{Area, Areas, Span};
use sealwire::wire::record::{blocks_for, body_len};

use crate::oracle;

/// Most records of a plan.
const RECORDS: usize = 24;

/// What is sealed or opened together.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    directions: Vec<Direction>,
    sources: Sources,
    pub(crate) records: Vec<Record>,
}

/// One direction of some connection.
#[derive(Debug, Clone)]
struct Direction {
    /// Of the epoch of `first`.
    secret: [u8; 32],
    /// The sequence of its first record here.
    first: u64,
}

/// One record of a plan.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) direction: usize,
    pub(crate) sequence: u64,
    pub(crate) kind: u8,
    pub(crate) blocks: u16,
    payload: Span,
    /// Where its ciphertext and tag are in the bytes of all.
    pub(crate) body: Span,
}

/// Memory that payloads are taken from; its number names each area.
#[derive(Debug, Clone)]
struct Sources(Vec<Vec<u8>>);

impl Areas for Sources {
    fn area(&self, area: Area) -> &[u8] {
        &self.0[area.0 as usize]
    }
}

impl Plan {
    /// Installs every direction in a new store, with what its records need.
    pub(crate) fn install<K: RecordKeys>(&self) -> (KeyStore<K>, Vec<Handle>) {
        let mut store = KeyStore::new(Kernel::chosen().unwrap());
        let install = |d: &Direction| store.install(&d.secret, epoch_of(d.first));
        let handles: Vec<Handle> = self.directions.iter().map(install).collect();
        for record in &self.records {
            store.prepare(&handles[record.direction], record.sequence);
        }
        (store, handles)
    }

    /// What `record` is to seal.
    pub(crate) fn seal_job(&self, record: &Record, handles: &[Handle]) -> SealJob {
        SealJob {
            key: handles[record.direction].id(),
            sequence: record.sequence,
            kind: record.kind,
            blocks: record.blocks,
            payload: record.payload,
            body: record.body.range().start,
        }
    }

    /// What the payloads are taken from.
    pub(crate) fn sources(&self) -> &impl Areas {
        &self.sources
    }

    pub(crate) fn payload(&self, record: &Record) -> &[u8] {
        &self.sources.area(record.payload.area)[record.payload.range()]
    }

    /// Its payload, kind and padding.
    pub(crate) fn plaintext(&self, record: &Record) -> Vec<u8> {
        let mut text = [self.payload(record), &[record.kind]].concat();
        text.resize(usize::from(record.blocks) * 16, 0);
        text
    }

    /// The secret of the epoch of `sequence`, of the direction of `record`.
    pub(crate) fn secret(&self, record: &Record, sequence: u64) -> [u8; 32] {
        let direction = &self.directions[record.direction];
        let epochs = epoch_of(direction.first)..epoch_of(sequence);
        epochs.fold(direction.secret, |secret, _| oracle::next_epoch(&secret))
    }

    /// Its ciphertext and tag, by the oracle.
    pub(crate) fn sealed(&self, record: &Record) -> Vec<u8> {
        let secret = self.secret(record, record.sequence);
        let payload = self.payload(record);
        oracle::seal(
            &secret,
            record.sequence,
            record.kind,
            payload,
            record.blocks,
        )
    }

    /// The bytes of all records, sealed by the oracle, with what is between them.
    pub(crate) fn all_sealed(&self) -> Vec<u8> {
        let mut bytes = self.empty_output();
        for record in &self.records {
            bytes[record.body.range()].copy_from_slice(&self.sealed(record));
        }
        bytes
    }

    /// Room for all records, filled with what must stay between them.
    pub(crate) fn empty_output(&self) -> Vec<u8> {
        let end = self.records.last().map_or(0, |r| r.body.range().end);
        vec![0xa5; end + RECORD_HEADER]
    }
}

/// Any plan.
pub(crate) fn plans() -> impl Strategy<Value = Plan> {
    let records = vec(drawn(), 1..=RECORDS);
    (vec(direction(), 1..=4), vec(source(), 1..=3), records)
        .prop_map(|(directions, sources, drawn)| lay_out(directions, sources, drawn))
}

/// A record before it has its sequence and its place.
#[derive(Debug)]
struct Drawn {
    direction: Index,
    area: Index,
    start: Index,
    len: usize,
    /// Seals the payload of the record before it: one plaintext for several
    /// receivers.
    shared: bool,
    kind: u8,
    more_blocks: usize,
    gap: usize,
}

fn drawn() -> impl Strategy<Value = Drawn> {
    let places = (any::<Index>(), any::<Index>(), any::<Index>());
    let payload = (payload_len(), prop::bool::weighted(0.3));
    let more_blocks = prop_oneof![6 => Just(0), 3 => 1..=4_usize, 1 => 0..=MAX_BLOCKS];
    (places, payload, 1..=u8::MAX, more_blocks, 0..=3_usize).prop_map(
        |((direction, area, start), (len, shared), kind, more_blocks, gap)| Drawn {
            direction,
            area,
            start,
            len,
            shared,
            kind,
            more_blocks,
            gap,
        },
    )
}

/// Gives each record its sequence, and its body a place behind the one before.
fn lay_out(directions: Vec<Direction>, sources: Vec<Vec<u8>>, drawn: Vec<Drawn>) -> Plan {
    let mut next: Vec<u64> = directions.iter().map(|d| d.first).collect();
    let mut records: Vec<Record> = Vec::new();
    for drawn in drawn {
        let area = drawn.area.index(sources.len());
        let start = drawn.start.index(sources[area].len() - drawn.len + 1);
        let payload = match records.last() {
            Some(last) if drawn.shared => last.payload,
            _ => Span::new(Area(area as u32), start..start + drawn.len),
        };
        let blocks = usize::from(blocks_for(payload.len())) + drawn.more_blocks;
        let blocks = blocks.min(MAX_BLOCKS) as u16;
        let free = records.last().map_or(0, |last| last.body.range().end);
        let body = free + RECORD_HEADER + drawn.gap;
        let direction = drawn.direction.index(directions.len());
        records.push(Record {
            direction,
            sequence: next[direction],
            kind: drawn.kind,
            blocks,
            payload,
            body: Span::new(Area::ONLY, body..body + body_len(blocks)),
        });
        next[direction] += 1;
    }
    Plan {
        directions,
        sources: Sources(sources),
        records,
    }
}

/// A direction near the start or the end of an epoch, or anywhere; always with
/// a plan's records to go.
fn direction() -> impl Strategy<Value = Direction> {
    let records = RECORDS as u64;
    let epoch = prop_oneof![3 => 0..4_u64, 1 => 0..=LAST_SEQUENCE >> EPOCH_BITS];
    let place = prop_oneof![
        Just(0),
        (1 << EPOCH_BITS) - records..1 << EPOCH_BITS,
        0..1_u64 << EPOCH_BITS,
    ];
    (any::<[u8; 32]>(), epoch, place).prop_map(move |(secret, epoch, place)| {
        let first = (epoch << EPOCH_BITS | place).min(LAST_SEQUENCE + 1 - records);
        Direction { secret, first }
    })
}

/// Mostly short, for speed; full, and one off the edges of blocks, too.
fn payload_len() -> impl Strategy<Value = usize> {
    prop_oneof![
        8 => 0..=130_usize,
        4 => (1..=20_usize, 0..=2_usize).prop_map(|(blocks, more)| blocks * 16 + more - 1),
        1 => 0..=MAX_PAYLOAD,
        1 => MAX_PAYLOAD - 1..=MAX_PAYLOAD,
    ]
}

/// A full payload's bytes and some more: all different, or all zero, so that a
/// payload may look like padding.
fn source() -> impl Strategy<Value = Vec<u8>> {
    let len = MAX_PAYLOAD + 100;
    prop_oneof![
        4 => any::<u32>().prop_map(move |seed| any_bytes(seed, len)),
        1 => Just(vec![0; len]),
    ]
}

/// Bytes without a pattern, from a seed: drawing each from proptest is slow.
pub(crate) fn any_bytes(seed: u32, len: usize) -> Vec<u8> {
    let mut state = u64::from(seed) | 1 << 40;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}
