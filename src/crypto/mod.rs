//! Keys and kernels, no layouts.

pub mod secret;
