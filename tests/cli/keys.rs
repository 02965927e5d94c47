//! Keys from wherever they may come: taken where they are right, refused in one line where
//! they are not, and never shown. That no refusal shows a key is asserted by
//! [`Ended::refused`](crate::program::Ended::refused).

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{io, thread};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::geteuid;

use crate::program::{AUTHKEY, CONFKEY, Ended, Launch, NOBODY};

/// A key that the other programs do not have.
const OTHER: &str = "0badf00d0badf00d0badf00d0badf00d0badf00d0badf00d0badf00d0badf00d";

/// Writes a file of secrets.
pub(crate) fn file(folder: &Path, name: &str, mode: u32, text: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    set_mode(&path, mode);
    path
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// What stands for the key in `path`.
pub(crate) fn at(path: &Path) -> String {
    format!("@{}", path.display())
}

/// A good line of a key file.
fn line(name: &str) -> String {
    format!("{name} {CONFKEY} {AUTHKEY}\n")
}

fn pipe(folder: &Path) -> PathBuf {
    let path = folder.join("pipe");
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    path
}

fn keygen(path: &Path) -> Launch {
    Launch::new("keygen").arg(path).no_keys()
}

fn with_file(path: &Path) -> Launch {
    Launch::server("").key_file(path)
}

/// Starts a server that must accept its keys, and stops it.
#[track_caller]
fn serves(launch: Launch) -> Ended {
    let server = launch.arg("--no-input").start();
    server.port();
    server.stop()
}

/// Goal: a key file that the program may not read is refused. Method: a file for its owner
/// alone and, as root reads everything, another user.
#[test]
fn an_unreadable_key_file() {
    let folder = tempfile::tempdir().unwrap();
    set_mode(folder.path(), 0o755);
    let path = file(folder.path(), "keys", 0o200, line("a"));
    let mut launch = with_file(&path);
    if fs::read(&path).is_ok() {
        if !Launch::nobody_can_run() {
            return;
        }
        launch = launch.by_nobody();
    }
    launch.refused(1, "cannot open this key file");
}

/// Goal: keys come through a pipe as from a file, and other kinds of files are refused.
/// Method: a named pipe, in pieces; an unnamed one, as a shell hands it over; a socket and
/// a device; keygen, which writes, takes no pipe.
#[test]
fn pipes_and_other_kinds() {
    let folder = tempfile::tempdir().unwrap();
    let named = pipe(folder.path());
    let path = named.clone();
    let writer = thread::spawn(move || {
        let mut writer = File::options().write(true).open(path).unwrap();
        for part in line("a").as_bytes().chunks(50) {
            writer.write_all(part).unwrap();
            thread::sleep(Duration::from_millis(20));
        }
    });
    let server = Launch::server("--no-input").key_file(&named).start();
    let port = server.port();
    writer.join().unwrap();
    let (reader, mut writer) = io::pipe().unwrap();
    writer.write_all(line("a").as_bytes()).unwrap();
    drop(writer);
    let client = Launch::client(port, "--keys /dev/stdin").no_keys();
    client.stdin(reader).start().ends_with(0);
    server.stop();

    keygen(&named).refused(1, "is a pipe; a file is wanted");
    let socket = folder.path().join("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    let zero = Path::new("/dev/zero");
    let device = "/dev/zero: is a device; a file is wanted";
    for (path, told) in [(socket.as_path(), "it is a socket"), (zero, device)] {
        keygen(path).refused(1, told);
        with_file(path).refused(1, told);
    }
    let at = Launch::server("").keys("@/dev/zero", AUTHKEY);
    at.refused(1, "/dev/zero: is a device");
}

/// Goal: a pipe without a writer, and one whose writer never ends, are given up, with what
/// to do. Method: both at once, each within its deadline.
#[test]
fn a_pipe_that_does_not_end() {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let [unwritten, begun] = folders.each_ref().map(|folder| pipe(folder.path()));
    let began = Instant::now();
    let unwritten = with_file(&unwritten).start();
    // Open both ways, so that opening waits for no other end.
    let mut writer = File::options().read(true).write(true).open(&begun).unwrap();
    writer.write_all(b"c0ffee").unwrap();
    let unended = Launch::server("--no-input").keys(&at(&begun), AUTHKEY);
    for program in [unwritten, unended.start()] {
        let told = "this pipe had not ended after 10 s: nobody wrote";
        program.wait().refused(1, told);
    }
    assert!(began.elapsed() >= Duration::from_secs(10));
}

/// Goal: a file of secrets that another user owns is refused, with the command that makes
/// a copy; root's and one's own are taken. Method: as root, files of each, read by root and
/// by another user.
#[test]
fn the_owner_of_a_file() {
    let folder = tempfile::tempdir().unwrap();
    set_mode(folder.path(), 0o755);
    let path = file(folder.path(), "keys", 0o600, line("a"));
    let key = file(folder.path(), "key", 0o600, CONFKEY);
    if !geteuid().is_root() {
        eprintln!("skipped: only root can give files away");
        return;
    }
    for path in [&path, &key] {
        chown(path, Some(NOBODY), None).unwrap();
    }
    let told = "belongs to user 65534";
    with_file(&path).refused(1, told);
    keygen(&path).refused(1, "run: install -m 600 ");
    Launch::server("").keys(&at(&key), AUTHKEY).refused(1, told);
    if !Launch::nobody_can_run() {
        return;
    }
    let of_nobody = || with_file(&path).by_nobody();
    serves(of_nobody());
    // A group is how root lets another user read a file of root's.
    chown(&path, Some(0), Some(NOBODY)).unwrap();
    set_mode(&path, 0o644);
    of_nobody().refused(1, "run: chmod 600 ");
    set_mode(&path, 0o640);
    serves(of_nobody()).told_once("a group may read or write");
}

/// Goal: a file that a group may touch is used, with a warning that has the command to mend
/// it. Method: load it, and add to it; mend it, and load it again.
#[test]
fn a_file_for_a_group() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "keys", 0o640, line("a"));
    let serve = || serves(Launch::server("--name a").key_file(&path));
    let mend = format!("run: chmod 600 {}", path.display());
    serve().told_once(&mend);
    keygen(&path).start().ends_with(0).told_once(&mend);
    set_mode(&path, 0o600);
    assert!(!serve().stderr.contains("chmod"));
    let at = at(&file(folder.path(), "keys", 0o620, CONFKEY));
    serves(Launch::server("").keys(&at, AUTHKEY)).told_once(&mend);
}

/// Goal: keygen's file is for its owner alone, does for both sides, and takes a second
/// line. Method: make it, talk with it, add to it, talk with the second.
#[test]
fn keygen_makes_keys_for_both_sides() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    let path_text = path.to_str().unwrap();
    for name in ["main", "second"] {
        let made = keygen(&path).arg("--name").arg(name).start().ends_with(0);
        let made = made.printed("").told(path_text);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        for word in fs::read_to_string(&path).unwrap().split_whitespace() {
            let shown = word.len() >= 64 && made.stderr.contains(word);
            assert!(!shown, "a key is shown");
        }
        let args = format!("--keys {path_text} --name {name}");
        let server = Launch::receiver(&args).no_keys().start();
        let client = Launch::client(server.port(), &args).no_keys().start();
        client.finish(name);
        server.ends_with(0).printed(name);
    }
    keygen(&path).refused(1, "the name main is taken");
}

/// Goal: a client with other keys says so and ends with 3, and the server serves on.
/// Method: a client with another confkey, one with another authkey, then one with the right
/// ones.
#[test]
fn wrong_keys() {
    let server = Launch::server("--no-input").start();
    let port = server.port();
    for (confkey, authkey) in [(OTHER, AUTHKEY), (CONFKEY, OTHER)] {
        let client = Launch::client(port, "").keys(confkey, authkey);
        client.refused(3, "keys or service differ, or not a sealwire server");
    }
    server.lines(2, "refused: the keys differ");
    Launch::client(port, "").start().finish("right");
    server.prints("right");
    server.stop();
}

/// Goal: keys on the command line lead to one line of warning and are never shown, in
/// whatever way the program ends. Method: a server and a client with keys of one
/// recognisable text; a good talk, a wrong key, and a port that is taken.
#[test]
fn keys_are_never_shown() {
    let secret = "recognisable-and-32-bytes-of-it!";
    let typed = format!("--confkey {secret} --authkey recognisable-and-another-32bytes");
    let hidden = |ended: Ended, code| {
        let ended = ended.told_once("command line");
        assert!(!ended.stderr.contains("recognisable"), "{ended}");
        assert_eq!(ended.code, code, "{ended}");
    };
    let server = Launch::server(&format!("--no-input {typed}"));
    let server = server.no_keys().start();
    let port = server.port();
    hidden(Launch::client(port, &typed).no_keys().run(), 0);
    let wrong = Launch::client(port, &format!("--confkey {secret} --authkey {OTHER}"));
    hidden(wrong.no_keys().run(), 3);
    let second = Launch::new(&format!("-s --listen 127.0.0.1 --port {port} {typed}"));
    hidden(second.run(), 1);
    hidden(server.stop(), 0);
}
