//! `loadgen` loads a sealwire server, checks every reply, and reports what the
//! server can do.
//!
//! [`args`] is what was typed; [`run`] takes a load through its phases, over
//! [`echo`], which sends and checks the messages; [`report`] prints the figures.
//! Unless told where the server is, [`child`] starts one, which [`server`] is.
//! Everything is done with the library's public API.

mod args;
mod child;
mod compare;
mod crew;
mod crypto_cost;
mod environment;
mod figures;
mod limits;
mod meter;
mod pattern;
mod plan;
mod progress;
mod report;
mod results;
mod run;
mod sample;
mod schedule;
mod server;
mod slo;
#[cfg(test)]
mod testing;
mod times;
mod units;
mod verdict;
mod wire;
mod worker;
mod workload;

use std::io::{self, Write, stderr};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use args::{Command, Config};
use environment::Environment;
use report::Report;
use sealwire::error::Error;
use signal_hook::consts::{SIGINT, SIGTERM};

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
        Command::Serve(identity, service) => server::serve(identity, service),
        Command::Run(config) => run(&config),
        Command::Compare(config, rounds) => compare(&config, rounds),
    }
}

fn run(config: &Config) -> Result<u8, Error> {
    for warning in &config.warnings {
        eprintln!("loadgen: {warning}");
    }
    let plan = &config.plan;
    let results = run::run(plan, config.to.as_ref(), &until_interrupted()?)?;
    let environment = Environment::here();
    let slos = config.slos.iter().cloned();
    let slos: Vec<_> = slos.map(|slo| slo.judge(&results.tally.response)).collect();
    let verdict = verdict::judge(plan, &results, &slos, &environment);
    let report = Report {
        plan,
        results: &results,
        environment: &environment,
        slos: &slos,
        verdict: &verdict,
    };
    report::emit(&report, &config.outputs)?;
    Ok(report::exit_code(&report, config.strict))
}

fn compare(config: &Config, rounds: usize) -> Result<u8, Error> {
    let environment = Environment::here();
    let comparison = compare::compare(&config.plan, rounds, &environment, &until_interrupted()?)?;
    comparison.emit(&environment, &config.outputs)?;
    Ok(comparison.exit_code(config.strict))
}

/// Set by the first SIGINT or SIGTERM, so that a report is written; the second ends
/// the program as if nobody had caught it.
fn until_interrupted() -> Result<Arc<AtomicBool>, Error> {
    let stop = Arc::new(AtomicBool::new(false));
    let catch = |signal| -> io::Result<()> {
        signal_hook::flag::register_conditional_default(signal, Arc::clone(&stop))?;
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
        Ok(())
    };
    for signal in [SIGINT, SIGTERM] {
        catch(signal).map_err(|error| Error::Local(format!("cannot catch signals: {error}")))?;
    }
    Ok(stop)
}
