//! Where peers connect from: addresses of ours in turn, and a port of each.
//!
//! A port that the system chooses for a given address is none that was used a moment
//! ago, of which it soon has no more. One that is named may be used again as soon as TCP
//! allows it, so ports are named, each in its turn.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};

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
    address: IpAddr,
    /// Which of its ports is next.
    next: usize,
}

impl Sources {
    /// Those of a thread. Ports begin anywhere, so as not to meet those of the run before.
    pub(crate) fn new(addresses: &[IpAddr], thread: usize, threads: usize) -> Self {
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
            return connect(None).map_err(|error| format!("cannot connect: {error}"));
        };
        self.turn += 1;
        let mut tries = 0;
        loop {
            let place = (source.next * self.threads + self.thread) % PORTS.len();
            source.next += 1;
            tries += 1;
            let port = PORTS.start + place as u16;
            let from = SocketAddr::new(source.address, port);
            match connect(Some(from)) {
                Err(error) if is_taken(&error) && tries < PORT_TRIES => {}
                Err(error) => {
                    return Err(format!("cannot connect from {}: {error}", source.address));
                }
                Ok(peer) => return Ok(peer),
            }
        }
    }
}

/// Whether it may be the port that is not to be had.
fn is_taken(error: &io::Error) -> bool {
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

    fn ours(last: u8) -> IpAddr {
        [127, 0, 0, last].into()
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
                assert_eq!(from.ip(), ours(2 + (turn % 2) as u8));
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
        }
    }
}
