//! One peer that speaks the old program's format, without I/O
//! (`PROTOCOL.md` §2).
//!
//! It turns frames into text, and text into frames. The format has no handshake, no
//! completion and no key per connection. A frame is opened at once, not in a batch.
//! Read next: [`frame`] for the layout, `keys` for the ciphers and tags.
//!
//! All of the format is in this folder; [`crate::endpoint`] knows that classic peers exist,
//! and where they differ. Without the feature `classic` there are no keys for the format,
//! and so no connections.

pub mod frame;
#[cfg_attr(not(feature = "classic"), path = "no_keys.rs")]
mod keys;

use std::ops::Range;
use std::sync::Arc;

use crate::conn::clocks::Hearing;
use crate::conn::{Outcome, StreamEnd};
use crate::error::{Deadline, Failure, PeerFault};
use crate::limits::{
    BLOCK, CLASSIC_FRAME, CLASSIC_FRAME_DEADLINE, CLASSIC_TEXT, CLOSING_DEADLINE, MAX_CLASSIC_FRAME,
};
use crate::time::Time;
use crate::wire::buffer::erase;
use frame::{LENGTH, LENGTH_TAG, TAG, TEXT, TEXT_LENS};

pub use keys::ClassicKeys;

/// A frame that was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Bytes of the frame.
    pub used: usize,
    /// Where in the given bytes its text is.
    pub text: Range<usize>,
    /// The frame ends a message.
    pub last: bool,
}

/// A frame on its way, and how much of it the socket has accepted.
#[derive(Debug)]
struct Frame {
    bytes: Box<[u8; CLASSIC_FRAME]>,
    taken: usize,
}

/// A part of a line.
#[derive(Debug, Clone, Copy, Default)]
struct Line {
    bytes: usize,
    characters: usize,
}

impl Line {
    fn new(line: &[u8]) -> Self {
        // All bytes but those that continue a character (RFC 3629 §3).
        let starts = line.iter().filter(|&&byte| byte & 0xc0 != 0x80);
        Self {
            bytes: line.len(),
            characters: starts.count(),
        }
    }
}

/// Where a connection stands.
#[derive(Debug)]
enum State {
    /// No frame has authenticated yet.
    Unproved,
    /// A frame has authenticated: the peer holds the keys.
    Proved,
    /// The peer has ended its stream. What is queued for it still goes out.
    PeerEnded(Outcome),
    /// It ended; the driver closes it.
    Over(Outcome),
}

/// How far our side has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sending {
    Open,
    /// Nothing follows what is queued.
    Finishing,
    /// Our end of the stream is shut down.
    ShutDown,
}

/// One classic connection.
///
/// To drive it: say what was [heard](Self::heard), [`open`](Self::open) frame after
/// frame, [`seal`](Self::seal) one frame at a time and say what of it was
/// [`taken`](Self::taken); after any call look at
/// [`poll_timeout`](Self::poll_timeout), [`take_shutdown`](Self::take_shutdown) and
/// [`is_over`](Self::is_over).
#[derive(Debug)]
pub struct ClassicConnection {
    keys: keys::Held,
    state: State,
    sending: Sending,
    write_failed: bool,
    /// Characters that the message being received still lacks.
    owed: u64,
    max_message: u64,
    /// The rest of the line being sent, which no frame has carried yet.
    line: Line,
    frame: Option<Frame>,
    hearing: Hearing,
}

impl ClassicConnection {
    /// Either side; both start the same. A message of more than `max_message`
    /// characters is refused.
    pub fn new(keys: Arc<ClassicKeys>, max_message: usize, now: Time) -> Self {
        Self {
            state: State::Unproved,
            sending: Sending::Open,
            write_failed: false,
            owed: 0,
            max_message: max_message as u64,
            line: Line::default(),
            frame: None,
            hearing: Hearing::new(now),
            keys: keys.held(),
        }
    }

    /// Whether a frame has authenticated, and the stream goes on.
    pub fn is_proved(&self) -> bool {
        matches!(self.state, State::Proved)
    }

    /// Whether to close the connection now.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over(_))
    }

    /// How the connection ended, once that is known.
    pub fn outcome(&self) -> Option<&Outcome> {
        match &self.state {
            State::Unproved | State::Proved => None,
            State::PeerEnded(outcome) | State::Over(outcome) => Some(outcome),
        }
    }

    // ---- receiving -------------------------------------------------------

    /// Sets when the first bytes of a frame came, if some came before the format was
    /// decided.
    #[must_use]
    pub fn frame_began(mut self, at: Option<Time>) -> Self {
        self.hearing.partial = at;
        self
    }

    /// Tells the clocks that bytes came.
    pub fn heard(&mut self, now: Time) {
        self.hearing.heard = now;
    }

    /// When the last bytes came.
    pub fn heard_at(&self) -> Time {
        self.hearing.heard
    }

    /// Opens the frame at the start of `bytes`, in place; `None` while it is not
    /// whole, and once the connection is over.
    pub fn open(&mut self, now: Time, bytes: &mut [u8]) -> Option<Opened> {
        if self.is_over() || bytes.is_empty() {
            return None;
        }
        match self.try_open(bytes) {
            Ok(Some(opened)) => {
                if matches!(self.state, State::Unproved) {
                    self.state = State::Proved;
                }
                self.hearing.partial = None;
                Some(opened)
            }
            Ok(None) => {
                self.hearing.partial.get_or_insert(now);
                None
            }
            Err(fault) => {
                self.end(Err(fault.into()));
                None
            }
        }
    }

    fn try_open(&mut self, bytes: &mut [u8]) -> Result<Option<Opened>, PeerFault> {
        let Some(text_len) = self.check_tags(bytes)? else {
            return Ok(None);
        };
        let used = TEXT + text_len + TAG;
        let iv: [u8; BLOCK] = block(&bytes[..LENGTH]);
        let text_iv = block(&bytes[LENGTH..LENGTH_TAG]);
        let bad = PeerFault::ClassicFrame;

        let digits = self.keys.decrypt(&iv, &mut bytes[LENGTH..LENGTH_TAG]);
        let length = frame::parse_length(digits.ok_or(bad)?)?;
        let text = &mut bytes[TEXT..TEXT + text_len];
        let text = self.keys.decrypt(&text_iv, text);
        let text = str::from_utf8(text.ok_or(bad)?).map_err(|_| bad)?;
        let count = text.chars().count() as u64;

        let continues = self.owed == 0 || self.owed == length;
        if count == 0 || count > CLASSIC_TEXT as u64 || count > length || !continues {
            return Err(bad);
        }
        if length > self.max_message {
            return Err(PeerFault::ClassicLength);
        }
        self.owed = length - count;
        Ok(Some(Opened {
            used,
            text: TEXT..TEXT + text.len(),
            last: self.owed == 0,
        }))
    }

    /// How long the text's ciphertext is: the shortest whose tag holds. Nothing is
    /// decrypted before both tags have held.
    fn check_tags(&self, bytes: &[u8]) -> Result<Option<usize>, PeerFault> {
        if bytes.len() < TEXT {
            return Ok(None);
        }
        let (head, tag) = bytes[..TEXT].split_at(LENGTH_TAG);
        if !self.keys.holds(head, tag) {
            return Err(PeerFault::ClassicFrame);
        }
        for len in TEXT_LENS {
            let Some(tag) = bytes.get(TEXT + len..TEXT + len + TAG) else {
                return Ok(None);
            };
            if self.keys.holds(&bytes[TEXT..TEXT + len], tag) {
                return Ok(Some(len));
            }
        }
        Err(PeerFault::ClassicFrame)
    }

    /// The stream has ended. Returns whether that was a proper end, which stands for FIN.
    pub fn end_of_stream(&mut self, end: StreamEnd) -> bool {
        if self.is_over() {
            return false;
        }
        let whole = self.hearing.partial.is_none() && self.owed == 0;
        let closed = end == StreamEnd::Closed;
        match end {
            StreamEnd::Broken(error) => self.end(Err(Failure::Broken(error))),
            StreamEnd::Closed if !whole => {
                let why = "the peer closed it inside a message";
                self.end(Err(Failure::Truncated(why)));
            }
            StreamEnd::Closed if self.write_failed || self.sending == Sending::ShutDown => {
                self.end_properly();
            }
            StreamEnd::Closed => {
                self.state = State::PeerEnded(Ok(()));
                self.finish();
            }
        }
        whole && closed
    }

    /// Over, unless something could not be written.
    fn end_properly(&mut self) {
        self.end(if self.write_failed {
            Err(Failure::Truncated("writing to the peer failed"))
        } else {
            Ok(())
        });
    }

    /// The peer has ended, and more was to be sent than what is queued.
    pub fn cut_short(&mut self) {
        if let State::PeerEnded(outcome) | State::Over(outcome) = &mut self.state {
            let why = "the peer closed it before our input ended";
            *outcome = Err(Failure::Truncated(why));
        }
    }

    // ---- sending ---------------------------------------------------------

    /// Whether frames may be made.
    pub fn may_send(&self) -> bool {
        !self.is_over() && !self.write_failed && self.sending != Sending::ShutDown
    }

    /// The frame that waits for the socket, from the first byte that it has not
    /// accepted.
    pub fn frame(&self) -> Option<&[u8]> {
        self.frame.as_ref().map(|frame| &frame.bytes[frame.taken..])
    }

    /// What the next frame is made of, where `text` follows what frames have carried:
    /// what is left of the line being sent, or else the first line with its newline.
    pub fn next_line<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        let end = match self.line.bytes {
            0 => match text.iter().position(|&byte| byte == b'\n') {
                Some(newline) => newline + 1,
                None => text.len(),
            },
            left => left,
        };
        &text[..end]
    }

    /// Makes the next frame of `line`, which is a whole line or what is left of
    /// [one](Self::next_line). Returns how many bytes of it the frame carries. `iv` is
    /// random.
    ///
    /// # Panics
    ///
    /// If a frame still waits, or `line` does not begin with a character.
    pub fn seal(&mut self, line: &[u8], iv: [u8; BLOCK]) -> usize {
        assert!(self.frame.is_none(), "one frame at a time");
        if self.line.bytes == 0 {
            self.line = Line::new(line);
        }
        // A line may be long, so this looks only at what one frame can carry.
        let near = &line[..self.line.bytes.min(CLASSIC_TEXT + 4)];
        let near = near.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        let text = frame::first_frame(near);
        assert!(!text.is_empty(), "a frame carries text");
        let mut bytes = Box::new([0; CLASSIC_FRAME]);
        let (head, tail) = bytes.split_at_mut(TEXT);
        head[..LENGTH].copy_from_slice(&iv);
        let mut ciphertext = [0; BLOCK];
        let length = self.line.characters.to_string();
        self.keys.encrypt(&iv, length.as_bytes(), &mut ciphertext);
        head[LENGTH..LENGTH_TAG].copy_from_slice(&ciphertext);
        let tag = self.keys.tag(&head[..LENGTH_TAG]);
        head[LENGTH_TAG..].copy_from_slice(&tag);
        let chain = ciphertext;
        self.keys.encrypt(&chain, text.as_bytes(), &mut ciphertext);
        tail[..BLOCK].copy_from_slice(&ciphertext);
        tail[BLOCK..].copy_from_slice(&self.keys.tag(&ciphertext));
        self.line.bytes -= text.len();
        self.line.characters -= text.chars().count();
        self.frame = Some(Frame { bytes, taken: 0 });
        text.len()
    }

    /// The socket has accepted `count` bytes of the frame.
    pub fn taken(&mut self, count: usize) {
        if let Some(frame) = &mut self.frame {
            frame.taken += count;
            if frame.taken == frame.bytes.len() {
                self.frame = None;
            }
        }
    }

    /// Writing failed: from now on only reading decides how this ends.
    pub fn write_failed(&mut self) {
        self.write_failed = true;
        self.frame = None;
        if self.outcome().is_some() {
            self.end_properly();
        }
    }

    /// Our side has nothing more to send: writing is shut down behind what is queued.
    pub fn finish(&mut self) {
        if self.sending == Sending::Open {
            self.sending = Sending::Finishing;
        }
    }

    /// Whether [`finish`](Self::finish) was called, or the peer has ended.
    pub fn is_finishing(&self) -> bool {
        self.sending != Sending::Open
    }

    /// Whether to shut down our end of the stream now; a second call says no. Call it only
    /// when nothing is queued for this connection.
    pub fn take_shutdown(&mut self, now: Time) -> bool {
        let due = self.sending == Sending::Finishing && !self.is_over() && self.frame.is_none();
        if due {
            self.sending = Sending::ShutDown;
            self.hearing.heard = now;
            if self.outcome().is_some() {
                self.end(Ok(()));
            }
        }
        due
    }

    /// Ends at once: the format has no ABORT.
    pub fn fail(&mut self, failure: Failure) {
        self.end(Err(failure));
    }

    // ---- time ------------------------------------------------------------

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Time> {
        if self.is_over() || !self.hearing.reading {
            return None;
        }
        let since = self.hearing.partial;
        let frame = since.map(|since| since + CLASSIC_FRAME_DEADLINE);
        let is_shut = self.sending == Sending::ShutDown;
        let end = is_shut.then(|| self.hearing.heard + CLOSING_DEADLINE);
        frame.into_iter().chain(end).min()
    }

    /// Does what is due. No deadline of the peer expires while its bytes wait `unread`.
    pub fn handle_timeout(&mut self, now: Time, unread: bool) {
        if unread || self.poll_timeout().is_none_or(|due| now < due) {
            return;
        }
        if self.hearing.partial.is_some() {
            self.end(Err(Failure::Deadline(Deadline::Frame)));
        } else if self.owed > 0 {
            let why = "the peer fell silent inside a message";
            self.end(Err(Failure::Truncated(why)));
        } else {
            self.end_properly();
        }
    }

    /// Tells the connection whether the driver reads from this peer.
    pub fn set_reading(&mut self, now: Time, reading: bool) {
        self.hearing.set_reading(now, reading);
    }

    /// Over; a failure replaces a proper end that was known before.
    fn end(&mut self, outcome: Outcome) {
        let outcome = match self.outcome() {
            Some(known) if outcome.is_ok() => known.clone(),
            _ => outcome,
        };
        self.state = State::Over(outcome);
    }
}

/// A message as a classic peer gets it: text that ends with a newline, without the bytes
/// that are not UTF-8. Returns it, and how many bytes were left out.
pub fn as_text(message: Vec<u8>) -> (Vec<u8>, usize) {
    let before = message.len();
    let mut text = String::from_utf8(message).unwrap_or_else(|error| {
        let mut bytes = error.into_bytes();
        let text = bytes.utf8_chunks().map(|chunk| chunk.valid()).collect();
        erase(&mut bytes);
        text
    });
    let left_out = before - text.len();
    if !text.ends_with('\n') {
        text.push('\n');
    }
    (text.into_bytes(), left_out)
}

fn block(bytes: &[u8]) -> [u8; BLOCK] {
    bytes.try_into().expect("a block")
}

const _: () = assert!(MAX_CLASSIC_FRAME == TEXT + TEXT_LENS[3] + TAG);

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: any bytes become text that ends with one newline, and what is left out is
    /// counted. Method: text, with and without its newline; bytes at the start, inside and
    /// at the end that are no character or only a part of one.
    #[test]
    fn messages_become_text() {
        for (message, text, left_out) in [
            (&b""[..], "\n", 0),
            (b"one\ntwo", "one\ntwo\n", 0),
            ("é雪\n".as_bytes(), "é雪\n", 0),
            (b"\xffa\xc3b\xe9\x9b\n", "ab\n", 4),
            (b"a\n\xf0\x9f\x98", "a\n", 3),
            (b"\x80", "\n", 1),
        ] {
            let expected = (text.as_bytes().to_vec(), left_out);
            assert_eq!(as_text(message.to_vec()), expected, "{message:?}");
        }
    }
}
