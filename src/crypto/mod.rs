//! Keys and kernels, no layouts.
//!
//! From the two [`secret`]s, by way of an `identity`, to [`keys`] per direction
//! and epoch; [`batch`]es of records for a [`kernel`] to seal and open, of which
//! [`choice`] takes one; [`dh`] for the handshake. What the sealed bytes are for is
//! known to [`crate::wire`] and [`crate::conn`].

pub mod batch;
mod check;
pub mod choice;
#[cfg(all(target_arch = "x86_64", target_pointer_width = "64"))]
mod cpu;
pub mod dh;
mod identity;
pub mod kernel;
pub mod keys;
pub mod secret;
pub(crate) mod wipe;
