//! The records, and how the library seals and opens them.

use std::ops::Range;

use sealwire::crypto::batch::{OpenBatch, OpenJob, SealBatch, SealJob};
use sealwire::crypto::kernel::Kernel;
use sealwire::crypto::keys::{Handle, KeyStore, OpenKeys, RecordKeys, SealKeys};
use sealwire::limits::{RECORD_HEADER, TAG};
use sealwire::span::{Area, Span};
use sealwire::wire::record::{Kind, blocks_for, len_for};

/// Records that are sealed or opened at a time.
pub(crate) const RECORDS: usize = 64;
/// The byte behind every payload.
pub(crate) const KIND: u8 = Kind::End as u8;

/// Lengths as a chat server sees them: of 64 records, 44 are lines, 15 longer texts, 5 pasted. The
/// numbers of each, and the bounds of their lengths.
const CHAT: [(usize, Range<usize>); 3] = [(44, 16..121), (15, 121..601), (5, 601..3001)];

/// One record.
pub(crate) struct Place {
    /// Its number in its direction.
    pub(crate) sequence: u64,
    /// Where its payload is, among the payloads.
    pub(crate) payload: Range<usize>,
    /// Where its ciphertext and tag are, among the records.
    pub(crate) body: Range<usize>,
}

impl Place {
    /// Blocks of its ciphertext.
    pub(crate) fn blocks(&self) -> u16 {
        blocks_for(self.payload.len())
    }

    /// Where its ciphertext is, among the records.
    pub(crate) fn text(&self) -> Range<usize> {
        self.body.start..self.body.end - TAG
    }
}

/// 64 records, one behind the other.
pub(crate) struct Work {
    pub(crate) places: Vec<Place>,
    /// How many keys they use in turn.
    pub(crate) keys: usize,
    /// Records in a batch.
    per_batch: usize,
}

impl Work {
    /// Records of `len` payload bytes each, in one batch under one key.
    pub(crate) fn equal(len: usize) -> Self {
        Self::new([len; RECORDS])
    }

    /// Each under a key of its own.
    pub(crate) fn many_keys(len: usize) -> Self {
        let keys = RECORDS;
        Self {
            keys,
            ..Self::equal(len)
        }
    }

    /// Each in a batch of its own. There are many, because to read the clock takes as long as to
    /// open one.
    pub(crate) fn lone(len: usize) -> Self {
        let per_batch = 1;
        Self {
            per_batch,
            ..Self::equal(len)
        }
    }

    /// Lengths of [`CHAT`], in a random order that is always the same.
    pub(crate) fn mixed() -> Self {
        let mut numbers = Numbers(3);
        let mut lens = [0; RECORDS];
        let ranges = CHAT.iter().flat_map(|(n, range)| vec![range; *n]);
        for (len, range) in lens.iter_mut().zip(ranges) {
            *len = range.start + numbers.below(range.len());
        }
        for last in (1..RECORDS).rev() {
            lens.swap(last, numbers.below(last + 1));
        }
        Self::new(lens)
    }

    fn new(lens: [usize; RECORDS]) -> Self {
        let (mut payload, mut record) = (0, 0);
        let places = lens.iter().zip(0..).map(|(&len, sequence)| {
            let place = Place {
                sequence,
                payload: payload..payload + len,
                body: record + RECORD_HEADER..record + len_for(len),
            };
            (payload, record) = (place.payload.end, place.body.end);
            place
        });
        Self {
            places: places.collect(),
            keys: 1,
            per_batch: RECORDS,
        }
    }

    fn last(&self) -> &Place {
        self.places.last().expect("there are records")
    }

    /// Bytes of all payloads.
    pub(crate) fn payload_len(&self) -> usize {
        self.last().payload.end
    }

    pub(crate) fn payloads(&self) -> Vec<u8> {
        (0..self.payload_len()).map(|i| (i % 251) as u8).collect()
    }

    /// Room for all records.
    pub(crate) fn output(&self) -> Vec<u8> {
        vec![0; self.last().body.end]
    }

    /// Seals with the library: payloads to records.
    pub(crate) fn sealer(&self, kernel: Kernel) -> impl FnMut(&[u8], &mut [u8]) {
        let (keys, handles) = self.store::<SealKeys>(kernel);
        let mut batch = SealBatch::default();
        move |payloads, output| {
            for places in self.places.chunks(self.per_batch) {
                for place in places {
                    batch.push(SealJob {
                        key: handles[place.sequence as usize % self.keys].id(),
                        sequence: place.sequence,
                        kind: KIND,
                        blocks: place.blocks(),
                        payload: Span::new(Area::ONLY, place.payload.clone()),
                        body: place.body.start,
                    });
                }
                batch.run(&keys, &[payloads], output);
            }
        }
    }

    /// Opens with the library, in place. Returns how many tags held.
    pub(crate) fn opener(&self, kernel: Kernel) -> impl FnMut(&mut [u8]) -> usize {
        let (keys, handles) = self.store::<OpenKeys>(kernel);
        let mut batch = OpenBatch::default();
        move |mut records| {
            let mut opened = 0;
            for places in self.places.chunks(self.per_batch) {
                batch.clear();
                for place in places {
                    batch.push(OpenJob {
                        key: handles[place.sequence as usize % self.keys].id(),
                        sequence: place.sequence,
                        body: Span::new(Area::ONLY, place.body.clone()),
                    });
                }
                batch.run(&keys, &mut records);
                opened += (0..batch.len()).filter(|&i| batch.result(i).1).count();
            }
            opened
        }
    }

    fn store<K: RecordKeys>(&self, kernel: Kernel) -> (KeyStore<K>, Vec<Handle>) {
        let mut keys = KeyStore::new(kernel);
        let handles = (0..self.keys).map(|i| keys.install(&secret(i), 0));
        let handles = handles.collect();
        (keys, handles)
    }
}

/// The secret of the first epoch, of key `index`.
pub(crate) fn secret(index: usize) -> [u8; 32] {
    let mut secret = *b"the secret of the first epoch is";
    secret[0] ^= index as u8;
    secret
}

/// Random numbers, the same in every run (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }
}
