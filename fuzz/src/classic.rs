//! Classic frames, sealed with the plain crates from any plaintexts, so that both tags hold;
//! and a second reading of what they mean (`PROTOCOL.md` §2).

use aes::Aes256;
use cbc::cipher::{BlockModeEncrypt, KeyIvInit, block_padding::NoPadding};
use hmac::{Hmac, KeyInit, Mac};
use sealwire::classic::ClassicConnection;
use sealwire::conn::StreamEnd;
use sealwire::limits::BLOCK;
use sealwire::{ClassicKeys, Time};
use sha2::{Digest, Sha256};

use crate::hand::secrets;
use crate::script::Script;

/// The old program's side of a connection, played by hand.
#[derive(Debug)]
pub(crate) struct Frames {
    /// Whole lines, in order.
    pub(crate) lines: Vec<Vec<u8>>,
    /// A frame was not valid: the receiver must end this, and nothing behind it counts.
    pub(crate) is_over: bool,
    /// Something else than frames was sent: nothing behind it counts.
    pub(crate) junk: bool,
    iv: [u8; BLOCK],
    line: String,
    owed: u64,
    longest: u64,
}

impl Frames {
    /// Those of a `sender` with IVs of its own, for a receiver that takes lines of up to
    /// `longest` characters.
    pub(crate) fn new(sender: usize, longest: usize) -> Self {
        // No native hello begins like this.
        let mut iv = [3; BLOCK];
        iv[8..].copy_from_slice(&sender.to_be_bytes());
        Self {
            iv,
            lines: Vec::new(),
            is_over: false,
            junk: false,
            line: String::new(),
            owed: 0,
            longest: longest as u64,
        }
    }

    /// The next frames, as the script says: a whole line, or one frame of any plaintexts.
    pub(crate) fn next(&mut self, script: &mut Script<'_>) -> Vec<u8> {
        match script.byte() {
            0..80 => {
                let text = String::from_utf8_lossy(&script.lump()).into_owned();
                self.line(&text)
            }
            80..160 => {
                let number = script.below(40).to_string();
                let text = script.bytes(15).to_vec();
                self.frame(&padded(number.as_bytes()), &padded(&text))
            }
            _ => {
                let first = block(script.bytes(BLOCK));
                let blocks = script.below(4) + 1;
                let mut second = script.bytes(blocks * BLOCK).to_vec();
                second.resize(blocks * BLOCK, blocks as u8);
                self.frame(&first, &second)
            }
        }
    }

    /// The frames of a line, 15 characters each.
    fn line(&mut self, text: &str) -> Vec<u8> {
        let characters: Vec<char> = text.chars().take(200).collect();
        let mut left = characters.len();
        let mut frames = Vec::new();
        for part in characters.chunks(15) {
            let number = padded(left.to_string().as_bytes());
            let text: String = part.iter().collect();
            frames.extend(self.frame(&number, &padded(text.as_bytes())));
            left -= part.len();
        }
        frames
    }

    fn frame(&mut self, first: &[u8], second: &[u8]) -> Vec<u8> {
        if !self.is_over && !self.junk && self.take(first, second).is_none() {
            self.is_over = true;
        }
        seal(&self.iv, first, second)
    }

    /// `None` for what no peer sends.
    fn take(&mut self, first: &[u8], second: &[u8]) -> Option<()> {
        let digits = str::from_utf8(unpadded(first)?).ok()?;
        let length: u64 = digits.parse().ok()?;
        let text = str::from_utf8(unpadded(second)?).ok()?;
        let count = text.chars().count() as u64;
        let is_plain = length > 0 && length.to_string() == digits;
        let continues = self.owed == 0 || self.owed == length;
        if !is_plain || !(1..=length.min(15)).contains(&count) || !continues {
            return None;
        }
        if length > self.longest {
            return None;
        }
        self.line.push_str(text);
        self.owed = length - count;
        if self.owed == 0 {
            let line = std::mem::take(&mut self.line);
            self.lines.push(line.into_bytes());
        }
        Some(())
    }
}

fn block(bytes: &[u8]) -> [u8; BLOCK] {
    let mut block = [9; BLOCK];
    block[..bytes.len()].copy_from_slice(bytes);
    block
}

/// PKCS #7.
fn padded(text: &[u8]) -> Vec<u8> {
    let pad = BLOCK - text.len() % BLOCK;
    let mut padded = text.to_vec();
    padded.resize(text.len() + pad, pad as u8);
    padded
}

fn unpadded(blocks: &[u8]) -> Option<&[u8]> {
    let pad = *blocks.last()?;
    let (text, padding) = blocks.split_at_checked(blocks.len() - usize::from(pad).min(BLOCK))?;
    let holds = (1..=16).contains(&pad) && padding.iter().all(|&byte| byte == pad);
    holds.then_some(text)
}

/// A frame of these plaintexts, whole blocks each.
fn seal(iv: &[u8; BLOCK], first: &[u8], second: &[u8]) -> Vec<u8> {
    let secrets = secrets();
    let (confkey, authkey) = (secrets.confkey.expose(), secrets.authkey.expose());
    let cipher = Sha256::digest(confkey);
    let mac = Sha256::digest([confkey, authkey].concat());
    let encrypt = |iv: &[u8], text: &[u8]| {
        let chain = cbc::Encryptor::<Aes256>::new_from_slices(&cipher, iv).expect("lengths");
        let mut blocks = text.to_vec();
        let len = blocks.len();
        chain
            .encrypt_padded::<NoPadding>(&mut blocks, len)
            .expect("whole blocks");
        blocks
    };
    let tag = |bytes: &[u8]| {
        let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&mac).expect("any key");
        mac.chain_update(bytes).finalize().into_bytes()
    };
    let head = [&iv[..], &encrypt(iv, first)].concat();
    let text = encrypt(&head[BLOCK..], second);
    [&head[..], &tag(&head), &text, &tag(&text)].concat()
}

/// Frames of any plaintexts, and other bytes, in pieces of any size.
pub(crate) fn run(input: &[u8]) {
    let mut script = Script::new(input);
    let longest = script.pick(&[1 << 20, 20]);
    let mut frames = Frames::new(0, longest);
    let mut bytes = Vec::new();
    let mut pieces = Vec::new();
    while !script.has_ended() {
        match script.byte() {
            0..200 => bytes.extend(frames.next(&mut script)),
            200..240 => pieces.push(usize::from(script.byte()) + 1),
            _ => {
                let junk = script.lump();
                frames.junk |= !junk.is_empty();
                bytes.extend(junk);
            }
        }
    }
    let mut conn = ClassicConnection::new(ClassicKeys::new(&secrets()), longest, Time::ZERO);
    let mut pieces = pieces.into_iter().chain(std::iter::repeat(400));
    let (mut kept, mut line, mut lines) = (Vec::new(), Vec::new(), Vec::new());
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(pieces.next().unwrap_or(1).min(rest.len()));
        kept.extend_from_slice(piece);
        rest = behind;
        while let Some(opened) = conn.open(Time::ZERO, &mut kept) {
            line.extend_from_slice(&kept[opened.text]);
            kept.drain(..opened.used);
            if opened.last {
                lines.push(std::mem::take(&mut line));
            }
        }
    }
    assert_eq!(lines, frames.lines);
    if frames.is_over {
        assert!(matches!(conn.outcome(), Some(Err(_))));
    } else if !frames.junk {
        assert_eq!((conn.outcome(), kept.len()), (None, 0));
        conn.end_of_stream(StreamEnd::Closed);
        let cut = conn.outcome().is_some_and(|outcome| outcome.is_err());
        assert_eq!(cut, frames.owed > 0);
    }
}
