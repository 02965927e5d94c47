//! The keys that peers may prove to a server, each found by the id in a hello.
//!
//! A server may give each peer, or each group of peers, a key of its own. The id is public, so
//! looking it up may take any time. Read next: `conn::handshake`, which does.

use std::collections::HashMap;
use std::sync::Arc;

use super::keys::Identity;

/// One of the keys that peers may prove, and what its owner says of it.
#[derive(Debug)]
pub struct Key {
    /// What people call the peers that prove it.
    pub name: Option<Arc<str>>,
    /// What they prove.
    pub identity: Arc<Identity>,
    /// Where a tunnel may take them, as typed; anywhere if there is nothing.
    pub forward: Option<Arc<str>>,
}

impl Key {
    /// A key that may go anywhere, and that nobody has named.
    pub fn new(identity: Arc<Identity>) -> Self {
        Self {
            name: None,
            identity,
            forward: None,
        }
    }

    fn is(&self, other: &Self) -> bool {
        let of = |key: &Self| key.identity.key_id();
        of(self) == of(other) && self.name == other.name && self.forward == other.forward
    }
}

/// The keys that peers may prove. Clones share them, so that one costs nothing.
///
/// ```
/// # use sealwire::{Identity, Key, KeyRing, Secret, SecretPair};
/// # let pair = |byte| SecretPair {
/// #     confkey: Secret::new(vec![byte; 32]),
/// #     authkey: Secret::new(vec![byte + 1; 32]),
/// # };
/// # let [alices, bobs] = [1, 3].map(|byte| Identity::new(&pair(byte)).expect("32 bytes each"));
/// let mut keys = KeyRing::from(alices);
/// let bob = Key {
///     name: Some("bob".into()),
///     ..Key::new(bobs)
/// };
/// assert!(keys.add(bob).is_ok());
/// ```
#[derive(Debug, Clone, Default)]
pub struct KeyRing(Arc<HashMap<[u8; 8], Arc<Key>>>);

impl KeyRing {
    /// Adds a key. It is refused if there is one with its [id](Identity::key_id), which two
    /// different keys never have.
    ///
    /// # Errors
    ///
    /// The key that is there.
    pub fn add(&mut self, key: Key) -> Result<(), Arc<Key>> {
        let id = key.identity.key_id();
        if let Some(there) = self.0.get(&id) {
            return Err(Arc::clone(there));
        }
        Arc::make_mut(&mut self.0).insert(id, Arc::new(key));
        Ok(())
    }

    /// The key with this [id](Identity::key_id).
    pub fn find(&self, key_id: [u8; 8]) -> Option<&Arc<Key>> {
        self.0.get(&key_id)
    }

    /// This key, if it is there with the same name and the same `forward`.
    pub fn same(&self, key: &Key) -> Option<&Arc<Key>> {
        let found = self.find(key.identity.key_id());
        found.filter(|found| found.is(key))
    }

    /// All keys, in any order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Key>> {
        self.0.values()
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A ring of one key without a name.
impl From<Arc<Identity>> for KeyRing {
    fn from(identity: Arc<Identity>) -> Self {
        let id = identity.key_id();
        let key = Arc::new(Key::new(identity));
        Self(Arc::new(HashMap::from([(id, key)])))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::crypto::secret::{Secret, SecretPair};

    fn key(byte: u8, name: &str, forward: Option<&str>) -> Key {
        let [confkey, authkey] = [byte, !byte].map(|byte| Secret::new(vec![byte; 32]));
        Key {
            name: Some(name.into()),
            forward: forward.map(Into::into),
            ..Key::new(Identity::new(&SecretPair { confkey, authkey }).unwrap())
        }
    }

    /// Goal: a key is found by its id; a second one with that id is refused, and a clone that
    /// was made before does not change. Method: two keys, one of them twice.
    #[test]
    fn found_by_their_id() {
        let mut ring = KeyRing::default();
        assert!(ring.is_empty());
        ring.add(key(1, "one", None)).unwrap();
        let before = ring.clone();
        ring.add(key(2, "two", None)).unwrap();
        let there = ring.add(key(1, "again", None)).unwrap_err();
        assert_eq!(there.name.as_deref(), Some("one"));
        assert_eq!((before.len(), ring.len(), ring.iter().len()), (1, 2, 2));
        let id = key(2, "", None).identity.key_id();
        let found = ring.find(id).and_then(|key| key.name.as_deref());
        assert_eq!(found, Some("two"));
        assert!(before.find(id).is_none());
    }

    /// Goal: a key is the same only with its name and its `forward`. Method: a change of each.
    #[test]
    fn the_same_key() {
        let mut ring = KeyRing::default();
        ring.add(key(1, "one", Some("host:1"))).unwrap();
        for (other, same) in [
            (key(1, "one", Some("host:1")), true),
            (key(2, "one", Some("host:1")), false),
            (key(1, "two", Some("host:1")), false),
            (key(1, "one", Some("host:2")), false),
            (key(1, "one", None), false),
        ] {
            assert_eq!(ring.same(&other).is_some(), same, "{other:?}");
        }
    }
}
