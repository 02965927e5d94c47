//! In place of `x86` on other processors: nothing of it can exist.

use super::portable::Material;
use super::{Checking, Sealing};

/// None are there.
#[derive(Clone, Copy)]
pub(super) enum Features {}

/// None are made.
pub(in crate::crypto) enum SealKeys {}

/// None are made.
pub(in crate::crypto) enum OpenKeys {}

impl Features {
    pub(super) fn detect() -> impl Iterator<Item = Self> {
        std::iter::empty()
    }

    pub(super) fn name(self) -> &'static str {
        match self {}
    }
}

impl SealKeys {
    pub(super) fn new(features: Features, _: &Material) -> Self {
        match features {}
    }
}

impl OpenKeys {
    pub(super) fn new(features: Features, _: &Material) -> Self {
        match features {}
    }
}

pub(super) fn seal(features: Features, _: &mut [Sealing<'_>]) {
    match features {}
}

pub(super) fn tags(features: Features, _: &mut [Checking<'_>]) {
    match features {}
}

pub(super) fn decrypt(features: Features, _: &OpenKeys, _: u64, _: &mut [u8]) {
    match features {}
}
