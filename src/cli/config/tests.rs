#![allow(clippy::unwrap_used)]

use clap::Parser;
use sealwire::limits::ceiling::Tcp;

use super::*;
use crate::log::{Form, Level};

const HEX: &str = "deadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeef";

/// The machine of these tests.
const MACHINE: Machine = Machine {
    memory: 64 << 30,
    descriptors: 20_000,
    tcp: Tcp {
        receive_first: 128 << 10,
        receive_tuned: 6 << 20,
        send_tuned: 4 << 20,
        receive_set: 416 << 10,
        send_set: 416 << 10,
    },
};

/// Checks a command line, with `key` and another of its length in the environment.
fn with_key(key: &str, line: &str) -> Result<Config, Error> {
    let words = ["sealwire"].into_iter().chain(line.split_whitespace());
    let env = |name: &str| match name {
        "SEALWIRE_CONFKEY" => Some(key.into()),
        _ => Some(key.chars().rev().collect::<String>().into()),
    };
    Config::check(Args::try_parse_from(words).unwrap(), &env, &MACHINE)
}

fn checked(line: &str) -> Config {
    with_key(HEX, line).unwrap()
}

fn limits(line: &str) -> Limits {
    checked(line).limits
}

fn refused(line: &str, start: &str) {
    let error = with_key(HEX, line).unwrap_err();
    assert_eq!(error.exit_code(), 2, "{line}: {error}");
    assert!(error.to_string().starts_with(start), "{line}: {error}");
}

/// Goal: the defaults are chat on port 9999 on all addresses, with stdin, native keys alone
/// and no warning.
#[test]
fn defaults() {
    let config = checked("-s");
    let (listen, mode) = (None, ModeKind::Chat);
    assert_eq!(config.role, Role::Server { listen, mode });
    assert_eq!(config.port, 9999);
    assert!(!config.no_input);
    assert!(config.keys.native.is_some() && config.keys.classic.is_none());
    assert_eq!(config.limits.max_message, 16 << 20);
    assert_eq!(config.keys.warnings, [""; 0]);
    assert!(checked("-c h --no-input").no_input);
}

/// Goal: options that do not go together, and hosts that are none, are refused by name.
#[test]
fn refused_lines() {
    let no_name = "a name or an address is wanted";
    for (line, start) in [
        ("", "give --server or --client HOST (see --help)"),
        ("--port 1", "give --server or --client"),
        ("-s -c h", "--server and --client"),
        ("-s --echo --relay", "--echo and --relay"),
        ("-s --sink --relay --echo", "--echo and --sink"),
        ("-c h --listen ::1", "--listen is for a server"),
        ("-c h --echo", "--echo is for a server"),
        ("-c h --sink", "--sink is for a server"),
        ("-c h --relay", "--relay is for a server"),
        ("-c h --forward h:1", "--forward is for a server"),
        ("-s --tunnel 1", "--tunnel is for a client, the near end"),
        ("-s --forward h:1 --tunnel 1", "--tunnel is for a client"),
        ("-s --echo --forward h:1", "--echo and --forward"),
        ("-s --forward h:1 --classic", "--forward and --classic"),
        ("-s --forward h:1 --no-input", "--forward and --no-input"),
        ("-c h --tunnel 1 --classic", "--tunnel and --classic"),
        ("-c h --tunnel 1 --no-input", "--tunnel and --no-input"),
        ("-c h --tunnel 1 --echo", "--echo is for a server"),
        ("-s --retry", "--retry is for --client"),
        ("-c h --retry --classic", "--retry and --classic"),
        ("-c h --tunnel 1 --max-handshakes 50", "--max-handshakes is"),
        ("-c h --max-peers 5", "--max-peers is for a server"),
        ("-c h --max-handshakes 50", "--max-handshakes is for a"),
        ("--client=", &format!("--client: {no_name}")),
        ("-c []", &format!("--client: {no_name}")),
        ("-s --listen=", &format!("--listen: {no_name}")),
        ("-c host:99", &format!("--client: {no_name}; the port")),
        ("-c [::1]:99", &format!("--client: {no_name}; the port")),
        ("-c h --port 0", "--port: a number from 1 to 65535"),
        ("-s --max-message=18014398509481984k", "--max-message:"),
    ] {
        refused(line, start);
    }
}

/// Goal: each option refuses what is out of its range, or no number at all.
#[test]
fn refused_values() {
    let huge = "99999999999999999999";
    for (start, values) in [
        ("--port: a number from 0 to 65535", "65536 -1 x 1.0"),
        (
            "--max-message: a size from 1 to 1g",
            &format!("0 0k 1025m 2g {huge} k -1 1t 1é"),
        ),
        ("--max-peers: a number", "0 1048577 x 1k"),
        ("--forward: HOST:PORT", "5432 h h:0 h:x ::1:5 unix: h:65536"),
        ("--max-handshakes: a number from 16", "0 15 16385 x 1k"),
        ("--max-memory: a size up to 1024g", "0 1025g x 1t"),
        (
            "--max-idle: a time up to 365d",
            &format!("x 1w -1 366d {huge}"),
        ),
        (
            "--ping-after: a time from 1s to 6h",
            &format!("0 999ms x -1 21601 7h {huge}"),
        ),
        (
            "--dead-after: a time from 2s to 12h",
            &format!("x -1 43201 13h {huge}"),
        ),
    ] {
        let option = start.split(':').next().unwrap();
        for value in values.split(' ').chain([""]) {
            refused(&format!("-s {option}={value}"), start);
        }
    }
}

/// Goal: hosts and addresses are taken as typed, but for brackets. A port has its whole
/// range, and 0 for a server alone.
#[test]
fn hosts_and_ports() {
    for (typed, bare) in [
        ("example.org", "example.org"),
        ("127.0.0.1", "127.0.0.1"),
        ("[::1]", "::1"),
        ("::1", "::1"),
        ("fe80::1%eth0", "fe80::1%eth0"),
    ] {
        for option in ["-c", "-s --listen"] {
            let host = match checked(&format!("{option} {typed}")).role {
                Role::Server { listen, .. } => listen,
                Role::Client { host } => Some(host),
                Role::Tunnel { .. } => unreachable!("no tunnel was asked for"),
            };
            assert_eq!(host.as_deref(), Some(bare));
        }
    }
    for (line, port) in [("-s", 0), ("-c h", 1), ("-c h", 65535)] {
        assert_eq!(checked(&format!("{line} --port {port}")).port, port);
    }
}

/// Goal: sizes have every suffix and both ends of the range, and what must hold a whole
/// message grows with it.
#[test]
fn sizes() {
    for (typed, bytes) in [
        ("1", 1),
        ("3k", 3 << 10),
        ("500K", 500 << 10),
        ("7m", 7 << 20),
        ("1g", 1 << 30),
        ("1024m", 1 << 30),
    ] {
        let limits = limits(&format!("-s --max-message {typed}"));
        assert_eq!(limits.max_message, bytes, "{typed}");
        assert!(limits.max_queue >= bytes && limits.max_queued >= limits.max_queue);
        assert!(limits.max_assembling >= bytes);
    }
}

/// Goal: memory is as much as the user asks for, where a message fits, and the memory of
/// all receivers grows with that of one. Method: both options at their least, beyond, and
/// with a larger message; the number of peers from end to end.
#[test]
fn bounds() {
    let whole = Limits::whole(16 << 20);
    for option in ["--max-queue", "--max-assembling"] {
        let beyond = format!("{option}: a size up to 1024g");
        refused(&format!("-s {option} {}", whole - 1), option);
        refused(&format!("-s {option} 1t"), &beyond);
        refused(&format!("-s {option} 1025g"), &beyond);
        refused(&format!("-s --max-message 17m {option} {whole}"), option);
        let told = format!("{option}: a message of 16777216 bytes takes {whole}");
        refused(&format!("-s {option} 1m"), &told);
    }
    assert_eq!(limits(&format!("-s --max-queue {whole}")).max_queue, whole);
    let large = limits("-c h --max-queue 1g --max-assembling 2g");
    assert_eq!((large.max_queue, large.max_queued), (1 << 30, 2 << 30));
    assert_eq!(large.max_assembling, 2 << 30);
    let small = limits("-s --max-message 1 --max-queue 100k");
    assert_eq!(small.max_queue, 100 << 10);
    for count in [1, 5000, 1 << 20] {
        assert_eq!(limits(&format!("-s --max-peers {count}")).max_peers, count);
    }
}

/// Goal: the other bounds follow from the ceiling; 4 GiB have the usual ones. Method: the
/// machine's default, twice and half of it, and a client.
#[test]
fn bounds_follow_from_memory() {
    let usual = limits("-s");
    assert_eq!(usual.max_queue, 17 << 20);
    assert_eq!(usual.max_queued, 512 << 20);
    assert_eq!(usual.max_assembling, 512 << 20);
    assert_eq!(
        format!("{usual:?}"),
        format!("{:?}", limits("-s --max-memory 8g"))
    );
    let [less, more] = ["2g", "16g"].map(|size| limits(&format!("-s --max-memory {size}")));
    assert_eq!(less.max_assembling, 128 << 20);
    assert_eq!(more.max_queued, 1 << 30);
    assert!(less.max_peers < usual.max_peers && usual.max_peers <= more.max_peers);
    assert!(less.socket_buffers < more.socket_buffers);
    assert_eq!(limits("-s --max-handshakes 16").max_handshakes, 16);
    limits("-c h --max-memory 256m");
}

/// Goal: a ceiling that cannot hold what is asked for is refused, and the refusal says what
/// takes how much and which ceiling is enough; that one is taken. Without a ceiling, it grows.
/// Method: a large message, and many peers.
#[test]
fn a_ceiling_that_is_too_small() {
    for (asked, told) in [
        ("--max-message 1g", "unfinished 1.0g"),
        ("--max-peers 20000", "20000 peers 3.8g"),
    ] {
        let line = format!("-s --max-memory 4g {asked}");
        let error = with_key(HEX, &line).unwrap_err();
        let text = error.to_string();
        assert_eq!(error.exit_code(), 2);
        assert!(
            text.starts_with("--max-memory: 4g is not enough for program 16m, "),
            "{text}"
        );
        assert!(text.contains(told) && !text.contains('\n'), "{text}");
        let enough = text.split("make it ").nth(1).unwrap();
        let enough = enough.split(',').next().unwrap();
        limits(&line.replace("4g", enough));
        limits(&line.replace("--max-memory 4g", ""));
    }
}

/// Goal: a silent peer may stay as long as the user says: every unit, the default, and for
/// ever.
#[test]
fn idle_times() {
    let idle = |line: &str| limits(line).max_idle;
    assert_eq!(idle("-s"), Some(Duration::from_secs(3600)));
    for (typed, milliseconds) in [
        ("90", 90_000),
        ("90s", 90_000),
        ("15m", 900_000),
        ("2h", 7_200_000),
        ("1d", 86_400_000),
        ("500ms", 500),
    ] {
        let wanted = Some(Duration::from_millis(milliseconds));
        assert_eq!(idle(&format!("-c h --max-idle {typed}")), wanted, "{typed}");
    }
    assert_eq!(idle("-s --max-idle 0"), None);
}

/// Goal: the times of silence are as the user says, where a PING can be answered before the
/// peer counts as dead; a refusal names the option that is too small and what would do.
/// Method: the defaults, both ends of the range, and one of them without the other.
#[test]
fn silence() {
    let both = |line: &str| {
        let limits = limits(line);
        (limits.ping_after, limits.dead_after)
    };
    let seconds = Duration::from_secs;
    for (line, ping, dead) in [
        ("-s", 30, 90),
        ("-s --dead-after 1m", 30, 60),
        ("-c h --ping-after 45", 45, 90),
        ("-c h --ping-after 1s --dead-after 2s", 1, 2),
        ("-s --ping-after 6h --dead-after 12h", 6 * 3600, 12 * 3600),
    ] {
        assert_eq!(both(line), (seconds(ping), seconds(dead)), "{line}");
    }
    for (line, told) in [
        (
            "-s --dead-after 59s",
            "59 s is not twice --ping-after, which is 30 s: make it at least 60 s",
        ),
        (
            "-c h --ping-after 46s",
            "90 s is not twice --ping-after, which is 46 s: make it at least 92 s",
        ),
        (
            "-s --ping-after 1500ms --dead-after 0",
            "0 s is not twice --ping-after, which is 1.5 s: make it at least 3 s",
        ),
    ] {
        refused(line, &format!("--dead-after: {told}, or --ping-after less"));
    }
}

/// Goal: classic warns that it is weak; a server speaks both formats, or classic alone if
/// the keys do for no more; a client speaks classic only.
#[test]
fn classic() {
    for (key, line, native, warnings) in [
        (HEX, "-s --classic", true, &[CLASSIC_IS_WEAK][..]),
        (
            "any",
            "-s --classic",
            false,
            &[CLASSIC_IS_WEAK, CLASSIC_ONLY],
        ),
        (HEX, "-c h --classic", false, &[CLASSIC_IS_WEAK]),
        ("any", "-c h --classic", false, &[CLASSIC_IS_WEAK]),
    ] {
        let config = with_key(key, line).unwrap();
        assert_eq!(config.keys.native.is_some(), native, "{key}, {line}");
        assert!(config.keys.classic.is_some(), "{key}, {line}");
        assert_eq!(config.keys.warnings, warnings, "{key}, {line}");
    }
    assert!(with_key("any", "-s").is_err());
}

/// Goal: figures are served on loopback unless an address is given, by a server alone; the log
/// has its defaults, and what is typed.
#[test]
fn running_for_good() {
    let metrics = |line: &str| checked(line).metrics.map(|address| address.to_string());
    assert_eq!(metrics("-s"), None);
    for (typed, served) in [
        ("9464", "127.0.0.1:9464"),
        ("0", "127.0.0.1:0"),
        ("0.0.0.0:9464", "0.0.0.0:9464"),
        ("[::1]:9464", "[::1]:9464"),
    ] {
        assert_eq!(metrics(&format!("-s --metrics {typed}")).unwrap(), served);
    }
    for typed in [
        "x",
        "65536",
        "localhost:1",
        "::1:9464",
        "127.0.0.1",
        ":1",
        "1:",
    ] {
        refused(
            &format!("-s --metrics {typed}"),
            "--metrics: a port is wanted",
        );
    }
    refused("-c h --metrics 1", "--metrics is for a server");
    let log = checked("-s").log;
    assert_eq!((log.form, log.least), (Form::Text, Level::Info));
    let log = checked("-s --log json --log-level warn").log;
    assert_eq!((log.form, log.least), (Form::Json, Level::Warn));
    assert_eq!(checked("-s").address, None);
    assert_eq!(checked("-s --port 1").address, Some("--port"));
}

/// Goal: the two ends of a tunnel; the near end listens on the loopback address unless it is told
/// otherwise, and either end has descriptors for two sockets of each connection.
#[test]
fn ends_of_a_tunnel() {
    let place = |text: &str| Place::parse(text, None).unwrap();
    for (typed, from) in [
        ("5432", "127.0.0.1:5432"),
        ("0", "127.0.0.1:0"),
        ("[::]:1", "[::]:1"),
        ("unix:/run/s", "unix:/run/s"),
    ] {
        let near = checked(&format!("-c h --tunnel {typed}"));
        let (host, from) = ("h".to_owned(), place(from));
        assert_eq!(near.role, Role::Tunnel { host, from });
        assert!((9000..10_000).contains(&near.limits.max_peers));
    }
    refused("-c h --tunnel=x", "--tunnel: [ADDR:]PORT");
    let far = checked("-s --forward db:5432");
    let mode = ModeKind::Forward(place("db:5432"));
    assert_eq!(far.role, Role::Server { listen: None, mode });
    let chat = checked("-s").limits.max_peers;
    assert!(far.limits.max_peers < chat / 2, "{chat}");
    assert_eq!(limits("-c h --tunnel 1 --max-peers 5").max_peers, 5);
}
