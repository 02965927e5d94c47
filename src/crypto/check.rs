//! Known answers: whether a kernel seals and opens as `PROTOCOL.md` says, on this processor.
//!
//! It checks a kernel once, before the kernel is trusted ([`super::choice`]), through the batches
//! and stores of keys that connections use. That takes a third of a millisecond. It tries no other
//! input: the tests do.

use sha2::{Digest, Sha256};

use super::batch::{OpenBatch, OpenJob, SealBatch, SealJob};
use super::kernel::Kernel;
use super::keys::{Handle, KeyStore, OpenKeys, RecordKeys, SealKeys, epoch_of};
use crate::limits::{BLOCK, RECORD_HEADER, TAG};
use crate::span::{Area, Span};

/// How many records with payloads of [`MIXED_LENS`] go together: one; two; and more, so that sets
/// of 16 or 32 lanes are filled in part, wholly and again. Where lanes do not go in sets
/// (`kernel/x86/avx512/units.rs`), short records go in groups of every size beside some lanes.
const MIXED: [usize; 5] = [1, 2, 6, 17, 43];
/// Payload bytes around the ends of blocks of both the cipher and the hash, none at all, and more
/// than any kernel takes at once. Their number is no multiple of that of the keys, so every key
/// has all lengths.
const MIXED_LENS: [usize; 13] = [200, 0, 64, 1, 4500, 15, 48, 16, 63, 47, 100, 31, 32];
/// How many records of one length go together, so that lanes take many steps at once: as many as
/// two sets of lanes take, and as one takes alone and with four lanes beside it.
const EQUAL: [usize; 3] = [30, 11, 20];
const EQUAL_LEN: usize = 300;
/// A whole group of short records.
const SHORT: usize = 8;
const SHORT_LEN: usize = 64;
/// The secrets of the first epoch; record n has `n % 3`.
type Secrets = [[u8; 32]; 3];
const SECRETS: Secrets = [[1; 32], [2; 32], [3; 32]];
/// The first sequence. The others count on, in the batch of 43 across the end of an epoch. No two
/// of its bytes that may differ from zero are equal.
const FIRST: u64 = 0x1234_567f_ffd0;
/// SHA-256 of all records, as they are sent. Computed from `PROTOCOL.md` by a program in Python,
/// with OpenSSL's AES.
const ANSWER: [u8; 32] = [
    0xff, 0x3d, 0x95, 0x79, 0xff, 0x04, 0xfd, 0x25, 0xe1, 0xe0, 0xd4, 0xa5, 0xbc, 0x01, 0x1a, 0x48,
    0xd1, 0x34, 0xaf, 0x1f, 0xe5, 0x06, 0xf2, 0x12, 0xa9, 0x2a, 0xe2, 0x03, 0x22, 0x12, 0x78, 0x2c,
];

/// Whether `kernel` gives the known answers.
pub(super) fn gives_right_answers(kernel: Kernel) -> bool {
    let known = Records::known();
    let sealed = known.sealed(kernel);
    is_the_answer(&sealed) && known.open(kernel, sealed)
}

fn is_the_answer(records: &[u8]) -> bool {
    Sha256::digest(records)[..] == ANSWER
}

/// Records to seal and to open.
pub(super) struct Records {
    /// The payload bytes of each, and its blocks.
    pub(super) lens: Vec<(usize, usize)>,
    /// How many go together, in turn.
    pub(super) batches: Vec<usize>,
    secrets: Secrets,
}

impl Records {
    /// Records of these lengths in one batch.
    #[cfg(test)]
    pub(super) fn in_one_batch(lens: Vec<(usize, usize)>) -> Self {
        Self {
            batches: vec![lens.len()],
            lens,
            secrets: SECRETS,
        }
    }

    /// The records of [`ANSWER`]: with one and with two blocks more than their payload fills.
    fn known() -> Self {
        let mixed = MIXED_LENS.into_iter().cycle().take(MIXED.iter().sum());
        let equal = [EQUAL_LEN].into_iter().cycle().take(EQUAL.iter().sum());
        let lens = mixed.chain(equal).chain([SHORT_LEN; SHORT]).enumerate();
        Self {
            lens: lens
                .map(|(n, len)| (len, len / BLOCK + 1 + n % 2))
                .collect(),
            batches: [&MIXED[..], &EQUAL, &[SHORT]].concat(),
            secrets: SECRETS,
        }
    }

    /// The bytes that all payloads are parts of.
    fn source(&self) -> Vec<u8> {
        let longest = self.lens.iter().map(|&(len, _)| len).max().unwrap_or(0);
        let bytes = 0..self.lens.len() + longest;
        bytes.map(|n| (n % 251) as u8).collect()
    }

    /// A store of the keys for all records.
    fn keys<K: RecordKeys>(&self, kernel: Kernel) -> (KeyStore<K>, [Handle; 3]) {
        let mut keys = KeyStore::new(kernel);
        let handles = self.secrets.map(|secret| {
            let handle = keys.install(&secret, epoch_of(FIRST));
            keys.prepare(&handle, FIRST + self.lens.len() as u64);
            handle
        });
        (keys, handles)
    }

    /// All records in order, of every kind.
    fn jobs(&self, handles: &[Handle; 3]) -> Vec<SealJob> {
        let mut at = 0;
        let job = |(n, &(len, blocks)): (usize, &(usize, usize))| {
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
        self.lens.iter().enumerate().map(job).collect()
    }

    /// `jobs`, cut into batches.
    fn cut<'a>(&self, mut jobs: &'a [SealJob]) -> impl Iterator<Item = &'a [SealJob]> {
        self.batches.iter().map(move |&count| {
            let (batch, rest) = jobs.split_at(count);
            jobs = rest;
            batch
        })
    }

    /// All records, as they are sent.
    pub(super) fn sealed(&self, kernel: Kernel) -> Vec<u8> {
        let (keys, handles) = self.keys::<SealKeys>(kernel);
        let (jobs, source) = (self.jobs(&handles), self.source());
        let mut records = vec![0; jobs.last().map_or(0, SealJob::body_end)];
        let mut batch = SealBatch::default();
        for jobs in self.cut(&jobs) {
            for job in jobs {
                let header = job.body - RECORD_HEADER..job.body;
                records[header].copy_from_slice(&job.blocks.to_be_bytes());
                batch.push(*job);
            }
            batch.run(&keys, &[&source[..]], &mut records);
        }
        records
    }

    /// Whether each of `records` opens, except every fourth: one bit of its tag is flipped first.
    /// Nothing else may change.
    pub(super) fn open(&self, kernel: Kernel, mut records: Vec<u8>) -> bool {
        let (keys, handles) = self.keys::<OpenKeys>(kernel);
        let (jobs, source) = (self.jobs(&handles), self.source());
        let is_spoilt = |n: usize| n % 4 == 3;
        let mut wanted = records.clone();
        for (n, job) in jobs.iter().enumerate() {
            let text = job.body..job.body_end() - TAG;
            if is_spoilt(n) {
                // Over all records, a bit of each byte of the tag.
                let byte = job.body_end() - 1 - n / 4 % TAG;
                records[byte] ^= 1 << (n % 8);
                wanted[byte] = records[byte];
            } else {
                let text = &mut wanted[text];
                text.fill(0);
                text[..job.payload.len()].copy_from_slice(&source[job.payload.range()]);
                text[job.payload.len()] = job.kind;
            }
        }

        let mut held = Vec::new();
        let mut batch = OpenBatch::default();
        for jobs in self.cut(&jobs) {
            batch.clear();
            for job in jobs {
                batch.push(OpenJob {
                    key: job.key,
                    sequence: job.sequence,
                    body: Span::new(Area::ONLY, job.body..job.body_end()),
                });
            }
            batch.run(&keys, &mut &mut records[..]);
            held.extend((0..batch.len()).map(|n| batch.result(n).1));
        }
        held.into_iter().eq((0..jobs.len()).map(|n| !is_spoilt(n))) && records == wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known records with another secret for one of the three keys.
    fn others() -> Records {
        Records {
            secrets: [SECRETS[0], SECRETS[2], SECRETS[2]],
            ..Records::known()
        }
    }

    /// Goal: every kernel of this processor is right, and what one seals wrong is noticed.
    /// Method: ask each, and seal with one key of the three changed.
    #[test]
    fn sealing_is_checked() {
        for kernel in Kernel::all() {
            assert!(gives_right_answers(kernel), "{kernel:?}");
            assert!(!is_the_answer(&others().sealed(kernel)), "{kernel:?}");
        }
    }

    /// Goal: what a kernel opens wrong is noticed. Method: open with one key of the three changed;
    /// with a record changed on the way; and with one unchanged that should be, so that a wrong
    /// tag seems to hold.
    #[test]
    fn opening_is_checked() {
        let known = Records::known();
        let (_, handles) = known.keys::<OpenKeys>(Kernel::PORTABLE);
        let spoilt_first = known.jobs(&handles)[3].body_end() - 1;
        for kernel in Kernel::all() {
            let right = known.sealed(kernel);
            assert!(!others().open(kernel, right.clone()), "{kernel:?}");
            let last = right.len() - 1;
            for (at, bit) in [(RECORD_HEADER, 1), (last, 1), (spoilt_first, 1 << 3)] {
                let mut changed = right.clone();
                changed[at] ^= bit;
                assert!(!known.open(kernel, changed), "{kernel:?}: {at}");
            }
        }
    }
}
