//! The names of `x86` on other processors, where no value of them can exist.

use super::{Checking, Decrypting, Material, Sealing};

/// No value exists.
#[derive(Clone, Copy)]
pub(super) enum Features {}

/// Never made, because making it needs features.
pub(in crate::crypto) struct Keys;

impl Features {
    pub(super) fn detect() -> impl Iterator<Item = Self> {
        std::iter::empty()
    }

    pub(super) fn name(self) -> &'static str {
        match self {}
    }
}

impl Keys {
    pub(super) fn to_seal(features: Features, _: &Material) -> Self {
        match features {}
    }

    pub(super) fn to_open(features: Features, _: &Material) -> Self {
        match features {}
    }
}

pub(super) fn seal(features: Features, _: &mut [Sealing<'_>]) {
    match features {}
}

pub(super) fn tags(features: Features, _: &mut [Checking<'_>]) {
    match features {}
}

pub(super) fn decrypt(features: Features, _: &mut [Decrypting<'_>]) {
    match features {}
}
