//! How fast native records are sealed and opened: 64 of one direction at a time,
//! in one batch, beside the same 64 one by one.
//!
//! `one_by_one` is what a user of the plain `cbc` and `hmac` crates writes: a
//! fresh cipher and a fresh MAC for every record, as these crates' own examples
//! have it, and the IV's AES. Both give the same bytes, which is checked first.
//!
//! Opening destroys its input. Restoring it is not timed; reading the clock is,
//! twice in 64 records, which is well below 1 % of the shortest.

use std::hint::black_box;
use std::time::{Duration, Instant};

use aes::Aes256;
use aes::cipher::{BlockCipherEncrypt, KeyInit, KeyIvInit};
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sealwire::crypto::batch::{OpenBatch, OpenJob, SealBatch, SealJob};
use sealwire::crypto::kernel::Kernel;
use sealwire::crypto::keys::{Handle, KeyStore, OpenKeys, SealKeys};
use sealwire::limits::{RECORD_HEADER, TAG};
use sealwire::span::{Area, Span};
use sealwire::wire::record::{Kind, blocks_for, record_len};
use sha2::Sha256;

const RECORDS: usize = 64;
const LENS: [usize; 3] = [64, 1024, 16384];
const DIFFER: &str = "the two do not give the same bytes";
const KIND: u8 = Kind::End as u8;
/// The secret of the direction's first epoch.
const SECRET: [u8; 32] = *b"the secret of the first epoch is";

/// Where records of `len` payload bytes have their ciphertext and tag.
fn bodies(len: usize) -> impl Iterator<Item = (u64, Span)> {
    let record = record_len(blocks_for(len));
    (0..RECORDS).map(move |i| {
        let body = i * record + RECORD_HEADER..(i + 1) * record;
        (i as u64, Span::new(Area::ONLY, body))
    })
}

fn payloads(len: usize) -> Vec<u8> {
    (0..RECORDS * len).map(|i| (i % 251) as u8).collect()
}

fn output(len: usize) -> Vec<u8> {
    vec![0; RECORDS * record_len(blocks_for(len))]
}

/// Seals through the library, all in one batch.
struct BatchSealer {
    keys: KeyStore<SealKeys>,
    handle: Handle,
    batch: SealBatch,
}

impl BatchSealer {
    fn new() -> Self {
        let mut keys = KeyStore::new(Kernel::PORTABLE);
        let handle = keys.install(&SECRET, 0);
        let batch = SealBatch::default();
        Self {
            keys,
            handle,
            batch,
        }
    }

    fn seal(&mut self, len: usize, payloads: &mut [u8], output: &mut [u8]) {
        for (sequence, body) in bodies(len) {
            let start = sequence as usize * len;
            self.batch.push(SealJob {
                key: self.handle.id(),
                sequence,
                kind: KIND,
                blocks: blocks_for(len),
                payload: Span::new(Area::ONLY, start..start + len),
                body: body.range().start,
            });
        }
        self.batch.run(&self.keys, &[&*payloads], output);
    }
}

/// Opens through the library, all in one batch.
struct BatchOpener {
    keys: KeyStore<OpenKeys>,
    handle: Handle,
    batch: OpenBatch,
}

impl BatchOpener {
    fn new() -> Self {
        let mut keys = KeyStore::new(Kernel::PORTABLE);
        let handle = keys.install(&SECRET, 0);
        let batch = OpenBatch::default();
        Self {
            keys,
            handle,
            batch,
        }
    }

    /// Says how many opened.
    fn open(&mut self, len: usize, mut records: &mut [u8]) -> usize {
        self.batch.clear();
        for (sequence, body) in bodies(len) {
            let key = self.handle.id();
            self.batch.push(OpenJob {
                key,
                sequence,
                body,
            });
        }
        self.batch.run(&self.keys, &mut records);
        (0..RECORDS).filter(|&i| self.batch.result(i).1).count()
    }
}

/// `k_enc`, `k_mac` and `k_iv` (`PROTOCOL.md` §1.4).
struct PlainKeys([[u8; 32]; 3]);

impl PlainKeys {
    fn new() -> Self {
        let mut keys = [[0; 32]; 3];
        Hkdf::<Sha256>::from_prk(&SECRET)
            .expect("32 bytes")
            .expand(b"sealwire/1 record keys", keys.as_flattened_mut())
            .expect("96 bytes");
        Self(keys)
    }

    fn iv(&self, sequence: u64) -> aes::Block {
        let mut block = aes::Block::default();
        block[8..].copy_from_slice(&sequence.to_be_bytes());
        Aes256::new(&self.0[2].into()).encrypt_block(&mut block);
        block
    }

    fn mac(&self, text: &[u8], sequence: u64, blocks: u16) -> Hmac<Sha256> {
        <Hmac<Sha256> as KeyInit>::new_from_slice(&self.0[1])
            .expect("any key")
            .chain_update(text)
            .chain_update(sequence.to_be_bytes())
            .chain_update(blocks.to_be_bytes())
    }

    fn seal(&self, sequence: u64, payload: &[u8], body: &mut [u8]) {
        let (text, tag) = body.split_at_mut(body.len() - TAG);
        text[..payload.len()].copy_from_slice(payload);
        text[payload.len()] = KIND;
        text[payload.len() + 1..].fill(0);
        cbc::Encryptor::<Aes256>::new(&self.0[0].into(), &self.iv(sequence))
            .encrypt_padded::<NoPadding>(text, text.len())
            .expect("whole blocks");
        let mac = self.mac(text, sequence, blocks_for(payload.len()));
        tag.copy_from_slice(&mac.finalize().into_bytes()[..TAG]);
    }

    /// Says whether it opened.
    fn open(&self, sequence: u64, blocks: u16, body: &mut [u8]) -> bool {
        let (text, tag) = body.split_at_mut(body.len() - TAG);
        let mac = self.mac(text, sequence, blocks);
        mac.verify_truncated_left(tag).is_ok()
            && cbc::Decryptor::<Aes256>::new(&self.0[0].into(), &self.iv(sequence))
                .decrypt_padded::<NoPadding>(text)
                .is_ok()
    }
}

fn seal_one_by_one(keys: &PlainKeys, len: usize, payloads: &[u8], output: &mut [u8]) {
    for ((sequence, body), payload) in bodies(len).zip(payloads.chunks(len)) {
        keys.seal(sequence, payload, &mut output[body.range()]);
    }
}

/// Says how many opened.
fn open_one_by_one(keys: &PlainKeys, len: usize, records: &mut [u8]) -> usize {
    let blocks = blocks_for(len);
    bodies(len)
        .filter(|(sequence, body)| keys.open(*sequence, blocks, &mut records[body.range()]))
        .count()
}

fn seal(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("seal");
    let plain = PlainKeys::new();
    for len in LENS {
        group.throughput(Throughput::Bytes((RECORDS * len) as u64));
        let mut payloads = payloads(len);
        let mut sealer = BatchSealer::new();
        let (mut output, mut expected) = (output(len), output(len));
        sealer.seal(len, &mut payloads, &mut output);
        seal_one_by_one(&plain, len, &payloads, &mut expected);
        assert!(output == expected, "{DIFFER}");

        group.bench_function(BenchmarkId::new("portable", len), |bench| {
            bench.iter(|| {
                sealer.seal(len, black_box(&mut payloads), &mut output);
                black_box(&mut output);
            });
        });
        group.bench_function(BenchmarkId::new("one_by_one", len), |bench| {
            bench.iter(|| {
                seal_one_by_one(&plain, len, black_box(&payloads), &mut output);
                black_box(&mut output);
            });
        });
    }
    group.finish();
}

/// Times `open` on records as they were sealed, again and again.
fn time_open(iterations: u64, sealed: &[u8], mut open: impl FnMut(&mut [u8]) -> usize) -> Duration {
    let mut records = sealed.to_vec();
    let mut total = Duration::ZERO;
    for _ in 0..iterations {
        records.copy_from_slice(sealed);
        let start = Instant::now();
        let opened = open(black_box(&mut records));
        total += start.elapsed();
        assert_eq!(opened, RECORDS);
        black_box(&mut records);
    }
    total
}

fn open(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("open");
    let plain = PlainKeys::new();
    for len in LENS {
        group.throughput(Throughput::Bytes((RECORDS * len) as u64));
        let mut sealed = output(len);
        seal_one_by_one(&plain, len, &payloads(len), &mut sealed);
        let mut opener = BatchOpener::new();
        let (mut opened, mut expected) = (sealed.clone(), sealed.clone());
        opener.open(len, &mut opened);
        open_one_by_one(&plain, len, &mut expected);
        for (_, body) in bodies(len) {
            let text = body.range().start..body.range().end - TAG;
            assert!(opened[text.clone()] == expected[text], "{DIFFER}");
        }

        group.bench_function(BenchmarkId::new("portable", len), |bench| {
            bench.iter_custom(|n| time_open(n, &sealed, |records| opener.open(len, records)));
        });
        group.bench_function(BenchmarkId::new("one_by_one", len), |bench| {
            let open = |records: &mut [u8]| open_one_by_one(&plain, len, records);
            bench.iter_custom(|n| time_open(n, &sealed, open));
        });
    }
    group.finish();
}

criterion_group!(benches, seal, open);
criterion_main!(benches);
