//! The command line: as typed, then checked.
//!
//! Refusals are one line in our words, name the option, and show no value: it
//! may be a key that went astray. Opens no socket. Read next: [`crate::plan`].

mod check;
mod target;

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use sealwire::crypto::keys::Identity;
use sealwire::limits::{Limits, MAX_PAYLOAD};
use sealwire::net::address::missing_zone;
use sealwire::net::rlimit::raise_descriptor_limit;
use sealwire_cli::args::{ENVIRONMENT, KeyArgs, usage_error};
use sealwire_cli::error::Error;
use sealwire_cli::typed_keys::TypedKeys;

use crate::limits::{
    IDLE_EVERY, MAX_IN_FLIGHT, MAX_PUBLISHERS, MAX_ROUNDS, MAX_THREADS, OTHER_DESCRIPTORS,
};
use crate::plan::{Arrival, Kind, Over, Plan, Rate};
use crate::report::Outputs;
use crate::server::Service;
use crate::slo::Slo;
use crate::units::{count, number, rate, size, time, usage};

/// The hidden workload: to be the server.
pub(crate) const SERVE: &str = "serve";
/// The workload that runs another one over every transport.
const COMPARE: &str = "compare";

/// What is not typed: the rounds of a comparison; how long to load before measuring.
const ROUNDS: usize = 7;
const WARMUP: Duration = Duration::from_secs(1);

const EXAMPLES: &str = "\
Examples:
  loadgen                               64 peers echo 64 B, with a server of its own
  loadgen -s 16k -c 16 -p 4
  loadgen -r 50k --slo 'p99<1ms'        50,000 messages/s, whatever the server does
  loadgen sink -s 16k -c 8
  loadgen churn -c 32
  loadgen idle -c 5000
  loadgen compare -c 1000               the same over plain TCP, and what it costs
  loadgen --to 127.0.0.1:9999 --keys keys -c 1000 -d 30 --json figures.json

Ctrl-C ends loadgen. While it measures, the first Ctrl-C prints a report of what was
measured so far.

Exit codes: 0 fine, 1 could not run or could not write the report, 2 usage, 3 an --slo
was missed, 5 the figures are not valid (with --strict), 6 something was lost or wrong, or
a peer failed, 141 nobody read the report, 128 + n ended by signal n, with no report";

/// What the user asks for.
pub(crate) enum Command {
    /// To load a server.
    Run(Box<Config>),
    /// To load one after the other, over every transport, so many times.
    Compare(Box<Config>, usize),
    /// To be the server, until stdin ends.
    Serve(Arc<Identity>, Service),
    /// The help or the version.
    Show(clap::Error),
}

impl Command {
    /// Whether it has keys that are worth something once it is done, and that nobody is
    /// to see meanwhile.
    pub(crate) fn hides_keys(&self) -> bool {
        let Self::Run(config) = self else {
            return false;
        };
        let holds = config.to.as_ref().is_some_and(|to| to.identity.is_some());
        holds && !config.allow_core_dumps
    }
}

/// What can run.
pub(crate) struct Config {
    pub(crate) plan: Plan,
    /// The server; without one we start our own.
    pub(crate) to: Option<Target>,
    pub(crate) slos: Vec<Slo>,
    /// Our memory may be looked at, whatever keys are in it.
    pub(crate) allow_core_dumps: bool,
    /// Figures that are not valid are an error.
    pub(crate) strict: bool,
    pub(crate) outputs: Outputs,
    /// What to tell the user first, one line each.
    pub(crate) warnings: Vec<String>,
}

/// A server that runs.
pub(crate) struct Target {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Its keys, if it seals.
    pub(crate) identity: Option<Arc<Identity>>,
    /// Its process, if it is on this machine and is to be looked at.
    pub(crate) pid: Option<u32>,
    /// Its certificate, if it speaks TLS.
    #[cfg(feature = "tls")]
    pub(crate) certificate: Option<Vec<u8>>,
}

/// Loads a sealwire server, checks every reply, and reports what it can do.
#[derive(Debug, Parser)]
#[command(name = "loadgen", version, after_help = format!("{ENVIRONMENT}\n\n{EXAMPLES}"))]
struct Args {
    /// echo (the default), sink, fanout, churn or idle; compare and one of them runs
    /// it over every transport; serve is the server of a run
    #[arg(num_args = 0..)]
    workload: Vec<String>,
    /// A server that runs [default: start one, on loopback with new keys]
    #[arg(long, value_name = "HOST:PORT", help_heading = "The server")]
    to: Option<String>,
    /// Process of that server, to look at its CPU time and memory, if it is on this
    /// machine
    #[arg(long, value_name = "PID", help_heading = "The server")]
    server_pid: Option<String>,
    /// What carries the messages: sealed, plain (TCP with no protection), tls (if
    /// it was built with that) [default: sealed]
    #[arg(long, help_heading = "The server")]
    over: Option<String>,
    #[command(flatten)]
    keys: KeyArgs,
    /// How many peers; for fanout, how many that receive
    #[arg(short = 'c', long, default_value = "64", help_heading = "The load")]
    peers: String,
    /// Peers that send, for fanout [default: 1]
    #[arg(long, help_heading = "The load")]
    publishers: Option<String>,
    /// Bytes of each message, with k or m
    #[arg(short = 's', long, default_value = "64", help_heading = "The load")]
    size: String,
    /// Messages of each peer that may be under way at once
    #[arg(short = 'p', long, default_value = "1", help_heading = "The load")]
    depth: String,
    /// Messages per second of all peers, whether or not the server keeps up; A:B goes
    /// from A to B [default: the next message as soon as one is answered]
    #[arg(short = 'r', long, help_heading = "The load")]
    rate: Option<String>,
    /// How those are spread in time: constant or poisson [default: constant]
    #[arg(long, help_heading = "The load")]
    arrival: Option<String>,
    /// Where random times start
    #[arg(long, default_value = "1", help_heading = "The load")]
    seed: String,
    /// How long an answer may take, in s, ms, m or h
    #[arg(long, default_value = "5s", help_heading = "The load")]
    timeout: String,
    /// How long to measure, in s, ms, m or h
    #[arg(short = 'd', long, default_value = "5s", help_heading = "The load")]
    duration: String,
    /// How long to load before that, in s, ms, m or h; a sink has no such time [default: 1s]
    #[arg(short = 'w', long, help_heading = "The load")]
    warmup: Option<String>,
    /// Threads that load
    #[arg(short = 't', long, default_value = "1", help_heading = "The load")]
    threads: String,
    /// Address to connect from; repeat it for more than 28,000 peers
    #[arg(long, value_name = "IP", help_heading = "The load")]
    source_ip: Vec<String>,
    /// Times that each transport is run, for compare [default: 7]
    #[arg(long, help_heading = "The load")]
    rounds: Option<String>,
    /// What response times must be, such as 'p99<5ms'
    #[arg(long, value_name = "BOUND", help_heading = "The report")]
    slo: Vec<String>,
    /// Figures that are not valid are an error
    #[arg(long, help_heading = "The report")]
    strict: bool,
    /// Write the figures for programs; - is stdout, and then there is no table
    #[arg(long, value_name = "FILE", help_heading = "The report")]
    json: Option<PathBuf>,
    /// Write the response times as HdrHistogram's plotter reads them
    #[arg(long, value_name = "FILE", help_heading = "The report")]
    hdr: Option<PathBuf>,
    /// Write a line for each second, as CSV
    #[arg(long, value_name = "FILE", help_heading = "The report")]
    timeseries: Option<PathBuf>,
    /// Print one line in place of the table, and show nothing meanwhile
    #[arg(short = 'q', long, help_heading = "The report")]
    quiet: bool,
}

/// Turns arguments (the first is the program's name) and environment into what
/// can run. Raises the limit on descriptors, which bounds the peers.
///
/// # Errors
///
/// [`Error::Usage`] for what was typed, [`Error::Local`] for a key file.
pub(crate) fn parse(
    args: impl IntoIterator<Item = OsString>,
    env: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Command, Error> {
    let mut words: Vec<OsString> = args.into_iter().collect();
    let keys = TypedKeys::take(&mut words);
    let mut typed = match Args::try_parse_from(words) {
        Ok(typed) => typed,
        Err(error) if !error.use_stderr() => return Ok(Command::Show(error)),
        Err(error) => return Err(usage_error(&error)),
    };
    keys.put_back(&mut typed.keys);
    let words: Vec<_> = typed.workload.iter().map(String::as_str).collect();
    let (kind, compares) = match words[..] {
        [SERVE, ref rest @ ..] => {
            let keys = typed.keys.load(false, env)?.keys;
            let identity = keys.native.expect("not classic");
            return Ok(Command::Serve(identity, Service::parse(rest)?));
        }
        [COMPARE] => (Kind::Echo, true),
        [COMPARE, word] => (kind(word)?, true),
        [] => (Kind::Echo, false),
        [word] => (kind(word)?, false),
        _ => return usage("a word belongs to no option (see --help)"),
    };
    check::fits(&typed, kind, compares)?;
    let plan = plan(&typed, kind, raise_descriptor_limit())?;
    if compares {
        check::comparison(&typed, &plan)?;
    }
    let allow_core_dumps = typed.keys.allow_core_dumps;
    let (to, warnings) = target::find(&mut typed, plan.over, env)?.unzip();
    let mut slos = Vec::new();
    for text in &typed.slo {
        slos.extend(Slo::parse(text)?);
    }
    let config = Box::new(Config {
        plan,
        to,
        slos,
        allow_core_dumps,
        strict: typed.strict,
        outputs: Outputs {
            json: typed.json,
            hdr: typed.hdr,
            timeseries: typed.timeseries,
            quiet: typed.quiet,
        },
        warnings: warnings.unwrap_or_default(),
    });
    if !compares {
        return Ok(Command::Run(config));
    }
    match or("--rounds", typed.rounds.as_deref(), ROUNDS, count)? {
        rounds if rounds <= MAX_ROUNDS => Ok(Command::Compare(config, rounds)),
        _ => usage(format!("--rounds: at most {MAX_ROUNDS}")),
    }
}

fn kind(word: &str) -> Result<Kind, Error> {
    let found = Kind::ALL.into_iter().find(|kind| kind.name() == word);
    found.map_or_else(
        || {
            let names = Kind::ALL.map(Kind::name).join(", ");
            usage(format!("no such workload; there are {names} and {COMPARE}"))
        },
        Ok,
    )
}

fn plan(typed: &Args, kind: Kind, descriptors: u64) -> Result<Plan, Error> {
    let plan = Plan {
        kind,
        over: typed.over.as_deref().map_or(Ok(Over::Sealed), over)?,
        peers: count("-c", &typed.peers)?,
        publishers: or("--publishers", typed.publishers.as_deref(), 1, count)?,
        size: size("-s", &typed.size, Limits::default().max_message)?,
        depth: count("-p", &typed.depth)?,
        rate: pace(typed, kind)?,
        arrival: or(
            "--arrival",
            typed.arrival.as_deref(),
            Arrival::Constant,
            arrival,
        )?,
        duration: time("-d", &typed.duration)?,
        warmup: match kind {
            // What is confirmed at the end is confirmed from the beginning.
            Kind::Sink => Duration::ZERO,
            _ => or("-w", typed.warmup.as_deref(), WARMUP, time)?,
        },
        timeout: time("--timeout", &typed.timeout)?,
        threads: count("-t", &typed.threads)?,
        sources: sources(&typed.source_ip)?,
        seed: number("--seed", &typed.seed)?,
    };
    check(&plan, descriptors)?;
    Ok(plan)
}

/// What was typed for an option, as `read` makes it out, or `default`.
fn or<T>(
    option: &str,
    typed: Option<&str>,
    default: T,
    read: impl Fn(&str, &str) -> Result<T, Error>,
) -> Result<T, Error> {
    typed.map_or(Ok(default), |typed| read(option, typed))
}

fn arrival(option: &str, word: &str) -> Result<Arrival, Error> {
    let found = Arrival::ALL.into_iter().find(|one| one.name() == word);
    found.map_or_else(
        || {
            let names = Arrival::ALL.map(Arrival::name).join(", ");
            usage(format!("{option}: one of {names} is wanted"))
        },
        Ok,
    )
}

fn over(word: &str) -> Result<Over, Error> {
    let found = Over::ALL.iter().find(|over| over.name() == word);
    found.copied().map_or_else(
        || {
            let names: Vec<_> = Over::ALL.iter().map(|over| over.name()).collect();
            usage(format!("--over: one of {} is wanted", names.join(", ")))
        },
        Ok,
    )
}

/// The rate that was asked for, or that idle peers have.
fn pace(typed: &Args, kind: Kind) -> Result<Option<Rate>, Error> {
    match (&typed.rate, kind) {
        (Some(text), _) => rate("-r", text).map(Some),
        (None, Kind::Idle) => {
            let all = count("-c", &typed.peers)? as f64 / IDLE_EVERY.as_secs_f64();
            Ok(Some(Rate::steady(all)))
        }
        (None, _) => Ok(None),
    }
}

fn sources(typed: &[String]) -> Result<Vec<SocketAddr>, Error> {
    let words = typed.iter().flat_map(|text| text.split(','));
    words.map(source).collect()
}

/// An address, which may have a zone, as in `fe80::1%eth0`.
fn source(word: &str) -> Result<SocketAddr, Error> {
    let bare = word.split('%').next().unwrap_or_default();
    let Ok(address) = bare.parse::<IpAddr>() else {
        return usage("--source-ip: an IP address is wanted");
    };
    if bare == word {
        let source = SocketAddr::from((address, 0));
        return match missing_zone(source) {
            Some(why) => usage(format!("--source-ip: {why}")),
            None => Ok(source),
        };
    }
    // The system knows its interfaces; an address is none that it looks up.
    let zoned = (word, 0)
        .to_socket_addrs()
        .ok()
        .and_then(|mut all| all.next());
    zoned.map_or_else(
        || usage("--source-ip: no interface has the name behind the %"),
        Ok,
    )
}

/// Refuses what cannot be run, or would bring the machine down.
fn check(plan: &Plan, descriptors: u64) -> Result<(), Error> {
    let limits = Limits::default();
    if plan.duration.is_zero() {
        return usage("-d: there is nothing to measure in no time");
    }
    if plan.timeout.is_zero() {
        return usage("--timeout: nothing is answered in no time");
    }
    if plan.threads > MAX_THREADS.min(plan.peers) {
        return usage(format!("-t: at most {MAX_THREADS}, and no more than peers"));
    }
    if plan.kind == Kind::Fanout && plan.threads > 1 {
        return usage("-t: fanout takes one thread: who has had a message is known to it");
    }
    check::size(plan)?;
    let most = descriptors.saturating_sub(OTHER_DESCRIPTORS);
    if plan.all_peers() as u64 > most {
        return usage(format!(
            "-c: at most {most} peers, as this process may open {descriptors} descriptors; \
             ulimit -Hn is that limit"
        ));
    }
    let chunks = plan.size.div_ceil(MAX_PAYLOAD).max(1);
    let in_flight = plan.peers.saturating_mul(plan.depth);
    if in_flight.saturating_mul(chunks) > MAX_IN_FLIGHT {
        return usage(format!(
            "-c times -p: at most {MAX_IN_FLIGHT} messages, or 16 KiB of them, under way at once"
        ));
    }
    if plan.senders().saturating_mul(plan.size) > limits.max_assembling {
        return usage(format!(
            "-c times -s: at most {} bytes, the most that a server keeps of unfinished messages",
            limits.max_assembling
        ));
    }
    if plan.kind == Kind::Fanout && (plan.publishers > MAX_PUBLISHERS || plan.size < 8) {
        return usage(format!(
            "fanout takes at most {MAX_PUBLISHERS} publishers, and messages of at least 8 bytes, by \
             which they are told apart"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
