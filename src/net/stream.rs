//! One TCP socket: connecting, reading, writing, closing.
//!
//! A read reports whether it emptied the socket, which saves the call that would return
//! `WouldBlock`. Writes of the classic format wait until all earlier bytes are sent. It does
//! not know what the bytes mean: read [`crate::endpoint`] for that.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustix::io::Errno;
use rustix::net::{SendFlags, send};
use socket2::{Domain, SockRef, Socket, TcpKeepalive, Type};

use super::buffers::Sizes;
use super::descriptor::{Direction, uninterrupted, wait_until_ready};
use crate::endpoint::transport::Read;
use crate::limits::{KEEPALIVE_PROBES, MAX_RECORD, UNSENT, keepalive};

/// Both directions: an idle direction costs nothing, and a change of interest
/// costs a system call.
const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);

/// Begins to connect to `address`, from `from` if that is given. Port 0 there lets the
/// system choose a port.
///
/// The system keeps few unsent bytes ([`UNSENT`]). More of them would leave while the other
/// side reads, and would cost that side's CPU time.
pub fn connect(
    address: SocketAddr,
    from: Option<SocketAddr>,
    dead_after: Duration,
) -> io::Result<TcpStream> {
    let socket = match from {
        None => TcpStream::connect(address)?,
        Some(from) => connect_from(from, address)?,
    };
    SockRef::from(&socket).set_tcp_notsent_lowat(UNSENT)?;
    tune(&socket, dead_after)?;
    Ok(socket)
}

/// Switches Nagle's algorithm off and keepalive on, which finds a dead machine after
/// `dead_after`. Connections inherit both from the socket that listens, so that a stranger's
/// costs no calls for them.
pub(super) fn tune(socket: &impl AsFd, dead_after: Duration) -> io::Result<()> {
    let (first, between) = keepalive(dead_after);
    let keepalive = TcpKeepalive::new()
        .with_time(first)
        .with_interval(between)
        .with_retries(KEEPALIVE_PROBES);
    let socket = SockRef::from(socket);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&keepalive)
}

fn connect_from(from: SocketAddr, address: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    if from.port() != 0 {
        // A connection that has just ended may still have the port.
        socket.set_reuse_address(true)?;
    }
    socket.bind(&from.into())?;
    match socket.connect(&address.into()) {
        Err(error) if Errno::from_io_error(&error) != Some(Errno::INPROGRESS) => Err(error),
        _ => Ok(TcpStream::from_std(socket.into())),
    }
}

/// A socket, connected or about to be, that is registered with a poll under one
/// token.
#[derive(Debug)]
pub struct Stream {
    socket: TcpStream,
    token: Token,
    /// The poll has reported the end of the other's bytes, or an error. It reports either only
    /// once, so from then on a short read does not mean that the socket is empty.
    end_told: bool,
    /// The socket counts as writable only while nothing is unsent.
    frames: bool,
    /// Its buffers are the least that there are: what a write may add to them must be small.
    least: bool,
}

impl Stream {
    /// Takes over `socket` and registers it under `token`. Dropping it closes the connection.
    pub fn new(mut socket: TcpStream, registry: &Registry, token: Token) -> io::Result<Self> {
        registry.register(&mut socket, token, BOTH)?;
        Ok(Self {
            socket,
            token,
            end_told: false,
            frames: false,
            least: false,
        })
    }

    /// Sets what the kernel may keep for this socket, as [`Sizes::set`].
    pub(super) fn set_buffers(&mut self, sizes: Sizes) {
        sizes.set(&SockRef::from(&self.socket));
        self.least = sizes == Sizes::FLOOR;
    }

    /// Takes note of an `event` of this socket; call it before acting on the event.
    pub fn note(&mut self, event: &Event) {
        self.end_told |= event.is_read_closed() || event.is_error();
    }

    /// The error of connecting, if that failed.
    pub fn error(&self) -> io::Result<()> {
        self.socket.take_error()?.map_or(Ok(()), Err)
    }

    /// Reads into `into`, which has room, filling the first slice first.
    ///
    /// A read that fills less than the room has emptied the socket ([`Read::drained`]),
    /// unless the poll has reported its end.
    pub fn read(&mut self, into: &mut [IoSliceMut<'_>]) -> io::Result<Read> {
        let room: usize = into.iter().map(|slice| slice.len()).sum();
        debug_assert!(room > 0, "a read without room looks like the end");
        let bytes = uninterrupted(|| match into {
            [into] => self.socket.read(into),
            _ => self.socket.read_vectored(into),
        })?;
        Ok(Read {
            bytes,
            drained: bytes == 0 || bytes < room && !self.end_told,
        })
    }

    /// Writes a first part of `bytes`. Returns how many bytes the system accepted.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.least {
            true => self.write_records(bytes),
            false => uninterrupted(|| self.socket.write(bytes)),
        }
    }

    /// Writes in pieces of a record, and ends a segment with each: the kernel compares what
    /// it keeps with the send buffer only when a segment begins, and a segment may have 64 KiB.
    fn write_records(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let flags = SendFlags::EOR | SendFlags::NOSIGNAL;
        let mut accepted = 0;
        for piece in bytes.chunks(MAX_RECORD) {
            match uninterrupted(|| Ok(send(&self.socket, piece, flags)?)) {
                Ok(count) => accepted += count,
                // After some bytes, the poll or the next call reports it.
                Err(error) if accepted == 0 => return Err(error),
                Err(_) => break,
            }
            if accepted % MAX_RECORD != 0 {
                break;
            }
        }
        Ok(accepted)
    }

    /// Writes a first part of `parts`. Returns how many bytes the system accepted.
    pub fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        uninterrupted(|| self.socket.write_vectored(parts))
    }

    /// Writes a classic frame, but only when all earlier bytes are sent, so that no segment
    /// holds only a part of it (`PROTOCOL.md` §2, Sending).
    ///
    /// Otherwise it returns `WouldBlock`, and the socket becomes writable when all is sent. Do
    /// not mix it with [`write`](Self::write) on one stream.
    pub fn write_frame(&mut self, registry: &Registry, frame: &[u8]) -> io::Result<usize> {
        if !self.frames {
            SockRef::from(&self.socket).set_tcp_notsent_lowat(1)?;
            self.frames = true;
        }
        let at_once = Some(Duration::ZERO);
        let result =
            match uninterrupted(|| wait_until_ready(&self.socket, Direction::Out, at_once))? {
                true => self.write(frame),
                false => Err(ErrorKind::WouldBlock.into()),
            };
        if matches!(&result, Err(error) if error.kind() == ErrorKind::WouldBlock) {
            // Registering checks the socket again, so an edge that came meanwhile is not lost.
            registry.reregister(&mut self.socket, self.token, BOTH)?;
        }
        result
    }

    /// Tells the other side that nothing more will be written.
    ///
    /// Fails silently: the next read reports a socket that is gone.
    pub fn shut_down(&mut self) {
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    /// Makes closing reset the connection, so that the other side sees an error.
    ///
    /// Fails silently: a socket that is gone needs no reset.
    pub fn reset_on_close(&mut self) {
        let _ = SockRef::from(&self.socket).set_linger(Some(Duration::ZERO));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::net::{TcpListener, TcpStream as StdStream};
    use std::thread;
    use std::time::Instant;

    use super::*;
    use crate::limits::{CLASSIC_FRAME, DEAD_AFTER, SOCKET_RECEIVE, SOCKET_SEND};
    use crate::net::testing::{Bench, PATIENCE, SUBJECT};

    /// A registered stream, and the blocking socket at its other end, which
    /// advertises little room.
    fn pair(bench: &Bench) -> (Stream, StdStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        SockRef::from(&listener).set_recv_buffer_size(4096).unwrap();
        let socket = StdStream::connect(listener.local_addr().unwrap()).unwrap();
        socket.set_nonblocking(true).unwrap();
        let (other, _) = listener.accept().unwrap();
        other.set_read_timeout(Some(PATIENCE)).unwrap();
        let socket = TcpStream::from_std(socket);
        let stream = Stream::new(socket, bench.registry(), SUBJECT).unwrap();
        (stream, other)
    }

    /// Bytes that wait to be read from `socket`.
    fn arrived(socket: &StdStream) -> usize {
        rustix::io::ioctl_fionread(socket).unwrap() as usize
    }

    fn read(stream: &mut Stream, first: &mut [u8], second: &mut [u8]) -> io::Result<Read> {
        stream.read(&mut [IoSliceMut::new(first), IoSliceMut::new(second)])
    }

    /// Goal: Nagle's algorithm is off and keepalive on. Method: tune a socket, and ask it.
    #[test]
    fn options_are_set() {
        let bench = Bench::new();
        let (stream, _other) = pair(&bench);
        tune(&stream.socket, DEAD_AFTER).unwrap();
        assert!(stream.socket.nodelay().unwrap());
        let socket = SockRef::from(&stream.socket);
        assert!(socket.keepalive().unwrap());
        let (first, between) = keepalive(DEAD_AFTER);
        assert_eq!(socket.tcp_keepalive_time().unwrap(), first);
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), between);
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), KEEPALIVE_PROBES);
        assert_eq!(first + KEEPALIVE_PROBES * between, DEAD_AFTER);
    }

    /// Goal: slices fill in order, and `drained` tells a short read from a full
    /// one. Method: read 10 bytes into room for 4 + 4, twice.
    #[test]
    fn reads_tell_when_drained() {
        let mut bench = Bench::new();
        let (mut stream, mut other) = pair(&bench);
        other.write_all(b"0123456789").unwrap();
        let event = bench.until(SUBJECT, Event::is_readable);
        stream.note(&event);
        let (mut first, mut second) = ([0; 4], [0; 4]);
        let full = read(&mut stream, &mut first, &mut second).unwrap();
        assert_eq!((full.bytes, full.drained), (8, false));
        assert_eq!((&first, &second), (b"0123", b"4567"));
        let short = read(&mut stream, &mut first, &mut second).unwrap();
        assert_eq!((short.bytes, short.drained), (2, true));
        let nothing = read(&mut stream, &mut first, &mut second).unwrap_err();
        assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
    }

    /// Goal: an end that comes with the last bytes is not lost. Method: the other side
    /// writes and closes before we take the one event.
    #[test]
    fn end_behind_bytes_is_read() {
        let mut bench = Bench::new();
        let (mut stream, mut other) = pair(&bench);
        other.write_all(b"bye").unwrap();
        drop(other);
        let event = bench.until(SUBJECT, Event::is_read_closed);
        stream.note(&event);
        let (mut first, mut second) = ([0; 4], [0; 4]);
        let last = read(&mut stream, &mut first, &mut second).unwrap();
        assert_eq!((last.bytes, last.drained), (3, false));
        let end = read(&mut stream, &mut first, &mut second).unwrap();
        assert_eq!((end.bytes, end.drained), (0, true));
    }

    /// Goal: a socket with the least buffers has what the ceiling counts for it: the sizes, and
    /// no more unsent than its send buffer and a record; and an event says when there is room.
    /// Method: the other side reads nothing while a mebibyte is written, and then all of it.
    #[test]
    fn the_least_buffers_are_kept() {
        let mut bench = Bench::new();
        let (mut stream, mut other) = pair(&bench);
        stream.set_buffers(Sizes::FLOOR);
        let socket = SockRef::from(&stream.socket);
        assert_eq!(socket.recv_buffer_size().unwrap(), SOCKET_RECEIVE);
        assert_eq!(socket.send_buffer_size().unwrap(), SOCKET_SEND);
        let mut left = &vec![7; 1 << 20][..];
        let mut read = 0;
        while !left.is_empty() {
            match stream.write(left) {
                Ok(count) => left = &left[count..],
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                    let accepted = (1 << 20) - left.len();
                    let unsent = accepted - read - arrived(&other);
                    assert!(unsent <= SOCKET_SEND + MAX_RECORD, "{unsent}");
                    bench.events(Duration::ZERO);
                    other.read_exact(&mut vec![0; accepted - read]).unwrap();
                    read = accepted;
                    bench.until(SUBJECT, Event::is_writable);
                }
            }
        }
        assert!(read > 0, "it never was full");
    }

    /// Goal: a frame leaves whole, waits while another is unsent, and an event says
    /// when it may leave. Method: the other side reads nothing until its window is
    /// shut, when one frame is unsent and the rest has arrived; then it reads all. Three
    /// times.
    #[test]
    fn frames_wait_for_what_is_unsent() {
        let mut bench = Bench::new();
        let (mut stream, mut other) = pair(&bench);
        let frame = [7; CLASSIC_FRAME];
        for _ in 0..3 {
            let mut sent = 0;
            let refusal = loop {
                match stream.write_frame(bench.registry(), &frame) {
                    Ok(bytes) => assert_eq!(bytes, CLASSIC_FRAME),
                    Err(error) => break error,
                }
                sent += CLASSIC_FRAME;
                assert!(sent < 16 << 20, "the window never shut");
            };
            assert_eq!(refusal.kind(), ErrorKind::WouldBlock);
            assert!(sent > 0, "an empty queue takes a frame");
            let start = Instant::now();
            while arrived(&other) + CLASSIC_FRAME < sent {
                assert!(start.elapsed() < PATIENCE, "more than a frame is unsent");
                thread::yield_now();
            }
            // Drain earlier events; then only reading may wake us.
            bench.events(Duration::ZERO);
            other.read_exact(&mut vec![0; sent]).unwrap();
            bench.until(SUBJECT, Event::is_writable);
        }
    }
}
