//! Where the two secrets come from, and the keys that they make.
//!
//! Every source gives two secrets as typed, and each format derives its keys from them. It
//! parses neither: `key_text` does that for one secret, and `key_file` for a key file. Read
//! next: [`sealwire::crypto::keys`].

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sealwire::{ClassicKeys, Identity, KeyRing, Secret, SecretPair};

use crate::args::KeyArgs;
use crate::error::Error;
use crate::key_file::Entry;
use crate::key_text;
use crate::private_file::{self, Kind};
use crate::typed_keys::OPTIONS;
use crate::{key_file, usage};

/// The environment variables of the two secrets.
pub(crate) const VARIABLES: [&str; 2] = ["SEALWIRE_CONFKEY", "SEALWIRE_AUTHKEY"];

/// The keys of one service, for each format that it may speak.
#[derive(Debug)]
pub struct Keys {
    /// For the native format, if there is one key alone and it has no name.
    pub native: Option<Arc<Identity>>,
    /// For the native format: what a key file has for a server.
    pub ring: KeyRing,
    /// Where the ring is from, if the server may read it again.
    pub file: Option<KeyFile>,
    /// For the classic format.
    pub classic: Option<Arc<ClassicKeys>>,
    /// What to tell the user about them, one line each.
    pub warnings: Vec<String>,
}

/// The two secrets as typed, and what messages call each of them.
type Given = ([&'static str; 2], SecretPair);

/// A key file of a server: it can be read again.
#[derive(Debug, Clone)]
pub struct KeyFile {
    path: PathBuf,
    /// The only line to take.
    name: Option<String>,
}

impl KeyFile {
    /// The keys of the line that was asked for, or of all lines; adds to `warnings` what the
    /// user should know of the file.
    ///
    /// # Errors
    ///
    /// As those of [`KeyArgs::load`].
    pub fn read(&self, warnings: &mut Vec<String>) -> Result<KeyRing, Error> {
        let name = self.name.as_deref();
        with_entries(&self.path, name, warnings, |mut entries| {
            key_file::not_empty(&entries, &self.path)?;
            if name.is_some() {
                entries = vec![key_file::pick(entries, name, false, &self.path)?];
            }
            key_file::ring(&entries, &self.path)
        })
    }
}

impl KeyArgs {
    /// As [`load`](Self::load), for a server: of a key file it takes all lines, or the one that
    /// `--name` picks, as a [ring](Keys::ring). The classic format has no names for keys, so
    /// with `classic` it takes one line.
    ///
    /// # Errors
    ///
    /// As those of [`load`](Self::load).
    pub fn load_ring(
        self,
        classic: bool,
        env: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Keys, Error> {
        let is_typed = self.confkey.is_some() || self.authkey.is_some();
        let Some(path) = self.keys.clone().filter(|_| !classic && !is_typed) else {
            return self.load(classic, env);
        };
        let mut warnings = Vec::new();
        let file = KeyFile {
            path,
            name: self.name,
        };
        Ok(Keys {
            native: None,
            ring: file.read(&mut warnings)?,
            file: Some(file),
            classic: None,
            warnings,
        })
    }

    /// Takes the two secrets from where the options say, else from `SEALWIRE_CONFKEY` and
    /// `SEALWIRE_AUTHKEY` in `env`, and derives the keys. With `classic`, any text will do,
    /// and there are classic keys; native ones too if the secrets allow it. Without, there
    /// are native keys alone.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] for what was typed: nothing, one of the two, too much, a
    /// wrong length, or keys that protect nothing. [`Error::Local`] for a file that is
    /// missing, unreadable, open to everyone or another user's, or has a bad line.
    pub fn load(
        self,
        classic: bool,
        env: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Keys, Error> {
        let mut warnings = Vec::from_iter(self.exposed());
        let given = self.given(classic, env, &mut warnings)?;
        derive(given, classic, warnings)
    }

    fn given(
        self,
        classic: bool,
        env: &dyn Fn(&str) -> Option<OsString>,
        warnings: &mut Vec<String>,
    ) -> Result<Given, Error> {
        let options = [self.confkey, self.authkey];
        let typed = options.iter().any(|key| key.is_some());
        if let Some(path) = &self.keys {
            if typed {
                return usage("give --keys, or --confkey and --authkey, but not both");
            }
            return from_key_file(path, self.name.as_deref(), classic, warnings);
        }
        if self.name.is_some() {
            return usage("--name picks a line of a key file: give --keys FILE too");
        }
        let (sources, texts) = if typed {
            (OPTIONS, options)
        } else {
            let variable = |name| env(name).map(|value| Secret::new(value.into_vec()));
            (VARIABLES, VARIABLES.map(variable))
        };
        match texts {
            [Some(confkey), Some(authkey)] => {
                let confkey = key_text::resolve(sources[0], confkey, warnings)?;
                let authkey = key_text::resolve(sources[1], authkey, warnings)?;
                Ok((sources, SecretPair { confkey, authkey }))
            }
            [None, None] => usage(
                "no keys: give --keys FILE, --confkey K and --authkey K, or set \
                 SEALWIRE_CONFKEY and SEALWIRE_AUTHKEY; sealwire keygen FILE makes new ones",
            ),
            [Some(_), None] => usage(format!("{} needs {} too", sources[0], sources[1])),
            [None, Some(_)] => usage(format!("{} needs {} too", sources[1], sources[0])),
        }
    }

    /// The warning about keys on the command line, if there are any.
    fn exposed(&self) -> Option<String> {
        let is_literal = |key: &Secret| key_text::is_literal(key.expose());
        let keys = OPTIONS.into_iter().zip([&self.confkey, &self.authkey]);
        let exposed: Vec<_> = keys
            .filter(|(_, key)| key.as_ref().is_some_and(is_literal))
            .map(|(option, _)| option)
            .collect();
        (!exposed.is_empty()).then(|| {
            format!(
                "{}: other users of this machine could see these keys on the command line until \
                 now, and your shell's history may keep them; use --keys FILE, or set SEALWIRE_CONFKEY and SEALWIRE_AUTHKEY",
                exposed.join(" and ")
            )
        })
    }
}

/// Both secrets from the line called `name`, or from the only line.
fn from_key_file(
    path: &Path,
    name: Option<&str>,
    classic: bool,
    warnings: &mut Vec<String>,
) -> Result<Given, Error> {
    with_entries(path, name, warnings, |entries| {
        let entry = key_file::pick(entries, name, classic, path)?;
        let secrets = SecretPair {
            confkey: Secret::new(entry.confkey.to_vec()),
            authkey: Secret::new(entry.authkey.to_vec()),
        };
        Ok((["--keys"; 2], secrets))
    })
}

/// What `take` makes of the entries of the key file at `path`, of which the user may have asked
/// for the one called `name`.
fn with_entries<T>(
    path: &Path,
    name: Option<&str>,
    warnings: &mut Vec<String>,
    take: impl FnOnce(Vec<Entry<'_>>) -> Result<T, Error>,
) -> Result<T, Error> {
    if let Some(name) = name {
        key_file::check_name(name)?;
    }
    let file = private_file::options().open(path).map_err(|error| {
        let mut why = private_file::reason(&error);
        if error.kind() == io::ErrorKind::NotFound {
            why.push_str("; sealwire keygen makes one");
        }
        private_file::refused(path, &format!("cannot open this key file: {why}"))
    })?;
    let bytes = private_file::read(&file, path, Kind::FileOrPipe, warnings)?;
    take(key_file::parse(&bytes, path)?)
}

/// The keys that the two secrets make. The native format refuses keys that protect
/// nothing; with classic this only warns, as its users may have no others.
fn derive((names, texts): Given, classic: bool, mut warnings: Vec<String>) -> Result<Keys, Error> {
    if !classic {
        let pair = native(names, texts)?;
        return match key_text::weakness(names, &pair) {
            Some(why) => usage(why),
            None => Ok(Keys {
                native: Identity::new(&pair),
                ring: KeyRing::default(),
                file: None,
                classic: None,
                warnings,
            }),
        };
    }
    for (name, text) in names.iter().zip([&texts.confkey, &texts.authkey]) {
        if text.is_empty() {
            return usage(format!("{name}: the key is empty"));
        }
    }
    let keys = ClassicKeys::new(&texts);
    let weak_as_typed = key_text::weakness(names, &texts);
    let pair = native(names, texts).ok();
    let weak = || key_text::weakness(names, pair.as_ref()?);
    warnings.extend(weak_as_typed.or_else(weak));
    Ok(Keys {
        native: pair.as_ref().and_then(Identity::new),
        ring: KeyRing::default(),
        file: None,
        classic: Some(keys),
        warnings,
    })
}

/// The 32 bytes that each of two texts stands for in the native format.
fn native(names: [&str; 2], texts: SecretPair) -> Result<SecretPair, Error> {
    Ok(SecretPair {
        confkey: key_text::native(names[0], texts.confkey)?,
        authkey: key_text::native(names[1], texts.authkey)?,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use sealwire::Time;
    use sealwire::classic::ClassicConnection;
    use sealwire::limits::BLOCK;
    use tempfile::TempDir;

    use super::*;

    /// A recognisable part of every key below.
    const MARK: &str = "deadbeef";
    const HEX: &str = "deadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeef";
    /// Another key.
    const HEX2: &str = "deadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbee2";
    const TEXT: &str = "deadbeef, but as thirty-two text";
    const TEXT2: &str = "deadbeef; but as thirty-two text";

    fn no_env(_: &str) -> Option<OsString> {
        None
    }

    fn typed(confkey: &str, authkey: &str) -> KeyArgs {
        let [confkey, authkey] = [confkey, authkey].map(|key| Some(Secret::new(key.into())));
        KeyArgs {
            confkey,
            authkey,
            ..KeyArgs::default()
        }
    }

    fn from_file(path: &Path, name: Option<&str>) -> KeyArgs {
        KeyArgs {
            keys: Some(path.into()),
            name: name.map(Into::into),
            ..KeyArgs::default()
        }
    }

    fn pair(keys: [&[u8]; 2]) -> SecretPair {
        let [confkey, authkey] = keys.map(|key| Secret::new(key.into()));
        SecretPair { confkey, authkey }
    }

    fn key_id(keys: [&[u8]; 2]) -> [u8; 8] {
        Identity::new(&pair(keys)).unwrap().key_id()
    }

    /// Loads the keys, and asserts that neither `args` nor the result shows them.
    fn loaded(args: KeyArgs, classic: bool) -> Keys {
        let args_shown = format!("{args:?}");
        let loaded = args.load(classic, &no_env).unwrap();
        let shown = format!("{args_shown} {loaded:?}");
        assert!(!shown.contains(MARK), "{shown}");
        loaded
    }

    #[track_caller]
    fn refused(args: KeyArgs, classic: bool, code: u8, part: &str) {
        let error = args.load(classic, &no_env).unwrap_err();
        assert_eq!(error.exit_code(), code, "{error}");
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(part), "{part} in {shown}");
        assert!(!shown.contains(MARK), "{shown}");
    }

    /// A file of mode 0600 in a folder of its own.
    fn file(text: &str) -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        (folder, path)
    }

    fn at(path: &Path) -> String {
        format!("@{}", path.display())
    }

    /// Goal: native keys are 64 hex digits of either case, 32 bytes of text, or the line
    /// that was picked. Method: compare their id.
    #[test]
    fn native_keys() {
        let raw = &[0xde, 0xad, 0xbe, 0xef].repeat(8)[..];
        let upper = HEX.to_uppercase();
        let ones = "1".repeat(64);
        let (_folder, path) = file(&format!("a {HEX} {HEX2}\nb {HEX} {ones}\n"));
        for (args, keys) in [
            (typed(HEX, TEXT), [raw, TEXT.as_bytes()]),
            (typed(TEXT, &upper), [TEXT.as_bytes(), raw]),
            (from_file(&path, Some("b")), [raw, &[0x11; 32]]),
        ] {
            let found = loaded(args, false);
            assert!(found.classic.is_none());
            assert_eq!(found.native.unwrap().key_id(), key_id(keys));
        }
    }

    /// Goal: a server takes all lines of a key file, or the one that is picked, with its name,
    /// and may read them again; keys from elsewhere, and with classic, are one pair without a
    /// name. Method: look into what each source gives.
    #[test]
    fn rings() {
        let (_folder, path) = file(&format!("a {HEX} {HEX2}\nb {HEX2} {HEX}\n"));
        for (name, classic, names) in [
            (None, false, &["a", "b"][..]),
            (Some("b"), false, &["b"]),
            (Some("b"), true, &[]),
        ] {
            let loaded = from_file(&path, name).load_ring(classic, &no_env).unwrap();
            let found = loaded.ring.iter().filter_map(|key| key.name.as_deref());
            let mut found: Vec<_> = found.collect();
            found.sort_unstable();
            assert_eq!(found, names);
            assert_eq!(loaded.file.is_some(), !classic);
            assert_eq!(loaded.native.is_some(), classic);
        }
        let loaded = typed(HEX, HEX2).load_ring(false, &no_env).unwrap();
        assert!(loaded.ring.is_empty() && loaded.file.is_none() && loaded.native.is_some());
        let both = KeyArgs {
            keys: Some(path),
            ..typed(HEX, HEX2)
        };
        let error = both.load_ring(false, &no_env).unwrap_err();
        assert!(error.to_string().contains("but not both"), "{error}");
    }

    /// A frame of a connection with `keys`; equal keys alone make the same one.
    fn frame(keys: Arc<ClassicKeys>) -> Vec<u8> {
        let mut conn = ClassicConnection::new(keys, 1, Time::ZERO);
        conn.seal(b"probe", [0; BLOCK]);
        conn.frame().unwrap().to_vec()
    }

    /// Goal: classic keys are the text as typed or as the file has it, hex digits too, and
    /// there are native keys if the text allows it. Method: compare what connections send.
    #[test]
    fn classic_takes_text() {
        let (_folder, one) = file("deadbeef\n\n");
        let (_folder, line) = file(&format!("a {HEX} {HEX2}"));
        for (args, keys, native) in [
            (typed("deadbeef", "x"), ["deadbeef", "x"], false),
            (typed(HEX, "@@x"), [HEX, "@x"], false),
            (typed(&at(&one), "x"), ["deadbeef\n", "x"], false),
            (from_file(&line, None), [HEX, HEX2], true),
            (typed(HEX, TEXT), [HEX, TEXT], true),
            (typed(HEX, "deadbeef"), [HEX, "deadbeef"], false),
        ] {
            let found = loaded(args, true);
            let expected = ClassicKeys::new(&pair(keys.map(str::as_bytes)));
            assert_eq!(frame(found.classic.unwrap()), frame(expected));
            assert_eq!(found.native.is_some(), native, "{keys:?}");
        }
        let empty = typed("deadbeef", "");
        refused(empty, true, 2, "--authkey: the key is empty");
    }

    /// Goal: one key of two, two sources at once, a name without a file, and no keys at all
    /// are each refused by name.
    #[test]
    fn incomplete_and_contradictory() {
        let both = "give --keys, or --confkey and --authkey";
        let none = "no keys: give --keys FILE, --confkey K and --authkey K, or set \
                    SEALWIRE_CONFKEY and SEALWIRE_AUTHKEY; sealwire keygen";
        for (given, part) in [
            ("confkey", "--confkey needs --authkey too"),
            ("authkey", "--authkey needs --confkey too"),
            ("confkey keys", both),
            ("keys authkey", both),
            ("", none),
            ("name", "--name picks a line"),
        ] {
            let has = |option| given.split(' ').any(|word| word == option);
            let args = KeyArgs {
                confkey: has("confkey").then(|| Secret::new(HEX.into())),
                authkey: has("authkey").then(|| Secret::new(HEX.into())),
                keys: has("keys").then(|| "file".into()),
                name: has("name").then(|| "main".into()),
                ..KeyArgs::default()
            };
            refused(args, false, 2, part);
        }
    }

    /// Goal: the environment is asked last, takes @FILE too, and needs both keys. Refusals
    /// name its variables.
    #[test]
    fn environment() {
        let (_folder, path) = file(TEXT);
        let both = |name: &str| {
            Some(match name {
                "SEALWIRE_CONFKEY" => OsString::from(at(&path)),
                "SEALWIRE_AUTHKEY" => TEXT2.into(),
                other => panic!("{other}"),
            })
        };
        let expected = key_id([TEXT.as_bytes(), TEXT2.as_bytes()]);
        let loaded = KeyArgs::default().load(false, &both).unwrap();
        assert_eq!(loaded.native.unwrap().key_id(), expected);
        assert_eq!(loaded.warnings, [""; 0], "not seen by others");

        let typed = typed(HEX, HEX2).load(false, &both).unwrap();
        assert_ne!(typed.native.unwrap().key_id(), expected);

        for (confkey, told) in [
            (None, "SEALWIRE_AUTHKEY needs SEALWIRE_CONFKEY too"),
            (Some("deadbeef"), "SEALWIRE_CONFKEY: 8 bytes given"),
            (Some(TEXT2), "SEALWIRE_CONFKEY and SEALWIRE_AUTHKEY are the"),
        ] {
            let env = |name: &str| match name {
                "SEALWIRE_CONFKEY" => confkey.map(OsString::from),
                _ => both(name),
            };
            let error = KeyArgs::default().load(false, &env).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().starts_with(told), "{error}");
        }
    }

    /// Goal: one warning names the keys that others can see on the command line; there is
    /// none for files.
    #[test]
    fn literals_are_warned_of() {
        let [(_folder, one), (_folder2, two)] = [HEX, HEX2].map(file);
        let (at, at2) = (at(&one), at(&two));
        let literal = format!("@@{}", &TEXT[1..]);
        for (confkey, authkey, start) in [
            (HEX, HEX2, Some("--confkey and --authkey: ")),
            (&at, &literal, Some("--authkey: ")),
            (HEX, &at2, Some("--confkey: ")),
            (&at, &at2, None),
        ] {
            let warnings = loaded(typed(confkey, authkey), false).warnings;
            assert_eq!(warnings.len(), usize::from(start.is_some()));
            let right = |warning: &String| warning.starts_with(start.unwrap());
            assert!(warnings.iter().all(right), "{warnings:?}");
        }
    }

    /// Goal: a file that everyone may read is refused, and so is a missing one, or a name that
    /// no line can have. What a key file may hold is in the tests of `key_file`.
    #[test]
    fn files_that_are_refused() {
        let (_folder, open) = file(HEX);
        fs::set_permissions(&open, Permissions::from_mode(0o604)).unwrap();
        refused(typed(&at(&open), HEX), false, 1, "chmod 600 ");
        let missing = open.with_file_name("missing");
        let strange = from_file(&missing, Some("a\u{ad}b"));
        refused(strange, false, 2, "--name: one word is wanted");
        for part in ["missing: cannot open this key file", "keygen"] {
            refused(from_file(&missing, None), false, 1, part);
        }
    }

    /// Goal: keys that protect nothing are refused by name; classic takes them as typed,
    /// with a warning. Method: zeros and one key twice, in every form.
    #[test]
    fn keys_that_protect_nothing() {
        let zeros = "0".repeat(64);
        let nul = "\0".repeat(32);
        let upper = HEX.to_uppercase();
        for (confkey, authkey, why) in [
            (HEX, HEX, "--confkey and --authkey are the same; use"),
            (HEX, &upper, "--confkey and --authkey are the same; use"),
            (TEXT, TEXT, "--confkey and --authkey are the same; use"),
            (&zeros, HEX, "--confkey is all zeros"),
            (TEXT, &nul, "--authkey is all zeros"),
        ] {
            refused(typed(confkey, authkey), false, 2, why);
            let loaded = loaded(typed(confkey, authkey), true);
            assert!(loaded.native.is_some());
            assert_eq!(loaded.warnings.len(), 2);
            assert!(loaded.warnings[1].starts_with(why), "{loaded:?}");
        }
        let told = &loaded(typed("any", "any"), true).warnings[1];
        assert!(told.contains("are the same;"), "{told}");
        let (_folder, path) = file(&format!("a {HEX} {HEX}"));
        for classic in [false, true] {
            let why = "line 1: the confkey and";
            refused(from_file(&path, None), classic, 1, why);
        }
    }
}
