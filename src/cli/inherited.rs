//! The standard descriptors as the process was given them.
//!
//! Before `main`, Rust's runtime opens `/dev/null` in place of each descriptor
//! from 0 to 2 that is closed, so that no socket takes its number. Afterwards a
//! closed one looks like one that somebody sent to `/dev/null`, and a file
//! "written" to it is lost without a word. So a program calls [`note_closed`] earlier,
//! from a constructor (`.init_array`), and asks here before it uses one.
//!
//! A closed stderr is no error: messages have nowhere to go, and no data is lost.
//! Read next: [`mod@super::run`].

use std::io;
use std::sync::atomic::{AtomicU8, Ordering};

use rustix::fd::BorrowedFd;
use rustix::fs::{OFlags, fcntl_getfl};
use rustix::stdio;
use sealwire::net::descriptor::is_null;

use crate::error::Error;

/// Bit n: descriptor n was closed.
static CLOSED: AtomicU8 = AtomicU8::new(0);

/// Notes which standard descriptors are closed. To be called before `main`; without
/// it none counts as closed.
pub fn note_closed() {
    let standard = [stdio::stdin(), stdio::stdout(), stdio::stderr()];
    for (number, fd) in standard.into_iter().enumerate() {
        if rustix::io::fcntl_getfd(fd).is_err() {
            CLOSED.fetch_or(1 << number, Ordering::Relaxed);
        }
    }
}

/// Refuses a stdin that was closed, or that is not open for reading.
///
/// A `/dev/null` that is open for writing only is let through: `nohup` gives it in
/// place of a terminal, and it reads as an end.
///
/// # Errors
///
/// [`Error::Local`], with what to do.
pub fn require_stdin() -> Result<(), Error> {
    if was_closed(0) {
        let text = "standard input is closed: open it, for instance with </dev/null";
        return Err(Error::Local(text.into()));
    }
    if !is_open_for(stdio::stdin(), OFlags::RDONLY) && !is_null(stdio::stdin()) {
        let text = "standard input is not open for reading: open it, for instance with <FILE";
        return Err(Error::Local(text.into()));
    }
    Ok(())
}

/// Refuses a stdout that was closed, or that is not open for writing.
///
/// # Errors
///
/// [`Error::Local`], with what to do.
pub fn require_stdout() -> Result<(), Error> {
    let text = if was_closed(1) {
        "standard output is closed: open it, for instance with >/dev/null"
    } else if !is_open_for(stdio::stdout(), OFlags::WRONLY) {
        "standard output is not open for writing: open it, for instance with >FILE"
    } else {
        return Ok(());
    };
    Err(Error::Local(text.into()))
}

/// What a program that prints on stdout makes of the result.
///
/// # Errors
///
/// [`Error::ReaderGone`], if nobody reads it any more; [`Error::Local`] for another
/// failure, such as a full disk.
pub fn printed(result: io::Result<()>) -> Result<(), Error> {
    result.map_err(|error| Error::of_stdout(&error))
}

fn was_closed(number: u8) -> bool {
    CLOSED.load(Ordering::Relaxed) & 1 << number != 0
}

/// Whether `fd` is open for `way`, or for both ways.
fn is_open_for(fd: BorrowedFd<'_>, way: OFlags) -> bool {
    let mode = fcntl_getfl(fd).map(|flags| flags & OFlags::RWMODE);
    mode.is_ok_and(|mode| mode == way || mode == OFlags::RDWR)
}
