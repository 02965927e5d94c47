//! Messages on stderr: they never hold up the work, their rate is bounded, and they never
//! drive a terminal.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use rustix::pipe::fcntl_setpipe_size;
use serde_json::Value;

use crate::program::{A_WHILE, Launch};
use crate::raw_peer::{RawPeer, connect, rest};

/// Goal: a full stderr holds up neither a server nor its end, and a reader that comes back
/// learns how much was lost. Method: a pipe of a page; more requests for statistics than it
/// has room for; an echo meanwhile; then the test reads the pipe.
#[test]
fn a_full_stderr_holds_up_no_server() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    fcntl_setpipe_size(&writer, 4096).unwrap();
    let server = Launch::server("--echo").stderr(writer).start();
    let mut first = [0; 256];
    let count = reader.read(&mut first).unwrap();
    let line = String::from_utf8_lossy(&first[..count]).into_owned();
    let port: u16 = line.trim_end().rsplit(':').next().unwrap().parse().unwrap();
    let mut client = Launch::client(port, "").start();
    // The user asks for statistics, so their rate is not bounded.
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(4) {
        server.signal(rustix::process::Signal::USR1);
        std::thread::sleep(Duration::from_millis(2));
    }
    client.say("still here");
    client.prints("still here");
    let reading = std::thread::spawn(move || {
        let mut all = String::new();
        reader.read_to_string(&mut all).unwrap();
        all
    });
    std::thread::sleep(A_WHILE * 2);
    client.finish("");
    server.stop();
    let all = reading.join().unwrap();
    let told = " lines could not be written and are lost\n";
    assert!(all.contains(told), "{all}");
}

/// Goal: neither strangers nor peers that hold the keys fill a log by coming and going, and
/// the number of the lines that are hidden is logged though nothing else follows. Method: a
/// hundred peers come and go in a moment; twenty bad hellos; a client is still served.
#[test]
fn lines_of_peers_are_bounded() {
    let bounded = |count: usize, come: fn(u16)| {
        let server = Launch::server("--no-input").start();
        let port = server.port();
        let start = Instant::now();
        (0..count).for_each(|_| come(port));
        server.line(" more like these were not shown");
        let seconds = start.elapsed().as_secs() as usize + 2;
        Launch::client(port, "").start().finish("");
        let ended = server.stop();
        let lines = ended.stderr.lines().count();
        assert!(
            lines < 35 * seconds && lines < 2 * count,
            "{seconds} s: {ended}"
        );
    };
    bounded(100, |port| drop(RawPeer::proved(port)));
    bounded(20, |port| {
        let mut socket = connect(port);
        let _ = socket.write_all(b"GET / HTTP/1.1\r\n\r\n");
        rest(&mut socket);
    });
}

/// Goal: messages escape names that would drive a terminal. Method: escape sequences and a
/// bidi mark as a host, an address to listen on, a key file and the name of a key.
#[test]
fn names_are_harmless() {
    let evil = "a\x1b[2J\u{202e}\nb";
    let cases = [
        Launch::new("--client").arg(evil),
        Launch::new("--server --listen").arg(evil),
        Launch::new("--server").no_keys().arg("--keys").arg(evil),
        Launch::new("keygen").arg(format!("/no/{evil}")),
        Launch::new("keygen x --name").arg(evil),
    ];
    for launch in cases {
        let ended = launch.run();
        assert!(ended.code == 1 || ended.code == 2, "{ended}");
        assert_eq!(ended.stderr.lines().count(), 1, "{ended}");
        let raw = ['\x1b', '\u{202e}'];
        assert!(!ended.stderr.contains(raw), "{ended}");
    }
}

/// Goal: each line is an object, with the message that text has and what it is about, also
/// when the program cannot run; and the level decides which lines there are. Method: a server
/// with everything on; one peer that comes and leaves, and a stranger; one more server on its
/// port, which has errors alone.
#[test]
fn lines_of_json() {
    let server = Launch::server("--echo --log json --log-level debug").start();
    let line = server.line("listening on 127.0.0.1:");
    let object: Value = serde_json::from_str(&line).unwrap();
    let port = server.port();
    assert_eq!(object["address"], format!("127.0.0.1:{port}"));
    let mut client = Launch::client(port, "").start();
    client.say("x");
    client.prints("x");
    client.finish("");
    server.line(" left");
    let mut stranger = connect(port);
    stranger.write_all(&[b'x'; 80]).unwrap();
    rest(&mut stranger);
    server.line(" refused");
    let args = format!("--port {port} --echo --log json --log-level error");
    let again = Launch::new(&format!("--server --listen 127.0.0.1 {args}"));
    let ended = again.refused(1, "is in use");
    let object: Value = serde_json::from_str(ended.only_line()).unwrap();
    assert_eq!(object["level"], "error");
    let ended = server.stop();
    let lines: Vec<Value> = ended
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let about = |text: &str| {
        let said = |line: &&Value| line["message"].as_str().unwrap().contains(text);
        lines
            .iter()
            .find(said)
            .unwrap_or_else(|| panic!("{text}: {ended}"))
    };
    for (text, level) in [(" came", "debug"), (" left", "debug"), (" refused", "warn")] {
        let line = about(text);
        assert_eq!(line["level"], level);
        let peer = line["peer"].as_str().unwrap();
        assert!(peer.starts_with("127.0.0.1:"), "{line}");
        assert!(
            line["message"].as_str().unwrap().starts_with(peer),
            "{line}"
        );
    }
    assert_eq!(about(" refused")["reason"], "not_sealwire");
    assert_eq!(about("SIGTERM")["level"], "info");
}
