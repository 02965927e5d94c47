//! Known answers, made by an independent program: `vectors.json`, which `PROTOCOL.md`
//! describes.
//!
//! [`records`] puts records through every kernel. [`connection`] and [`classic`] play the
//! bytes to real connections, which judge hellos, records and frames, and their order.
#![allow(clippy::unwrap_used)]

mod answers;
#[path = "../common/batches.rs"]
mod batches;
#[path = "../common/chosen.rs"]
mod chosen;
mod classic;
mod connection;
#[path = "../common/lines.rs"]
mod lines;
#[path = "../common/plain.rs"]
mod plain;
mod records;
