//! Kernels seal and open records. All give the same bytes as `portable`. Only here may code be
//! unsafe.
//!
//! A caller gives a [`Kernel`] to a [`KeyStore`], which expands keys into the form that this kernel
//! reads. Batches follow their keys. The choice of a kernel: [`super::choice`].
//!
//! [`KeyStore`]: super::keys::KeyStore

mod mac;
mod portable;
#[cfg_attr(
    not(all(target_arch = "x86_64", target_pointer_width = "64")),
    path = "no_x86.rs"
)]
mod x86;

use std::fmt;

use self::x86::Features;
use super::wipe::wiped;
use crate::limits::TAG;

/// `k_enc`, `k_mac` and `k_iv` (`PROTOCOL.md` §1.4).
pub(super) type Material = [[u8; 32]; 3];

/// A way to seal and open records that this processor has.
#[derive(Clone, Copy)]
pub struct Kernel(Choice);

#[derive(Clone, Copy)]
enum Choice {
    Portable,
    X86(Features),
}

impl Kernel {
    /// The kernel that runs everywhere.
    pub const PORTABLE: Self = Self(Choice::Portable);
    /// The names of all kernels, whether or not this processor can run them.
    pub const NAMES: [&str; 3] = ["portable", "aesni", "avx512"];

    /// All that this processor can run, the slowest first.
    pub fn all() -> impl Iterator<Item = Self> {
        let others = Features::detect().map(Choice::X86);
        std::iter::once(Choice::Portable).chain(others).map(Self)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self.0 {
            Choice::Portable => "portable",
            Choice::X86(features) => features.name(),
        }
    }

    /// Seals every record. Their order may change.
    pub(super) fn seal(self, records: &mut [Sealing<'_>]) {
        match self.0 {
            Choice::Portable => wiped::<1024, _>(|| portable::seal(records)),
            Choice::X86(features) => x86::seal(features, records),
        }
    }

    /// Computes the tag of every record. Their order may change.
    pub(super) fn tags(self, records: &mut [Checking<'_>]) {
        match self.0 {
            Choice::Portable => wiped::<1024, _>(|| portable::tags(records)),
            Choice::X86(features) => x86::tags(features, records),
        }
    }

    /// Decrypts the text of every record, in place. Their tags must have held.
    pub(super) fn decrypt(self, records: &mut [Decrypting<'_>]) {
        match self.0 {
            // The stack bytes that `aes` uses to decrypt many blocks at once. Without an AES
            // unit it keeps two copies of the round keys there, which is less.
            Choice::Portable => wiped::<6144, _>(|| portable::decrypt(records)),
            Choice::X86(features) => wiped::<1024, _>(|| x86::decrypt(features, records)),
        }
    }

    /// Expands keys that seal.
    pub(super) fn seal_keys(self, material: &Material) -> SealKeys {
        match self.0 {
            Choice::Portable => ByKernel::Portable(Box::new(portable::SealKeys::new(material))),
            Choice::X86(features) => ByKernel::X86(x86::Keys::to_seal(features, material)),
        }
    }

    /// Expands keys that open.
    pub(super) fn open_keys(self, material: &Material) -> OpenKeys {
        match self.0 {
            Choice::Portable => ByKernel::Portable(Box::new(portable::OpenKeys::new(material))),
            Choice::X86(features) => ByKernel::X86(x86::Keys::to_open(features, material)),
        }
    }
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Keys in the form that their kernel reads.
pub(super) enum ByKernel<P, X> {
    /// Boxed, because they are larger than the others. Every connection has two.
    Portable(Box<P>),
    X86(X),
}

/// The keys that one direction seals with for an epoch.
pub(super) type SealKeys = ByKernel<portable::SealKeys, x86::Keys>;
/// The keys that one direction opens with for an epoch.
pub(super) type OpenKeys = ByKernel<portable::OpenKeys, x86::Keys>;

const OTHER_KERNEL: &str = "keys and batch are of one store, and so of one kernel";

impl<P, X> ByKernel<P, X> {
    fn portable(&self) -> &P {
        match self {
            Self::Portable(keys) => keys,
            Self::X86(_) => unreachable!("{OTHER_KERNEL}"),
        }
    }

    fn x86(&self) -> &X {
        match self {
            Self::Portable(_) => unreachable!("{OTHER_KERNEL}"),
            Self::X86(keys) => keys,
        }
    }
}

/// A record to seal: `payload ‖ kind ‖ 00 … 00` into `body`, which ends with the tag.
pub(super) struct Sealing<'a> {
    pub(super) keys: &'a SealKeys,
    pub(super) sequence: u64,
    pub(super) kind: u8,
    pub(super) payload: &'a [u8],
    pub(super) body: &'a mut [u8],
}

/// A record whose tag is computed.
pub(super) struct Checking<'a> {
    pub(super) keys: &'a OpenKeys,
    pub(super) sequence: u64,
    pub(super) text: &'a [u8],
    pub(super) tag: &'a mut [u8; TAG],
}

/// A record to decrypt in place. Its tag has held.
pub(super) struct Decrypting<'a> {
    pub(super) keys: &'a OpenKeys,
    pub(super) sequence: u64,
    pub(super) text: &'a mut [u8],
}
