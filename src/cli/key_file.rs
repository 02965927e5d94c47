//! The key file: lines of `name confkey authkey` in hex, with `forward=` behind them or not, and
//! `#` comments.
//!
//! It parses the bytes, and picks a line or makes a ring of all. [`crate::private_file`] opens and judges the
//! file, and [`crate::keygen`] writes lines. No error shows a part of a line: a user that
//! mixes up the columns may have a secret in any of them.

use std::collections::HashMap;
use std::path::Path;
use std::str;

use sealwire::net::place::Place;
use sealwire::text::{escaped, is_visible};
use sealwire::{Identity, Key, KeyRing, Secret, SecretPair};

use crate::error::Error;
use crate::key_text::weakness;
use crate::limits::NAMES_SHOWN;
use crate::{private_file, shell};

/// Digits of one key.
pub(crate) const DIGITS: usize = 64;

/// What a line may have behind its keys: where they may go.
const FORWARD: &str = "forward=";

/// One line, its keys as hex digits. It borrows from the file's bytes, so that there is
/// one copy to erase.
pub(crate) struct Entry<'a> {
    number: usize,
    pub(crate) name: &'a str,
    pub(crate) confkey: &'a [u8],
    pub(crate) authkey: &'a [u8],
    pub(crate) forward: Option<&'a str>,
}

/// All entries of `file`, which was at `path`.
///
/// # Errors
///
/// [`Error::Local`] with the number of the first bad line, and what is wrong with it.
pub(crate) fn parse<'a>(file: &'a [u8], path: &Path) -> Result<Vec<Entry<'a>>, Error> {
    let refused =
        |number: usize, why: &str| private_file::refused(path, &format!("line {number}: {why}"));
    if let Some(why) = other_text(file, path) {
        return Err(refused(1, &why));
    }
    let mut entries = Vec::new();
    let mut lines: HashMap<&str, usize> = HashMap::new();
    for (line, number) in file.split(|&byte| byte == b'\n').zip(1..) {
        let Some(entry) = parse_line(line, number).map_err(|why| refused(number, &why))? else {
            continue;
        };
        if let Some(first) = lines.insert(entry.name, number) {
            let why = format!("its name is taken by line {first}");
            return Err(refused(number, &why));
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// The encoding of a file that is not plain UTF-8, and the command that mends it: some
/// editors save such files, and they look like any other.
fn other_text(file: &[u8], path: &Path) -> Option<String> {
    let path = shell::path(path);
    match file {
        [0xef, 0xbb, 0xbf, ..] => Some(format!(
            r"begins with a byte order mark, which nobody sees; run: sed -i '1s/^\xef\xbb\xbf//' {path}"
        )),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some(format!(
            "this is UTF-16 text, and UTF-8 is wanted; run: (umask 077; iconv -f UTF-16 -t UTF-8 \
             {path} > COPY), and use COPY"
        )),
        _ => None,
    }
}

/// The entry of a line; `None` for a comment or an empty line.
fn parse_line(line: &[u8], number: usize) -> Result<Option<Entry<'_>>, String> {
    let text = line.split(|&byte| byte == b'#').next().unwrap_or_default();
    let mut words = text
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty());
    let Some(name) = words.next() else {
        return Ok(None);
    };
    let (Some(confkey), Some(authkey)) = (words.next(), words.next()) else {
        return Err("three words are wanted: name confkey authkey".into());
    };
    let name = str::from_utf8(name)
        .ok()
        .filter(|name| is_name(name))
        .ok_or("the name has invisible characters or is not UTF-8; type it again")?;
    let keys = SecretPair {
        confkey: key(confkey).ok_or("the confkey is not 64 hex digits")?,
        authkey: key(authkey).ok_or("the authkey is not 64 hex digits")?,
    };
    if let Some(why) = weakness(["the confkey", "the authkey"], &keys) {
        return Err(why);
    }
    Ok(Some(Entry {
        number,
        name,
        confkey,
        authkey,
        forward: forward(words)?,
    }))
}

/// Where the keys of a line may go, by the words behind them.
fn forward<'a>(mut words: impl Iterator<Item = &'a [u8]>) -> Result<Option<&'a str>, String> {
    let Some(word) = words.next() else {
        return Ok(None);
    };
    let Some(target) = word.strip_prefix(FORWARD.as_bytes()) else {
        return Err(
            "behind the keys only forward= is known; name confkey authkey is wanted".into(),
        );
    };
    if words.next().is_some() {
        return Err(format!(
            "one {FORWARD} is wanted behind the keys, and nothing else"
        ));
    }
    let target = str::from_utf8(target).ok();
    let target = target.filter(|text| Place::target(text).is_some());
    let wanted = || format!("{FORWARD}: HOST:PORT or unix:PATH is wanted");
    target.ok_or_else(wanted).map(Some)
}

/// Whether `name` can be the name of a line. Invisible characters would let two names
/// look the same.
fn is_name(name: &str) -> bool {
    let fits = |c: char| is_visible(c) && !c.is_whitespace() && c != '#';
    !name.is_empty() && name.chars().all(fits)
}

/// Refuses the value of `--name` if no line can have that name.
///
/// # Errors
///
/// [`Error::Usage`].
pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    if is_name(name) {
        return Ok(());
    }
    let text = "--name: one word is wanted, without # and characters that cannot be seen";
    Err(Error::Usage(text.into()))
}

/// The 32 bytes that these digits stand for, of either case, in constant time but for the
/// answer; `None` if they are not all digits, or not [`DIGITS`].
pub(crate) fn key(digits: &[u8]) -> Option<Secret> {
    let mut bytes = vec![0; DIGITS / 2];
    let is_hex = base16ct::mixed::decode(digits, &mut bytes).is_ok();
    let key = Secret::new(bytes);
    (is_hex && digits.len() == DIGITS).then_some(key)
}

/// The keys of all entries, of the file at `path`, each with its name.
///
/// # Errors
///
/// [`Error::Local`] with the number of the first line whose keys an earlier one has.
pub(crate) fn ring(entries: &[Entry<'_>], path: &Path) -> Result<KeyRing, Error> {
    let mut ring = KeyRing::default();
    for entry in entries {
        let [confkey, authkey] = [entry.confkey, entry.authkey].map(key);
        let pair = confkey.zip(authkey);
        let pair = pair.map(|(confkey, authkey)| SecretPair { confkey, authkey });
        let identity = pair.as_ref().and_then(Identity::new);
        let key = Key {
            name: Some(entry.name.into()),
            forward: entry.forward.map(Into::into),
            ..Key::new(identity.expect("64 digits, as `parse` saw"))
        };
        if let Err(there) = ring.add(key) {
            let first = entries
                .iter()
                .find(|e| Some(e.name) == there.name.as_deref());
            let first = first.map_or(0, |entry| entry.number);
            let why = format!("line {}: its keys are those of line {first}", entry.number);
            return Err(private_file::refused(path, &why));
        }
    }
    Ok(ring)
}

/// Refuses a file without keys.
pub(crate) fn not_empty(entries: &[Entry<'_>], path: &Path) -> Result<(), Error> {
    if !entries.is_empty() {
        return Ok(());
    }
    let command = format!("sealwire keygen {}", shell::path(path));
    let why = format!("no keys in it; {command} adds some");
    Err(private_file::refused(path, &why))
}

/// The entry called `name`, or the only one there is; `classic` says that there can be no ring.
///
/// # Errors
///
/// [`Error::Usage`] if no entry has that name, or if there are several and no name is
/// given; [`Error::Local`] if there are none at all.
pub(crate) fn pick<'a>(
    entries: Vec<Entry<'a>>,
    name: Option<&str>,
    classic: bool,
    path: &Path,
) -> Result<Entry<'a>, Error> {
    not_empty(&entries, path)?;
    let path = escaped(path);
    let names = names(&entries);
    let several = entries.len() > 1;
    let mut found = entries
        .into_iter()
        .filter(|entry| name.is_none_or(|name| name == entry.name));
    match (found.next(), name) {
        (Some(_), None) if several => Err(Error::Usage(format!(
            "{path}: pick one of its keys with --name{}: {names}",
            match classic {
                true => ", as --classic has one pair of keys alone",
                false => "",
            }
        ))),
        (Some(entry), _) => Ok(entry),
        (None, name) => Err(Error::Usage(format!(
            "--name {}: not in {path}, which has: {names}",
            escaped(name.unwrap_or_default())
        ))),
    }
}

/// The first names, for a message.
fn names(entries: &[Entry<'_>]) -> String {
    let shown = entries.iter().take(NAMES_SHOWN).map(|entry| entry.name);
    let shown = shown.collect::<Vec<_>>().join(", ");
    match entries.len().saturating_sub(NAMES_SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    const MARK: &str = "deadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeef";
    /// Another key.
    const MARK2: &str = "deadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbee2";

    fn parsed(file: &[u8]) -> Result<Vec<Entry<'_>>, Error> {
        parse(file, Path::new("f"))
    }

    fn error_of(file: &[u8]) -> String {
        let text = parsed(file).err().unwrap().to_string();
        text.strip_prefix("f: ").unwrap().to_owned()
    }

    /// Goal: comments, blank lines, tabs, CRLF and a missing last newline are as good as
    /// plain lines.
    #[test]
    fn lines_comments_and_blanks() {
        let file = format!("# keys\n\n one\t{MARK} {MARK2}  # first\r\ntwo {MARK} {MARK2}");
        let entries = parsed(file.as_bytes()).unwrap();
        let names: Vec<_> = entries.iter().map(|entry| entry.name).collect();
        assert_eq!(names, ["one", "two"]);
        assert!(entries.iter().all(|e| e.confkey == MARK.as_bytes()));
        assert!(entries.iter().all(|e| e.authkey == MARK2.as_bytes()));
        assert!(parsed(b"").unwrap().is_empty());
    }

    /// Goal: a bad line is refused by its number, and not a word of it is shown.
    #[test]
    fn a_bad_line_is_named_but_not_shown() {
        let zeros = "0".repeat(64);
        let upper = MARK.to_uppercase();
        let invisible = "\u{1b} \u{200b} \u{202e} \u{ad} \u{feff} o\u{a0}ne".split(' ');
        let names = invisible.map(|name| (format!("{name} {MARK} {MARK2}"), "name has invisible"));
        let others = [
            (MARK.to_owned(), "three words"),
            (format!("{MARK} {MARK}"), "three words"),
            (
                format!("one {MARK} {MARK2} {MARK}"),
                "behind the keys only forward= is known",
            ),
            (format!("one {MARK}0 {MARK}"), "the confkey"),
            (format!("one {MARK} {}", &MARK[1..]), "the authkey"),
            (
                format!("one {MARK} {MARK2} Forward=h:1"),
                "behind the keys only forward= is known",
            ),
            (
                format!("one {MARK} {MARK2} forward={MARK}"),
                "forward=: HOST:PORT or unix:PATH is wanted",
            ),
            (
                format!("one {MARK} {MARK2} forward=h:1 forward=h:1"),
                "one forward= is wanted",
            ),
            (format!("one {MARK} g{}", &MARK[1..]), "the authkey"),
            (
                format!("one {MARK} {upper}"),
                "confkey and the authkey are the same",
            ),
            (format!("one {zeros} {MARK}"), "the confkey is all zeros"),
            (format!("one {MARK} {zeros}"), "the authkey is all zeros"),
        ];
        for (line, why) in others.into_iter().chain(names) {
            let text = error_of(format!("# one\n{line}\n").as_bytes());
            assert!(text.starts_with("line 2: "), "{text}");
            assert!(text.contains(why), "{line}: {text}");
            assert!(!text.contains(&MARK[..8]), "{text}");
        }
        let lines = ["a", "b", "a"].map(|name| format!("{name} {MARK} {MARK2}"));
        let twice = error_of(lines.join("\n").as_bytes());
        assert_eq!(twice, "line 3: its name is taken by line 1");
    }

    /// Goal: a refusal names another encoding, with the command that mends it. Method: the
    /// marks that editors write; a shell runs the command.
    #[test]
    fn other_encodings() {
        let line = format!("one {MARK} {MARK2}\n");
        let marked = |mark: &[u8]| error_of(&[mark, line.as_bytes()].concat());
        for (mark, parts) in [
            (&b"\xef\xbb\xbf"[..], ["byte order mark", " f"]),
            (b"\xff\xfe", ["UTF-16", "iconv"]),
            (b"\xfe\xff", ["UTF-16", "iconv"]),
        ] {
            let told = marked(mark);
            assert!(parts.iter().all(|part| told.contains(part)), "{told}");
        }
        let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        let marked = format!("\u{feff}{line}");
        std::fs::write(&path, &marked).unwrap();
        let error = parse(marked.as_bytes(), &path).err().unwrap().to_string();
        let (_, mend) = error.split_once("run: ").unwrap();
        let status = Command::new("sh").arg("-c").arg(mend).status();
        assert!(status.unwrap().success(), "{mend}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), line);
    }

    /// Goal: the only line needs no name; several do; a refusal of an unknown name lists
    /// those that are there.
    #[test]
    fn picking_by_name() {
        let one = format!("one {MARK} {MARK2}\n");
        let two = format!("{one}two {MARK} {MARK2}\n");
        let name = |file: &str, name| {
            let entries = parsed(file.as_bytes()).unwrap();
            pick(entries, name, false, Path::new("f")).map(|entry| entry.name.to_owned())
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

    /// Goal: a ring has the keys of all lines, each with its name and its target; a second line
    /// with the same keys, of either case, is refused by both numbers. Method: a file of each.
    #[test]
    fn rings() {
        let made = |file: &str| ring(&parsed(file.as_bytes()).unwrap(), Path::new("f"));
        let file = format!("# all\none {MARK} {MARK2} forward=h:1 # x\ntwo {MARK2} {MARK}\n");
        let ring = made(&file).unwrap();
        let mut keys: Vec<_> = ring
            .iter()
            .map(|key| (key.name.as_deref().unwrap(), key.forward.as_deref()))
            .collect();
        keys.sort_unstable();
        assert_eq!(keys, [("one", Some("h:1")), ("two", None)]);
        let twice = format!("{file}again {} {MARK2}", MARK.to_uppercase());
        let told = made(&twice).unwrap_err().to_string();
        assert_eq!(told, "f: line 4: its keys are those of line 2");
    }

    proptest! {
        /// Goal: any bytes, and bytes that look like a key file, are parsed or refused
        /// without a panic.
        #[test]
        fn never_panics(bytes: Vec<u8>, lines in "([a#é]{0,2}[ \t]?([0-9a-g]{63,65}[ \r]?){0,4}\n?){0,4}") {
            let _ = parsed(&bytes);
            let _ = parsed(lines.as_bytes());
        }
    }
}
