//! The Diffie-Hellman step of the handshake: X25519 (RFC 7748) behind one
//! function each way, so that another implementation can take its place.

use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

/// A private key for one handshake, erased on drop.
pub struct Private(StaticSecret);

impl Private {
    /// Takes 32 random bytes for a private key.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(StaticSecret::from(bytes))
    }

    /// The public key to send.
    pub fn public(&self) -> [u8; 32] {
        PublicKey::from(&self.0).to_bytes()
    }

    /// The secret shared with the holder of `public`; `None` when it is all
    /// zero, which only a low-order point brings about (RFC 7748 §6.1).
    pub fn agree(&self, public: [u8; 32]) -> Option<Zeroizing<[u8; 32]>> {
        let shared = self.0.diffie_hellman(&PublicKey::from(public));
        shared
            .was_contributory()
            .then(|| Zeroizing::new(shared.to_bytes()))
    }
}

impl std::fmt::Debug for Private {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Private")
    }
}
