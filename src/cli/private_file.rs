//! Files that hold secrets: opened, judged by kind and permissions, read whole.
//!
//! It judges the opened file, which no other file can replace before it is read. No open
//! waits, and no read waits for long. It does not know what the bytes mean. Read next:
//! [`crate::key_file`] and [`crate::key_text`], which do.

use std::fs::{File, FileType, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fstatfs};
use rustix::io::Errno;
use rustix::process::geteuid;
use sealwire::net::descriptor::{Direction, wait_until_ready};
use sealwire::text::escaped;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::limits::{MAX_KEY_FILE, NAMED_PIPE_DEADLINE, UNNAMED_PIPE_DEADLINE};
use crate::shell;

/// The mode bits that let everyone read or write.
const EVERYONE: u32 = 0o006;
/// The mode bits that let the group read or write.
const GROUP: u32 = 0o060;
/// The file system of pipes without a name (statfs(2)).
const PIPEFS: u64 = 0x5049_5045;

/// What a file of secrets may be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A regular file, nothing else: we write to it.
    File,
    /// A regular file, or a pipe from a program that decrypts it.
    FileOrPipe,
}

/// How to open files of secrets: opening does not wait for a pipe's writer or for a
/// device, and no terminal becomes ours.
pub(crate) fn options() -> OpenOptions {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(flags.bits() as i32);
    options
}

/// Reads all of `file`, which [`options`] opened at `path`; adds to `warnings` what the user
/// should know of it.
///
/// # Errors
///
/// [`Error::Local`] if it is of another kind than `wanted`; if others may change it or
/// everyone may read it; if it is larger than [`MAX_KEY_FILE`]; if it cannot be read; if
/// it is a pipe that does not end within [`NAMED_PIPE_DEADLINE`], or
/// [`UNNAMED_PIPE_DEADLINE`] for one without a name.
pub(crate) fn read(
    file: &File,
    path: &Path,
    wanted: Kind,
    warnings: &mut Vec<String>,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let metadata = file
        .metadata()
        .map_err(|error| failed(path, "read", &error))?;
    if let Some(what) = other_kind(metadata.file_type(), wanted) {
        return Err(refused(path, &format!("is {what}; a file is wanted")));
    }
    warnings.extend(judge(file, &metadata, path)?);
    let deadline = match is_handed_over(file, &metadata) {
        true => UNNAMED_PIPE_DEADLINE,
        false => NAMED_PIPE_DEADLINE,
    };
    let bytes = read_all(file, path, deadline)?;
    if bytes.len() > MAX_KEY_FILE {
        return Err(refused(path, "too large to be a file of keys"));
    }
    Ok(bytes)
}

/// The name of its kind, unless that is `wanted`.
fn other_kind(found: FileType, wanted: Kind) -> Option<&'static str> {
    match found {
        found if found.is_file() => None,
        found if found.is_fifo() => (wanted == Kind::File).then_some("a pipe"),
        found if found.is_dir() => Some("a directory"),
        found if found.is_socket() => Some("a socket"),
        _ => Some("a device"),
    }
}

/// Refuses a file that others may change or everyone may read; warns of one that a group
/// may.
fn judge(file: &File, metadata: &Metadata, path: &Path) -> Result<Option<String>, Error> {
    let mend = format!("run: chmod 600 {}", shell::path(path));
    if metadata.mode() & EVERYONE != 0 {
        let why = "everyone on this machine may read or write this file of secrets";
        return Err(refused(path, &format!("{why}; {mend}")));
    }
    let (owner, us) = (metadata.uid(), geteuid().as_raw());
    if owner != us && owner != 0 && !is_handed_over(file, metadata) {
        let copy = shell::path(path);
        let why = format!(
            "this file of secrets belongs to user {owner}, not to you (user {us}) or root, and its \
             owner can read and change it; if you trust it, run: install -m 600 {copy} COPY, and \
             use COPY"
        );
        return Err(refused(path, &why));
    }
    let why = "a group may read or write this file of secrets";
    let is_shared = metadata.mode() & GROUP != 0;
    Ok(is_shared.then(|| format!("{}: {why}; {mend}", escaped(path))))
}

/// Whether it is a pipe without a name: then the program that started us made it, and
/// under sudo it belongs to another user.
fn is_handed_over(file: &File, metadata: &Metadata) -> bool {
    metadata.file_type().is_fifo()
        && fstatfs(file).is_ok_and(|system| system.f_type as u64 == PIPEFS)
}

/// Its bytes, at most one more than [`MAX_KEY_FILE`].
fn read_all(file: &File, path: &Path, deadline: Duration) -> Result<Zeroizing<Vec<u8>>, Error> {
    let began = Instant::now();
    // Allocated at once: a vector that grows leaves copies behind.
    let mut bytes = Zeroizing::new(vec![0; MAX_KEY_FILE + 1]);
    let mut filled = 0;
    while filled < bytes.len() {
        let left = deadline.saturating_sub(began.elapsed());
        // Before each read: a pipe that has had no writer yet reads as ended.
        match wait_until_ready(file, Direction::In, Some(left)) {
            Ok(true) => {}
            Ok(false) => return Err(refused(path, &too_late(deadline))),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(failed(path, "read", &error)),
        }
        match rustix::io::read(file, &mut bytes[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(error) => return Err(failed(path, "read", &error.into())),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

fn too_late(deadline: Duration) -> String {
    format!(
        "this pipe had not ended after {} s: nobody wrote the keys to it and closed it; \
         give a file, or look at the program that writes to the pipe",
        deadline.as_secs()
    )
}

/// Refuses the file at `path`.
pub(crate) fn refused(path: &Path, why: &str) -> Error {
    Error::Local(format!("{}: {why}", escaped(path)))
}

/// The system did not let us `verb` the file at `path`.
pub(crate) fn failed(path: &Path, verb: &str, error: &io::Error) -> Error {
    refused(path, &format!("cannot {verb}: {}", reason(error)))
}

/// The system's words for `error`, but for a socket, where they do not help.
pub(crate) fn reason(error: &io::Error) -> String {
    if Errno::from_io_error(error) == Some(Errno::NXIO) {
        return "it is a socket or a missing device; give a regular file".into();
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// The bytes of a file, and the warnings.
    fn open(path: &Path) -> Result<(Zeroizing<Vec<u8>>, Vec<String>), Error> {
        let file = options().open(path).unwrap();
        let mut warnings = Vec::new();
        let bytes = read(&file, path, Kind::FileOrPipe, &mut warnings)?;
        Ok((bytes, warnings))
    }

    /// Goal: a file that everyone may read or write is refused, with the command that mends
    /// it, and there is a warning if a group may. Method: every kind of mode.
    #[test]
    fn modes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("it's a key");
        fs::write(&path, "secret").unwrap();
        let folder = folder.path().to_string_lossy();
        let mend = format!(r"chmod 600 '{folder}/it'\''s a key'");
        for (mode, taken, told) in [
            (0o600, true, false),
            (0o400, true, false),
            (0o611, true, false),
            (0o640, true, true),
            (0o620, true, true),
            (0o604, false, true),
            (0o602, false, true),
            (0o666, false, true),
        ] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let said = match open(&path) {
                Ok((bytes, warnings)) => {
                    assert!(taken && *bytes == b"secret", "{mode:o}");
                    warnings
                }
                Err(error) => {
                    assert!(!taken && error.exit_code() == 1, "{mode:o}: {error}");
                    vec![error.to_string()]
                }
            };
            assert_eq!(said.len(), usize::from(told), "{mode:o}: {said:?}");
            assert!(said.iter().all(|said| said.ends_with(&mend)), "{said:?}");
        }
    }

    /// Goal: a directory, a device and a file one byte over the limit are refused; a file
    /// at the limit is read.
    #[test]
    fn other_kinds_and_sizes() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).unwrap();
        let large = folder.path().join("large");
        fs::write(&large, vec![b'#'; MAX_KEY_FILE]).unwrap();
        fs::set_permissions(&large, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(open(&large).unwrap().0.len(), MAX_KEY_FILE);
        fs::write(&large, vec![b'#'; MAX_KEY_FILE + 1]).unwrap();
        for (path, told) in [
            (folder.path(), "is a directory"),
            (Path::new("/dev/null"), "is a device"),
            (&large, "too large"),
        ] {
            let error = open(path).err().unwrap().to_string();
            assert!(error.contains(told), "{error}");
        }
    }
}
