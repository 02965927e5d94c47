//! Properties of the wire layouts and of sealing, for any input.
//!
//! [`records`], [`refused`] and [`lanes`] compare batches with [`oracle`], which seals one record
//! at a time in the plainest way, for every kernel of this processor. [`wire`] and [`classic`] need
//! no oracle but the text of `PROTOCOL.md`. [`sessions`] and [`lines`] connect two connections to
//! each other. Known answers are in `tests/vectors`.
#![allow(clippy::unwrap_used)]

mod batches;
#[path = "../common/chosen.rs"]
mod chosen;
mod classic;
mod drawn;
mod lanes;
mod lines;
mod oracle;
mod plan;
mod records;
mod refused;
mod sessions;
mod wire;
