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

use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
use std::cmp::Reverse;
use std::ptr;

use self::aes::{AT_ONCE, Schedule, ivs};
use self::aesni::AesNiEngine;
use self::avx512::{Avx512Engine, Units};
use self::lanes::{Cipher, Record, Text, work};
use self::short::Grouped;
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
    Avx512(Avx512, Units),
}

impl Features {
    /// All that this processor has, the slowest first.
    pub(super) fn detect() -> impl Iterator<Item = Self> {
        let aesni = AesNi::detect().map(Self::AesNi);
        let avx512 = Avx512::detect().map(|token| Self::Avx512(token, Units::detect()));
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
        matches!(self, Self::Avx512(_, units) if units.uses_sets(records))
    }
}

/// Seals all of them.
pub(super) fn seal(features: Features, records: &mut [Sealing<'_>]) {
    let records = without_short(features, records);
    let count = records.len();
    if count == 1 {
        // With all of those IVs, 300 bytes would take 7 % longer.
        return run(features, true, count, to_seal::<1>(features, records));
    }
    let records = records.chunks_mut(AT_ONCE);
    let records = records.flat_map(|records| to_seal::<AT_ONCE>(features, records));
    run(features, true, count, records);
}

/// Computes the tags of all of them.
pub(super) fn tags(features: Features, records: &mut [Checking<'_>]) {
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

/// Has the keys of all fetched, puts the longest first, and works off those that are short,
/// unless they help to fill sets of lanes. Returns the others.
fn without_short<R: Grouped>(features: Features, records: &mut [R]) -> &mut [R] {
    if records.len() > 1 {
        fetch(records.iter().map(R::keys));
    }
    records.sort_unstable_by_key(|record| Reverse(record.len()));
    match features.uses_sets(records.len()) {
        true => records,
        false => short::work(features.aesni(), records),
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
    match (count, features) {
        (0, _) => {}
        (1, _) => work::<_, 1>(aesni, seals, records),
        (_, Features::Avx512(token, units)) if units.uses_sets(count) => {
            work(&mut Avx512Engine::new(token), seals, records);
        }
        _ => work::<_, { aesni::LANES }>(aesni, seals, records),
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

/// Computes the IVs of up to `COUNT` records, with which they can be sealed.
fn to_seal<'a, const COUNT: usize>(
    features: Features,
    records: &'a mut [Sealing<'_>],
) -> impl Iterator<Item = Record<'a>> {
    let ivs = ivs::<COUNT>(features.aesni(), records.len(), |i| {
        (&records[i].keys.x86().iv, records[i].sequence)
    });
    records.iter_mut().zip(ivs).map(|(record, iv)| {
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
    })
}

/// Decrypts all of them.
pub(super) fn decrypt(features: Features, records: &mut [Decrypting<'_>]) {
    for records in records.chunks_mut(AT_ONCE) {
        let ivs = ivs::<AT_ONCE>(features.aesni(), records.len(), |i| {
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

#[cfg(test)]
mod tests;
