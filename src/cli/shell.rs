//! Words as a shell reads them, for the commands that messages tell the user to run.
//!
//! A word is harmless to a terminal, and stays the same word when the user pastes it into
//! a shell. For text that is no command: [`sealwire::text`].

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use sealwire::text::is_visible;

/// `path` as a word that no command takes for an option.
pub(crate) fn path(path: &Path) -> String {
    let bytes = path.as_os_str().as_bytes();
    if bytes.starts_with(b"-") {
        return word(&Path::new(".").join(path));
    }
    word(path)
}

/// `text` as one word: bare if it is plain, in quotes if all of it can be seen, else as
/// `$'…'`, which shows every other byte as `\x1b`.
pub(crate) fn word<T: AsRef<OsStr> + ?Sized>(text: &T) -> String {
    let bytes = text.as_ref().as_bytes();
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-".contains(byte);
    match str::from_utf8(bytes) {
        Ok(text) if !text.is_empty() && bytes.iter().all(plain) => text.into(),
        Ok(text) if text.chars().all(is_visible) => format!("'{}'", text.replace('\'', r"'\''")),
        _ => with_escapes(bytes),
    }
}

fn with_escapes(bytes: &[u8]) -> String {
    let mut word = String::from("$'");
    // Writing to a String does not fail.
    let hide = |word: &mut String, bytes: &[u8]| {
        for byte in bytes {
            let _ = write!(word, "\\x{byte:02x}");
        }
    };
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' | '\'' => word.extend(['\\', c]),
                c if is_visible(c) => word.push(c),
                c => hide(&mut word, c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        hide(&mut word, chunk.invalid());
    }
    word.push('\'');
    word
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    /// Goal: each kind of word has the form that it needs. Method: one of each.
    #[test]
    fn forms() {
        for (bytes, shown) in [
            (&b"/tmp/a_b-1.key"[..], "/tmp/a_b-1.key"),
            (b"", "''"),
            (b"it's a key", r"'it'\''s a key'"),
            ("Schlüssel".as_bytes(), "'Schlüssel'"),
            (b"$(x)`y`", "'$(x)`y`'"),
            (b"a\x1b[2J'\\", r"$'a\x1b[2J\'\\'"),
            ("\u{202e}a".as_bytes(), r"$'\xe2\x80\xaea'"),
            (b"\xff", r"$'\xff'"),
        ] {
            assert_eq!(word(OsStr::from_bytes(bytes)), shown);
        }
        assert_eq!(path(Path::new("-keys")), "./-keys");
        assert_eq!(path(Path::new("keys")), "keys");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// Goal: a shell reads the original bytes from the word, and a terminal shows it
        /// whole. Method: any bytes but NUL, given to bash.
        #[test]
        fn a_shell_reads_it_back(bytes in prop::collection::vec(1..=u8::MAX, 0..40)) {
            let word = word(OsStr::from_bytes(&bytes));
            prop_assert!(word.chars().all(is_visible), "{word:?}");
            let script = format!("printf %s {word}");
            if let Ok(told) = Command::new("bash").arg("-c").arg(script).output() {
                prop_assert_eq!(told.stdout, bytes);
            }
        }
    }
}
