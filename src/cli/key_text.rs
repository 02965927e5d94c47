//! One secret as it was typed: the key itself, or `@` and the file that has it.
//!
//! The native format wants 32 bytes, as they are or in hex, and classic takes the text.
//! No error shows a secret, nor what may be one: a key that begins with `@` looks like a
//! file. It does not choose where secrets come from. Read next: [`crate::keys`], which does.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::str;

use sealwire::{Secret, SecretPair};
use subtle::ConstantTimeEq;

use crate::error::Error;
use crate::key_file::{self, DIGITS};
use crate::private_file::{self, Kind};
use crate::usage;

const WANTED: &str = "64 hex digits or exactly 32 bytes are wanted";

/// Why `keys`, which messages call `names`, protect nothing though their form is right:
/// one key used twice, or a placeholder. `None` for good keys.
///
/// It takes constant time, except for the answer.
pub(crate) fn weakness(names: [&str; 2], keys: &SecretPair) -> Option<String> {
    let SecretPair { confkey, authkey } = keys;
    for (name, key) in names.iter().zip([confkey, authkey]) {
        let zeros = [0; DIGITS];
        if key.len() <= DIGITS && key.expose().ct_eq(&zeros[..key.len()]).into() {
            return Some(format!(
                "{name} is all zeros, which anyone can guess; sealwire keygen makes new keys"
            ));
        }
    }
    let same: bool = confkey.expose().ct_eq(authkey.expose()).into();
    same.then(|| {
        let [confkey, authkey] = names;
        format!(
            "{confkey} and {authkey} are the same; use two different keys, as sealwire keygen \
             makes them"
        )
    })
}

/// Whether what was typed is the key itself, not the name of its file.
pub(crate) fn is_literal(typed: &[u8]) -> bool {
    !typed.starts_with(b"@") || typed.starts_with(b"@@")
}

/// The text that `@FILE` or `@@…` stands for, or `typed` itself, which is from `source`;
/// adds to `warnings` what the user should know of the file.
pub(crate) fn resolve(
    source: &str,
    typed: Secret,
    warnings: &mut Vec<String>,
) -> Result<Secret, Error> {
    let text = match typed.expose() {
        [b'@', b'@', ..] => Secret::new(typed.expose()[1..].to_vec()),
        [b'@', path @ ..] => from_file(source, Path::new(OsStr::from_bytes(path)), warnings)?,
        _ => typed,
    };
    if is_marked(text.expose()) {
        return usage(format!(
            "{source}: the key begins with an invisible byte order mark, which some \
             editors add; delete it"
        ));
    }
    Ok(text)
}

/// The 32 bytes that `text`, which is from `source`, stands for in the native format.
pub(crate) fn native(source: &str, text: Secret) -> Result<Secret, Error> {
    match text.len() {
        32 => Ok(text),
        DIGITS => key_file::key(text.expose()).ok_or_else(|| {
            let why = "64 bytes given, but not all are hex digits";
            Error::Usage(format!("{source}: {why}; {WANTED}"))
        }),
        len => usage(format!("{source}: {len} bytes given; {WANTED}")),
    }
}

/// Whether it is text behind a byte order mark. Random bytes may begin with the same
/// three.
fn is_marked(key: &[u8]) -> bool {
    key.starts_with(b"\xef\xbb\xbf") && str::from_utf8(key).is_ok()
}

/// All of a file but one trailing newline.
fn from_file(source: &str, path: &Path, warnings: &mut Vec<String>) -> Result<Secret, Error> {
    // No message shows the path until there is such a file: it may be a key.
    let file = private_file::options().open(path).map_err(|error| {
        Error::Local(format!(
            "{source}: cannot open the file named behind the @: {} \
             (if the key itself begins with @, type @@ for it)",
            private_file::reason(&error)
        ))
    })?;
    let bytes = private_file::read(&file, path, Kind::FileOrPipe, warnings)?;
    let text = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    Ok(Secret::new(text.to_vec()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const HEX: &str = "deadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeef";
    const TEXT: &str = "deadbeef, but as thirty-two text";

    fn resolved(typed: &str) -> Result<Secret, Error> {
        resolve("--confkey", Secret::new(typed.into()), &mut Vec::new())
    }

    fn native(typed: &str) -> Result<Vec<u8>, String> {
        let key = resolved(typed).and_then(|text| super::native("--confkey", text));
        key.map(|key| key.expose().to_vec())
            .map_err(|error| error.to_string())
    }

    /// Goal: a refusal of a wrong length, or of 64 bytes that are not all hex, shows the
    /// length alone.
    #[test]
    fn wrong_lengths() {
        for text in ["", &TEXT[1..], &HEX[1..], &HEX.repeat(2)] {
            let told = format!("--confkey: {} bytes given; {WANTED}", text.len());
            assert_eq!(native(text).unwrap_err(), told);
        }
        let told = native(&format!("{}x", &HEX[1..])).unwrap_err();
        let wanted = "--confkey: 64 bytes given, but not all";
        assert!(told.starts_with(wanted) && !told.contains("beef"), "{told}");
    }

    /// Goal: one newline at the end of a file is dropped, a second or a CR is not, and a
    /// byte order mark is refused, in a file and as typed.
    #[test]
    fn files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        for (file, text) in [
            ("deadbeef", "deadbeef"),
            ("deadbeef\n", "deadbeef"),
            ("deadbeef\n\n", "deadbeef\n"),
            ("deadbeef\r\n", "deadbeef\r"),
            ("@deadbeef\n", "@deadbeef"),
            ("\n", ""),
        ] {
            fs::write(&path, file).unwrap();
            let key = resolved(&format!("@{}", path.display())).unwrap();
            assert_eq!(key.expose(), text.as_bytes());
        }
        fs::write(&path, "\u{feff}and 29 bytes, which makes 32.").unwrap();
        let at = format!("@{}", path.display());
        for typed in [at, format!("\u{feff}{HEX}")] {
            let told = native(&typed).unwrap_err();
            let wanted = "--confkey: the key begins with an invisible byte order mark";
            assert!(told.starts_with(wanted), "{told}");
        }
    }

    /// Goal: two @ stand for one. One alone names a file; if that is missing, the refusal
    /// does not show the text behind the @.
    #[test]
    fn at_signs() {
        assert_eq!(resolved("@@deadbeef").unwrap().expose(), b"@deadbeef");
        assert_eq!(resolved("@@").unwrap().expose(), b"@");
        for typed in ["@deadbeef", "@"] {
            let error = resolved(typed).err().unwrap();
            let told = error.to_string();
            assert_eq!(error.exit_code(), 1, "{told}");
            assert!(told.starts_with("--confkey: cannot open") && told.contains("type @@"));
            assert!(!told.contains("beef"), "{told}");
        }
    }
}
