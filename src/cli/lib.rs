//! The program `sealwire`: what a user typed, turned into what can run.
//!
//! [`args`] is the command line as typed, [`keys`] finds the two secrets, [`config`] checks
//! what was typed, and [`command`] does all three; [`keygen`] makes new keys. They refuse,
//! by name, what cannot run, before a socket is opened. [`mod@run`] runs the rest,
//! [`report`] prints what happens, through the [`log`], `metrics` has figures for a monitoring
//! system, a [`service_manager`] hears how it goes, `reread` reads keys again, `retry`
//! connects again, and `exit` has the
//! exit codes. `manual` makes man pages and what shells complete.
//!
//! A process handles secrets and descriptors before it parses arguments: [`inherited`]
//! notes which standard descriptors were closed, [`typed_keys`] takes keys out of the
//! command line, and [`exposure`] erases them where the system put them.
//!
//! Nothing here knows the wire or a socket. The load tester uses the same keys, units, log
//! and errors. Read next: [`command::parse`].

pub mod args;
pub mod command;
pub mod config;
mod date;
pub mod error;
mod exit;
pub mod exposure;
pub mod inherited;
pub mod kernel;
mod key_file;
mod key_text;
pub mod keygen;
pub mod keys;
pub mod limits;
pub mod log;
pub mod manual;
mod metrics;
mod private_file;
pub mod report;
mod reread;
mod retry;
pub mod run;
pub mod service_manager;
mod shell;
mod show_limits;
pub mod typed_keys;
pub mod units;

use error::Error;

/// Refuses what was typed.
fn usage<T>(text: impl Into<String>) -> Result<T, Error> {
    Err(Error::Usage(text.into()))
}
