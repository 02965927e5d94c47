//! Files that hold secrets: opened, judged by their mode, read whole.
//!
//! The mode is that of the opened file, so that it cannot be another file by the
//! time it is read. What the bytes mean is [`super::key_file`]'s and
//! [`super::keys`]'s.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use zeroize::Zeroizing;

use crate::error::Error;
use crate::limits::MAX_KEY_FILE;

/// The mode bits that let everyone read or write.
const EVERYONE: u32 = 0o006;

/// Reads all of `file`, which `path` led to, into memory that is erased.
///
/// # Errors
///
/// [`Error::Local`] if everyone may read or write it, if it is larger than
/// [`MAX_KEY_FILE`], or if it cannot be read.
pub(super) fn read(file: &File, path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    let metadata = file
        .metadata()
        .map_err(|error| failed(path, "read", &error))?;
    if metadata.is_dir() {
        return Err(refused(path, "is a directory; a file is wanted"));
    }
    if metadata.mode() & EVERYONE != 0 {
        let mend = format!(
            "everyone on this machine may read or write this file of secrets; run: chmod 600 {}",
            quoted(path)
        );
        return Err(refused(path, &mend));
    }
    // All of it at once: a vector that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_KEY_FILE + 1));
    file.take(MAX_KEY_FILE as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| failed(path, "read", &error))?;
    if bytes.len() > MAX_KEY_FILE {
        return Err(refused(path, "too large to be a file of keys"));
    }
    Ok(bytes)
}

/// `path` is not what it has to be.
pub(super) fn refused(path: &Path, why: &str) -> Error {
    Error::Local(format!("{}: {why}", path.display()))
}

/// The system did not let us `verb` what is at `path`.
pub(super) fn failed(path: &Path, verb: &str, error: &io::Error) -> Error {
    refused(path, &format!("cannot {verb}: {error}"))
}

/// `path` as a shell reads it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if text.chars().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn open(path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
        read(&File::open(path).unwrap(), path)
    }

    /// A file at every mode: refused, with the command that mends it, exactly
    /// when others may read or write.
    #[test]
    fn a_file_open_to_everyone_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("it's a key");
        fs::write(&path, "secret").unwrap();
        for (mode, taken) in [
            (0o600, true),
            (0o640, true),
            (0o601, true),
            (0o604, false),
            (0o602, false),
            (0o666, false),
        ] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            match open(&path) {
                Ok(bytes) => assert!(taken && *bytes == b"secret", "{mode:o}"),
                Err(Error::Local(text)) => {
                    assert!(!taken, "{mode:o}");
                    let command = format!(
                        r"chmod 600 '{}/it'\''s a key'",
                        folder.path().to_string_lossy()
                    );
                    assert!(text.ends_with(&command), "{text}");
                }
                Err(other) => panic!("{other}"),
            }
        }
    }

    /// A directory and a file one byte over the limit are refused; one at the
    /// limit is read.
    #[test]
    fn what_is_no_file_of_keys_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).unwrap();
        let error = open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("directory"), "{error}");

        let path = folder.path().join("large");
        fs::write(&path, vec![b'#'; MAX_KEY_FILE]).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(open(&path).unwrap().len(), MAX_KEY_FILE);
        fs::write(&path, vec![b'#'; MAX_KEY_FILE + 1]).unwrap();
        let error = open(&path).unwrap_err().to_string();
        assert!(error.contains("too large"), "{error}");
    }
}
