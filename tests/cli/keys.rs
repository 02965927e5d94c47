//! Keys from wherever they may come: taken where they are right, refused in one
//! line where they are not, and never shown.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::geteuid;

use crate::program::{AUTHKEY, CONFKEY, Ended, Launch};

/// Another user than root.
const NOBODY: u32 = 65534;

/// Another key, for those who have the wrong one.
const OTHER: &str = "0badf00d0badf00d0badf00d0badf00d0badf00d0badf00d0badf00d0badf00d";

fn file(folder: &Path, mode: u32, text: &str) -> PathBuf {
    let path = folder.join("keys");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    path
}

fn pipe(folder: &Path) -> PathBuf {
    let path = folder.join("pipe");
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    path
}

fn keygen(path: &Path) -> Ended {
    Launch::new("keygen").arg(path).no_keys().run()
}

/// Asserts that exactly one line on stderr has `text`.
#[track_caller]
fn told_once(ended: &Ended, text: &str) {
    let lines = ended.stderr.lines();
    assert_eq!(
        lines.filter(|line| line.contains(text)).count(),
        1,
        "{ended}"
    );
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
    let two = format!("{good}b {AUTHKEY} {CONFKEY}\n");
    with_file(&file(folder, 0o600, &two)).refused(2, "--name: a, b");
}

/// Goal: a key file that the program may not read is refused. Method: a file for
/// its owner alone and, as root reads everything, another user.
#[test]
fn an_unreadable_key_file() {
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

/// Goal: keys that protect nothing are refused by the line or by the name of where they
/// are from; with `--classic`, whose users may have no others, they are told. Method:
/// zeros, and one key twice, from every source.
#[test]
fn keys_that_protect_nothing() {
    let zeros = "0".repeat(64);
    let folder = tempfile::tempdir().unwrap();
    for (confkey, authkey, why) in [
        (&zeros[..], AUTHKEY, "confkey is all zeros, which"),
        (CONFKEY, &zeros[..], "authkey is all zeros, which"),
        (CONFKEY, &CONFKEY.to_uppercase()[..], "are the same;"),
    ] {
        let text = format!("good {CONFKEY} {AUTHKEY}\nbad {confkey} {authkey}\n");
        let path = file(folder.path(), 0o600, &text);
        let by_name = Launch::server("--name good --keys").arg(&path).no_keys();
        let ended = by_name.run();
        ended.refused(1, "line 2: the ");
        ended.refused(1, why);
        keygen(&path).refused(1, "line 2: the ");
        let classic = Launch::server("--classic --keys").arg(&path).no_keys();
        classic.run().refused(1, "line 2: the ");

        let typed = format!("--confkey {confkey} --authkey {authkey}");
        let ended = Launch::server(&typed).no_keys().run();
        ended.refused(2, why);
        let ended = Launch::server("")
            .keys(&confkey.to_uppercase(), authkey)
            .run();
        ended.refused(2, "SEALWIRE_");
        assert!(!ended.stderr.contains("C0FFEE"), "{ended}");
        let at = folder.path().join("at");
        fs::write(&at, confkey).unwrap();
        fs::set_permissions(&at, Permissions::from_mode(0o600)).unwrap();
        let at = format!("@{}", at.display());
        Launch::server("")
            .keys(&at, authkey)
            .run()
            .refused(2, "SEALWIRE_");

        let server = Launch::server("--classic --no-input").keys(confkey, authkey);
        let server = server.start();
        server.port();
        told_once(&server.stop(), "sealwire keygen makes");
    }
}

/// Goal: what nobody sees is in no name and before no key. Method: byte order marks and
/// other invisible characters, in files, in `--name`, and in keys; the command that
/// a message gives mends the file.
#[test]
fn invisible_characters() {
    let folder = tempfile::tempdir().unwrap();
    let line = |name: &str| format!("{name} {CONFKEY} {AUTHKEY}\n");
    let path = file(folder.path(), 0o600, &format!("\u{feff}{}", line("a")));
    keygen(&path).refused(1, "line 1: begins with a byte order mark");
    let ended = with_file(&path);
    ended.refused(1, "line 1: begins with a byte order mark");
    let (_, mend) = ended.stderr.trim_end().split_once("run: ").unwrap();
    let status = std::process::Command::new("sh")
        .arg("-c")
        .arg(mend)
        .status();
    assert!(status.unwrap().success());
    assert_eq!(fs::read_to_string(&path).unwrap(), line("a"));

    let utf16: Vec<u8> = line("\u{feff}a")
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    fs::write(&path, utf16).unwrap();
    with_file(&path).refused(1, "line 1: this is UTF-16 text");

    for hidden in [
        "\u{200b}", "\u{feff}", "\u{202e}", "\u{a0}", "\u{ad}", "\u{1b}",
    ] {
        let name = format!("a{hidden}b");
        let path = file(folder.path(), 0o600, &format!("# keys\n{}", line(&name)));
        with_file(&path).refused(1, "line 2: the name has invisible characters");
        let new = folder.path().join("new");
        let made = Launch::new("keygen --name").arg(&name).arg(&new).run();
        made.refused(2, "--name: one word is wanted");
        assert!(!new.exists());
        let picked = Launch::server("--name").arg(&name).arg("--keys").arg(&path);
        let ended = picked.no_keys().run();
        ended.refused(2, "--name: one word is wanted");
        assert!(!ended.stderr.contains(hidden), "{ended:?}");
    }
    let marked = format!("\u{feff}{CONFKEY}");
    let in_environment = Launch::server("").keys(&marked, AUTHKEY).run();
    in_environment.refused(
        2,
        "SEALWIRE_CONFKEY: the key begins with an invisible byte order mark",
    );
    let at = folder.path().join("at");
    fs::write(&at, "\u{feff}and 29 bytes, which makes 32.").unwrap();
    fs::set_permissions(&at, Permissions::from_mode(0o600)).unwrap();
    let at = format!("@{}", at.display());
    let from_file = Launch::server("").keys(CONFKEY, &at).run();
    from_file.refused(
        2,
        "SEALWIRE_AUTHKEY: the key begins with an invisible byte order mark",
    );
}

/// Goal: a path that would drive a terminal is shown harmless, and the command in the
/// message still means that file. Method: a file with an escape sequence and a byte that
/// is no text in its name; have a shell run the command.
#[test]
fn strange_paths() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(OsStr::from_bytes(b"k\x1b[2J\xff'"));
    fs::write(&path, format!("a {CONFKEY} {AUTHKEY}\n")).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let ended = with_file(&path);
    ended.refused(1, r"k\u{1b}[2J\xff': everyone");
    assert!(!ended.stderr.contains('\u{1b}'), "{ended:?}");
    let (_, mend) = ended.stderr.trim_end().split_once("run: ").unwrap();
    match std::process::Command::new("bash")
        .arg("-c")
        .arg(mend)
        .status()
    {
        Ok(status) => assert!(status.success(), "{mend}"),
        Err(error) => return eprintln!("skipped: no bash: {error}"),
    }
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

/// Goal: keys come through a pipe as from a file, and what is neither is told. Method:
/// a pipe with a name, in pieces; one without, as a shell hands it over; a socket and a
/// device; keygen, which writes, takes no pipe.
#[test]
fn pipes_and_other_kinds() {
    let folder = tempfile::tempdir().unwrap();
    let line = format!("a {CONFKEY} {AUTHKEY}\n");
    let named = pipe(folder.path());
    let writer = thread::spawn({
        let (named, line) = (named.clone(), line.clone());
        move || {
            let mut writer = File::options().write(true).open(named).unwrap();
            for part in line.as_bytes().chunks(50) {
                writer.write_all(part).unwrap();
                thread::sleep(Duration::from_millis(20));
            }
        }
    });
    let server = Launch::server("--no-input --keys").arg(&named).no_keys();
    let server = server.start();
    let port = server.port();
    writer.join().unwrap();
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(line.as_bytes()).unwrap();
    drop(writer);
    let client = Launch::client(port, "--keys /dev/stdin").no_keys();
    client.stdin(reader).start().ends_with(0);
    server.stop();

    keygen(&named).refused(1, "is a pipe; a file is wanted");
    let socket = folder.path().join("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    for ended in [keygen(&socket), with_file(&socket)] {
        ended.refused(1, "it is a socket");
    }
    for ended in [
        keygen(Path::new("/dev/zero")),
        with_file(Path::new("/dev/zero")),
    ] {
        ended.refused(1, "/dev/zero: is a device; a file is wanted");
    }
    let at = Launch::server("").keys("@/dev/zero", AUTHKEY).run();
    at.refused(1, "/dev/zero: is a device");
}

/// Goal: a pipe that nobody writes, and one whose writer never ends, are given up, with
/// what to do. Method: both at once, each within its deadline.
#[test]
fn a_pipe_that_does_not_end() {
    let folder = tempfile::tempdir().unwrap();
    let named = pipe(folder.path());
    let began = Instant::now();
    let unwritten = Launch::server("--keys").arg(&named).no_keys().start();
    let other = tempfile::tempdir().unwrap();
    let begun = pipe(other.path());
    // Open both ways, so that nobody waits for the other end.
    let mut writer = File::options().read(true).write(true).open(&begun).unwrap();
    writer.write_all(b"c0ffee").unwrap();
    let at = format!("@{}", begun.display());
    let unended = Launch::server("--no-input").keys(&at, AUTHKEY).start();
    for ended in [unwritten.wait(), unended.wait()] {
        ended.refused(1, "this pipe had not ended after 10 s: nobody wrote");
    }
    assert!(began.elapsed() >= Duration::from_secs(10));
}

/// Goal: a file of secrets that another user has is refused, with the command that
/// makes a copy; root's and one's own are taken. Method: as root, files of each, read by
/// root and by another.
#[test]
fn the_owner_of_a_file() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let path = file(folder.path(), 0o600, &format!("a {CONFKEY} {AUTHKEY}\n"));
    if !geteuid().is_root() {
        eprintln!("skipped: only root can give files away");
        return;
    }
    chown(&path, Some(NOBODY), None).unwrap();
    with_file(&path).refused(1, "belongs to user 65534");
    keygen(&path).refused(1, "run: install -m 600 ");
    let key = folder.path().join("key");
    fs::write(&key, CONFKEY).unwrap();
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    chown(&key, Some(NOBODY), None).unwrap();
    let at = Launch::server("").keys(&format!("@{}", key.display()), AUTHKEY);
    at.run().refused(1, "belongs to user 65534");
    if !Launch::new("--version").user(NOBODY).starts() {
        eprintln!("skipped in part: no other user can run the program");
        return;
    }
    let as_nobody = |path: &Path| {
        let server = Launch::server("--no-input --keys").arg(path).no_keys();
        server.user(NOBODY).start()
    };
    let own = as_nobody(&path);
    own.port();
    own.stop();
    // A group is how root lets somebody read what is root's.
    chown(&path, Some(0), Some(NOBODY)).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    as_nobody(&path).wait().refused(1, "run: chmod 600 ");
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    let of_root = Launch::server("--no-input --keys").arg(&path).no_keys();
    let of_root = of_root.group(NOBODY).user(NOBODY).start();
    of_root.port();
    told_once(&of_root.stop(), "a group may read or write");
}

/// Goal: a file that a group may touch is told, with the command that mends it, and
/// used. Method: load it, and add to it; do what is told, and do it again.
#[test]
fn a_file_for_a_group() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), 0o640, &format!("a {CONFKEY} {AUTHKEY}\n"));
    let serve = || {
        let server = Launch::server("--no-input --name a --keys").arg(&path);
        let server = server.no_keys().start();
        server.port();
        server.stop()
    };
    let mend = format!("run: chmod 600 {}", path.display());
    told_once(&serve(), &mend);
    let made = keygen(&path);
    assert_eq!(made.code, 0, "{made}");
    told_once(&made, &mend);
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    assert!(!serve().stderr.contains("chmod"));
    let at = file(folder.path(), 0o620, CONFKEY);
    let at = Launch::server("--no-input").keys(&format!("@{}", at.display()), AUTHKEY);
    let server = at.start();
    server.port();
    told_once(&server.stop(), &mend);
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
    let typed = format!("--confkey {secret} --authkey recognisable-and-another-32bytes");
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
