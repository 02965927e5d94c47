//! The two secrets that both sides share, before anything is derived from them.
//!
//! They are erased on drop and never shown. Read next: [`super::keys`].

use std::fmt;

use zeroize::Zeroizing;

/// Bytes that must not be shown or left behind: they are erased on drop, and `Debug` tells only
/// their length. A parser of command lines needs `Clone`, which makes another copy.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes ownership of `bytes`.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes themselves, for key derivation.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.0.len())
    }
}

/// The confkey and the authkey of one service.
#[derive(Debug)]
pub struct SecretPair {
    /// For confidentiality.
    pub confkey: Secret,
    /// For authenticity.
    pub authkey: Secret,
}
