//! What was typed, once it is checked: this can run.
//!
//! Says which options go together and what their values may be, and nothing
//! about how any of it is done. Read next: [`super::keys`] for the keys,
//! [`mod@super::run`] for what a [`Config`] leads to.

use std::ffi::OsString;
use std::net::Ipv6Addr;

use super::args::Args;
use super::keys::{Keys, Loaded};
use super::usage;
use crate::error::Error;
use crate::limits::{self, Limits};

/// The port of both sides unless they are told another.
const DEFAULT_PORT: u16 = 9999;

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
    /// The keys of each format that is spoken; at least of one.
    pub keys: Keys,
    /// Stdin is not read.
    pub no_input: bool,
    /// The defaults, or what the user set.
    pub limits: Limits,
    /// What to say on stderr at the start, one line each.
    pub warnings: Vec<String>,
}

/// Who waits and who calls.
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
}

/// What a server does with messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModeKind {
    /// Prints them; what is typed goes to every peer.
    Chat,
    /// Returns them.
    Echo,
    /// Counts and drops them.
    Sink,
    /// Passes them to every other peer.
    Relay,
}

impl Config {
    /// Checks what was typed, and loads the keys.
    pub(super) fn check(
        typed: &Args,
        env: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Self, Error> {
        let role = role(typed)?;
        let port = port(typed.port.as_deref(), &role)?;
        let limits = match typed.max_message.as_deref() {
            Some(text) => Limits::for_messages(size(text)?),
            None => Limits::default(),
        };
        let Loaded {
            mut keys,
            mut warnings,
        } = typed.keys.load(typed.classic, env)?;
        if typed.classic {
            warnings.push(CLASSIC_IS_WEAK.into());
            match role {
                Role::Server { .. } if keys.native.is_none() => warnings.push(CLASSIC_ONLY.into()),
                Role::Server { .. } => {}
                // It never tries the other format by itself (`PROTOCOL.md` §1.2).
                Role::Client { .. } => keys.native = None,
            }
        }
        Ok(Self {
            role,
            port,
            keys,
            no_input: typed.no_input,
            limits,
            warnings,
        })
    }
}

fn role(typed: &Args) -> Result<Role, Error> {
    let mode = mode(typed)?;
    match (typed.server, &typed.client) {
        (true, Some(_)) => usage("--server and --client: give one of them (see --help)"),
        (false, None) => usage("give --server or --client HOST (see --help)"),
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
            let host = host("--client", name)?;
            Ok(Role::Client { host })
        }
    }
}

/// The mode that was asked for, and by which option.
fn mode(typed: &Args) -> Result<Option<(&'static str, ModeKind)>, Error> {
    let asked = [
        (typed.echo, "--echo", ModeKind::Echo),
        (typed.sink, "--sink", ModeKind::Sink),
        (typed.relay, "--relay", ModeKind::Relay),
    ];
    let mut asked = asked.into_iter().filter(|&(asked, ..)| asked);
    match (asked.next(), asked.next()) {
        (Some((_, one, _)), Some((_, other, _))) => {
            usage(format!("{one} and {other}: a server has one mode"))
        }
        (first, _) => Ok(first.map(|(_, option, mode)| (option, mode))),
    }
}

/// A name or an address, out of its brackets if it has some.
fn host(option: &str, typed: &str) -> Result<String, Error> {
    let bare = typed
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(typed);
    if bare.is_empty() {
        return usage(format!("{option}: a name or an address is wanted"));
    }
    // A zone such as %eth0 may follow the address.
    let address = bare.split('%').next().unwrap_or_default();
    if bare.contains(':') && address.parse::<Ipv6Addr>().is_err() {
        return usage(format!(
            "{option}: a name or an address is wanted; the port goes to --port"
        ));
    }
    Ok(bare.to_owned())
}

fn port(typed: Option<&str>, role: &Role) -> Result<u16, Error> {
    let lowest = match role {
        Role::Server { .. } => 0,
        Role::Client { .. } => 1,
    };
    let Some(text) = typed else {
        return Ok(DEFAULT_PORT);
    };
    match text.parse() {
        Ok(port) if port >= lowest => Ok(port),
        _ => usage(format!("--port: a number from {lowest} to 65535 is wanted")),
    }
}

/// A number of bytes with k, m or g behind it, or none of them.
fn size(text: &str) -> Result<usize, Error> {
    let units = [('k', 10), ('m', 20), ('g', 30)];
    let text = text.to_ascii_lowercase();
    let (digits, shift) = units
        .iter()
        .find_map(|&(unit, shift)| Some((text.strip_suffix(unit)?, shift)))
        .unwrap_or((&text, 0));
    let bytes = digits
        .parse::<usize>()
        .ok()
        .and_then(|n| n.checked_mul(1 << shift));
    match bytes {
        Some(bytes @ 1..=limits::MAX_MESSAGE) => Ok(bytes),
        _ => usage("--max-message: a size from 1 to 1g is wanted, such as 500k, 16m or 1g"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use clap::Parser;

    use super::*;

    const HEX: &str = "deadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeef";

    /// Checks a command line, with `key` in the environment for both secrets.
    fn with_key(key: &str, line: &str) -> Result<Config, Error> {
        let words = ["sealwire"].into_iter().chain(line.split_whitespace());
        Config::check(&Args::try_parse_from(words).unwrap(), &|_| Some(key.into()))
    }

    fn checked(line: &str) -> Result<Config, Error> {
        with_key(HEX, line)
    }

    #[track_caller]
    fn refused(line: &str, start: &str) {
        let error = checked(line).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{line}: {error}");
        assert!(error.to_string().starts_with(start), "{line}: {error}");
    }

    fn host_of(line: &str) -> Option<String> {
        match checked(line).unwrap().role {
            Role::Server { listen, .. } => listen,
            Role::Client { host } => Some(host),
        }
    }

    /// The defaults: chat on port 9999 on all addresses, stdin read, native keys
    /// alone, nothing to warn of.
    #[test]
    fn defaults() {
        let config = checked("-s").unwrap();
        let (listen, mode) = (None, ModeKind::Chat);
        assert_eq!(config.role, Role::Server { listen, mode });
        assert_eq!(config.port, 9999);
        assert!(!config.no_input);
        assert!(config.keys.native.is_some() && config.keys.classic.is_none());
        assert_eq!(config.limits.max_message, 16 << 20);
        assert_eq!(config.warnings, [""; 0]);
        assert!(checked("-c h --no-input").unwrap().no_input);
    }

    /// Exactly one role, at most one mode, and the server's options with a
    /// server only: each refused by name.
    #[test]
    fn what_does_not_go_together() {
        refused("", "give --server or --client HOST (see --help)");
        refused("--port 1", "give --server or --client");
        refused("-s -c h", "--server and --client");
        refused("-s --echo --relay", "--echo and --relay");
        refused("-s --sink --relay --echo", "--echo and --sink");
        for option in ["--listen ::1", "--echo", "--sink", "--relay"] {
            let name = option.split(' ').next().unwrap();
            refused(
                &format!("-c h {option}"),
                &format!("{name} is for a server"),
            );
        }
    }

    /// Each mode by its option.
    #[test]
    fn modes() {
        for (option, wanted) in [
            ("--echo", ModeKind::Echo),
            ("--sink", ModeKind::Sink),
            ("--relay", ModeKind::Relay),
        ] {
            match checked(&format!("-s {option}")).unwrap().role {
                Role::Server { mode, .. } => assert_eq!(mode, wanted),
                Role::Client { .. } => panic!("{option}"),
            }
        }
    }

    /// Hosts and addresses: brackets go, ports do not belong, empty is refused.
    #[test]
    fn hosts() {
        for (typed, bare) in [
            ("example.org", "example.org"),
            ("127.0.0.1", "127.0.0.1"),
            ("[::1]", "::1"),
            ("::1", "::1"),
            ("fe80::1%eth0", "fe80::1%eth0"),
        ] {
            assert_eq!(host_of(&format!("-c {typed}")).as_deref(), Some(bare));
            assert_eq!(
                host_of(&format!("-s --listen {typed}")).as_deref(),
                Some(bare)
            );
        }
        refused("--client=", "--client: a name or an address is wanted");
        refused("-c []", "--client: a name or an address is wanted");
        refused("-s --listen=", "--listen: a name or an address is wanted");
        refused(
            "-c host:99",
            "--client: a name or an address is wanted; the port",
        );
        refused(
            "-c [::1]:99",
            "--client: a name or an address is wanted; the port",
        );
    }

    /// The whole range of a port; 0 for a server alone.
    #[test]
    fn ports() {
        assert_eq!(checked("-s --port 0").unwrap().port, 0);
        assert_eq!(checked("-c h --port 1").unwrap().port, 1);
        assert_eq!(checked("-c h --port 65535").unwrap().port, 65535);
        refused("-c h --port 0", "--port: a number from 1 to 65535");
        for typed in ["65536", "-1", "x", "", "1.0"] {
            refused(
                &format!("-s --port={typed}"),
                "--port: a number from 0 to 65535",
            );
        }
    }

    /// Sizes with every suffix, and both ends of what is allowed; what must hold
    /// a whole message grows with it.
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
            let limits = checked(&format!("-s --max-message {typed}"))
                .unwrap()
                .limits;
            assert_eq!(limits.max_message, bytes, "{typed}");
            assert!(limits.max_queue >= bytes && limits.max_queued >= limits.max_queue);
            assert!(limits.max_assembling >= bytes);
        }
        for typed in [
            "0",
            "0k",
            "1025m",
            "2g",
            "99999999999999999999",
            "",
            "k",
            "-1",
            "1t",
            "1é",
        ] {
            refused(
                &format!("-s --max-message={typed}"),
                "--max-message: a size from 1 to 1g",
            );
        }
        refused("-s --max-message=18014398509481984k", "--max-message:");
    }

    /// Classic says that it is weak; a server speaks both, or classic alone if
    /// the keys are for no more; a client speaks classic only.
    #[test]
    fn classic() {
        let formats = |key, line| {
            let config = with_key(key, line).unwrap();
            let keys = (config.keys.native.is_some(), config.keys.classic.is_some());
            (keys, config.warnings)
        };
        let weak = CLASSIC_IS_WEAK.to_owned();
        let only = CLASSIC_ONLY.to_owned();
        let both = (true, true);
        let classic = (false, true);
        assert_eq!(formats(HEX, "-s --classic"), (both, vec![weak.clone()]));
        assert_eq!(
            formats("any", "-s --classic"),
            (classic, vec![weak.clone(), only])
        );
        assert_eq!(
            formats(HEX, "-c h --classic"),
            (classic, vec![weak.clone()])
        );
        assert_eq!(formats("any", "-c h --classic"), (classic, vec![weak]));
        assert!(with_key("any", "-s").is_err());
    }
}
