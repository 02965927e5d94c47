//! Keys and kernels, no layouts.
//!
//! The two [`secret`]s become an `identity`, and that becomes [`keys`] for each direction and
//! epoch. A server may have many, in a [`ring`]. A [`kernel`], which [`choice`] checks, seals and opens [`batch`]es of records. [`dh`]
//! serves the handshake. What the sealed bytes mean: [`crate::wire`] and [`crate::conn`].

pub mod batch;
mod check;
pub mod choice;
#[cfg(all(target_arch = "x86_64", target_pointer_width = "64"))]
mod cpu;
pub mod dh;
mod identity;
pub mod kernel;
pub mod keys;
pub mod ring;
pub mod secret;
pub(crate) mod wipe;
