//! Lines for people, on stderr, without ever waiting for it.
//!
//! The reader of stderr may stop reading. Then lines wait here, in bounded memory; those
//! that find no room are counted, and a line gives their number once stderr takes lines
//! again. Every line is [escaped](sealwire::text) as a whole, so that no name or text in
//! it drives a terminal or forges another line.
//!
//! It does not decide what to say, or how often. Read next: [`crate::report`], which does.

use std::fmt::Display;
use std::io::{self, Write as _, stderr};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use sealwire::net::descriptor::{Descriptor, Direction, wait_until_ready};
use sealwire::text::Escaped;

use crate::error::Error;
use crate::limits::{LOG_PIECE, LOG_WAITING};

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Something happened as it should.
    Info,
    /// The user may want to change something.
    Warn,
    /// Something failed.
    Error,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Info => " INFO",
            Self::Warn => " WARN",
            Self::Error => "ERROR",
        }
    }
}

/// Stderr, and the lines that it has not taken yet.
#[derive(Debug)]
pub struct Log {
    /// The program's own lines begin with its name.
    program: &'static str,
    /// Our own descriptor of stderr; without one, we use the shared one.
    own: Option<OwnedFd>,
    /// Writes return at once. Else one may block, so it needs a check for room first.
    at_once: bool,
    waiting: Vec<u8>,
    /// Lines that found no room.
    lost: u64,
    /// How many lost lines a line in `waiting` already reports.
    telling: u64,
}

impl Log {
    /// Lines of `program` go to this process's stderr; other programs see no change.
    pub fn to_stderr(program: &'static str) -> Self {
        match Descriptor::open(stderr().as_fd(), Direction::Out) {
            Ok(Descriptor::AlwaysReady(fd) | Descriptor::Polled(fd)) => {
                Self::to(program, Some(fd), true)
            }
            Ok(Descriptor::Blocking(fd)) => Self::to(program, Some(fd), false),
            // No descriptor is left, and the user must get that message.
            Err(_) => Self::to(program, None, false),
        }
    }

    fn to(program: &'static str, own: Option<OwnedFd>, at_once: bool) -> Self {
        Self {
            program,
            own,
            at_once,
            waiting: Vec::new(),
            lost: 0,
            telling: 0,
        }
    }

    /// Adds a line of this level.
    pub fn line(&mut self, level: Level, text: &dyn Display) {
        self.add(level.name(), text);
        self.flush();
    }

    /// [Adds](Self::line) a line of [`Level::Info`].
    pub fn info(&mut self, text: &dyn Display) {
        self.line(Level::Info, text);
    }

    /// [Adds](Self::line) a line of [`Level::Warn`].
    pub fn warn(&mut self, text: &dyn Display) {
        self.line(Level::Warn, text);
    }

    /// [Adds](Self::line) a line of [`Level::Error`].
    pub fn error(&mut self, text: &dyn Display) {
        self.line(Level::Error, text);
    }

    /// Adds a line without a level, behind the program's name, for what it says before
    /// it serves, or when it cannot.
    pub fn say(&mut self, text: &dyn Display) {
        self.add(&format!("{}:", self.program), text);
        self.flush();
    }

    /// [Says](Self::say) why the program ends. As other programs in a pipeline, it is
    /// silent where its reader has gone.
    pub fn say_why(&mut self, error: &Error) {
        if !matches!(error, Error::ReaderGone) {
            self.say(error);
        }
    }

    /// Whether stderr was full: then call [`flush`](Self::flush) again later.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Writes the lines that wait, as far as stderr takes them without waiting.
    pub fn flush(&mut self) {
        loop {
            if self.waiting.is_empty() {
                self.telling = std::mem::take(&mut self.lost);
                if self.telling == 0 {
                    return;
                }
                let text = format!("{} lines could not be written and are lost", self.telling);
                self.add(Level::Warn.name(), &text);
            }
            match self.write_piece() {
                Ok(count) => drop(self.waiting.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    // A full disk may have room later: count the lines for that time.
                    let lines = self.waiting.iter().filter(|&&byte| byte == b'\n').count();
                    self.lost += lines as u64 + self.telling.saturating_sub(1);
                    self.telling = 0;
                    return self.waiting.clear();
                }
            }
        }
    }

    /// Writes the lines that wait. Waits up to `at_most` for stderr to accept them.
    pub fn finish(&mut self, at_most: Duration) {
        let end = Instant::now() + at_most;
        loop {
            self.flush();
            let left = end.saturating_duration_since(Instant::now());
            if self.waiting.is_empty() || left.is_zero() || !self.has_room(left) {
                return;
            }
        }
    }

    fn add(&mut self, start: &str, text: &dyn Display) {
        let line = format!("{start} {}\n", Escaped(text.to_string().as_bytes()));
        if self.waiting.len() + line.len() > LOG_WAITING {
            self.lost += 1;
        } else {
            // Writing to a Vec does not fail.
            let _ = self.waiting.write_all(line.as_bytes());
        }
    }

    fn write_piece(&self) -> io::Result<usize> {
        let piece = &self.waiting[..self.waiting.len().min(LOG_PIECE)];
        if self.at_once || self.has_room(Duration::ZERO) {
            Ok(rustix::io::write(self.fd(), piece)?)
        } else {
            Err(io::ErrorKind::WouldBlock.into())
        }
    }

    /// Whether stderr takes some bytes, or tells an error, within `at_most`.
    fn has_room(&self, at_most: Duration) -> bool {
        wait_until_ready(self.fd(), Direction::Out, Some(at_most)).unwrap_or(false)
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.own
            .as_ref()
            .map_or(rustix::stdio::stderr(), OwnedFd::as_fd)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::Read;

    use rustix::pipe::{fcntl_getpipe_size, fcntl_setpipe_size};

    use super::*;

    /// Goal: a pipe without a reader holds up no caller and takes no memory without bound;
    /// what is lost is told once a reader comes. Method: a pipe of a page, many more lines
    /// than there is room for, then a reader.
    #[test]
    fn a_pipe_without_a_reader() {
        let (mut reader, writer) = io::pipe().unwrap();
        let _ = fcntl_setpipe_size(&writer, 4096);
        assert_eq!(fcntl_getpipe_size(&writer).unwrap(), 4096);
        let Descriptor::Polled(fd) = Descriptor::open(writer.as_fd(), Direction::Out).unwrap()
        else {
            panic!("a pipe can be polled");
        };
        drop(writer);
        let mut log = Log::to("sealwire", Some(fd), true);
        let lines = 10_000;
        for number in 0..lines {
            log.info(&format_args!("line {number} of many"));
        }
        assert!(log.waiting.len() <= LOG_WAITING);
        assert!(log.lost > 0 && log.is_waiting());
        let reading = std::thread::spawn(move || {
            let mut all = String::new();
            reader.read_to_string(&mut all).unwrap();
            all
        });
        while log.is_waiting() {
            log.finish(Duration::from_secs(60));
        }
        drop(log);
        let all = reading.join().unwrap();
        let told = all.lines().filter(|line| line.contains(" of many")).count() as u64;
        let last = format!(
            " WARN {} lines could not be written and are lost",
            lines - told
        );
        assert_eq!(all.lines().last(), Some(&last[..]));
    }
}
