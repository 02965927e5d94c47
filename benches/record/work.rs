//! The records, and how the library seals and opens them.

use std::ops::Range;

use sealwire::Kernel;
use sealwire::limits::RECORD_HEADER;
use sealwire::wire::record::{Kind, len_for};

use crate::batches::{self, Place};

/// Records that are sealed or opened at a time.
pub(crate) const RECORDS: usize = 64;
/// The byte behind every payload.
const KIND: u8 = Kind::End as u8;

/// Lengths as a chat server sees them: of 64 records, 44 are lines, 15 longer texts, 5 pasted. The
/// numbers of each, and the bounds of their lengths.
const CHAT: [(usize, Range<usize>); 3] = [(44, 16..121), (15, 121..601), (5, 601..3001)];

/// 64 records, one behind the other.
pub(crate) struct Work {
    batches: Vec<Vec<Place>>,
    /// The secrets of the first epoch of all keys.
    pub(crate) secrets: Vec<[u8; 32]>,
}

impl Work {
    /// Records of `len` payload bytes each, in one batch under one key.
    pub(crate) fn equal(len: usize) -> Self {
        Self::new([len; RECORDS], 1, RECORDS)
    }

    /// Each under a key of its own.
    pub(crate) fn many_keys(len: usize) -> Self {
        Self::new([len; RECORDS], RECORDS, RECORDS)
    }

    /// Each in a batch of its own. There are many, because to read the clock takes as long as to
    /// open one.
    pub(crate) fn lone(len: usize) -> Self {
        Self::new([len; RECORDS], 1, 1)
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
        Self::new(lens, 1, RECORDS)
    }

    fn new(lens: [usize; RECORDS], keys: usize, per_batch: usize) -> Self {
        let (mut payload, mut record) = (0, 0);
        let places = lens.iter().enumerate().map(|(n, &len)| {
            let place = Place {
                key: n % keys,
                sequence: n as u64,
                kind: KIND,
                payload: payload..payload + len,
                body: record + RECORD_HEADER..record + len_for(len),
            };
            (payload, record) = (place.payload.end, place.body.end);
            place
        });
        let places: Vec<Place> = places.collect();
        Self {
            batches: places.chunks(per_batch).map(<[Place]>::to_vec).collect(),
            secrets: (0..keys).map(secret).collect(),
        }
    }

    pub(crate) fn places(&self) -> impl Iterator<Item = &Place> {
        self.batches.iter().flatten()
    }

    fn last(&self) -> &Place {
        self.places().last().expect("there are records")
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
        batches::sealer(kernel, &self.secrets, &self.batches)
    }

    /// Opens with the library, in place. Returns how many tags held.
    pub(crate) fn opener(&self, kernel: Kernel) -> impl FnMut(&mut [u8]) -> usize {
        let mut open = batches::opener(kernel, &self.secrets, &self.batches);
        let mut held = Vec::new();
        move |records| {
            held.clear();
            open(records, &mut held);
            held.iter().filter(|&&held| held == 1).count()
        }
    }
}

/// The secret of the first epoch, of key `index`.
fn secret(index: usize) -> [u8; 32] {
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
