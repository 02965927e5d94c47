//! What a user might pick instead of CBC and HMAC: AES-256-GCM and ChaCha20-Poly1305 as TLS 1.3
//! uses them, through `aws-lc-rs`. It takes 64 records of one direction, one after the other,
//! in bytes of payload, for the groups `seal` and `open` of `cargo bench --bench record`.
//!
//! Sealing is in place, which saves the copy that the others make; it seals what was sealed
//! before. Opening destroys its input; restoring that is not timed.

use std::hint::black_box;
use std::time::{Duration, Instant};

use aws_lc_rs::aead::{AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, NONCE_LEN};
use aws_lc_rs::aead::{LessSafeKey, Nonce, UnboundKey};
use criterion::{Bencher, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const RECORDS: usize = 64;
const LENS: [usize; 3] = [64, 1024, 16384];
const SUITES: [(&str, &Algorithm); 2] = [
    ("aes_256_gcm", &AES_256_GCM),
    ("chacha20_poly1305", &CHACHA20_POLY1305),
];
/// The type of content, behind the payload (RFC 8446 §5.2).
const TYPE: usize = 1;
const TAG: usize = 16;

fn key(algorithm: &'static Algorithm) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(algorithm, &[1; 32]).expect("32 bytes"))
}

fn nonce(sequence: usize) -> Nonce {
    let mut nonce = [2; NONCE_LEN];
    for (byte, of) in nonce[4..].iter_mut().zip(sequence.to_be_bytes()) {
        *byte ^= of;
    }
    Nonce::assume_unique_for_key(nonce)
}

/// The header of a record with `text` bytes (RFC 8446 §5.2).
fn header(text: usize) -> Aad<[u8; 5]> {
    let [high, low] = ((text + TAG) as u16).to_be_bytes();
    Aad::from([23, 3, 3, high, low])
}

/// Seals all `records`, which hold text and tag.
fn seal_all(key: &LessSafeKey, len: usize, records: &mut [u8]) {
    for (i, record) in records.chunks_mut(len + TYPE + TAG).enumerate() {
        let (text, tag) = record.split_at_mut(len + TYPE);
        let aad = header(text.len());
        let fresh = key.seal_in_place_separate_tag(nonce(i), aad, text);
        tag.copy_from_slice(fresh.expect("below the limit").as_ref());
    }
}

/// Opens all `records`. Returns how many were authentic.
fn open_all(key: &LessSafeKey, len: usize, records: &mut [u8]) -> usize {
    let records = records.chunks_mut(len + TYPE + TAG).enumerate();
    records
        .filter_map(|(i, record)| {
            let aad = header(len + TYPE);
            key.open_in_place(nonce(i), aad, record).ok()
        })
        .count()
}

fn records(len: usize) -> Vec<u8> {
    vec![0x5a; RECORDS * (len + TYPE + TAG)]
}

/// Runs `bench` for each suite and length.
fn group(
    criterion: &mut Criterion,
    group: &str,
    bench: impl Fn(&mut Bencher<'_>, &LessSafeKey, usize),
) {
    let mut group = criterion.benchmark_group(group);
    for (name, algorithm) in SUITES {
        let key = key(algorithm);
        for len in LENS {
            group.throughput(Throughput::Bytes((RECORDS * len) as u64));
            let id = BenchmarkId::new(name, len);
            group.bench_function(id, |bencher| bench(bencher, &key, len));
        }
    }
    group.finish();
}

fn seal(criterion: &mut Criterion) {
    group(criterion, "seal", |bench, key, len| {
        let mut records = records(len);
        bench.iter(|| seal_all(key, len, black_box(&mut records)));
    });
}

fn open(criterion: &mut Criterion) {
    group(criterion, "open", |bench, key, len| {
        let mut sealed = records(len);
        seal_all(key, len, &mut sealed);
        let mut records = sealed.clone();
        bench.iter_custom(|count| {
            let mut spent = Duration::ZERO;
            for _ in 0..count {
                records.copy_from_slice(&sealed);
                let start = Instant::now();
                let opened = open_all(key, len, black_box(&mut records));
                spent += start.elapsed();
                assert_eq!(opened, RECORDS);
            }
            spent
        });
    });
}

criterion_group!(benches, seal, open);
criterion_main!(benches);
