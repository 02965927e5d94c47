//! That every way through these kernels, also those of other processors, gives the same.

#![allow(clippy::unwrap_used)]

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::*;
use crate::crypto::batch::{OpenBatch, OpenJob, SealBatch, SealJob};
use crate::crypto::check::gives_right_answers;
use crate::crypto::kernel::{Choice, Kernel};
use crate::crypto::keys::{KeyStore, OpenKeys, SealKeys};
use crate::limits::{BLOCK, TAG};
use crate::span::{Area, Span};

const SECRET: &[u8; 32] = &[7; 32];

/// Kernels as each kind of processor takes them.
fn kernels() -> Option<[Kernel; 3]> {
    let Some(token) = Avx512::detect() else {
        eprintln!("skipped: this processor lacks AVX-512");
        return None;
    };
    let features = [
        Features::AesNi(token.aesni()),
        Features::Avx512(token, Units::Whole),
        Features::Avx512(token, Units::Halves),
    ];
    Some(features.map(|features| Kernel(Choice::X86(features))))
}

/// A record's text: payload, kind and zeros.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Text {
    bytes: Vec<u8>,
    payload: usize,
}

impl Text {
    /// Of so many blocks; record `n` of its batch. `zeros` says how many there are behind
    /// its kind, if it has room for so many.
    fn new(n: usize, blocks: usize, zeros: usize) -> Self {
        let payload = (blocks * BLOCK - 1).saturating_sub(zeros);
        // Of a period that is no multiple of a block.
        let mut bytes: Vec<_> = (0..payload).map(|at| ((n + at) % 251) as u8).collect();
        bytes.push(1 + n as u8 % 7);
        bytes.resize(blocks * BLOCK, 0);
        Self { bytes, payload }
    }
}

/// Where records of these texts are, behind each other.
fn bodies(texts: &[Text]) -> Vec<Span> {
    let mut end = 0;
    let body = |text: &Text| {
        let start = end;
        end += text.bytes.len() + TAG;
        Span::new(Area::ONLY, start..end)
    };
    texts.iter().map(body).collect()
}

fn sealed(kernel: Kernel, texts: &[Text]) -> Vec<u8> {
    let mut keys = KeyStore::<SealKeys>::new(kernel);
    let key = keys.install(SECRET, 0).id();
    let bodies = bodies(texts);
    let mut batch = SealBatch::default();
    let mut payloads = Vec::new();
    for (n, (text, body)) in texts.iter().zip(&bodies).enumerate() {
        let start = payloads.len();
        payloads.extend_from_slice(&text.bytes[..text.payload]);
        batch.push(SealJob {
            key,
            sequence: n as u64,
            kind: text.bytes[text.payload],
            blocks: (text.bytes.len() / BLOCK) as u16,
            payload: Span::new(Area::ONLY, start..payloads.len()),
            body: body.offset as usize,
        });
    }
    let mut records = vec![0; bodies.last().unwrap().end()];
    batch.run(&keys, &[&payloads[..]], &mut records);
    records
}

/// The texts of `records`, if all tags hold.
fn opened(kernel: Kernel, bodies: &[Span], mut records: Vec<u8>) -> Option<Vec<Vec<u8>>> {
    let mut keys = KeyStore::<OpenKeys>::new(kernel);
    let key = keys.install(SECRET, 0).id();
    let mut batch = OpenBatch::default();
    for (sequence, &body) in (0..).zip(bodies) {
        batch.push(OpenJob {
            key,
            sequence,
            body,
        });
    }
    batch.run(&keys, &mut &mut records[..]);
    let text = |n| {
        let (job, held) = batch.result(n);
        held.then(|| records[job.text().range()].to_vec())
    };
    (0..batch.len()).map(text).collect()
}

/// Goal: however a processor has records shared out between engines, their bytes are
/// the same. Method: the known answers, as processors other than this one do it.
#[test]
fn known_answers_on_other_processors() {
    for kernel in kernels().into_iter().flatten() {
        assert!(gives_right_answers(kernel));
    }
}

/// Goal: on every kind of processor a batch of short and long records is sealed as by
/// `portable`, and opened. Method: draw their lengths, and how many zeros end them; all
/// under one key.
#[test]
fn as_portable_on_other_processors() {
    let Some(kernels) = kernels() else {
        return;
    };
    let blocks = prop_oneof![1..9_usize, 1..60_usize];
    let record = (blocks, prop_oneof![0..BLOCK, 0..200_usize]);
    let same = |records: Vec<(usize, usize)>| {
        let text = |(n, (blocks, zeros))| Text::new(n, blocks, zeros);
        let texts: Vec<_> = records.into_iter().enumerate().map(text).collect();
        let records = sealed(Kernel::PORTABLE, &texts);
        for kernel in kernels {
            prop_assert!(sealed(kernel, &texts) == records);
            let opened = opened(kernel, &bodies(&texts), records.clone());
            let wanted = texts.iter().map(|text| text.bytes.clone());
            prop_assert_eq!(opened, Some(wanted.collect()));
        }
        Ok(())
    };
    TestRunner::default()
        .run(&vec(record, 1..80), same)
        .unwrap();
}
