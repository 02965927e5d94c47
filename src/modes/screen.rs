//! What peers say, as a terminal may show it.
//!
//! A peer is not trusted with somebody's terminal: it could clear the screen, fill
//! the clipboard, or write lines that look like another peer's or like messages of
//! this program. So each line begins with the name of the peer that says it, and
//! what is not plain text is [escaped](crate::text). A pipe or a file gets the bytes
//! as they are; that is [`super::chat`]'s choice.

use std::fmt::Write as _;

use crate::endpoint::transport::PeerId;
use crate::text::Escaped;

/// The line that is being written, if it has not ended.
#[derive(Debug, Clone, Default)]
pub struct Screen {
    open: Option<Line>,
}

#[derive(Debug, Clone)]
struct Line {
    peer: PeerId,
    /// The first bytes of a character whose last ones have not come yet.
    cut: Vec<u8>,
}

impl Screen {
    /// Adds to `shown` what `peer`, which is called `name`, says next.
    ///
    /// A line may come in parts. If another peer speaks in between, it is broken.
    pub fn show(&mut self, peer: PeerId, name: &str, said: &[u8], shown: &mut String) {
        for piece in said.split_inclusive(|&byte| byte == b'\n') {
            let mut line = self.line_of(peer, name, shown);
            let mut bytes = std::mem::take(&mut line.cut);
            match piece.strip_suffix(b"\n") {
                Some(rest) => {
                    bytes.extend_from_slice(rest);
                    let text = bytes.strip_suffix(b"\r").unwrap_or(&bytes);
                    push(text, shown);
                    shown.push('\n');
                }
                None => {
                    bytes.extend_from_slice(piece);
                    line.cut = bytes.split_off(whole(&bytes));
                    push(&bytes, shown);
                    self.open = Some(line);
                }
            }
        }
    }

    /// Adds what `peer` has left unfinished: it has said all.
    pub fn end(&mut self, peer: PeerId, shown: &mut String) {
        if let Some(open) = self.open.as_mut().filter(|open| open.peer == peer) {
            push(&std::mem::take(&mut open.cut), shown);
        }
    }

    /// The open line, if it is of `peer`, else a new one.
    fn line_of(&mut self, peer: PeerId, name: &str, shown: &mut String) -> Line {
        if let Some(open) = self.open.take() {
            if open.peer == peer {
                return open;
            }
            push(&open.cut, shown);
            shown.push('\n');
        }
        shown.push('<');
        push(name.as_bytes(), shown);
        shown.push_str("> ");
        let cut = Vec::new();
        Line { peer, cut }
    }
}

fn push(bytes: &[u8], shown: &mut String) {
    // Writing to a String does not fail.
    let _ = write!(shown, "{}", Escaped(bytes));
}

/// How many of `bytes` are in front of a character that is cut off by their end.
fn whole(bytes: &[u8]) -> usize {
    let Some(last) = bytes.utf8_chunks().last() else {
        return 0;
    };
    let rest = last.invalid();
    // Bytes that can become a character, or not: `error_len` tells.
    let may_go_on = str::from_utf8(rest).is_err_and(|error| error.error_len().is_none());
    bytes.len() - if may_go_on { rest.len() } else { 0 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::text::is_visible;

    const ANN: PeerId = PeerId::from_u64(1);
    const BOB: PeerId = PeerId::from_u64(2);

    fn shown(said: &[(PeerId, &[u8])]) -> String {
        let mut screen = Screen::default();
        let mut shown = String::new();
        for &(peer, said) in said {
            let name = if peer == ANN { "ann" } else { "bob" };
            screen.show(peer, name, said, &mut shown);
        }
        shown
    }

    /// Goal: every line says whose it is, however it comes. Method: lines, parts of
    /// lines, an empty line, two peers in turns, line ends of other systems.
    #[test]
    fn lines_are_marked() {
        assert_eq!(shown(&[(ANN, b"a\n\nb\n")]), "<ann> a\n<ann> \n<ann> b\n");
        assert_eq!(shown(&[(ANN, b"a"), (ANN, b"b\n")]), "<ann> ab\n");
        let two = shown(&[(ANN, b"a"), (BOB, b"b\n"), (ANN, b"c\r\n")]);
        assert_eq!(two, "<ann> a\n<bob> b\n<ann> c\n");
        assert_eq!(shown(&[(ANN, b"")]), "");
    }

    /// Goal: a character that two messages share is whole, unless another peer
    /// comes between. Method: a crab, cut at each of its bytes.
    #[test]
    fn characters_may_be_cut() {
        let crab = "🦀".as_bytes();
        for at in 1..crab.len() {
            let (one, two) = crab.split_at(at);
            assert_eq!(shown(&[(ANN, one), (ANN, two), (ANN, b"\n")]), "<ann> 🦀\n");
        }
        let broken = shown(&[(ANN, &crab[..2]), (BOB, b"x\n")]);
        assert_eq!(broken, "<ann> \\xf0\\x9f\n<bob> x\n");
        assert_eq!(shown(&[(ANN, b"\xff"), (ANN, b"\n")]), "<ann> \\xff\n");

        let mut screen = Screen::default();
        let mut shown = String::new();
        screen.show(ANN, "ann", &crab[..3], &mut shown);
        screen.end(BOB, &mut shown);
        screen.end(ANN, &mut shown);
        assert_eq!(shown, "<ann> \\xf0\\x9f\\xa6");
    }

    proptest! {
        /// Goal: nothing but plain text and marked lines comes through. Method: any
        /// bytes from two peers.
        #[test]
        fn harmless(said: Vec<(bool, Vec<u8>)>) {
            let said: Vec<_> = said
                .iter()
                .map(|(ann, bytes)| (if *ann { ANN } else { BOB }, &bytes[..]))
                .collect();
            let shown = shown(&said);
            for line in shown.lines() {
                prop_assert!(line.starts_with("<ann> ") || line.starts_with("<bob> "), "{shown:?}");
                prop_assert!(line.chars().all(|c| is_visible(c) || c == '\t'), "{line:?}");
            }
        }
    }
}
