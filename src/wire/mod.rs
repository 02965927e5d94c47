//! Bytes and layouts, no keys.
//!
//! What a hello and a record look like; how a message is cut and joined; where bytes
//! are kept meanwhile. It does not encrypt: that is [`crate::crypto`]'s. It does not know
//! the order of records. Read next: [`record`], then [`crate::conn`], which knows the order.

pub mod buffer;
pub mod hello;
pub mod pack;
pub mod record;
