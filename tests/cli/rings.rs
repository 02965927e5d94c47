//! A server whose key file has many lines: names of peers, and a file that is read again.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::keys;
use crate::program::{Launch, PATIENCE, Program};

/// The two keys of this number, in hex.
fn hex(number: usize) -> [String; 2] {
    [1, 2].map(|part| format!("{number:032x}{part:032x}"))
}

/// A line of a key file, without its end.
fn line(name: &str, number: usize) -> String {
    let [confkey, authkey] = hex(number);
    format!("{name} {confkey} {authkey}")
}

/// A key file that can be written anew.
struct KeyFile {
    _folder: TempDir,
    path: PathBuf,
}

impl KeyFile {
    fn of(lines: &[String]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = keys::file(folder.path(), "keys", 0o600, lines.join("\n"));
        Self {
            _folder: folder,
            path,
        }
    }

    fn write(&self, lines: &[String]) {
        fs::write(&self.path, lines.join("\n")).unwrap();
    }
}

fn server(args: &str, path: &Path) -> Program {
    Launch::server(args).key_file(path).start()
}

/// A client with the keys of this number.
fn client(port: u16, number: usize) -> Launch {
    client_with(port, number, "")
}

fn client_with(port: u16, number: usize, args: &str) -> Launch {
    let [confkey, authkey] = hex(number);
    Launch::client(port, args).keys(&confkey, &authkey)
}

/// Goal: each peer of a chat and of a relay is told by the name of the key that it has proved,
/// before its address, when it comes, when it leaves and when it fails; `--name` takes one line
/// alone. Method: clients of two keys; one is killed.
#[test]
fn peers_are_told_by_their_names() {
    let file = KeyFile::of(&[line("alice", 1), line("bob", 2)]);
    for mode in ["--no-input", "--relay"] {
        let server = server(mode, &file.path);
        let port = server.port();
        let bob = client(port, 2).start();
        let line = server.line("bob at 127.0.0.1:");
        assert!(line.ends_with(" came\n"), "{line}");
        client(port, 1).start().finish("");
        let lines = server.lines(2, "alice at 127.0.0.1:");
        assert!(lines[1].ends_with(" left\n"), "{lines:?}");
        drop(bob);
        let lines = server.lines(2, "bob at 127.0.0.1:");
        assert!(lines[1].contains("the connection ended"), "{lines:?}");
        server.stop();
    }
    let server = server("--echo --name bob", &file.path);
    let port = server.port();
    let other = "keys or service differ";
    client(port, 1).refused(3, other);
    server.line("refused: the keys differ (unknown key id)");
    client(port, 2).start().finish("x").printed("x");
    let ended = server.stop();
    assert!(!ended.stderr.contains(" came"), "{ended}");
}

/// Goal: a line of JSON has the name of the key apart from the address, and no name where none is
/// proved. Method: a peer that comes, and one that is refused.
#[test]
fn a_name_is_a_field_of_its_own() {
    let file = KeyFile::of(&[line("alice", 1)]);
    let server = server("--relay --log json", &file.path);
    let field = |line: &str, name: &str| {
        let object: serde_json::Value = serde_json::from_str(line).unwrap();
        object
            .get(name)
            .map(|value| value.as_str().unwrap().to_owned())
    };
    client(server.port(), 2).refused(3, "keys or service differ");
    let told = server.line(" refused");
    let address = field(&told, "peer").unwrap();
    assert!(address.starts_with("127.0.0.1:"), "{told}");
    assert_eq!(field(&told, "key"), None);
    client(server.port(), 1).start().finish("");
    let told = server.line(" came");
    let address = field(&told, "peer").unwrap();
    assert!(address.starts_with("127.0.0.1:"), "{told}");
    assert_eq!(field(&told, "key").as_deref(), Some("alice"));
    let message = format!("alice at {address} came");
    assert_eq!(field(&told, "message"), Some(message));
    server.stop();
}

/// Goal: SIGHUP reads the file again: a new key works at once, peers of one that is gone are
/// aborted, the others stay. A broken file is refused with its line, said once, and everything
/// stays as it was. Method: both, with clients of keys that come, stay and go; the file is
/// broken, then missing.
#[test]
fn a_file_is_read_again() {
    let file = KeyFile::of(&[line("alice", 1), line("bob", 2)]);
    let server = server("--echo", &file.path);
    let port = server.port();
    let alice = client(port, 1).start();
    let mut bob = client(port, 2).start();
    bob.say("one");
    bob.prints("one");
    alice.line("connected to");
    client(port, 3).refused(3, "keys or service differ");

    file.write(&[line("bob", 2), line("carol", 3)]);
    server.signal(Signal::HUP);
    server.line(" INFO keys read again: 2 in all, 1 new, 1 withdrawn");
    alice.ends_with(3).told("the peer gave up: key withdrawn");
    server.line("alice at 127.0.0.1:");
    client(port, 3).start().finish("new").printed("new");
    client(port, 1).refused(3, "keys or service differ");

    file.write(&[line("carol", 3), "dave 1 2".into()]);
    server.signal(Signal::HUP);
    let told = server.line("ERROR ");
    let why = "keys: line 2: the confkey is not 64 hex digits; the keys stay as they were\n";
    assert!(told.ends_with(why), "{told}");
    fs::remove_file(&file.path).unwrap();
    server.signal(Signal::HUP);
    server.line("cannot open this key file: No such file");
    bob.say("two");
    bob.prints("onetwo");
    bob.finish("");
    client(port, 2).start().finish("old").printed("old");
    let ended = server.stop();
    ended.told_once("line 2").told_once("No such file");
}

/// Goal: several signals at once lead to the newest file, and a pipe that was read once cannot be
/// read again. Method: a burst of signals while the file changes; keys in a pipe without a name.
#[test]
fn many_signals_and_a_pipe() {
    let file = KeyFile::of(&[line("alice", 1)]);
    let many = server("--echo", &file.path);
    let port = many.port();
    for number in 2..20 {
        file.write(&[line("alice", number)]);
        many.signal(Signal::HUP);
    }
    let start = Instant::now();
    while client(port, 19).empty_input().start().wait().code != 0 {
        assert!(start.elapsed() < Duration::from_secs(20));
    }
    many.stop();

    let (reader, mut writer) = std::io::pipe().unwrap();
    std::io::Write::write_all(&mut writer, line("alice", 1).as_bytes()).unwrap();
    drop(writer);
    let piped = Launch::server("--echo --keys /dev/stdin").no_keys();
    let piped = piped.stdin(reader).start();
    let port = piped.port();
    piped.signal(Signal::HUP);
    piped.line("no keys in it");
    client(port, 1).start().finish("x").printed("x");
    piped.stop();
}

/// Goal: SIGHUP stops a server without `--keys`, and a client. Method: one of each. At a terminal
/// it stops a server with `--keys` too ([`crate::terminal`]).
#[test]
fn a_hangup_without_a_key_file() {
    let file = KeyFile::of(&[line("alice", 1)]);
    let typed = Launch::server("--echo").start();
    typed.port();
    typed.signal(Signal::HUP);
    typed.ends_with(0).told("SIGHUP: leaving");

    let server = server("--echo", &file.path);
    let client = Launch::client(server.port(), "")
        .key_file(&file.path)
        .start();
    client.line("connected to");
    client.signal(Signal::HUP);
    client.ends_with(129);
    server.stop();
}

/// Goal: bad lines are refused by their number before anything is opened: two lines with one
/// key or one name, a target that is none, an unknown option, and a name that could drive a
/// terminal. Method: one of each; a client takes no notice of another line's key.
#[test]
fn bad_lines() {
    let targets = ["", "host", "host:0", "host:1:2", "unix:"];
    let targets = targets.map(|target| {
        let told = "line 2: forward=: HOST:PORT or unix:PATH is wanted";
        (format!("{} forward={target}", line("b", 2)), told)
    });
    let others = [
        (line("b", 1), "line 2: its keys are those of line 1"),
        (line("a", 2), "line 2: its name is taken by line 1"),
        (
            format!("{} to=h:1", line("b", 2)),
            "line 2: behind the keys only forward=",
        ),
        (
            format!("{} forward=h:1 x", line("b", 2)),
            "line 2: one forward= is wanted",
        ),
        (
            line("b\u{1b}[2J", 2),
            "line 2: the name has invisible characters",
        ),
    ];
    for (bad, told) in others.into_iter().chain(targets) {
        let file = KeyFile::of(&[line("a", 1), bad]);
        let refused = Launch::server("").key_file(&file.path).refused(1, told);
        let shown = hex(1).into_iter().chain(hex(2));
        assert!(shown.into_iter().all(|key| !refused.stderr.contains(&key)));
    }
    let twice = KeyFile::of(&[line("a", 1), line("b", 1)]);
    let once = KeyFile::of(&[line("a", 1)]);
    let server = server("--echo", &once.path);
    let client = Launch::client(server.port(), "--name b").key_file(&twice.path);
    client.start().finish("x").printed("x");
    server.stop();
}

/// Goal: a key with `forward=` goes there and nowhere else, and the others go where the server
/// says; also when the file is read again. Method: two targets that greet; a key for each way.
#[test]
fn a_key_goes_where_its_line_says() {
    let greeting = |text: &'static str| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let place = listener.local_addr().unwrap();
        thread::spawn(move || {
            for socket in listener.incoming() {
                socket.unwrap().write_all(text.as_bytes()).unwrap();
            }
        });
        place
    };
    let (all, own) = (greeting("for all"), greeting("its own"));
    let bound = format!("{} forward={own}", line("bound", 1));
    let file = KeyFile::of(&[bound.clone(), line("free", 2)]);
    let server = server(&format!("--forward {all}"), &file.path);
    let port = server.port();
    let hears = |number: usize| {
        let near = client_with(port, number, "--tunnel 0").start();
        let mut heard = String::new();
        let mut socket = TcpStream::connect(("127.0.0.1", near.port())).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.read_to_string(&mut heard).unwrap();
        near.stop();
        heard
    };
    assert_eq!(hears(1), "its own");
    assert_eq!(hears(2), "for all");
    file.write(&[bound, format!("{} forward={own}", line("free", 2))]);
    server.signal(Signal::HUP);
    server.line("keys read again: 2 in all, 1 new, 1 withdrawn");
    assert_eq!(hears(2), "its own");
    let ended = server.stop();
    assert!(!ended.stderr.contains("forward="), "{ended}");
}

/// Goal: a server that is no tunnel says once that it does not heed `forward=`; `--classic`,
/// whose keys have no names, wants one line. Method: a file with both kinds of targets.
#[test]
fn what_a_line_cannot_ask_for() {
    let file = KeyFile::of(&[
        format!("{} forward=[::1]:5432", line("a", 1)),
        format!("{}\tforward=unix:/run/db", line("b", 2)),
        line("c", 3),
    ]);
    let server = server("--echo", &file.path);
    client(server.port(), 2).start().finish("x").printed("x");
    let ended = server.stop();
    ended.told_once("forward= has no effect, as this server is no tunnel; 2 keys have it");

    let classic = Launch::server("--classic").key_file(&file.path).refused(
        2,
        "pick one of its keys with --name, as --classic has one pair of keys alone: a, b, c",
    );
    assert!(!classic.stderr.contains("forward="), "{classic}");
}

/// Goal: a server with 10,000 keys starts within a second, and reads them again without holding
/// up its peers; a client that has to pick one of them is not flooded with names. Method: the
/// first and the last of such a file, each with `forward=`; SIGHUP while a peer talks.
#[test]
fn ten_thousand_keys() {
    let many = 10_000;
    let mut text = String::new();
    for number in 1..=many {
        let name = format!("a-rather-long-name-of-a-group-{number}");
        let line = line(&name, number);
        writeln!(text, "{line} forward=service-{number}.example.org:5432").unwrap();
    }
    let file = KeyFile::of(&[text]);
    let start = Instant::now();
    let server = server("--echo", &file.path);
    let port = server.port();
    let took = start.elapsed();
    eprintln!("it listens after {took:?}");
    // A debug build on a busy machine takes longer than what is promised.
    assert!(took < Duration::from_secs(if cfg!(debug_assertions) { 10 } else { 1 }));
    for number in [1, many] {
        client(port, number).start().finish("x").printed("x");
    }
    let start = Instant::now();
    server.signal(Signal::HUP);
    client(port, 2).start().finish("x").printed("x");
    server.line("keys read again: 10000 in all, 0 new, 0 withdrawn");
    eprintln!("read again after {:?}", start.elapsed());
    server.stop();
    let picking = Launch::client(port, "").key_file(&file.path);
    picking.refused(2, "group-20 and 9980 more");
}
