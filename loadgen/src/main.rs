//! `loadgen` loads a sealwire server, checks every reply, and reports what the
//! server can do, and how far its own figures can be trusted.
//!
//! [`args`] makes a [`plan`] of what was typed. [`run`] starts a server ([`child`],
//! which [`server`] is), and threads, each a [`worker`]: it takes the peers of a
//! [`crew`] through the run, over a [`wire`], with a [`workload`] that follows a
//! [`schedule`] and measures with a [`meter`]. What comes of it are [`results`], on
//! which [`verdict`] judges and of which [`report`] tells; [`compare`] does all that
//! over every transport. The library is used through its public API alone.

mod args;
mod child;
mod compare;
mod crew;
mod crypto_cost;
mod ending;
mod environment;
mod figures;
mod limits;
mod meter;
mod pattern;
mod plan;
mod progress;
mod report;
mod results;
mod rows;
mod run;
mod sample;
mod schedule;
mod server;
mod slo;
mod sources;
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
use progress::Progress;
use report::Report;
use sealwire::cli::exposure::Exposure;
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
    let exposure = Exposure::end();
    let command = args::parse(std::env::args_os(), &|name| std::env::var_os(name));
    // Whatever came of it: there is one thread yet.
    exposure.wipe_keys();
    let command = command?;
    if !command.hides_keys() {
        // So that debuggers work, and the server that we start can be looked at.
        exposure.allow_core_dumps();
    }
    match command {
        Command::Show(text) => {
            // Nothing is left to be done if stdout is closed.
            let _ = text.print();
            Ok(0)
        }
        Command::Serve(identity, service) => server::serve(identity, service),
        Command::Run(config) => run_once(&config),
        Command::Compare(config, rounds) => run_in_turns(&config, rounds),
    }
}

fn run_once(config: &Config) -> Result<u8, Error> {
    for warning in &config.warnings {
        eprintln!("loadgen: {warning}");
    }
    let plan = &config.plan;
    let progress = Progress::new(String::new(), config.outputs.quiet);
    let results = run::run(plan, config.to.as_ref(), &until_interrupted()?, progress)?;
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

fn run_in_turns(config: &Config, rounds: usize) -> Result<u8, Error> {
    let environment = Environment::here();
    let comparison = compare::compare(&config.plan, rounds, &environment, &until_interrupted()?)?;
    report::comparison::emit(&comparison, &environment, &config.outputs)?;
    Ok(report::comparison::exit_code(&comparison, config.strict))
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
