//! Many peers of one endpoint, in memory: no socket, no handshake, no clients.
//!
//! All peers hold the same secrets and say the same messages in the same order. So the
//! bytes that they send are the same, sealed once before; each peer is a place in them.

use std::io::{self, ErrorKind, IoSliceMut};
use std::sync::Arc;
use std::time::Duration;

use sealwire::conn::FirstSecrets;
use sealwire::crypto::batch::{SealBatch, SealJob};
use sealwire::crypto::keys::{KeyStore, SealKeys};
use sealwire::limits::RECORD_HEADER;
use sealwire::span::{Area, Span};
use sealwire::wire::record::{Kind, blocks_for, record_len};
use sealwire::{
    Endpoint, Identity, Kernel, Leaves, Limits, Mode, PeerId, Read, Secret, SecretPair, Session,
    Setup, Time, Transport,
};

const UP: [u8; 32] = [1; 32];
const DOWN: [u8; 32] = [2; 32];

/// How far the clock goes on in a tick.
const TICK: Duration = Duration::from_micros(10);

/// Messages of one length, sealed by a client.
pub(crate) struct Stream {
    pub(crate) bytes: Vec<u8>,
    /// Bytes of each record.
    pub(crate) record: usize,
}

impl Stream {
    /// This many messages of `len` bytes.
    pub(crate) fn new(kernel: Kernel, len: usize, count: usize) -> Self {
        let secrets = FirstSecrets {
            to_us: &DOWN,
            from_us: &UP,
        };
        let mut client = Session::open_already(secrets, kernel, len, Time::ZERO);
        let (mut bytes, mut one) = (Vec::new(), Vec::new());
        for _ in 0..count {
            one.clear();
            assert!(client.send(Time::ZERO, &vec![0x5a; len], &mut one));
            bytes.extend_from_slice(&one);
        }
        let record = one.len();
        Self { bytes, record }
    }

    /// This many packs of `each` messages of `len` bytes.
    pub(crate) fn packed(kernel: Kernel, len: usize, count: usize, each: usize) -> Self {
        let entry = [&(len as u16).to_be_bytes()[..], &vec![0x5a; len]].concat();
        let payload = entry.repeat(each);
        let blocks = blocks_for(payload.len());
        let record = record_len(blocks);
        let mut bytes = vec![0; count * record];
        let mut keys = KeyStore::<SealKeys>::new(kernel);
        let key = keys.install(&UP, 0).id();
        let mut batch = SealBatch::default();
        for (n, bytes) in bytes.chunks_mut(record).enumerate() {
            bytes[..RECORD_HEADER].copy_from_slice(&blocks.to_be_bytes());
            batch.push(SealJob {
                key,
                sequence: n as u64,
                kind: Kind::Pack as u8,
                blocks,
                payload: Span::new(Area::ONLY, 0..payload.len()),
                body: RECORD_HEADER,
            });
            batch.run(&keys, &[&payload[..]], bytes);
        }
        Self { bytes, record }
    }
}

/// What peers send, and how far they have come.
pub(crate) struct Wire {
    pub(crate) stream: Stream,
    /// By slot: what has been read of the stream, and what may be.
    pub(crate) places: Vec<(usize, usize)>,
    /// Bytes that peers were sent.
    pub(crate) written: usize,
}

/// An endpoint and its peers.
pub(crate) struct Crowd<M> {
    pub(crate) endpoint: Endpoint<M>,
    pub(crate) wire: Wire,
    pub(crate) peers: Vec<PeerId>,
    now: Time,
}

impl<M: Mode> Crowd<M> {
    /// `count` peers of a server that does `mode`; each has `stream` to say.
    pub(crate) fn new(kernel: Kernel, mode: M, count: usize, stream: Stream) -> Self {
        Self::with(kernel, mode, count, stream, Limits::default())
    }

    /// As [`new`](Self::new), with other limits.
    pub(crate) fn with(
        kernel: Kernel,
        mode: M,
        count: usize,
        stream: Stream,
        limits: Limits,
    ) -> Self {
        let mut setup = Setup::new(kernel, Leaves::WhenStopped, [1; 32]);
        setup.limits = limits;
        // No peer comes that would need it, and a setup needs some keys.
        setup.identity = identity();
        let wire = Wire {
            stream,
            places: Vec::new(),
            written: 0,
        };
        let mut crowd = Self {
            endpoint: Endpoint::new(setup, mode),
            wire,
            peers: Vec::new(),
            now: Time::ZERO,
        };
        (0..count).for_each(|_| crowd.add());
        crowd.tick();
        crowd
    }

    /// Another peer.
    pub(crate) fn add(&mut self) {
        let secrets = FirstSecrets {
            to_us: &UP,
            from_us: &DOWN,
        };
        let id = self.endpoint.adopt(self.now, secrets);
        assert_eq!(slot(id), self.wire.places.len(), "slots are taken in order");
        self.peers.push(id);
        self.wire.places.push((0, 0));
    }

    /// Delivers a peer's next `bytes`.
    pub(crate) fn arrive(&mut self, peer: usize, bytes: usize) {
        let id = self.peers[peer];
        let place = &mut self.wire.places[slot(id)];
        place.1 += bytes;
        assert!(
            place.1 <= self.wire.stream.bytes.len(),
            "more than was sealed"
        );
        self.endpoint.readable(id);
    }

    /// Delivers a peer's next message.
    pub(crate) fn say(&mut self, peer: usize) {
        self.arrive(peer, self.wire.stream.record);
    }

    /// One tick of the endpoint.
    pub(crate) fn tick(&mut self) {
        self.now = self.now + TICK;
        self.endpoint.tick(self.now, &mut self.wire);
        while self.endpoint.poll_event().is_some() {}
    }
}

fn identity() -> Option<Arc<Identity>> {
    let [confkey, authkey] = [UP, DOWN].map(|key| Secret::new(key.to_vec()));
    Identity::new(&SecretPair { confkey, authkey })
}

fn slot(id: PeerId) -> usize {
    id.as_u64() as u32 as usize
}

impl Transport for Wire {
    fn read(&mut self, peer: PeerId, into: &mut [IoSliceMut<'_>]) -> io::Result<Read> {
        let (at, until) = &mut self.places[slot(peer)];
        let mut bytes = 0;
        for slice in into {
            let count = slice.len().min(*until - *at);
            slice[..count].copy_from_slice(&self.stream.bytes[*at..][..count]);
            *at += count;
            bytes += count;
        }
        match bytes {
            0 => Err(ErrorKind::WouldBlock.into()),
            _ => Ok(Read {
                bytes,
                drained: at == until,
            }),
        }
    }

    fn write(&mut self, _: PeerId, bytes: &[u8]) -> io::Result<usize> {
        self.written += bytes.len();
        Ok(bytes.len())
    }

    fn shut_down(&mut self, _: PeerId) {}

    fn close(&mut self, _: PeerId) {}
}
