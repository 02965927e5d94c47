//! Records in batches, sealed and opened by the library.

use std::ops::Range;

use sealwire::Kernel;
use sealwire::crypto::batch::{OpenBatch, OpenJob, SealBatch, SealJob};
use sealwire::crypto::keys::{Handle, KeyStore, OpenKeys, RecordKeys, SealKeys, epoch_of};
use sealwire::limits::{BLOCK, TAG};
use sealwire::span::{Area, Span};

/// One record.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// Which of the keys it is under.
    pub(crate) key: usize,
    pub(crate) sequence: u64,
    pub(crate) kind: u8,
    /// Where its payload is, among the payloads.
    pub(crate) payload: Range<usize>,
    /// Where its ciphertext and tag are, among the records.
    pub(crate) body: Range<usize>,
}

impl Place {
    /// Blocks of its ciphertext.
    pub(crate) fn blocks(&self) -> u16 {
        (self.text().len() / BLOCK) as u16
    }

    /// Where its ciphertext is, among the records.
    pub(crate) fn text(&self) -> Range<usize> {
        self.body.start..self.body.end - TAG
    }
}

/// Seals batches under keys of these secrets: payloads to records.
pub(crate) fn sealer<'a>(
    kernel: Kernel,
    secrets: &[[u8; 32]],
    batches: &'a [Vec<Place>],
) -> impl FnMut(&[u8], &mut [u8]) + use<'a> {
    let (keys, handles) = install::<SealKeys>(kernel, secrets, batches);
    let mut batch = SealBatch::default();
    move |payloads, output| {
        for places in batches {
            for place in places {
                batch.push(SealJob {
                    key: handles[place.key].id(),
                    sequence: place.sequence,
                    kind: place.kind,
                    blocks: place.blocks(),
                    payload: Span::new(Area::ONLY, place.payload.clone()),
                    body: place.body.start,
                });
            }
            batch.run(&keys, &[payloads], output);
        }
    }
}

/// Opens batches in place. Adds a number for each record: 1 if its tag held, else 0.
pub(crate) fn opener<'a>(
    kernel: Kernel,
    secrets: &[[u8; 32]],
    batches: &'a [Vec<Place>],
) -> impl FnMut(&mut [u8], &mut Vec<u8>) + use<'a> {
    let (keys, handles) = install::<OpenKeys>(kernel, secrets, batches);
    let mut batch = OpenBatch::default();
    move |mut records, held| {
        for places in batches {
            batch.clear();
            for place in places {
                batch.push(OpenJob {
                    key: handles[place.key].id(),
                    sequence: place.sequence,
                    body: Span::new(Area::ONLY, place.body.clone()),
                });
            }
            batch.run(&keys, &mut records);
            held.extend((0..batch.len()).map(|n| u8::from(batch.result(n).1)));
        }
    }
}

/// All secrets are of the epoch of the first record.
fn install<K: RecordKeys>(
    kernel: Kernel,
    secrets: &[[u8; 32]],
    batches: &[Vec<Place>],
) -> (KeyStore<K>, Vec<Handle>) {
    let mut store = KeyStore::new(kernel);
    let epoch = epoch_of(batches[0][0].sequence);
    let handles = secrets.iter().map(|secret| store.install(secret, epoch));
    let handles = handles.collect();
    (store, handles)
}
