//! Figures for a monitoring system: they are in the form that it reads, they are those of what
//! was done, and nobody that asks for them holds anything up.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use sealwire::error::cause::CAUSES;
use sealwire::limits::SCRAPE_DEADLINE;

use crate::program::{A_WHILE, Launch, PATIENCE, Program};
use crate::raw_peer::{connect, hello, rest, signed};

/// Each sample: its name with its labels as written, and its value.
type Figures = BTreeMap<String, f64>;

/// The address of the figures of `server`.
fn address(server: &Program) -> String {
    let line = server.line("figures are at http://");
    let (_, rest) = line.split_once("http://").unwrap();
    rest.split_once('/').unwrap().0.to_owned()
}

/// The whole answer to `request`, once the server has closed behind it.
fn asked(address: &str, request: &str) -> String {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    // A request that is too long is cut off.
    let _ = socket.write_all(request.as_bytes());
    let mut answer = String::new();
    let _ = socket.read_to_string(&mut answer);
    answer
}

fn get(address: &str) -> String {
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let answer = asked(address, &request);
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let mut lines = head.split("\r\n");
    assert_eq!(lines.next(), Some("HTTP/1.1 200 OK"), "{head}");
    let length = format!("Content-Length: {}", body.len());
    for wanted in [
        &length,
        "Content-Type: text/plain; version=0.0.4; charset=utf-8",
    ] {
        assert!(head.contains(wanted), "{wanted}: {head}");
    }
    body.to_owned()
}

/// Reads the text as strictly as the format allows: a HELP, a TYPE, then the samples of a
/// metric, each once, with names and units as Prometheus advises.
fn parsed(text: &str) -> Figures {
    let (mut figures, mut seen) = (Figures::new(), BTreeSet::new());
    let (mut name, mut kind) = ("", "");
    assert!(text.ends_with('\n'), "the last line ends");
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (metric, help) = rest.split_once(' ').unwrap();
            assert!(help.ends_with('.') && !help.contains('\\'), "{line}");
            assert!(seen.insert(metric), "{metric} comes twice");
            (name, kind) = (metric, "");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (metric, of) = rest.split_once(' ').unwrap();
            assert_eq!((metric, kind), (name, ""), "{line}");
            kind = of;
            check_name(name, kind);
        } else {
            let (sample, value) = line.rsplit_once(' ').unwrap();
            let (base, labels) = sample.split_once('{').unwrap_or((sample, "}"));
            let suffix = base.strip_prefix(name).expect("a sample behind its TYPE");
            let suffixes: &[&str] = match kind {
                "histogram" => &["_bucket", "_sum", "_count"],
                _ => &[""],
            };
            assert!(suffixes.contains(&suffix), "{line}");
            check_labels(labels.strip_suffix('}').expect(line));
            let value: f64 = value.parse().expect(line);
            assert!(value.is_finite() && value >= 0.0, "{line}");
            assert!(figures.insert(sample.to_owned(), value).is_none(), "{line}");
        }
    }
    figures
}

fn check_name(name: &str, kind: &str) {
    let rest = name.strip_prefix("sealwire_").expect(name);
    let letter = |c: char| c.is_ascii_lowercase() || c == '_';
    assert!(rest.chars().all(letter), "{name}");
    assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
    let units = ["ms", "us", "micros", "kib", "kb", "mb"];
    assert!(!name.split('_').any(|word| units.contains(&word)), "{name}");
    assert!(["counter", "gauge", "histogram"].contains(&kind), "{name}");
}

/// Labels as `a="b",c="d"`, in order, with nothing to escape.
fn check_labels(labels: &str) {
    let mut last = "";
    for label in labels.split(',').filter(|label| !label.is_empty()) {
        let (name, value) = label.split_once('=').expect(labels);
        assert!(name > last, "{labels}");
        let inside = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
        assert!(
            !inside.expect(labels).contains(['"', '\\', '\n']),
            "{labels}"
        );
        last = name;
    }
}

/// Waits until `figure` is `wanted`, and returns all figures of that time.
#[track_caller]
fn until(address: &str, figure: &str, wanted: f64) -> Figures {
    let start = Instant::now();
    loop {
        let figures = parsed(&get(address));
        if figures.get(figure) == Some(&wanted) {
            return figures;
        }
        assert!(start.elapsed() < PATIENCE, "{figure}: {figures:?}");
        sleep(Duration::from_millis(50));
    }
}

/// Goal: the figures are those of what was done. Method: a client gets an echo and leaves; a
/// stranger sends no hello; a recording of a hello comes again. Each has its figure, and no
/// other has one.
#[test]
fn figures_are_what_was_done() {
    let server = Launch::server("--echo --metrics 0").start();
    let (port, address) = (server.port(), address(&server));
    let figures = parsed(&get(&address));
    for (name, value) in &figures {
        let always = ["_limit", "_info", "tick_seconds", "held_bytes"];
        assert!(
            *value == 0.0 || always.iter().any(|part| name.contains(part)),
            "{name} is {value} before anything was done"
        );
    }
    let mut client = Launch::client(port, "").start();
    client.say("hello");
    client.prints("hello");
    until(&address, "sealwire_peers", 1.0);
    client.finish("");
    until(&address, "sealwire_completed_peers_total", 1.0);
    let mut stranger = connect(port);
    stranger.write_all(&[b'x'; 80]).unwrap();
    rest(&mut stranger);
    let recorded = signed(&hello());
    let mut first = connect(port);
    first.write_all(&recorded).unwrap();
    first.read_exact(&mut [0; 72]).unwrap();
    until(&address, "sealwire_unproved_connections", 1.0);
    let mut second = connect(port);
    second.write_all(&recorded).unwrap();
    rest(&mut second);
    drop(first);
    let figures = until(&address, "sealwire_refused_connections_total", 3.0);
    for (figure, wanted) in [
        ("peers", 0.0),
        ("unproved_connections", 0.0),
        ("handshakes_total", 1.0),
        ("evicted_connections_total", 0.0),
        ("received_messages_total", 1.0),
        ("received_bytes_total", 5.0),
        ("queued_bytes", 0.0),
        ("unfinished_bytes", 0.0),
        ("handshake_failures_total{reason=\"not_sealwire\"}", 1.0),
        ("handshake_failures_total{reason=\"replayed\"}", 1.0),
        ("handshake_failures_total{reason=\"unproved\"}", 1.0),
    ] {
        assert_eq!(figures[&format!("sealwire_{figure}")], wanted, "{figure}");
    }
    let of = |start: &str| {
        figures.range(start.to_owned()..).take_while({
            let start = start.to_owned();
            move |(name, _)| name.starts_with(&start)
        })
    };
    for (start, sum) in [
        ("sealwire_handshake_failures", 3.0),
        ("sealwire_peer_fail", 0.0),
    ] {
        assert_eq!(of(start).count(), CAUSES.len());
        assert_eq!(of(start).map(|(_, value)| value).sum::<f64>(), sum);
    }
    assert!(figures["sealwire_opened_records_total"] >= 3.0);
    assert!(figures["sealwire_written_bytes_total"] > 72.0 + 5.0);
    server.stop();
}

/// Goal: both ends of a tunnel count their plain connections. Method: one that comes and leaves.
#[test]
fn plain_connections_of_a_tunnel() {
    let target = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = target.local_addr().unwrap();
    let far = Launch::server(&format!("--forward {place} --metrics 0")).start();
    let near = Launch::client(far.port(), "--tunnel 0 --metrics 0").start();
    let source = TcpStream::connect(("127.0.0.1", near.port())).unwrap();
    let (there, _) = target.accept().unwrap();
    let ends = [&far, &near].map(address);
    let all_have = |wanted| {
        for end in &ends {
            until(end, "sealwire_plain_connections", wanted);
        }
    };
    all_have(1.0);
    drop((source, there));
    all_have(0.0);
    near.stop();
    far.stop();
}

/// Goal: the kernel is the one in use, and the histogram of ticks is one: it rises to its
/// count. Method: a server that is asked twice; its version.
#[test]
fn kernel_and_ticks() {
    let server = Launch::server("--sink --metrics 127.0.0.1:0").start();
    let address = address(&server);
    parsed(&get(&address));
    sleep(A_WHILE);
    let text = get(&address);
    let figures = parsed(&text);
    let version = Launch::new("--version").run().stdout;
    let version = String::from_utf8(version).unwrap();
    let (_, kernel) = version.trim_end().split_once("(kernel ").unwrap();
    let kernel = kernel.trim_end_matches(')');
    let info = format!("sealwire_build_info{{kernel=\"{kernel}\",version=");
    assert!(figures.keys().any(|name| name.starts_with(&info)), "{text}");
    let buckets = text.lines().filter(|line| line.contains("_bucket{le="));
    let mut last = (0_f64, 0_f64);
    for line in buckets {
        let (bound, count) = line.split_once("\"} ").unwrap();
        let bound = bound.rsplit_once('"').unwrap().1.parse().unwrap();
        let count = count.parse().unwrap();
        assert!(bound > last.0 && count >= last.1, "{text}");
        last = (bound, count);
    }
    assert!(last.0.is_infinite() && last.1 > 0.0, "{text}");
    assert_eq!(last.1, figures["sealwire_tick_seconds_count"]);
    assert!(figures["sealwire_tick_seconds_sum"] > 0.0);
    server.stop();
}

/// Goal: a client that asks wrongly, slowly or not at all holds up neither peers nor, for long,
/// others that ask. Method: wrong requests, each of which gets its answer or a close; connections
/// that send nothing, or a byte at a time; an echo, and a request behind them.
#[test]
fn requests_that_are_wrong_or_hang() {
    let server = Launch::server("--echo --metrics 0").start();
    let (port, address) = (server.port(), address(&server));
    let long = format!(
        "GET /metrics HTTP/1.1\r\nX: {}\r\n\r\n",
        "x".repeat(100_000)
    );
    for (request, wanted) in [
        ("GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 404 Not Found\r\n"),
        ("GET /metrics?a=b HTTP/1.0\n\n", "HTTP/1.1 200 OK\r\n"),
        ("POST /metrics HTTP/1.1\r\n\r\n", "HTTP/1.1 405 "),
        ("\r\n\r\n", "HTTP/1.1 405 "),
        (&long, ""),
        ("\u{fffd}\r\n\r\n", "HTTP/1.1 405 "),
    ] {
        let answer = asked(&address, request);
        assert!(answer.starts_with(wanted), "{wanted}: {answer}");
        assert!(!wanted.is_empty() || answer.is_empty(), "{answer}");
    }
    let start = Instant::now();
    let silent = TcpStream::connect(&address).unwrap();
    let mut client = Launch::client(port, "").start();
    client.say("still here");
    client.prints("still here");
    assert!(start.elapsed() < SCRAPE_DEADLINE, "the connection is open");
    get(&address);
    assert!(
        start.elapsed() < 3 * SCRAPE_DEADLINE,
        "{:?}",
        start.elapsed()
    );
    drop(silent);
    let start = Instant::now();
    let mut slow = TcpStream::connect(&address).unwrap();
    while slow.write_all(b"G").is_ok() {
        assert!(
            start.elapsed() < 3 * SCRAPE_DEADLINE,
            "{:?}",
            start.elapsed()
        );
        sleep(Duration::from_millis(20));
    }
    get(&address);
    client.finish("");
    server.stop();
}

/// Goal: a server that cannot serve its figures does not start, and says why; a client serves
/// none. Method: a port that is taken; a client.
#[test]
fn figures_that_cannot_be_served() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let launch = Launch::server(&format!("--echo --metrics {port}"));
    launch.refused(1, &format!("--metrics: port {port} is in use on 127.0.0.1"));
    let launch = Launch::client(port, "--metrics 0");
    launch.refused(2, "--metrics is for a server, not for --client");
}
