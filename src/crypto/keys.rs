//! From the two secrets to the keys of each direction and epoch
//! (`PROTOCOL.md` §1.1, §1.2, §1.4), and the store that a batch refers to.
//!
//! A [`Handle`] is a connection's right to one entry of a [`KeyStore`]; a
//! [`KeyId`] is what a batch's records hold meanwhile. Read next:
//! [`super::batch`].

use std::fmt;

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use slab::Slab;
use zeroize::{Zeroizing, zeroize_stack};

use super::dh::Private;
use super::kernel::{self, Kernel, Material};
use super::secret::SecretPair;
use crate::limits::EPOCH_BITS;

/// 32 bytes that are erased on drop.
type Key = Zeroizing<[u8; 32]>;

/// What the two secrets mean for the native format.
#[derive(Clone)]
pub struct Identity {
    prk: Key,
    hello: Key,
    key_id: [u8; 8],
}

impl Identity {
    /// Derives it; `None` unless both secrets are 32 bytes.
    pub fn new(secrets: &SecretPair) -> Option<Self> {
        if secrets.confkey.len() != 32 || secrets.authkey.len() != 32 {
            return None;
        }
        let mut ikm = Zeroizing::new([0; 64]);
        ikm[..32].copy_from_slice(secrets.confkey.expose());
        ikm[32..].copy_from_slice(secrets.authkey.expose());
        let prk = extract(b"sealwire/1", &ikm[..]);
        let mut key_id = [0; 8];
        expand(&prk, b"sealwire/1 key id", &[], &mut key_id);
        let hello = expand_key(&prk, b"sealwire/1 client hello", &[]);
        Some(Self { prk, hello, key_id })
    }

    /// Which keys these are, without giving them away.
    pub fn key_id(&self) -> [u8; 8] {
        self.key_id
    }

    /// The tag of a client hello's first 48 bytes.
    pub fn hello_tag(&self, hello: &[u8]) -> [u8; 32] {
        mac(&self.hello, hello).finalize().into_bytes().into()
    }

    /// Whether `tag` is the tag of `hello`; in constant time.
    pub fn hello_holds(&self, hello: &[u8], tag: &[u8]) -> bool {
        mac(&self.hello, hello).verify_slice(tag).is_ok()
    }

    /// The secrets of one connection; `None` when `public` is a low-order point.
    /// `transcript` is the client's hello and the server's up to its tag.
    pub fn agree(
        &self,
        private: &Private,
        public: [u8; 32],
        transcript: [&[u8]; 2],
    ) -> Option<SessionSecrets> {
        let shared = private.agree(public)?;
        let master = extract(&self.prk[..], &shared[..]);
        let hash: [u8; 32] = Sha256::new()
            .chain_update(transcript[0])
            .chain_update(transcript[1])
            .finalize()
            .into();
        Some(SessionSecrets {
            finished: expand_key(&master, b"sealwire/1 server finished", &hash),
            client_to_server: expand_key(&master, b"sealwire/1 client to server", &hash),
            server_to_client: expand_key(&master, b"sealwire/1 server to client", &hash),
            hash,
        })
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

/// What both sides of one connection have in common after the handshake.
pub struct SessionSecrets {
    finished: Key,
    hash: [u8; 32],
    /// The first secret of what the client sends.
    pub client_to_server: Key,
    /// The first secret of what the server sends.
    pub server_to_client: Key,
}

impl SessionSecrets {
    /// The tag of the server's hello.
    pub fn finished_tag(&self) -> [u8; 32] {
        mac(&self.finished, &self.hash)
            .finalize()
            .into_bytes()
            .into()
    }

    /// Whether `tag` is the tag of the server's hello; in constant time.
    pub fn finished_holds(&self, tag: &[u8]) -> bool {
        mac(&self.finished, &self.hash).verify_slice(tag).is_ok()
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

fn expand(prk: &Key, label: &[u8], context: &[u8], out: &mut [u8]) {
    Hkdf::<Sha256>::from_prk(&prk[..])
        .map(|hkdf| hkdf.expand_multi_info(&[label, context], out))
        .expect("a hash-sized prk")
        .expect("less than 255 hashes");
}

fn expand_key(prk: &Key, label: &[u8], context: &[u8]) -> Key {
    let mut key = Zeroizing::new([0; 32]);
    expand(prk, label, context, &mut key[..]);
    key
}

fn mac(key: &Key, message: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(&key[..]).expect("HMAC takes any key");
    mac.update(message);
    mac
}

/// The epoch that a sequence belongs to.
pub fn epoch_of(sequence: u64) -> u64 {
    sequence >> EPOCH_BITS
}

/// Keys of one epoch, in the form that a kernel reads.
pub trait RecordKeys {
    /// Expands them from `k_enc`, `k_mac` and `k_iv`.
    fn expand(kernel: Kernel, material: &[[u8; 32]; 3]) -> Self;
}

/// Keys that seal.
pub struct SealKeys(pub(super) kernel::SealKeys);
/// Keys that open.
pub struct OpenKeys(pub(super) kernel::OpenKeys);

impl RecordKeys for SealKeys {
    fn expand(kernel: Kernel, material: &Material) -> Self {
        Self(kernel.seal_keys(material))
    }
}

impl RecordKeys for OpenKeys {
    fn expand(kernel: Kernel, material: &Material) -> Self {
        Self(kernel.open_keys(material))
    }
}

/// A connection's right to one entry of a store. Not to be cloned: who holds it
/// is the only one to move it on and to give it back.
#[derive(Debug)]
pub struct Handle(KeyId);

impl Handle {
    /// What a batch's records refer to the entry by.
    pub fn id(&self) -> KeyId {
        self.0
    }
}

/// Refers to an entry for as long as a batch is out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyId {
    slot: u32,
    generation: u32,
}

/// One direction of one connection.
///
/// Invariant: `secret` is the one of the epoch behind the last that is
/// expanded; those before it are erased.
struct Entry<K> {
    generation: u32,
    epoch: u64,
    current: K,
    next: Option<Box<K>>,
    secret: Key,
}

impl<K: RecordKeys> Entry<K> {
    #[inline(never)]
    fn expand_next(&mut self, kernel: Kernel) {
        let (keys, secret) = step(kernel, &self.secret);
        self.next = Some(Box::new(keys));
        self.secret = secret;
    }

    #[inline(never)]
    fn take_next(&mut self) {
        self.epoch += 1;
        let mut next = self.next.take().expect("prepared");
        std::mem::swap(&mut self.current, &mut *next);
    }
}

/// As deep as keys are left on the stack when they are expanded and moved, and
/// then some: 3.3 KiB were found in a release build.
const STACK: usize = 4096;

/// The keys of many connections, for one of the two directions.
pub struct KeyStore<K> {
    /// Boxed, so that they stay where they are until they are erased there: what
    /// is moved leaves a copy behind.
    entries: Slab<Box<Entry<K>>>,
    generation: u32,
    kernel: Kernel,
}

impl<K: RecordKeys> KeyStore<K> {
    /// An empty store, whose batches `kernel` works off.
    pub fn new(kernel: Kernel) -> Self {
        Self {
            entries: Slab::new(),
            generation: 0,
            kernel,
        }
    }

    /// Expands the keys of a direction that stands at the start of `epoch`,
    /// whose secret this is.
    pub fn install(&mut self, secret: &[u8; 32], epoch: u64) -> Handle {
        let handle = self.insert(secret, epoch);
        zeroize_stack::<STACK>();
        handle
    }

    #[inline(never)]
    fn insert(&mut self, secret: &[u8; 32], epoch: u64) -> Handle {
        self.generation = self.generation.wrapping_add(1);
        let (current, secret) = step(self.kernel, &Zeroizing::new(*secret));
        let slot = self.entries.insert(Box::new(Entry {
            generation: self.generation,
            epoch,
            current,
            next: None,
            secret,
        }));
        Handle(KeyId {
            slot: slot as u32,
            generation: self.generation,
        })
    }

    /// Makes sure that a batch finds the keys for `sequence`, which is in the
    /// current epoch or in the next.
    pub fn prepare(&mut self, handle: &Handle, sequence: u64) {
        let kernel = self.kernel;
        let entry = self.entry(handle);
        if epoch_of(sequence) != entry.epoch && entry.next.is_none() {
            entry.expand_next(kernel);
            zeroize_stack::<STACK>();
        }
    }

    /// Erases the keys of the epochs before that of `sequence`. No batch may
    /// still need them.
    pub fn advance(&mut self, handle: &Handle, sequence: u64) {
        self.prepare(handle, sequence);
        let entry = self.entry(handle);
        if epoch_of(sequence) != entry.epoch {
            entry.take_next();
            zeroize_stack::<STACK>();
            assert_eq!(entry.epoch, epoch_of(sequence), "an epoch was skipped");
        }
    }

    /// Erases an entry.
    pub fn remove(&mut self, handle: Handle) {
        self.entry(&handle);
        self.entries.remove(handle.0.slot as usize);
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What works off its batches.
    pub(super) fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// The keys for a record of `sequence`.
    pub(super) fn get(&self, id: KeyId, sequence: u64) -> &K {
        let entry = &self.entries[id.slot as usize];
        assert_eq!(entry.generation, id.generation, "a batch outlived its keys");
        if epoch_of(sequence) == entry.epoch {
            return &entry.current;
        }
        assert_eq!(epoch_of(sequence), entry.epoch + 1);
        entry.next.as_ref().expect("prepared when gathered")
    }

    fn entry(&mut self, handle: &Handle) -> &mut Entry<K> {
        let entry = &mut self.entries[handle.0.slot as usize];
        assert_eq!(entry.generation, handle.0.generation);
        entry
    }
}

impl<K> fmt::Debug for KeyStore<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyStore({} entries)", self.entries.len())
    }
}

/// The keys of an epoch, and the secret of the one behind it.
fn step<K: RecordKeys>(kernel: Kernel, secret: &Key) -> (K, Key) {
    let mut material = Zeroizing::new(Material::default());
    let flat = material.as_flattened_mut();
    expand(secret, b"sealwire/1 record keys", &[], flat);
    let next = expand_key(secret, b"sealwire/1 next epoch", &[]);
    (K::expand(kernel, &material), next)
}

/// The keys of both directions of many connections.
#[derive(Debug)]
pub struct Keys {
    /// For what is sent.
    pub seal: KeyStore<SealKeys>,
    /// For what is received.
    pub open: KeyStore<OpenKeys>,
}

impl Keys {
    /// Two empty stores, whose batches `kernel` works off.
    pub fn new(kernel: Kernel) -> Self {
        Self {
            seal: KeyStore::new(kernel),
            open: KeyStore::new(kernel),
        }
    }
}
