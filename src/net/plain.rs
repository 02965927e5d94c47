//! The plain side of a tunnel: sockets of the programs behind it, over TCP or a path.
//!
//! A socket that is dropped resets its connection, unless it was [closed](Plain::close): so a
//! program behind it sees an error whenever this process ends before the connection has, even
//! if it is killed. A Unix socket has no reset: there a program sees an error only if it has sent
//! something that we have not read. Read next: [`super::sockets`], which has one for each local.

use std::fs;
use std::io::{self, ErrorKind, IoSlice, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mio::event::Event;
use mio::net::{TcpStream, UnixListener, UnixStream};
use mio::{Interest, Registry, Token};
use socket2::SockRef;

use super::accept::Accepts;
use super::buffers::Sizes;
use super::descriptor::{Direction, uninterrupted, wait_until_ready};
use super::error::Error;
use super::listener::Listener;
use super::place::Place;
use super::stream::tune;
use crate::endpoint::transport::Read;

const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);

/// A plain socket, which is not registered yet.
#[derive(Debug)]
pub(super) enum PlainSocket {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

impl PlainSocket {
    /// Makes it one of a program: from now on dropping it resets it, and TCP finds out after
    /// `dead_after` that the program's machine is dead.
    pub(super) fn for_program(self, dead_after: Duration) -> io::Result<Self> {
        if let Self::Tcp(socket, address) = &self {
            SockRef::from(socket).set_linger(Some(Duration::ZERO))?;
            match address.ip().is_loopback() {
                true => socket.set_nodelay(true)?,
                false => tune(socket, dead_after)?,
            }
        }
        Ok(self)
    }

    /// Connects to a Unix socket. This does not wait.
    pub(super) fn connect(path: &Path) -> Result<Self, Error> {
        let socket = UnixStream::connect(path).map_err(|source| Error::Path {
            path: path.to_owned(),
            source,
        });
        socket.map(Self::Unix)
    }

    /// Whether it has an error, such as a reset. Asking takes the error away.
    pub(super) fn has_failed(&self) -> bool {
        let error = match self {
            Self::Tcp(socket, _) => socket.take_error(),
            Self::Unix(socket) => socket.take_error(),
        };
        !matches!(error, Ok(None))
    }

    /// The other side's address, if it has one.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(_, address) => Some(*address),
            Self::Unix(_) => None,
        }
    }
}

/// A plain socket that is registered with a poll under one token.
#[derive(Debug)]
pub(super) struct Plain {
    socket: PlainSocket,
    token: Token,
    /// See [`super::stream::Stream`].
    end_told: bool,
    /// The socket counts as writable only while nothing is unsent.
    flushes: bool,
}

impl Plain {
    pub(super) fn new(
        mut socket: PlainSocket,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        match &mut socket {
            PlainSocket::Tcp(socket, _) => registry.register(socket, token, BOTH)?,
            PlainSocket::Unix(socket) => registry.register(socket, token, BOTH)?,
        }
        Ok(Self {
            socket,
            token,
            end_told: false,
            flushes: false,
        })
    }

    /// Sets what the kernel may keep for this socket, if it is one of TCP.
    pub(super) fn set_buffers(&self, sizes: Sizes) {
        if let PlainSocket::Tcp(socket, _) = &self.socket {
            sizes.set(&SockRef::from(socket));
        }
    }

    pub(super) fn note(&mut self, event: &Event) {
        self.end_told |= event.is_read_closed() || event.is_error();
    }

    /// As [`Stream::read`](super::stream::Stream::read).
    pub(super) fn read(&mut self, into: &mut [u8]) -> io::Result<Read> {
        debug_assert!(!into.is_empty(), "a read without room looks like the end");
        let bytes = uninterrupted(|| match &mut self.socket {
            PlainSocket::Tcp(socket, _) => socket.read(into),
            PlainSocket::Unix(socket) => socket.read(into),
        })?;
        Ok(Read {
            bytes,
            drained: bytes == 0 || bytes < into.len() && !self.end_told,
        })
    }

    pub(super) fn write(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        // The system spends less on a write of one part.
        uninterrupted(|| match (&mut self.socket, parts) {
            (PlainSocket::Tcp(socket, _), [part]) => socket.write(part),
            (PlainSocket::Tcp(socket, _), _) => socket.write_vectored(parts),
            (PlainSocket::Unix(socket), [part]) => socket.write(part),
            (PlainSocket::Unix(socket), _) => socket.write_vectored(parts),
        })
    }

    /// Ends our direction, unless the socket has an error: then it returns that.
    pub(super) fn shut_down(&mut self) -> io::Result<()> {
        let error = match &self.socket {
            PlainSocket::Tcp(socket, _) => socket.take_error()?,
            PlainSocket::Unix(socket) => socket.take_error()?,
        };
        if let Some(error) = error {
            return Err(error);
        }
        match &self.socket {
            PlainSocket::Tcp(socket, _) => socket.shutdown(Shutdown::Write),
            PlainSocket::Unix(socket) => socket.shutdown(Shutdown::Write),
        }
    }

    /// Returns `WouldBlock` while something that was written is unsent; then the socket becomes
    /// writable when all is sent. A Unix socket has sent what it took.
    pub(super) fn flush(&mut self, registry: &Registry) -> io::Result<()> {
        let PlainSocket::Tcp(socket, _) = &mut self.socket else {
            return Ok(());
        };
        if !self.flushes {
            SockRef::from(&*socket).set_tcp_notsent_lowat(1)?;
            self.flushes = true;
        }
        let at_once = Some(Duration::ZERO);
        match uninterrupted(|| wait_until_ready(&*socket, Direction::Out, at_once))? {
            true => Ok(()),
            false => {
                // Registering checks the socket again, so an edge that came meanwhile is not
                // lost.
                registry.reregister(socket, self.token, BOTH)?;
                Err(ErrorKind::WouldBlock.into())
            }
        }
    }

    /// Closes the connection, which has ended properly: what is unsent is still sent.
    pub(super) fn close(self) {
        if let PlainSocket::Tcp(socket, _) = &self.socket {
            // A socket that is gone needs nothing.
            let _ = SockRef::from(socket).set_linger(None);
        }
    }
}

/// Where the near end of a tunnel accepts plain connections.
#[derive(Debug)]
pub(super) enum PlainListener {
    Tcp(Listener),
    Unix {
        listener: UnixListener,
        path: PathBuf,
        /// The [`identity`] of the path that we made.
        made: Option<(u64, u64)>,
    },
}

impl PlainListener {
    /// Listens on the first of `addresses` that can be bound.
    pub(super) fn on_first(addresses: &[SocketAddr]) -> Result<Self, Error> {
        Listener::on_first(addresses).map(Self::Tcp)
    }

    /// Listens on a Unix socket at `path`.
    pub(super) fn on_path(path: &Path) -> Result<Self, Error> {
        let listener = bind_path(path).map_err(|source| Error::BindPath {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self::Unix {
            listener,
            path: path.to_owned(),
            made: identity(path),
        })
    }

    /// Lets the system keep at most `count` connections until they are accepted.
    pub(super) fn set_backlog(&self, count: usize) {
        if let Self::Tcp(listener) = self {
            // Otherwise it keeps as many as its own limit allows.
            let _ = listener.set_backlog(count);
        }
    }

    /// Where it listens, with the port that the system chose.
    pub(super) fn place(&self) -> Place {
        match self {
            Self::Tcp(listener) => Place::of(listener.local_addr()),
            Self::Unix { path, .. } => Place::Unix(path.clone()),
        }
    }
}

/// What a path leads to: its file system and its number there.
fn identity(path: &Path) -> Option<(u64, u64)> {
    let metadata = fs::symlink_metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// Binds a path. A socket that a killed program has left there is replaced; anything else, such
/// as a file, is left as it is.
fn bind_path(path: &Path) -> io::Result<UnixListener> {
    match UnixListener::bind(path) {
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            if !fs::symlink_metadata(path)?.file_type().is_socket() {
                return Err(error);
            }
            // A datagram never reaches a listener, so a program that has the path notices nothing.
            let left_behind = UnixDatagram::unbound()?
                .connect(path)
                .is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused);
            if !left_behind {
                return Err(error);
            }
            fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        result => result,
    }
}

impl Drop for PlainListener {
    fn drop(&mut self) {
        // Another program may have put something else there since.
        if let Self::Unix { path, made, .. } = self
            && made.is_some()
            && *made == identity(path)
        {
            let _ = fs::remove_file(path);
        }
    }
}

impl Accepts for PlainListener {
    type Accepted = PlainSocket;

    /// Connections inherit that dropping them resets them, too.
    fn tune(&self, dead_after: Duration) -> io::Result<()> {
        match self {
            Self::Tcp(listener) => listener.tune_for_programs(dead_after),
            Self::Unix { .. } => Ok(()),
        }
    }

    fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match self {
            Self::Tcp(listener) => listener.register(registry, token),
            Self::Unix { listener, .. } => registry.register(listener, token, Interest::READABLE),
        }
    }

    fn accept(&mut self) -> io::Result<Option<PlainSocket>> {
        match self {
            Self::Tcp(listener) => match listener.accept()? {
                Some((socket, address)) => Ok(Some(PlainSocket::Tcp(socket, address))),
                None => Ok(None),
            },
            Self::Unix { listener, .. } => match listener.accept() {
                Ok((socket, _)) => Ok(Some(PlainSocket::Unix(socket))),
                Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
                Err(error) => Err(error),
            },
        }
    }
}
