//! A classic peer that is a socket in the test, and the known answers about classic
//! frames. Whether frames are right is for `tests/vectors` and [`crate::python`].

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::LazyLock;

use sealwire::classic::ClassicConnection;
use sealwire::limits::{BLOCK, CLASSIC_FRAME};
use sealwire::{ClassicKeys, Secret, SecretPair, Time};
use serde_json::Value;

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

/// Makes and reads frames.
pub(crate) struct Frames(ClassicConnection);

impl Frames {
    pub(crate) fn new() -> Self {
        let [confkey, authkey] = keys().map(|key| Secret::new(key.into()));
        let keys = ClassicKeys::new(&SecretPair { confkey, authkey });
        Self(ClassicConnection::new(keys, 1 << 24, Time::ZERO))
    }

    /// The frames of a line.
    pub(crate) fn of(&mut self, mut line: &str) -> Vec<u8> {
        let mut all = Vec::new();
        while !line.is_empty() {
            let count = self.0.seal(line.as_bytes(), [7; BLOCK]);
            line = &line[count..];
            all.extend_from_slice(self.0.frame().unwrap());
            self.0.taken(CLASSIC_FRAME);
        }
        all
    }

    /// The text of a frame, and whether it is the last of its message.
    fn open(&mut self, frame: &[u8]) -> (String, bool) {
        let mut frame = frame.to_vec();
        let opened = self.0.open(Time::ZERO, &mut frame);
        let opened = opened.expect("the frame is right");
        assert_eq!(opened.used, CLASSIC_FRAME);
        let text = frame[opened.text].to_vec();
        (String::from_utf8(text).unwrap(), opened.last)
    }

    /// The text of whole messages.
    pub(crate) fn read(&mut self, frames: &[u8]) -> String {
        let opened = frames.chunks(CLASSIC_FRAME).map(|frame| self.open(frame));
        let opened: Vec<_> = opened.collect();
        assert!(
            opened.last().is_none_or(|(_, last)| *last),
            "half a message"
        );
        opened.into_iter().map(|(text, _)| text).collect()
    }
}

/// A connected classic peer.
pub(crate) struct OldPeer {
    pub(crate) socket: TcpStream,
    frames: Frames,
}

impl OldPeer {
    pub(crate) fn new(socket: TcpStream) -> Self {
        let frames = Frames::new();
        Self { socket, frames }
    }

    pub(crate) fn connect(port: u16) -> Self {
        Self::new(crate::raw_peer::connect(port))
    }

    /// Sends a line. The other side may be gone.
    pub(crate) fn say(&mut self, line: &str) {
        let _ = self.socket.write_all(&self.frames.of(line));
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
            let (text, last) = self.frames.open(&frame);
            message.push_str(&text);
            if last {
                return Some(message);
            }
        }
    }
}
