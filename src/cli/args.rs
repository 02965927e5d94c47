//! The command line, as typed.
//!
//! clap finds out which words are options and which are their values; what the
//! values mean, and which options go together, is checked by [`super::config`],
//! so that every refusal is one line in our words. No refusal shows a value: it
//! may be a key that went astray. Read next: [`super::keys`].

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Parser, Subcommand};

use super::config::Config;
use crate::crypto::secret::Secret;
use crate::error::Error;

const EXAMPLES: &str = "\
Examples:
  sealwire keygen keys                        make keys; copy the file to the other side
  sealwire --server --keys keys               chat: what is typed goes to every peer
  sealwire --client example.org --keys keys
  sealwire -s --keys keys --relay             peers talk to each other
  sealwire -s --keys keys </dev/null | tar x  receive once
  tar c dir | sealwire -c example.org --keys keys

Exit codes: 0 complete, 1 could not run, 2 usage, 3 the keys differ or the peer
gave up, 4 cut short, 5 a deadline passed, 128 + n stopped by signal n";

// The help's groups.
const ROLE: &str = "Role (one of)";
const ADDRESS: &str = "Address";
const KEYS: &str = "Keys (or in SEALWIRE_CONFKEY and SEALWIRE_AUTHKEY)";
const MODE: &str = "Mode of a server (default: chat)";

/// What the user asks for.
#[derive(Debug)]
pub enum Command {
    /// A server or a client.
    Run(Box<Config>),
    /// New keys; [`super::keygen::run`] makes them.
    Keygen {
        /// The key file to make or to add to.
        file: PathBuf,
        /// What the new line is called.
        name: String,
    },
    /// The help or the version: `print` it on stdout, and leave with 0.
    Show(clap::Error),
}

/// Turns the program's arguments (the first is its name) and environment into
/// what can run. Reads key files; opens no socket and prints nothing.
///
/// # Errors
///
/// [`Error::Usage`] for what was typed, [`Error::Local`] for files.
pub fn parse(
    args: impl IntoIterator<Item = OsString>,
    env: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Command, Error> {
    let typed = match Args::try_parse_from(args) {
        Ok(typed) => typed,
        Err(error) if !error.use_stderr() => return Ok(Command::Show(error)),
        Err(error) => return Err(usage_error(&error)),
    };
    match typed.command {
        Some(Sub::Keygen { file, name }) => Ok(Command::Keygen { file, name }),
        None => Ok(Command::Run(Box::new(Config::check(&typed, env)?))),
    }
}

/// Two programs that share two keys talk over TCP, encrypted and authenticated.
#[derive(Debug, Parser)]
#[command(
    name = "sealwire",
    version,
    override_usage = "sealwire --server [--listen ADDR] [--port PORT] KEYS [MODE] [OPTIONS]\n       \
        sealwire --client HOST [--port PORT] KEYS [OPTIONS]\n       \
        sealwire keygen FILE [--name NAME]",
    after_help = EXAMPLES,
    disable_help_subcommand = true,
    args_conflicts_with_subcommands = true
)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Sub>,

    /// Wait for peers
    #[arg(short, long, alias = "s", help_heading = ROLE)]
    pub(super) server: bool,
    /// Connect to a server: a name or an address
    #[arg(
        short,
        long,
        alias = "c",
        value_name = "HOST",
        help_heading = ROLE
    )]
    pub(super) client: Option<String>,

    /// Listen on this address alone [default: all addresses]
    #[arg(long, value_name = "ADDR", help_heading = ADDRESS)]
    pub(super) listen: Option<String>,
    /// TCP port; 0 lets the system choose one for a server [default: 9999]
    #[arg(long, help_heading = ADDRESS)]
    pub(super) port: Option<String>,

    #[command(flatten)]
    pub(super) keys: KeyArgs,

    /// Return each message to its sender
    #[arg(long, help_heading = MODE)]
    pub(super) echo: bool,
    /// Count messages and drop them
    #[arg(long, help_heading = MODE)]
    pub(super) sink: bool,
    /// Pass each message on to every other peer
    #[arg(long, help_heading = MODE)]
    pub(super) relay: bool,

    /// Speak the format of p2p_encryption.py: a server both, a client only it
    #[arg(long)]
    pub(super) classic: bool,
    /// Do not read stdin; a server then keeps serving
    #[arg(long)]
    pub(super) no_input: bool,
    /// Largest message taken from a peer, with k, m or g; at most 1g
    /// [default: 16m]
    #[arg(long, value_name = "SIZE")]
    pub(super) max_message: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Sub {
    /// Make new keys in FILE (mode 0600), or add a line of new keys to it
    Keygen {
        /// The key file
        file: PathBuf,
        /// What to call the keys
        #[arg(long, default_value = "main")]
        name: String,
    },
}

/// The options that say where the two secrets come from, for a command line to
/// flatten; [`load`](Self::load) gets the keys.
///
/// The program's arguments stay readable to the machine's other users whatever
/// is erased here, and clap keeps a copy of its own; `load` warns of it.
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
    /// Take both from a key file, as keygen makes it
    #[arg(
        long,
        value_name = "FILE",
        help_heading = KEYS
    )]
    pub keys: Option<PathBuf>,
    /// Which line of the key file, if there are several
    #[arg(
        long,
        help_heading = KEYS
    )]
    pub name: Option<String>,
}

/// Takes any bytes at all: whether they can be a key is asked where the answer
/// does not show them.
fn secret() -> impl TypedValueParser<Value = Secret> {
    OsStringValueParser::new().map(|typed| Secret::new(typed.into_vec()))
}

/// What clap found wrong, in one line that shows no value that was typed. Not
/// for the help and the version, which clap returns as errors too.
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
        ErrorKind::InvalidValue => format!("{option}: the value is missing"),
        ErrorKind::TooManyValues => format!("{option}: takes no value"),
        ErrorKind::MissingRequiredArgument => format!("{option}: missing"),
        ErrorKind::InvalidUtf8 => "a value that must be text is not UTF-8".into(),
        _ => "the command line cannot be understood".into(),
    };
    Error::Usage(format!("{text} (see --help)"))
}

/// A word that belongs nowhere. It is shown only if it looks like the name of an
/// option: a key with spaces, unquoted, falls into words.
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const MARK: &str = "deadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeef";

    fn parsed(words: &[&str]) -> Result<Command, Error> {
        let words = ["sealwire"].iter().chain(words).map(OsString::from);
        parse(words, &|_| Some(MARK.into()))
    }

    fn refusal(words: &[&str]) -> String {
        let error = parsed(words).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let text = error.to_string();
        assert!(!text.contains('\n'), "{text}");
        text
    }

    /// clap's own check of the definitions.
    #[test]
    fn definitions_hold() {
        use clap::CommandFactory;
        Args::command().debug_assert();
    }

    /// The help and the version are for stdout, and the help tells of every
    /// option and of no environment value.
    #[test]
    fn help_and_version_are_shown() {
        let shown = |word| match parsed(&[word]).unwrap() {
            Command::Show(text) => {
                assert_eq!(text.exit_code(), 0);
                text.to_string()
            }
            other => panic!("{other:?}"),
        };
        for word in ["--help", "-h"] {
            let help = shown(word);
            for option in [
                "-s, --server",
                "-c, --client <HOST>",
                "--listen",
                "--port",
                "--confkey",
                "--authkey",
                "--keys",
                "--name",
                "--echo",
                "--sink",
                "--relay",
                "--classic",
                "--no-input",
                "--max-message",
                "keygen",
                "Examples:",
            ] {
                assert!(help.contains(option), "{option} in {help}");
            }
            assert!(!help.contains("deadbeef"), "{help}");
        }
        let version = concat!("sealwire ", env!("CARGO_PKG_VERSION"), "\n");
        assert_eq!(shown("--version"), version);
    }

    /// Every spelling of the two roles.
    #[test]
    fn spellings_of_the_roles() {
        for word in ["--server", "-s", "--s"] {
            assert!(matches!(parsed(&[word]), Ok(Command::Run(_))), "{word}");
        }
        for word in ["--client", "-c", "--c"] {
            assert!(
                matches!(parsed(&[word, "host"]), Ok(Command::Run(_))),
                "{word}"
            );
        }
    }

    /// keygen has its own two arguments and none of the others.
    #[test]
    fn keygen_has_its_own_arguments() {
        match parsed(&["keygen", "f"]).unwrap() {
            Command::Keygen { file, name } => {
                assert_eq!((file, name), ("f".into(), "main".to_owned()));
            }
            other => panic!("{other:?}"),
        }
        match parsed(&["keygen", "f", "--name", "n"]).unwrap() {
            Command::Keygen { name, .. } => assert_eq!(name, "n"),
            other => panic!("{other:?}"),
        }
        assert!(refusal(&["keygen"]).starts_with("<FILE>: missing"));
        refusal(&["keygen", "f", "--echo"]);
        refusal(&["--server", "keygen", "f"]);
    }

    /// What clap refuses is refused in our words.
    #[test]
    fn refusals_are_one_line() {
        for (words, start) in [
            (
                &["--confky", "k"][..],
                "--confky: no such option; --confkey is one (see",
            ),
            (
                &["-s", "--forward", "h:1"],
                "--forward: no such option (see",
            ),
            (&["-s", "-x"], "-x: no such option"),
            (&["-s", "--port"], "--port <PORT>: the value is missing"),
            (&["-c"], "--client <HOST>: the value is missing"),
            (&["-s", "--echo=yes"], "--echo: takes no value"),
            (&["-s", "--echo", "--echo"], "--echo: given twice"),
            (&["help"], "a word belongs to no option"),
        ] {
            let text = refusal(words);
            assert!(text.starts_with(start), "{words:?}: {text}");
        }
        let not_utf8 = OsString::from_vec(vec![0xff]);
        let words = ["sealwire".into(), "-c".into(), not_utf8];
        let text = parse(words, &|_| None).unwrap_err().to_string();
        assert!(text.contains("not UTF-8"), "{text}");
    }

    /// A key in any wrong place: no refusal shows it, nor does `Debug`.
    #[test]
    fn a_key_is_never_shown() {
        let long = format!("--{MARK}");
        let assigned = format!("--confky={MARK}");
        let flag = format!("--server={MARK}");
        for words in [
            &["-s", "--confkey", MARK][..],
            &["-s", "--confkey", MARK, "--authkey", "short deadbeef"],
            &["-s", "--confkey", "a", MARK],
            &["-s", MARK],
            &[MARK],
            &[&long],
            &[&assigned],
            &[&flag],
            &["-s", "--port", MARK],
            &["-s", "--max-message", MARK],
            &["-s", "--confkey", MARK, "--confkey", MARK],
            &["-s", "--confkey", MARK, "--keys", "file"],
            &["-s", "--confkey", MARK, "keygen"],
            &["keygen", "f", MARK],
            &["-s", "-c", "h", "--confkey", MARK, "--authkey", MARK],
        ] {
            let error = parsed(words).unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("deadbeef"), "{words:?}: {shown}");
        }
        let words = ["sealwire", "-s", "--confkey", MARK, "--authkey", MARK];
        let typed = Args::try_parse_from(words).unwrap();
        let shown = format!("{typed:?} {:?}", parsed(&words[1..]).unwrap());
        assert!(!shown.contains("deadbeef"), "{shown}");
    }
}
