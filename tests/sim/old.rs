//! An old client that the test plays by hand, frame by frame.

use std::sync::Arc;

use sealwire::classic::{ClassicConnection, ClassicKeys};
use sealwire::endpoint::transport::PeerId;
use sealwire::endpoint::{Leaves, Setup};
use sealwire::limits::CLASSIC_FRAME;

use crate::net::Side;
use crate::people::{both, secrets};
use crate::world::{SOCKET, World};

fn keys() -> Arc<ClassicKeys> {
    ClassicKeys::new(&secrets(7))
}

/// The frames of `line`.
pub(crate) fn frames(line: &str) -> Vec<u8> {
    let mut conn = ClassicConnection::new(keys(), 1 << 20, sealwire::time::Time::ZERO);
    let (mut rest, mut frames) = (line, Vec::new());
    while !rest.is_empty() {
        let count = conn.seal(rest.as_bytes(), [3; 16]);
        rest = &rest[count..];
        frames.extend_from_slice(conn.frame().unwrap());
        conn.taken(CLASSIC_FRAME);
    }
    frames
}

/// A classic client that the test plays by hand.
pub(crate) struct Old {
    pub(crate) end: Side,
    /// What the server calls it.
    pub(crate) peer: PeerId,
}

impl Old {
    /// Connects, and says nothing.
    pub(crate) fn connect(world: &mut World, server: usize) -> Self {
        let (link, peer) = world.accept(server, SOCKET);
        world.settle();
        let end = Side::client(link);
        Self { end, peer }
    }

    /// Writes all of `bytes`, which fit, and lets the server take them.
    pub(crate) fn write(&self, world: &mut World, bytes: &[u8]) {
        assert_eq!(world.net.write(self.end, bytes).unwrap(), bytes.len());
        world.settle();
    }

    /// What it was sent.
    pub(crate) fn read(&self, world: &mut World) -> Vec<String> {
        let mut bytes = vec![0; SOCKET];
        let count = world
            .net
            .read(self.end, &mut bytes)
            .map_or(0, |read| read.0);
        let mut conn = ClassicConnection::new(keys(), 1 << 20, world.now());
        let (mut at, mut lines, mut line) = (0, Vec::new(), String::new());
        while let Some(opened) = conn.open(world.now(), &mut bytes[at..count]) {
            let text = at + opened.text.start..at + opened.text.end;
            line.push_str(str::from_utf8(&bytes[text]).unwrap());
            at += opened.used;
            if opened.last {
                lines.push(std::mem::take(&mut line));
            }
        }
        assert_eq!((at, conn.outcome()), (count, None));
        lines
    }
}

/// The setup of a client that speaks classic.
pub(crate) fn classic_client() -> Setup {
    let mut setup = both(2, Leaves::WithPeers);
    setup.identity = None;
    setup
}
