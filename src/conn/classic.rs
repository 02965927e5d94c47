//! One peer that speaks the old program's format, without I/O
//! (`PROTOCOL.md` §2).
//!
//! Frames in, text out, and the other way round. There is no handshake, no
//! completion and no key per connection; a frame is opened at once, not in a
//! batch. The layout is [`crate::wire::classic`], ciphers and tags are
//! [`crate::crypto::classic`].

use std::ops::Range;
use std::sync::Arc;

use crate::conn::{Outcome, StreamEnd};
use crate::crypto::classic::ClassicKeys;
use crate::error::{Deadline, Failure, PeerFault};
use crate::limits::{
    BLOCK, CLASSIC_FRAME, CLASSIC_FRAME_DEADLINE, CLASSIC_TEXT, CLOSING_DEADLINE, MAX_CLASSIC_FRAME,
};
use crate::time::Time;
use crate::wire::classic::{self, LENGTH, LENGTH_TAG, TAG, TEXT, TEXT_LENS};

/// A frame that was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Bytes of the frame.
    pub used: usize,
    /// Where in the bytes given its text is.
    pub text: Range<usize>,
    /// A message ends with it.
    pub last: bool,
}

/// A frame on its way, and how much of it the socket has taken.
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
        // All but the bytes that continue one (RFC 3629 §3).
        let starts = line.iter().filter(|&&byte| byte & 0xc0 != 0x80);
        Self {
            bytes: line.len(),
            characters: starts.count(),
        }
    }
}

/// One classic connection.
#[derive(Debug)]
pub struct ClassicConnection {
    keys: Arc<ClassicKeys>,
    outcome: Option<Outcome>,
    over: bool,
    proved: bool,
    /// Characters that the message being received still lacks.
    owed: u64,
    max_message: u64,
    /// What no frame has carried yet of the line being sent.
    line: Line,
    frame: Option<Frame>,
    deaf: bool,
    finishing: bool,
    shut: bool,
    /// When the frame that is not whole yet began.
    partial: Option<Time>,
    heard: Time,
    reading: bool,
}

impl ClassicConnection {
    /// Either side; both start the same. A message of more than `max_message`
    /// characters is refused.
    pub fn new(keys: Arc<ClassicKeys>, max_message: usize, now: Time) -> Self {
        Self {
            keys,
            outcome: None,
            over: false,
            proved: false,
            owed: 0,
            max_message: max_message as u64,
            line: Line::default(),
            frame: None,
            deaf: false,
            finishing: false,
            shut: false,
            partial: None,
            heard: now,
            reading: true,
        }
    }

    /// Whether a frame has held: the other side has the keys.
    pub fn is_proved(&self) -> bool {
        self.proved
    }

    /// Whether the connection is to be closed now.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// How the connection ended, once that is known.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    // ---- receiving -------------------------------------------------------

    /// Says when the first bytes came, if some of a frame did before it was known
    /// that this is classic.
    pub fn frame_began(&mut self, at: Option<Time>) {
        self.partial = at;
    }

    /// Says that bytes came.
    pub fn heard(&mut self, now: Time) {
        self.heard = now;
    }

    /// Opens the frame at the start of `bytes`, in place; `None` while it is not
    /// whole, and once the connection is over.
    pub fn open(&mut self, now: Time, bytes: &mut [u8]) -> Option<Opened> {
        if self.over || bytes.is_empty() {
            return None;
        }
        match self.try_open(bytes) {
            Ok(Some(opened)) => {
                self.proved = true;
                self.partial = None;
                Some(opened)
            }
            Ok(None) => {
                self.partial.get_or_insert(now);
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
        let length = classic::parse_length(digits.ok_or(bad)?)?;
        let text = self
            .keys
            .decrypt(&text_iv, &mut bytes[TEXT..TEXT + text_len]);
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
        if !self
            .keys
            .holds(&bytes[..LENGTH_TAG], &bytes[LENGTH_TAG..TEXT])
        {
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

    /// Nothing more comes. Says whether that was a proper end, which stands for
    /// FIN.
    pub fn end_of_stream(&mut self, end: StreamEnd) -> bool {
        let whole = self.partial.is_none() && self.owed == 0;
        match end {
            StreamEnd::Broken(why) => self.end(Err(Failure::Truncated(why))),
            StreamEnd::Closed if !whole => {
                let why = "the peer closed it inside a message";
                self.end(Err(Failure::Truncated(why)));
            }
            StreamEnd::Closed if self.deaf || self.shut => self.end_properly(),
            StreamEnd::Closed => {
                self.outcome = Some(Ok(()));
                self.finishing = true;
            }
        }
        whole && end == StreamEnd::Closed
    }

    /// Over, unless something could not be written.
    fn end_properly(&mut self) {
        self.end(if self.deaf {
            Err(Failure::Truncated("writing to the peer failed"))
        } else {
            Ok(())
        });
    }

    /// The other side has ended, and there was more to say than what is queued.
    pub fn cut_short(&mut self) {
        let why = "the peer closed it before our input ended";
        self.outcome = Some(Err(Failure::Truncated(why)));
    }

    // ---- sending ---------------------------------------------------------

    /// Whether frames may be made.
    pub fn may_send(&self) -> bool {
        !self.over && !self.deaf && !self.shut
    }

    /// The frame that waits to be written, from the first byte not taken yet.
    pub fn frame(&self) -> Option<&[u8]> {
        self.frame.as_ref().map(|frame| &frame.bytes[frame.taken..])
    }

    /// How many bytes are left of the line that is being sent; none between lines.
    pub fn left_of_line(&self) -> usize {
        self.line.bytes
    }

    /// Makes the next frame of `line`, which is a whole line or what is left of
    /// it, and says how many bytes of it the frame carries. `iv` is random.
    ///
    /// # Panics
    ///
    /// If a frame still waits, or `line` does not begin with a character.
    pub fn seal(&mut self, line: &[u8], iv: [u8; BLOCK]) -> usize {
        assert!(self.frame.is_none(), "one frame at a time");
        if self.line.bytes == 0 {
            self.line = Line::new(line);
        }
        // Only as much as a frame may need is looked at: a line may be long.
        let near = &line[..self.line.bytes.min(CLASSIC_TEXT + 4)];
        let near = near.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        let text = classic::first_frame(near);
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

    /// The socket has taken `count` bytes of the frame.
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
        self.deaf = true;
        self.frame = None;
        if self.outcome.is_some() {
            self.end_properly();
        }
    }

    /// Our side has said all: behind what is queued, writing is shut down.
    pub fn finish(&mut self) {
        self.finishing = true;
    }

    /// Whether [`finish`](Self::finish) was called, or the other side has ended.
    pub fn is_finishing(&self) -> bool {
        self.finishing
    }

    /// Nothing is queued for this connection: says whether its end of the stream
    /// is to be shut down now; asked again, no.
    pub fn take_shutdown(&mut self, now: Time) -> bool {
        let due = self.finishing && !self.shut && !self.over && self.frame.is_none();
        if due {
            self.shut = true;
            self.heard = now;
            if self.outcome.is_some() {
                self.over = true;
            }
        }
        due
    }

    /// Ends without a word.
    pub fn fail(&mut self, failure: Failure) {
        self.end(Err(failure));
    }

    // ---- time ------------------------------------------------------------

    /// When [`handle_timeout`](Self::handle_timeout) is to be called.
    pub fn poll_timeout(&self) -> Option<Time> {
        if self.over || !self.reading {
            return None;
        }
        let frame = self.partial.map(|since| since + CLASSIC_FRAME_DEADLINE);
        let end = self.shut.then(|| self.heard + CLOSING_DEADLINE);
        frame.into_iter().chain(end).min()
    }

    /// Does what is due. `unread` says that bytes of the other side wait which have
    /// not been given yet: then its deadlines do.
    pub fn handle_timeout(&mut self, now: Time, unread: bool) {
        if unread || self.poll_timeout().is_none_or(|due| now < due) {
            return;
        }
        if self.partial.is_some() {
            self.end(Err(Failure::Deadline(Deadline::Frame)));
        } else if self.owed > 0 {
            self.end(Err(Failure::Truncated(
                "the peer fell silent inside a message",
            )));
        } else {
            self.end_properly();
        }
    }

    /// Says whether the driver reads from this peer; the clocks stand still while
    /// it does not, and start anew when it does.
    pub fn set_reading(&mut self, now: Time, reading: bool) {
        if reading && !self.reading {
            self.heard = now;
            self.partial = self.partial.map(|_| now);
        }
        self.reading = reading;
    }

    fn end(&mut self, outcome: Outcome) {
        if self.outcome.is_none() || outcome.is_err() {
            self.outcome = Some(outcome);
        }
        self.over = true;
    }
}

fn block(bytes: &[u8]) -> [u8; BLOCK] {
    bytes.try_into().expect("a block")
}

const _: () = assert!(MAX_CLASSIC_FRAME == TEXT + TEXT_LENS[3] + TAG);
