//! What was typed, turned into what can run.
//!
//! [`args`] is the command line as typed, [`keys`] where the two secrets come
//! from, [`config`] what was typed once it is checked, and [`command`] does all
//! three; [`keygen`] makes new keys. [`typed_keys`] and [`exposure`] keep what is
//! secret of it from lying about.
//! Whatever cannot run is refused there, by name, before a socket is opened, and
//! nothing is printed: texts are handed back. [`mod@run`] runs what is left, and
//! [`report`] prints what happens. Read next: [`command::parse`].

pub mod args;
pub mod command;
pub mod config;
pub mod exit;
pub mod exposure;
mod hex;
mod key_file;
mod key_text;
pub mod keygen;
pub mod keys;
mod private_file;
pub mod report;
pub mod run;
mod shell;
pub mod typed_keys;
pub mod units;

use crate::error::Error;

/// Refuses what was typed.
fn usage<T>(text: impl Into<String>) -> Result<T, Error> {
    Err(Error::Usage(text.into()))
}
