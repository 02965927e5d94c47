//! What goes out in which order: the sending direction of one native connection.
//!
//! It gives each record its sequence and its place in the output; [`crate::crypto::batch`]
//! seals. Where chunks come from is up to the driver.

use crate::crypto::batch::{SealBatch, SealJob};
use crate::crypto::keys::{Handle, KeyStore, SealKeys};
use crate::limits::{EPOCH_BITS, LAST_SEQUENCE, RECORD_HEADER};
use crate::span::{Area, Span};
use crate::wire::record::{self, Kind};

/// Where records are sealed to.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// Takes the records.
    pub batch: &'a mut SealBatch,
    /// Takes their bytes, once the batch has run.
    pub bytes: &'a mut [u8],
    /// Where in `bytes` the next one goes.
    pub at: usize,
    /// Where in `bytes` the room ends.
    pub end: usize,
}

impl Outgoing<'_> {
    /// Bytes that are left.
    pub fn room(&self) -> usize {
        self.end - self.at
    }
}

/// What a driver has for a connection to send.
#[derive(Debug, Clone, Copy)]
pub enum Next {
    /// A chunk (PART or END), a PACK, or the payload of the ABORT that was asked for.
    Chunk(Span, Kind),
    /// A chunk waits, but its record is larger than the room.
    NoRoom,
    /// Nothing waits.
    Empty,
}

/// How far a record that is sent once has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) enum Stage {
    #[default]
    NotOwed,
    /// It waits to be sealed.
    Owed,
    /// It is sealed.
    Sealed,
    /// The socket has accepted all of it.
    Sent,
}

impl Stage {
    pub(super) fn owe(&mut self) {
        *self = (*self).max(Self::Owed);
    }

    fn taken(&mut self) {
        if *self == Self::Sealed {
            *self = Self::Sent;
        }
    }
}

/// The sending direction.
#[derive(Debug, Default)]
pub(super) struct Sending {
    pub(super) hello: Option<Box<[u8]>>,
    sequence: u64,
    pub(super) ping: bool,
    pub(super) pong: bool,
    pub(super) fin: Stage,
    pub(super) done: Stage,
    pub(super) abort: Stage,
    /// The first record is still owed: it proves a client.
    pub(super) prove: bool,
}

impl Sending {
    pub(super) fn new(hello: Option<Box<[u8]>>) -> Self {
        Self {
            hello,
            ..Self::default()
        }
    }

    /// Whether the connection has a record of its own to send.
    pub(super) fn owes(&self) -> bool {
        let stages = [self.fin, self.done, self.abort];
        self.ping || self.pong || self.prove || stages.contains(&Stage::Owed)
    }

    /// Copies a waiting hello out.
    pub(super) fn put_hello(&mut self, out: &mut Outgoing<'_>) {
        if let Some(hello) = self.hello.take() {
            out.bytes[out.at..][..hello.len()].copy_from_slice(&hello);
            out.at += hello.len();
        }
    }

    /// Puts what is owed and what the driver has into the batch, for as long as there is
    /// room. Returns whether anything was put.
    pub(super) fn put(
        &mut self,
        keys: &mut KeyStore<SealKeys>,
        key: &mut Handle,
        out: &mut Outgoing<'_>,
        mut next: impl FnMut(usize) -> Next,
    ) -> bool {
        // No batch that has not run needs the epoch before.
        keys.advance(key, self.sequence);
        let first = self.sequence;
        if self.abort == Stage::NotOwed {
            self.put_flags(keys, key, out);
        }
        while self.abort < Stage::Sealed {
            match next(out.room()) {
                Next::Chunk(payload, kind) => {
                    self.record(keys, key, out, payload, kind);
                    if kind == Kind::Abort {
                        self.abort = Stage::Sealed;
                    }
                }
                Next::Empty if self.fin == Stage::Owed && self.abort == Stage::NotOwed => {
                    if self.flag(keys, key, out, Kind::Fin) {
                        self.fin = Stage::Sealed;
                    }
                    break;
                }
                Next::Empty | Next::NoRoom => break,
            }
        }
        if self.prove && self.sequence == first && self.abort == Stage::NotOwed {
            self.flag(keys, key, out, Kind::Ping);
        }
        self.prove &= self.sequence == first;
        self.sequence != first
    }

    /// PONG, DONE and PING: one each, however often they were asked for.
    fn put_flags(&mut self, keys: &mut KeyStore<SealKeys>, key: &Handle, out: &mut Outgoing<'_>) {
        if self.pong && self.flag(keys, key, out, Kind::Pong) {
            self.pong = false;
        }
        if self.done == Stage::Owed && self.flag(keys, key, out, Kind::Done) {
            self.done = Stage::Sealed;
        }
        if self.ping && self.flag(keys, key, out, Kind::Ping) {
            self.ping = false;
        }
    }

    /// An empty record, if there is room.
    fn flag(
        &mut self,
        keys: &mut KeyStore<SealKeys>,
        key: &Handle,
        out: &mut Outgoing<'_>,
        kind: Kind,
    ) -> bool {
        let fits = out.room() >= record::len_for(0);
        if fits {
            self.record(keys, key, out, Span::new(Area::ONLY, 0..0), kind);
        }
        fits
    }

    fn record(
        &mut self,
        keys: &mut KeyStore<SealKeys>,
        key: &Handle,
        out: &mut Outgoing<'_>,
        payload: Span,
        kind: Kind,
    ) {
        let blocks = record::blocks_for(payload.len());
        keys.prepare(key, self.sequence);
        out.bytes[out.at..][..RECORD_HEADER].copy_from_slice(&blocks.to_be_bytes());
        out.batch.push(SealJob {
            key: key.id(),
            sequence: self.sequence,
            kind: kind as u8,
            blocks,
            payload,
            body: out.at + RECORD_HEADER,
        });
        out.at += record::record_len(blocks);
        self.sequence += 1;
    }

    /// Whether the last sequence is less than a batch away.
    pub(super) fn exhausted(&self) -> bool {
        self.sequence + (1 << EPOCH_BITS) > LAST_SEQUENCE
    }

    /// The socket has accepted everything that was sealed.
    pub(super) fn taken(&mut self) {
        self.fin.taken();
        self.done.taken();
        self.abort.taken();
    }
}
