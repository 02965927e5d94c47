//! What the endpoint asks of its sockets: the one seam between the engine and the
//! world.
//!
//! `net` implements it over mio, the simulator over an in-memory network. The
//! endpoint calls it within [`tick`](super::Endpoint::tick) only. Read next:
//! [`super::tick`].

use std::io::{self, ErrorKind, IoSlice, IoSliceMut};

/// Names one peer of an endpoint, for as long as it is there; never used twice. Of two peers
/// the one that came first is less, except where the generations wrap around.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId {
    pub(crate) generation: u32,
    pub(crate) slot: u32,
}

impl PeerId {
    /// A number for this peer that fits a poll token; never used twice.
    pub const fn as_u64(self) -> u64 {
        (self.generation as u64) << 32 | self.slot as u64
    }

    /// The peer that [`as_u64`](Self::as_u64) gave this number for.
    pub const fn from_u64(number: u64) -> Self {
        Self {
            slot: number as u32,
            generation: (number >> 32) as u32,
        }
    }
}

/// Where a connection comes from. Connections with the same origin count together when one
/// of them must make room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin(u64);

impl Origin {
    /// The driver has one number for each address, or each network that one party has.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }
}

/// Names one local of an endpoint, for as long as it is there: a plain stream, such as a
/// pipe, a terminal or a back-end socket. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LocalId {
    pub(crate) generation: u32,
    pub(crate) slot: u32,
}

impl LocalId {
    /// The local that was added first.
    pub const FIRST: Self = Self {
        generation: 0,
        slot: 0,
    };

    /// The place of this local, which no two locals have at once: 0 for the first that was
    /// added.
    pub const fn index(self) -> usize {
        self.slot as usize
    }

    /// A number for this local that fits a poll token; never used twice.
    pub const fn as_u64(self) -> u64 {
        (self.generation as u64) << 32 | self.slot as u64
    }

    /// The local that [`as_u64`](Self::as_u64) gave this number for.
    pub const fn from_u64(number: u64) -> Self {
        Self {
            slot: number as u32,
            generation: (number >> 32) as u32,
        }
    }
}

/// What one read brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Read {
    /// Bytes read; 0 is the end of the stream.
    pub bytes: usize,
    /// The stream is empty now. The driver says when it is readable again; a read before
    /// that would return `WouldBlock`.
    pub drained: bool,
}

/// Moves bytes for an endpoint.
///
/// All calls return at once. After `WouldBlock` the driver calls
/// [`readable`](super::Endpoint::readable) or [`writable`](super::Endpoint::writable)
/// (or the same of a local) when another try is worth it.
pub trait Transport {
    /// Reads from `peer` into `into`, filling the first slice first.
    fn read(&mut self, peer: PeerId, into: &mut [IoSliceMut<'_>]) -> io::Result<Read>;

    /// Writes a first part of `bytes` to `peer`. Returns how many bytes the socket accepted.
    /// Fewer than all means the same as `WouldBlock`: no more fits for now.
    fn write(&mut self, peer: PeerId, bytes: &[u8]) -> io::Result<usize>;

    /// As [`write`](Self::write), but only once nothing that was written before is
    /// unsent, so that these bytes begin a segment of their own. A transport without
    /// segments has nothing to add.
    fn write_alone(&mut self, peer: PeerId, bytes: &[u8]) -> io::Result<usize> {
        self.write(peer, bytes)
    }

    /// Says to `peer` that nothing more will be written.
    fn shut_down(&mut self, peer: PeerId);

    /// Closes `peer`'s connection; its id is not used again.
    fn close(&mut self, peer: PeerId);

    /// Resets `peer`'s connection, so that the other side sees an error: a close would look
    /// like a proper end. Its id is not used again. A format that authenticates its end needs
    /// only a close.
    fn reset(&mut self, peer: PeerId) {
        self.close(peer);
    }

    /// Reads from `local` into `into`.
    fn read_local(&mut self, _local: LocalId, _into: &mut [u8]) -> io::Result<Read> {
        Err(ErrorKind::NotConnected.into())
    }

    /// Writes a first part of `bytes` to `local`. Returns how many bytes are written; bytes
    /// that a helper still has do not count. Fewer than all of a local that has a peer mean
    /// the same as `WouldBlock`.
    fn write_local(&mut self, _local: LocalId, _bytes: &[IoSlice<'_>]) -> io::Result<usize> {
        Err(ErrorKind::NotConnected.into())
    }

    /// Says to the program behind `local` that nothing more will be written, unless the local
    /// has failed meanwhile: it returns the error that no read or write has reported yet.
    fn shut_down_local(&mut self, _local: LocalId) -> io::Result<()> {
        Ok(())
    }

    /// Returns `WouldBlock` while this machine has not sent all that was written to `local`:
    /// a [reset](Self::reset_local) would drop it. The driver calls
    /// [`local_writable`](super::Endpoint::local_writable) when another try is worth it.
    fn flush_local(&mut self, _local: LocalId) -> io::Result<()> {
        Ok(())
    }

    /// Closes `local`, which has ended properly both ways.
    fn close_local(&mut self, _local: LocalId) {}

    /// Resets `local`, so that the program behind it sees an error: an end would look as if
    /// it had everything. It may have no connection yet.
    fn reset_local(&mut self, _local: LocalId) {}
}
