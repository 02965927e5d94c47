//! Records that are not what their sender sealed.

use proptest::prelude::*;
use proptest::sample::Index;
use sealwire::crypto::batch::{OpenBatch, OpenJob};
use sealwire::crypto::keys::{Handle, KeyStore, OpenKeys, epoch_of};
use sealwire::limits::{BLOCK, TAG};
use sealwire::span::{Area, Span};

use crate::oracle;
use crate::plan::{Plan, Record, plans};

/// What is done to one record of a batch.
#[derive(Debug, Clone)]
enum Change {
    /// One bit of the ciphertext or the tag is another.
    Bit(Index, u8),
    /// It is opened as the record before or behind it.
    Sequence { behind: bool },
    /// It is opened under another direction's keys.
    Key([u8; 32]),
    /// Its tag was made for another number of blocks.
    Count(u16),
    /// The last block of its ciphertext is missing.
    Shorter,
    /// A block of zeros is behind its ciphertext.
    Longer,
}

fn changes() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (any::<Index>(), 0..8_u8).prop_map(|(at, bit)| Change::Bit(at, bit)),
        1 => any::<bool>().prop_map(|behind| Change::Sequence { behind }),
        1 => any::<[u8; 32]>().prop_map(Change::Key),
        1 => (1..=u16::MAX).prop_map(Change::Count),
        1 => Just(Change::Shorter),
        1 => Just(Change::Longer),
    ]
}

/// Makes `record` one that must be refused: what is opened, with its bytes.
fn spoil(
    plan: &Plan,
    record: &Record,
    change: &Change,
    store: &mut KeyStore<OpenKeys>,
    handle: &Handle,
) -> (OpenJob, Vec<u8>) {
    let mut job = OpenJob {
        key: handle.id(),
        sequence: record.sequence,
        body: record.body,
    };
    let mut bytes = plan.sealed(record);
    let tag = bytes.len() - TAG;
    match *change {
        Change::Bit(at, bit) => bytes[at.index(tag + TAG)] ^= 1 << bit,
        Change::Sequence { behind } => job.sequence = neighbour(plan, record, behind),
        Change::Key(ref secret) => {
            let handle = store.install(secret, epoch_of(record.sequence));
            job.key = handle.id();
        }
        Change::Count(other) => {
            let secret = plan.secret(record, record.sequence);
            let blocks = record.blocks.wrapping_add(other);
            let false_tag = oracle::tag(&secret, &bytes[..tag], record.sequence, blocks);
            bytes[tag..].copy_from_slice(&false_tag);
        }
        Change::Shorter if record.blocks == 1 => bytes[tag] ^= 1,
        Change::Shorter => drop(bytes.drain(tag - BLOCK..tag)),
        Change::Longer => drop(bytes.splice(tag..tag, [0; BLOCK])),
    }
    (job, bytes)
}

/// A sequence beside that of `record`, for which the store has keys.
fn neighbour(plan: &Plan, record: &Record, behind: bool) -> u64 {
    let same = |other: &&Record| other.direction == record.direction;
    let first = plan.records.iter().find(same).unwrap();
    let before = record.sequence.wrapping_sub(1);
    let after = record.sequence + 1;
    // Neither before the first epoch that is installed nor behind the last.
    let has_before = record.sequence > 0 && epoch_of(before) >= epoch_of(first.sequence);
    match epoch_of(after) == epoch_of(record.sequence) {
        true if behind || !has_before => after,
        _ => before,
    }
}

/// The jobs and the bytes of `plan`, where one record, the last in memory, is
/// spoilt.
fn with_one_spoilt(
    plan: &Plan,
    victim: usize,
    change: &Change,
) -> (KeyStore<OpenKeys>, OpenBatch, Vec<u8>) {
    let (mut store, handles) = plan.install::<OpenKeys>();
    let mut batch = OpenBatch::default();
    let mut bytes = plan.all_sealed();
    for (index, record) in plan.records.iter().enumerate() {
        let handle = &handles[record.direction];
        let mut job = OpenJob {
            key: handle.id(),
            sequence: record.sequence,
            body: record.body,
        };
        if index == victim {
            let (spoilt, body) = spoil(plan, record, change, &mut store, handle);
            let start = bytes.len();
            bytes.extend(body);
            job = spoilt;
            job.body = Span::new(Area::ONLY, start..bytes.len());
        }
        batch.push(job);
    }
    (store, batch, bytes)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    /// Goal: a record that is not exactly what was sealed, at its place, under
    /// its keys, is refused and not decrypted, and takes no other with it.
    /// Method: spoil one record of a batch in any way; its bytes must stay as
    /// they came, and all others must open.
    #[test]
    fn a_changed_record_is_refused_alone(
        plan in plans(),
        victim: Index,
        change in changes(),
    ) {
        let victim = victim.index(plan.records.len());
        let (store, mut batch, mut bytes) = with_one_spoilt(&plan, victim, &change);
        let before = bytes.clone();
        batch.run(&store, &mut &mut bytes[..]);
        for (index, record) in plan.records.iter().enumerate() {
            let (job, held) = batch.result(index);
            prop_assert_eq!(held, index != victim, "record {}", index);
            let body = job.body.range();
            if held {
                prop_assert!(bytes[job.text().range()] == plan.plaintext(record));
            } else {
                prop_assert!(bytes[body.clone()] == before[body], "it was touched");
            }
        }
    }
}
