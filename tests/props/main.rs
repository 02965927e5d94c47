//! Properties of the wire layouts and of sealing, for any input.
//!
//! [`records`], [`refused`] and [`lanes`] compare batches with [`plain`], which seals one
//! record at a time in the plainest way, for every kernel that this processor has; [`wire`]
//! needs no oracle but the text of `PROTOCOL.md`; [`sessions`] plays two connections to each
//! other, and [`classic`] has all of the old format. Known answers are in `tests/vectors`.
#![allow(clippy::unwrap_used)]

mod batches;
#[path = "../common/chosen.rs"]
mod chosen;
mod classic;
mod drawn;
mod lanes;
#[path = "../common/lines.rs"]
mod lines;
mod packs;
#[path = "../common/plain.rs"]
mod plain;
mod plan;
mod records;
mod refused;
mod sessions;
mod wire;
