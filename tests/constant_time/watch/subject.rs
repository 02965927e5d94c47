//! What is watched: some records are sealed and opened.

use std::array;
use std::ops::Range;

use sealwire::crypto::batch::{OpenBatch, OpenJob, SealBatch, SealJob};
use sealwire::crypto::kernel::Kernel;
use sealwire::crypto::keys::{Handle, KeyStore, RecordKeys};
use sealwire::limits::{BLOCK, TAG};
use sealwire::span::{Area, Span};
use sha2::{Digest, Sha256};

/// How many records go together: one alone; two; a few; as many as two sets of 16 lanes
/// take, also when the empty one is done, and as one takes, alone and with four lanes beside
/// it, where lanes go in sets (`Units` in `kernel/x86/avx512.rs`).
const LONG: [usize; 6] = [1, 2, 3, 30, 11, 20];
/// And of those that are all short: a group of each size (`kernel/x86/short.rs`).
const SHORT: [usize; 5] = [1, 2, 4, 6, 8];
/// Which of these batches are a few that each take another way: a record alone, a set of
/// lanes, and the largest group.
const FEW: [usize; 3] = [0, 4, 10];
const _: () = assert!(LONG[0] == 1 && LONG[4] == 11 && SHORT[10 - LONG.len()] == 8);
const LONG_RECORDS: usize = sum(&LONG);
pub(crate) const RECORDS: usize = LONG_RECORDS + sum(&SHORT);
/// Records without a payload: one of each batch of long ones but the first.
const EMPTY: [usize; 5] = [1, 5, 15, 38, 58];
/// Payload bytes of long records, and their number: five steps of a lane or more. Where lanes
/// go in sets, the empty one is done after two, and then too more than two are taken at once
/// (`FEW_STEPS` in `kernel/x86/front.rs`).
const LONG_LEN: usize = 400;
const _: () = assert!(LONG_LEN - LONG_RECORDS >= 5 * 64);
/// And of short ones.
const SHORT_LEN: usize = 64;

/// What nobody may learn from the time that things take.
pub(crate) struct Secrets {
    /// Of epoch 0, of two directions.
    pub(crate) keys: [[u8; 32]; 2],
    /// Of which every payload and every kind is a part.
    pub(crate) text: [u8; 512],
    /// Where the ciphertext and the tag of every record are, which is no secret.
    bodies: Vec<Span>,
    /// The records that go together.
    batches: Vec<Range<usize>>,
}

impl Secrets {
    /// Others for every seed.
    pub(crate) fn new(seed: u8) -> Self {
        let bytes = |n: u8| -> [u8; 32] { Sha256::digest([seed, n]).into() };
        let text: [[u8; 32]; 16] = array::from_fn(|n| bytes(2 + n as u8));
        Self {
            keys: [0, 1].map(bytes),
            text: *text.as_flattened().first_chunk().unwrap(),
            bodies: bodies(),
            batches: batches(),
        }
    }

    /// The same with a few batches only.
    pub(crate) fn few(seed: u8) -> Self {
        let all = Self::new(seed);
        Self {
            batches: FEW.map(|n| all.batches[n].clone()).to_vec(),
            ..all
        }
    }

    /// All records, ciphertexts and tags behind each other.
    pub(crate) fn seal(&self, kernel: Kernel) -> Vec<u8> {
        let (keys, handles) = self.install(kernel);
        let mut records = vec![0; self.bodies[RECORDS - 1].end()];
        let mut batch = SealBatch::default();
        for batched in &self.batches {
            for n in batched.clone() {
                batch.push(SealJob {
                    key: handles[n % handles.len()].id(),
                    sequence: n as u64,
                    kind: self.text[n],
                    blocks: blocks(n) as u16,
                    payload: payload(n),
                    body: self.bodies[n].range().start,
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
            for n in batched.clone() {
                batch.push(OpenJob {
                    key: handles[n % handles.len()].id(),
                    sequence: n as u64,
                    body: self.bodies[n],
                });
            }
            batch.run(&keys, &mut records);
            held.extend((0..batch.len()).map(|n| u8::from(batch.result(n).1)));
        }
        held
    }

    /// Turns a bit of some tags over.
    pub(crate) fn spoil(&self, records: &mut [u8]) {
        for n in (0..RECORDS).filter(|&n| is_spoilt(n)) {
            records[self.bodies[n].end() - 1 - n % TAG] ^= 1 << (n % 8);
        }
    }

    fn install<K: RecordKeys>(&self, kernel: Kernel) -> (KeyStore<K>, [Handle; 2]) {
        let mut store = KeyStore::new(kernel);
        let handles = self.keys.each_ref().map(|key| store.install(key, 0));
        (store, handles)
    }

    /// Whether these are the records, spoilt and then opened.
    pub(crate) fn are(&self, records: &[u8], held: &[u8]) -> bool {
        let opened: Vec<usize> = self.batches.iter().cloned().flatten().collect();
        let all_are = opened.iter().zip(held).all(|(&n, &held)| {
            let text = &records[self.bodies[n].range()][..blocks(n) * BLOCK];
            let (start, end) = text.split_at(payload(n).len());
            let is_plain = start == &self.text[payload(n).range()]
                && end[0] == self.text[n]
                && end[1..].iter().all(|&byte| byte == 0);
            is_plain != is_spoilt(n) && held == u8::from(is_plain)
        });
        opened.len() == held.len() && all_are
    }
}

const fn sum(counts: &[usize]) -> usize {
    match counts {
        [] => 0,
        [first, rest @ ..] => *first + sum(rest),
    }
}

fn is_spoilt(n: usize) -> bool {
    n % 5 == 2
}

fn batches() -> Vec<Range<usize>> {
    let mut end = 0;
    let range = |count| {
        end += count;
        end - count..end
    };
    LONG.into_iter().chain(SHORT).map(range).collect()
}

/// Where the payload of record `n` is.
fn payload(n: usize) -> Span {
    let len = match n {
        n if EMPTY.contains(&n) => 0,
        n if n < LONG_RECORDS => LONG_LEN - n,
        _ => SHORT_LEN,
    };
    Span::new(Area::ONLY, n..n + len)
}

fn blocks(n: usize) -> usize {
    payload(n).len() / BLOCK + 1
}

/// Behind each other.
fn bodies() -> Vec<Span> {
    let mut end = 0;
    let place = |n| {
        let start = end;
        end += blocks(n) * BLOCK + TAG;
        Span::new(Area::ONLY, start..end)
    };
    (0..RECORDS).map(place).collect()
}
