//! The command line, as typed.
//!
//! clap tells options from their values. [`crate::config`] gives the values a meaning and
//! says which options go together, and [`crate::keys`] does so for keys; so every refusal
//! is one line in our words. No refusal shows a value: it may be a misplaced key. Read
//! next: [`crate::command`].

use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Parser, Subcommand};
use clap_complete::Shell;
use sealwire::Secret;

use crate::error::Error;
use crate::log::{Form, Level};

/// The help's examples.
pub(crate) const EXAMPLES: &str = "\
Examples:
  sealwire keygen keys                        make keys; copy the file to the other side
  sealwire --server --keys keys               chat: what is typed goes to every peer
  sealwire --client example.org --keys keys
  sealwire --client example.org --keys keys --retry     and connect again when it is back
  sealwire -s --keys keys --relay             peers talk to each other
  sealwire -s --keys keys </dev/null | tar x  receive once
  tar c dir | sealwire -c example.org --keys keys
  sealwire -s --keys keys --forward localhost:5432      protect a service: its far end
  sealwire -c example.org --keys keys --tunnel 5432     and its near end";

/// The help on exit codes.
pub(crate) const EXIT_CODES: &str = "\
Exit codes: 0 complete, 1 could not run, 2 usage, 3 the keys differ or the peer
gave up, 4 cut short, 5 a deadline passed, 128 + n stopped by signal n, 141 the
reader of stdout closed it before all was written";

/// The help on the environment, but for the keys.
pub const ENVIRONMENT: &str = "\
Environment:
  SEALWIRE_KERNEL  what seals and opens records: portable, aesni or avx512
                   [default: the fastest that this processor has]";

// The help's groups.
const ROLE: &str = "Role (one of)";
const ADDRESS: &str = "Address";
const KEYS: &str = "Keys (or in SEALWIRE_CONFKEY and SEALWIRE_AUTHKEY)";
const MODE: &str = "Mode of a server (default: chat)";
const TUNNEL: &str = "Tunnel of a client";
const RETRY: &str = "When a client has no connection";
const SERVICE: &str = "Running it for good";
const LIMITS: &str = "Limits (a SIZE is in bytes, or has k, m or g behind it)";

/// Two programs that share two keys talk over TCP, encrypted and authenticated.
#[derive(Debug, Parser)]
#[command(
    name = "sealwire",
    version,
    override_usage = "sealwire --server [--listen ADDR] [--port PORT] KEYS [MODE] [OPTIONS]\n       \
        sealwire --client HOST [--port PORT] KEYS [--tunnel [ADDR:]PORT] [--retry] \
        [OPTIONS]\n       \
        sealwire keygen FILE [--name NAME]\n       \
        sealwire man [COMMAND]\n       \
        sealwire completions SHELL",
    after_help = format!("{ENVIRONMENT}\n\n{EXAMPLES}\n\n{EXIT_CODES}"),
    disable_help_subcommand = true,
    args_conflicts_with_subcommands = true
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Option<Sub>,

    /// Wait for peers
    #[arg(short, long, alias = "s", help_heading = ROLE)]
    pub(crate) server: bool,
    /// Connect to a server: a name or an address
    #[arg(short, long, alias = "c", value_name = "HOST", help_heading = ROLE)]
    pub(crate) client: Option<String>,

    /// Listen on this address alone [default: all addresses]
    #[arg(long, value_name = "ADDR", help_heading = ADDRESS)]
    pub(crate) listen: Option<String>,
    /// TCP port; 0 lets the system choose one for a server [default: 9999]
    #[arg(long, help_heading = ADDRESS)]
    pub(crate) port: Option<String>,

    #[command(flatten)]
    pub(crate) keys: KeyArgs,

    /// Return each message to its sender
    #[arg(long, help_heading = MODE)]
    pub(crate) echo: bool,
    /// Count messages and drop them
    #[arg(long, help_heading = MODE)]
    pub(crate) sink: bool,
    /// Pass each message on to every other peer
    #[arg(long, help_heading = MODE)]
    pub(crate) relay: bool,

    /// Be the far end of a tunnel: connect each peer to this program, or to unix:PATH
    #[arg(long, value_name = "HOST:PORT", help_heading = MODE)]
    pub(crate) forward: Option<String>,
    /// Be the near end of a tunnel: each connection to this port, or to unix:PATH, goes through
    /// the server to the program that it forwards to [default of ADDR: 127.0.0.1]
    #[arg(long, value_name = "[ADDR:]PORT", help_heading = TUNNEL)]
    pub(crate) tunnel: Option<String>,

    /// Go on trying: a chat on a terminal connects again when its connection has failed or the
    /// server has ended it; plain connections of a tunnel wait while the server cannot be reached
    #[arg(long, help_heading = RETRY)]
    pub(crate) retry: bool,

    /// Speak the format of p2p_encryption.py: a server both, a client only it
    #[arg(long)]
    pub(crate) classic: bool,
    /// Do not read stdin; a server then keeps serving
    #[arg(long)]
    pub(crate) no_input: bool,
    /// Serve figures for Prometheus over HTTP, at /metrics; ADDR is an address of this
    /// machine [default: 127.0.0.1]
    #[arg(long, value_name = "[ADDR:]PORT", help_heading = SERVICE)]
    pub(crate) metrics: Option<String>,
    /// How stderr has each message: as text, or as an object of JSON in a line [default: text]
    #[arg(long, value_name = "FORM", hide_possible_values = true, help_heading = SERVICE)]
    pub(crate) log: Option<Form>,
    /// The least of messages to show: error, warn, info or debug [default: info]
    #[arg(long, value_name = "LEVEL", hide_possible_values = true, help_heading = SERVICE)]
    pub(crate) log_level: Option<Level>,

    /// Memory that peers can make the program and its sockets use; the other limits follow
    /// from it [default: half of the machine's, at most 8g]
    #[arg(long, value_name = "SIZE", help_heading = LIMITS)]
    pub(crate) max_memory: Option<String>,
    /// Print what follows from these options for memory, and leave; needs no keys
    #[arg(long, help_heading = LIMITS)]
    pub(crate) show_limits: bool,
    /// Largest message taken from a peer; at most 1g [default: 16m]
    #[arg(long, value_name = "SIZE", help_heading = LIMITS)]
    pub(crate) max_message: Option<String>,
    /// Memory for unfinished messages of all peers; past it the peer whose message has made
    /// no progress for the longest time is given up [default: 1/16 of --max-memory]
    #[arg(long, value_name = "SIZE", help_heading = LIMITS)]
    pub(crate) max_assembling: Option<String>,
    /// Memory for what waits for one receiver; past it the peers that fill it are not
    /// read [default: 17m]
    #[arg(long, value_name = "SIZE", help_heading = LIMITS)]
    pub(crate) max_queue: Option<String>,
    /// How long a one-shot server, or a client that reads a pipe or a file, waits for
    /// a peer that makes no progress; a TIME is in seconds, or has ms, s, m, h or d
    /// behind it; 0: for ever [default: 1h]
    #[arg(long, value_name = "TIME", help_heading = LIMITS)]
    pub(crate) max_idle: Option<String>,
    /// The peer gets a PING when nothing was sent to it for this long [default: 30s]
    #[arg(long, value_name = "TIME", help_heading = LIMITS)]
    pub(crate) ping_after: Option<String>,
    /// A peer that has sent nothing for this long is dead, at least twice --ping-after
    /// [default: 90s]
    #[arg(long, value_name = "TIME", help_heading = LIMITS)]
    pub(crate) dead_after: Option<String>,
    /// Peers that a server has at once; more are turned away [default: as many as
    /// --max-memory and the descriptors allow]
    #[arg(long, value_name = "N", help_heading = LIMITS)]
    pub(crate) max_peers: Option<String>,
    /// Connections to a server that have proved nothing yet; more make room for each other
    /// [default: a fifth of the descriptors, within --max-memory]
    #[arg(long, value_name = "N", help_heading = LIMITS)]
    pub(crate) max_handshakes: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Sub {
    /// Make new keys in FILE (mode 0600), or add a line of new keys to it
    Keygen {
        /// The key file
        file: PathBuf,
        /// What to call the keys
        #[arg(long, default_value = "main")]
        name: String,
    },
    /// Print a man page: of the program, or of a COMMAND
    Man {
        /// The command
        command: Option<String>,
    },
    /// Print what SHELL reads to complete command lines
    Completions {
        /// The shell
        #[arg(hide_possible_values = true)]
        shell: Shell,
    },
}

/// The options that say where the two secrets come from, for a command line to
/// flatten; [`load`](Self::load) gets the keys.
///
/// clap keeps copies of the words that it parses, so parse with
/// [`typed_keys::parse`](crate::typed_keys::parse), which takes the keys out first. Other
/// users of the machine can read the program's arguments until [`Exposure`] has wiped them;
/// `load` warns of that.
///
/// [`Exposure`]: crate::exposure::Exposure
#[derive(Debug, Default, clap::Args)]
pub struct KeyArgs {
    /// Key for confidentiality: 64 hex digits, or 32 bytes of text; @FILE takes
    /// it from a file, @@ stands for an @
    #[arg(
        long,
        value_name = "K",
        help_heading = KEYS,
        allow_hyphen_values = true,
        value_parser = secret()
    )]
    pub confkey: Option<Secret>,
    /// Key for authenticity, likewise
    #[arg(
        long,
        value_name = "K",
        help_heading = KEYS,
        allow_hyphen_values = true,
        value_parser = secret()
    )]
    pub authkey: Option<Secret>,
    /// Take both from a key file, as keygen makes it, or from a pipe
    #[arg(long, value_name = "FILE", help_heading = KEYS)]
    pub keys: Option<PathBuf>,
    /// Which line of the key file, if there are several; without it a server takes all of
    /// them, one for each peer or group
    #[arg(long, help_heading = KEYS)]
    pub name: Option<String>,
    /// Allow debuggers and core dumps, which both expose the keys
    #[arg(long, help_heading = KEYS)]
    pub allow_core_dumps: bool,
}

/// Takes any bytes at all: later code, whose errors do not show them, checks whether they
/// can be a key.
fn secret() -> impl TypedValueParser<Value = Secret> {
    OsStringValueParser::new().map(|typed| Secret::new(typed.into_vec()))
}

/// The error that clap found, in one line that shows no value that was typed. Not for the
/// help and the version, which clap returns as errors too.
pub fn usage_error(error: &clap::Error) -> Error {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        Some(ContextValue::Strings(texts)) => texts.first().map(String::as_str),
        _ => None,
    };
    let arg = context(ContextKind::InvalidArg);
    let option = arg.unwrap_or("an option");
    let text = match error.kind() {
        ErrorKind::UnknownArgument => unknown(arg, context(ContextKind::SuggestedArg)),
        ErrorKind::ArgumentConflict if arg.is_some() => format!("{option}: given twice"),
        ErrorKind::ArgumentConflict | ErrorKind::InvalidSubcommand => unknown(None, None),
        ErrorKind::InvalidValue => match context(ContextKind::InvalidValue) {
            Some("") | None => format!("{option}: the value is missing"),
            Some(_) => format!("{option}: one of {} is wanted", valid_values(error)),
        },
        ErrorKind::TooManyValues => format!("{option}: takes no value"),
        ErrorKind::MissingRequiredArgument => format!("{option}: missing"),
        ErrorKind::InvalidUtf8 => "a value that must be text is not UTF-8".into(),
        _ => "the command line cannot be understood".into(),
    };
    Error::Usage(format!("{text} (see --help)"))
}

/// The values that an option takes.
fn valid_values(error: &clap::Error) -> String {
    match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(values)) => values.join(", "),
        _ => "other values".into(),
    }
}

/// A word that belongs nowhere. The text shows it only if it looks like the name of an
/// option: an unquoted key with spaces falls into words.
fn unknown(word: Option<&str>, suggested: Option<&str>) -> String {
    let letter = |c: char| c.is_ascii_lowercase() || c == '-';
    let name = word.filter(|w| w.starts_with('-') && w.len() <= 16 && w.chars().all(letter));
    match (name, suggested) {
        (Some(name), Some(suggested)) => {
            format!("{name}: no such option; {suggested} is one")
        }
        (Some(name), None) => format!("{name}: no such option"),
        (None, _) => "a word belongs to no option, or stands in the wrong place; it is not \
                      shown, as it may be part of a key"
            .into(),
    }
}
