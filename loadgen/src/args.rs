//! The command line: as typed, then checked.
//!
//! Refusals are one line in our words, name the option, and show no value: it
//! may be a key that went astray. Opens no socket.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use sealwire::cli::args::{ENVIRONMENT, KeyArgs, usage_error};
use sealwire::crypto::keys::Identity;
use sealwire::error::Error;
use sealwire::limits::{Limits, MAX_PAYLOAD};
use sealwire::net::rlimit::raise_descriptor_limit;

use crate::limits::{MAX_DURATION, MAX_IN_FLIGHT, OTHER_DESCRIPTORS};

/// The hidden workload: to be the server.
pub(crate) const SERVE: &str = "serve";

const EXAMPLES: &str = "\
Examples:
  loadgen                               64 peers echo 64 B, with a server of its own
  loadgen -s 16k -c 16 -p 4
  loadgen --to 127.0.0.1:9999 --keys keys -c 1000 -d 30 --json figures.json

Exit codes: 0 all came back as it was, 1 could not run, 2 usage, 6 something was
lost or wrong, or a peer failed";

/// What the user asks for.
pub(crate) enum Command {
    /// To load a server.
    Run(Box<Config>),
    /// To be the server, until stdin ends.
    Serve(Identity),
    /// The help or the version.
    Show(clap::Error),
}

/// What can run.
pub(crate) struct Config {
    /// The server; without one we start our own.
    pub(crate) to: Option<Server>,
    pub(crate) load: Load,
    /// Where the figures for programs go; `-` is stdout.
    pub(crate) json: Option<PathBuf>,
    /// What to tell the user first, one line each.
    pub(crate) warnings: Vec<String>,
}

/// A server that runs.
pub(crate) struct Server {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) identity: Identity,
    /// Its process, if it is on this machine and its CPU time is wanted.
    pub(crate) pid: Option<u32>,
}

/// How it is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) peers: usize,
    /// Bytes of each message.
    pub(crate) size: usize,
    /// Messages of each peer that are under way at once.
    pub(crate) depth: usize,
    pub(crate) duration: Duration,
    pub(crate) warmup: Duration,
}

/// Loads a sealwire server, checks every reply, and reports what it can do.
#[derive(Debug, Parser)]
#[command(name = "loadgen", version, after_help = format!("{ENVIRONMENT}\n\n{EXAMPLES}"))]
struct Args {
    /// What to load with; echo is the only one, and the default
    workload: Option<String>,
    /// A server that runs [default: start one, on loopback with new keys]
    #[arg(long, value_name = "HOST:PORT")]
    to: Option<String>,
    /// Process of that server, to measure its CPU time, if it is on this machine
    #[arg(long, value_name = "PID")]
    server_pid: Option<String>,
    #[command(flatten)]
    keys: KeyArgs,
    /// How many peers
    #[arg(short = 'c', long, default_value = "64")]
    peers: String,
    /// Bytes of each message, with k or m
    #[arg(short = 's', long, default_value = "64")]
    size: String,
    /// Messages of each peer that are under way at once
    #[arg(short = 'p', long, default_value = "1")]
    depth: String,
    /// How long to measure, in s or ms
    #[arg(short = 'd', long, default_value = "5s")]
    duration: String,
    /// How long to load before that, in s or ms
    #[arg(short = 'w', long, default_value = "1s")]
    warmup: String,
    /// Write the figures for programs; - is stdout, and then there is no table
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
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
    let typed = match Args::try_parse_from(args) {
        Ok(typed) => typed,
        Err(error) if !error.use_stderr() => return Ok(Command::Show(error)),
        Err(error) => return Err(usage_error(&error)),
    };
    match typed.workload.as_deref() {
        Some(SERVE) => {
            let keys = typed.keys.load(false, env)?.keys;
            return Ok(Command::Serve(keys.native.expect("not classic")));
        }
        None | Some("echo") => {}
        Some(_) => return usage("no such workload; echo is one (see --help)"),
    }
    let load = load(&typed, raise_descriptor_limit())?;
    let (to, warnings) = server(&typed, env)?.unzip();
    Ok(Command::Run(Box::new(Config {
        to,
        load,
        json: typed.json,
        warnings: warnings.unwrap_or_default(),
    })))
}

fn load(typed: &Args, descriptors: u64) -> Result<Load, Error> {
    let limits = Limits::default();
    let load = Load {
        peers: count("-c", &typed.peers)?,
        size: size(&typed.size, limits.max_message)?,
        depth: count("-p", &typed.depth)?,
        duration: time("-d", &typed.duration)?,
        warmup: time("-w", &typed.warmup)?,
    };
    if load.duration.is_zero() {
        return usage("-d: there is nothing to measure in no time");
    }
    let most = descriptors.saturating_sub(OTHER_DESCRIPTORS);
    if load.peers as u64 > most {
        return usage(format!(
            "-c: at most {most} peers, as this process may open {descriptors} descriptors; \
             ulimit -Hn is that limit"
        ));
    }
    let chunks = load.size.div_ceil(MAX_PAYLOAD).max(1);
    let in_flight = load.peers.saturating_mul(load.depth);
    if in_flight.saturating_mul(chunks) > MAX_IN_FLIGHT {
        return usage(format!(
            "-c times -p: at most {MAX_IN_FLIGHT} messages, or 16 KiB of them, under way at once"
        ));
    }
    if load.peers.saturating_mul(load.size) > limits.max_assembling {
        return usage(format!(
            "-c times -s: at most {} bytes, the most that a server keeps of unfinished messages",
            limits.max_assembling
        ));
    }
    Ok(load)
}

/// The server that runs, if there is one, and what to tell the user about its
/// keys.
fn server(
    typed: &Args,
    env: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Option<(Server, Vec<String>)>, Error> {
    let Some(to) = &typed.to else {
        let keys = &typed.keys;
        let named = keys.keys.is_some() || keys.name.is_some();
        if named || keys.confkey.is_some() || keys.authkey.is_some() {
            return usage("keys go with --to HOST:PORT; a server that is started gets new ones");
        }
        if typed.server_pid.is_some() {
            return usage("--server-pid goes with --to HOST:PORT");
        }
        return Ok(None);
    };
    let Some((host, port)) = host_and_port(to) else {
        return usage("--to: HOST:PORT is wanted, such as example.org:9999 or [::1]:9999");
    };
    let pid = typed.server_pid.as_deref();
    let pid = pid.map(|pid| number("--server-pid", pid)).transpose()?;
    let loaded = typed.keys.load(false, env)?;
    let server = Server {
        host: host.into(),
        port,
        identity: loaded.keys.native.expect("not classic"),
        pid,
    };
    Ok(Some((server, loaded.warnings)))
}

/// The two parts of an address; one of IPv6 is in brackets.
fn host_and_port(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok().filter(|&port| port != 0)?;
    let clear = !host.contains(':') || host.starts_with('[') && host.ends_with(']');
    (clear && !host.is_empty()).then_some((host, port))
}

fn number(option: &str, text: &str) -> Result<u32, Error> {
    text.parse()
        .or_else(|_| usage(format!("{option}: a number is wanted")))
}

fn count(option: &str, text: &str) -> Result<usize, Error> {
    match number(option, text)? {
        0 => usage(format!("{option}: at least 1 is wanted")),
        count => Ok(count as usize),
    }
}

/// A number of bytes with k or m behind it, or none of them.
fn size(text: &str, most: usize) -> Result<usize, Error> {
    let text = text.to_ascii_lowercase();
    let (digits, shift) = match (text.strip_suffix('k'), text.strip_suffix('m')) {
        (Some(digits), _) => (digits, 10),
        (_, Some(digits)) => (digits, 20),
        (None, None) => (text.as_str(), 0),
    };
    let bytes = digits
        .parse::<usize>()
        .ok()
        .and_then(|n| n.checked_mul(1 << shift));
    match bytes {
        Some(bytes) if bytes <= most => Ok(bytes),
        _ => usage(format!(
            "-s: a size from 0 to {}m is wanted, such as 64, 16k or 1m",
            most >> 20
        )),
    }
}

/// A number of seconds, or of milliseconds with ms behind it.
fn time(option: &str, text: &str) -> Result<Duration, Error> {
    let time = match text.strip_suffix("ms") {
        Some(millis) => millis.parse().map(Duration::from_millis),
        None => {
            let seconds = text.strip_suffix('s').unwrap_or(text);
            seconds.parse().map(Duration::from_secs)
        }
    };
    match time {
        Ok(time) if time <= MAX_DURATION => Ok(time),
        _ => usage(format!(
            "{option}: a time of at most {} s is wanted, such as 5s or 500ms",
            MAX_DURATION.as_secs()
        )),
    }
}

/// Refuses what was typed.
fn usage<T>(text: impl Into<String>) -> Result<T, Error> {
    Err(Error::Usage(text.into()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn parsed(line: &str) -> Result<Command, Error> {
        let words = ["loadgen"].into_iter().chain(line.split_whitespace());
        parse(words.map(OsString::from), &|_| Some("5a".repeat(32).into()))
    }

    fn config(line: &str) -> Config {
        match parsed(line).unwrap() {
            Command::Run(config) => *config,
            _ => panic!("{line}: not a run"),
        }
    }

    #[track_caller]
    fn refused(line: &str, start: &str) {
        let Err(error) = parsed(line) else {
            panic!("{line}: taken")
        };
        let text = error.to_string();
        assert!(matches!(error, Error::Usage(_)), "{line}: {text}");
        assert!(text.starts_with(start), "{line}: {text}");
        assert!(!text.contains('\n'), "{line}: {text}");
    }

    /// clap's own check of the definitions.
    #[test]
    fn definitions_hold() {
        use clap::CommandFactory;
        Args::command().debug_assert();
    }

    /// The defaults, and every option on either side of the workload.
    #[test]
    fn options_stand_anywhere() {
        let usual = Load {
            peers: 64,
            size: 64,
            depth: 1,
            duration: Duration::from_secs(5),
            warmup: Duration::from_secs(1),
        };
        assert_eq!(config("").load, usual);
        assert_eq!(config("echo").load, usual);
        let changed = Load {
            peers: 2,
            size: 16 << 10,
            depth: 3,
            duration: Duration::from_secs(4),
            warmup: Duration::from_millis(500),
        };
        let flags = "-c 2 -s 16k -p 3 -d 4 -w 500ms";
        assert_eq!(config(&format!("{flags} echo")).load, changed);
        assert_eq!(config(&format!("echo {flags}")).load, changed);
        assert_eq!(config("-s 1M -c 1").load.size, 1 << 20);
        assert_eq!(config("-s 0").load.size, 0);
        assert!(config("-w 0").load.warmup.is_zero());
        assert!(matches!(parsed("--help").unwrap(), Command::Show(_)));
    }

    /// The server's address in each of its forms; keys from the environment.
    #[test]
    fn servers() {
        for (line, host, port) in [
            ("--to localhost:1 --server-pid 7", "localhost", 1),
            ("--to 127.0.0.1:65535", "127.0.0.1", 65_535),
            ("--to [::1]:9999 echo", "[::1]", 9999),
        ] {
            let to = config(line).to.unwrap();
            assert_eq!((to.host.as_str(), to.port), (host, port));
            assert_eq!(to.pid, line.contains("pid").then_some(7));
        }
        assert!(config("").to.is_none());
        assert!(matches!(parsed("serve"), Ok(Command::Serve(_))));
    }

    /// Whatever cannot run is refused by name.
    #[test]
    fn refusals() {
        refused("tunnel", "no such workload");
        refused("echo echo", "a word belongs to no option");
        refused("--frob", "--frob: no such option");
        refused("-c", "--peers <PEERS>: the value is missing");
        refused("-c 0", "-c: at least 1");
        refused("-c many", "-c: a number");
        refused("-c 4000000000", "-c: at most ");
        refused("-p 0", "-p: at least 1");
        refused("-p 4000000000", "-c times -p");
        refused("-c 64 -s 16m", "-c times -s");
        for size in ["17m", "1g", "-1", "k", "", "99999999999999999999"] {
            refused(&format!("--size={size}"), "-s: a size");
        }
        for time in ["3601", "5m", "s", "-1", "1.5", "99999999999999999999ms"] {
            refused(&format!("--duration={time}"), "-d: a time");
            refused(&format!("--warmup={time}"), "-w: a time");
        }
        refused("-d 0", "-d: there is nothing");
        for to in ["host", "host:0", "host:65536", ":1", "::1:1", "host:"] {
            refused(&format!("--to {to}"), "--to: HOST:PORT");
        }
        refused("--to h:1 --server-pid x", "--server-pid: a number");
        refused("--to h:1 --name x", "--name picks");
        refused("--server-pid 1", "--server-pid goes with --to");
        refused("--keys k", "keys go with --to");
        refused("--confkey k --authkey l", "keys go with --to");
    }
}
