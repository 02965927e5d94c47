//! Real I/O.
