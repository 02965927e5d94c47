//! From the program's arguments to the work that they ask for.
//!
//! [`crate::args`] parses and [`crate::config`] checks. Read next: [`mod@crate::run`].

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use sealwire::net::machine;

use crate::args::{Args, Sub, usage_error};
use crate::config::{self, Config};
use crate::error::Error;
use crate::kernel;
use crate::manual;
use crate::show_limits;
use crate::typed_keys;

/// What the user asks for.
#[derive(Debug)]
pub enum Command {
    /// A server or a client.
    Run(Box<Config>),
    /// New keys; [`crate::keygen::run`] makes them.
    Keygen {
        /// The key file to make or to add to.
        file: PathBuf,
        /// The name of the new line.
        name: String,
    },
    /// The help: `print` it on stdout, and leave with 0.
    Help(clap::Error),
    /// The version, a line for stdout.
    Version(String),
    /// Lines for stdout: the limits that would hold, a man page, a script for a shell.
    Text(String),
}

/// Turns the program's arguments (the first is its name) and environment into
/// what can run. Reads key files; opens no socket and prints nothing.
///
/// # Errors
///
/// [`Error::Usage`] for what was typed, [`Error::Local`] for files; either for
/// the version, if there is no kernel to name.
pub fn parse(
    args: impl IntoIterator<Item = OsString>,
    env: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Command, Error> {
    let mut typed = match typed_keys::parse(args, |typed: &mut Args| &mut typed.keys) {
        Ok((typed, _)) => typed,
        Err(error) if error.kind() == ErrorKind::DisplayVersion => {
            return Ok(Command::Version(version()?));
        }
        Err(error) if !error.use_stderr() => return Ok(Command::Help(error)),
        Err(error) => return Err(usage_error(&error)),
    };
    match typed.command.take() {
        Some(Sub::Keygen { file, name }) => Ok(Command::Keygen { file, name }),
        Some(Sub::Man { command }) => Ok(Command::Text(manual::page(command.as_deref())?)),
        Some(Sub::Completions { shell }) => Ok(Command::Text(manual::completions(shell))),
        None if typed.show_limits => {
            let machine = machine::look();
            let ceiling = config::ceiling(&typed, &machine)?;
            Ok(Command::Text(show_limits::table(&ceiling, &machine)))
        }
        None => {
            let config = Config::check(typed, env, &machine::look())?;
            Ok(Command::Run(Box::new(config)))
        }
    }
}

/// The program's version, and the kernel that it would use.
fn version() -> Result<String, Error> {
    let kernel = kernel::chosen()?.name();
    let version = env!("CARGO_PKG_VERSION");
    Ok(format!("sealwire {version} (kernel {kernel})"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::ffi::OsStringExt;

    use clap::Parser as _;

    use super::*;

    const MARK: &str = "deadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeef";
    /// Another key, with the same recognisable part.
    const OTHER: &str = "deadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbee2";

    fn parsed(words: &[&str]) -> Result<Command, Error> {
        let words = ["sealwire"].iter().chain(words).map(OsString::from);
        let env = |name: &str| match name {
            "SEALWIRE_CONFKEY" => Some(MARK.into()),
            _ => Some(OTHER.into()),
        };
        parse(words, &env)
    }

    fn refusal(words: &[&str]) -> String {
        let error = parsed(words).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let text = error.to_string();
        assert!(!text.contains('\n'), "{text}");
        text
    }

    /// Goal: the help is for stdout, and shows every option and no value of the environment.
    #[test]
    fn help_is_shown() {
        for word in ["--help", "-h"] {
            let Ok(Command::Help(help)) = parsed(&[word]) else {
                panic!("{word} is no help");
            };
            assert_eq!(help.exit_code(), 0);
            let help = help.to_string();
            let options = "-s, --server|-c, --client <HOST>|--listen|--port|--confkey|--authkey|\
                           --keys|--name|--allow-core-dumps|--echo|--sink|--relay|--forward|--tunnel|--classic|\
                           --no-input|--max-message|--max-memory|--max-handshakes|\
                           --ping-after|--dead-after|\
                           --metrics|--log|--log-level|\
                           --show-limits|keygen|man|completions|SEALWIRE_KERNEL|Examples:";
            for option in options.split('|') {
                assert!(help.contains(option), "{option} in {help}");
            }
            assert!(!help.contains("deadbeef"), "{help}");
        }
    }

    /// Goal: each role has three spellings.
    #[test]
    fn spellings_of_the_roles() {
        for line in "--server|-s|--s|--client host|-c host|--c host".split('|') {
            let words: Vec<_> = line.split(' ').collect();
            assert!(matches!(parsed(&words), Ok(Command::Run(_))), "{line}");
        }
    }

    /// Goal: keygen has its own two arguments and none of the others.
    #[test]
    fn keygen_has_its_own_arguments() {
        for (words, wanted) in [
            (&["keygen", "f"][..], "main"),
            (&["keygen", "f", "--name", "n"], "n"),
        ] {
            let Ok(Command::Keygen { file, name }) = parsed(words) else {
                panic!("{words:?}");
            };
            assert_eq!((file, &name[..]), ("f".into(), wanted));
        }
        assert!(refusal(&["keygen"]).starts_with("<FILE>: missing"));
        refusal(&["keygen", "f", "--echo"]);
        refusal(&["--server", "keygen", "f"]);
    }

    /// Goal: clap's refusals are a line of our own words.
    #[test]
    fn refusals_are_one_line() {
        let confkey = "--confky: no such option; --confkey is one (see";
        for (line, start) in [
            ("--confky k", confkey),
            (
                "-s --forwrd h:1",
                "--forwrd: no such option; --forward is one",
            ),
            ("-s -x", "-x: no such option"),
            ("-s --port", "--port <PORT>: the value is missing"),
            ("-c", "--client <HOST>: the value is missing"),
            ("-s --echo=yes", "--echo: takes no value"),
            ("-s --echo --echo", "--echo: given twice"),
            ("help", "a word belongs to no option"),
            ("-s --log", "--log <FORM>: the value is missing"),
            ("-s --log xml", "--log <FORM>: one of text, json is wanted"),
            (
                "-s --log-level all",
                "--log-level <LEVEL>: one of error, warn, info, debug is wanted",
            ),
            ("completions ksh", "<SHELL>: one of bash, "),
            ("completions", "<SHELL>: missing"),
            ("man chat", "man: the commands are keygen, man, completions"),
        ] {
            let text = refusal(&line.split(' ').collect::<Vec<_>>());
            assert!(text.starts_with(start), "{line}: {text}");
        }
        let not_utf8 = OsString::from_vec(vec![0xff]);
        let words = ["sealwire".into(), "-c".into(), not_utf8];
        let text = parse(words, &|_| None).unwrap_err().to_string();
        assert!(text.contains("not UTF-8"), "{text}");
    }

    /// Goal: no refusal shows a key in any wrong place, nor does `Debug`.
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
            &["-s", "--metrics", MARK],
            &["-s", "--log", MARK],
            &["man", MARK],
            &["completions", MARK],
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
        let words = ["sealwire", "-s", "--confkey", MARK, "--authkey", OTHER];
        let typed = Args::try_parse_from(words).unwrap();
        let shown = format!("{typed:?} {:?}", parsed(&words[1..]).unwrap());
        assert!(!shown.contains("deadbeef"), "{shown}");
    }
}
