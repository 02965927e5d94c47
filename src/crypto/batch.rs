//! Many records, sealed or opened together.
//!
//! A batch gathers records of any length, under any keys, of any number of connections. `run`
//! seals or opens them, and the caller reads the results in order. A batch holds names ([`Span`],
//! [`KeyId`]) and never borrows, so it can be filled while the memory that it refers to is still
//! being filled. It does not know which bytes are a record, or what its plaintext means. Read
//! next: [`crate::wire`] and [`crate::conn`], which do.

use std::ops::Range;
use std::{fmt, mem};

use subtle::ConstantTimeEq;
use zeroize::optimization_barrier;

use super::kernel::{Checking, Decrypting, Sealing};
use super::keys::{KeyId, KeyStore, OpenKeys, SealKeys};
use crate::limits::{BLOCK, MAX_BLOCKS, TAG};
use crate::span::{Areas, AreasMut, Span};

/// One record to seal.
#[derive(Debug, Clone, Copy)]
pub struct SealJob {
    /// Its keys.
    pub key: KeyId,
    /// Its number in its direction.
    pub sequence: u64,
    /// The byte that follows the payload; zeros follow it.
    pub kind: u8,
    /// Blocks of ciphertext: at least enough for the payload and its kind.
    pub blocks: u16,
    /// The bytes to seal. Several records may share them.
    pub payload: Span,
    /// Where the ciphertext starts in the output. The tag is behind it.
    pub body: usize,
}

impl SealJob {
    /// Where its tag ends.
    pub(super) fn body_end(&self) -> usize {
        self.body + usize::from(self.blocks) * BLOCK + TAG
    }
}

/// Records to seal.
///
/// Invariant: the places they are sealed to are disjoint and in order.
#[derive(Default)]
pub struct SealBatch {
    jobs: Vec<SealJob>,
    /// Scratch of `run`, kept for its memory.
    records: Vec<Sealing<'static>>,
}

impl SealBatch {
    /// Adds a record.
    ///
    /// # Panics
    ///
    /// If its place in the output is not behind the record before it, if its payload and kind need
    /// more blocks than it has, or if it has more blocks than a record may have.
    #[inline]
    pub fn push(&mut self, job: SealJob) {
        let free = self.jobs.last().map_or(0, SealJob::body_end);
        assert!(job.body >= free, "places to seal to overlap");
        assert!(usize::from(job.blocks) <= MAX_BLOCKS);
        assert!(
            job.payload.len() < usize::from(job.blocks) * BLOCK,
            "no room for payload and kind"
        );
        self.jobs.push(job);
    }

    /// The number of records.
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Seals every record into `output` and empties the batch. Each comes out as if sealed alone.
    pub fn run(&mut self, keys: &KeyStore<SealKeys>, sources: &impl Areas, output: &mut [u8]) {
        let mut records = reused(mem::take(&mut self.records));
        let mut output = Pieces::of(output);
        for job in self.jobs.drain(..) {
            let body = output.cut(job.body..job.body_end());
            records.push(Sealing {
                keys: &keys.get(job.key, job.sequence).0,
                sequence: job.sequence,
                kind: job.kind,
                payload: &sources.area(job.payload.area)[job.payload.range()],
                body,
            });
        }
        keys.kernel().seal(&mut records);
        self.records = reused(records);
    }
}

impl fmt::Debug for SealBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealBatch({} records)", self.jobs.len())
    }
}

/// Cuts pieces out of some bytes, front to back.
struct Pieces<'a> {
    rest: &'a mut [u8],
    at: usize,
}

impl<'a> Pieces<'a> {
    fn of(bytes: &'a mut [u8]) -> Self {
        Self { rest: bytes, at: 0 }
    }

    /// The bytes in `range`, which lies behind all earlier pieces.
    fn cut(&mut self, range: Range<usize>) -> &'a mut [u8] {
        let (_, behind) = mem::take(&mut self.rest).split_at_mut(range.start - self.at);
        let (piece, rest) = behind.split_at_mut(range.len());
        (self.rest, self.at) = (rest, range.end);
        piece
    }
}

/// The memory of `records` for records of another lifetime: the standard library collects an
/// iterator into the vector that it came from.
fn reused<T, U>(mut records: Vec<T>) -> Vec<U> {
    records.clear();
    records
        .into_iter()
        .map(|_| unreachable!("there are none"))
        .collect()
}

/// One record to open in place.
#[derive(Debug, Clone, Copy)]
pub struct OpenJob {
    /// Its keys.
    pub key: KeyId,
    /// Its number in its direction.
    pub sequence: u64,
    /// Its ciphertext, in whole blocks, and its tag.
    pub body: Span,
}

impl OpenJob {
    /// Where the plaintext and its padding are once the record is open.
    pub fn text(&self) -> Span {
        self.body.slice(0..self.body.len() - TAG)
    }
}

/// Records to open, and after `run` which of them are authentic.
///
/// Invariant: no two records share a byte, because a caller that gathers from a stream takes each
/// byte once. Of two neighbours in one area, the later lies behind the other.
#[derive(Default)]
pub struct OpenBatch {
    jobs: Vec<OpenJob>,
    held: Vec<bool>,
    /// The tags that the records must have.
    tags: Vec<[u8; TAG]>,
    /// Scratch of `run`, kept for its memory.
    checking: Vec<Checking<'static>>,
    decrypting: Vec<Decrypting<'static>>,
}

impl OpenBatch {
    /// Adds a record.
    ///
    /// # Panics
    ///
    /// If its length is not a tag and whole blocks, as many as a record may have, or if it begins
    /// before the end of the record before it in the same area.
    #[inline]
    pub fn push(&mut self, job: OpenJob) {
        let text = job.body.len().saturating_sub(TAG);
        assert!(text.is_multiple_of(BLOCK));
        assert!((1..=MAX_BLOCKS).contains(&(text / BLOCK)));
        if let Some(last) = self.jobs.last().map(|last| last.body) {
            let behind = job.body.range().start >= last.end();
            assert!(behind || job.body.area != last.area, "records overlap");
        }
        self.jobs.push(job);
    }

    /// The number of records.
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Checks every tag in constant time, and decrypts the records whose tag held in place.
    pub fn run(&mut self, keys: &KeyStore<OpenKeys>, areas: &mut impl AreasMut) {
        self.compute_tags(keys, areas);
        self.held.clear();
        let mut tags = self.tags.iter();
        // One area after the other, because only one can be borrowed at a time.
        let of_one_area = |one: &OpenJob, next: &OpenJob| one.body.area == next.body.area;
        for jobs in self.jobs.chunk_by(of_one_area) {
            let mut records = reused(mem::take(&mut self.decrypting));
            let mut area = Pieces::of(areas.area_mut(jobs[0].body.area));
            for (job, tag) in jobs.iter().zip(&mut tags) {
                let body = area.cut(job.body.range());
                let (text, theirs) = body.split_last_chunk_mut().expect("as pushed");
                let held = holds(tag, theirs);
                if held {
                    records.push(Decrypting {
                        keys: &keys.get(job.key, job.sequence).0,
                        sequence: job.sequence,
                        text,
                    });
                }
                self.held.push(held);
            }
            keys.kernel().decrypt(&mut records);
            self.decrypting = reused(records);
        }
        // For a forged record, this is the tag that the forger would need, so it is secret.
        self.tags.fill([0; TAG]);
        optimization_barrier(&self.tags);
    }

    fn compute_tags(&mut self, keys: &KeyStore<OpenKeys>, areas: &impl Areas) {
        self.tags.clear();
        self.tags.resize(self.jobs.len(), [0; TAG]);
        let mut records = reused(mem::take(&mut self.checking));
        for (job, tag) in self.jobs.iter().zip(&mut self.tags) {
            let text = job.text();
            records.push(Checking {
                keys: &keys.get(job.key, job.sequence).0,
                sequence: job.sequence,
                text: &areas.area(text.area)[text.range()],
                tag,
            });
        }
        keys.kernel().tags(&mut records);
        self.checking = reused(records);
    }

    /// Record `index` and whether its tag held.
    pub fn result(&self, index: usize) -> (OpenJob, bool) {
        (self.jobs[index], self.held[index])
    }

    /// Empties the batch.
    pub fn clear(&mut self) {
        self.jobs.clear();
        self.held.clear();
    }
}

/// Whether `theirs` is the tag, in constant time. Comparing it as one number takes one comparison,
/// not one for each byte.
fn holds(tag: &[u8; TAG], theirs: &[u8; TAG]) -> bool {
    let held = u128::from_ne_bytes(*tag).ct_eq(&u128::from_ne_bytes(*theirs));
    // The verdict is public, and the only result of a secret that code branches on: once, while
    // `bool::from` has a second branch in a debug build.
    held.unwrap_u8() == 1
}

impl fmt::Debug for OpenBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpenBatch({} records)", self.jobs.len())
    }
}
