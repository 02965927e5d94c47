//! Properties of the wire layouts and of sealing, for any input.
//!
//! [`records`] and [`refused`] compare batches with [`oracle`], which seals one
//! record at a time in the plainest way; [`wire`] and [`classic`] need no oracle
//! but the text of `PROTOCOL.md`; [`sessions`] and [`lines`] play two connections
//! to each other. Known answers are in `tests/vectors`.
#![allow(clippy::unwrap_used)]

mod classic;
mod lines;
mod oracle;
mod plan;
mod records;
mod refused;
mod sessions;
mod wire;
