//! Programs on a pseudo-terminal: typed lines, Ctrl-D, and what peers may show there.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};

use sealwire::wire::record::Kind;

use crate::keys;
use crate::program::{A_WHILE, AUTHKEY, CONFKEY, Launch, PATIENCE, Program};
use crate::raw_peer::RawPeer;

/// What Ctrl-D sends.
pub(crate) const END: &str = "\x04";

/// The user's end of a terminal: what is typed, and all that it has shown.
pub(crate) struct Keyboard {
    master: File,
    seen: String,
}

impl Keyboard {
    pub(crate) fn types(&mut self, text: &str) {
        self.master.write_all(text.as_bytes()).unwrap();
    }

    /// Waits until `enough` holds of what the terminal shows: what is typed, and what the
    /// program prints. Returns all of it.
    pub(crate) fn sees(&mut self, enough: impl Fn(&str) -> bool) -> &str {
        let patience = PATIENCE.try_into().unwrap();
        while !enough(&self.seen) {
            let mut asked = [PollFd::new(&self.master, PollFlags::IN)];
            let ready = poll(&mut asked, Some(&patience)).unwrap();
            assert!(ready > 0, "nothing more is shown behind {:?}", self.seen);
            let mut block = [0; 512];
            let count = self.master.read(&mut block);
            let count = count.expect("the program is there");
            self.seen += &String::from_utf8_lossy(&block[..count]);
        }
        &self.seen
    }
}

/// A new terminal: the user's end, and the program's.
pub(crate) fn terminal() -> (Keyboard, OwnedFd) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
    let master: OwnedFd = openpt(flags).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let slave = ioctl_tiocgptpeer(&master, flags).unwrap();
    let (master, seen) = (File::from(master), String::new());
    (Keyboard { master, seen }, slave)
}

/// Starts a program whose stdin is a terminal.
fn on_terminal(launch: Launch) -> (Program, Keyboard) {
    let (keyboard, slave) = terminal();
    (launch.stdin(slave).start(), keyboard)
}

/// Goal: two users who type to each other see each other's lines. A line that is typed while no
/// peer is there is dropped with a notice. Ctrl-D ends the talk for a client; at a server it ends
/// the input, for the peers that are there and for later ones, and the server stays. Method: a
/// line alone, a line each way, and Ctrl-D at the client; the same at the server, with another
/// client that is there and one that comes later.
#[test]
fn two_terminals() {
    let (mut server, mut at_server) = on_terminal(Launch::server(""));
    let port = server.port();
    at_server.types("anyone?\n");
    server.line("nobody is there: the line was dropped");
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
    at_server.types("last words");
    // Behind a line without its newline, the first Ctrl-D only hands over that line.
    at_server.types(END);
    at_server.types(END);
    client.prints("last words");
    client.ends_with(0);
    assert!(server.is_running());

    let mut late = Launch::client(port, "").start();
    late.say("late");
    server.prints("hello\nagain\nlate");
    late.finish("");
    server.stop();
}

/// Goal: lines that are typed ahead of the connection are not lost. Method: lines and
/// Ctrl-D are there before the client starts.
#[test]
fn typed_ahead() {
    let server = Launch::server("--no-input").start();
    let (mut keyboard, slave) = terminal();
    keyboard.types("ahead\nof all\n");
    keyboard.types(END);
    let client = Launch::client(server.port(), "").stdin(slave).start();
    client.ends_with(0);
    server.stop().printed("ahead\nof all\n");
}

/// Goal: to stop a client on a terminal loses nothing, so it is a proper end; with
/// `--no-input` its terminal is not read. Method: SIGINT to such a client; one without
/// input, at a server that receives once.
#[test]
fn stopped_while_typing() {
    let server = Launch::receiver("").start();
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

/// Goal: stdin, stdout and stderr may be one terminal, as they usually are, and nothing but
/// text is printed on it. Method: a client of an echo.
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
    // Once as it is typed, once as it comes back.
    let echoed = |seen: &str| seen.matches("one").count() >= 2;
    let seen = keyboard.sees(|seen| echoed(seen) && seen.contains("connected to 127.0.0.1:"));
    let plain = !seen.contains('\x1b') && !seen.contains("panic");
    assert!(plain, "{seen:?}");
    keyboard.types(END);
    client.ends_with(0);
    server.stop();
}

/// Text of a hostile peer: it clears the terminal, fills the clipboard, hides a line behind
/// another, and forges a message of this program.
const HOSTILE: &str =
    "\x1b[2J\x1b]52;c;aGk=\x07\u{9b}31m\u{202e}evil\rgood\n INFO 10.0.0.1:1 came\n";

/// Goal: a peer's text reaches a terminal as marked, plain lines, behind the line that says
/// which peer came. Method: a server whose stdout and stderr are one terminal, and a peer
/// that sends hostile text with its first record; then it leaves a line open, a message of
/// the program comes behind that, and the peer goes on, as if it were another.
#[test]
fn what_peers_say_is_harmless() {
    let (mut screen, slave) = terminal();
    let server = Launch::server("--no-input").stdout(slave.try_clone().unwrap());
    let server = server.stderr(slave).start();
    let seen = screen.sees(|seen| seen.contains('\n'));
    let port = seen.trim_end().rsplit(':').next().unwrap().parse().unwrap();
    let mut peer = RawPeer::unproved(port);
    peer.say(Kind::End as u8, HOSTILE.as_bytes());
    screen.sees(|seen| seen.contains("10.0.0.1:1 came\r\n"));
    peer.say(Kind::End as u8, b"begun");
    screen.sees(|seen| seen.contains("begun\r\n"));
    server.signal(Signal::USR1);
    screen.sees(|seen| seen.contains(" ticks, us: p50 "));
    peer.say(Kind::End as u8, b"<10.0.0.1:1> goes on\n");
    let seen = screen.sees(|seen| seen.contains("goes on\r\n"));
    server.stop();

    let lines: Vec<_> = seen.split_inclusive("\r\n").skip(1).collect();
    let came = lines[0].strip_prefix(" INFO ").unwrap();
    let name = came.strip_suffix(" came\r\n").expect("which peer came");
    let line = |text: &str| format!("<{name}> {text}\r\n");
    let shown = r"\u{1b}[2J\u{1b}]52;c;aGk=\u{7}\u{9b}31m\u{202e}evil\u{d}good";
    let expected = [line(shown), line(" INFO 10.0.0.1:1 came"), line("begun")];
    assert_eq!(lines[1..4], expected, "{seen:?}");
    let goes_on = line("<10.0.0.1:1> goes on");
    assert!(lines.contains(&&*goes_on), "{seen:?}");
}

/// Goal: on a terminal each line begins with the name of the key that its peer has proved, and
/// the peer's address, as in the line that says that it came. Method: a server with a key file
/// whose stdout is a terminal, and a peer that says a line with its first record.
#[test]
fn lines_begin_with_the_name_of_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("alice {CONFKEY} {AUTHKEY}\n");
    let path = keys::file(folder.path(), "keys", 0o600, text);
    let (mut screen, slave) = terminal();
    let server = Launch::server("--no-input").key_file(&path).stdout(slave);
    let server = server.start();
    let mut peer = RawPeer::unproved(server.port());
    peer.say(Kind::End as u8, b"hello\n");
    let came = server.line(" came");
    let name = came
        .strip_prefix(" INFO ")
        .and_then(|line| line.strip_suffix(" came\n"));
    let name = name.filter(|name| name.starts_with("alice at 127.0.0.1:"));
    let line = format!("<{}> hello\r\n", name.expect(&came));
    assert_eq!(screen.sees(|seen| seen.contains('\n')), line);
    server.stop();
}

/// Goal: SIGHUP ends a server whose stderr is a terminal, with a key file too: its user has gone.
/// Method: send it one.
#[test]
fn a_hangup_at_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("alice {CONFKEY} {AUTHKEY}\n");
    let path = keys::file(folder.path(), "keys", 0o600, text);
    let (mut screen, slave) = terminal();
    let server = Launch::server("--echo").key_file(&path).stderr(slave);
    let server = server.start();
    screen.sees(|seen| seen.contains("listening on"));
    server.signal(Signal::HUP);
    screen.sees(|seen| seen.contains("SIGHUP: leaving"));
    server.ends_with(0);
}

/// Goal: a client's terminal is as safe from its server, and a pipe gets the bytes as they
/// are. Method: the same text to a client on a terminal and to one on a pipe.
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
    let seen = screen.sees(|seen| seen.matches('\n').count() >= 2);
    let mark = format!("<127.0.0.1:{port}> ");
    assert!(seen.lines().all(|line| line.starts_with(&mark)), "{seen:?}");
    let drives = ['\x1b', '\x07', '\u{9b}', '\u{202e}'];
    assert!(!seen.contains(drives), "{seen:?}");
    server.finish("");
    for client in [shown, piped] {
        client.ends_with(0);
    }
}
