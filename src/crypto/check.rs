//! Known answers: whether a kernel seals and opens as `PROTOCOL.md` says, on the
//! processor that it is about to run on.
//!
//! Asked once, before the kernel is trusted ([`super::choice`]), and through the
//! same batches and stores of keys that connections use, which takes a third of a
//! millisecond. What a kernel does with everything else is up to the tests.

use sha2::{Digest, Sha256};

use super::batch::{OpenBatch, OpenJob, SealBatch, SealJob};
use super::kernel::Kernel;
use super::keys::{Handle, KeyStore, OpenKeys, RecordKeys, SealKeys, epoch_of};
use crate::limits::{BLOCK, RECORD_HEADER, TAG};
use crate::span::{Area, Span};

/// How many records go together. Of many lengths, most of them short: one; two; and more, so
/// that sets of 16 or 32 lanes are filled in part, wholly and again; where lanes do not go in
/// sets (`Units` in `kernel/x86/avx512.rs`), short groups of every size go beside some lanes
/// (`kernel/x86/short.rs`). Of one length, so that lanes go many steps together: as two sets
/// of lanes take, and as one takes, alone and with four lanes beside it. And short ones, as
/// many as go in a group.
const BATCHES: [usize; 9] = [1, 2, 6, 17, 43, 30, 11, 20, 8];
const MIXED: usize = BATCHES[0] + BATCHES[1] + BATCHES[2] + BATCHES[3] + BATCHES[4];
const EQUAL: usize = BATCHES[5] + BATCHES[6] + BATCHES[7];
const RECORDS: usize = MIXED + EQUAL + BATCHES[8];
/// Payload bytes of those of one length, and of the short ones.
const EQUAL_LEN: usize = 300;
const SHORT_LEN: usize = 64;
/// Payload bytes of the others; record n has `LENS[n % 13]`. Around the ends of blocks of both
/// the cipher and the hash, none at all, and more than any piece that a kernel
/// takes at once. Their number is no multiple of that of the keys, so that each has
/// all.
const LENS: [usize; 13] = [200, 0, 64, 1, 4500, 15, 48, 16, 63, 47, 100, 31, 32];
/// The secrets of the first epoch that is used; record n has `n % 3`.
type Secrets = [[u8; 32]; 3];
const SECRETS: Secrets = [[1; 32], [2; 32], [3; 32]];
/// The first sequence; the others count on, in the batch of 43 across the end of an
/// epoch. No two of its bytes that may differ from zero are equal.
const FIRST: u64 = 0x1234_567f_ffd0;
/// SHA-256 of all records, one behind the other as they are sent. Computed from
/// `PROTOCOL.md` by a program in Python, over OpenSSL's AES.
const ANSWER: [u8; 32] = [
    0xff, 0x3d, 0x95, 0x79, 0xff, 0x04, 0xfd, 0x25, 0xe1, 0xe0, 0xd4, 0xa5, 0xbc, 0x01, 0x1a, 0x48,
    0xd1, 0x34, 0xaf, 0x1f, 0xe5, 0x06, 0xf2, 0x12, 0xa9, 0x2a, 0xe2, 0x03, 0x22, 0x12, 0x78, 0x2c,
];

/// Whether it does.
pub(super) fn gives_right_answers(kernel: Kernel) -> bool {
    let records = sealed(kernel, &SECRETS);
    is_the_answer(&records) && opens(kernel, &SECRETS, records)
}

fn is_the_answer(records: &[u8]) -> bool {
    Sha256::digest(records)[..] == ANSWER
}

/// What all payloads are parts of.
fn source() -> Vec<u8> {
    let longest = LENS.into_iter().max().unwrap_or(0);
    (0..RECORDS + longest).map(|n| (n % 251) as u8).collect()
}

/// All records, in order: with one and with two blocks more than the payload
/// fills, and with every kind there is.
fn jobs(handles: &[Handle; 3]) -> Vec<SealJob> {
    let mut at = 0;
    let job = |n: usize| {
        let len = match n {
            ..MIXED => LENS[n % LENS.len()],
            n if n < MIXED + EQUAL => EQUAL_LEN,
            _ => SHORT_LEN,
        };
        let blocks = len / BLOCK + 1 + n % 2;
        let body = at + RECORD_HEADER;
        let job = SealJob {
            key: handles[n % handles.len()].id(),
            sequence: FIRST + n as u64,
            kind: 1 + (n % 7) as u8,
            blocks: blocks as u16,
            payload: Span::new(Area::ONLY, n..n + len),
            body,
        };
        at = job.body_end();
        job
    };
    (0..RECORDS).map(job).collect()
}

/// Where a record's ciphertext and tag are.
fn body(job: &SealJob) -> Span {
    Span::new(Area::ONLY, job.body..job.body_end())
}

/// `jobs`, cut into batches.
fn batches(mut jobs: &[SealJob]) -> impl Iterator<Item = &[SealJob]> {
    BATCHES.into_iter().map(move |count| {
        let (batch, rest) = jobs.split_at(count);
        jobs = rest;
        batch
    })
}

/// A store of the keys for all records.
fn keys<K: RecordKeys>(kernel: Kernel, secrets: &Secrets) -> (KeyStore<K>, [Handle; 3]) {
    let mut keys = KeyStore::new(kernel);
    let handles = secrets.map(|secret| {
        let handle = keys.install(&secret, epoch_of(FIRST));
        keys.prepare(&handle, FIRST + RECORDS as u64);
        handle
    });
    (keys, handles)
}

/// All records, as they are sent.
fn sealed(kernel: Kernel, secrets: &Secrets) -> Vec<u8> {
    let (keys, handles) = keys::<SealKeys>(kernel, secrets);
    let (jobs, source) = (jobs(&handles), source());
    let mut records = vec![0; jobs.last().map_or(0, |job| body(job).end())];
    let mut batch = SealBatch::default();
    for jobs in batches(&jobs) {
        for job in jobs {
            records[job.body - RECORD_HEADER..job.body].copy_from_slice(&job.blocks.to_be_bytes());
            batch.push(*job);
        }
        batch.run(&keys, &[&source[..]], &mut records);
    }
    records
}

/// Whether each of `records` is opened, but for every fourth, in whose tag a bit
/// is turned over first, and nothing else is touched.
fn opens(kernel: Kernel, secrets: &Secrets, mut records: Vec<u8>) -> bool {
    let (keys, handles) = keys::<OpenKeys>(kernel, secrets);
    let (jobs, source) = (jobs(&handles), source());
    let is_spoilt = |n: usize| n % 4 == 3;
    for (n, job) in jobs.iter().enumerate().filter(|&(n, _)| is_spoilt(n)) {
        // In the end a bit of each of the tag's bytes.
        let byte = body(job).end() - 1 - n / 4 % TAG;
        records[byte] ^= 1 << (n % 8);
    }
    let mut wanted = records.clone();
    for (_, job) in jobs.iter().enumerate().filter(|&(n, _)| !is_spoilt(n)) {
        let text = &mut wanted[job.body..body(job).end() - TAG];
        text.fill(0);
        text[..job.payload.len()].copy_from_slice(&source[job.payload.range()]);
        text[job.payload.len()] = job.kind;
    }

    let mut held = Vec::new();
    let mut batch = OpenBatch::default();
    for jobs in batches(&jobs) {
        batch.clear();
        for job in jobs {
            batch.push(OpenJob {
                key: job.key,
                sequence: job.sequence,
                body: body(job),
            });
        }
        batch.run(&keys, &mut &mut records[..]);
        held.extend((0..batch.len()).map(|n| batch.result(n).1));
    }
    held.into_iter().eq((0..RECORDS).map(|n| !is_spoilt(n))) && records == wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHERS: Secrets = [SECRETS[0], SECRETS[2], SECRETS[2]];

    /// Goal: all kernels of this processor are right. Method: ask each.
    #[test]
    fn every_kernel_is_right() {
        for kernel in Kernel::all() {
            assert!(gives_right_answers(kernel), "{kernel:?}");
        }
    }

    /// Goal: what a kernel seals wrong is noticed. Method: one of the three keys
    /// is another.
    #[test]
    fn sealing_wrong_is_noticed() {
        for kernel in Kernel::all() {
            assert!(is_the_answer(&sealed(kernel, &SECRETS)), "{kernel:?}");
            assert!(!is_the_answer(&sealed(kernel, &OTHERS)), "{kernel:?}");
        }
    }

    /// Goal: what a kernel opens wrong is noticed. Method: one of the three keys
    /// is another; one record was changed on the way; one was not that should
    /// have been, so that a wrong tag seems to hold.
    #[test]
    fn opening_wrong_is_noticed() {
        for kernel in Kernel::all() {
            let right = sealed(kernel, &SECRETS);
            assert!(opens(kernel, &SECRETS, right.clone()), "{kernel:?}");
            assert!(!opens(kernel, &OTHERS, right.clone()), "{kernel:?}");
            let last = right.len() - 1;
            for (at, bit) in [(RECORD_HEADER, 1), (last, 1), (spoilt_first(), 1 << 3)] {
                let mut changed = right.clone();
                changed[at] ^= bit;
                assert!(!opens(kernel, &SECRETS, changed), "{kernel:?}: {at}");
            }
        }
    }

    /// The byte of record 3 that [`opens`] changes.
    fn spoilt_first() -> usize {
        let (_, handles) = keys::<OpenKeys>(Kernel::PORTABLE, &SECRETS);
        body(&jobs(&handles)[3]).end() - 1
    }
}
