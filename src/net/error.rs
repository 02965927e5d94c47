//! Why there is no listener or no connection; the system's own error is the source.
//!
//! What a user can do about it is the program's to say. Read next: [`super::address`].

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use super::address::{host, why_not_bound, why_not_connected};
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
    /// Connecting failed at every address of the host.
    #[error(transparent)]
    Unreachable(Unreachable),
    /// No connection was there within 10 s.
    #[error(transparent)]
    Silent(Silent),
    /// The poll failed.
    #[error("cannot wait for events: {0}")]
    Poll(#[source] io::Error),
    /// The poll did not take a socket.
    #[error("{}: {source}", host(*address))]
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

/// A host whose addresses all refused the connection or could not be reached.
#[derive(Debug, thiserror::Error)]
pub struct Unreachable {
    /// The name or address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The addresses, and why each failed.
    pub failures: Vec<(SocketAddr, io::Error)>,
}

impl Unreachable {
    /// Whether every address refused the connection: then no program listens there.
    pub fn is_refusal(&self) -> bool {
        let mut errors = self.failures.iter().map(|(_, error)| error.kind());
        errors.all(|kind| kind == ErrorKind::ConnectionRefused)
    }
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            host,
            port,
            failures,
        } = self;
        if self.is_refusal() {
            let tried = tried(host, failures.iter().map(|(address, _)| *address));
            return write!(f, "{host} port {port} refused the connection{tried}");
        }
        write!(f, "cannot connect to {host} port {port}")?;
        for (position, (address, error)) in failures.iter().enumerate() {
            f.write_str(if position == 0 { ": " } else { "; " })?;
            f.write_str(&why_not_connected(*address, error))?;
        }
        Ok(())
    }
}

/// A host that did not answer in time.
#[derive(Debug, thiserror::Error)]
pub struct Silent {
    /// The name or address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The addresses; `None` if the name did not resolve in time.
    pub tried: Option<Vec<SocketAddr>>,
}

impl fmt::Display for Silent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, .. } = self;
        let seconds = CONNECT_DEADLINE.as_secs();
        let Some(addresses) = &self.tried else {
            return write!(f, "cannot resolve {host}: no answer within {seconds} s");
        };
        let tried = tried(host, addresses.iter().copied());
        write!(
            f,
            "{host} port {port} did not answer within {seconds} s{tried}"
        )
    }
}

/// " (tried A, B)", or nothing where `asked` is the only address.
fn tried(asked: &str, addresses: impl Iterator<Item = SocketAddr>) -> String {
    let addresses: Vec<_> = addresses.map(host).collect();
    match addresses.iter().all(|address| address == asked) {
        true => String::new(),
        false => format!(" (tried {})", addresses.join(", ")),
    }
}
