//! A peer that always has more to say than is read, so that it never leaves the list of
//! ready peers: its clocks run all the same.

use std::io::{self, ErrorKind, IoSliceMut};
use std::time::Duration;

use sealwire::conn::Connection;
use sealwire::conn::session::{Session, SessionEvent as Event};
use sealwire::crypto::dh::Private;
use sealwire::crypto::keys::Identity;
use sealwire::endpoint::transport::{PeerId, Read, Transport};
use sealwire::endpoint::{Endpoint, Leaves, Setup};
use sealwire::limits::{CLOSING_DEADLINE, PING_AFTER, SILENCE_DEADLINE};
use sealwire::modes::sink::Sink;
use sealwire::time::Time;

use crate::people::{limited, native, secrets};

const MESSAGE: [u8; 10_000] = [7; 10_000];

/// The socket of such a peer, and the peer.
struct Flood {
    session: Session,
    now: Time,
    pending: Vec<u8>,
    is_open: bool,
    /// Hears what is said to it.
    listens: bool,
    heard: usize,
    closed: bool,
}

impl Flood {
    fn new() -> Self {
        let identity = Identity::new(&secrets(7)).unwrap();
        let client = Connection::client(identity, Private::new([9; 32]), Time::ZERO);
        let mut session = Session::new(client, crate::chosen::kernel(), 1 << 20);
        let mut pending = Vec::new();
        session.start(Time::ZERO, &mut pending);
        Self {
            session,
            now: Time::ZERO,
            pending,
            is_open: false,
            listens: true,
            heard: 0,
            closed: false,
        }
    }
}

impl Transport for Flood {
    fn read(&mut self, _: PeerId, into: &mut [IoSliceMut<'_>]) -> io::Result<Read> {
        let room: usize = into.iter().map(|slice| slice.len()).sum();
        while self.is_open && self.pending.len() < room {
            assert!(self.session.send(self.now, &MESSAGE, &mut self.pending));
        }
        if self.pending.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let bytes = self.pending.len().min(room);
        let mut rest: Vec<u8> = self.pending.drain(..bytes).collect();
        for slice in into {
            let count = slice.len().min(rest.len());
            slice[..count].copy_from_slice(&rest[..count]);
            rest.drain(..count);
        }
        let drained = bytes < room;
        Ok(Read { bytes, drained })
    }

    fn write(&mut self, _: PeerId, bytes: &[u8]) -> io::Result<usize> {
        self.heard += 1;
        if self.listens {
            self.session.receive(self.now, bytes, &mut self.pending);
        }
        while let Some(event) = self.session.poll_event() {
            self.is_open |= event == Event::Open;
        }
        Ok(bytes.len())
    }

    fn close(&mut self, _: PeerId) {
        self.closed = true;
    }

    fn shut_down(&mut self, _: PeerId) {}
}

/// A sink with one such peer, which has joined.
fn sink(setup: Setup) -> (Endpoint<Sink>, Flood) {
    let mut endpoint = Endpoint::new(setup, Sink);
    let mut flood = Flood::new();
    let peer = endpoint.accepted(Time::ZERO);
    while !flood.is_open {
        endpoint.readable(peer);
        endpoint.tick(Time::ZERO, &mut flood);
    }
    endpoint.readable(peer);
    (endpoint, flood)
}

/// Ticks every 100 ms for `span`, or until the connection is closed.
fn run(endpoint: &mut Endpoint<Sink>, flood: &mut Flood, span: Duration) {
    let end = flood.now + span;
    while flood.now < end && !flood.closed {
        flood.now = flood.now + Duration::from_millis(100);
        endpoint.tick(flood.now, flood);
    }
}

/// Goal: a peer that streams without end is pinged, or it would think us dead. Method: a
/// sink reads from it for longer than the silence deadline.
#[test]
fn an_endless_stream_is_pinged() {
    let (mut endpoint, mut flood) = sink(native(1, Leaves::WhenStopped));
    let before = flood.heard;
    run(
        &mut endpoint,
        &mut flood,
        SILENCE_DEADLINE + Duration::from_secs(5),
    );
    assert!(!flood.closed);
    // One more answers the PING that it began with.
    let pings = (SILENCE_DEADLINE.as_secs() / PING_AFTER.as_secs()) as usize;
    assert_eq!(flood.heard - before, pings + 1);
}

/// Goal: a peer that goes on after our ABORT is closed in time. Method: its messages are
/// over the limit, and it does not listen.
#[test]
fn a_stream_behind_an_abort_is_closed() {
    let setup = limited(|limits| limits.max_message = MESSAGE.len() - 1);
    let (mut endpoint, mut flood) = sink(setup);
    flood.listens = false;
    run(
        &mut endpoint,
        &mut flood,
        CLOSING_DEADLINE + Duration::from_secs(1),
    );
    assert!(flood.closed);
    assert_eq!(endpoint.connections(), 0);
}
