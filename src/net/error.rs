//! Why there is no listener or no connection; the system's own error is the source.
//!
//! It does not say what a user can do about it: the program does. Read next:
//! [`super::address`].

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::PathBuf;

use super::address::{host, host_and_port, why_not_bound, why_not_connected};
use crate::limits::CONNECT_DEADLINE;

/// Why an [`EventLoop`](super::event_loop::EventLoop) ends, or cannot begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The name has no address.
    #[error("cannot resolve {host}: {source}")]
    Resolve {
        /// The name.
        host: String,
        /// Why.
        source: io::Error,
    },
    /// Listening on the address failed.
    #[error("{}", not_bound(*address, source))]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// All addresses of the host refused the connection or could not be reached.
    #[error("{}", unreachable(host, *port, failures))]
    Unreachable {
        /// The name or address.
        host: String,
        /// The port.
        port: u16,
        /// The addresses, and why each failed.
        failures: Vec<(SocketAddr, io::Error)>,
    },
    /// No connection was there within 10 s.
    #[error("{}", silent(host, *port, tried.as_deref()))]
    Silent {
        /// The name or address.
        host: String,
        /// The port.
        port: u16,
        /// The addresses; `None` if the name did not resolve in time.
        tried: Option<Vec<SocketAddr>>,
    },
    /// The Unix socket refused the connection, or there is none.
    #[error("cannot connect to unix:{}: {source}", path.display())]
    Path {
        /// Where it should be.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Listening on a path failed.
    #[error("cannot listen on unix:{}: {source}", path.display())]
    BindPath {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A plain connection could not be made ready.
    #[error("a plain connection failed: {0}")]
    Plain(#[source] io::Error),
    /// The poll failed.
    #[error("cannot wait for events: {0}")]
    Poll(#[source] io::Error),
    /// The poll did not take a socket.
    #[error("{}: {source}", host_and_port(*address))]
    Register {
        /// The other side's address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

fn not_bound(address: SocketAddr, error: &io::Error) -> String {
    if let Some(why) = why_not_bound(address, error) {
        return format!("cannot listen: {why}");
    }
    let port = address.port();
    let host = host(address);
    match error.kind() {
        ErrorKind::AddrInUse => format!("port {port} is in use on {host}"),
        ErrorKind::AddrNotAvailable => format!("{host} is no address of this machine"),
        ErrorKind::PermissionDenied => format!("no permission to listen on port {port} of {host}"),
        _ => format!("cannot listen on port {port} of {host}: {error}"),
    }
}

impl Error {
    /// Whether another try to connect may succeed: the host could not be reached.
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Resolve { .. } | Self::Unreachable { .. } | Self::Silent { .. }
        )
    }

    /// Whether every address refused the connection: then no program listens there.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Unreachable { failures, .. } if all_refused(failures))
    }
}

fn all_refused(failures: &[(SocketAddr, io::Error)]) -> bool {
    let mut errors = failures.iter().map(|(_, error)| error.kind());
    errors.all(|kind| kind == ErrorKind::ConnectionRefused)
}

fn unreachable(host: &str, port: u16, failures: &[(SocketAddr, io::Error)]) -> String {
    if all_refused(failures) {
        let tried = tried(host, failures.iter().map(|(address, _)| *address));
        return format!("{host} port {port} refused the connection{tried}");
    }
    let why = failures
        .iter()
        .map(|(address, error)| why_not_connected(*address, error));
    let why = why.collect::<Vec<_>>().join("; ");
    format!("cannot connect to {host} port {port}: {why}")
}

fn silent(host: &str, port: u16, addresses: Option<&[SocketAddr]>) -> String {
    let seconds = CONNECT_DEADLINE.as_secs();
    let Some(addresses) = addresses else {
        return format!("cannot resolve {host}: no answer within {seconds} s");
    };
    let tried = tried(host, addresses.iter().copied());
    format!("{host} port {port} did not answer within {seconds} s{tried}")
}

/// " (tried A, B)", or nothing where `asked` is the only address.
fn tried(asked: &str, addresses: impl Iterator<Item = SocketAddr>) -> String {
    let addresses: Vec<_> = addresses.map(host).collect();
    match addresses.iter().all(|address| address == asked) {
        true => String::new(),
        false => format!(" (tried {})", addresses.join(", ")),
    }
}
