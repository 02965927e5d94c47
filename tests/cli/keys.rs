//! Keys from wherever they may come: taken where they are right, refused in one
//! line where they are not, and never shown.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::program::{AUTHKEY, CONFKEY, Ended, Launch};

/// Another key, for those who have the wrong one.
const OTHER: &str = "0badf00d0badf00d0badf00d0badf00d0badf00d0badf00d0badf00d0badf00d";

fn file(folder: &Path, mode: u32, text: &str) -> PathBuf {
    let path = folder.join("keys");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    path
}

fn with_file(path: &Path) -> Ended {
    let server = Launch::server("").no_keys();
    server.arg("--keys").arg(path).run()
}

/// Goal: a key of the wrong length is refused by its name, wherever it is from.
/// Method: too short, too long, and not all hex; on the command line and in the
/// environment. What was given is not shown.
#[test]
fn wrong_lengths() {
    for key in [
        "c0ffee",
        &format!("{CONFKEY}00"),
        &format!("x{}", &CONFKEY[1..]),
    ] {
        let ended = Launch::server("--confkey")
            .arg(key)
            .arg("--authkey")
            .arg(AUTHKEY)
            .run();
        ended.refused(2, "--confkey: ");
        assert!(!ended.stderr.contains("c0ffee"), "{ended}");
        let ended = Launch::server("").keys(key, AUTHKEY).run();
        ended.refused(2, "SEALWIRE_CONFKEY: ");
        assert!(!ended.stderr.contains("c0ffee"), "{ended}");
    }
    Launch::server("")
        .no_keys()
        .run()
        .refused(2, "no keys: give --keys FILE");
    let both = Launch::server("--keys f --confkey").arg(CONFKEY).run();
    both.refused(2, "--keys, or --confkey and --authkey, but not both");
}

/// Goal: a key file that is missing, that everyone may read, that holds no key
/// or a bad line, is refused, and the bad line is given by its number alone.
#[test]
fn bad_key_files() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    with_file(&folder.join("missing")).refused(1, "missing: cannot open this key file");
    with_file(folder).refused(1, ": ");
    let good = format!("a {CONFKEY} {AUTHKEY}\n");
    with_file(&file(folder, 0o644, &good)).refused(1, "run: chmod 600 ");
    with_file(&file(folder, 0o600, "# none\n")).refused(1, "no keys in it");
    let bad = format!("# one\n{good}b {CONFKEY}\n");
    let ended = with_file(&file(folder, 0o600, &bad));
    ended.refused(1, "line 3: three words are wanted");
    assert!(!ended.stderr.contains("c0ffee"), "{ended}");
    let two = format!("{good}b {CONFKEY} {AUTHKEY}\n");
    with_file(&file(folder, 0o600, &two)).refused(2, "--name: a, b");
}

/// Goal: a key file that the program may not read is refused. Method: a file for
/// its owner alone and, as root reads everything, another user.
#[test]
fn an_unreadable_key_file() {
    const NOBODY: u32 = 65534;
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let good = format!("a {CONFKEY} {AUTHKEY}\n");
    let path = file(folder.path(), 0o200, &good);
    let mut launch = Launch::server("").no_keys();
    if fs::read(&path).is_ok() {
        if !Launch::new("--version").user(NOBODY).starts() {
            eprintln!("skipped: we are root, and no other user can run the program");
            return;
        }
        launch = launch.user(NOBODY);
    }
    let ended = launch.arg("--keys").arg(&path).run();
    ended.refused(1, "cannot open this key file");
}

/// Goal: keygen's file is for its owner alone, does for both sides, and takes a
/// second line. Method: make it, talk with it, add to it, talk with the second.
#[test]
fn keygen_makes_keys_for_both_sides() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    let path_text = path.to_str().unwrap();
    for name in ["main", "second"] {
        let made = Launch::new("keygen")
            .arg(&path)
            .arg("--name")
            .arg(name)
            .no_keys()
            .run();
        assert_eq!(made.code, 0, "{made}");
        assert!(
            made.stdout.is_empty() && made.stderr.contains(path_text),
            "{made}"
        );
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        for word in fs::read_to_string(&path).unwrap().split_whitespace() {
            assert!(
                word.len() < 64 || !made.stderr.contains(word),
                "a key is shown"
            );
        }
        let args = format!("--keys {path_text} --name {name}");
        let server = Launch::server(&args).no_keys().stdin(Stdio::null()).start();
        let mut client = Launch::client(server.port(), &args).no_keys().start();
        client.say(name);
        client.end_input();
        client.ends_with(0);
        assert_eq!(server.ends_with(0).stdout, name.as_bytes());
    }
    let again = Launch::new("keygen").arg(&path).run();
    again.refused(1, "the name main is taken");
}

/// Goal: whoever has other keys is told so, ends with 3, and the server serves
/// on. Method: a client with another confkey, one with another authkey, then one
/// with the right ones.
#[test]
fn wrong_keys() {
    let server = Launch::server("--no-input").start();
    let port = server.port();
    for (confkey, authkey) in [(OTHER, AUTHKEY), (CONFKEY, OTHER)] {
        let client = Launch::client(port, "").keys(confkey, authkey).run();
        client.refused(3, "keys or service differ, or not a sealwire server");
    }
    server.lines(2, "refused: the keys differ");
    let mut client = Launch::client(port, "").start();
    client.say("right");
    client.end_input();
    client.ends_with(0);
    server.prints("right");
    server.stop();
}

/// Goal: keys on the command line are warned of in one line and never shown, in
/// whatever way the program ends. Method: a server and a client with keys of one
/// recognisable text; a good talk, a wrong key, and a port that is taken.
#[test]
fn keys_are_never_shown() {
    let secret = "recognisable-and-32-bytes-of-it!";
    let typed = format!("--confkey {secret} --authkey {secret}");
    let hidden = |ended: &Ended| {
        let warned = ended
            .stderr
            .lines()
            .filter(|line| line.contains("command line"));
        assert_eq!(warned.count(), 1, "{ended}");
        assert!(!ended.stderr.contains("recognisable"), "{ended}");
    };
    let server = Launch::server(&format!("--no-input {typed}"))
        .no_keys()
        .start();
    let port = server.port();
    let client = Launch::client(port, &typed).no_keys().run();
    hidden(&client);
    assert_eq!(client.code, 0, "{client}");
    let wrong = Launch::client(port, &format!("--confkey {secret} --authkey {OTHER}"));
    let wrong = wrong.no_keys().run();
    hidden(&wrong);
    assert_eq!(wrong.code, 3, "{wrong}");
    let second = Launch::new(&format!("-s --listen 127.0.0.1 --port {port} {typed}")).run();
    hidden(&second);
    assert_eq!(second.code, 1, "{second}");
    hidden(&server.stop());
}
