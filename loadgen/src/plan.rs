//! What to run: the load, its pace, what carries it, and the server.
//!
//! A [`Plan`] is declared once, for the command line, for the JSON of a report and for all code.
//! [`crate::args`] makes and checks it; every other module reads it.

use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use sealwire::Identity;
use sealwire::limits::PACK_UP_TO;
use sealwire::net::address::host;
use serde::{Serialize, Serializer};

use crate::limits::MAX_RATE;
use crate::values::{count, duration, name, rate, size, source};

pub(crate) const SERVER: &str = "The server";
pub(crate) const LOAD: &str = "The load";

/// What a run does with its peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// Every message comes back.
    Echo,
    /// Messages go one way, and the server confirms the end.
    Sink,
    /// Publishers' messages go to all subscribers.
    Fanout,
    /// Peers connect, send one message, and leave.
    Churn,
    /// Peers stay, and send a message now and then.
    Idle,
}

/// What carries the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Transport {
    /// The library.
    Sealed,
    /// TCP with no protection: the lower bound of the cost.
    Plain,
    /// rustls, TLS 1.3, AES-256-GCM.
    #[cfg(feature = "tls")]
    Tls,
}

/// Messages per second over all peers: from one rate to the other in the measured time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rate {
    pub(crate) from: f64,
    pub(crate) to: f64,
}

impl Rate {
    /// One that stays the same.
    pub(crate) fn steady(rate: f64) -> Self {
        let (from, to) = (rate, rate);
        Self { from, to }
    }

    pub(crate) fn is_steady(self) -> bool {
        self.from == self.to
    }

    /// The mean over the first `part` of the measured time; 1 is all of it.
    pub(crate) fn mean_until(self, part: f64) -> f64 {
        self.from + (self.to - self.from) * part / 2.0
    }
}

impl FromStr for Rate {
    type Err = String;

    /// Takes a rate, or two with a colon between them; `k` behind a number is thousands.
    fn from_str(text: &str) -> Result<Self, String> {
        let (from, to) = text.split_once(':').unwrap_or((text, text));
        let rate = rate(from).zip(rate(to)).map(|(from, to)| Self { from, to });
        rate.ok_or_else(|| {
            format!(
                "messages per second are wanted, at most {MAX_RATE:.0}, such as 50000, 50k or \
                 10k:50k"
            )
        })
    }
}

/// How the times at which messages are due are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Arrival {
    /// Evenly.
    Constant,
    /// As if each were independent of all others.
    Poisson,
}

/// A load.
#[derive(Debug, Clone, PartialEq, clap::Args, Serialize)]
#[command(next_help_heading = LOAD)]
pub(crate) struct Plan {
    #[arg(skip = Kind::Echo)]
    #[serde(rename = "workload")]
    pub(crate) kind: Kind,
    /// What carries the messages: sealed, plain (TCP with no protection), tls (if
    /// it was built with that)
    #[arg(long, default_value = "sealed", hide_possible_values = true, help_heading = SERVER)]
    pub(crate) over: Transport,
    /// How many peers; for fanout, how many that receive
    #[arg(short = 'c', long, default_value = "64", value_parser = count)]
    pub(crate) peers: usize,
    /// Peers that send, for fanout
    #[arg(long, default_value = "1", value_parser = count)]
    pub(crate) publishers: usize,
    /// Bytes of each message, with k or m
    #[arg(short, long, default_value = "64", value_parser = size)]
    #[serde(rename = "size_bytes")]
    pub(crate) size: usize,
    /// Messages of each peer that may be in flight at once
    #[arg(short = 'p', long, default_value = "1", value_parser = count)]
    pub(crate) depth: usize,
    /// Messages per second of all peers, whether or not the server keeps up; A:B goes
    /// from A to B [default: the next message as soon as one is answered]
    #[arg(short, long)]
    #[serde(flatten, serialize_with = "from_and_to")]
    pub(crate) rate: Option<Rate>,
    /// How those are spread in time: constant or poisson
    #[arg(long, default_value = "constant", hide_possible_values = true)]
    pub(crate) arrival: Arrival,
    /// How long to measure, in s, ms, m or h
    #[arg(short, long, default_value = "5s", value_parser = duration)]
    #[serde(rename = "duration_s", serialize_with = "seconds")]
    pub(crate) duration: Duration,
    /// How long to load before that, in s, ms, m or h; a sink has no such time
    #[arg(short, long, default_value = "1s", value_parser = duration)]
    #[serde(rename = "warmup_s", serialize_with = "seconds")]
    pub(crate) warmup: Duration,
    /// How long an answer may take, in s, ms, m or h
    #[arg(long, default_value = "5s", value_parser = duration)]
    #[serde(rename = "timeout_s", serialize_with = "seconds")]
    pub(crate) timeout: Duration,
    /// Threads that load
    #[arg(short, long, default_value = "1", value_parser = count)]
    pub(crate) threads: usize,
    /// Address to connect from; repeat it for more than 28,000 peers
    #[arg(long = "source-ip", value_name = "IP", value_delimiter = ',', value_parser = source)]
    #[serde(rename = "source_ips", serialize_with = "hosts")]
    pub(crate) sources: Vec<SocketAddr>,
    /// Where random times start
    #[arg(long, default_value = "1")]
    pub(crate) seed: u64,
}

impl Plan {
    /// Whether several messages may wait for the same receiver, and are short enough to share a
    /// record.
    pub(crate) fn may_share_records(&self) -> bool {
        // An open loop has several in flight only while it is late.
        let deep = self.depth > 1 && self.rate.is_none();
        let several = deep || self.kind == Kind::Sink || self.publishers > 1;
        several && self.size <= PACK_UP_TO
    }

    /// How many peers send when it is their turn.
    pub(crate) fn senders(&self) -> usize {
        match self.kind {
            Kind::Fanout => self.publishers,
            _ => self.peers,
        }
    }

    pub(crate) fn all_peers(&self) -> usize {
        match self.kind {
            Kind::Fanout => self.publishers + self.peers,
            _ => self.peers,
        }
    }
}

pub(crate) struct Target {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Its keys, if it seals.
    pub(crate) identity: Option<Arc<Identity>>,
    /// Its process, if it is on this machine and its CPU time is wanted.
    pub(crate) pid: Option<u32>,
    /// Its certificate, if it speaks TLS.
    #[cfg(feature = "tls")]
    pub(crate) certificate: Option<Vec<u8>>,
}

/// What a server does with messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ServerMode {
    /// Returns each.
    Echo,
    /// Drops them.
    Sink,
    /// Passes each on to all other peers.
    Relay,
    /// Reads as many bytes as a message has, and closes: the control of a cohort. Only a plain
    /// server does that.
    Close,
}

/// What the server of a run does: over what, and with messages of how many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::Parser)]
pub(crate) struct Service {
    pub(crate) over: Transport,
    pub(crate) mode: ServerMode,
    pub(crate) size: usize,
}

impl Service {
    /// The service that `plan` needs.
    pub(crate) fn of(plan: &Plan) -> Self {
        Self {
            over: plan.over,
            mode: match plan.kind {
                Kind::Echo | Kind::Churn | Kind::Idle => ServerMode::Echo,
                Kind::Sink => ServerMode::Sink,
                Kind::Fanout => ServerMode::Relay,
            },
            size: plan.size,
        }
    }

    /// The service as arguments of a command line.
    pub(crate) fn words(self) -> [String; 3] {
        [name(self.over), name(self.mode), self.size.to_string()]
    }
}

/// A time in seconds.
pub(crate) fn seconds<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(time.as_secs_f64())
}

fn from_and_to<S: Serializer>(rate: &Option<Rate>, to: S) -> Result<S::Ok, S::Error> {
    let names = ["rate_from_per_second", "rate_to_per_second"];
    let rates = [rate.map(|rate| rate.from), rate.map(|rate| rate.to)];
    to.collect_map(names.into_iter().zip(rates))
}

fn hosts<S: Serializer>(sources: &[SocketAddr], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(sources.iter().map(|&source| host(source)))
}
