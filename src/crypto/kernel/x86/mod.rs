//! The kernels of x86-64: keys as they read them, and what they do with records.
//!
//! - [`lanes`]: many records side by side, and which bytes of them are next.
//! - [`front`]: the seam between lanes and engines, which take the steps.
//! - [`avx512`], an engine: 32 lanes in registers of 512 bits ([`text512`]), worked
//!   on in [`stitch512`].
//! - [`aesni`], the other: eight lanes, worked on in [`pairs`], or one, in [`one`].
//! - [`short`]: short records, in groups without lanes; [`tail`]: the end of a record, or
//!   all of a short one.
//! - [`decrypt`]: record by record, without lanes.
//! - [`aes`] and [`sha`]: what all of these are made of; [`assembly`]: what
//!   [`pairs`] and [`stitch512`] are put together with.

// Instructions that not every processor has, and pointers into many records.
#![allow(unsafe_code)]

mod aes;
mod aesni;
#[macro_use]
mod assembly;
mod avx512;
mod decrypt;
mod front;
mod lanes;
mod one;
mod pairs;
mod sha;
mod short;
mod stitch512;
mod tail;
mod text512;

use std::arch::x86_64::{__m128i, _MM_HINT_T0, _mm_prefetch};
use std::cmp::Reverse;
use std::{ptr, slice};

use self::aes::{IVS, Schedule, ivs};
use self::aesni::AesNiEngine;
use self::avx512::{Avx512Engine, Few};
use self::lanes::{Cipher, Record, Text, work};
use self::short::Short;
use self::tail::Plain;
use super::mac::MacKey;
use super::{Checking, Decrypting, Material, Sealing};
use crate::crypto::cpu::{AesNi, Avx512};

/// Bytes that are fetched at once.
const LINE: usize = 64;

/// What one direction seals or opens with for an epoch.
pub(in crate::crypto) struct Keys {
    cipher: Schedule,
    iv: Schedule,
    mac: MacKey,
}

impl Keys {
    pub(super) fn to_seal(features: Features, material: &Material) -> Self {
        Self::new(features, material, Schedule::to_encrypt)
    }

    pub(super) fn to_open(features: Features, material: &Material) -> Self {
        Self::new(features, material, Schedule::to_decrypt)
    }

    fn new(
        features: Features,
        [enc, mac, iv]: &Material,
        expand: fn(AesNi, &[u8; 32]) -> Schedule,
    ) -> Self {
        let token = features.aesni();
        Self {
            cipher: expand(token, enc),
            mac: MacKey::new(mac),
            iv: Schedule::to_encrypt(token, iv),
        }
    }
}

/// What there is to work with.
#[derive(Clone, Copy)]
pub(super) enum Features {
    AesNi(AesNi),
    Avx512(Avx512, Few),
}

impl Features {
    /// All that this processor has, the slowest first.
    pub(super) fn detect() -> impl Iterator<Item = Self> {
        let aesni = AesNi::detect().map(Self::AesNi);
        let avx512 = Avx512::detect().map(|token| Self::Avx512(token, Few::detect()));
        aesni.into_iter().chain(avx512)
    }

    /// What the kernel that uses them is called.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::AesNi(_) => "aesni",
            Self::Avx512(..) => "avx512",
        }
    }

    fn aesni(self) -> AesNi {
        match self {
            Self::AesNi(token) => token,
            Self::Avx512(token, _) => token.aesni(),
        }
    }

    /// Whether so many records are worked on in sets of lanes.
    fn uses_sets(self, records: usize) -> bool {
        matches!(self, Self::Avx512(_, few) if few.sets(records) > 0)
    }
}

/// Seals all of them.
pub(super) fn seal(features: Features, records: &mut [Sealing<'_>]) {
    if records.len() > 1 {
        fetch(records.iter().map(|record| record.keys.x86()));
    }
    records.sort_unstable_by_key(|record| Reverse(record.body.len()));
    let records = without_short(features, records);
    let count = records.len();
    if let [record] = records {
        let records = prepare::<1>(features, slice::from_mut(record));
        return run(features, true, count, records);
    }
    let records = records.chunks_mut(IVS);
    let records = records.flat_map(|records| prepare::<IVS>(features, records));
    run(features, true, count, records);
}

/// Works off those of `records` that are short, unless they help to fill sets. Returns the
/// others.
fn without_short<R: Short>(features: Features, records: &mut [R]) -> &mut [R] {
    match features.uses_sets(records.len()) {
        true => records,
        false => short::work(features.aesni(), records),
    }
}

/// Has the processor fetch the keys of all records at once: of a thousand peers they
/// are not in the nearest caches, and one after the other they would be waited for.
///
/// Not inlined: what is around it, sealing 64 records of 64 B, took 7 % longer then.
#[inline(never)]
fn fetch<'a>(keys: impl Iterator<Item = &'a Keys>) {
    let mut before = ptr::null();
    for keys in keys {
        // Records of one peer lie together, and have the same.
        if !ptr::eq(keys, before) {
            before = keys;
            let last = size_of::<Keys>() - 1;
            for byte in (0..last).step_by(LINE).chain([last]) {
                let line = before.wrapping_byte_add(byte).cast();
                // SAFETY: every x86-64 processor has SSE. A prefetch is a hint, which
                // neither reads nor faults, whatever the address.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(line) };
            }
        }
    }
}

/// Computes the IVs of up to `COUNT` records.
fn prepare<'a, const COUNT: usize>(
    features: Features,
    records: &'a mut [Sealing<'_>],
) -> impl Iterator<Item = Record<'a>> {
    let ivs = ivs::<COUNT>(features.aesni(), records.len(), |i| {
        (&records[i].keys.x86().iv, records[i].sequence)
    });
    records.iter_mut().zip(ivs).map(to_seal)
}

fn to_seal<'a>((record, iv): (&'a mut Sealing<'_>, __m128i)) -> Record<'a> {
    let (text, tag) = record.body.split_last_chunk_mut().expect("a tag");
    let keys = record.keys.x86();
    let cipher = Cipher {
        keys: &keys.cipher,
        iv,
    };
    let plain = Plain {
        payload: record.payload,
        kind: record.kind,
    };
    Record {
        text: Text::Seal(cipher, plain, text),
        mac: &keys.mac,
        sequence: record.sequence,
        tag,
    }
}

/// Computes the tags of all of them.
pub(super) fn tags(features: Features, records: &mut [Checking<'_>]) {
    if records.len() > 1 {
        fetch(records.iter().map(|record| record.keys.x86()));
    }
    records.sort_unstable_by_key(|record| Reverse(record.text.len()));
    let records = without_short(features, records);
    let count = records.len();
    let records = records.iter_mut().map(|record| Record {
        text: Text::Check(record.text),
        mac: &record.keys.x86().mac,
        sequence: record.sequence,
        tag: &mut *record.tag,
    });
    run(features, false, count, records);
}

/// Decrypts all of them.
pub(super) fn decrypt(features: Features, records: &mut [Decrypting<'_>]) {
    for records in records.chunks_mut(IVS) {
        let ivs = ivs::<IVS>(features.aesni(), records.len(), |i| {
            (&records[i].keys.x86().iv, records[i].sequence)
        });
        for (record, iv) in records.iter_mut().zip(ivs) {
            let cipher = &record.keys.x86().cipher;
            match features {
                Features::AesNi(token) => decrypt::aesni(token, cipher, iv, record.text),
                Features::Avx512(token, _) => decrypt::avx512(token, cipher, iv, record.text),
            }
        }
    }
}

/// Works so many records off, with what is fastest at that.
fn run<'a>(
    features: Features,
    seals: bool,
    count: usize,
    records: impl Iterator<Item = Record<'a>>,
) {
    let aesni = &mut AesNiEngine(features);
    match features {
        _ if count == 0 => {}
        _ if count == 1 => work::<_, 1>(aesni, seals, records),
        Features::Avx512(token, few) if features.uses_sets(count) => {
            work(&mut Avx512Engine::new(token, few), seals, records);
        }
        _ => work::<_, { aesni::LANES }>(aesni, seals, records),
    }
}

#[cfg(test)]
mod tests {
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

    /// As all kinds of processors share records out, if this one has what that takes.
    fn processors() -> Vec<Kernel> {
        let Some(token) = Avx512::detect() else {
            eprintln!("skipped: this processor lacks AVX-512");
            return Vec::new();
        };
        let features = |few| Features::Avx512(token, few);
        [Few::WHOLE, Few::HALVES]
            .map(|few| Kernel(Choice::X86(features(few))))
            .to_vec()
    }

    /// Payload, kind and padding of records of so many blocks.
    fn texts(blocks: &[usize]) -> Vec<Vec<u8>> {
        let text = |(n, &blocks): (usize, &usize)| {
            let mut text = vec![n as u8; blocks * BLOCK];
            *text.last_mut().expect("a block at least") = 1 + n as u8 % 7;
            text
        };
        blocks.iter().enumerate().map(text).collect()
    }

    /// Where records of these texts are, behind each other.
    fn bodies(texts: &[Vec<u8>]) -> Vec<Span> {
        let mut end = 0;
        let body = |text: &Vec<u8>| {
            let start = end;
            end += text.len() + TAG;
            Span::new(Area::ONLY, start..end)
        };
        texts.iter().map(body).collect()
    }

    fn sealed(kernel: Kernel, texts: &[Vec<u8>]) -> Vec<u8> {
        let mut keys = KeyStore::<SealKeys>::new(kernel);
        let key = keys.install(SECRET, 0).id();
        let bodies = bodies(texts);
        let mut batch = SealBatch::default();
        let (mut payloads, mut records) =
            (vec![], vec![0; bodies.last().map_or(0, |body| body.end())]);
        for (n, (text, body)) in texts.iter().zip(&bodies).enumerate() {
            let start = payloads.len();
            let (kind, payload) = text.split_last().expect("a block at least");
            payloads.extend_from_slice(payload);
            batch.push(SealJob {
                key,
                sequence: n as u64,
                kind: *kind,
                blocks: (text.len() / BLOCK) as u16,
                payload: Span::new(Area::ONLY, start..payloads.len()),
                body: body.offset as usize,
            });
        }
        batch.run(&keys, &[&payloads[..]], &mut records);
        records
    }

    /// The texts of `records`, if all tags hold.
    fn opened(kernel: Kernel, bodies: &[Span], mut records: Vec<u8>) -> Option<Vec<Vec<u8>>> {
        let mut keys = KeyStore::<OpenKeys>::new(kernel);
        let key = keys.install(SECRET, 0).id();
        let mut batch = OpenBatch::default();
        for (n, &body) in bodies.iter().enumerate() {
            batch.push(OpenJob {
                key,
                sequence: n as u64,
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
        for kernel in processors() {
            assert!(gives_right_answers(kernel));
        }
    }

    /// Goal: the same, of any records. Method: some short and some long ones, sealed as
    /// by `portable` and opened.
    #[test]
    fn as_portable_on_other_processors() {
        let processors = processors();
        let blocks = vec(prop_oneof![1..9_usize, 1..60_usize], 1..80);
        let same = |blocks: Vec<usize>| {
            let texts = texts(&blocks);
            let records = sealed(Kernel::PORTABLE, &texts);
            for &kernel in &processors {
                prop_assert!(sealed(kernel, &texts) == records);
                let opened = opened(kernel, &bodies(&texts), records.clone());
                prop_assert_eq!(opened.as_ref(), Some(&texts));
            }
            Ok(())
        };
        TestRunner::default().run(&blocks, same).expect("the same");
    }
}
