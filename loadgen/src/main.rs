//! `loadgen` loads a sealwire server, checks every reply, and reports what the
//! server can do.
//!
//! [`args`] is what was typed; [`run`] takes a load through its phases, over
//! [`echo`], which sends and checks the messages; [`report`] prints the figures.
//! Unless told where the server is, [`child`] starts one, which [`server`] is.
//! Everything is done with the library's public API.

mod args;
mod child;
mod cpu;
mod echo;
#[cfg(test)]
mod environment;
#[cfg(test)]
mod figures;
mod handshakes;
mod limits;
mod old_report;
mod pattern;
#[cfg(test)]
mod plan;
mod progress;
#[cfg(test)]
mod report;
#[cfg(test)]
mod results;
mod run;
#[cfg(test)]
mod sample;
mod server;
#[cfg(test)]
mod slo;
#[cfg(test)]
mod testing;
mod times;
#[cfg(test)]
mod verdict;

use std::io::{Write, stderr};
use std::process::ExitCode;

use args::Command;
use sealwire::error::Error;

/// Something was lost or wrong, or a peer failed.
const FOUND_FAULTS: u8 = 6;

fn main() -> ExitCode {
    match start() {
        Ok(code) => code.into(),
        Err(error) => {
            // If stderr is closed, there is nobody to tell.
            let _ = writeln!(stderr(), "loadgen: {error}");
            let usage = matches!(error, Error::Usage(_));
            ExitCode::from(if usage { 2 } else { 1 })
        }
    }
}

fn start() -> Result<u8, Error> {
    match args::parse(std::env::args_os(), &|name| std::env::var_os(name))? {
        Command::Show(text) => {
            // Nothing is left to be done if stdout is closed.
            let _ = text.print();
            Ok(0)
        }
        Command::Serve(identity) => server::serve(identity),
        Command::Run(config) => {
            for warning in &config.warnings {
                eprintln!("loadgen: {warning}");
            }
            let figures = run::run(&config)?;
            old_report::print(&config, &figures)?;
            let faultless = figures.is_faultless();
            Ok(if faultless { 0 } else { FOUND_FAULTS })
        }
    }
}
