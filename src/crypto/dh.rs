//! The Diffie-Hellman step of the handshake: X25519 (RFC 7748) behind one
//! function each way.
//!
//! Where the processor can, it is that of `graviola`: s2n-bignum's assembly, proved to
//! compute what it should, at half the cost; elsewhere, and with the portable kernel,
//! `x25519-dalek`'s. Both give the same results, and both are written to take the same
//! time whatever the key (`docs/CONSTANT_TIME.md`).

use zeroize::Zeroizing;

use super::kernel::Kernel;
use super::wipe::wiped;

/// As deep as a multiplication goes, and then some.
const MULTIPLICATION: usize = 8192;

/// A private key for one handshake, erased on drop.
pub struct Private(Zeroizing<[u8; 32]>);

impl Private {
    /// Takes 32 random bytes for a private key.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The public key to send.
    pub fn public(&self) -> [u8; 32] {
        wiped::<MULTIPLICATION, _>(|| match chosen() {
            Some(curve) => curve.public(&self.0),
            None => portable::public(&self.0),
        })
    }

    /// The secret shared with the holder of `public`; `None` when it is all
    /// zero, which only a low-order point brings about (RFC 7748 §6.1).
    pub fn agree(&self, public: [u8; 32]) -> Option<Zeroizing<[u8; 32]>> {
        wiped::<MULTIPLICATION, _>(|| match chosen() {
            Some(curve) => curve.agree(&self.0, public),
            None => portable::agree(&self.0, public),
        })
    }
}

/// What this processor has, unless only what every processor has is asked for.
fn chosen() -> Option<proved::Curve> {
    let portable = |kernel: Kernel| kernel.name() == Kernel::PORTABLE.name();
    proved::Curve::detect().filter(|_| !Kernel::chosen().is_ok_and(portable))
}

impl std::fmt::Debug for Private {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Private")
    }
}

/// For every processor.
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

/// For processors that have what it takes.
#[cfg(target_arch = "x86_64")]
mod proved {
    use graviola::key_agreement::x25519::{PublicKey, StaticPrivateKey};
    use graviola::util::is_cpu_supported;
    use zeroize::Zeroizing;

    /// Proof of what all of graviola asks for, and of what its assembly uses; it panics
    /// where the first is missing.
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
            // It fails for a shared secret of zero, and for nothing else.
            shared.ok().map(|shared| Zeroizing::new(shared.0))
        }
    }
}

/// In place of it elsewhere: nothing of it can exist.
#[cfg(not(target_arch = "x86_64"))]
mod proved {
    use zeroize::Zeroizing;

    #[derive(Clone, Copy)]
    pub(super) enum Curve {}

    impl Curve {
        pub(super) fn detect() -> Option<Self> {
            None
        }

        pub(super) fn public(self, _: &[u8; 32]) -> [u8; 32] {
            match self {}
        }

        pub(super) fn agree(self, _: &[u8; 32], _: [u8; 32]) -> Option<Zeroizing<[u8; 32]>> {
            match self {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn hex(text: &str) -> [u8; 32] {
        let bytes = (0..32).map(|at| u8::from_str_radix(&text[2 * at..][..2], 16));
        let bytes: Result<Vec<u8>, _> = bytes.collect();
        bytes.unwrap().try_into().unwrap()
    }

    /// Every implementation that this processor has, in turn: its public key, and what
    /// it agrees on.
    fn all(private: [u8; 32], public: [u8; 32]) -> Vec<([u8; 32], Option<[u8; 32]>)> {
        let plain = |shared: Option<Zeroizing<[u8; 32]>>| shared.map(|shared| *shared);
        let portable = (
            portable::public(&private),
            plain(portable::agree(&private, public)),
        );
        let proved = proved::Curve::detect().map(|curve| {
            let agreed = curve.agree(&private, public);
            (curve.public(&private), plain(agreed))
        });
        if proved.is_none() {
            eprintln!("skipped graviola: this processor lacks what it takes");
        }
        [portable].into_iter().chain(proved).collect()
    }

    /// Goal: what is computed is X25519. Method: RFC 7748 §6.1, Bob's side, by each
    /// implementation and through the one that is chosen.
    #[test]
    fn the_standard_agrees() {
        let private = hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
        let alice = hex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
        let public = hex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
        let shared = hex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
        for result in all(private, alice) {
            assert_eq!(result, (public, Some(shared)));
        }
        let chosen = Private::new(private);
        assert_eq!(chosen.public(), public);
        assert_eq!(*chosen.agree(alice).unwrap(), shared);
    }

    /// Goal: nobody agrees on zero. Method: points of low order (RFC 7748 §6.1 has
    /// none; these are 0, 1, and p - 1), by each implementation.
    #[test]
    fn low_order_points_are_refused() {
        let mut minus_one = [0xff; 32];
        (minus_one[0], minus_one[31]) = (0xec, 0x7f);
        let mut one = [0; 32];
        one[0] = 1;
        for public in [[0; 32], one, minus_one] {
            for (_, agreed) in all([7; 32], public) {
                assert_eq!(agreed, None);
            }
        }
    }

    proptest! {
        /// Goal: it does not matter which implementation there is. Method: any keys,
        /// of which a public one may be no point of the curve, or not reduced.
        #[test]
        fn all_are_the_same(private: [u8; 32], public: [u8; 32]) {
            let results = all(private, public);
            prop_assert!(results.iter().all(|one| *one == results[0]));
        }
    }
}
