//! What is watched: some records are sealed and opened.

use std::array;

use sealwire::crypto::batch::{OpenBatch, OpenJob, SealBatch, SealJob};
use sealwire::crypto::kernel::Kernel;
use sealwire::crypto::keys::{Handle, KeyStore, RecordKeys};
use sealwire::limits::{BLOCK, TAG};
use sealwire::span::{Area, Span};
use sha2::{Digest, Sha256};

/// Payload bytes of long records, less their number: five steps of a lane or more. Where lanes go
/// in sets, an empty record ends after two, and more than two are then taken at once
/// (`FEW_STEPS` in `kernel/x86/engine.rs`).
const LONG: usize = 400;
/// Payload bytes of short records.
const SHORT: usize = 64;
/// How many records go together, and how long they are. Long: one; two; a few; as many as two sets
/// of 16 lanes take, also when the empty record has ended; as many as one set takes, alone and with
/// four lanes beside it (`kernel/x86/avx512/units.rs`). Short: a group of each size
/// (`kernel/x86/short_records.rs`).
const BATCHES: [(usize, usize); 11] = [
    (1, LONG),
    (2, LONG),
    (3, LONG),
    (30, LONG),
    (11, LONG),
    (20, LONG),
    (1, SHORT),
    (2, SHORT),
    (4, SHORT),
    (6, SHORT),
    (8, SHORT),
];
/// Those of the batches that each take another way: a record alone, a set of lanes, and the largest
/// group.
const FEW: [usize; 3] = [0, 4, 10];

/// What time must not tell.
pub(crate) struct Secrets {
    /// Of epoch 0, of two directions.
    pub(crate) keys: [[u8; 32]; 2],
    /// Every payload and every kind is a part of it.
    pub(crate) text: [u8; 512],
    /// The records, which are no secret.
    batches: Vec<Vec<Record>>,
}

/// A record, by its number and its places.
struct Record {
    number: usize,
    payload: Span,
    /// Ciphertext and tag.
    body: Span,
}

impl Record {
    fn blocks(&self) -> usize {
        self.body.len() / BLOCK - 1
    }

    fn is_spoilt(&self) -> bool {
        self.number % 5 == 2
    }
}

/// All records, one behind the other. The middle record of a batch of several long ones is empty.
fn batches() -> Vec<Vec<Record>> {
    let (mut number, mut end) = (0, 0);
    let mut record = |len| {
        let start = end;
        end += (len / BLOCK + 1) * BLOCK + TAG;
        number += 1;
        Record {
            number: number - 1,
            payload: Span::new(Area::ONLY, number - 1..number - 1 + len),
            body: Span::new(Area::ONLY, start..end),
        }
    };
    let mut longs = 0;
    let mut batch = |(count, len): (usize, usize)| {
        let lens = (0..count).map(|i| match len {
            LONG if count > 1 && i == count / 2 => 0,
            LONG => LONG - longs - i,
            _ => len,
        });
        let records = lens.map(&mut record).collect();
        longs += count;
        records
    };
    BATCHES.into_iter().map(&mut batch).collect()
}

impl Secrets {
    /// Others for every seed.
    pub(crate) fn new(seed: u8) -> Self {
        let bytes = |n: u8| -> [u8; 32] { Sha256::digest([seed, n]).into() };
        let text: [[u8; 32]; 16] = array::from_fn(|n| bytes(2 + n as u8));
        Self {
            keys: [0, 1].map(bytes),
            text: *text.as_flattened().first_chunk().unwrap(),
            batches: batches(),
        }
    }

    /// The same with a few batches only.
    pub(crate) fn few(seed: u8) -> Self {
        let mut secrets = Self::new(seed);
        let mut index = 0..;
        let is_one = |_: &Vec<Record>| index.next().is_some_and(|index| FEW.contains(&index));
        secrets.batches.retain(is_one);
        secrets
    }

    fn records(&self) -> impl Iterator<Item = &Record> {
        self.batches.iter().flatten()
    }

    /// The number of records.
    pub(crate) fn count(&self) -> usize {
        self.records().count()
    }

    /// Seals all records, ciphertexts and tags behind each other.
    pub(crate) fn seal(&self, kernel: Kernel) -> Vec<u8> {
        let (keys, handles) = self.install(kernel);
        let mut records = vec![0; self.records().last().unwrap().body.end()];
        let mut batch = SealBatch::default();
        for batched in &self.batches {
            for record in batched {
                batch.push(SealJob {
                    key: handles[record.number % handles.len()].id(),
                    sequence: record.number as u64,
                    kind: self.text[record.number],
                    blocks: record.blocks() as u16,
                    payload: record.payload,
                    body: record.body.range().start,
                });
            }
            batch.run(&keys, &[&self.text[..]], &mut records);
        }
        records
    }

    /// Opens all of `records` in place; 1 for each whose tag held, else 0.
    pub(crate) fn open(&self, kernel: Kernel, mut records: &mut [u8]) -> Vec<u8> {
        let (keys, handles) = self.install(kernel);
        let mut held = Vec::new();
        let mut batch = OpenBatch::default();
        for batched in &self.batches {
            batch.clear();
            for record in batched {
                batch.push(OpenJob {
                    key: handles[record.number % handles.len()].id(),
                    sequence: record.number as u64,
                    body: record.body,
                });
            }
            batch.run(&keys, &mut records);
            held.extend((0..batch.len()).map(|n| u8::from(batch.result(n).1)));
        }
        held
    }

    /// Flips a bit of some tags.
    pub(crate) fn spoil(&self, records: &mut [u8]) {
        for record in self.records().filter(|record| record.is_spoilt()) {
            let number = record.number;
            records[record.body.end() - 1 - number % TAG] ^= 1 << (number % 8);
        }
    }

    fn install<K: RecordKeys>(&self, kernel: Kernel) -> (KeyStore<K>, [Handle; 2]) {
        let mut store = KeyStore::new(kernel);
        let handles = self.keys.each_ref().map(|key| store.install(key, 0));
        (store, handles)
    }

    /// Whether `records` were spoilt and then opened, and `held` says which tags held.
    pub(crate) fn are(&self, records: &[u8], held: &[u8]) -> bool {
        let all_are = self.records().zip(held).all(|(record, &held)| {
            let text = &records[record.body.range()][..record.blocks() * BLOCK];
            let (start, end) = text.split_at(record.payload.len());
            let is_plain = start == &self.text[record.payload.range()]
                && end[0] == self.text[record.number]
                && end[1..].iter().all(|&byte| byte == 0);
            is_plain != record.is_spoilt() && held == u8::from(is_plain)
        });
        self.count() == held.len() && all_are
    }
}
