//! What was typed, turned into what can run.
//!
//! [`args`] is the command line as typed, [`config`] the same once checked,
//! [`keys`] where the two secrets come from, and [`keygen`] makes new ones.
//! Whatever cannot run is refused there, by name, before a socket is opened, and
//! nothing is printed: texts are handed back. [`mod@run`] runs what is left, and
//! [`report`] prints what happens. Read next: [`args::parse`].

pub mod args;
pub mod config;
mod hex;
mod key_file;
mod key_text;
pub mod keygen;
pub mod keys;
mod private_file;
pub mod report;
pub mod run;

use crate::error::Error;

/// Refuses what was typed.
fn usage<T>(text: impl Into<String>) -> Result<T, Error> {
    Err(Error::Usage(text.into()))
}
