//! Faults of processes: a side that is killed, stopped, or whose stdout or stderr takes
//! nothing. Either a transfer completes with equal bytes, or an exit code says that it did
//! not. Faults of the network are in [`crate::network`].
//!
//! `SEALWIRE_THOROUGH=1` makes the pauses as long as an operator's are.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use rustix::pipe::fcntl_setpipe_size;
use rustix::process::Signal;

use crate::program::{A_WHILE, CLIENT, Launch, PATIENCE, Program};
use crate::raw_peer::connect;
use crate::stopping::dev_full;
use crate::transfer::LARGE;

/// As much as a side sends of which the other has only a part when the fault comes: more
/// than all pipes, sockets and queues between them hold.
const MUCH: usize = 40_000_000;

/// Which side sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sends {
    Server,
    Client,
}

/// How long a side stands still: long enough that all the other can do meanwhile is done.
fn pause() -> Duration {
    match std::env::var_os("SEALWIRE_THOROUGH") {
        Some(_) => Duration::from_secs(10),
        None => Duration::from_secs(2),
    }
}

/// Times of silence that are over within a test, but not because the machine is busy.
const SHORT_SILENCE: &str = "--ping-after 1s --dead-after 5s";
/// Well over that.
const LONGER: Duration = Duration::from_secs(9);

/// The sender and the receiver of a transfer, both with these `args`. The receiver's stdout
/// goes to `stdout`. The sender has read nothing yet.
fn transfer(sends: Sends, args: &str, stdout: Stdio) -> (Program, Program) {
    match sends {
        Sends::Client => {
            let server = Launch::receiver(args).stdout(stdout).start();
            let client = Launch::client(server.port(), args).start();
            (client, server)
        }
        Sends::Server => {
            let server = Launch::server(args).start();
            let client = Launch::client(server.port(), args);
            let client = client.empty_input().stdout(stdout).start();
            (server, client)
        }
    }
}

/// Goal: when either side is killed in the middle of a file, the other leaves with 4, and
/// what a receiver has written by then is the beginning of the file. Method: kill -9 of the
/// sender and of the receiver, where a server sends and where a client does, once some of
/// the file has come.
#[test]
fn killed_in_the_middle() {
    for sends in [Sends::Server, Sends::Client] {
        for kill_sender in [true, false] {
            let (reader, writer) = std::io::pipe().unwrap();
            let (mut sender, receiver) = transfer(sends, "", writer.into());
            sender.pour(&LARGE[..MUCH]);
            let mut reader = reader;
            let mut came = vec![0; 1_000_000];
            reader.read_exact(&mut came).unwrap();
            let killed = if kill_sender { &sender } else { &receiver };
            killed.signal(Signal::KILL);
            reader.read_to_end(&mut came).unwrap();
            let [sender, receiver] = [sender, receiver].map(Program::wait);
            let (killed, left) = match kill_sender {
                true => (sender, receiver),
                false => (receiver, sender),
            };
            assert_eq!(killed.code, -1, "{sends:?}: {killed}");
            assert_eq!(left.code, 4, "{sends:?}, {kill_sender}: {left}");
            left.told("the connection ended before everything was transferred");
            assert!(came.len() < MUCH, "it was not in the middle");
            assert!(LARGE.starts_with(&came), "not the beginning of the file");
        }
    }
}

/// Goal: a side that is stopped for a while and goes on loses nothing. Method: SIGSTOP and
/// SIGCONT of the sender and of the receiver, in the middle of a file, either way.
#[test]
fn stopped_for_a_while() {
    thread::scope(|scope| {
        for sends in [Sends::Server, Sends::Client] {
            for stop_sender in [true, false] {
                scope.spawn(move || {
                    let (mut sender, receiver) = transfer(sends, "", Stdio::piped());
                    sender.pour(&LARGE[..MUCH]);
                    receiver.prints_some(1_000_000);
                    let stopped = if stop_sender { &sender } else { &receiver };
                    stopped.signal(Signal::STOP);
                    sleep(pause());
                    stopped.signal(Signal::CONT);
                    receiver.ends_with(0).printed(&LARGE[..MUCH]);
                    sender.ends_with(0);
                });
            }
        }
    });
}

/// Goal: a peer that stands still for longer than `--dead-after` is noticed: the other side
/// leaves with 5, and so the peer does not take the transfer for whole when it goes on.
/// Method: SIGSTOP of either side, idle and in the middle of a file; SIGCONT when the other
/// has left.
#[test]
fn stopped_for_too_long() {
    thread::scope(|scope| {
        for sends in [Sends::Server, Sends::Client] {
            for (stop_sender, idle) in [(true, true), (true, false), (false, true), (false, false)]
            {
                scope.spawn(move || {
                    let (mut sender, receiver) = transfer(sends, SHORT_SILENCE, Stdio::piped());
                    if idle {
                        sender.say("a part");
                        receiver.prints("a part");
                    } else {
                        sender.pour(&LARGE[..MUCH]);
                        receiver.prints_some(1_000_000);
                    }
                    let (stopped, left) = match stop_sender {
                        true => (sender, receiver),
                        false => (receiver, sender),
                    };
                    stopped.signal(Signal::STOP);
                    left.ends_with(5).told("not a byte within 5 s");
                    stopped.signal(Signal::CONT);
                    let ended = stopped.wait();
                    assert!(
                        [3, 4, 5].contains(&ended.code),
                        "{sends:?}, {idle}: {ended}"
                    );
                });
            }
        }
    });
}

/// Goal: a receiver whose stdout takes nothing for longer than `--dead-after`, as `| less`,
/// keeps its connection, and its reader then gets everything. Method: a pipe that is not
/// read, at a client and at a server, while the other side pours.
#[test]
fn a_full_stdout_keeps_the_connection() {
    thread::scope(|scope| {
        for sends in [Sends::Server, Sends::Client] {
            scope.spawn(move || {
                let (mut reader, writer) = std::io::pipe().unwrap();
                let (mut sender, receiver) = transfer(sends, SHORT_SILENCE, writer.into());
                sender.pour(&LARGE[..MUCH]);
                sleep(LONGER);
                assert!(sender.is_running(), "it waits for its reader");
                let mut came = Vec::new();
                reader.read_to_end(&mut came).unwrap();
                receiver.ends_with(0);
                sender.ends_with(0);
                assert!(came == LARGE[..MUCH], "{sends:?}");
            });
        }
    });
}

/// Goal: a disk that becomes full under a receiver ends it with 1 and a line that says why,
/// its peer learns of it (ABORT, local error) and leaves with 3, and what the disk has is the
/// beginning of the file. Method: a receiver on `/dev/full`, and one on a disk of 256 KiB,
/// where one can be mounted.
#[test]
fn a_full_disk() {
    let folder = tempfile::tempdir().unwrap();
    let mount = format!(
        "mount -t tmpfs -o size=256k none {}",
        folder.path().display()
    );
    // The client's output is what the disk has in the end.
    let file = format!("{}/file", folder.path().display());
    let on_disk = format!(
        r#"unshare -rm sh -c '{mount}; "$@" >{file}; code=$?; cat {file}; exit $code' sh "$@""#
    );
    let mut kinds = vec![(r#"exec "$@" >/dev/full"#, 0)];
    if Launch::by_shell(&format!("unshare -rm {mount}"), "").succeeds() {
        kinds.push((&on_disk, 256 << 10));
    } else {
        eprintln!("skipped in part: no disk can be mounted here (unshare -rm)");
    }
    for (script, fits) in kinds {
        let mut server = Launch::server("").start();
        server.pour(&LARGE[..MUCH]);
        let args = format!("{CLIENT} {}", server.port());
        let client = Launch::by_shell(script, &args).empty_input().start();
        let ended = client.ends_with(1);
        let ended = ended.told("writing standard output: No space left");
        assert_eq!(ended.stdout.len(), fits, "all that fits");
        assert!(LARGE.starts_with(&ended.stdout));
        server.ends_with(3).told("the peer gave up: local error");
    }
}

/// Goal: a server that serves until it is stopped goes on when its disk is full: the peer
/// whose words are lost learns it (ABORT, local error) and leaves with 3, and other peers are
/// served. Method: a chat on `/dev/full`; clients that say something, and after each one that
/// says nothing.
#[test]
fn a_full_disk_under_a_server_that_serves() {
    let server = Launch::server("--no-input").stdout(dev_full()).start();
    let port = server.port();
    for _ in 0..3 {
        let mut client = Launch::client(port, "").start();
        client.say("lost");
        client.ends_with(3).told("the peer gave up: local error");
        let next = Launch::client(port, "").run();
        assert_eq!(next.code, 0, "{next}");
    }
    server.stop().told("No space left");
}

/// The port on which `program` listens, from the system's tables.
fn port_of(program: &Program) -> u16 {
    let folder = format!("/proc/{}", program.id().as_raw_nonzero());
    let listening = || -> Option<u16> {
        let files = fs::read_dir(format!("{folder}/fd")).unwrap();
        let links = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
        let links: Vec<_> = links.map(|link| link.display().to_string()).collect();
        let table = fs::read_to_string(format!("{folder}/net/tcp")).unwrap();
        table.lines().find_map(|line| {
            let fields: Vec<_> = line.split_whitespace().collect();
            let [_, local, _, state, _, _, _, _, _, inode, ..] = fields[..] else {
                return None;
            };
            // proc_pid_net(5): 0A is LISTEN.
            let ours = state == "0A" && links.contains(&format!("socket:[{inode}]"));
            let port = local.rsplit(':').next().filter(|_| ours)?;
            u16::from_str_radix(port, 16).ok()
        })
    };
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if let Some(port) = listening() {
            return port;
        }
        sleep(A_WHILE / 10);
    }
    panic!("it does not listen");
}

/// Goal: a server goes on when nothing takes its messages. Method: a stderr on a full disk;
/// one whose reader goes, and one whose reader stops, when the server has said its port.
/// Strangers cause lines; then a client's echo is whole, and the server leaves with 0.
#[test]
fn a_server_with_a_lost_stderr() {
    let piped = || {
        let (reader, writer) = std::io::pipe().unwrap();
        fcntl_setpipe_size(&writer, 4096).unwrap();
        let server = Launch::server("--echo").stderr(writer).start();
        let mut reader = BufReader::new(reader);
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let port = line.trim().rsplit(':').next().unwrap().parse().unwrap();
        (server, port, reader)
    };
    // Its descriptors can be seen then.
    let disk = Launch::server("--echo --allow-core-dumps").stderr(dev_full());
    let disk = disk.start();
    let port = port_of(&disk);
    let (closed, closed_port, _) = piped();
    let (stopped, stopped_port, _reader) = piped();
    for (server, port) in [(disk, port), (closed, closed_port), (stopped, stopped_port)] {
        for _ in 0..3 {
            // More than a pipe of 4 KiB holds.
            for _ in 0..30 {
                let _ = connect(port).write_all(b"GET / HTTP/1.0\r\n\r\n");
                server.signal(Signal::USR1);
            }
            let client = Launch::client(port, "").start();
            client.finish("whole").printed("whole");
        }
        server.stop();
    }
}
