//! Keys as a user gives them: a key file, or two texts, which may be in files of their own.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStringExt;

use sealwire::{Identity, Secret, SecretPair};
use sealwire_cli::args::KeyArgs;
use sealwire_cli::error::Error;
use tempfile::TempPath;

use crate::script::Script;

/// Either of what a program takes for its two keys.
pub(crate) fn run(input: &[u8]) {
    let mut script = Script::new(input);
    match script.below(2) {
        0 => key_file(&mut script),
        _ => texts(&mut script),
    }
}

/// A file that only we may read.
fn file(content: &[u8]) -> TempPath {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(content).expect("room for it");
    file.into_temp_path()
}

/// The name of the keys, or why there are none.
fn load(args: KeyArgs, env: &dyn Fn(&str) -> Option<OsString>) -> Result<[u8; 8], Error> {
    let keys = args.load(false, env)?;
    Ok(keys.native.expect("native keys").key_id())
}

fn key_id([confkey, authkey]: [&[u8]; 2]) -> Option<[u8; 8]> {
    let zero = |key: &[u8]| key.iter().all(|&byte| byte == 0);
    let [confkey, authkey] = [confkey, authkey].map(|key| match key.len() {
        64 => hex(key),
        32 => Some(key.to_vec()),
        _ => None,
    });
    let (confkey, authkey) = (confkey?, authkey?);
    if zero(&confkey) || zero(&authkey) || confkey == authkey {
        return None;
    }
    let identity = Identity::new(&SecretPair {
        confkey: Secret::new(confkey),
        authkey: Secret::new(authkey),
    });
    Some(identity?.key_id())
}

fn hex(digits: &[u8]) -> Option<Vec<u8>> {
    let digits = digits.iter().map(|&digit| (digit as char).to_digit(16));
    let digits: Vec<u32> = digits.collect::<Option<_>>()?;
    let bytes = digits.chunks(2).map(|two| (two[0] * 16 + two[1]) as u8);
    Some(bytes.collect())
}

/// A whole key file: the line that is asked for, or the only one, and for a server all of them;
/// and no refusal shows a key.
fn key_file(script: &mut Script<'_>) {
    let name = match script.below(3) {
        0 => None,
        _ => {
            let len = script.below(4);
            Some(String::from_utf8_lossy(script.bytes(len)).into_owned())
        }
    };
    let content = script.rest();
    let path = file(content);
    let args = || KeyArgs {
        keys: Some(path.to_path_buf()),
        name: name.clone(),
        ..KeyArgs::default()
    };
    let lines = content.split(|&byte| byte == b'\n').map(words);
    let lines: Vec<_> = lines.filter(|words| !words.is_empty()).collect();
    let wanted = |line: &&Vec<&[u8]>| name.as_ref().is_none_or(|name| name.as_bytes() == line[0]);
    match args().load_ring(false, &|_| None) {
        Ok(keys) => {
            let wanted: Vec<_> = lines.iter().filter(wanted).collect();
            assert_eq!(keys.ring.len(), wanted.len());
            for line in wanted {
                let id = key_id([line[1], line[2]]).expect("it was taken");
                let key = keys.ring.find(id).expect("a key of each line");
                assert_eq!(key.name.as_deref().map(str::as_bytes), Some(line[0]));
                assert_eq!(key.forward.is_some(), line.len() > 3);
            }
        }
        Err(error) => shows_no_key(&error, &lines),
    }
    match load(args(), &|_| None) {
        Ok(id) => {
            let mut found = lines.iter().filter(wanted);
            let (Some([_, confkey, authkey, ..]), None) =
                (found.next().map(|w| &w[..]), found.next())
            else {
                panic!("not one line: {lines:?}");
            };
            assert_eq!(Some(id), key_id([confkey, authkey]));
        }
        Err(error) => shows_no_key(&error, &lines),
    }
}

fn shows_no_key(error: &Error, lines: &[Vec<&[u8]>]) {
    let told = error.to_string();
    let keys = lines.iter().flat_map(|words| words.iter().skip(1));
    for key in keys.filter(|key| key.len() >= 16) {
        let key = String::from_utf8_lossy(key).into_owned();
        let is_name = lines.iter().any(|words| words[0] == key.as_bytes());
        assert!(is_name || !told.contains(&key), "{told}");
    }
}

/// The words of a line, without its comment.
fn words(line: &[u8]) -> Vec<&[u8]> {
    let text = line.split(|&byte| byte == b'#').next().unwrap_or_default();
    let words = text.split(|byte| b" \t\r\x0c".contains(byte));
    words.filter(|word| !word.is_empty()).collect()
}

/// Two texts, from the environment.
fn texts(script: &mut Script<'_>) {
    let mut files = Vec::new();
    let mut one = || {
        let kind = script.below(4);
        let text = script.lump();
        match kind {
            0 => {
                let path = file(&text);
                let typed = [b"@", path.as_os_str().as_encoded_bytes()].concat();
                files.push(path);
                let text = text.strip_suffix(b"\n").unwrap_or(&text).to_vec();
                (typed, text)
            }
            1 => ([b"@@", &text[..]].concat(), [b"@", &text[..]].concat()),
            _ if text.first() == Some(&b'@') => (text[1..].to_vec(), text[1..].to_vec()),
            _ => (text.clone(), text),
        }
    };
    let [conf, auth] = [one(), one()];
    // A text that happens to name a file is not what is looked for here.
    for (typed, text) in [&conf, &auth] {
        if typed == text && typed.first() == Some(&b'@') {
            return;
        }
    }
    let env = |name: &str| {
        let typed = if name.contains("CONF") {
            &conf.0
        } else {
            &auth.0
        };
        Some(OsString::from_vec(typed.clone()))
    };
    let is_marked = |text: &[u8]| text.starts_with(b"\xef\xbb\xbf") && str::from_utf8(text).is_ok();
    let marked = is_marked(&conf.1) || is_marked(&auth.1);
    let expected = key_id([&conf.1, &auth.1]).filter(|_| !marked);
    let loaded = load(KeyArgs::default(), &env);
    assert_eq!(loaded.as_ref().ok(), expected.as_ref());
    drop(files);
}
