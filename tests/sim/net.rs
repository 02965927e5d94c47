//! An in-memory network: pairs of pipes with a clock, bounded like sockets, and
//! faults by seed.
//!
//! Readiness is told once, as an edge, and only to a side that was told `WouldBlock`,
//! read a drained pipe, or had a write cut short: a lost wake-up shows.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, ErrorKind, Read};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sealwire::Time;

/// What the network does to bytes, where it may.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    /// How likely a call moves one byte, moves some, or says `WouldBlock`.
    pub(crate) one_byte: f64,
    pub(crate) short: f64,
    pub(crate) would_block: f64,
    /// Longest time that bytes are on their way.
    pub(crate) delay: Duration,
}

/// Bytes on their way from one end of a link to the other.
#[derive(Debug, Default)]
pub(crate) struct Pipe {
    bytes: VecDeque<u8>,
    flights: VecDeque<(Time, Vec<u8>)>,
    flying: usize,
    pub(crate) capacity: usize,
    /// Bytes ever written to it.
    pub(crate) written: u64,
    /// The writer is done: an end follows the bytes.
    pub(crate) shut: bool,
    /// An error follows the bytes, and meets the writer at once.
    broken: Option<ErrorKind>,
    /// The reader is gone.
    deserted: bool,
    /// Writing fails; reading goes on.
    pub(crate) write_error: Option<ErrorKind>,
    /// Flips this bit of the byte that is written at this place.
    pub(crate) flip: Option<(u64, u8)>,
    pub(crate) flipped: bool,
    /// Until then it takes nothing.
    stalled: Time,
    /// What was written to it, where a test wants to replay that.
    pub(crate) tape: Option<Vec<u8>>,
    reader_waits: bool,
    writer_waits: bool,
    flusher_waits: bool,
}

impl Pipe {
    pub(crate) fn room(&self) -> usize {
        self.capacity.saturating_sub(self.bytes.len() + self.flying)
    }

    /// Whether a read would not block.
    fn is_readable(&self) -> bool {
        let at_end = self.flights.is_empty() && (self.shut || self.broken.is_some());
        !self.bytes.is_empty() || at_end
    }

    /// Whether a writer that waits is told: as on Linux, when a third is free.
    fn is_writable(&self, now: Time) -> bool {
        let takes = self.stalled <= now && self.room() >= self.capacity.div_ceil(3);
        takes || self.deserted || self.write_error.is_some() || self.broken.is_some()
    }
}

/// One end of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Side {
    pub(crate) link: usize,
    /// The side that connected.
    pub(crate) client: bool,
}

impl Side {
    /// The side that connected.
    pub(crate) fn client(link: usize) -> Self {
        Self { link, client: true }
    }

    /// The side that was connected to.
    pub(crate) fn server(link: usize) -> Self {
        let client = false;
        Self { link, client }
    }

    /// The pipe it reads from.
    fn incoming(self) -> usize {
        2 * self.link + usize::from(self.client)
    }

    /// The pipe it writes to.
    fn outgoing(self) -> usize {
        2 * self.link + usize::from(!self.client)
    }
}

/// A call that is worth another try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Wake {
    Readable(Side),
    Writable(Side),
}

/// All links.
pub(crate) struct Net {
    pub(crate) now: Time,
    pub(crate) rng: StdRng,
    /// Bytes that each pipe of a new link holds.
    pub(crate) socket: usize,
    faults: Faults,
    pipes: Vec<Pipe>,
    /// The links that one side has still open, at least.
    open: Vec<usize>,
    /// False `WouldBlock`s, and when they end.
    pretended: Vec<(Time, Wake)>,
    /// How many reads and writes there were.
    pub(crate) calls: usize,
    trace: DefaultHasher,
}

impl Net {
    pub(crate) fn new(seed: u64, faults: Faults) -> Self {
        Self {
            now: Time::ZERO,
            rng: StdRng::seed_from_u64(seed),
            socket: 64 * 1024,
            faults,
            pipes: Vec::new(),
            open: Vec::new(),
            pretended: Vec::new(),
            calls: 0,
            trace: DefaultHasher::new(),
        }
    }

    /// A new link.
    pub(crate) fn link(&mut self) -> usize {
        let pipe = || Pipe {
            capacity: self.socket,
            ..Pipe::default()
        };
        self.pipes.extend([pipe(), pipe()]);
        let link = self.pipes.len() / 2 - 1;
        self.open.push(link);
        link
    }

    /// The pipe that `end` reads from.
    pub(crate) fn incoming(&mut self, end: Side) -> &mut Pipe {
        &mut self.pipes[end.incoming()]
    }

    /// The pipe that `end` writes to.
    pub(crate) fn outgoing(&mut self, end: Side) -> &mut Pipe {
        &mut self.pipes[end.outgoing()]
    }

    /// Whether a bit of what `end` wrote was flipped.
    pub(crate) fn was_flipped(&self, end: Side) -> bool {
        self.pipes[end.outgoing()].flipped
    }

    /// Adds `what` to the trace of the run.
    pub(crate) fn note(&mut self, what: impl Hash) {
        self.now.hash(&mut self.trace);
        what.hash(&mut self.trace);
    }

    /// Stands for everything that has happened.
    pub(crate) fn trace(&self) -> u64 {
        self.trace.finish()
    }

    fn chance(&mut self, how_likely: f64) -> bool {
        how_likely > 0.0 && self.rng.random_bool(how_likely)
    }

    /// How many bytes a call moves, of those it could; 0 for `WouldBlock`.
    fn moved(&mut self, most: usize) -> usize {
        let faults = self.faults.clone();
        if most == 0 || self.chance(faults.would_block) {
            0
        } else if self.chance(faults.one_byte) {
            1
        } else if self.chance(faults.short) {
            self.rng.random_range(1..=most)
        } else {
            most
        }
    }

    fn pretend(&mut self, wake: Wake) {
        let at = self.now + Duration::from_micros(self.rng.random_range(1..500));
        self.pretended.push((at, wake));
    }

    /// Reads for `end`: how many bytes, and whether none are left.
    pub(crate) fn read(&mut self, end: Side, into: &mut [u8]) -> io::Result<(usize, bool)> {
        self.calls += 1;
        let pipe = self.incoming(end);
        if pipe.bytes.is_empty() && pipe.is_readable() {
            return match pipe.broken {
                Some(kind) => Err(kind.into()),
                None => Ok((0, true)),
            };
        }
        let there = pipe.bytes.len().min(into.len());
        let count = self.moved(there);
        if count == 0 {
            match there {
                0 => self.incoming(end).reader_waits = true,
                _ => self.pretend(Wake::Readable(end)),
            }
            return Err(ErrorKind::WouldBlock.into());
        }
        let pipe = self.incoming(end);
        pipe.bytes.read_exact(&mut into[..count])?;
        let drained = !pipe.is_readable();
        pipe.reader_waits = drained;
        self.note((end, "read", &into[..count]));
        Ok((count, drained))
    }

    /// Writes for `end`; less than all means that no more fits for now.
    pub(crate) fn write(&mut self, end: Side, bytes: &[u8]) -> io::Result<usize> {
        self.calls += 1;
        let now = self.now;
        let pipe = self.outgoing(end);
        if let Some(kind) = pipe.write_error.or(pipe.broken) {
            return Err(kind.into());
        }
        if pipe.deserted || pipe.shut {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let room = match pipe.stalled <= now {
            true => pipe.room().min(bytes.len()),
            false => 0,
        };
        let count = self.moved(room);
        if count < bytes.len() {
            match count < room {
                true => self.pretend(Wake::Writable(end)),
                false => self.outgoing(end).writer_waits = true,
            }
        }
        if count == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.send(end, &bytes[..count]);
        Ok(count)
    }

    fn send(&mut self, end: Side, bytes: &[u8]) {
        let longest = self.faults.delay.as_nanos() as u64;
        let delay = match longest {
            0 => 0,
            most => self.rng.random_range(0..=most),
        };
        let arrival = self.now + Duration::from_nanos(delay);
        self.note((end, "write", bytes));
        let pipe = self.outgoing(end);
        let mut bytes = bytes.to_vec();
        if let Some((place, bit)) = pipe.flip
            && let Some(at) = place.checked_sub(pipe.written)
            && let Some(byte) = bytes.get_mut(at as usize)
        {
            *byte ^= 1 << bit;
            pipe.flipped = true;
        }
        if let Some(tape) = &mut pipe.tape {
            tape.extend_from_slice(&bytes);
        }
        pipe.written += bytes.len() as u64;
        // Nothing overtakes what is on its way.
        let arrival = pipe.flights.back().map_or(arrival, |b| b.0.max(arrival));
        pipe.flying += bytes.len();
        pipe.flights.push_back((arrival, bytes));
    }

    /// What `end` writes is not taken for this time.
    pub(crate) fn stall(&mut self, end: Side, span: Duration) {
        self.note((end, "stall"));
        let until = self.now + span;
        self.outgoing(end).stalled = until;
    }

    /// `end` will write nothing more.
    pub(crate) fn shut_down(&mut self, end: Side) {
        self.outgoing(end).shut = true;
        self.note((end, "shut"));
    }

    /// `end` is gone. What it has not read is lost, so the other side gets a reset behind
    /// what was written.
    pub(crate) fn close(&mut self, end: Side) {
        self.note((end, "close"));
        let incoming = self.incoming(end);
        let lost = !incoming.bytes.is_empty() || !incoming.flights.is_empty();
        incoming.deserted = true;
        let outgoing = self.outgoing(end);
        if lost && !outgoing.shut {
            outgoing.broken.get_or_insert(ErrorKind::ConnectionReset);
        }
        outgoing.shut = true;
        if outgoing.deserted {
            self.open.retain(|&link| link != end.link);
        }
    }

    /// The network breaks a link: both sides meet an error.
    pub(crate) fn reset(&mut self, link: usize) {
        self.note((link, "reset"));
        for pipe in &mut self.pipes[2 * link..2 * link + 2] {
            pipe.broken.get_or_insert(ErrorKind::ConnectionReset);
        }
    }

    /// The error that `end` has not seen yet.
    pub(crate) fn error(&mut self, end: Side) -> io::Result<()> {
        let pipe = self.outgoing(end);
        match pipe.write_error.or(pipe.broken) {
            Some(kind) => Err(kind.into()),
            None => Ok(()),
        }
    }

    /// `WouldBlock` while what `end` wrote is on its way.
    pub(crate) fn flush(&mut self, end: Side) -> io::Result<()> {
        let pipe = self.outgoing(end);
        if pipe.flights.is_empty() || pipe.broken.is_some() || pipe.deserted {
            return Ok(());
        }
        pipe.flusher_waits = true;
        Err(ErrorKind::WouldBlock.into())
    }

    /// `end` resets its link: what has not arrived is lost, and the other side meets an error
    /// behind what has.
    pub(crate) fn break_off(&mut self, end: Side) {
        let pipe = self.outgoing(end);
        pipe.flights.clear();
        pipe.flying = 0;
        self.reset(end.link);
    }

    /// The network breaks all links.
    pub(crate) fn reset_all(&mut self) {
        for link in self.open.clone() {
            self.reset(link);
        }
    }

    /// Delivers what has arrived and says which sides to wake, in order.
    pub(crate) fn deliver(&mut self) -> Vec<Wake> {
        let now = self.now;
        let due = self.pretended.extract_if(.., |(at, _)| *at <= now);
        let mut wakes: Vec<Wake> = due.map(|(_, wake)| wake).collect();
        for index in self.open.iter().flat_map(|link| [2 * link, 2 * link + 1]) {
            let pipe = &mut self.pipes[index];
            while pipe.flights.front().is_some_and(|(at, _)| *at <= now) {
                let (_, bytes) = pipe.flights.pop_front().unwrap();
                pipe.flying -= bytes.len();
                pipe.bytes.extend(bytes);
            }
            let end = |client| Side {
                link: index / 2,
                client,
            };
            let to_client = index % 2 == 1;
            if pipe.reader_waits && pipe.is_readable() {
                pipe.reader_waits = false;
                wakes.push(Wake::Readable(end(to_client)));
            }
            if pipe.writer_waits && pipe.is_writable(now) {
                pipe.writer_waits = false;
                wakes.push(Wake::Writable(end(!to_client)));
            }
            let flushed = pipe.flights.is_empty() || pipe.broken.is_some() || pipe.deserted;
            if pipe.flusher_waits && flushed {
                pipe.flusher_waits = false;
                wakes.push(Wake::Writable(end(!to_client)));
            }
        }
        wakes
    }

    /// When something arrives next.
    pub(crate) fn next(&self) -> Option<Time> {
        let links = self.open.iter();
        let pipes = links.flat_map(|link| &self.pipes[2 * link..2 * link + 2]);
        let flights = pipes.clone().filter_map(|pipe| pipe.flights.front());
        let flights = flights.map(|(at, _)| *at);
        let pretended = self.pretended.iter().map(|(at, _)| *at);
        let stalled = pipes.filter(|pipe| pipe.writer_waits);
        let stalled = stalled.map(|pipe| pipe.stalled);
        let stalled = stalled.filter(|&until| until > self.now);
        flights.chain(pretended).chain(stalled).min()
    }
}
