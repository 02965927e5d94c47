//! Why a program ends before or instead of its work, and its exit code.
//!
//! It does not know how connections end. Read next: [`sealwire::error`], which does.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use sealwire::net::error::Error as Net;

use crate::exit::READER_GONE;

/// Why a program cannot do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line, the environment or a key file asks for something impossible.
    #[error("{0}")]
    Usage(String),
    /// This machine could not do it: bind, resolve, connect, a file.
    #[error("{0}")]
    Local(String),
    /// A deadline passed before there was a connection.
    #[error("{0}")]
    Deadline(String),
    /// The reader of stdout has gone and missed something.
    #[error("the reader of standard output has gone")]
    ReaderGone,
}

impl Error {
    /// The process exit code (`docs/OPERATING.md`, Exit codes).
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Local(_) => 1,
            Self::Usage(_) => 2,
            Self::Deadline(_) => 5,
            Self::ReaderGone => READER_GONE,
        }
    }
}

/// Adds what the user can do about it.
impl From<Net> for Error {
    fn from(error: Net) -> Self {
        let hint = match &error {
            Net::Silent { .. } => return Self::Deadline(error.to_string()),
            refusal if refusal.is_refusal() => ": is the server running?",
            Net::Listen { address, source } => listen_elsewhere(*address, source),
            _ => "",
        };
        Self::Local(format!("{error}{hint}"))
    }
}

/// What to do if listening on `address` failed with `error`.
fn listen_elsewhere(address: SocketAddr, error: &io::Error) -> &'static str {
    match error.kind() {
        // All ports are in use: the error itself says what to do.
        ErrorKind::AddrInUse if address.port() == 0 => "",
        ErrorKind::AddrInUse => ": stop the program that uses it, or choose another with --port",
        ErrorKind::AddrNotAvailable => ": choose one with --listen, or leave it out for all",
        ErrorKind::PermissionDenied => ": choose one from 1024 up with --port",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a connect deadline has an exit code of its own, unlike other errors. Method: an
    /// address and a name that do not answer, and a name that does not resolve.
    #[test]
    fn a_deadline_is_told_apart() {
        let (host, port) = ("h".to_owned(), 9);
        for tried in [None, Some(vec![([127, 0, 0, 1], 9).into()])] {
            let host = host.clone();
            let error = Error::from(Net::Silent { host, port, tried });
            assert_eq!(error.exit_code(), 5, "{error}");
        }
        let source = ErrorKind::NotFound.into();
        let error = Error::from(Net::Resolve { host, source });
        assert_eq!(error.exit_code(), 1, "{error}");
    }

    /// Goal: an error says what the user can do, if anything. Method: two ways in which
    /// listening fails; `tests/cli` has the others, and those of connecting.
    #[test]
    fn hints() {
        for (port, kind, start) in [
            (
                9,
                ErrorKind::PermissionDenied,
                "no permission to listen on port 9 of 127.0.0.1: choose one from 1024 up",
            ),
            (
                0,
                ErrorKind::AddrInUse,
                "cannot listen: all ports of 127.0.0.1 are in use: end connections",
            ),
        ] {
            let (address, source) = (([127, 0, 0, 1], port).into(), kind.into());
            let error = Error::from(Net::Listen { address, source });
            assert_eq!(error.exit_code(), 1);
            assert!(error.to_string().starts_with(start), "{error}");
        }
    }
}
