//! Sealing and opening whole batches.

use proptest::collection::vec;
use proptest::prelude::*;
use sealwire::crypto::batch::{OpenBatch, OpenJob, SealBatch, SealJob};
use sealwire::crypto::kernel::Kernel;
use sealwire::crypto::keys::{KeyStore, OpenKeys, SealKeys};
use sealwire::limits::EPOCH_BITS;
use sealwire::span::{Area, Span};

use crate::oracle;
use crate::plan::{Plan, plans};

/// Seals all of `plan` in one batch.
fn seal(plan: &Plan) -> Vec<u8> {
    let (store, handles) = plan.install::<SealKeys>();
    let mut batch = SealBatch::default();
    for record in &plan.records {
        batch.push(plan.seal_job(record, &handles));
    }
    let mut output = plan.empty_output();
    batch.run(&store, plan.sources(), &mut output);
    assert!(batch.is_empty());
    output
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Goal: a batch of any records, under any keys, across epochs and from
    /// shared memory, seals to the protocol's bytes and to no others. Method:
    /// compare all the output, what is between the records too, with the
    /// oracle's.
    #[test]
    fn sealing_equals_the_oracle(plan in plans()) {
        prop_assert!(seal(&plan) == plan.all_sealed());
    }

    /// Goal: what was sealed opens, to the same bytes, in the same place, and
    /// nothing else is touched. Method: open all of the oracle's records in one
    /// batch, and look at everything but the tags, whose bytes are free to use.
    #[test]
    fn opening_gives_the_payloads_back(plan in plans()) {
        let (store, handles) = plan.install::<OpenKeys>();
        let mut batch = OpenBatch::default();
        for record in &plan.records {
            batch.push(OpenJob {
                key: handles[record.direction].id(),
                sequence: record.sequence,
                body: record.body,
            });
        }
        let mut bytes = plan.all_sealed();
        batch.run(&store, &mut &mut bytes[..]);

        prop_assert_eq!(batch.len(), plan.records.len());
        let mut expected = plan.empty_output();
        for (index, record) in plan.records.iter().enumerate() {
            let (job, held) = batch.result(index);
            prop_assert!(held, "record {} was refused", index);
            let text = job.text().range();
            expected[text.clone()].copy_from_slice(&plan.plaintext(record));
            let tag = text.end..record.body.range().end;
            expected[tag.clone()].copy_from_slice(&bytes[tag]);
        }
        prop_assert!(bytes == expected);
    }

    /// Goal: a direction goes on over an epoch's end when the keys behind it are
    /// erased between two batches. Method: seal a plan record by record, and
    /// let every direction advance to each record's sequence first.
    #[test]
    fn erasing_old_epochs_changes_nothing(plan in plans()) {
        let (mut store, handles) = plan.install::<SealKeys>();
        let mut batch = SealBatch::default();
        let mut output = plan.empty_output();
        for record in &plan.records {
            store.advance(&handles[record.direction], record.sequence);
            batch.push(plan.seal_job(record, &handles));
            batch.run(&store, plan.sources(), &mut output);
        }
        prop_assert!(output == plan.all_sealed());
        prop_assert_eq!(store.len(), handles.len());
        handles.into_iter().for_each(|handle| store.remove(handle));
        prop_assert!(store.is_empty());
    }

    /// Goal: each epoch's secret comes from the one before, however many there
    /// are. Method: one record in each of several epochs, the first of them
    /// anywhere.
    #[test]
    fn epochs_follow_each_other(
        secret: [u8; 32],
        first in 0..1_u64 << 27,
        places in vec(0..1_u64 << EPOCH_BITS, 1..6),
    ) {
        let mut store = KeyStore::<SealKeys>::new(Kernel::chosen().unwrap());
        let handle = store.install(&secret, first);
        let mut batch = SealBatch::default();
        let mut secret = secret;
        for (epoch, place) in (first..).zip(places) {
            let sequence = epoch << EPOCH_BITS | place;
            store.advance(&handle, sequence);
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
            prop_assert_eq!(&output[..], oracle::seal(&secret, sequence, 1, &[7; 16], 2));
            secret = oracle::next_epoch(&secret);
        }
    }
}
