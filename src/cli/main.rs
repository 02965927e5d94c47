//! The `sealwire` program: parses, runs, and leaves with an exit code.

use std::io::{self, Write, stdout};
use std::net::TcpListener;
use std::process::ExitCode;

use sealwire_cli::command::{self, Command};
use sealwire_cli::error::Error;
use sealwire_cli::exposure::Exposure;
use sealwire_cli::inherited;
use sealwire_cli::limits::LOG_PATIENCE;
use sealwire_cli::log::Log;
use sealwire_cli::{keygen, run};

ctor::declarative::ctor! {
    #[ctor(unsafe)]
    fn before_main() {
        inherited::note_closed();
    }
}

fn main() -> ExitCode {
    // First: other descriptors may get its number.
    let socket = inherited::passed_socket();
    let mut log = Log::to_stderr("sealwire");
    let code = start(socket, &mut log).unwrap_or_else(|error| {
        log.say_why(&error);
        error.exit_code()
    });
    log.finish(LOG_PATIENCE);
    ExitCode::from(code)
}

fn start(socket: Result<Option<TcpListener>, Error>, log: &mut Log) -> Result<u8, Error> {
    let mut exposure = Exposure::end();
    let args: Vec<_> = std::env::args_os().collect();
    exposure.wipe_arguments();
    let command = command::parse(args, &|name| std::env::var_os(name));
    // Also after an error, while there is one thread.
    exposure.wipe_environment();
    match command? {
        Command::Help(text) => print(|| text.print()),
        Command::Version(text) => print(|| writeln!(stdout(), "{text}")),
        Command::Text(text) => print(|| stdout().write_all(text.as_bytes())),
        Command::Keygen { file, name } => {
            for line in keygen::run(&file, &name)? {
                log.say(&line);
            }
            Ok(0)
        }
        Command::Run(config) => {
            if config.allow_core_dumps {
                exposure.allow_core_dumps();
            }
            log.set_shape(config.log);
            run::run(*config, socket?, log)
        }
    }
}

/// Prints on stdout, which must take all of it.
fn print(write: impl FnOnce() -> io::Result<()>) -> Result<u8, Error> {
    inherited::require_stdout()?;
    inherited::printed(write().and_then(|()| stdout().flush()))?;
    Ok(0)
}
