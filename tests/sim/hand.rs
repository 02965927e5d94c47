//! Clients that the test plays by hand: [`Raw`] keeps to the protocol, [`Hand`] seals any
//! record it likes with its [`Sealer`], and of a classic one ([`World::accept`]) there are only
//! [`frames`] and [`lines`].

use std::sync::Arc;

use sealwire::classic::ClassicConnection;
use sealwire::crypto::dh::Private;
use sealwire::crypto::keys::SessionSecrets;
use sealwire::limits::{RECORD_HEADER, SERVER_HELLO};
use sealwire::wire::hello::{SERVER_TAG, parse_server};
use sealwire::wire::record::{Kind, blocks_for, record_len};
use sealwire::{
    Abort, ClassicKeys, Identity, Outcome, PeerId, Session, SessionEvent as Event, Time,
};

use crate::net::Side;
use crate::people::secrets;
use crate::plain::PlainKeys;
use crate::world::{Link, World};

/// The keys of the client at this end: of the service, and the bytes of its private key.
fn keys(end: Side) -> (Arc<Identity>, [u8; 32]) {
    (Identity::new(&secrets(7)).unwrap(), private(end))
}

/// The bytes of the private key of the client at this end.
fn private(end: Side) -> [u8; 32] {
    // The curve ignores the lowest three bits.
    let mut private = [1; 32];
    private[8..16].copy_from_slice(&end.link.to_be_bytes());
    private
}

/// A session at the other end of a link to a server.
pub(crate) struct Raw {
    pub(crate) session: Session,
    pub(crate) end: Side,
    /// What the server calls it.
    pub(crate) peer: PeerId,
    pub(crate) events: Vec<Event>,
}

impl Raw {
    /// Connects, and does nothing yet.
    pub(crate) fn connect(world: &mut World) -> Self {
        Self::connect_as(world, Identity::new(&secrets(7)).unwrap())
    }

    /// As [`connect`](Self::connect), with other keys.
    pub(crate) fn connect_as(world: &mut World, identity: Arc<Identity>) -> Self {
        let Link { end, peer } = world.accept();
        let (kernel, private) = (crate::chosen::kernel(), private(end));
        let session = Session::client(identity, kernel, private, world.now());
        Self {
            session: session.with_max_message(1 << 30),
            end,
            peer,
            events: Vec::new(),
        }
    }

    /// Connects and proves itself.
    pub(crate) fn join(world: &mut World) -> Self {
        let mut raw = Self::connect(world);
        raw.prove(world);
        assert!(world.hosts[0].has_joined(raw.peer));
        raw
    }

    /// Proves itself, whether it is taken or not.
    pub(crate) fn prove(&mut self, world: &mut World) {
        self.greet(world);
        self.read(world);
    }

    /// Says hello.
    pub(crate) fn greet(&mut self, world: &mut World) {
        let hello = self.hello(world);
        world.write(self.end, &hello);
    }

    /// The bytes of the hello.
    pub(crate) fn hello(&mut self, world: &World) -> Vec<u8> {
        let mut out = Vec::new();
        self.session.start(world.now(), &mut out);
        out
    }

    /// Lets time pass, and sends only what keeps it alive.
    pub(crate) fn stay(&mut self, world: &mut World, millis: u64) {
        let step = 20_000;
        for _ in 0..millis / step {
            world.run_millis(step);
            let mut out = Vec::new();
            self.session.handle_timeout(world.now(), &mut out);
            // A server that has closed does not want it.
            let _ = world.net.write(self.end, &out);
            world.settle();
            self.read(world);
        }
    }

    /// Gives up.
    pub(crate) fn abort(&mut self, world: &mut World, abort: Abort) {
        let mut out = Vec::new();
        self.session.abort(world.now(), abort, &mut out);
        world.write(self.end, &out);
    }

    /// Sends a message and lets the server take it.
    pub(crate) fn say(&mut self, world: &mut World, message: &[u8]) {
        let bytes = self.seal(world, message);
        world.write(self.end, &bytes);
    }

    /// The records of a message.
    pub(crate) fn seal(&mut self, world: &World, message: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        assert!(self.session.send(world.now(), message, &mut out));
        out
    }

    /// Sends FIN, and reads the server's answer.
    pub(crate) fn finish(&mut self, world: &mut World) {
        let mut out = Vec::new();
        self.session.finish(world.now(), &mut out);
        world.write(self.end, &out);
        self.read(world);
    }

    /// Reads all that is there, and sends what the session answers.
    pub(crate) fn read(&mut self, world: &mut World) {
        let mut bytes = vec![0; world.net.socket];
        let mut out = Vec::new();
        while let Ok((count, _)) = world.net.read(self.end, &mut bytes) {
            self.session.receive(world.now(), &bytes[..count], &mut out);
            self.events
                .extend(std::iter::from_fn(|| self.session.poll_event()));
            if count == 0 {
                break;
            }
        }
        if !out.is_empty() {
            // A server that has closed does not want it.
            let _ = world.net.write(self.end, &out);
        }
        world.settle();
    }

    /// The messages that came.
    pub(crate) fn messages(&self) -> Vec<&[u8]> {
        let messages = self.events.iter().filter_map(|event| match event {
            Event::Message(message) => Some(&message[..]),
            _ => None,
        });
        messages.collect()
    }

    /// How it ended.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        self.events.iter().find_map(|event| match event {
            Event::Over(outcome) => Some(outcome.clone()),
            _ => None,
        })
    }

    /// Closes the socket.
    pub(crate) fn close(&self, world: &mut World) {
        world.close(self.end);
    }
}

/// The hello of the client at `end`.
pub(crate) fn greeting(end: Side) -> Vec<u8> {
    let (identity, private) = keys(end);
    let kernel = crate::chosen::kernel();
    let mut session = Session::client(identity, kernel, private, Time::ZERO);
    let mut hello = Vec::new();
    session.start(Time::ZERO, &mut hello);
    hello
}

/// What a key holder needs to make any record.
pub(crate) struct Sealer {
    keys: PlainKeys,
    sequence: u64,
}

impl Sealer {
    /// Agrees with the server that gave `answer` to the [`greeting`] of the client at `end`.
    pub(crate) fn agree(end: Side, hello: &[u8], answer: &[u8; SERVER_HELLO]) -> Self {
        let (identity, private) = keys(end);
        let public = parse_server(answer).unwrap();
        let transcript = [hello, &answer[..SERVER_TAG]];
        let private = Private::new(private, crate::chosen::kernel());
        let secrets = SessionSecrets::agree(&identity, &private, public, transcript).unwrap();
        Self {
            keys: PlainKeys::new(&secrets.client_to_server, 0),
            sequence: 0,
        }
    }

    /// The next record.
    pub(crate) fn record(&mut self, kind: Kind, payload: &[u8]) -> Vec<u8> {
        let blocks = blocks_for(payload.len());
        let mut record = vec![0; record_len(blocks)];
        let (header, body) = record.split_at_mut(RECORD_HEADER);
        header.copy_from_slice(&blocks.to_be_bytes());
        self.keys.seal(self.sequence, kind as u8, payload, body);
        self.sequence += 1;
        record
    }
}

/// A client behind its handshake; nothing has proved it yet.
pub(crate) struct Hand {
    sealer: Sealer,
    pub(crate) end: Side,
    /// What the server calls it.
    pub(crate) peer: PeerId,
}

impl Hand {
    /// Connects, and shakes hands.
    pub(crate) fn shake(world: &mut World) -> Self {
        let Link { end, peer } = world.accept();
        let hello = greeting(end);
        world.write(end, &hello);
        let answer: [u8; SERVER_HELLO] = world.read(end).try_into().unwrap();
        let sealer = Sealer::agree(end, &hello, &answer);
        Self { sealer, end, peer }
    }

    /// The next record.
    pub(crate) fn record(&mut self, kind: Kind, payload: &[u8]) -> Vec<u8> {
        self.sealer.record(kind, payload)
    }

    /// Sends the next record and lets the server take it.
    pub(crate) fn send(&mut self, world: &mut World, kind: Kind, payload: &[u8]) {
        let record = self.record(kind, payload);
        world.write(self.end, &record);
    }
}

fn classic() -> ClassicConnection {
    ClassicConnection::new(ClassicKeys::new(&secrets(7)), 1 << 20, Time::ZERO)
}

/// The classic frames of `line`. A server takes those of another `number` for no recording.
pub(crate) fn frames(number: usize, line: &str) -> Vec<u8> {
    let mut iv = [3; 16];
    iv[..8].copy_from_slice(&number.to_be_bytes());
    crate::lines::seal(&mut classic(), line, iv)
}

/// The lines that a classic peer was sent.
pub(crate) fn lines(world: &mut World, end: Side) -> Vec<String> {
    let bytes = world.read(end);
    let mut conn = classic();
    let heard = crate::lines::open(&mut conn, &bytes, [bytes.len()]);
    assert_eq!((heard.left, conn.outcome()), (0, None));
    heard.lines
}
