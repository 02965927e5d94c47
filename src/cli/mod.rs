//! What was typed, turned into what can run.
//!
//! [`args`] is the command line as typed, [`config`] the same once checked,
//! [`keys`] where the two secrets come from, and [`keygen`] makes new ones.
//! Whatever cannot run is refused here, by name, before a socket is opened.
//! Nothing in here opens one, and nothing prints: texts are handed back. Read
//! next: [`args::parse`].

pub mod args;
pub mod config;
mod hex;
mod key_file;
mod key_text;
pub mod keygen;
pub mod keys;
mod private_file;

use crate::error::Error;

/// Refuses what was typed.
fn usage<T>(text: impl Into<String>) -> Result<T, Error> {
    Err(Error::Usage(text.into()))
}
