//! The Diffie-Hellman step of the handshake: X25519 (RFC 7748) behind one
//! function each way.
//!
//! Where the processor can, it is `graviola`'s: s2n-bignum's assembly, proved to compute what it
//! should, at half the cost. Elsewhere, and with the portable kernel, it is `x25519-dalek`'s.
//! Both give the same results, and
//! both are written to take the same time whatever the key (`docs/CONSTANT_TIME.md`).

use zeroize::Zeroizing;

use super::kernel::Kernel;
use super::wipe::wiped;

/// Upper bound of the stack bytes that a multiplication leaves secrets in.
const MULTIPLICATION: usize = 8192;

/// A private key for one handshake, erased on drop.
pub struct Private {
    key: Zeroizing<[u8; 32]>,
    #[cfg(target_arch = "x86_64")]
    proved: Option<proved::Curve>,
}

impl Private {
    /// Takes 32 random bytes for a private key. With the portable kernel the curve is
    /// portable, too.
    pub fn new(bytes: [u8; 32], kernel: Kernel) -> Self {
        let portable = kernel.name() == Kernel::PORTABLE.name();
        Self {
            key: Zeroizing::new(bytes),
            #[cfg(target_arch = "x86_64")]
            proved: proved::Curve::detect().filter(|_| !portable),
        }
    }

    /// The public key to send.
    pub fn public(&self) -> [u8; 32] {
        wiped::<MULTIPLICATION, _>(|| {
            #[cfg(target_arch = "x86_64")]
            if let Some(curve) = self.proved {
                return curve.public(&self.key);
            }
            portable::public(&self.key)
        })
    }

    /// The secret shared with the holder of `public`; `None` when it is all zero, which only a
    /// low-order point causes (RFC 7748 §6.1).
    pub fn agree(&self, public: [u8; 32]) -> Option<Zeroizing<[u8; 32]>> {
        wiped::<MULTIPLICATION, _>(|| {
            #[cfg(target_arch = "x86_64")]
            if let Some(curve) = self.proved {
                return curve.agree(&self.key, public);
            }
            portable::agree(&self.key, public)
        })
    }
}

impl std::fmt::Debug for Private {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Private")
    }
}

/// The curve of every processor.
mod portable {
    use x25519_dalek::{PublicKey, StaticSecret};
    use zeroize::Zeroizing;

    pub(super) fn public(private: &[u8; 32]) -> [u8; 32] {
        PublicKey::from(&StaticSecret::from(*private)).to_bytes()
    }

    pub(super) fn agree(private: &[u8; 32], public: [u8; 32]) -> Option<Zeroizing<[u8; 32]>> {
        let shared = StaticSecret::from(*private).diffie_hellman(&PublicKey::from(public));
        let shared = shared.was_contributory().then(|| shared.to_bytes());
        shared.map(Zeroizing::new)
    }
}

/// The curve of processors that have the instructions for it.
#[cfg(target_arch = "x86_64")]
mod proved {
    use graviola::key_agreement::x25519::{PublicKey, StaticPrivateKey};
    use graviola::util::is_cpu_supported;
    use zeroize::Zeroizing;

    /// Proof of the features that graviola requires (it panics without them), and of those that
    /// its assembly uses.
    #[derive(Clone, Copy)]
    pub(super) struct Curve(());

    impl Curve {
        pub(super) fn detect() -> Option<Self> {
            let all = is_cpu_supported()
                && is_x86_feature_detected!("adx")
                && is_x86_feature_detected!("bmi2");
            all.then_some(Self(()))
        }

        pub(super) fn public(self, private: &[u8; 32]) -> [u8; 32] {
            let private = StaticPrivateKey::from_array(private);
            private.public_key().as_bytes()
        }

        pub(super) fn agree(
            self,
            private: &[u8; 32],
            public: [u8; 32],
        ) -> Option<Zeroizing<[u8; 32]>> {
            let private = StaticPrivateKey::from_array(private);
            let shared = private.diffie_hellman(&PublicKey::from_array(&public));
            // Its only error is a shared secret of zero.
            shared.ok().map(|shared| Zeroizing::new(shared.0))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The public key and the shared secret by every implementation that this processor has.
    fn all(private: [u8; 32], public: [u8; 32]) -> Vec<([u8; 32], Option<[u8; 32]>)> {
        let plain = |shared: Option<Zeroizing<[u8; 32]>>| shared.map(|shared| *shared);
        let portable = (
            portable::public(&private),
            plain(portable::agree(&private, public)),
        );
        #[cfg(not(target_arch = "x86_64"))]
        let proved = None;
        #[cfg(target_arch = "x86_64")]
        let proved = proved::Curve::detect().map(|curve| {
            let agreed = curve.agree(&private, public);
            (curve.public(&private), plain(agreed))
        });
        if proved.is_none() {
            eprintln!("skipped graviola: this processor lacks what it takes");
        }
        [portable].into_iter().chain(proved).collect()
    }

    proptest! {
        /// Goal: all implementations agree. `tests/vectors` has known answers and the points of low
        /// order. Method: any keys; a public key may be no point of the curve, or not reduced.
        #[test]
        fn all_are_the_same(private: [u8; 32], public: [u8; 32]) {
            let results = all(private, public);
            prop_assert!(results.iter().all(|one| *one == results[0]));
        }
    }
}
