//! A classic peer that is a socket in the test, and the known answers about classic
//! frames. Whether frames are right is for `tests/vectors` and [`crate::python`].

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::LazyLock;

use sealwire::classic::ClassicConnection;
use sealwire::limits::{BLOCK, CLASSIC_FRAME};
use sealwire::{ClassicKeys, Secret, SecretPair, Time};
use serde_json::Value;

use crate::lines;
use crate::program::{Launch, from_hex};

static ANSWERS: LazyLock<Value> = LazyLock::new(|| {
    let all: Value = serde_json::from_str(include_str!("../vectors/vectors.json")).unwrap();
    all["classic"].clone()
});

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// The keys of all classic peers here: those of the known answers.
fn keys() -> [&'static str; 2] {
    ["confkey", "authkey"].map(|name| text(&ANSWERS[name]))
}

/// A program with these keys.
pub(crate) fn with_keys(launch: Launch) -> Launch {
    let [confkey, authkey] = keys();
    launch.keys(confkey, authkey)
}

/// Texts that the old program cuts into other frames than this one, each with those
/// frames.
pub(crate) fn sent_by_old_peers() -> Vec<(String, Vec<u8>)> {
    let list = ANSWERS["also_accepted_from_seed_peers"].as_array().unwrap();
    assert!(!list.is_empty());
    let frames = |entry: &Value| from_hex(text(&entry["frames"]));
    let entries = list.iter();
    entries
        .map(|entry| (text(&entry["text"]).into(), frames(entry)))
        .collect()
}

fn connection() -> ClassicConnection {
    let [confkey, authkey] = keys().map(|key| Secret::new(key.into()));
    let keys = ClassicKeys::new(&SecretPair { confkey, authkey });
    ClassicConnection::new(keys, 1 << 24, Time::ZERO)
}

/// The frames of a line.
pub(crate) fn frames(line: &str) -> Vec<u8> {
    lines::seal(&mut connection(), line, [7; BLOCK])
}

/// The text of whole messages.
pub(crate) fn text_of(frames: &[u8]) -> String {
    let heard = lines::open(&mut connection(), frames, [frames.len()]);
    assert_eq!((&heard.unfinished[..], heard.left), ("", 0));
    heard.lines.concat()
}

/// A connected classic peer.
pub(crate) struct OldPeer {
    socket: TcpStream,
    connection: ClassicConnection,
}

impl OldPeer {
    pub(crate) fn new(socket: TcpStream) -> Self {
        let connection = connection();
        Self { socket, connection }
    }

    pub(crate) fn connect(port: u16) -> Self {
        Self::new(crate::raw_peer::connect(port))
    }

    /// Sends a line. The other side may be gone.
    pub(crate) fn say(&mut self, line: &str) {
        let _ = self.socket.write_all(&frames(line));
    }

    /// The next message; `None` at the end of the stream.
    pub(crate) fn hear(&mut self) -> Option<String> {
        let mut message = String::new();
        loop {
            let mut frame = [0; CLASSIC_FRAME];
            match self.socket.read_exact(&mut frame) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                    assert!(message.is_empty(), "it ends inside a message");
                    return None;
                }
                Err(error) => panic!("no frame: {error}"),
            }
            let heard = lines::open(&mut self.connection, &frame, [CLASSIC_FRAME]);
            assert_eq!(self.connection.outcome(), None, "the frame is right");
            if let [end] = &heard.lines[..] {
                return Some(message + end);
            }
            message += &heard.unfinished;
        }
    }
}
