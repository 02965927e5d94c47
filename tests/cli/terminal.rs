//! Somebody types: programs on a pseudo-terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::Stdio;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::OFlags;
use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use sealwire::wire::record::Kind;

use crate::program::{A_WHILE, Launch, PATIENCE, Program};
use crate::raw_peer::RawPeer;

/// What Ctrl-D sends.
const END: &str = "\x04";

/// Who types.
struct Keyboard(File);

impl Keyboard {
    fn types(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).unwrap();
    }

    /// What the terminal shows next: what is typed, and what the program prints.
    fn sees(&mut self) -> String {
        let patience = PATIENCE.try_into().unwrap();
        let mut asked = [PollFd::new(&self.0, PollFlags::IN)];
        let ready = poll(&mut asked, Some(&patience)).unwrap();
        assert!(ready > 0, "nothing more is shown");
        let mut block = [0; 512];
        let count = self.0.read(&mut block).expect("the program is there");
        String::from_utf8_lossy(&block[..count]).into_owned()
    }
}

/// A new terminal: who types, and what a program gets.
fn terminal() -> (Keyboard, OwnedFd) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
    let master: OwnedFd = openpt(flags).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let path = ptsname(&master, Vec::new()).unwrap();
    let flags = OFlags::RDWR | OFlags::NOCTTY;
    let slave = rustix::fs::open(path, flags, rustix::fs::Mode::empty()).unwrap();
    (Keyboard(File::from(master)), slave)
}

/// Starts a program whose stdin is a terminal.
fn on_terminal(launch: Launch) -> (Program, Keyboard) {
    let (keyboard, slave) = terminal();
    (launch.stdin(slave).start(), keyboard)
}

/// Goal: two who type to each other see each other's lines; the first Ctrl-D
/// ends the talk for a client, and the server stays. Method: a line each way,
/// Ctrl-D at the client, then another client.
#[test]
fn two_terminals() {
    let (server, mut at_server) = on_terminal(Launch::server(""));
    let port = server.port();
    let (client, mut at_client) = on_terminal(Launch::client(port, ""));
    server.line(" came");
    at_client.types("hello\n");
    server.prints("hello\n");
    at_server.types("hi\n");
    client.prints("hi\n");
    at_client.types(END);
    client.ends_with(0);
    server.line(" left");

    let (client, mut at_client) = on_terminal(Launch::client(port, ""));
    at_client.types("again\n");
    server.prints("hello\nagain\n");
    drop(client);
    server.stop();
}

/// Goal: what is typed ahead of the connection is not lost. Method: lines and
/// Ctrl-D are there before the client starts.
#[test]
fn typed_ahead() {
    let server = Launch::server("--no-input").start();
    let (mut keyboard, slave) = terminal();
    keyboard.types("ahead\nof all\n");
    keyboard.types(END);
    let client = Launch::client(server.port(), "").stdin(slave).start();
    client.ends_with(0);
    assert_eq!(server.stop().stdout, b"ahead\nof all\n");
}

/// Goal: a line that nobody is there for is dropped with a notice, and who comes
/// later does not get it.
#[test]
fn a_line_for_nobody() {
    let (server, mut at_server) = on_terminal(Launch::server(""));
    let port = server.port();
    at_server.types("anyone?\n");
    server.line("nobody is there: the line was dropped");
    let (client, _at_client) = on_terminal(Launch::client(port, ""));
    server.line(" came");
    at_server.types("you\n");
    client.prints("you\n");
    server.stop();
    client.ends_with(0);
}

/// Goal: Ctrl-D at a server ends what it says, to those there and to those who
/// come later, and it serves on.
#[test]
fn the_end_of_a_servers_input() {
    let (mut server, mut at_server) = on_terminal(Launch::server(""));
    let port = server.port();
    let (client, _at_client) = on_terminal(Launch::client(port, ""));
    server.line(" came");
    at_server.types("last words");
    // Behind a line that lacks its newline, the first only hands over that line.
    at_server.types(END);
    at_server.types(END);
    client.prints("last words");
    client.ends_with(0);
    assert!(server.is_running());

    let mut late = Launch::client(port, "").start();
    late.say("late");
    server.prints("late");
    late.end_input();
    late.ends_with(0);
    server.stop();
}

/// Goal: on a terminal, a peer that has said all need not be waited for by whom
/// types. Method: a client with a file, at a server on a terminal.
#[test]
fn a_file_to_who_types() {
    let (server, _at_server) = on_terminal(Launch::server(""));
    let client = Launch::client(server.port(), "").run();
    assert_eq!(client.code, 0, "{client}");
    server.line(" left");
    server.stop();
}

/// Goal: to stop who types loses nothing, so it is a proper end. Method: SIGINT
/// to a client on a terminal; its server receives once.
#[test]
fn stopped_while_typing() {
    let server = Launch::server("").stdin(Stdio::null()).start();
    let (client, mut at_client) = on_terminal(Launch::client(server.port(), "--no-input"));
    at_client.types("not read\n");
    client.ends_with(0);
    server.ends_with(0);

    let server = Launch::server("--no-input").start();
    let (mut client, mut at_client) = on_terminal(Launch::client(server.port(), ""));
    at_client.types("all\n");
    server.prints("all\n");
    std::thread::sleep(A_WHILE);
    assert!(client.is_running());
    client.signal(Signal::INT);
    client.ends_with(0);
    server.line(" left");
    server.stop();
}

/// Goal: all three of stdin, stdout and stderr may be one terminal, as they are
/// for most; nothing but text is printed on it. Method: a client of an echo.
#[test]
fn all_on_one_terminal() {
    let server = Launch::server("--echo").start();
    let (mut keyboard, slave) = terminal();
    let client = Launch::client(server.port(), "")
        .stdin(slave.try_clone().unwrap())
        .stdout(slave.try_clone().unwrap())
        .stderr(slave)
        .start();
    keyboard.types("one\n");
    let mut seen = String::new();
    // Once as it is typed, once as it comes back.
    while seen.matches("one").count() < 2 || !seen.contains("connected to 127.0.0.1:") {
        seen.push_str(&keyboard.sees());
    }
    assert!(
        !seen.contains('\x1b') && !seen.contains("panic"),
        "{seen:?}"
    );
    keyboard.types(END);
    client.ends_with(0);
    server.stop();
}

/// What a hostile peer says to a terminal: clears it, fills the clipboard, hides a
/// line behind another, forges one of this program and one of another peer.
const HOSTILE: &str =
    "\x1b[2J\x1b]52;c;aGk=\x07\u{9b}31m\u{202e}evil\rgood\n INFO 10.0.0.1:1 came\n";

/// Goal: what a peer says reaches a terminal as marked, plain lines, behind the line
/// that says which peer came. Method: a server whose stdout and stderr are one terminal, and
/// a peer that says something hostile with its first record; then it leaves a line
/// open, has a message of the program come behind it, and goes on.
#[test]
fn what_peers_say_is_harmless() {
    let (mut screen, slave) = terminal();
    let server = Launch::server("--no-input").stdout(slave.try_clone().unwrap());
    let server = server.stderr(slave).start();
    let mut seen = String::new();
    let until = |seen: &mut String, screen: &mut Keyboard, text: &str| {
        while !seen.contains(text) {
            seen.push_str(&screen.sees());
        }
    };
    until(&mut seen, &mut screen, "\n");
    let port = seen.trim_end().rsplit(':').next().unwrap().parse().unwrap();
    let mut peer = RawPeer::unproved(port);
    peer.say(Kind::End as u8, HOSTILE.as_bytes());
    until(&mut seen, &mut screen, "10.0.0.1:1 came\r\n");
    peer.say(Kind::End as u8, b"begun");
    until(&mut seen, &mut screen, "begun\r\n");
    server.signal(Signal::USR1);
    until(&mut seen, &mut screen, " ticks, us: p50 ");
    peer.say(Kind::End as u8, b"<10.0.0.1:1> goes on\n");
    until(&mut seen, &mut screen, "goes on\r\n");
    server.stop();

    let lines: Vec<_> = seen.split_inclusive("\r\n").skip(1).collect();
    let name = lines[0].strip_prefix(" INFO ").unwrap();
    let name = name
        .strip_suffix(" came\r\n")
        .expect("the peer that came is told first");
    let line = |text: &str| format!("<{name}> {text}\r\n");
    let shown = r"\u{1b}[2J\u{1b}]52;c;aGk=\u{7}\u{9b}31m\u{202e}evil\u{d}good";
    let expected = [line(shown), line(" INFO 10.0.0.1:1 came"), line("begun")];
    assert_eq!(lines[1..4], expected, "{seen:?}");
    let goes_on = line("<10.0.0.1:1> goes on");
    assert!(lines.contains(&&*goes_on), "{seen:?}");
}

/// Goal: a client's terminal is as safe from its server, and a pipe has what was said
/// byte by byte. Method: the same words to a client on a terminal and to one on a
/// pipe.
#[test]
fn what_a_server_says_is_harmless() {
    let (mut screen, slave) = terminal();
    let mut server = Launch::server("").start();
    let port = server.port();
    let shown = Launch::client(port, "--no-input").stdout(slave).start();
    let piped = Launch::client(port, "--no-input").start();
    server.lines(2, " came");
    server.say(HOSTILE);
    piped.prints(HOSTILE);
    let mut seen = String::new();
    while seen.matches('\n').count() < 2 {
        seen.push_str(&screen.sees());
    }
    let mark = format!("<127.0.0.1:{port}> ");
    assert!(seen.lines().all(|line| line.starts_with(&mark)), "{seen:?}");
    assert!(
        !seen.contains(['\x1b', '\x07', '\u{9b}', '\u{202e}']),
        "{seen:?}"
    );
    server.end_input();
    server.ends_with(0);
    for client in [shown, piped] {
        client.ends_with(0);
    }
}
