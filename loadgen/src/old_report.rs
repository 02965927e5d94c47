//! The figures of a run: what they are, a table for people, and JSON for
//! programs.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use sealwire::crypto::kernel::Kernel;
use sealwire::error::Error;
use serde_json::{Value, json};

use crate::args::{Config, Load};
use crate::echo::Counts;
use crate::times::Spread;

/// Of the JSON; another one whenever a program that reads it would have to know.
const FORMAT: u32 = 1;
const WORKLOAD: &str = "echo";
/// Of the load tester, and of the library in it.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Figures {
    /// Of the server.
    pub(crate) address: SocketAddr,
    /// What sealed and opened here, and so in a server of our own, which is this
    /// program with the same environment.
    pub(crate) kernel: Kernel,
    /// Peers that joined; of all, those that were complete at the end and those
    /// that failed.
    pub(crate) joined: usize,
    pub(crate) complete: usize,
    pub(crate) failed: usize,
    /// From the first connection to the last peer joined.
    pub(crate) handshakes_took: Duration,
    pub(crate) handshake: Spread,
    /// How long was measured.
    pub(crate) took: Duration,
    /// Of messages sent in that time and answered right.
    pub(crate) latency: Spread,
    /// Of the whole run.
    pub(crate) counts: Counts,
    /// Of the server, in the time that was measured.
    pub(crate) server_cpu: Option<Duration>,
    /// What went wrong, and how many times.
    pub(crate) errors: BTreeMap<String, u64>,
}

impl Figures {
    /// Whether every message came back as it was, and every peer was complete.
    pub(crate) fn is_faultless(&self) -> bool {
        self.counts.lost == 0 && self.counts.wrong == 0 && self.failed == 0
    }

    fn messages_per_second(&self) -> f64 {
        rate(self.latency.count, self.took)
    }

    /// Payload, one way.
    fn megabytes_per_second(&self, load: &Load) -> f64 {
        self.messages_per_second() * load.size as f64 / 1e6
    }

    fn handshakes_per_second(&self) -> f64 {
        rate(self.handshake.count, self.handshakes_took)
    }

    fn server_cpu_us_per_message(&self) -> Option<f64> {
        let measured = self.server_cpu.filter(|_| self.latency.count > 0);
        measured.map(|used| micros(used) / self.latency.count as f64)
    }

    /// Whether the server is on this machine: packets to its address leave from
    /// that same address. Nothing is sent to find out.
    fn shares_machine(&self) -> bool {
        let from = UdpSocket::bind(match self.address {
            SocketAddr::V4(_) => "0.0.0.0:0",
            SocketAddr::V6(_) => "[::]:0",
        })
        .and_then(|socket| {
            socket.connect(self.address)?;
            socket.local_addr()
        });
        let to = self.address.ip();
        to.is_loopback() || from.is_ok_and(|from| from.ip() == to)
    }
}

/// Prints the table on stdout, and writes the JSON if it is wanted.
///
/// # Errors
///
/// [`Error::Local`] if they cannot be written.
pub(crate) fn print(config: &Config, figures: &Figures) -> Result<(), Error> {
    let json = || format!("{:#}\n", json(config, figures));
    match &config.json {
        Some(file) if file == Path::new("-") => to_stdout(&json()),
        Some(file) => {
            to_stdout(&table(config, figures))?;
            fs::write(file, json())
                .map_err(|error| Error::Local(format!("{}: cannot write: {error}", file.display())))
        }
        None => to_stdout(&table(config, figures)),
    }
}

fn to_stdout(text: &str) -> Result<(), Error> {
    io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| Error::Local(format!("cannot write the figures: {error}")))
}

/// The table for people.
fn table(config: &Config, figures: &Figures) -> String {
    let mut text = format!("{}\n\n", headline(config, figures));
    let mut row = |name: &str, value: &dyn fmt::Display, unit: &str| {
        let line = format!("{name:<16}{value:>14} {unit}");
        text += line.trim_end();
        text.push('\n');
    };
    let whole = |value: f64| format!("{value:.0}");
    let us = |time| format!("{:.1}", micros(time));
    let latency = &figures.latency;
    let bytes = format!("{:.2}", figures.megabytes_per_second(&config.load));
    let cpu = figures.server_cpu_us_per_message();
    let (cpu, per_message) = match cpu {
        Some(us) => (format!("{us:.2}"), "us per message"),
        None => ("n/a".into(), ""),
    };
    row("messages/s", &whole(figures.messages_per_second()), "");
    row("MB/s", &bytes, "of payload, one way");
    row("latency p50", &us(latency.p50), "us");
    row("latency p90", &us(latency.p90), "us");
    row("latency p99", &us(latency.p99), "us");
    row("latency p99.9", &us(latency.p99_9), "us");
    row("latency max", &us(latency.max), "us");
    row("server CPU", &cpu, per_message);
    row("handshakes/s", &whole(figures.handshakes_per_second()), "");
    row("handshake p50", &us(figures.handshake.p50), "us");
    row("handshake max", &us(figures.handshake.max), "us");
    row("measured", &latency.count, "messages");
    row("sent", &figures.counts.sent, "with the warm-up");
    row("lost", &figures.counts.lost, "");
    row("wrong", &figures.counts.wrong, "");
    row("peers joined", &figures.joined, "");
    row("peers complete", &figures.complete, "");
    row("peers failed", &figures.failed, "");
    for (what, count) in &figures.errors {
        row("error", count, what);
    }
    text
}

/// What ran, and where.
fn headline(config: &Config, figures: &Figures) -> String {
    let load = &config.load;
    let kernel = figures.kernel.name();
    let (server, whose) = match config.to {
        Some(_) => (
            format!("the server at {}", figures.address),
            "here; the server's is not known",
        ),
        None => ("a server of its own".into(), "on both sides"),
    };
    let place = if figures.shares_machine() {
        "both on this machine"
    } else {
        "on another machine"
    };
    format!(
        "sealwire {VERSION}, {WORKLOAD}: {} peers, {} B, depth {}, {} s after {} s\n\
         load on {server}, {place}\n\
         kernel {kernel} {whose}",
        load.peers,
        load.size,
        load.depth,
        load.duration.as_secs_f64(),
        load.warmup.as_secs_f64()
    )
}

/// The same for programs.
fn json(config: &Config, figures: &Figures) -> Value {
    let load = &config.load;
    json!({
        "format": FORMAT,
        "version": VERSION,
        "workload": WORKLOAD,
        "peers": load.peers,
        "size_bytes": load.size,
        "depth": load.depth,
        "duration_s": load.duration.as_secs_f64(),
        "warmup_s": load.warmup.as_secs_f64(),
        "server": figures.address.to_string(),
        "server_is_own": config.to.is_none(),
        "kernel": figures.kernel.name(),
        "server_kernel": config.to.is_none().then(|| figures.kernel.name()),
        "shares_machine": figures.shares_machine(),
        "measured_s": figures.took.as_secs_f64(),
        "measured_messages": figures.latency.count,
        "messages_per_second": figures.messages_per_second(),
        "megabytes_per_second": figures.megabytes_per_second(load),
        "latency_ns": figures.latency.json(),
        "server_cpu_us_per_message": figures.server_cpu_us_per_message(),
        "handshakes_per_second": figures.handshakes_per_second(),
        "handshake_ns": figures.handshake.json(),
        "sent_messages": figures.counts.sent,
        "answered_messages": figures.counts.answered,
        "lost_messages": figures.counts.lost,
        "wrong_messages": figures.counts.wrong,
        "joined_peers": figures.joined,
        "complete_peers": figures.complete,
        "failed_peers": figures.failed,
        "errors": figures.errors,
    })
}

fn micros(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1e3
}

fn rate(count: u64, time: Duration) -> f64 {
    count as f64 / time.max(Duration::from_nanos(1)).as_secs_f64()
}
