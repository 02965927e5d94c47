//! The fuzzer: gives the target that `SEALWIRE_FUZZ` names the bytes that libFuzzer makes.
//!
//! `scripts/fuzz` builds and starts it.
#![no_main]

use std::env;
use std::sync::LazyLock;

use fuzz::Target;

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = env::var("SEALWIRE_FUZZ").unwrap_or_default();
    fuzz::named(&name).unwrap_or_else(|| panic!("SEALWIRE_FUZZ={name}: no such target"))
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| (TARGET.run)(bytes));
