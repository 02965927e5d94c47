//! The keys of each direction and epoch (`PROTOCOL.md` §1.4), and the store that a
//! batch refers to. Where a direction's first secret is from: `super::identity`.
//!
//! A [`Handle`] is a connection's right to one entry of a [`KeyStore`]; a
//! [`KeyId`] is what a batch's records hold meanwhile. Read next:
//! [`super::batch`].

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};

use slab::Slab;
use zeroize::Zeroizing;

use super::identity::{Key, expand, expand_key};
use super::kernel::{self, Kernel, Material};
use super::wipe::wiped;
use crate::limits::EPOCH_BITS;

pub use super::identity::{Identity, SessionSecrets, hello_holds, hello_tag};

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

/// A connection's right to one entry of a store. It cannot be cloned: only its holder
/// moves the entry on and gives it back.
///
/// It knows the entry's epoch, so that an entry, one of perhaps a million, is not fetched
/// before a batch needs its keys.
#[derive(Debug)]
pub struct Handle {
    id: KeyId,
    epoch: u64,
}

impl Handle {
    /// What a batch's records refer to the entry by.
    pub fn id(&self) -> KeyId {
        self.id
    }
}

/// Refers to an entry for as long as a batch is out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyId {
    slot: u32,
    generation: u32,
}

/// One direction of one connection. What every record needs lies outside the box of the
/// keys, so that a batch can name the keys of all records before it fetches any.
struct Entry<K> {
    generation: u32,
    epoch: u64,
    /// Boxed, so that they are erased where they were made: a move leaves a copy behind.
    keys: Box<Epochs<K>>,
}

/// The keys of the current epoch, and while a batch needs them, of the next.
///
/// Invariant: `secret` belongs to the epoch behind the last that is expanded; those
/// before it are erased.
struct Epochs<K> {
    current: K,
    next: Option<Box<K>>,
    secret: Key,
}

impl<K: RecordKeys> Epochs<K> {
    fn expand_next(&mut self, kernel: Kernel) {
        self.next = Some(Box::new(record_keys(kernel, &self.secret)));
        self.secret = expand_key(&self.secret, NEXT_EPOCH, &[]);
    }

    fn take_next(&mut self) {
        let mut next = self.next.take().expect("prepared");
        std::mem::swap(&mut self.current, &mut *next);
    }
}

/// How deep in the stack expanding and moving keys leaves parts of them, with a margin: a
/// release build left 3.3 KiB.
const STACK: usize = 5120;

/// Shared by all stores, so that an id of one is not valid in another, even in the same
/// slot.
static GENERATIONS: AtomicU32 = AtomicU32::new(0);

/// The keys of many connections, for one of the two directions.
pub struct KeyStore<K> {
    entries: Slab<Entry<K>>,
    kernel: Kernel,
}

impl<K: RecordKeys> KeyStore<K> {
    /// An empty store. `kernel` runs its batches.
    pub fn new(kernel: Kernel) -> Self {
        Self {
            entries: Slab::new(),
            kernel,
        }
    }

    /// Expands the keys of a direction that stands at the start of `epoch`,
    /// whose secret this is.
    pub fn install(&mut self, secret: &[u8; 32], epoch: u64) -> Handle {
        let generation = GENERATIONS.fetch_add(1, Ordering::Relaxed);
        let keys = wiped::<STACK, _>(|| {
            let mut keys = Box::new(Epochs {
                current: record_keys(self.kernel, secret),
                next: None,
                secret: Key::default(),
            });
            // In its place, and only now: a kernel's keys may leave bytes of the box
            // unused, into which the move would have taken what lay on the stack.
            expand(secret, NEXT_EPOCH, &[], &mut keys.secret[..]);
            keys
        });
        let slot = self.entries.insert(Entry {
            generation,
            epoch,
            keys,
        });
        let id = KeyId {
            slot: slot as u32,
            generation,
        };
        Handle { id, epoch }
    }

    /// Makes sure that a batch finds the keys for `sequence`, which is in the
    /// current epoch or in the next.
    pub fn prepare(&mut self, handle: &Handle, sequence: u64) {
        if epoch_of(sequence) == handle.epoch {
            return;
        }
        let kernel = self.kernel;
        let keys = &mut self.entry(handle).keys;
        if keys.next.is_none() {
            wiped::<STACK, _>(|| keys.expand_next(kernel));
        }
    }

    /// Erases the keys of the epochs before that of `sequence`. No batch may
    /// still need them.
    pub fn advance(&mut self, handle: &mut Handle, sequence: u64) {
        if epoch_of(sequence) == handle.epoch {
            return;
        }
        self.prepare(handle, sequence);
        let entry = self.entry(handle);
        wiped::<STACK, _>(|| entry.keys.take_next());
        entry.epoch += 1;
        handle.epoch = entry.epoch;
        assert_eq!(handle.epoch, epoch_of(sequence), "an epoch was skipped");
    }

    /// Erases an entry.
    pub fn remove(&mut self, handle: Handle) {
        self.entry(&handle);
        self.entries.remove(handle.id.slot as usize);
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The kernel that runs its batches.
    pub(super) fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// The keys for a record of `sequence`.
    pub(super) fn get(&self, id: KeyId, sequence: u64) -> &K {
        let entry = &self.entries[id.slot as usize];
        assert_eq!(entry.generation, id.generation, "a batch outlived its keys");
        if epoch_of(sequence) == entry.epoch {
            return &entry.keys.current;
        }
        assert_eq!(epoch_of(sequence), entry.epoch + 1);
        entry.keys.next.as_ref().expect("prepared when gathered")
    }

    fn entry(&mut self, handle: &Handle) -> &mut Entry<K> {
        let entry = &mut self.entries[handle.id.slot as usize];
        assert_eq!(entry.generation, handle.id.generation);
        entry
    }
}

impl<K> fmt::Debug for KeyStore<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyStore({} entries)", self.entries.len())
    }
}

/// The label that derives the secret of an epoch from the secret of the epoch before.
const NEXT_EPOCH: &[u8] = b"sealwire/1 next epoch";

/// The keys of an epoch, whose secret this is.
fn record_keys<K: RecordKeys>(kernel: Kernel, secret: &[u8; 32]) -> K {
    let mut material = Zeroizing::new(Material::default());
    let flat = material.as_flattened_mut();
    // A kernel's keys may leave bytes of their place unused: what deriving the material leaves
    // on the stack must not stay there for as long as the keys do.
    wiped::<STACK, _>(|| expand(secret, b"sealwire/1 record keys", &[], flat));
    K::expand(kernel, &material)
}

/// The keys of both directions of many connections.
#[derive(Debug)]
pub struct KeyStores {
    /// For what is sent.
    pub seal: KeyStore<SealKeys>,
    /// For what is received.
    pub open: KeyStore<OpenKeys>,
}

impl KeyStores {
    /// Two empty stores. `kernel` runs their batches.
    pub fn new(kernel: Kernel) -> Self {
        Self {
            seal: KeyStore::new(kernel),
            open: KeyStore::new(kernel),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: keys of the wrong store are not used by mistake. Method: the first entry
    /// of one, by the id of the first entry of another.
    #[test]
    #[should_panic(expected = "a batch outlived its keys")]
    fn ids_of_another_store() {
        let [mut one, mut other] = [(); 2].map(|()| KeyStore::<SealKeys>::new(Kernel::PORTABLE));
        let _entry = one.install(&[1; 32], 0);
        let id = other.install(&[2; 32], 0).id();
        one.get(id, 0);
    }
}
