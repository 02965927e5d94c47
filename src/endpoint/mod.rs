//! Many peers and locals, without I/O.

pub mod transport;
