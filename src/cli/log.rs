//! Lines for people or for programs, on stderr, without ever waiting for it.
//!
//! The reader of stderr may stop reading. Then lines wait here, in bounded memory; those
//! that find no room are counted, and a line gives their number once stderr takes lines
//! again. Every line is [escaped](sealwire::text) as a whole, so that no name or text in
//! it drives a terminal or forges another line.
//!
//! It does not decide what to say, or how often. Read next: [`crate::report`], which does.

use std::fmt::{Display, Write as _};
use std::io::{self, stderr};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use sealwire::net::descriptor::{Descriptor, Direction, wait_until_ready};
use sealwire::text::Escaped;

use crate::date;
use crate::error::Error;
use crate::limits::{LOG_PIECE, LOG_WAITING};

/// How much a line matters, most first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Level {
    /// Something failed.
    Error,
    /// The user may want to change something.
    Warn,
    /// Something happened as it should.
    #[default]
    Info,
    /// What a person wants to know who looks for a fault.
    Debug,
}

impl Level {
    /// As text has it, and as JSON does.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Error => ("ERROR", "error"),
            Self::Warn => (" WARN", "warn"),
            Self::Info => (" INFO", "info"),
            Self::Debug => ("DEBUG", "debug"),
        }
    }
}

/// What lines look like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// The level, and the text.
    #[default]
    Text,
    /// An object in each line.
    Json,
}

/// What a log is like.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shape {
    /// What its lines look like.
    pub form: Form,
    /// The last level that it has.
    pub least: Level,
}

/// What a line is about, for programs that search lines of JSON: a name and a value, which is
/// left out if it is empty. The text says the same.
pub type Field<'a> = (&'static str, &'a dyn Display);

/// Stderr, and the lines that it has not taken yet.
#[derive(Debug)]
pub struct Log {
    /// The program's own lines begin with its name.
    program: &'static str,
    shape: Shape,
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
            shape: Shape::default(),
            own,
            at_once,
            waiting: Vec::new(),
            lost: 0,
            telling: 0,
        }
    }

    /// Lines are of this shape from now on.
    pub fn set_shape(&mut self, shape: Shape) {
        self.shape = shape;
    }

    /// Whether it has lines of this level.
    pub fn has(&self, level: Level) -> bool {
        level <= self.shape.least
    }

    /// Adds a line of this level, if it has such lines. It is about `fields`.
    pub fn line(&mut self, level: Level, text: &dyn Display, fields: &[Field<'_>]) {
        if self.has(level) {
            self.add(Some(level), text, fields);
            self.flush();
        }
    }

    /// [Adds](Self::line) a line of [`Level::Info`].
    pub fn info(&mut self, text: &dyn Display) {
        self.line(Level::Info, text, &[]);
    }

    /// [Adds](Self::line) a line of [`Level::Warn`].
    pub fn warn(&mut self, text: &dyn Display) {
        self.line(Level::Warn, text, &[]);
    }

    /// [Adds](Self::line) a line of [`Level::Error`].
    pub fn error(&mut self, text: &dyn Display) {
        self.line(Level::Error, text, &[]);
    }

    /// Adds a line without a level, behind the program's name, for what it says before
    /// it serves, or when it cannot. It comes at any level; an object says that it is an error.
    pub fn say(&mut self, text: &dyn Display) {
        self.add(None, text, &[]);
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
                self.add(Some(Level::Warn), &text, &[]);
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

    fn add(&mut self, level: Option<Level>, text: &dyn Display, fields: &[Field<'_>]) {
        let line = match (self.shape.form, level) {
            (Form::Json, level) => object(level.unwrap_or(Level::Error), text, fields),
            (Form::Text, Some(level)) => format!("{} {}\n", level.names().0, visible(text)),
            (Form::Text, None) => format!("{}: {}\n", self.program, visible(text)),
        };
        if self.waiting.len() + line.len() > LOG_WAITING {
            self.lost += 1;
        } else {
            self.waiting.extend_from_slice(line.as_bytes());
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

/// A line that is an object of JSON: when it was made, and what it says.
fn object(level: Level, text: &dyn Display, fields: &[Field<'_>]) -> String {
    let (_, level) = level.names();
    let mut line = format!(r#"{{"time":"{}","level":"{level}""#, date::now());
    for (name, value) in [("message", text)].iter().chain(fields) {
        let value = visible(value);
        if value.is_empty() {
            continue;
        }
        // What is visible needs no other escape.
        let value = value.replace('\\', r"\\").replace('"', "\\\"");
        // Writing to a string cannot fail.
        let _ = write!(line, r#","{name}":"{}""#, value.replace('\t', r"\t"));
    }
    line + "}\n"
}

/// The text of a value, [escaped](Escaped).
fn visible(value: &dyn Display) -> String {
    Escaped(value.to_string().as_bytes()).to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::Read;

    use rustix::pipe::{fcntl_getpipe_size, fcntl_setpipe_size};

    use super::*;

    /// What `log` has written to a pipe.
    fn written(shape: Shape, write: impl FnOnce(&mut Log)) -> String {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut log = Log::to("sealwire", Some(writer.into()), true);
        log.set_shape(shape);
        write(&mut log);
        drop(log);
        let mut all = String::new();
        reader.read_to_string(&mut all).unwrap();
        all
    }

    /// Goal: an object has what the text has, and its fields, whatever is in them; a level
    /// leaves out those below it, but not why a program ends. Method: the same lines in both
    /// forms, at each level.
    #[test]
    fn an_object_has_what_the_text_has() {
        let evil = "a\"b\\c\td\u{1b}[2J\u{202e}\ne";
        let levels = [Level::Error, Level::Warn, Level::Info, Level::Debug];
        for (at, least) in levels.into_iter().enumerate() {
            let write = |log: &mut Log| {
                for level in levels {
                    log.line(level, &evil, &[("peer", &evil)]);
                }
                log.say(&evil);
            };
            let of = |form| written(Shape { form, least }, write);
            let (text, json) = (of(Form::Text), of(Form::Json));
            assert_eq!(text.lines().count(), at + 2, "{text}");
            assert_eq!(json.lines().count(), at + 2, "{json}");
            for (text, json) in text.lines().zip(json.lines()) {
                let object: serde_json::Value = serde_json::from_str(json).unwrap();
                let message = object["message"].as_str().unwrap();
                let level = object["level"].as_str().unwrap().to_uppercase();
                let said = format!("{level:>5} {message}");
                assert!(
                    text == said || text == format!("sealwire: {message}"),
                    "{text}"
                );
                if object.get("peer").is_some() {
                    assert_eq!(object["peer"], message);
                }
                let time = object["time"].as_str().unwrap();
                assert!(time.starts_with("20") && time.ends_with('Z'), "{time}");
            }
        }
    }

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
