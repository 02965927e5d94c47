//! Where peers connect from: our addresses in turn, and a port of each.
//!
//! If only the address is given, the system avoids ports that were used a moment ago, and soon
//! runs out of them. A port that is named may be used again as soon as TCP allows it. So ports are
//! named, each in its turn. [`reach`] finds the server's address from there.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::mpsc;
use std::thread;

use sealwire::limits::{CONNECT_DEADLINE, CONNECT_STAGGER};
use sealwire::net::address::{host, host_and_port, why_not_connected, without_brackets};
use sealwire_cli::error::Error;
use socket2::{Domain, Socket, Type};

use crate::limits::{PORT_TRIES, PORTS};
use crate::plan::{Plan, Target};

/// Our addresses. With none of them, the system chooses.
pub(crate) struct Sources {
    /// Each with the port that was taken last, and which of its ports is next.
    addresses: Vec<(SocketAddr, usize)>,
    turn: usize,
    /// Threads have different ports.
    thread: usize,
    threads: usize,
}

impl Sources {
    /// Those of a thread. Ports begin at a random one, to avoid those of the run before.
    pub(crate) fn new(addresses: &[SocketAddr], thread: usize, threads: usize) -> Self {
        let next = rand::random::<u16>().into();
        Self {
            addresses: addresses.iter().map(|&address| (address, next)).collect(),
            turn: 0,
            thread,
            threads,
        }
    }

    /// Calls `connect` with the next address, and each port until one is free; errors name it.
    pub(crate) fn connect<T>(
        &mut self,
        mut connect: impl FnMut(Option<SocketAddr>) -> io::Result<T>,
    ) -> Result<T, String> {
        let addresses = self.addresses.len();
        let Some((source, next)) = self.addresses.get_mut(self.turn % addresses.max(1)) else {
            return connect(None).map_err(|error| why_not(None, &error));
        };
        self.turn += 1;
        let mut tries = 0;
        loop {
            let place = (*next * self.threads + self.thread) % PORTS.len();
            *next += 1;
            tries += 1;
            let port = PORTS.start + place as u16;
            source.set_port(port);
            match connect(Some(*source)) {
                Err(error) if is_taken(&error) && tries < PORT_TRIES => {}
                Err(error) => return Err(why_not(Some(*source), &error)),
                Ok(peer) => return Ok(peer),
            }
        }
    }
}

/// Why no connection was possible from `source`, or from an address that the system chooses.
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

/// The first address of `server` that takes a connection from where peers connect. The next one is
/// tried as soon as one fails or has not answered for a moment, as the library dials (RFC 8305), so
/// that a dead address costs little.
pub(crate) fn reach(server: &Target, plan: &Plan) -> Result<SocketAddr, Error> {
    let Target { host, port, .. } = server;
    let addresses = (without_brackets(host), *port)
        .to_socket_addrs()
        .map_err(|error| Error::Local(format!("cannot resolve {host}: {error}")))?;
    let mut untried = addresses.into_iter();
    // A try that comes too late ends by itself, within the deadline.
    let (result, results) = mpsc::channel();
    let (mut under_way, mut told) = (0, format!("{host} has no address"));
    loop {
        let next = untried.next();
        if let Some(address) = next {
            let (sources, result) = (plan.sources.clone(), result.clone());
            thread::spawn(move || result.send((address, try_from(&sources, address))));
            under_way += 1;
        } else if under_way == 0 {
            return Err(Error::Local(told));
        }
        let patience = match next {
            Some(_) => CONNECT_STAGGER,
            None => CONNECT_DEADLINE.saturating_mul(2),
        };
        let Ok((address, tried)) = results.recv_timeout(patience) else {
            continue;
        };
        under_way -= 1;
        told = match tried {
            Ok(Ok(())) => return Ok(address),
            Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => {
                let address = host_and_port(address);
                format!("{address} refused the connection: is the server running?")
            }
            Ok(Err(error)) => {
                let why = why_not_connected(address, &error);
                format!("cannot connect to {host} port {port}: {why}")
            }
            Err(why) => why,
        };
    }
}

/// Connects from one of `sources`. Another source or port helps only against some errors.
fn try_from(sources: &[SocketAddr], address: SocketAddr) -> Result<io::Result<()>, String> {
    Sources::new(sources, 0, 1).connect(|from| match connect(address, from) {
        Err(error) if is_taken(&error) => Err(error),
        other => Ok(other),
    })
}

fn connect(address: SocketAddr, from: Option<SocketAddr>) -> io::Result<()> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if let Some(from) = from {
        // A connection that has just ended may still hold the port.
        socket.set_reuse_address(true)?;
        socket.bind(&from.into())?;
    }
    socket.connect_timeout(&address.into(), CONNECT_DEADLINE)
}

/// Whether the port may be the cause.
fn is_taken(error: &io::Error) -> bool {
    [ErrorKind::AddrInUse, ErrorKind::AddrNotAvailable].contains(&error.kind())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn ours(last: u8) -> SocketAddr {
        ([127, 0, 0, last], 0).into()
    }

    /// Goal: addresses take turns, no port repeats before all others, and threads have
    /// different ones. Method: two threads and two addresses, until every port was used once.
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

    /// Goal: a taken port is skipped; if all are taken, or the error is another, it is returned.
    /// Method: errors of each kind.
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
