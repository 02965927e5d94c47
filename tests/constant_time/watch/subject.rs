//! What is watched: some records are sealed and opened.

use std::array;

use sealwire::Kernel;
use sealwire::limits::{BLOCK, TAG};
use sha2::{Digest, Sha256};

use super::batches::{Place, opener, sealer};

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
/// The batches that each take another path: a record alone, a set of lanes, and the largest group.
const FEW: [usize; 3] = [0, 4, 10];

/// The secrets, which time must not reveal.
pub(crate) struct Secrets {
    /// Of epoch 0, of two directions.
    pub(crate) keys: [[u8; 32]; 2],
    /// Every payload and every kind is a part of it.
    pub(crate) text: [u8; 512],
    /// The records, which are no secret.
    batches: Vec<Vec<Place>>,
}

fn is_spoilt(record: &Place) -> bool {
    record.sequence % 5 == 2
}

/// All records, one behind the other. The middle record of a batch of several long ones is empty.
fn batches() -> Vec<Vec<Place>> {
    let (mut number, mut end) = (0, 0);
    let mut record = |len| {
        let start = end;
        end += (len / BLOCK + 1) * BLOCK + TAG;
        number += 1;
        Place {
            key: (number - 1) % 2,
            sequence: number as u64 - 1,
            kind: 0,
            payload: number - 1..number - 1 + len,
            body: start..end,
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
    /// Other secrets for every seed.
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
        let is_one = |_: &Vec<Place>| index.next().is_some_and(|index| FEW.contains(&index));
        secrets.batches.retain(is_one);
        secrets
    }

    fn records(&self) -> impl Iterator<Item = &Place> {
        self.batches.iter().flatten()
    }

    /// The number of records.
    pub(crate) fn count(&self) -> usize {
        self.records().count()
    }

    /// Seals all records, ciphertexts and tags behind each other. Their kinds are secret, too.
    pub(crate) fn seal(&self, kernel: Kernel) -> Vec<u8> {
        let mut batches = self.batches.clone();
        for record in batches.iter_mut().flatten() {
            record.kind = self.text[record.sequence as usize];
        }
        let mut records = vec![0; self.records().last().unwrap().body.end];
        sealer(kernel, &self.keys, &batches)(&self.text, &mut records);
        records
    }

    /// Opens all of `records` in place; 1 for each whose tag held, else 0.
    pub(crate) fn open(&self, kernel: Kernel, records: &mut [u8]) -> Vec<u8> {
        let mut held = Vec::new();
        opener(kernel, &self.keys, &self.batches)(records, &mut held);
        held
    }

    /// Flips a bit of some tags.
    pub(crate) fn spoil(&self, records: &mut [u8]) {
        for record in self.records().filter(|record| is_spoilt(record)) {
            let number = record.sequence as usize;
            records[record.body.end - 1 - number % TAG] ^= 1 << (number % 8);
        }
    }

    /// Whether `records` were spoilt and then opened, and `held` says which tags held.
    pub(crate) fn are(&self, records: &[u8], held: &[u8]) -> bool {
        let all_are = self.records().zip(held).all(|(record, &held)| {
            let text = &records[record.text()];
            let (start, end) = text.split_at(record.payload.len());
            let is_plain = start == &self.text[record.payload.clone()]
                && end[0] == self.text[record.sequence as usize]
                && end[1..].iter().all(|&byte| byte == 0);
            is_plain != is_spoilt(record) && held == u8::from(is_plain)
        });
        self.count() == held.len() && all_are
    }
}
