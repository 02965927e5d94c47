//! The ceiling of memory, against real processes and the kernel's sockets: the table of
//! `--show-limits`, and peers that make a server keep as much as they can.
//!
//! What each bound does is in `tests/sim`. Here the memory of the process and of its sockets
//! is measured, which needs `/proc` and the program `ss`.

use std::collections::HashMap;
use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use sealwire::limits::ceiling::SOCKET;
use sealwire::limits::{MAX_PAYLOAD, SOCKET_OBJECTS};
use sealwire::wire::record::Kind;

use crate::program::{Launch, PATIENCE, Program};
use crate::raw_peer::RawPeer;
use crate::records::still_serves;

/// A server that is small, and has room for [`PEERS`] peers.
const SMALL: &str = "--max-memory 256m --max-message 64k --max-queue 1m";
const PEERS: usize = 400;
/// What each of them sends, in full records: far more than its share of the ceiling.
const RECORDS: usize = 60;
/// Bytes that every other peer sends at a time: small segments take the most of a receive buffer
/// for each byte.
const SEGMENT: usize = 300;
/// They stop when the server takes nothing more of them for this time: longer than a slow
/// receiver may stay.
const QUIET: Duration = Duration::from_secs(2);

/// The table that `--show-limits` prints: the number in each line, by name.
fn table(args: &str) -> HashMap<String, usize> {
    let ended = Launch::new(&format!("{args} --show-limits"))
        .no_keys()
        .run();
    assert_eq!(ended.code, 0, "{ended}");
    assert_eq!(ended.stderr, "", "{ended}");
    let text = String::from_utf8(ended.stdout).unwrap();
    let lines = text.lines().map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        assert!(words.len() > 3, "{line}: what is it for?");
        (words[0].to_owned(), words[2].parse().unwrap())
    });
    lines.collect()
}

/// Goal: the table has every part of the ceiling once, their sum is right and below it, and the
/// bounds are those that were asked for. It needs no keys and binds nothing. Method: add up
/// what awk would, for a server on a port that is taken, and for a client.
#[test]
fn the_table_adds_up() {
    let taken = Launch::server("--echo").start();
    let port = taken.port();
    let listen = format!("--listen 127.0.0.1 --port {port}");
    for args in [
        format!("-s {listen} {SMALL} --max-peers 300 --max-handshakes 20 --classic"),
        format!("-s {listen} --max-memory 1g"),
        "-c nowhere.example --max-memory 1g --max-queue 20m".into(),
    ] {
        let table = table(&args);
        let after = ["max-message", "max-assembling", "max-queue", "max-peers"];
        let other = ["max-memory", "sum", "max-handshakes", "descriptors"];
        let parts = table
            .iter()
            .filter(|(name, _)| !after.contains(&name.as_str()) && !other.contains(&name.as_str()));
        let sum: usize = parts.map(|(_, bytes)| bytes).sum();
        assert_eq!(sum, table["sum"], "{args}: {table:?}");
        assert!(sum <= table["max-memory"], "{args}: {table:?}");
        let asked = args.split_once("--max-peers ").is_some();
        if asked {
            assert_eq!(table["max-peers"], 300);
            assert_eq!(table["max-handshakes"], 20);
            assert_eq!(table["max-message"], 64 << 10);
        }
        assert_eq!(table.contains_key("max-peers"), args.starts_with("-s"));
    }
    taken.stop();
}

/// Bytes that a server and its sockets take.
#[derive(Debug, Clone, Copy, Default)]
struct Taken {
    process: usize,
    sockets: usize,
}

impl Taken {
    /// `None` if this machine cannot tell.
    fn by(server: &Program, port: u16) -> Option<Self> {
        let id = server.id().as_raw_nonzero();
        let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kilobytes: usize = line.trim().strip_suffix(" kB")?.parse().ok()?;
        let port = format!(":{port}");
        let args = ["-tmnH", "sport", "=", &port];
        let listed = Command::new("ss").args(args).output().ok()?;
        let listed = String::from_utf8(listed.stdout).ok()?;
        let sockets = listed.split("skmem:(").skip(1).map(socket_bytes);
        Some(Self {
            process: kilobytes << 10,
            sockets: sockets.sum(),
        })
    }
}

/// What the kernel keeps for one socket, from the fields that `ss` prints: what came, what it
/// set aside, what was written, options, and what came while the socket was in use.
fn socket_bytes(fields: &str) -> usize {
    let fields = fields.split(')').next().unwrap();
    let field = |name: &str| {
        let value = fields.split(',').find_map(|field| {
            let value = field.strip_prefix(name)?;
            value.parse::<u32>().ok()
        });
        // What is set aside may be below zero for a moment.
        value.map_or(0, |value| (value as i32).max(0) as usize)
    };
    SOCKET_OBJECTS + ["r", "f", "w", "o", "bl"].map(field).iter().sum::<usize>()
}

/// Sends every peer's bytes for as long as the server takes any, and returns the most that
/// was taken meanwhile.
fn press(server: &Program, port: u16, peers: &mut [(RawPeer, Vec<u8>)]) -> Taken {
    let start = Instant::now();
    let mut last = start;
    let mut most = Taken::default();
    while last.elapsed() < QUIET && start.elapsed() < PATIENCE {
        for (number, (peer, bytes)) in peers.iter_mut().enumerate() {
            let at_a_time = if number % 2 == 0 {
                SEGMENT
            } else {
                bytes.len()
            };
            let sent = peer.press(bytes, at_a_time.max(1));
            bytes.drain(..sent);
            if sent > 0 {
                last = Instant::now();
            }
        }
        let taken = Taken::by(server, port).unwrap();
        if taken.process + taken.sockets > most.process + most.sockets {
            most = taken;
        }
        thread::sleep(Duration::from_millis(20));
    }
    most
}

/// Attacks `server` with peers that each send the bytes that `bytes` makes, and never read.
/// Asserts that all of it stays below the ceiling, and what the kernel keeps below its parts;
/// and that it was an attack: more than `least` bytes.
fn attack(server: &Program, least: usize, bytes: fn(usize, &mut RawPeer) -> Vec<u8>) {
    let port = server.port();
    let peers = (0..PEERS).map(|number| {
        let mut peer = RawPeer::proved(port);
        let bytes = bytes(number, &mut peer);
        (peer, bytes)
    });
    let mut peers: Vec<_> = peers.collect();
    let idle = Taken::by(server, port).filter(|taken| taken.sockets > 0);
    let Some(idle) = idle else {
        return eprintln!("skipped: no /proc, or no ss, to measure memory with");
    };
    let most = press(server, port, &mut peers);
    eprintln!("{PEERS} idle peers: {idle:?}; at most: {most:?}");
    let sum = most.process + most.sockets;
    let table = table(&format!("-s {SMALL}"));
    assert!(sum <= table["max-memory"], "{most:?}, {table:?}");
    let kernel = table["buffers"] + PEERS * SOCKET;
    assert!(most.sockets <= kernel, "{most:?}, {kernel} for sockets");
    assert!(sum - idle.process - idle.sockets > least, "{most:?}");
}

/// Full records of whole messages.
fn messages(peer: &mut RawPeer) -> Vec<u8> {
    let message = vec![7; MAX_PAYLOAD];
    let records = (0..RECORDS).map(|_| peer.record(Kind::End, &message));
    records.collect::<Vec<_>>().concat()
}

/// Goal: peers that hold the keys make a server keep no more than its ceiling, with all that
/// the kernel keeps for it. Method: four hundred peers of an echo that never read. Some send
/// messages, some leave a message unfinished, and all leave half a record.
#[test]
fn peers_that_never_read_stay_below_the_ceiling() {
    let server = Launch::server(&format!("--echo {SMALL}")).start();
    attack(&server, 20 << 20, |number, peer| {
        let part = vec![7; MAX_PAYLOAD];
        let mut bytes = match number % 4 {
            0 => [
                peer.record(Kind::Part, &part),
                peer.record(Kind::Part, &part),
            ]
            .concat(),
            _ => messages(peer),
        };
        let half = peer.record(Kind::Part, &part);
        bytes.extend(&half[..half.len() - 1]);
        bytes
    });
    still_serves(&server);
    server.stop();
}

/// Goal: peers that a server does not read take no more of the kernel's memory than the
/// ceiling says. Method: four hundred peers of a chat whose stdout nobody reads.
#[test]
fn peers_that_are_not_read_stay_below_the_ceiling() {
    let (_unread, stdout) = rustix::pipe::pipe().unwrap();
    let server = Launch::server(&format!("--no-input {SMALL}"));
    let server = server.stdout(stdout).start();
    attack(&server, 10 << 20, |_, peer| messages(peer));
}
