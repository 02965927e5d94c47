//! The two secrets that both sides share, before anything is derived from them.
//!
//! Erased on drop, never shown. Read next: [`super::keys`].

use std::fmt;

use zeroize::Zeroizing;

/// Bytes that must not be shown or left behind: erased on drop, `Debug` tells
/// the length alone. To clone it makes another copy that lies about; a parser of
/// command lines asks for that.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes `bytes` over.
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
