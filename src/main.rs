//! The `sealwire` program: parses, runs, and leaves with an exit code.

use std::fmt::Display;
use std::io::{Write, stderr, stdout};
use std::process::ExitCode;

use sealwire::cli::command::{self, Command};
use sealwire::cli::exposure::Exposure;
use sealwire::cli::{keygen, run};
use sealwire::error::Error;

fn main() -> ExitCode {
    let code = start().unwrap_or_else(|error| {
        tell(&error);
        error.exit_code()
    });
    ExitCode::from(code)
}

fn start() -> Result<u8, Error> {
    let exposure = Exposure::end();
    let command = command::parse(std::env::args_os(), &|name| std::env::var_os(name));
    // Whatever came of it: there is one thread yet.
    exposure.wipe_keys();
    match command? {
        // If stdout is closed, nothing is left to be done.
        Command::Help(text) => {
            let _ = text.print();
            Ok(0)
        }
        Command::Version(text) => {
            let _ = writeln!(stdout(), "{text}");
            Ok(0)
        }
        Command::Keygen { file, name } => {
            for line in keygen::run(&file, &name)? {
                tell(&line);
            }
            Ok(0)
        }
        Command::Run(config) => {
            if config.allow_core_dumps {
                exposure.allow_core_dumps();
            }
            print_to_stderr();
            run::run(*config)
        }
    }
}

/// Prints one line on stderr; if that is closed or full, there is nobody to tell.
fn tell(line: &dyn Display) {
    let _ = writeln!(stderr(), "sealwire: {line}");
}

/// Has what is reported printed on stderr, one plain line each. What cannot be
/// printed is passed over: telling of that, on stderr again, would panic.
fn print_to_stderr() {
    tracing_subscriber::fmt()
        .with_writer(stderr)
        .with_ansi(false)
        .without_time()
        .with_target(false)
        .log_internal_errors(false)
        .init();
}
