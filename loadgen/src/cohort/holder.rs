//! A client that holds the keys, and can send records that no honest one sends.
//!
//! It drives the library's connection as [`sealwire::Session`] does, but seals records of any
//! kind in any order. It owns no socket. Read next: [`super::actor`].

use std::sync::Arc;

use sealwire::conn::{Connection, Next, Outgoing};
use sealwire::crypto::batch::{OpenBatch, SealBatch};
use sealwire::crypto::dh::Private;
use sealwire::crypto::keys::KeyStores;
use sealwire::limits::{CLIENT_HELLO, INPUT_SCRATCH};
use sealwire::span::{Area, Span};
use sealwire::wire::record::{Kind, len_for};
use sealwire::{Failure, Identity, Kernel, Reason, Service, Time};

pub(super) struct Holder {
    connection: Connection,
    keys: KeyStores,
    opens: OpenBatch,
    seals: SealBatch,
    /// Bytes that came and are no whole record yet.
    input: Vec<u8>,
}

impl Holder {
    pub(super) fn new(identity: Arc<Identity>, kernel: Kernel, now: Time) -> Self {
        let private = Private::new(rand::random(), kernel);
        Self {
            connection: Connection::client(identity, private, Service::Messages, now),
            keys: KeyStores::new(kernel),
            opens: OpenBatch::default(),
            seals: SealBatch::default(),
            input: Vec::new(),
        }
    }

    /// Whether the server's hello has come and holds.
    pub(super) fn is_open(&self) -> bool {
        self.connection.is_open()
    }

    /// The reason of the server's ABORT, if one came.
    pub(super) fn aborted(&self) -> Option<Reason> {
        match self.connection.outcome() {
            Some(Err(Failure::Aborted(abort))) => Some(abort.reason),
            _ => None,
        }
    }

    /// Takes bytes that came. Messages are dropped.
    pub(super) fn hear(&mut self, now: Time, bytes: &[u8]) {
        self.connection.heard(now);
        // One batch holds no more than this.
        for piece in bytes.chunks(INPUT_SCRATCH) {
            self.input.extend_from_slice(piece);
            let all = Span::new(Area::ONLY, 0..self.input.len());
            let (keys, opens) = (&mut self.keys, &mut self.opens);
            let used = self.connection.gather(now, keys, &self.input, all, opens);
            self.opens
                .run(&self.keys.open, &mut &mut self.input[..used]);
            for index in 0..self.opens.len() {
                let (job, held) = self.opens.result(index);
                let plaintext = held.then(|| &self.input[job.text().range()]);
                self.connection.settle(now, plaintext);
            }
            self.opens.clear();
            self.connection.settled(&mut self.keys);
            self.input.drain(..used);
        }
    }

    /// Appends what the client owes to `out`: its hello or, once that was answered, a PING
    /// that proves it.
    pub(super) fn owed(&mut self, now: Time, out: &mut Vec<u8>) {
        self.seal(now, Kind::Ping, &[], 0, out);
    }

    /// Appends `count` records of `kind`, each with `payload`, to `out`.
    pub(super) fn seal(
        &mut self,
        now: Time,
        kind: Kind,
        payload: &[u8],
        count: usize,
        out: &mut Vec<u8>,
    ) {
        let start = out.len();
        // What the connection owes comes on top: a hello, and flags of one block each.
        let room = CLIENT_HELLO + 4 * len_for(0) + count * len_for(payload.len());
        out.resize(start + room, 0);
        let mut outgoing = Outgoing {
            batch: &mut self.seals,
            at: start,
            end: start + room,
            bytes: out,
        };
        let mut left = count;
        let span = Span::new(Area::ONLY, 0..payload.len());
        self.connection
            .seal(now, &mut self.keys, &mut outgoing, |_| match left {
                0 => Next::Empty,
                _ => {
                    left -= 1;
                    Next::Chunk(span, kind)
                }
            });
        let end = outgoing.at;
        self.seals.run(&self.keys.seal, &[payload], out);
        out.truncate(end);
        self.connection.taken(now);
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.connection.erase(&mut self.keys);
    }
}
