//! A server's listening socket.
//!
//! It binds an address and accepts connections one at a time. It does not decide when to
//! accept, or how many. Read next: [`super::accept`], which does.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener as StdListener};
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use rustix::io::Errno;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::error::Error;
use super::stream::tune;
use crate::limits::{DEAD_AFTER, LISTEN_BACKLOG};

/// A bound socket that accepts connections.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Listens on `port` of all addresses: one socket for both families, or for IPv4 where
    /// IPv6 is missing. Port 0 takes a free one.
    ///
    /// # Errors
    ///
    /// [`Error::Listen`], if nothing can be bound.
    pub fn on_all(port: u16) -> Result<Self, Error> {
        let both = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
        let (address, result) = match Self::bound(both, true) {
            Err(error) if lacks_ipv6(&error) => {
                let v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
                (v4, Self::bound(v4, false))
            }
            result => (both, result),
        };
        result.map_err(|source| Error::Listen { address, source })
    }

    /// Listens on the first of `addresses` that can be bound.
    ///
    /// # Errors
    ///
    /// [`Error::Listen`], if none can be: the error of the first.
    ///
    /// # Panics
    ///
    /// If there are none.
    pub fn on_first(addresses: &[SocketAddr]) -> Result<Self, Error> {
        let mut first = None;
        for &address in addresses {
            match Self::bound(address, false) {
                Ok(listener) => return Ok(listener),
                Err(source) => {
                    first.get_or_insert(Error::Listen { address, source });
                }
            }
        }
        Err(first.expect("at least one address"))
    }

    /// Listens on `address`; as IPv6, on IPv4 too where `both_families` says so.
    fn bound(address: SocketAddr, both_families: bool) -> io::Result<Self> {
        let domain = Domain::for_address(address);
        let socket = Socket::new(domain, Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
        if both_families {
            socket.set_only_v6(false)?;
        }
        // A restarted server need not wait for the closed connections of the last one.
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        // For connections that come before the loop sets what the user wants.
        tune(&socket, DEAD_AFTER)?;
        socket.listen(LISTEN_BACKLOG)?;
        let taken = socket.local_addr()?.as_socket();
        Ok(Self {
            socket: TcpListener::from_std(socket.into()),
            address: taken.unwrap_or(address),
        })
    }

    /// One that another program has bound, and handed on to this one.
    ///
    /// # Errors
    ///
    /// `InvalidInput`, if connections do not come to it; those of the system.
    pub fn inherited(socket: StdListener) -> io::Result<Self> {
        if !SockRef::from(&socket).is_listener()? {
            let why = "no connections come to it";
            return Err(io::Error::new(ErrorKind::InvalidInput, why));
        }
        let address = socket.local_addr()?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket: TcpListener::from_std(socket),
            address,
        })
    }

    /// The address that it listens on, with the port that the system chose.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Lets the system keep at most `count` connections until they are accepted, or as many as
    /// its own limit allows.
    pub(super) fn set_backlog(&self, count: usize) -> io::Result<()> {
        let count = count.try_into().unwrap_or(LISTEN_BACKLOG);
        SockRef::from(&self.socket).listen(count)
    }

    /// Sets what its connections inherit.
    pub(super) fn tune(&self, dead_after: Duration) -> io::Result<()> {
        tune(&self.socket, dead_after)
    }

    /// As [`tune`](Self::tune), and dropping a connection resets it.
    pub(super) fn tune_for_programs(&self, dead_after: Duration) -> io::Result<()> {
        SockRef::from(&self.socket).set_linger(Some(Duration::ZERO))?;
        self.tune(dead_after)
    }

    /// Registers for connections.
    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.socket, token, Interest::READABLE)
    }

    /// Accepts the next connection, with its peer's address; `None` if there is none now.
    /// Passes over a connection that broke while it waited.
    ///
    /// # Errors
    ///
    /// Those of this machine, such as having no more descriptors.
    pub(super) fn accept(&mut self) -> io::Result<Option<(TcpStream, SocketAddr)>> {
        loop {
            match self.socket.accept() {
                Ok((socket, from)) => return Ok(Some((socket, canonical(from)))),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Whether `accept` failed for one connection only: accept(2), Error handling.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(
            Errno::INTR
                | Errno::CONNABORTED
                | Errno::PERM
                | Errno::PROTO
                | Errno::NOPROTOOPT
                | Errno::OPNOTSUPP
                | Errno::NETDOWN
                | Errno::NETUNREACH
                | Errno::NONET
                | Errno::HOSTDOWN
                | Errno::HOSTUNREACH
                | Errno::TIMEDOUT
        )
    )
}

/// `address` as people know it: IPv4 where a socket for both families shows it as IPv6.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(v4) => (v4, address.port()).into(),
        IpAddr::V6(_) => address,
    }
}

/// Whether the system does not know IPv6, or has it switched off.
fn lacks_ipv6(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL)
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::Write as _;
    use std::net::TcpStream as StdStream;

    use super::*;
    use crate::limits::{KEEPALIVE_PROBES, keepalive};
    use crate::net::testing::{Bench, SUBJECT};

    /// Goal: the listener binds the first address that it can. Method: an address of
    /// another machine (RFC 5737) before a loopback one, of each family that this machine
    /// has.
    #[test]
    fn the_first_that_can_be_bound() {
        let other = "192.0.2.1:0".parse().unwrap();
        for address in ["127.0.0.1:0", "[::1]:0"] {
            match Listener::on_first(&[other, address.parse().unwrap()]) {
                Ok(listener) => assert!(listener.local_addr().ip().is_loopback()),
                Err(error) => assert!(address.contains("::1"), "{address}: {error}"),
            }
        }
    }

    /// Goal: a connection needs no calls of its own for what TCP is to do: it sends at once,
    /// and finds a dead machine. Method: accept one that came before the listener was tuned, and
    /// one that came after it, and ask the system.
    #[test]
    fn connections_inherit() {
        let mut bench = Bench::new();
        let mut listener = Listener::on_first(&["127.0.0.1:0".parse().unwrap()]).unwrap();
        listener.register(bench.registry(), SUBJECT).unwrap();
        for dead_after in [DEAD_AFTER, 2 * DEAD_AFTER] {
            if dead_after != DEAD_AFTER {
                listener.tune(dead_after).unwrap();
            }
            let _client = StdStream::connect(listener.local_addr()).unwrap();
            bench.until(SUBJECT, |event| event.is_readable());
            let (accepted, _) = listener.accept().unwrap().unwrap();
            let socket = SockRef::from(&accepted);
            assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
            let (first, between) = keepalive(dead_after);
            assert_eq!(socket.tcp_keepalive_time().unwrap(), first);
            assert_eq!(socket.tcp_keepalive_interval().unwrap(), between);
            let probes = socket.tcp_keepalive_retries().unwrap();
            assert_eq!(probes, KEEPALIVE_PROBES);
        }
    }

    /// Goal: a connection that was reset while it waited does not stop the
    /// listener. Method: reset one, make another, accept until none is left.
    #[test]
    fn broken_connections_are_passed_over() {
        let mut bench = Bench::new();
        let mut listener = Listener::on_first(&["127.0.0.1:0".parse().unwrap()]).unwrap();
        listener.register(bench.registry(), SUBJECT).unwrap();
        let broken = StdStream::connect(listener.local_addr()).unwrap();
        SockRef::from(&broken)
            .set_linger(Some(std::time::Duration::ZERO))
            .unwrap();
        drop(broken);
        let mut good = StdStream::connect(listener.local_addr()).unwrap();
        good.write_all(b"here").unwrap();
        bench.until(SUBJECT, |event| event.is_readable());
        let mut from = Vec::new();
        while let Some((_, address)) = listener.accept().unwrap() {
            from.push(address);
        }
        assert!(from.contains(&good.local_addr().unwrap()));
    }

    /// Goal: a port that is in use on all addresses is refused as such: IPv4 does not stand in
    /// for IPv6. Method: listen on all addresses twice.
    #[test]
    fn all_addresses_are_in_use() {
        let taken = Listener::on_all(0).unwrap();
        let again = Listener::on_all(taken.local_addr().port()).unwrap_err();
        assert!(again.to_string().contains("is in use on"), "{again}");
    }
}
