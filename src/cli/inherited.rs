//! The descriptors as the process was given them: the standard ones, and a socket to listen on.
//!
//! Before `main`, Rust's runtime opens `/dev/null` in place of each closed descriptor
//! from 0 to 2, so that no socket takes its number. Afterwards a closed one looks like one
//! that the user sent to `/dev/null`, and data "written" to it is lost silently. So a
//! program calls [`note_closed`] earlier, from a constructor (`.init_array`), and asks
//! here before it uses one.
//!
//! A service manager may pass a socket that it listens on ([`passed_socket`]).
//!
//! A closed stderr is no error: messages have nowhere to go, and no data is lost. It reads
//! and writes nothing. Read next: [`mod@crate::run`].

use std::env;
use std::io::{self, ErrorKind};
use std::net::TcpListener;
use std::os::fd::BorrowedFd;
use std::process;
use std::sync::atomic::{AtomicU8, Ordering};

use listenfd::ListenFd;
use rustix::stdio;
use sealwire::net::descriptor::{Direction, is_null};

use crate::error::Error;

/// Bit n: descriptor n was closed.
static CLOSED: AtomicU8 = AtomicU8::new(0);

/// Notes which standard descriptors are closed. Call it before `main`; without it none
/// counts as closed.
pub fn note_closed() {
    let standard = [stdio::stdin(), stdio::stdout(), stdio::stderr()];
    for (number, fd) in standard.into_iter().enumerate() {
        if rustix::io::fcntl_getfd(fd).is_err() {
            CLOSED.fetch_or(1 << number, Ordering::Relaxed);
        }
    }
}

/// The socket that a service manager passes to this process (sd_listen_fds(3)), if it does.
/// Whether connections come to it is not checked.
///
/// Call it first, while the process has one thread and no descriptors of its own: where the
/// environment is wrong, one of those would be taken for the socket.
///
/// # Errors
///
/// [`Error::Local`], if it is not one TCP socket.
pub fn passed_socket() -> Result<Option<TcpListener>, Error> {
    let number = |name| env::var(name).ok()?.parse::<u32>().ok();
    if number("LISTEN_PID") != Some(process::id()) {
        return Ok(None);
    }
    let wrong = |why: &dyn std::fmt::Display| {
        Err(Error::Local(format!(
            "LISTEN_FDS: one TCP socket is wanted from the service manager, but {why}"
        )))
    };
    match number("LISTEN_FDS") {
        None | Some(0) => return Ok(None),
        Some(1) => {}
        Some(count) => return wrong(&format!("there are {count}")),
    }
    match ListenFd::from_env().take_tcp_listener(0) {
        Ok(socket) => Ok(socket),
        Err(error) => wrong(&error),
    }
}

/// Refuses a stdin that was closed, or that is not open for reading.
///
/// A `/dev/null` that is open for writing only will do: `nohup` gives it in place of a
/// terminal, and it reads as an end.
///
/// # Errors
///
/// [`Error::Local`], with what to do.
pub fn require_stdin() -> Result<(), Error> {
    let stdin = stdio::stdin();
    let usable = is_open(stdin, Direction::In) || is_null(stdin);
    require("input", 0, usable, "reading", '<')
}

/// Refuses a stdout that was closed, or that is not open for writing.
///
/// # Errors
///
/// [`Error::Local`], with what to do.
pub fn require_stdout() -> Result<(), Error> {
    let usable = is_open(stdio::stdout(), Direction::Out);
    require("output", 1, usable, "writing", '>')
}

fn is_open(fd: BorrowedFd<'_>, direction: Direction) -> bool {
    direction.is_open(fd).unwrap_or(false)
}

/// Refuses descriptor `number`, which a shell redirects by `sign`, unless it was open and is
/// `usable`.
fn require(what: &str, number: u8, usable: bool, verb: &str, sign: char) -> Result<(), Error> {
    let (wrong, file) = if CLOSED.load(Ordering::Relaxed) & 1 << number != 0 {
        ("closed".into(), "/dev/null")
    } else if !usable {
        (format!("not open for {verb}"), "FILE")
    } else {
        return Ok(());
    };
    Err(Error::Local(format!(
        "standard {what} is {wrong}: open it, for instance with {sign}{file}"
    )))
}

/// The result of printing on stdout, as an error of the program.
///
/// # Errors
///
/// [`Error::ReaderGone`], if its reader has gone; [`Error::Local`] for another failure,
/// such as a full disk.
pub fn printed(result: io::Result<()>) -> Result<(), Error> {
    result.map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Error::ReaderGone,
        _ => Error::Local(format!("writing standard output: {error}")),
    })
}
