//! `sealwire keygen FILE`: new keys, in a file that only its owner reads.
//!
//! It prints nothing, and returns the lines to show. Read next: `key_file`, which parses the
//! file.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rand::TryRng;
use rand::rngs::SysRng;
use sealwire::text::escaped;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::key_file::{self, DIGITS};
use crate::private_file::{self, Kind};
use crate::shell;

/// Adds a line of two new keys called `name` to `path`; makes the file, with
/// mode 0600, if there is none. Returns what to tell the user on stderr, in lines.
///
/// # Errors
///
/// [`Error::Usage`] if `name` cannot be a name; [`Error::Local`] if it is taken, if
/// everyone may read or write the file, if it is another user's, if it is no file or
/// holds anything but keys, or if the system does not give a file or random bytes.
pub fn run(path: &Path, name: &str) -> Result<Vec<String>, Error> {
    key_file::check_name(name)?;
    let mut file = open(path).map_err(|error| private_file::failed(path, "open", &error))?;
    let mut told = Vec::new();
    let old = private_file::read(&file, path, Kind::File, &mut told)?;
    let entries = key_file::parse(&old, path)?;
    if entries.iter().any(|entry| entry.name == name) {
        let name = escaped(name);
        let why = format!("the name {name} is taken; choose another with --name");
        return Err(private_file::refused(path, &why));
    }
    let ended = old.last().is_none_or(|&byte| byte == b'\n');
    let line = new_line(name, ended)
        .map_err(|error| Error::Local(format!("no random bytes from the system: {error}")))?;
    if let Err(error) = file.write_all(&line).and_then(|()| file.sync_all()) {
        // Half a line would make the whole file invalid.
        let _ = file.set_len(old.len() as u64);
        return Err(private_file::failed(path, "write", &error));
    }
    let pick = if entries.is_empty() {
        String::new()
    } else {
        format!(" --name {}", shell::word(name))
    };
    told.push(format!(
        "new keys {name} are in {shown}; copy it to the other side by a safe way, and run both \
         with --keys {path}{pick}",
        name = escaped(name),
        shown = escaped(path),
        path = shell::path(path),
    ));
    Ok(told)
}

/// Makes the file, or opens the existing one.
fn open(path: &Path) -> io::Result<File> {
    let mut options = private_file::options();
    options.append(true);
    match options.clone().create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => options.open(path),
        made => made,
    }
}

/// A whole line, for one write; with a newline ahead of it unless the line before has
/// `ended`.
fn new_line(name: &str, ended: bool) -> Result<Zeroizing<Vec<u8>>, <SysRng as TryRng>::Error> {
    let room = name.len() + 2 * (1 + DIGITS) + 2;
    let mut line = Zeroizing::new(Vec::with_capacity(room));
    if !ended {
        line.push(b'\n');
    }
    line.extend_from_slice(name.as_bytes());
    for _ in 0..2 {
        let mut key = Zeroizing::new([0; DIGITS / 2]);
        SysRng.try_fill_bytes(&mut key[..])?;
        line.push(b' ');
        let start = line.len();
        line.resize(start + DIGITS, 0);
        base16ct::lower::encode(&key[..], &mut line[start..]).expect("room for the digits");
    }
    line.push(b'\n');
    assert!(line.len() <= room, "grown: a copy was left behind");
    Ok(line)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn names(path: &Path) -> Vec<String> {
        let bytes = fs::read(path).unwrap();
        let entries = key_file::parse(&bytes, path).unwrap();
        let mut keys: Vec<_> = entries
            .iter()
            .flat_map(|e| [e.confkey, e.authkey])
            .collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 2 * entries.len(), "every key is a new one");
        entries.iter().map(|entry| entry.name.into()).collect()
    }

    /// Goal: a second line comes behind the first, even if that lacks its newline. What a new
    /// file is like is in `tests/cli`.
    #[test]
    fn appends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let told = run(&path, "main").unwrap().concat();
        assert!(!told.contains("--name"), "{told}");
        let mut text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.pop(), Some('\n'));
        fs::write(&path, text).unwrap();
        let told = run(&path, "second").unwrap().concat();
        assert!(told.ends_with("--name second"), "{told}");
        assert_eq!(names(&path), ["main", "second"]);
    }

    /// Goal: keygen refuses a name that is taken or is no name, a file that everyone may
    /// read, a file of something else, and a missing folder, and leaves the file as it was.
    #[test]
    fn refuses() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        run(&path, "main").unwrap();
        let before = fs::read(&path).unwrap();
        let code = |name| run(&path, name).unwrap_err().exit_code();
        assert_eq!(code("main"), 1);
        let wrong =
            "|a b|a#b|a\nb|a\u{7f}b|a\u{200b}b|\u{feff}a|a\u{202e}b|a\u{a0}b|a\u{ad}b|a\u{1b}b";
        for name in wrong.split('|') {
            let error = run(&path, name).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{name:?}");
            let told = error.to_string();
            assert!(told.starts_with("--name: one word is wanted"), "{told}");
        }
        fs::set_permissions(&path, Permissions::from_mode(0o604)).unwrap();
        assert_eq!(code("other"), 1);
        assert_eq!(fs::read(&path).unwrap(), before);

        let path = folder.path().join("notes");
        let weak = format!("a {0} {0}\n", "1".repeat(64));
        for (text, told) in [
            ("not a key file\n", "line 1"),
            ("\u{feff}a\n", "line 1: begins with a byte order mark"),
            (&weak, "line 1: the "),
        ] {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            let error = run(&path, "main").unwrap_err();
            assert!(error.to_string().contains(told), "{error}");
            assert_eq!(fs::read(&path).unwrap(), text.as_bytes());
        }
        let new = folder.path().join("new");
        assert!(run(&new, "a\u{200b}b").is_err() && !new.exists());

        let error = run(&folder.path().join("no/keys"), "main").unwrap_err();
        assert_eq!(error.exit_code(), 1);
        assert!(run(folder.path(), "main").is_err());
    }
}
