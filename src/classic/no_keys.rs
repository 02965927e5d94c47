//! Stands in for the keys where the feature `classic` is off. Its type has no values, so no
//! classic connection can exist, and the code for classic peers compiles to nothing.

use std::sync::Arc;

use crate::limits::BLOCK;

/// Keys that cannot be made.
#[derive(Debug)]
pub enum ClassicKeys {}

/// What a connection has of its keys.
pub(super) type Held = ClassicKeys;

impl ClassicKeys {
    pub(super) fn held(self: Arc<Self>) -> Held {
        match *self {}
    }

    pub(super) fn encrypt(&self, _: &[u8; BLOCK], _: &[u8], _: &mut [u8; BLOCK]) {
        match *self {}
    }

    pub(super) fn decrypt<'a>(&self, _: &[u8; BLOCK], _: &'a mut [u8]) -> Option<&'a [u8]> {
        match *self {}
    }

    pub(super) fn tag(&self, _: &[u8]) -> [u8; 32] {
        match *self {}
    }

    pub(super) fn holds(&self, _: &[u8], _: &[u8]) -> bool {
        match *self {}
    }
}
