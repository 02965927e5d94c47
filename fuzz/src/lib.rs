//! Fuzz targets: one for each parser, and some for whole connections.
//!
//! A target is a plain function of some bytes. It panics if something that must hold does not.
//! The fuzzer (`main.rs`, built by `scripts/fuzz`) and the test of the corpus call the same
//! functions. No target opens a socket or reads a clock.
//!
//! Parsers are compared with a second reading of the specification, written without a look at
//! the first. Behind a tag that no fuzzer can guess, a `hand` seals what the fuzzer says, and
//! `told` says what the receiver must make of it.
//!
//! Read next: [`TARGETS`], then `endpoint`, which has most in it.

#[path = "../../tests/common/chosen.rs"]
mod chosen;
mod classic;
mod endpoint;
mod hand;
mod handshake;
mod keys;
#[path = "../../tests/common/local.rs"]
mod local;
mod net;
mod parsers;
mod peers;
#[path = "../../tests/common/plain.rs"]
mod plain;
mod script;
mod session;
mod told;
mod tunnel;
mod world;

/// Something to give any bytes to.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, which is that of its folder in the corpus.
    pub name: &'static str,
    /// Runs it once.
    ///
    /// # Panics
    ///
    /// If something that must hold does not.
    pub run: fn(&[u8]),
}

/// All targets.
pub const TARGETS: [Target; 15] = [
    // Whole connections.
    target("endpoint", endpoint::run),
    target("tunnel", tunnel::run),
    target("sessions", session::two),
    target("records", session::records),
    target("handshake", handshake::run),
    target("frames", classic::run),
    // Parsers.
    target("hello", parsers::hello),
    target("record", parsers::record),
    target("pack", parsers::pack),
    target("frame_length", parsers::frame_length),
    target("text", parsers::text),
    target("address", parsers::address),
    target("place", parsers::place),
    target("units", parsers::units),
    target("keys", keys::run),
];

const fn target(name: &'static str, run: fn(&[u8])) -> Target {
    Target { name, run }
}

/// The target of this name.
pub fn named(name: &str) -> Option<Target> {
    TARGETS.into_iter().find(|target| target.name == name)
}
