//! What the endpoint is handed as its sockets, and as its [local](crate::local): bytes in memory,
//! moved as the script says.
//!
//! Readiness is told once, and only where a call said `WouldBlock`, found nothing more, or
//! moved less than it could: a wake-up that the endpoint loses shows.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};

use sealwire::{LocalId, PeerId, Read, Transport};

use crate::local::Plain;

/// The socket of one peer, seen from the network.
#[derive(Debug)]
pub(crate) struct Link {
    /// What the endpoint has not read yet.
    pub(crate) incoming: VecDeque<u8>,
    /// Behind that, the stream ends, or breaks.
    pub(crate) ended: bool,
    pub(crate) broken: bool,
    /// The next reads get no more than so many bytes each: how many reads, and bytes.
    pub(crate) short: (usize, usize),
    /// What the endpoint has written, and how much more it may.
    pub(crate) outgoing: Vec<u8>,
    pub(crate) room: usize,
    pub(crate) writes_fail: bool,
    /// The endpoint has shut down its end, or closed.
    pub(crate) shut: bool,
    pub(crate) closed: bool,
    reader_waits: bool,
    writer_waits: bool,
}

impl Link {
    pub(crate) fn new() -> Self {
        Self {
            incoming: VecDeque::new(),
            ended: false,
            broken: false,
            short: (0, 0),
            outgoing: Vec::new(),
            room: usize::MAX,
            writes_fail: false,
            shut: false,
            closed: false,
            // A poller tells of a new socket what it can do.
            reader_waits: true,
            writer_waits: true,
        }
    }

    fn is_readable(&self) -> bool {
        !self.incoming.is_empty() || self.ended || self.broken
    }

    /// Whether reading, and writing, has become worth a try since it was not.
    pub(crate) fn wakes(&mut self) -> (bool, bool) {
        let readable = self.reader_waits && self.is_readable();
        let writable = self.writer_waits && (self.room > 0 || self.writes_fail || self.broken);
        self.reader_waits &= !readable;
        self.writer_waits &= !writable;
        (readable, writable)
    }

    fn read(&mut self, into: &mut [IoSliceMut<'_>]) -> io::Result<Read> {
        let room: usize = into.iter().map(|slice| slice.len()).sum();
        assert!(room > 0, "a read without room looks like the end");
        assert!(!self.closed, "closed");
        if self.incoming.is_empty() && self.broken {
            return Err(ErrorKind::ConnectionReset.into());
        }
        if self.incoming.is_empty() && !self.ended {
            self.reader_waits = true;
            return Err(ErrorKind::WouldBlock.into());
        }
        let mut bytes = self.incoming.len().min(room);
        if let (reads @ 1.., most) = self.short {
            self.short.0 = reads - 1;
            bytes = bytes.min(most);
        }
        let mut places = into.iter_mut().flat_map(|slice| slice.iter_mut());
        for byte in self.incoming.drain(..bytes) {
            *places.next().expect("there is room") = byte;
        }
        let drained = bytes > 0 && !self.is_readable();
        self.reader_waits |= drained;
        Ok(Read { bytes, drained })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        assert!(!bytes.is_empty(), "a write of nothing");
        assert!(!self.closed && !self.shut, "closed");
        if self.writes_fail || self.broken {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let count = bytes.len().min(self.room);
        self.room -= match self.room {
            usize::MAX => 0,
            _ => count,
        };
        self.outgoing.extend_from_slice(&bytes[..count]);
        self.writer_waits |= count < bytes.len();
        match count {
            0 => Err(ErrorKind::WouldBlock.into()),
            _ => Ok(count),
        }
    }
}

/// Everything that the endpoint can read and write. It may use what it has not closed.
pub(crate) struct Port<'a> {
    pub(crate) links: &'a mut [Link],
    pub(crate) places: &'a BTreeMap<PeerId, usize>,
    pub(crate) local: &'a mut Plain,
}

impl Port<'_> {
    fn link(&mut self, peer: PeerId) -> &mut Link {
        &mut self.links[self.places[&peer]]
    }
}

impl Transport for Port<'_> {
    fn read(&mut self, peer: PeerId, into: &mut [IoSliceMut<'_>]) -> io::Result<Read> {
        self.link(peer).read(into)
    }

    fn write(&mut self, peer: PeerId, bytes: &[u8]) -> io::Result<usize> {
        self.link(peer).write(bytes)
    }

    fn shut_down(&mut self, peer: PeerId) {
        let link = self.link(peer);
        assert!(!link.shut, "shut down twice");
        link.shut = true;
    }

    fn close(&mut self, peer: PeerId) {
        let link = self.link(peer);
        assert!(!link.closed, "closed twice");
        link.closed = true;
    }

    fn read_local(&mut self, _: LocalId, into: &mut [u8]) -> io::Result<Read> {
        self.local.read(into)
    }

    fn write_local(&mut self, _: LocalId, bytes: &[IoSlice<'_>]) -> io::Result<usize> {
        self.local.write(bytes)
    }
}
