//! Bytes and layouts, no keys.
//!
//! What a hello, a record and a classic frame look like; how a message is cut
//! and joined; where bytes are kept meanwhile. Nothing here encrypts: see
//! [`crate::crypto`]. What the bytes mean in sequence is [`crate::conn`].

pub mod buffer;
pub mod chunks;
pub mod classic;
pub mod hello;
pub mod record;
