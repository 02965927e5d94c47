//! Sealing and opening any batches, with every kernel of this processor: each is compared with the
//! plain crates, and so with every other.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use sealwire::Kernel;
use sealwire::crypto::batch::{OpenBatch, SealBatch, SealJob};
use sealwire::crypto::keys::{KeyStore, SealKeys};
use sealwire::limits::EPOCH_BITS;
use sealwire::span::{Area, Span};

use crate::batches::{Keys, arrived, check_every_kernel, open, seal};
use crate::drawn::plans;
use crate::plain::PlainKeys;
use crate::plan::{Plan, Record};

/// The records of `plan`, cut into batches.
fn batches<'a>(plan: &'a Plan, cuts: &[Index]) -> Vec<&'a [Record]> {
    let count = plan.records.len();
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(count + 1)).collect();
    cuts.extend([0, count]);
    cuts.sort_unstable();
    let batches = cuts.windows(2).map(|ends| &plan.records[ends[0]..ends[1]]);
    batches.collect()
}

/// The first of `records` in each direction.
fn firsts(records: &[Record]) -> impl Iterator<Item = &Record> {
    let is_first = |&(n, record): &(usize, &Record)| {
        let before = &records[..n];
        before.iter().all(|b| b.direction != record.direction)
    };
    let records = records.iter().enumerate().filter(is_first);
    records.map(|(_, record)| record)
}

/// Whether no record of `rest` has the direction of `record`.
fn is_over(record: &Record, rest: &[Record]) -> bool {
    rest.iter().all(|r| r.direction != record.direction)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Goal: a batch of any records, under any keys, across epochs and from shared memory, seals to
    /// the protocol's bytes and opens to the payloads, in place, in any area; nothing else changes.
    /// Method: compare with the plain crates.
    #[test]
    fn batches_equal_the_plain_crates(plan in plans()) {
        check_every_kernel(&plan, "drawn");
    }

    /// Goal: a direction continues across an epoch's end when old keys are erased between two
    /// batches, and when other directions come and go. Method: cut a plan into batches. Before
    /// each, every direction advances to its first record there. Behind each, directions that are
    /// over are erased, so that later ones take their places.
    #[test]
    fn erasing_keys_changes_nothing(plan in plans(), cuts in vec(any::<Index>(), 0..8)) {
        let sealed = plan.all_sealed();
        for kernel in Kernel::all() {
            let (mut sealing, mut opening) = <(SealBatch, OpenBatch)>::default();
            let mut seal_keys = Keys::new(kernel, &plan);
            let mut open_keys = Keys::new(kernel, &plan);
            let mut output = plan.empty_output();
            let mut rest = &plan.records[..];
            for batch in batches(&plan, &cuts) {
                for record in firsts(batch) {
                    seal_keys.advance(record);
                    open_keys.advance(record);
                }
                seal(&mut sealing, &mut seal_keys, batch, &mut output);
                let opened = open(&mut opening, &mut open_keys, &arrived(batch, &sealed));
                for (record, opened) in batch.iter().zip(opened) {
                    prop_assert!(opened.is(&plan.plaintext(record)), "{:?}: {:?}", kernel, record);
                }
                rest = &rest[batch.len()..];
                for record in firsts(batch).filter(|record| is_over(record, rest)) {
                    seal_keys.remove(record.direction);
                    open_keys.remove(record.direction);
                }
            }
            prop_assert!(output == sealed, "{:?}", kernel);
            prop_assert!(seal_keys.store.is_empty() && open_keys.store.is_empty());
        }
    }

    /// Goal: each epoch's secret comes from the one before. Method: one record in each of several
    /// epochs, the first of them anywhere.
    #[test]
    fn epochs_follow_each_other(
        secret: [u8; 32],
        first in 0..1_u64 << 27,
        places in vec(0..1_u64 << EPOCH_BITS, 1..6),
    ) {
        for kernel in Kernel::all() {
            let mut store = KeyStore::<SealKeys>::new(kernel);
            let mut handle = store.install(&secret, first);
            let mut batch = SealBatch::default();
            for (epoch, place) in (first..).zip(&places) {
                let sequence = epoch << EPOCH_BITS | place;
                store.advance(&mut handle, sequence);
                batch.push(SealJob {
                    key: handle.id(),
                    sequence,
                    kind: 1,
                    blocks: 2,
                    payload: Span::new(Area::ONLY, 0..16),
                    body: 0,
                });
                let mut output = [0; 48];
                batch.run(&store, &[&[7; 16][..]], &mut output);
                let mut expected = [0; 48];
                let keys = PlainKeys::new(&secret, epoch - first);
                keys.seal(sequence, 1, &[7; 16], &mut expected);
                prop_assert_eq!(output, expected);
            }
        }
    }
}
