//! What was typed, once it is checked: this can run.
//!
//! It knows which options go together and what their values may be, and nothing about
//! how any of it is done. Read next: [`crate::keys`], and [`mod@crate::run`], which runs a
//! [`Config`].

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use sealwire::Limits;
use sealwire::limits;
use sealwire::limits::ceiling::{Asked, Ceiling, Machine};
use sealwire::net::address::{parse, without_brackets};
use sealwire::net::place::Place;

use crate::args::Args;
use crate::error::Error;
use crate::keys::Keys;
use crate::limits::LONGEST_IDLE;
use crate::log::Shape;
use crate::units::{size, size_text, time};
use crate::usage;

/// The port of both sides without `--port`.
const DEFAULT_PORT: u16 = 9999;
/// Where the near end of a tunnel listens, unless an address is given: programs on this machine
/// alone may use it.
const TUNNEL_ADDRESS: &str = "127.0.0.1";

const CLASSIC_IS_WEAK: &str = "--classic: whoever sits on the path can replay, reorder and \
     splice what classic peers send; leave it out once none is left";
const CLASSIC_ONLY: &str = "--classic: the keys are not 32 bytes each, so this server takes \
     classic peers only; sealwire keygen makes keys for both";

/// A server or a client that can run.
#[derive(Debug)]
pub struct Config {
    /// Which of the two.
    pub role: Role,
    /// TCP port; 0 lets the system choose, for a server alone.
    pub port: u16,
    /// The option that names the address or the port, if one does.
    pub address: Option<&'static str>,
    /// The keys of each format that it speaks; at least one. Their warnings are all that
    /// there is to say on stderr at the start.
    pub keys: Keys,
    /// Do not read stdin.
    pub no_input: bool,
    /// Go on trying while the server cannot be reached.
    pub retry: bool,
    /// Other processes may read this one's memory, and the system may write it to a file.
    pub allow_core_dumps: bool,
    /// What follows from the ceiling of memory, or what the user set.
    pub limits: Limits,
    /// Where it serves figures, if it does.
    pub metrics: Option<SocketAddr>,
    /// What its log is like.
    pub log: Shape,
}

/// The side that waits for connections, or the side that makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// Waits for peers.
    Server {
        /// An address or a name, without brackets; all addresses if there is none.
        listen: Option<String>,
        /// What it does with messages.
        mode: ModeKind,
    },
    /// Connects to a server.
    Client {
        /// An address or a name, without brackets.
        host: String,
    },
    /// The near end of a tunnel: connects to a server for each plain connection that comes.
    Tunnel {
        /// An address or a name, without brackets.
        host: String,
        /// Where plain connections come.
        from: Place,
    },
}

/// What a server does with messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModeKind {
    /// Prints them; what is typed goes to every peer.
    Chat,
    /// Returns them.
    Echo,
    /// Counts and drops them.
    Sink,
    /// Passes them to every other peer.
    Relay,
    /// The far end of a tunnel: each peer gets a plain connection to this place.
    Forward(Place),
}

impl Config {
    /// Checks what was typed, and loads the keys.
    pub(crate) fn check(
        typed: Args,
        env: &dyn Fn(&str) -> Option<OsString>,
        machine: &Machine,
    ) -> Result<Self, Error> {
        let role = role(&typed)?;
        let port = port(typed.port.as_deref(), &role)?;
        let limits = ceiling(&typed, machine)?.limits;
        let metrics = optional(&typed.metrics, |text| metrics(text, &role))?;
        let log = Shape {
            form: typed.log.unwrap_or_default(),
            least: typed.log_level.unwrap_or_default(),
        };
        let named = typed.listen.as_ref().map(|_| "--listen");
        let address = named.or(typed.port.as_ref().map(|_| "--port"));
        let allow_core_dumps = typed.keys.allow_core_dumps;
        let mut keys = match role {
            Role::Server { .. } => typed.keys.load_ring(typed.classic, env)?,
            Role::Client { .. } | Role::Tunnel { .. } => typed.keys.load(typed.classic, env)?,
        };
        let forwards = keys.ring.iter().filter(|key| key.forward.is_some());
        let is_far_end = matches!(
            &role,
            Role::Server {
                mode: ModeKind::Forward(_),
                ..
            }
        );
        match forwards.count() {
            0 => {}
            _ if is_far_end => {}
            count => keys.warnings.push(format!(
                "--keys: forward= has no effect, as this server is no tunnel; {count} keys have it"
            )),
        }
        if typed.classic {
            keys.warnings.push(CLASSIC_IS_WEAK.into());
            match role {
                Role::Server { .. } if keys.native.is_none() => {
                    keys.warnings.push(CLASSIC_ONLY.into());
                }
                Role::Server { .. } => {}
                // A client never tries the other format by itself (`PROTOCOL.md` §1.2).
                Role::Client { .. } | Role::Tunnel { .. } => keys.native = None,
            }
        }
        Ok(Self {
            role,
            port,
            keys,
            no_input: typed.no_input,
            retry: typed.retry,
            allow_core_dumps,
            limits,
            metrics,
            log,
            address,
        })
    }
}

fn role(typed: &Args) -> Result<Role, Error> {
    let mode = mode(typed)?;
    refuse_for_tunnels(typed)?;
    match (typed.server, &typed.client) {
        (true, Some(_)) => usage("--server and --client: give one of them (see --help)"),
        (false, None) => usage("give --server or --client HOST (see --help)"),
        (true, None) if typed.retry => {
            usage("--retry is for --client: a server waits for peers in any case")
        }
        (true, None) => {
            let listen = typed.listen.as_deref();
            let listen = listen.map(|addr| host("--listen", addr)).transpose()?;
            let mode = mode.map_or(ModeKind::Chat, |(_, mode)| mode);
            Ok(Role::Server { listen, mode })
        }
        (false, Some(name)) => {
            let listen = typed.listen.as_ref().map(|_| "--listen");
            if let Some(option) = listen.or(mode.map(|(option, _)| option)) {
                return usage(format!("{option} is for a server, not for --client"));
            }
            if typed.retry && typed.classic {
                return usage(
                    "--retry and --classic: classic cannot tell a cut from an end, so nobody knows \
                     when to connect again",
                );
            }
            let host = host("--client", name)?;
            let from = typed.tunnel.as_deref().map(tunnel).transpose()?;
            Ok(match from {
                Some(from) => Role::Tunnel { host, from },
                None => Role::Client { host },
            })
        }
    }
}

/// The option that chose a mode, and the mode.
fn mode(typed: &Args) -> Result<Option<(&'static str, ModeKind)>, Error> {
    let forward = typed.forward.as_deref().map(forward).transpose()?;
    let asked = [
        ("--echo", typed.echo.then_some(ModeKind::Echo)),
        ("--sink", typed.sink.then_some(ModeKind::Sink)),
        ("--relay", typed.relay.then_some(ModeKind::Relay)),
        ("--forward", forward.map(ModeKind::Forward)),
    ];
    let asked = asked.into_iter();
    let mut asked = asked.filter_map(|(option, mode)| Some((option, mode?)));
    match (asked.next(), asked.next()) {
        (Some((one, _)), Some((other, _))) => {
            usage(format!("{one} and {other}: a server has one mode"))
        }
        (first, _) => Ok(first),
    }
}

/// Where the far end connects to.
fn forward(typed: &str) -> Result<Place, Error> {
    Place::target(typed).map_or_else(
        || usage("--forward: HOST:PORT or unix:PATH is wanted, such as localhost:5432"),
        Ok,
    )
}

/// Where the near end listens.
fn tunnel(typed: &str) -> Result<Place, Error> {
    match Place::parse(typed, Some(TUNNEL_ADDRESS)) {
        Some(place) => Ok(place),
        None => usage("--tunnel: [ADDR:]PORT or unix:PATH is wanted, such as 5432"),
    }
}

/// Refuses what has no meaning for an end of a tunnel.
fn refuse_for_tunnels(typed: &Args) -> Result<(), Error> {
    if typed.tunnel.is_some() && typed.server {
        return usage("--tunnel is for a client, the near end; a server has --forward");
    }
    let ends = [
        ("--tunnel", typed.tunnel.is_some()),
        ("--forward", typed.forward.is_some()),
    ];
    for (option, _) in ends.into_iter().filter(|&(_, given)| given) {
        if typed.classic {
            return usage(format!("{option} and --classic: classic has no tunnels"));
        }
        if typed.no_input {
            return usage(format!(
                "{option} and --no-input: a tunnel reads no input; leave --no-input out"
            ));
        }
    }
    Ok(())
}

/// A name or an address, out of its brackets if it has some.
fn host(option: &str, typed: &str) -> Result<String, Error> {
    let bare = without_brackets(typed);
    if bare.is_empty() {
        return usage(format!("{option}: a name or an address is wanted"));
    }
    if bare.contains(':') && !matches!(parse(bare), Some((IpAddr::V6(_), _))) {
        return usage(format!(
            "{option}: a name or an address is wanted; the port goes to --port"
        ));
    }
    Ok(bare.to_owned())
}

fn port(typed: Option<&str>, role: &Role) -> Result<u16, Error> {
    let lowest = match role {
        Role::Server { .. } => 0,
        Role::Client { .. } | Role::Tunnel { .. } => 1,
    };
    let Some(text) = typed else {
        return Ok(DEFAULT_PORT);
    };
    match text.parse() {
        Ok(port) if port >= lowest => Ok(port),
        _ => usage(format!("--port: a number from {lowest} to 65535 is wanted")),
    }
}

/// Where a server serves figures: on loopback, unless an address is given.
fn metrics(text: &str, role: &Role) -> Result<SocketAddr, Error> {
    if matches!(role, Role::Client { .. }) {
        return usage("--metrics is for a server, not for --client");
    }
    let on_loopback = text.parse().map(|port| (Ipv4Addr::LOCALHOST, port).into());
    on_loopback.or_else(|_| text.parse()).or_else(|_| {
        usage(
            "--metrics: a port is wanted, or an address and a port, such as 9100, \
             192.0.2.7:9100 or [::1]:9100",
        )
    })
}

/// The bounds that follow from what was typed and what this machine has.
pub(crate) fn ceiling(typed: &Args, machine: &Machine) -> Result<Ceiling, Error> {
    let role = role(typed)?;
    let near = matches!(role, Role::Tunnel { .. });
    let client = near || matches!(role, Role::Client { .. });
    let far = matches!(&role, Role::Server { mode, .. } if matches!(mode, ModeKind::Forward(_)));
    let max_message = optional(&typed.max_message, |text| match size(text) {
        Some(bytes @ 1..=limits::MAX_MESSAGE) => Ok(bytes),
        _ => usage("--max-message: a size from 1 to 1g is wanted, such as 500k, 16m or 1g"),
    })?;
    let usual = Limits::default().max_message;
    let message = max_message.unwrap_or(usual);
    let asked = Asked {
        client,
        tunnel: near || far,
        classic: typed.classic,
        max_message,
        max_memory: optional(&typed.max_memory, |text| match size(text) {
            Some(bytes @ 1..=limits::MAX_MEMORY) => Ok(bytes),
            _ => usage("--max-memory: a size up to 1024g is wanted, such as 500m or 2g"),
        })?,
        max_assembling: optional(&typed.max_assembling, |text| {
            memory("--max-assembling", text, message)
        })?,
        max_queue: optional(&typed.max_queue, |text| {
            memory("--max-queue", text, message)
        })?,
        max_peers: optional(&typed.max_peers, |text| {
            let one = client && !near;
            count("--max-peers", text, 1..=limits::MAX_PEERS, one)
        })?,
        max_handshakes: optional(&typed.max_handshakes, |text| {
            count("--max-handshakes", text, limits::HANDSHAKES, client)
        })?,
    };
    let mut ceiling = Ceiling::of(&asked, machine);
    if !ceiling.fits() {
        let enough = ceiling.enough(&asked, machine);
        return usage(too_small(&ceiling, enough));
    }
    if let Some(text) = &typed.max_idle {
        ceiling.limits.max_idle = match time(text) {
            Some(Duration::ZERO) => None,
            Some(idle) if idle <= LONGEST_IDLE => Some(idle),
            _ => return usage("--max-idle: a time up to 365d is wanted, such as 90s, 15m or 2h"),
        };
    }
    silence(typed, &mut ceiling.limits)?;
    Ok(ceiling)
}

fn optional<T>(
    typed: &Option<String>,
    check: impl FnOnce(&str) -> Result<T, Error>,
) -> Result<Option<T>, Error> {
    typed.as_deref().map(check).transpose()
}

/// Why a ceiling that was asked for is refused: what takes how much, and `enough`.
fn too_small(ceiling: &Ceiling, enough: usize) -> String {
    let parts = ceiling.parts.iter().map(|part| {
        let bytes = size_text(part.bytes());
        match part.count {
            1 => format!("{} {bytes}", part.name),
            count => format!("{count} {} {bytes}", part.name),
        }
    });
    format!(
        "--max-memory: {} is not enough for {}: make it {}m, or lower what the other limits \
         ask for (--show-limits explains the parts)",
        size_text(ceiling.max_memory),
        parts.collect::<Vec<_>>().join(", "),
        enough >> 20
    )
}

/// How many of something a server may have.
fn count(
    option: &str,
    text: &str,
    range: RangeInclusive<usize>,
    client: bool,
) -> Result<usize, Error> {
    if client {
        return usage(format!("{option} is for a server, not for --client"));
    }
    match text.parse() {
        Ok(count) if range.contains(&count) => Ok(count),
        _ => {
            let (least, most) = (range.start(), range.end());
            usage(format!(
                "{option}: a number from {least} to {most} is wanted"
            ))
        }
    }
}

/// When a silent side sends PING, and when it counts as dead: long enough behind the PING
/// for an answer to it.
fn silence(typed: &Args, limits: &mut Limits) -> Result<(), Error> {
    let most_ping = limits::MOST_DEAD / limits::PINGS_UNTIL_DEAD;
    if let Some(text) = &typed.ping_after {
        limits.ping_after = match time(text) {
            Some(ping) if (limits::LEAST_PING..=most_ping).contains(&ping) => ping,
            _ => return usage("--ping-after: a time from 1s to 6h is wanted, such as 10s or 2m"),
        };
    }
    if let Some(text) = &typed.dead_after {
        limits.dead_after = match time(text) {
            Some(dead) if dead <= limits::MOST_DEAD => dead,
            _ => return usage("--dead-after: a time from 2s to 12h is wanted, such as 30s or 5m"),
        };
    }
    let least = limits.ping_after * limits::PINGS_UNTIL_DEAD;
    if limits.dead_after < least {
        return usage(format!(
            "--dead-after: {} s is not twice --ping-after, which is {} s: make it at least {} s, \
             or --ping-after less",
            limits.dead_after.as_secs_f64(),
            limits.ping_after.as_secs_f64(),
            least.as_secs_f64()
        ));
    }
    Ok(())
}

/// A bound on memory, in which the largest message must fit.
fn memory(option: &str, text: &str, max_message: usize) -> Result<usize, Error> {
    let least = Limits::whole(max_message);
    match size(text) {
        Some(bytes) if (least..=limits::MAX_MEMORY).contains(&bytes) => Ok(bytes),
        Some(bytes) if bytes < least => usage(format!(
            "{option}: a message of {max_message} bytes takes {least}: make it that, or \
             --max-message less"
        )),
        _ => usage(format!(
            "{option}: a size up to 1024g is wanted, such as 500k, 17m or 1g"
        )),
    }
}

#[cfg(test)]
mod tests;
