//! Kernels: sealing and opening records. All are equal, byte for byte, to
//! [`portable`], and only here may code be unsafe.
//!
//! A [`Kernel`] is chosen once and named to a [`KeyStore`], which expands keys
//! into the form that its kernel reads; batches then follow their keys.
//!
//! [`KeyStore`]: super::keys::KeyStore

pub(in crate::crypto) mod portable;

use std::fmt;
use std::sync::OnceLock;

use super::cpu::{AesNi, Avx512};

/// The environment variable that names the kernel to use.
pub const VARIABLE: &str = "SEALWIRE_KERNEL";

/// One way to seal and open, which this processor has.
#[derive(Clone, Copy)]
pub struct Kernel(Choice);

#[derive(Clone, Copy)]
enum Choice {
    Portable,
    AesNi(AesNi),
    Avx512(Avx512),
}

/// Why there is no kernel to use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KernelError {
    /// The variable names none.
    #[error("{VARIABLE}={0}: no such kernel; there are portable, aesni and avx512")]
    Unknown(String),
    /// The variable names one that this processor cannot run.
    #[error("{VARIABLE}={0}: this processor lacks what it needs; unset it to use what there is")]
    Lacking(String),
}

impl Kernel {
    /// The one that runs everywhere.
    pub const PORTABLE: Self = Self(Choice::Portable);

    /// All that this processor can run, the slowest first.
    pub fn all() -> impl Iterator<Item = Self> {
        let aesni = AesNi::detect().map(Choice::AesNi);
        let avx512 = Avx512::detect().map(Choice::Avx512);
        let all = [Some(Choice::Portable), aesni, avx512];
        all.into_iter().flatten().map(Self)
    }

    /// The one that `SEALWIRE_KERNEL` names, or the fastest there is. Looks once,
    /// and gives the same answer ever after.
    pub fn chosen() -> Result<Self, KernelError> {
        static CHOSEN: OnceLock<Result<Kernel, KernelError>> = OnceLock::new();
        let choose = || {
            let name = std::env::var_os(VARIABLE).filter(|name| !name.is_empty());
            match name {
                Some(name) => Self::named(&name.to_string_lossy()),
                None => Ok(Self::all().last().unwrap_or(Self::PORTABLE)),
            }
        };
        CHOSEN.get_or_init(choose).clone()
    }

    /// The one of this name.
    pub fn named(name: &str) -> Result<Self, KernelError> {
        let found = Self::all().find(|kernel| kernel.name() == name);
        found.ok_or_else(|| match name {
            "aesni" | "avx512" => KernelError::Lacking(name.to_owned()),
            _ => KernelError::Unknown(name.to_owned()),
        })
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
