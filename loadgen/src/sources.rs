//! Where peers connect from: addresses of ours in turn, and a port of each.
//!
//! A port that the system chooses for a given address is none that was used a moment
//! ago, of which it soon has no more. One that is named may be used again as soon as TCP
//! allows it, so ports are named, each in its turn.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use sealwire::net::address::host;

use crate::limits::{PORT_TRIES, PORTS};

/// Addresses of ours, none of which means that all is up to the system.
#[derive(Debug)]
pub(crate) struct Sources {
    addresses: Vec<Source>,
    turn: usize,
    /// So that threads do not take each other's ports.
    thread: usize,
    threads: usize,
}

#[derive(Debug)]
struct Source {
    /// Its port is the one that was taken last.
    address: SocketAddr,
    /// Which of its ports is next.
    next: usize,
}

impl Sources {
    /// Those of a thread. Ports begin anywhere, so as not to meet those of the run before.
    pub(crate) fn new(addresses: &[SocketAddr], thread: usize, threads: usize) -> Self {
        let next = rand::random::<u16>().into();
        let addresses = addresses.iter();
        Self {
            addresses: addresses.map(|&address| Source { address, next }).collect(),
            turn: 0,
            thread,
            threads,
        }
    }

    /// Has `connect` called for the next address, with one port after another until one
    /// is free.
    ///
    /// # Errors
    ///
    /// Why not, and from where.
    pub(crate) fn connect<T>(
        &mut self,
        mut connect: impl FnMut(Option<SocketAddr>) -> io::Result<T>,
    ) -> Result<T, String> {
        let addresses = self.addresses.len();
        let Some(source) = self.addresses.get_mut(self.turn % addresses.max(1)) else {
            return connect(None).map_err(|error| why_not(None, &error));
        };
        self.turn += 1;
        let mut tries = 0;
        loop {
            let place = (source.next * self.threads + self.thread) % PORTS.len();
            source.next += 1;
            tries += 1;
            let port = PORTS.start + place as u16;
            source.address.set_port(port);
            match connect(Some(source.address)) {
                Err(error) if is_taken(&error) && tries < PORT_TRIES => {}
                Err(error) => return Err(why_not(Some(source.address), &error)),
                Ok(peer) => return Ok(peer),
            }
        }
    }
}

/// Why nothing could be connected from `source`, or from wherever the system chooses.
fn why_not(source: Option<SocketAddr>, error: &io::Error) -> String {
    match source {
        Some(source) if is_taken(error) => format!(
            "cannot connect from {}: it is no address of this machine, or its ports are in \
             use: give others with --source-ip",
            host(source)
        ),
        Some(source) => format!("cannot connect from {}: {error}", host(source)),
        None if is_taken(error) => "cannot connect: this machine has no address to connect \
             from, or all its ports are in use: end connections that are not needed, or give \
             addresses to connect from with --source-ip, such as 127.0.0.2"
            .into(),
        None => format!("cannot connect: {error}"),
    }
}

/// Whether it may be the port that is not to be had.
pub(crate) fn is_taken(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::AddrInUse | ErrorKind::AddrNotAvailable
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::HashSet;

    use super::*;

    fn ours(last: u8) -> SocketAddr {
        ([127, 0, 0, last], 0).into()
    }

    /// Goal: addresses take turns, no port of one comes again before all others have,
    /// and threads have their own. Method: all connections of two threads from two
    /// addresses, until every port was used once.
    #[test]
    fn every_port_once() {
        let mut seen = HashSet::new();
        for thread in 0..2 {
            let mut sources = Sources::new(&[ours(2), ours(3)], thread, 2);
            for turn in 0..PORTS.len() {
                let from = sources.connect(Ok).unwrap().unwrap();
                assert_eq!(from.ip(), ours(2 + (turn % 2) as u8).ip());
                assert!(PORTS.contains(&from.port()), "{from}");
                assert!(seen.insert(from), "{from}");
            }
        }
        assert_eq!(seen.len(), 2 * PORTS.len());
        assert_eq!(Sources::new(&[], 0, 1).connect(Ok), Ok(None));
    }

    /// Goal: a port that is taken is passed over; if all are, or something else is the
    /// matter, that is told. Method: errors of each kind.
    #[test]
    fn taken_ports() {
        let mut sources = Sources::new(&[ours(2)], 0, 1);
        let mut kinds = vec![ErrorKind::AddrInUse, ErrorKind::AddrNotAvailable];
        let from = sources.connect(|from| match kinds.pop() {
            Some(kind) => Err(io::Error::from(kind)),
            None => Ok(from),
        });
        assert!(from.is_ok() && kinds.is_empty());
        for (kind, most) in [
            (ErrorKind::AddrNotAvailable, PORT_TRIES),
            (ErrorKind::PermissionDenied, 1),
        ] {
            let mut tries = 0;
            let none: Result<(), _> = sources.connect(|_| {
                tries += 1;
                Err(kind.into())
            });
            let why = none.unwrap_err();
            assert!(why.starts_with("cannot connect from 127.0.0.2: "), "{why}");
            assert_eq!(tries, most);
            assert_eq!(why.contains("--source-ip"), most > 1, "{why}");
        }
        let mut anywhere = Sources::new(&[], 0, 1);
        let none: Result<(), _> = anywhere.connect(|_| Err(ErrorKind::AddrNotAvailable.into()));
        assert!(none.unwrap_err().contains("--source-ip"));
    }
}
