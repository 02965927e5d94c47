//! From the two secrets to the secrets of a connection (`PROTOCOL.md` §1.1, §1.2). Read next:
//! [`super::keys`].

use std::fmt;
use std::sync::Arc;

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::dh::Private;
use super::secret::SecretPair;
use super::wipe::wiped;

/// Upper bound of the stack bytes that an agreement leaves secrets in. The curve needs most.
const AGREEMENT: usize = 8192;
/// Upper bound of the stack bytes that a keyed hash leaves secrets in. A debug build left 2 KiB.
const HASHING: usize = 4096;

/// 32 bytes that are erased on drop.
pub(super) type Key = Zeroizing<[u8; 32]>;

/// What the two secrets give for the native format. It is built where it stays, because a move or a
/// clone leaves a copy behind.
pub struct Identity {
    prk: Key,
    hello: Key,
    key_id: [u8; 8],
}

impl Identity {
    /// Derives the identity; `None` unless both secrets are 32 bytes.
    pub fn new(secrets: &SecretPair) -> Option<Arc<Self>> {
        if secrets.confkey.len() != 32 || secrets.authkey.len() != 32 {
            return None;
        }
        wiped::<HASHING, _>(|| {
            let mut ikm = Zeroizing::new([0; 64]);
            ikm[..32].copy_from_slice(secrets.confkey.expose());
            ikm[32..].copy_from_slice(secrets.authkey.expose());
            let prk = extract(b"sealwire/1", &ikm[..]);
            let mut key_id = [0; 8];
            expand(&prk, b"sealwire/1 key id", &[], &mut key_id);
            let hello = expand_key(&prk, b"sealwire/1 client hello", &[]);
            Some(Arc::new(Self { prk, hello, key_id }))
        })
    }

    /// A public name of the keys, which does not tell them.
    pub fn key_id(&self) -> [u8; 8] {
        self.key_id
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

/// The tag of a client hello's first 48 bytes.
pub fn hello_tag(identity: &Identity, hello: &[u8]) -> [u8; 32] {
    wiped::<HASHING, _>(|| {
        let mac = mac(&identity.hello, hello);
        mac.finalize().into_bytes().into()
    })
}

/// Whether `tag` is the tag of `hello`; in constant time.
pub fn hello_holds(identity: &Identity, hello: &[u8], tag: &[u8]) -> bool {
    wiped::<HASHING, _>(|| mac(&identity.hello, hello).verify_slice(tag).is_ok())
}

/// The secrets that both sides of one connection share after the handshake.
pub struct SessionSecrets {
    finished: Key,
    hash: [u8; 32],
    /// The first secret of the direction from client to server.
    pub client_to_server: Key,
    /// The first secret of the direction from server to client.
    pub server_to_client: Key,
}

impl SessionSecrets {
    /// The secrets of one connection; `None` if `public` is a low-order point. `transcript` is the
    /// client's hello and the server's up to its tag. The box leaves no copies when it is moved.
    pub fn agree(
        identity: &Identity,
        private: &Private,
        public: [u8; 32],
        transcript: [&[u8]; 2],
    ) -> Option<Box<Self>> {
        wiped::<AGREEMENT, _>(|| {
            let shared = private.agree(public)?;
            let master = extract(&identity.prk[..], &shared[..]);
            let hash: [u8; 32] = Sha256::new()
                .chain_update(transcript[0])
                .chain_update(transcript[1])
                .finalize()
                .into();
            Some(Box::new(Self {
                finished: expand_key(&master, b"sealwire/1 server finished", &hash),
                client_to_server: expand_key(&master, b"sealwire/1 client to server", &hash),
                server_to_client: expand_key(&master, b"sealwire/1 server to client", &hash),
                hash,
            }))
        })
    }

    /// The tag of the server's hello.
    pub fn finished_tag(&self) -> [u8; 32] {
        wiped::<HASHING, _>(|| {
            let mac = mac(&self.finished, &self.hash);
            mac.finalize().into_bytes().into()
        })
    }

    /// Whether `tag` is the tag of the server's hello; in constant time.
    pub fn finished_holds(&self, tag: &[u8]) -> bool {
        wiped::<HASHING, _>(|| mac(&self.finished, &self.hash).verify_slice(tag).is_ok())
    }
}

impl fmt::Debug for SessionSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionSecrets")
    }
}

fn extract(salt: &[u8], ikm: &[u8]) -> Key {
    Zeroizing::new(Hkdf::<Sha256>::extract(Some(salt), ikm).0.into())
}

pub(super) fn expand(prk: &[u8; 32], label: &[u8], context: &[u8], out: &mut [u8]) {
    Hkdf::<Sha256>::from_prk(&prk[..])
        .map(|hkdf| hkdf.expand_multi_info(&[label, context], out))
        .expect("a hash-sized prk")
        .expect("less than 255 hashes");
}

pub(super) fn expand_key(prk: &[u8; 32], label: &[u8], context: &[u8]) -> Key {
    let mut key = Zeroizing::new([0; 32]);
    expand(prk, label, context, &mut key[..]);
    key
}

fn mac(key: &Key, message: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(&key[..]).expect("HMAC takes any key");
    mac.update(message);
    mac
}
