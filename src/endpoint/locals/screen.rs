//! What peers send, in a form that is safe for a terminal.
//!
//! A peer must not control the terminal of another person: it could clear the screen,
//! fill the clipboard, or write lines that look like another peer's or like messages of
//! this program. So each line starts with the peer's name, and each write ends at the
//! end of a line. Anything but plain text is [escaped](crate::text), just before it is
//! written, so that the queue stays as small as what came. A pipe or a file gets the
//! bytes as they are.

use std::collections::VecDeque;
use std::io::Write as _;
use std::sync::Arc;

use crate::limits::{QUEUED_ITEM, SCREEN_PIECE};
use crate::text::Escaped;

/// A terminal's side of a local's queue.
#[derive(Debug, Default)]
pub(super) struct Screen {
    /// The messages that wait: where each begins among all bytes ever queued, and the
    /// name of the peer that sent it.
    messages: VecDeque<(u64, Arc<str>)>,
    /// A piece of the first of them, as it is shown.
    shown: Vec<u8>,
    /// How many bytes of the queue that is.
    covers: usize,
    /// The terminal has accepted a part of it.
    torn: bool,
}

impl Screen {
    /// The next message begins behind the first `at` bytes ever queued, and `name` sent it.
    pub(super) fn begin(&mut self, at: u64, name: Arc<str>) {
        self.messages.push_back((at, name));
    }

    /// Memory that it takes in addition to the queue's.
    pub(super) fn cost(&self) -> usize {
        self.messages.len() * QUEUED_ITEM
    }

    /// What goes to the terminal next: whole lines. `waiting` is the queue, which holds the
    /// bytes from `done` to `queued` of all bytes ever queued.
    pub(super) fn piece<'a>(
        &mut self,
        done: u64,
        queued: u64,
        waiting: impl Iterator<Item = &'a [u8]>,
    ) -> &[u8] {
        if self.shown.is_empty() {
            while self.messages.get(1).is_some_and(|next| next.0 <= done) {
                self.messages.pop_front();
            }
            let end = self.messages.get(1).map_or(queued, |next| next.0);
            let bytes = next_piece(waiting, (end - done) as usize);
            self.covers = bytes.len();
            let name = self.name();
            for line in bytes.split_inclusive(|&byte| byte == b'\n') {
                let text = line.strip_suffix(b"\n").unwrap_or(line);
                let text = text.strip_suffix(b"\r").unwrap_or(text);
                let (by, text) = (Escaped(name.as_bytes()), Escaped(text));
                // Writing to a Vec does not fail.
                let _ = writeln!(self.shown, "<{by}> {text}");
            }
        } else if std::mem::take(&mut self.torn) {
            // Something else may have been written since, so the rest becomes a line of
            // its own, behind the rest of a character.
            let rest = std::mem::take(&mut self.shown);
            let (of_character, rest) = rest.split_at(rest_of_character(&rest));
            let name = self.name();
            self.shown.extend_from_slice(of_character);
            let _ = write!(self.shown, "\n<{}> ", Escaped(name.as_bytes()));
            self.shown.extend_from_slice(rest);
        }
        &self.shown
    }

    /// The terminal has accepted `count` bytes of the piece. Returns how many bytes of the
    /// queue are done with.
    pub(super) fn written(&mut self, count: usize) -> usize {
        self.shown.drain(..count);
        self.torn = !self.shown.is_empty();
        match self.torn {
            true => 0,
            false => std::mem::take(&mut self.covers),
        }
    }

    fn name(&self) -> Arc<str> {
        let first = self.messages.front();
        first.map_or_else(|| "a peer".into(), |(_, name)| Arc::clone(name))
    }
}

/// How many of these bytes, which are the rest of a text, end a character that began before them.
fn rest_of_character(text: &[u8]) -> usize {
    let continues = |&&byte: &&u8| byte & 0b1100_0000 == 0b1000_0000;
    text.iter().take_while(continues).count()
}

/// The first bytes of a message that has `left` bytes waiting: at most a piece, and no part
/// of a character unless the message ends with it.
fn next_piece<'a>(waiting: impl Iterator<Item = &'a [u8]>, left: usize) -> Vec<u8> {
    let most = left.min(SCREEN_PIECE);
    let mut bytes = Vec::with_capacity(most);
    for part in waiting {
        bytes.extend_from_slice(&part[..part.len().min(most - bytes.len())]);
        if bytes.len() == most {
            break;
        }
    }
    if bytes.len() < left {
        let last = bytes.utf8_chunks().last();
        let cut = last.map_or(0, |last| last.invalid().len());
        bytes.truncate(bytes.len() - cut.min(bytes.len() - 1));
    }
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::text::is_visible;

    /// What a terminal shows that accepts `at_once` bytes at a time, with lines of
    /// `others` in between or not.
    fn shown(said: &[(&str, &[u8])], at_once: usize, others: bool) -> String {
        let mut screen = Screen::default();
        let (mut queue, mut done) = (Vec::new(), 0);
        for (name, bytes) in said {
            screen.begin(queue.len() as u64, (*name).into());
            queue.extend_from_slice(bytes);
        }
        let mut terminal = Vec::new();
        while done < queue.len() {
            // In parts, as a queue has it.
            let waiting = queue[done..].chunks(5);
            let piece = screen.piece(done as u64, queue.len() as u64, waiting);
            let count = piece.len().min(at_once);
            terminal.extend_from_slice(&piece[..count]);
            done += screen.written(count);
            if others {
                terminal.extend_from_slice(b" INFO x came\n");
            }
        }
        match others {
            true => String::from_utf8_lossy(&terminal).into_owned(),
            // Nothing but its own lines can tear a character.
            false => String::from_utf8(terminal).expect("whole characters"),
        }
    }

    /// Goal: every line names its peer, however it comes, and is a line of its own.
    /// Method: lines, parts of lines, an empty line, peers in turns, line ends of other
    /// systems, a character that two pieces would share.
    #[test]
    fn lines_are_marked() {
        let all = |said: &[(&str, &[u8])]| shown(said, usize::MAX, false);
        assert_eq!(all(&[("ann", b"a\n\nb\n")]), "<ann> a\n<ann> \n<ann> b\n");
        assert_eq!(all(&[("ann", b"a"), ("ann", b"b\n")]), "<ann> a\n<ann> b\n");
        let two = all(&[("ann", b"a"), ("bob", b"b\n"), ("ann", b"c\r\n")]);
        assert_eq!(two, "<ann> a\n<bob> b\n<ann> c\n");
        assert_eq!(all(&[("a\n<b>", b"x\n")]), "<a\\u{a}<b>> x\n");
        let long = [vec![b'x'; SCREEN_PIECE - 2], "🦀\n".into()].concat();
        let start = format!("<ann> {}\n", "x".repeat(SCREEN_PIECE - 2));
        assert_eq!(all(&[("ann", &long)]), start + "<ann> 🦀\n");
        assert_eq!(
            all(&[("ann", b"\xf0\x9f"), ("bob", b"x")]),
            "<ann> \\xf0\\x9f\n<bob> x\n"
        );
    }

    /// Goal: a line that the terminal accepts in two parts goes on as a marked line,
    /// because another line may have come between. Method: a few bytes at a time, and
    /// other lines in between.
    #[test]
    fn a_torn_line_is_marked_again() {
        let seen = shown(&[("ann", b"hello there\n")], 8, true);
        let lines = "<ann> he INFO x came\n\n<ann> l INFO x came\n\n<ann> l";
        assert!(seen.starts_with(lines), "{seen:?}");
    }

    /// Goal: a character that the terminal accepts in two parts is not torn by the mark of the line
    /// that follows. Method: characters of one to four bytes, so many bytes at a time.
    #[test]
    fn a_torn_character_is_whole() {
        let said = "aü世🦀ü世🦀\n";
        let long = |text: &str| text.chars().filter(|c| !c.is_ascii()).collect::<String>();
        for at_once in 9..20 {
            let seen = shown(&[("ann", said.as_bytes())], at_once, false);
            assert_eq!(long(&seen), long(said), "{at_once}: {seen:?}");
        }
    }

    proptest! {
        /// Goal: nothing but plain text in marked lines comes through, and all of it.
        /// Method: any bytes from two peers, in any pieces.
        #[test]
        fn harmless(said: Vec<(bool, Vec<u8>)>) {
            let named = said.iter().filter(|(_, bytes)| !bytes.is_empty());
            let named: Vec<_> = named
                .map(|(ann, bytes)| (if *ann { "ann" } else { "bob" }, &bytes[..]))
                .collect();
            let seen = shown(&named, usize::MAX, false);
            for line in seen.lines() {
                prop_assert!(line.starts_with("<ann> ") || line.starts_with("<bob> "), "{seen:?}");
                prop_assert!(line.chars().all(|c| is_visible(c) || c == '\t'), "{line:?}");
            }
            let letters = |text: &[u8]| text.iter().filter(|byte| **byte == b'q').count();
            let said: usize = named.iter().map(|(_, bytes)| letters(bytes)).sum();
            prop_assert_eq!(letters(seen.as_bytes()), said);
        }
    }
}
