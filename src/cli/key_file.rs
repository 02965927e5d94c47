//! The key file: lines of `name confkey authkey` in hex, `#` comments.
//!
//! Reads what the bytes say and picks a line; the file itself is opened and
//! judged by [`super::private_file`], and [`super::keygen`] writes lines. No
//! error shows a part of a line: who mixed up the columns has a secret anywhere.

use std::collections::HashMap;
use std::str;

use super::hex;
use crate::error::Error;

/// Digits of one key.
pub(super) const DIGITS: usize = 64;

/// One line, its keys as hex digits. Borrows from the file's bytes, so that
/// there is one copy to erase.
pub(super) struct Entry<'a> {
    pub(super) name: &'a str,
    pub(super) confkey: &'a [u8],
    pub(super) authkey: &'a [u8],
}

/// All entries of a key file; or the number of the first bad line, and what is
/// wrong with it.
pub(super) fn parse(file: &[u8]) -> Result<Vec<Entry<'_>>, String> {
    let mut entries = Vec::new();
    let mut lines: HashMap<&str, usize> = HashMap::new();
    for (line, number) in file.split(|&byte| byte == b'\n').zip(1..) {
        let Some(entry) = parse_line(line).map_err(|why| format!("line {number}: {why}"))? else {
            continue;
        };
        if let Some(first) = lines.insert(entry.name, number) {
            return Err(format!("line {number}: its name is taken by line {first}"));
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// The entry of a line; `None` when there is only a comment, or nothing.
fn parse_line(line: &[u8]) -> Result<Option<Entry<'_>>, &'static str> {
    let text = line.split(|&byte| byte == b'#').next().unwrap_or_default();
    let mut words = text
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty());
    let Some(name) = words.next() else {
        return Ok(None);
    };
    let (Some(confkey), Some(authkey), None) = (words.next(), words.next(), words.next()) else {
        return Err("three words are wanted: name confkey authkey");
    };
    let name = str::from_utf8(name)
        .ok()
        .filter(|name| is_name(name))
        .ok_or("the name is not plain text")?;
    if !is_key(confkey) {
        return Err("the confkey is not 64 hex digits");
    }
    if !is_key(authkey) {
        return Err("the authkey is not 64 hex digits");
    }
    Ok(Some(Entry {
        name,
        confkey,
        authkey,
    }))
}

/// Whether `name` can be the name of a line.
pub(super) fn is_name(name: &str) -> bool {
    let fits = |c: char| !c.is_whitespace() && !c.is_control() && c != '#';
    !name.is_empty() && name.chars().all(fits)
}

fn is_key(digits: &[u8]) -> bool {
    digits.len() == DIGITS && hex::decode(digits).is_some()
}

/// The entry called `name`, or the only one there is.
///
/// # Errors
///
/// [`Error::Usage`] if no entry has that name, or if there are several and none
/// is named; [`Error::Local`] if there are none at all.
pub(super) fn pick<'a>(
    entries: Vec<Entry<'a>>,
    name: Option<&str>,
    path: &str,
) -> Result<Entry<'a>, Error> {
    if entries.is_empty() {
        let text = format!("{path}: no keys in it; sealwire keygen {path} adds some");
        return Err(Error::Local(text));
    }
    let names: Vec<&str> = entries.iter().map(|entry| entry.name).collect();
    let names = names.join(", ");
    let several = entries.len() > 1;
    let mut found = entries
        .into_iter()
        .filter(|entry| name.is_none_or(|name| name == entry.name));
    match (found.next(), name) {
        (Some(_), None) if several => Err(Error::Usage(format!(
            "{path}: pick one of its keys with --name: {names}"
        ))),
        (Some(entry), _) => Ok(entry),
        (None, name) => Err(Error::Usage(format!(
            "--name {}: not in {path}, which has: {names}",
            name.unwrap_or_default()
        ))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    const MARK: &str = "deadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeef";

    fn error_of(file: &str) -> String {
        parse(file.as_bytes()).err().unwrap()
    }

    /// Comments, blank lines, tabs, CRLF and a missing last newline are all as
    /// good as plain lines.
    #[test]
    fn lines_comments_and_blanks() {
        let file = format!("# keys\n\n one\t{MARK} {MARK}  # first\r\ntwo {MARK} {MARK}");
        let entries = parse(file.as_bytes()).unwrap();
        let names: Vec<_> = entries.iter().map(|entry| entry.name).collect();
        assert_eq!(names, ["one", "two"]);
        assert!(entries.iter().all(|e| e.confkey == MARK.as_bytes()));
        assert!(entries.iter().all(|e| e.authkey == MARK.as_bytes()));
        assert!(parse(b"").unwrap().is_empty());
    }

    /// Each way a line can be bad: told by number, and not a word of it shown.
    #[test]
    fn a_bad_line_is_named_but_not_shown() {
        for (line, why) in [
            (MARK.to_owned(), "three words"),
            (format!("{MARK} {MARK}"), "three words"),
            (format!("one {MARK} {MARK} {MARK}"), "three words"),
            (format!("one {MARK}0 {MARK}"), "the confkey"),
            (format!("one {MARK} {}", &MARK[1..]), "the authkey"),
            (format!("one {MARK} g{}", &MARK[1..]), "the authkey"),
            (format!("o\u{1b}ne {MARK} {MARK}"), "the name"),
            (format!("o\u{a0}ne {MARK} {MARK}"), "the name"),
        ] {
            let text = error_of(&format!("# one\n{line}\n"));
            assert!(text.starts_with("line 2: "), "{text}");
            assert!(text.contains(why), "{line}: {text}");
            assert!(!text.contains(&MARK[..8]), "{text}");
        }
        let twice = error_of(&format!(
            "a {MARK} {MARK}\nb {MARK} {MARK}\na {MARK} {MARK}"
        ));
        assert_eq!(twice, "line 3: its name is taken by line 1");
    }

    /// The only line needs no name; several do; a name that is not there is
    /// answered with those that are.
    #[test]
    fn picking_by_name() {
        let one = format!("one {MARK} {MARK}\n");
        let two = format!("{one}two {MARK} {MARK}\n");
        let name = |file: &str, name| {
            pick(parse(file.as_bytes()).unwrap(), name, "f").map(|entry| entry.name.to_owned())
        };
        assert_eq!(name(&one, None).unwrap(), "one");
        assert_eq!(name(&one, Some("one")).unwrap(), "one");
        assert_eq!(name(&two, Some("two")).unwrap(), "two");
        let text = |result: Result<String, Error>, code| {
            let error = result.unwrap_err();
            assert_eq!(error.exit_code(), code, "{error}");
            error.to_string()
        };
        assert!(text(name(&two, None), 2).ends_with("with --name: one, two"));
        assert!(text(name(&one, Some("two")), 2).ends_with("not in f, which has: one"));
        assert!(text(name("# none\n", None), 1).contains("keygen f"));
    }

    proptest! {
        /// Any bytes at all, and bytes that look like a key file, are parsed or
        /// refused without a panic.
        #[test]
        fn never_panics(bytes: Vec<u8>, lines in "([a#é]{0,2}[ \t]?([0-9a-g]{63,65}[ \r]?){0,4}\n?){0,4}") {
            let _ = parse(&bytes);
            let _ = parse(lines.as_bytes());
        }
    }
}
