//! Where the two secrets come from, and what is made of them.
//!
//! All sources lead to the same thing, two secrets as typed, of which each format
//! makes its keys. What one of them stands for is `key_text`'s, and what
//! a key file holds `key_file`'s.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::sync::Arc;

use super::args::KeyArgs;
use super::key_text::{self, KeyText};
use super::private_file::{self, Kind};
use super::typed_keys::OPTIONS;
use super::{key_file, usage};
use crate::classic::ClassicKeys;
use crate::crypto::keys::Identity;
use crate::crypto::secret::{Secret, SecretPair};
use crate::error::Error;

/// What the environment calls the two secrets.
pub(super) const VARIABLES: [&str; 2] = ["SEALWIRE_CONFKEY", "SEALWIRE_AUTHKEY"];

/// The keys of one service, for each format that may be spoken.
#[derive(Debug)]
pub struct Keys {
    /// For the native format.
    pub native: Option<Arc<Identity>>,
    /// For the classic format.
    pub classic: Option<Arc<ClassicKeys>>,
}

/// Keys, and what to tell the user about them.
#[derive(Debug)]
pub struct Loaded {
    /// The keys.
    pub keys: Keys,
    /// One line each.
    pub warnings: Vec<String>,
}

impl KeyArgs {
    /// Gets the two secrets from where the options say, else from what `env` has
    /// under `SEALWIRE_CONFKEY` and `SEALWIRE_AUTHKEY`, and derives the keys.
    /// With `classic`, any text will do, and there are classic keys; native ones
    /// too if the secrets allow it. Without, there are native keys alone.
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
    ) -> Result<Loaded, Error> {
        let mut warnings = Vec::from_iter(self.exposed());
        let given = self.given(env, &mut warnings)?;
        let keys = derive(given, classic, &mut warnings)?;
        Ok(Loaded { keys, warnings })
    }

    /// The confkey and the authkey, as typed.
    fn given(
        self,
        env: &dyn Fn(&str) -> Option<OsString>,
        warnings: &mut Vec<String>,
    ) -> Result<[KeyText; 2], Error> {
        let options = [self.confkey, self.authkey];
        let typed = options.iter().any(|key| key.is_some());
        if let Some(path) = &self.keys {
            if typed {
                return usage("give --keys, or --confkey and --authkey, but not both");
            }
            return from_key_file(path, self.name.as_deref(), warnings);
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
            [Some(confkey), Some(authkey)] => Ok([
                KeyText::resolve(sources[0], confkey, warnings)?,
                KeyText::resolve(sources[1], authkey, warnings)?,
            ]),
            [None, None] => usage(
                "no keys: give --keys FILE, --confkey K and --authkey K, or set \
                 SEALWIRE_CONFKEY and SEALWIRE_AUTHKEY; sealwire keygen FILE makes new ones",
            ),
            [Some(_), None] => usage(format!("{} needs {} too", sources[0], sources[1])),
            [None, Some(_)] => usage(format!("{} needs {} too", sources[1], sources[0])),
        }
    }

    /// The warning that keys stand on the command line, if they do.
    fn exposed(&self) -> Option<String> {
        let exposed: Vec<_> = OPTIONS
            .into_iter()
            .zip([&self.confkey, &self.authkey])
            .filter(|(_, key)| {
                key.as_ref()
                    .is_some_and(|key| key_text::is_literal(key.expose()))
            })
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

/// Both from the line called `name`, or from the only one.
fn from_key_file(
    path: &Path,
    name: Option<&str>,
    warnings: &mut Vec<String>,
) -> Result<[KeyText; 2], Error> {
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
    let read = private_file::read(&file, path, Kind::FileOrPipe)?;
    warnings.extend(read.warnings);
    let entries = key_file::parse(&read.bytes, path)?;
    let entry = key_file::pick(entries, name, path)?;
    Ok([entry.confkey, entry.authkey].map(|digits| KeyText {
        source: "--keys",
        text: Secret::new(digits.to_vec()),
    }))
}

/// The keys that the two secrets make. The native format refuses keys that protect
/// nothing; with classic they are warned of, as its users may have no others.
fn derive(given: [KeyText; 2], classic: bool, warnings: &mut Vec<String>) -> Result<Keys, Error> {
    let names = given.each_ref().map(|given| given.source);
    let [confkey, authkey] = given.map(|given| given.text);
    let texts = SecretPair { confkey, authkey };
    if !classic {
        let pair = native(names, texts)?;
        return match key_text::weakness(names, &pair) {
            Some(why) => usage(why),
            None => Ok(Keys {
                native: Identity::new(&pair),
                classic: None,
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
        classic: Some(keys),
    })
}

/// What two texts stand for in the native format: 32 bytes each.
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
    use std::path::PathBuf;

    use tempfile::TempDir;

    use super::*;

    /// A recognisable part of every key below.
    const MARK: &str = "deadbeef";
    const HEX: &str = "deadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeef";
    /// Another key.
    const HEX2: &str = "deadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbee2";
    const TEXT: &str = "deadbeef, but as thirty-two text";

    fn no_env(_: &str) -> Option<OsString> {
        None
    }

    fn key(text: &str) -> Option<Secret> {
        Some(Secret::new(text.into()))
    }

    /// The same once more: loading takes the keys.
    fn again(args: &KeyArgs) -> KeyArgs {
        KeyArgs {
            confkey: args.confkey.clone(),
            authkey: args.authkey.clone(),
            keys: args.keys.clone(),
            name: args.name.clone(),
            allow_core_dumps: false,
        }
    }

    fn typed(confkey: &str, authkey: &str) -> KeyArgs {
        KeyArgs {
            confkey: key(confkey),
            authkey: key(authkey),
            ..KeyArgs::default()
        }
    }

    fn key_file(path: impl Into<PathBuf>, name: Option<&str>) -> KeyArgs {
        KeyArgs {
            keys: Some(path.into()),
            name: name.map(Into::into),
            ..KeyArgs::default()
        }
    }

    fn native(confkey: &[u8], authkey: &[u8]) -> [u8; 8] {
        Identity::new(&pair(confkey, authkey)).unwrap().key_id()
    }

    fn pair(confkey: &[u8], authkey: &[u8]) -> SecretPair {
        SecretPair {
            confkey: Secret::new(confkey.into()),
            authkey: Secret::new(authkey.into()),
        }
    }

    /// The key id that `args` lead to, with nothing of the keys in sight.
    fn key_id(args: &KeyArgs) -> [u8; 8] {
        let loaded = again(args).load(false, &no_env).unwrap();
        let shown = format!("{args:?} {loaded:?}");
        assert!(!shown.contains(MARK), "{shown}");
        assert!(loaded.keys.classic.is_none());
        loaded.keys.native.unwrap().key_id()
    }

    /// The tag that classic keys give a probe: equal for equal keys alone.
    fn classic_tag(args: &KeyArgs) -> [u8; 32] {
        let loaded = again(args).load(true, &no_env).unwrap();
        loaded.keys.classic.unwrap().tag(b"probe")
    }

    fn expected_tag(confkey: &str, authkey: &str) -> [u8; 32] {
        ClassicKeys::new(&pair(confkey.as_bytes(), authkey.as_bytes())).tag(b"probe")
    }

    #[track_caller]
    fn refused(args: &KeyArgs, classic: bool, code: u8, part: &str) {
        let error = again(args).load(classic, &no_env).unwrap_err();
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

    /// 64 hex digits of either case, and 32 bytes of text, each as what they are.
    #[test]
    fn hex_and_text() {
        let raw = [0xde, 0xad, 0xbe, 0xef].repeat(8);
        assert_eq!(key_id(&typed(HEX, TEXT)), native(&raw, TEXT.as_bytes()));
        let upper = HEX.to_uppercase();
        assert_eq!(key_id(&typed(TEXT, &upper)), native(TEXT.as_bytes(), &raw));
    }

    /// One of two, both sources at once, a name without a file, and nothing: each
    /// refused by name.
    #[test]
    fn incomplete_and_contradictory() {
        let mut args = typed(HEX, HEX);
        args.authkey = None;
        refused(&args, false, 2, "--confkey needs --authkey too");
        args.keys = Some("file".into());
        refused(&args, false, 2, "give --keys, or --confkey and --authkey");
        let mut args = typed(HEX, HEX);
        args.confkey = None;
        refused(&args, false, 2, "--authkey needs --confkey too");
        let mut args = KeyArgs::default();
        for way in ["--keys", "--confkey", "SEALWIRE_AUTHKEY", "keygen"] {
            refused(&args, false, 2, way);
        }
        args.name = Some("main".into());
        refused(&args, false, 2, "--name");
    }

    /// The environment is asked last, takes @FILE too, and needs both.
    #[test]
    fn environment() {
        let (_folder, path) = file(TEXT);
        let both = |name: &str| {
            Some(match name {
                "SEALWIRE_CONFKEY" => OsString::from(at(&path)),
                "SEALWIRE_AUTHKEY" => TEXT.replace(", but", "; but").into(),
                other => panic!("{other}"),
            })
        };
        let other = TEXT.replace(", but", "; but");
        let ids = [TEXT.as_bytes(), other.as_bytes()];
        let loaded = KeyArgs::default().load(false, &both).unwrap();
        assert_eq!(loaded.keys.native.unwrap().key_id(), native(ids[0], ids[1]));
        assert_eq!(loaded.warnings, [""; 0], "not seen by others");

        let typed = typed(HEX, HEX2).load(false, &both).unwrap();
        assert_ne!(typed.keys.native.unwrap().key_id(), native(ids[0], ids[1]));

        let one = |name: &str| both(name).filter(|_| name == "SEALWIRE_AUTHKEY");
        let error = KeyArgs::default().load(false, &one).unwrap_err();
        let wanted = "SEALWIRE_AUTHKEY needs SEALWIRE_CONFKEY too";
        assert_eq!((error.exit_code(), error.to_string()), (2, wanted.into()));
    }

    /// What others can see on the command line is warned of, once; files are not.
    #[test]
    fn literals_are_warned_of() {
        let (folder, path) = file(HEX);
        let second = folder.path().join("second");
        fs::write(&second, HEX2).unwrap();
        fs::set_permissions(&second, Permissions::from_mode(0o600)).unwrap();
        let (at, at2) = (at(&path), at(&second));
        let literal = format!("@@{}", &TEXT[1..]);
        for (confkey, authkey, start) in [
            (HEX, HEX2, Some("--confkey and --authkey: ")),
            (&at, &literal, Some("--authkey: ")),
            (HEX, &at2, Some("--confkey: ")),
            (&at, &at2, None),
        ] {
            let warnings = typed(confkey, authkey)
                .load(false, &no_env)
                .unwrap()
                .warnings;
            assert_eq!(warnings.len(), usize::from(start.is_some()));
            for warning in warnings {
                assert!(warning.starts_with(start.unwrap()), "{warning}");
                assert!(!warning.contains(MARK), "{warning}");
            }
        }
    }

    /// A key that begins with @ is not shown when there is no such file; nor is
    /// one of a file that everyone may read.
    #[test]
    fn at_sign_mistakes() {
        let literal = format!("@{}", &TEXT[1..].replace("eadbeef", MARK));
        refused(&typed(&literal, HEX), false, 1, "type @@");
        refused(&typed(HEX, "@"), false, 1, "--authkey: cannot open");
        let (_folder, path) = file(HEX);
        fs::set_permissions(&path, Permissions::from_mode(0o604)).unwrap();
        refused(&typed(&at(&path), HEX), false, 1, "chmod 600 ");
        refused(&key_file(&path, None), false, 1, "chmod 600 ");
    }

    /// A key file by name and without, and what can be wrong with one.
    #[test]
    fn key_files() {
        let raw = [0xde, 0xad, 0xbe, 0xef].repeat(8);
        let ones = "1".repeat(64);
        let (_folder, path) = file(&format!("a {HEX} {HEX2}\nb {HEX} {ones}\n"));
        assert_eq!(
            key_id(&key_file(&path, Some("b"))),
            native(&raw, &[0x11; 32])
        );
        refused(&key_file(&path, None), false, 2, "with --name: a, b");
        refused(&key_file(&path, Some("c")), false, 2, "--name c");
        let missing = path.with_file_name("missing");
        refused(&key_file(&missing, None), false, 1, "keygen");

        let (_folder, path) = file(&format!("{HEX} {HEX}"));
        refused(&key_file(&path, None), false, 1, "line 1: three words");
    }

    /// Goal: keys that protect nothing are refused by name; in classic they are told
    /// and taken, as typed. Method: zeros and one key twice, in every form.
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
            let args = typed(confkey, authkey);
            refused(&args, false, 2, why);
            let loaded = args.load(true, &no_env).unwrap();
            assert!(loaded.keys.native.is_some());
            let told = &loaded.warnings[1];
            assert!(
                told.starts_with(why) && loaded.warnings.len() == 2,
                "{told}"
            );
        }
        let told = &typed("any", "any").load(true, &no_env).unwrap().warnings[1];
        assert!(told.contains("are the same;"), "{told}");
        let (_folder, path) = file(&format!("a {HEX} {HEX}"));
        for classic in [false, true] {
            refused(
                &key_file(&path, None),
                classic,
                1,
                "line 1: the confkey and",
            );
        }
    }

    /// In classic, keys are the text as typed or as the file has it, hex digits
    /// too; native keys are there if the text allows it; empty is refused.
    #[test]
    fn classic_takes_text() {
        assert_eq!(
            classic_tag(&typed("deadbeef", "x")),
            expected_tag("deadbeef", "x")
        );
        assert_eq!(classic_tag(&typed(HEX, "@@x")), expected_tag(HEX, "@x"));
        let (_folder, path) = file("deadbeef\n\n");
        let args = typed(&at(&path), "x");
        assert_eq!(classic_tag(&args), expected_tag("deadbeef\n", "x"));
        let (_folder, path) = file(&format!("a {HEX} {HEX2}"));
        let args = key_file(&path, None);
        assert_eq!(classic_tag(&args), expected_tag(HEX, HEX2));

        let has_native = |args: &KeyArgs| {
            again(args)
                .load(true, &no_env)
                .unwrap()
                .keys
                .native
                .is_some()
        };
        assert!(has_native(&args));
        assert!(has_native(&typed(HEX, TEXT)));
        assert!(!has_native(&typed(HEX, "deadbeef")));
        refused(
            &typed("deadbeef", ""),
            true,
            2,
            "--authkey: the key is empty",
        );
    }
}
