//! What the program does with messages: one file per mode, no sockets.
//!
//! Each implements [`Mode`](crate::endpoint::mode::Mode). A client is a
//! [`chat`] with one peer.

pub mod chat;
pub mod echo;
pub mod relay;
pub mod sink;
pub mod tunnel;
