//! Draws any plan. Lengths that are sorted or equal are in [`crate::lanes`].

use proptest::collection::vec;
use proptest::prelude::*;
use sealwire::limits::{EPOCH_BITS, LAST_SEQUENCE, MAX_BLOCKS, MAX_PAYLOAD};
use sealwire::span::{Area, Span};

use crate::plan::{Direction, Draft, Memory, OPENED_IN, Plan, RECORDS, any_bytes};

/// Source areas of a plan, and the bytes that each has beyond a full payload.
const SOURCES: usize = 3;
const SPARE: usize = 100;

/// Any plan of 0 to `RECORDS` records.
pub(crate) fn plans() -> impl Strategy<Value = Plan> {
    // Keys that many records share, or hardly any.
    let directions = prop_oneof![4 => vec(direction(), 1..=4), 1 => vec(direction(), RECORDS)];
    // Some seal the payload of the record before, as for several receivers.
    let draft = || (draft(), prop::bool::weighted(0.3));
    // From fewer records than lanes to more.
    let drafts = prop_oneof![
        2 => vec(draft(), 0..=9),
        2 => vec(draft(), 10..=40),
        1 => vec(draft(), 41..=RECORDS),
    ];
    (directions, vec(source(), SOURCES), drafts).prop_map(|(directions, sources, drafts)| {
        let mut last = None;
        let fit = |(mut draft, shared): (Draft, bool)| {
            draft.direction %= directions.len();
            draft.payload = last.filter(|_| shared).unwrap_or(draft.payload);
            last = Some(draft.payload);
            draft
        };
        let drafts: Vec<Draft> = drafts.into_iter().map(fit).collect();
        Plan::new(directions, Memory(sources), drafts)
    })
}

fn draft() -> impl Strategy<Value = Draft> {
    let payload = (0..SOURCES as u32, 0..=SPARE, payload_len())
        .prop_map(|(area, start, len)| Span::new(Area(area), start..start + len));
    let more_blocks = prop_oneof![6 => Just(0), 3 => 1..=4_usize, 1 => 0..=MAX_BLOCKS];
    let output = (0..=5_usize, 0..OPENED_IN as u32);
    (0..RECORDS, 1..=u8::MAX, more_blocks, payload, output).prop_map(
        |(direction, kind, more_blocks, payload, (gap, opened_in))| Draft {
            direction,
            kind,
            more_blocks,
            payload,
            gap,
            opened_in: Area(opened_in),
        },
    )
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
    let len = MAX_PAYLOAD + SPARE;
    prop_oneof![
        4 => any::<u32>().prop_map(move |seed| any_bytes(seed, len)),
        1 => Just(vec![0; len]),
    ]
}
