//! One TCP socket that is not waited for.
//!
//! As careful as the library's own: it sends without delay, has TCP watch for a
//! dead machine at the other end, and knows from a short read that nothing is left
//! to be read.

use std::io::{self, ErrorKind, IoSlice, Read as _, Write as _};
use std::net::{IpAddr, Shutdown, SocketAddr};

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use sealwire::endpoint::transport::Read;
use sealwire::limits::{KEEPALIVE_AFTER, KEEPALIVE_INTERVAL, KEEPALIVE_PROBES, UNSENT};
use socket2::{Domain, SockRef, Socket as RawSocket, TcpKeepalive, Type};

/// Both directions: an idle one costs nothing, and a change costs a system call.
const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);

/// A socket that is registered with a poll.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: TcpStream,
    /// The poll has told the end of the other's bytes, or an error. It tells it
    /// once, so a short read does not mean that nothing is left to be heard.
    end_told: bool,
}

/// Begins to connect to `address`, from the address `from` if one is given.
///
/// What the socket cannot send yet waits here and not in the system: there it would
/// be sent when the server's reading makes room, and counted as the server's work,
/// which doubles what a sink costs.
pub(super) fn connect(address: SocketAddr, from: Option<IpAddr>) -> io::Result<TcpStream> {
    let stream = begin(address, from)?;
    SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT)?;
    Ok(stream)
}

fn begin(address: SocketAddr, from: Option<IpAddr>) -> io::Result<TcpStream> {
    let Some(from) = from else {
        return TcpStream::connect(address);
    };
    let socket = RawSocket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::new(from, 0).into())?;
    match socket.connect(&address.into()) {
        Err(error) if !is_under_way(&error) => Err(error),
        _ => Ok(TcpStream::from_std(socket.into())),
    }
}

/// Whether connecting goes on, which is no error.
fn is_under_way(error: &io::Error) -> bool {
    let number = rustix::io::Errno::from_io_error(error);
    number == Some(rustix::io::Errno::INPROGRESS)
}

impl Socket {
    /// Takes over `stream`, and registers it under `token`.
    pub(super) fn new(
        mut stream: TcpStream,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        let keepalive = TcpKeepalive::new()
            .with_time(KEEPALIVE_AFTER)
            .with_interval(KEEPALIVE_INTERVAL)
            .with_retries(KEEPALIVE_PROBES);
        stream.set_nodelay(true)?;
        SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
        registry.register(&mut stream, token, BOTH)?;
        Ok(Self {
            stream,
            end_told: false,
        })
    }

    /// Takes note of an `event` of this socket; to be called before acting on it.
    pub(super) fn note(&mut self, event: &Event) {
        self.end_told |= event.is_read_closed() || event.is_error();
    }

    /// What went wrong with connecting, if something did.
    pub(super) fn error(&self) -> io::Result<()> {
        self.stream.take_error()?.map_or(Ok(()), Err)
    }

    /// Reads into `into`, which has room.
    pub(super) fn read(&mut self, into: &mut [u8]) -> io::Result<Read> {
        debug_assert!(!into.is_empty(), "a read without room looks like the end");
        let bytes = uninterrupted(|| self.stream.read(into))?;
        Ok(Read {
            bytes,
            drained: bytes == 0 || bytes < into.len() && !self.end_told,
        })
    }

    /// Writes a first part of `parts`; says how much the system took.
    pub(super) fn write(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let wrote = uninterrupted(|| match parts {
            [part] => self.stream.write(part),
            _ => self.stream.write_vectored(parts),
        });
        match wrote {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
            result => result,
        }
    }

    /// Tells the other side that nothing more will be written. Fails silently: a
    /// socket that is gone tells so when it is read.
    pub(super) fn shut_down(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Closes the connection.
    pub(super) fn close(mut self, registry: &Registry) {
        // Closing takes it out of the poll, too.
        let _ = registry.deregister(&mut self.stream);
    }
}

/// Repeats `call` while a signal interrupts it.
fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
