//! What the endpoint is handed as its sockets, and as its [local](crate::local): bytes in memory,
//! moved as the script says.
//!
//! Readiness is told once, and only where a call said `WouldBlock`, found nothing more, or
//! moved less than it could: a wake-up that the endpoint loses shows.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};

use sealwire::{LocalId, PeerId, Read, Transport};

use crate::local::Plain;
use crate::script::Script;

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
    /// The endpoint knows that the stream has ended or failed.
    end_told: bool,
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
            end_told: false,
            // A poller tells of a new socket what it can do.
            reader_waits: true,
            writer_waits: true,
        }
    }

    /// Takes as many more bytes as the script says.
    pub(crate) fn set_room(&mut self, script: &mut Script<'_>) {
        self.room = match script.word() {
            u16::MAX => usize::MAX,
            room => room.into(),
        };
    }

    /// Gives few bytes to each of the next reads.
    pub(crate) fn set_short(&mut self, script: &mut Script<'_>) {
        self.short = (script.byte().into(), usize::from(script.byte()) + 1);
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

    /// Whether the stream has ended or failed, and nobody was told yet. A poller tells that at
    /// once, behind whatever bytes.
    pub(crate) fn tells_end(&mut self) -> bool {
        let ended = (self.ended || self.broken) && !self.closed;
        ended && !std::mem::replace(&mut self.end_told, true)
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

/// The socket of a local that belongs to a peer, seen from the program behind it.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) link: Link,
    /// The peer, once there is one.
    pub(crate) peer: Option<usize>,
    /// It is connected.
    pub(crate) is_open: bool,
    /// The endpoint has reset it.
    pub(crate) reset: bool,
    /// A read or write has told that it has failed.
    error_told: bool,
    /// What its peer has said, and it has not got yet; and how many messages that were in all.
    pub(crate) to_get: VecDeque<u8>,
    pub(crate) said: usize,
    /// What it has given, and its peer has not heard yet; and how many messages it has heard.
    pub(crate) to_hear: VecDeque<u8>,
    pub(crate) heard: usize,
    /// Time has passed while it, or its peer, did not take everything.
    pub(crate) was_slow: bool,
}

impl Wire {
    pub(crate) fn new(peer: Option<usize>) -> Self {
        Self {
            link: Link::new(),
            peer,
            is_open: false,
            reset: false,
            error_told: false,
            to_get: VecDeque::new(),
            said: 0,
            to_hear: VecDeque::new(),
            heard: 0,
            was_slow: false,
        }
    }

    pub(crate) fn works(&self) -> bool {
        !self.link.broken && !self.link.writes_fail
    }

    /// The error that no read or write has told. It is told once.
    fn error(&mut self) -> io::Result<()> {
        if self.works() || std::mem::replace(&mut self.error_told, true) {
            return Ok(());
        }
        Err(ErrorKind::ConnectionReset.into())
    }

    /// Notes whether a call has told an error.
    fn tells<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        let told = |error: &io::Error| error.kind() != ErrorKind::WouldBlock;
        self.error_told |= result.as_ref().is_err_and(told);
        result
    }

    fn open(&mut self) -> &mut Link {
        assert!(self.is_open, "it is not connected");
        &mut self.link
    }

    fn close(&mut self) {
        assert!(!self.link.closed, "closed twice");
        self.link.closed = true;
    }
}

/// Everything that the endpoint can read and write. It may use what it has not closed.
pub(crate) struct Port<'a> {
    pub(crate) links: &'a mut [Link],
    pub(crate) places: &'a BTreeMap<PeerId, usize>,
    pub(crate) local: &'a mut Plain,
    pub(crate) wires: &'a mut BTreeMap<LocalId, Wire>,
}

impl Port<'_> {
    fn link(&mut self, peer: PeerId) -> &mut Link {
        &mut self.links[self.places[&peer]]
    }

    fn wire(&mut self, local: LocalId) -> &mut Wire {
        self.wires.get_mut(&local).expect("a local of a peer")
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

    fn read_local(&mut self, local: LocalId, into: &mut [u8]) -> io::Result<Read> {
        match self.wires.get_mut(&local) {
            Some(wire) => {
                let read = wire.open().read(&mut [IoSliceMut::new(into)]);
                wire.tells(read)
            }
            None => self.local.read(into),
        }
    }

    fn write_local(&mut self, local: LocalId, bytes: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.wires.get_mut(&local) {
            Some(wire) => {
                let bytes: Vec<&[u8]> = bytes.iter().map(|slice| &**slice).collect();
                let written = wire.open().write(&bytes.concat());
                wire.tells(written)
            }
            None => self.local.write(bytes),
        }
    }

    fn shut_down_local(&mut self, local: LocalId) -> io::Result<()> {
        let wire = self.wire(local);
        wire.error()?;
        let link = wire.open();
        assert!(!link.shut && !link.closed, "shut down twice, or closed");
        link.shut = true;
        Ok(())
    }

    /// What was written is unsent for as long as no more can be.
    fn flush_local(&mut self, local: LocalId) -> io::Result<()> {
        let wire = self.wire(local);
        if wire.works() && wire.open().room == 0 {
            wire.link.writer_waits = true;
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(())
    }

    fn close_local(&mut self, local: LocalId) {
        let wire = self.wire(local);
        let link = wire.open();
        assert!(link.shut && link.ended, "one direction has not ended");
        assert!(link.incoming.is_empty(), "it is not read");
        wire.close();
    }

    fn reset_local(&mut self, local: LocalId) {
        // Its peer may have failed in the tick in which it came.
        let wire = self.wires.entry(local);
        let wire = wire.or_insert_with(|| Wire::new(None));
        wire.close();
        wire.reset = true;
    }
}
