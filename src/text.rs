//! Text from outside, made harmless before a person reads it.
//!
//! Peers, file names and host names may hold anything: escape sequences that drive a
//! terminal, characters that reverse the line or are invisible. The program's log, a
//! terminal's screen (`endpoint`) and the load tester's tables escape every line as a
//! whole, so messages need not. Data for a pipe or a file never comes here.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;

/// Shows `text` on one line, and escapes everything that a terminal would act on or hide:
/// see [`Escaped`].
pub fn escaped<T: AsRef<OsStr> + ?Sized>(text: &T) -> Escaped<'_> {
    Escaped(text.as_ref().as_bytes())
}

/// Bytes as a person may see them.
///
/// [Visible](is_visible) characters, the space and the tab stay as they are; any other
/// character becomes an escape such as `\u{1b}`, and a byte that is not UTF-8 one such as
/// `\xff`.
#[derive(Clone, Copy)]
pub struct Escaped<'a>(pub &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            let mut text = chunk.valid();
            while let Some(at) = text.find(|c| !is_visible(c) && c != '\t') {
                let (plain, rest) = text.split_at(at);
                let mut rest = rest.chars();
                f.write_str(plain)?;
                if let Some(hidden) = rest.next() {
                    write!(f, "{}", hidden.escape_unicode())?;
                }
                text = rest.as_str();
            }
            f.write_str(text)?;
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whether a terminal shows `c`, and does nothing else with it.
///
/// That excludes control characters (Unicode's Cc: C0, DEL and C1), those that separate
/// lines or change the direction of the text around them, and invisible ones (Unicode's
/// `Default_Ignorable_Code_Point`).
pub fn is_visible(c: char) -> bool {
    !c.is_control()
        && !matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Goal: ordinary text of any language stays as it is; text that drives a terminal,
    /// forges a line, reverses or hides text does not. Method: one of each.
    #[test]
    fn shown_or_escaped() {
        for plain in ["", "a b\tc", "Grüße, 世界 🦀", r"C:\u{1b}"] {
            assert_eq!(escaped(plain).to_string(), plain);
        }
        for (text, shown) in [
            (&b"\x1b[2J"[..], r"\u{1b}[2J"),
            (b"\x1b]52;c;aGk=\x07", r"\u{1b}]52;c;aGk=\u{7}"),
            ("\u{9b}31m".as_bytes(), r"\u{9b}31m"),
            (b"a\rb\nc\x7f", r"a\u{d}b\u{a}c\u{7f}"),
            (
                "\u{202e}\u{2066}\u{61c}".as_bytes(),
                r"\u{202e}\u{2066}\u{61c}",
            ),
            (
                "a\u{200b}\u{2060}\u{ad}".as_bytes(),
                r"a\u{200b}\u{2060}\u{ad}",
            ),
            (b"\xff ok \xc3", r"\xff ok \xc3"),
        ] {
            assert_eq!(Escaped(text).to_string(), shown);
        }
    }

    proptest! {
        /// Goal: no character passes that a terminal acts on. Method: any bytes.
        #[test]
        fn harmless(bytes: Vec<u8>) {
            let shown = Escaped(&bytes).to_string();
            prop_assert!(shown.chars().all(|c| is_visible(c) || c == '\t'), "{shown:?}");
        }
    }
}
