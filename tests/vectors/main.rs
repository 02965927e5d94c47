//! Known answers, made by an independent program: `vectors.json`, which
//! `PROTOCOL.md` describes.
//!
//! Here is what layouts and keys alone decide. What needs a connection (which
//! record may follow which, and how a classic message is joined) is not.
#![allow(clippy::unwrap_used)]

mod answers;
mod classic;
mod hellos;
mod records;
mod refused;
