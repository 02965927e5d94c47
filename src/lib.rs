//! Sealwire: programs that share two keys talk over TCP, encrypted and
//! authenticated.

pub mod cli;
pub mod conn;
pub mod crypto;
pub mod endpoint;
pub mod error;
pub mod limits;
pub mod modes;
pub mod net;
pub mod span;
pub mod time;
pub mod wire;
