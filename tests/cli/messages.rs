//! What is told on stderr: never in the way of the work, never without bound, and
//! never anything that drives a terminal.

use std::io::Read;
use std::time::{Duration, Instant};

use rustix::pipe::fcntl_setpipe_size;

use crate::program::{A_WHILE, Launch};
use crate::raw_peer::{RawPeer, connect};

/// Goal: a stderr that nobody reads stops neither a server nor its end, and what was
/// lost is told to a reader that comes back. Method: a pipe of a page; statistics, which
/// are asked for more often than it has room; an echo meanwhile; then somebody reads.
#[test]
fn a_full_stderr_is_in_nobodys_way() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    fcntl_setpipe_size(&writer, 4096).unwrap();
    let server = Launch::server("--echo").stderr(writer).start();
    let mut first = [0; 256];
    let count = reader.read(&mut first).unwrap();
    let line = String::from_utf8_lossy(&first[..count]).into_owned();
    let port: u16 = line.trim_end().rsplit(':').next().unwrap().parse().unwrap();
    let mut client = Launch::client(port, "").start();
    // The statistics' lines are long, and the user's own, so their rate is not bounded.
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
    client.end_input();
    client.ends_with(0);
    server.stop();
    let all = reading.join().unwrap();
    assert!(
        all.contains(" lines could not be written and are lost\n"),
        "{all}"
    );
}

/// Goal: a program that ends does not wait for a reader that does not read its last words.
/// Method: a full pipe as stderr of a program that is called wrongly.
#[test]
fn a_full_stderr_does_not_keep_a_program() {
    let (_reader, mut writer) = std::io::pipe().unwrap();
    fcntl_setpipe_size(&writer, 4096).unwrap();
    std::io::Write::write_all(&mut writer, &[b'x'; 4096]).unwrap();
    let start = Instant::now();
    let full = writer.try_clone().unwrap();
    let ended = Launch::new("--frobnicate").stderr(full).run();
    assert_eq!(ended.code, 2);
    assert!(start.elapsed() < Duration::from_secs(30));
}

/// Goal: holders of the keys cannot fill a log by coming and going. Method: a hundred
/// come and go in a moment; few are told, and the number of the rest is.
#[test]
fn visits_are_bounded() {
    let server = Launch::server("--no-input").start();
    let port = server.port();
    let start = Instant::now();
    for _ in 0..100 {
        drop(RawPeer::proved(port));
    }
    server.line(" more like these were not shown");
    let seconds = start.elapsed().as_secs() as usize + 2;
    let ended = server.stop();
    let lines = ended.stderr.lines().count();
    assert!(
        lines < 35 * seconds && lines < 200,
        "{lines} lines in {seconds} s"
    );
}

/// Goal: what strangers cause is bounded, and its number told though nothing else
/// follows. Method: twenty bad hellos.
#[test]
fn strangers_are_bounded() {
    let server = Launch::server("--no-input").start();
    let port = server.port();
    for _ in 0..20 {
        let mut socket = connect(port);
        let _ = std::io::Write::write_all(&mut socket, b"GET / HTTP/1.1\r\n\r\n");
        crate::raw_peer::rest(&mut socket);
    }
    server.line(" more like these were not shown");
    still_serves_chat(port);
    server.stop();
}

fn still_serves_chat(port: u16) {
    let client = Launch::client(port, "").run();
    assert_eq!(client.code, 0, "{client}");
}

/// Goal: names that drive a terminal are shown harmless wherever they are told.
/// Method: escape sequences and a bidi mark as a host, an address to listen on, a key
/// file and the name of a key.
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
