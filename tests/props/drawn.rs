//! Draws any plan. Lengths that are sorted or equal are in [`crate::lanes`].

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use sealwire::limits::{EPOCH_BITS, LAST_SEQUENCE, MAX_BLOCKS, MAX_PAYLOAD};
use sealwire::span::{Area, Span};

use crate::plan::{Direction, Draft, Memory, OPENED_IN, Plan, RECORDS, any_bytes};

/// Any plan of 0 to `RECORDS` records.
pub(crate) fn plans() -> impl Strategy<Value = Plan> {
    // Keys that many records share, or hardly any.
    let directions = prop_oneof![4 => vec(direction(), 1..=4), 1 => vec(direction(), RECORDS)];
    // From fewer records than lanes to more.
    let records = prop_oneof![
        2 => vec(drawn(), 0..=9),
        2 => vec(drawn(), 10..=40),
        1 => vec(drawn(), 41..=RECORDS),
    ];
    (directions, vec(source(), 1..=3), records)
        .prop_map(|(directions, sources, records)| draft(directions, sources, &records))
}

/// What is drawn of a record.
#[derive(Debug)]
struct Drawn {
    direction: Index,
    area: Index,
    start: Index,
    len: usize,
    /// Seals the payload of the record before it, as for several receivers.
    shared: bool,
    kind: u8,
    more_blocks: usize,
    gap: usize,
    opened_in: u32,
}

fn drawn() -> impl Strategy<Value = Drawn> {
    let places = (any::<Index>(), any::<Index>(), any::<Index>());
    let payload = (payload_len(), prop::bool::weighted(0.3));
    let more_blocks = prop_oneof![6 => Just(0), 3 => 1..=4_usize, 1 => 0..=MAX_BLOCKS];
    let output = (0..=5_usize, 0..OPENED_IN as u32);
    (places, payload, 1..=u8::MAX, more_blocks, output).prop_map(
        |((direction, area, start), (len, shared), kind, more_blocks, (gap, opened_in))| Drawn {
            direction,
            area,
            start,
            len,
            shared,
            kind,
            more_blocks,
            gap,
            opened_in,
        },
    )
}

fn draft(directions: Vec<Direction>, sources: Vec<Vec<u8>>, records: &[Drawn]) -> Plan {
    let mut last = None;
    let drafts: Vec<Draft> = records
        .iter()
        .map(|drawn| {
            let area = drawn.area.index(sources.len());
            let start = drawn.start.index(sources[area].len() - drawn.len + 1);
            let own = Span::new(Area(area as u32), start..start + drawn.len);
            let payload = last.filter(|_| drawn.shared).unwrap_or(own);
            last = Some(payload);
            Draft {
                direction: drawn.direction.index(directions.len()),
                kind: drawn.kind,
                more_blocks: drawn.more_blocks,
                payload,
                gap: drawn.gap,
                opened_in: Area(drawn.opened_in),
            }
        })
        .collect();
    Plan::new(directions, Memory(sources), drafts)
}

/// A direction at the start or near the end of an epoch, or anywhere, with sequences left for a
/// plan's records.
fn direction() -> impl Strategy<Value = Direction> {
    let records = RECORDS as u64;
    let epoch = prop_oneof![3 => 0..4_u64, 1 => 0..=LAST_SEQUENCE >> EPOCH_BITS];
    let place = prop_oneof![
        Just(0),
        (1..=4_u64).prop_map(|left| (1 << EPOCH_BITS) - left),
        (1..=records).prop_map(|left| (1 << EPOCH_BITS) - left),
        0..1_u64 << EPOCH_BITS,
    ];
    (any::<[u8; 32]>(), epoch, place).prop_map(move |(secret, epoch, place)| {
        let first = (epoch << EPOCH_BITS | place).min(LAST_SEQUENCE + 1 - records);
        Direction { secret, first }
    })
}

/// Mostly short, for speed; also full, and around the ends of blocks.
fn payload_len() -> impl Strategy<Value = usize> {
    prop_oneof![
        8 => 0..=130_usize,
        4 => (1..=20_usize, 0..=2_usize).prop_map(|(blocks, more)| blocks * 16 + more - 1),
        1 => 0..=MAX_PAYLOAD,
        1 => MAX_PAYLOAD - 1..=MAX_PAYLOAD,
    ]
}

/// More bytes than a full payload: any, or all zero, so that a payload may look like padding.
fn source() -> impl Strategy<Value = Vec<u8>> {
    let len = MAX_PAYLOAD + 100;
    prop_oneof![
        4 => any::<u32>().prop_map(move |seed| any_bytes(seed, len)),
        1 => Just(vec![0; len]),
    ]
}
