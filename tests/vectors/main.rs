//! Known answers, made by an independent program: `vectors.json`, which
//! `PROTOCOL.md` describes.
//!
//! What layouts and keys alone decide is in [`hellos`], [`records`], [`refused`]
//! and [`classic`]; [`connection`] and [`classic_connection`] play the bytes to
//! real connections: which record may follow which, how a message is joined.
#![allow(clippy::unwrap_used)]

mod answers;
#[path = "../common/chosen.rs"]
mod chosen;
mod classic;
mod classic_connection;
mod connection;
mod hellos;
mod records;
mod refused;
