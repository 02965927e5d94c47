//! Many records, sealed or opened together.
//!
//! Records of any lengths, under any keys, of any number of connections are
//! gathered into a batch; `run` works it off; whoever gathered reads the results
//! in order. A batch holds names ([`Span`], [`KeyId`]), never borrows, so that it
//! can be filled while the memory it refers to is still being filled. Which
//! bytes are a record, and what its plaintext means, is not known here.

use super::keys::{KeyId, KeyStore, OpenKeys, SealKeys};
use crate::limits::{BLOCK, TAG};
use crate::span::{Areas, AreasMut, Span};

/// One record to seal.
#[derive(Debug, Clone, Copy)]
pub struct SealJob {
    /// Under which keys.
    pub key: KeyId,
    /// Its number in its direction.
    pub sequence: u64,
    /// The byte that follows the payload; zeros follow it.
    pub kind: u8,
    /// Blocks of ciphertext: at least enough for the payload and its kind.
    pub blocks: u16,
    /// What is sealed. Several records may share it.
    pub payload: Span,
    /// Where in the output the ciphertext starts; the tag is behind it.
    pub body: usize,
}

impl SealJob {
    fn body_end(&self) -> usize {
        self.body + usize::from(self.blocks) * BLOCK + TAG
    }
}

/// Records to seal.
///
/// Invariant: the places they are sealed to are disjoint and in order.
#[derive(Debug, Default)]
pub struct SealBatch {
    jobs: Vec<SealJob>,
}

impl SealBatch {
    /// Adds a record.
    ///
    /// # Panics
    ///
    /// If its place in the output is not behind that of the record before it, or
    /// its payload and kind need more blocks than it has.
    pub fn push(&mut self, job: SealJob) {
        let free = self.jobs.last().map_or(0, SealJob::body_end);
        assert!(job.body >= free, "places to seal to overlap");
        assert!(
            job.payload.len() < usize::from(job.blocks) * BLOCK,
            "no room for payload and kind"
        );
        self.jobs.push(job);
    }

    /// How many records wait.
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Seals every record into `output` and empties the batch. The order of
    /// records does not matter; each comes out as if sealed alone.
    pub fn run(&mut self, keys: &KeyStore<SealKeys>, sources: &impl Areas, output: &mut [u8]) {
        for job in self.jobs.drain(..) {
            let payload = &sources.area(job.payload.area)[job.payload.range()];
            let body = &mut output[job.body..job.body_end()];
            let keys = keys.get(job.key, job.sequence);
            keys.0.seal(job.sequence, job.kind, payload, body);
        }
    }
}

/// One record to open in place.
#[derive(Debug, Clone, Copy)]
pub struct OpenJob {
    /// Under which keys.
    pub key: KeyId,
    /// Its number in its direction.
    pub sequence: u64,
    /// Its ciphertext, whole blocks, and the tag behind it.
    pub body: Span,
}

impl OpenJob {
    /// Where the plaintext with its padding is, once it is opened.
    pub fn text(&self) -> Span {
        self.body.slice(0..self.body.len() - TAG)
    }
}

/// Records to open, and after `run` which of them are authentic.
///
/// Invariant: no two records share a byte; whoever gathers from a stream takes
/// each byte once.
#[derive(Debug, Default)]
pub struct OpenBatch {
    jobs: Vec<OpenJob>,
    held: Vec<bool>,
}

impl OpenBatch {
    /// Adds a record.
    ///
    /// # Panics
    ///
    /// If its length is not that of whole blocks, at least one, and a tag.
    pub fn push(&mut self, job: OpenJob) {
        let text = job.body.len().saturating_sub(TAG);
        assert!(text >= BLOCK && text.is_multiple_of(BLOCK));
        self.jobs.push(job);
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Checks every tag, in constant time, and decrypts in place those records
    /// whose tag held.
    pub fn run(&mut self, keys: &KeyStore<OpenKeys>, areas: &mut impl AreasMut) {
        self.held.clear();
        for job in &self.jobs {
            let body = &mut areas.area_mut(job.body.area)[job.body.range()];
            let keys = keys.get(job.key, job.sequence);
            self.held.push(keys.0.open(job.sequence, body));
        }
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
