//! A classic peer that is a socket in the test, and the known answers about
//! classic frames.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, LazyLock};

use sealwire::classic::ClassicKeys;
use sealwire::classic::frame::{LENGTH, LENGTH_TAG, TAG, TEXT, first_frame, parse_length};
use sealwire::crypto::secret::{Secret, SecretPair};
use sealwire::limits::{BLOCK, CLASSIC_FRAME};
use serde_json::Value;

use crate::program::Launch;

static ANSWERS: LazyLock<Value> = LazyLock::new(|| {
    let all: Value = serde_json::from_str(include_str!("../vectors/vectors.json")).unwrap();
    all["classic"].clone()
});

/// The keys of all classic peers here: those of the known answers.
pub(crate) fn keys() -> [&'static str; 2] {
    ["confkey", "authkey"].map(|name| ANSWERS[name].as_str().unwrap())
}

/// A program with these keys.
pub(crate) fn with_keys(launch: Launch) -> Launch {
    let [confkey, authkey] = keys();
    launch.keys(confkey, authkey)
}

/// What the old program sends for texts that this one cuts otherwise: the text
/// and its frames.
pub(crate) fn sent_by_old_peers() -> Vec<(String, Vec<u8>)> {
    let list = ANSWERS["also_accepted_from_seed_peers"].as_array().unwrap();
    assert!(!list.is_empty());
    let entry = |entry: &Value| {
        (
            entry["text"].as_str().unwrap().into(),
            hex(&entry["frames"]),
        )
    };
    list.iter().map(entry).collect()
}

/// What is to be refused: a name and the bytes.
pub(crate) fn to_be_refused() -> Vec<(String, Vec<u8>)> {
    let list = ANSWERS["refuse"].as_object().unwrap();
    assert!(!list.is_empty());
    let entries = list.iter();
    entries
        .map(|(name, bytes)| (name.clone(), hex(bytes)))
        .collect()
}

fn hex(value: &Value) -> Vec<u8> {
    let digits = value.as_str().unwrap();
    let pairs = (0..digits.len()).step_by(2);
    pairs
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

/// Makes and reads frames under one pair of keys.
pub(crate) struct Frames(Arc<ClassicKeys>);

impl Frames {
    pub(crate) fn new() -> Self {
        let [confkey, authkey] = keys().map(|key| Secret::new(key.into()));
        Self(ClassicKeys::new(&SecretPair { confkey, authkey }))
    }

    /// The frames of a line.
    pub(crate) fn of(&self, line: &str) -> Vec<u8> {
        let mut all = Vec::new();
        let mut rest = line;
        while !rest.is_empty() {
            let text = first_frame(rest);
            let iv = [7; BLOCK];
            let (mut first, mut second) = ([0; BLOCK], [0; BLOCK]);
            let length = rest.chars().count().to_string();
            self.0.encrypt(&iv, length.as_bytes(), &mut first);
            self.0.encrypt(&first, text.as_bytes(), &mut second);
            let head = [iv, first].concat();
            all.extend([&head[..], &self.0.tag(&head), &second, &self.0.tag(&second)].concat());
            rest = &rest[text.len()..];
        }
        all
    }

    /// How many characters a frame of a program says are left, and its text.
    pub(crate) fn open(&self, frame: &[u8]) -> (usize, String) {
        let (head, tag) = frame[..TEXT].split_at(LENGTH_TAG);
        assert!(self.0.holds(head, tag), "the first tag");
        let (body, tag) = frame[TEXT..].split_at(CLASSIC_FRAME - TEXT - TAG);
        assert!(self.0.holds(body, tag), "the second tag");
        let iv = head[..LENGTH].try_into().unwrap();
        let first: [u8; BLOCK] = head[LENGTH..].try_into().unwrap();
        let mut digits = first;
        let digits = self.0.decrypt(&iv, &mut digits).unwrap();
        let mut text = body.to_vec();
        let text = self.0.decrypt(&first, &mut text).unwrap();
        let length = parse_length(digits).unwrap() as usize;
        (length, String::from_utf8(text.to_vec()).unwrap())
    }

    /// The text of whole messages, whose lengths are checked.
    pub(crate) fn read(&self, frames: &[u8]) -> String {
        let mut all = String::new();
        let mut owed = 0;
        for frame in frames.chunks(CLASSIC_FRAME) {
            let (length, text) = self.open(frame);
            assert!(owed == 0 || owed == length, "{length} left, not {owed}");
            owed = length - text.chars().count();
            all.push_str(&text);
        }
        assert_eq!(owed, 0, "half a message");
        all
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
        let mut all = Vec::new();
        loop {
            let mut frame = [0; CLASSIC_FRAME];
            match self.socket.read_exact(&mut frame) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                    assert!(all.is_empty(), "it ends inside a message");
                    return None;
                }
                Err(error) => panic!("no frame: {error}"),
            }
            all.extend(frame);
            let (length, text) = self.frames.open(&frame);
            if length == text.chars().count() {
                return Some(self.frames.read(&all));
            }
        }
    }
}
