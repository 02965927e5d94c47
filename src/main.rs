//! The `sealwire` program: parses, runs, and leaves with an exit code.

use std::io::{IsTerminal, stderr};
use std::process::ExitCode;

use sealwire::cli::command::{self, Command};
use sealwire::cli::{keygen, run};
use sealwire::error::Error;

fn main() -> ExitCode {
    let code = start().unwrap_or_else(|error| {
        eprintln!("sealwire: {error}");
        error.exit_code()
    });
    ExitCode::from(code)
}

fn start() -> Result<u8, Error> {
    match command::parse(std::env::args_os(), &|name| std::env::var_os(name))? {
        Command::Show(text) => {
            // Nothing is left to be done if stdout is closed.
            let _ = text.print();
            Ok(0)
        }
        Command::Keygen { file, name } => {
            eprintln!("sealwire: {}", keygen::run(&file, &name)?);
            Ok(0)
        }
        Command::Run(config) => {
            print_to_stderr();
            run::run(*config)
        }
    }
}

/// Has what is reported printed on stderr, one plain line each; in colour on a
/// terminal, unless `NO_COLOR` is set.
fn print_to_stderr() {
    let colour =
        stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    tracing_subscriber::fmt()
        .with_writer(stderr)
        .with_ansi(colour)
        .without_time()
        .with_target(false)
        .init();
}
