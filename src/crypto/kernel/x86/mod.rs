//! The kernels of x86-64: keys in the form that they read, and how they seal and open records.
//!
//! - [`lanes`]: many records side by side, and which bytes of them are next;
//!   [`final_blocks`]: the end of a record; [`engine`]: the seam between lanes and engines.
//! - [`short_records`]: groups of short records, without lanes.
//! - [`aesni`]: the engine for few lanes, the cipher, its encryption and decryption in CBC.
//! - [`shani`]: SHA-256 in one lane, and in pairs of lanes.
//! - [`avx512`]: the engine for many lanes, its decryption, and the processors that use it.
//! - [`assembly`]: macros that build assembly.

// Instructions that not every processor has, and pointers into many records.
#![allow(unsafe_code)]

#[macro_use]
mod assembly;
mod aesni;
mod avx512;
mod engine;
mod final_blocks;
mod lanes;
mod shani;
mod short_records;

use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
use std::cmp::Reverse;
use std::ptr;

use self::aesni::AesNiEngine;
use self::aesni::aes256::{AT_ONCE, Schedule, ivs};
use self::avx512::Avx512Engine;
use self::avx512::units::Units;
use self::final_blocks::Plaintext;
use self::lanes::{Cipher, Record, Text, work};
use self::short_records::Grouped;
use super::mac::MacKey;
use super::{Checking, Decrypting, Material, Sealing};
use crate::crypto::cpu::{AesNi, Avx512};

/// Bytes of a cache line.
const LINE: usize = 64;

/// The keys that one direction seals or opens with for an epoch.
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

/// The features of a processor that a kernel uses.
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

    /// The name of the kernel that uses them.
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

    /// Whether `records` records go through sets of lanes.
    fn uses_sets(self, records: usize) -> bool {
        matches!(self, Self::Avx512(_, units) if units.uses_sets(records))
    }
}

/// Seals all of them.
pub(super) fn seal(features: Features, records: &mut [Sealing<'_>]) {
    let records = without_short(features, records);
    let count = records.len();
    if count == 1 {
        // Eight IVs instead of one would make 300 bytes take 7 % longer.
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

/// Prefetches all keys, puts the longest records first, and seals or checks the short ones unless
/// they help to fill sets of lanes. Returns the others.
fn without_short<R: Grouped>(features: Features, records: &mut [R]) -> &mut [R] {
    if records.len() > 1 {
        prefetch(records.iter().map(R::keys));
    }
    records.sort_unstable_by_key(|record| Reverse(record.len()));
    match features.uses_sets(records.len()) {
        true => records,
        false => short_records::work(features.aesni(), records),
    }
}

/// Seals or opens `count` records with the fastest engine for that number.
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

/// Prefetches the keys of all records, so that those of many peers do not wait for memory one after
/// the other. (Xeon, family 6, model 207, 64 records of 64 B: 25 % faster to seal with the keys of
/// 100,000 peers, 5 % slower with those of 1,000.)
///
/// Not inlined, because inlined it makes sealing 64 records of 64 B take 7 % longer.
#[inline(never)]
fn prefetch<'a>(keys: impl Iterator<Item = &'a Keys>) {
    let mut before = ptr::null();
    for keys in keys {
        // Records of one peer lie together, and have the same keys.
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

/// Up to `COUNT` records to seal, with their IVs.
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
        let plain = Plaintext {
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
                Features::AesNi(token) => {
                    aesni::aes_cbc_decrypt::decrypt(token, cipher, iv, record.text)
                }
                Features::Avx512(token, _) => {
                    avx512::aes_cbc_decrypt::decrypt(token, cipher, iv, record.text)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
