//! Kernels: sealing and opening records. All are equal, byte for byte, to
//! `portable`, and only here may code be unsafe.
//!
//! A [`Kernel`] is [chosen](Kernel::chosen) once and named to a [`KeyStore`],
//! which expands keys into the form that its kernel reads; batches then follow
//! their keys. How it is chosen: [`super::choice`].
//!
//! [`KeyStore`]: super::keys::KeyStore

pub(in crate::crypto) mod portable;

use std::fmt;

use super::cpu::{AesNi, Avx512};

/// One way to seal and open, which this processor has.
#[derive(Clone, Copy)]
pub struct Kernel(Choice);

#[derive(Clone, Copy)]
enum Choice {
    Portable,
    AesNi(AesNi),
    Avx512(Avx512),
}

impl Kernel {
    /// The one that runs everywhere.
    pub const PORTABLE: Self = Self(Choice::Portable);
    /// What kernels are called, whether or not this processor can run them.
    pub const NAMES: [&str; 3] = ["portable", "aesni", "avx512"];

    /// All that this processor can run, the slowest first.
    pub fn all() -> impl Iterator<Item = Self> {
        let aesni = AesNi::detect().map(Choice::AesNi);
        let avx512 = Avx512::detect().map(Choice::Avx512);
        let all = [Some(Choice::Portable), aesni, avx512];
        all.into_iter().flatten().map(Self)
    }

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self.0 {
            Choice::Portable => "portable",
            Choice::AesNi(_) => "aesni",
            Choice::Avx512(_) => "avx512",
        }
    }
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
