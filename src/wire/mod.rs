//! Bytes and layouts, no keys.
//!
//! What a hello and a record look like; how a message is cut and joined; where bytes
//! are kept meanwhile. Nothing here encrypts: see [`crate::crypto`]. What the bytes
//! mean in sequence is [`crate::conn`].

pub mod buffer;
pub mod hello;
pub mod record;
