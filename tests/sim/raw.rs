//! A client that the test plays by hand, record by record if it likes.

use sealwire::conn::Connection;
use sealwire::conn::session::{Session, SessionEvent as Event};
use sealwire::crypto::dh::Private;
use sealwire::crypto::keys::Identity;
use sealwire::endpoint::transport::PeerId;
use sealwire::error::Abort;

use crate::net::Side;
use crate::people::secrets;
use crate::world::{SOCKET, World};

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
    pub(crate) fn connect(world: &mut World, server: usize) -> Self {
        Self::connect_by(world, server, SOCKET)
    }

    /// As [`connect`](Self::connect), through pipes of `capacity` bytes.
    pub(crate) fn connect_by(world: &mut World, server: usize, capacity: usize) -> Self {
        let (link, peer) = world.accept(server, capacity);
        let identity = Identity::new(&secrets(7)).unwrap();
        let private = Private::new([link as u8 + 1; 32]);
        let connection = Connection::client(identity, private, world.now());
        Self {
            session: Session::new(connection, crate::chosen::kernel(), 1 << 30),
            end: Side::client(link),
            peer,
            events: Vec::new(),
        }
    }

    /// Connects and proves itself.
    pub(crate) fn join(world: &mut World, server: usize) -> Self {
        Self::join_by(world, server, SOCKET)
    }

    pub(crate) fn join_by(world: &mut World, server: usize, capacity: usize) -> Self {
        let mut raw = Self::connect_by(world, server, capacity);
        raw.prove(world);
        assert!(world.hosts[server].has_joined(raw.peer));
        raw
    }

    /// Proves itself, whether it is taken or not.
    pub(crate) fn prove(&mut self, world: &mut World) {
        let hello = self.hello(world);
        self.write(world, &hello);
        world.settle();
        self.read(world);
        world.settle();
    }

    /// Lets time pass, and says no more than that it is there.
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
        self.write(world, &out);
        world.settle();
    }

    /// The bytes of the hello.
    pub(crate) fn hello(&mut self, world: &World) -> Vec<u8> {
        let mut out = Vec::new();
        self.session.start(world.now(), &mut out);
        out
    }

    /// Writes all of `bytes`, which fit.
    pub(crate) fn write(&mut self, world: &mut World, bytes: &[u8]) {
        assert_eq!(world.net.write(self.end, bytes).unwrap(), bytes.len());
    }

    /// Sends a message and lets the server take it.
    pub(crate) fn say(&mut self, world: &mut World, message: &[u8]) {
        let bytes = self.seal(world, message);
        self.write(world, &bytes);
        world.settle();
    }

    /// The records of a message.
    pub(crate) fn seal(&mut self, world: &World, message: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        assert!(self.session.send(world.now(), message, &mut out));
        out
    }

    /// Says FIN.
    pub(crate) fn finish(&mut self, world: &mut World) {
        let mut out = Vec::new();
        self.session.finish(world.now(), &mut out);
        self.write(world, &out);
        world.settle();
    }

    /// Reads all that is there, and sends what the session answers.
    pub(crate) fn read(&mut self, world: &mut World) {
        let mut bytes = vec![0; SOCKET];
        let mut out = Vec::new();
        while let Ok((count, _)) = world.net.read(self.end, &mut bytes) {
            self.session.receive(world.now(), &bytes[..count], &mut out);
            while let Some(event) = self.session.poll_event() {
                self.events.push(event);
            }
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
    pub(crate) fn outcome(&self) -> Option<&sealwire::conn::Outcome> {
        self.events.iter().find_map(|event| match event {
            Event::Over(outcome) => Some(outcome),
            _ => None,
        })
    }

    /// Closes the socket.
    pub(crate) fn close(&mut self, world: &mut World) {
        world.net.close(self.end);
        world.settle();
    }

    /// Breaks the connection.
    pub(crate) fn end_by_reset(&self, world: &mut World) {
        world.net.reset(self.end.link);
        world.settle();
    }
}
