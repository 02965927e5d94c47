//! `loadgen` loads a sealwire server, checks every reply, and reports what the server can do,
//! and how far its own figures can be trusted.
//!
//! The folders, and which of them each one uses; [`plan`], [`limits`] and [`values`] serve all:
//!
//! | folder | question | uses |
//! |---|---|---|
//! | [`measure`] | what was measured? | |
//! | [`load`] | what is sent, and when? | `measure` |
//! | [`cohort`] | which misbehaving peers load the server, too? | `load`, `measure` |
//! | [`rivals`] | what is the library compared with? | `load` |
//! | [`judge`] | can the figures be trusted? | `measure`, `cohort` |
//! | [`report`] | how is it told? | `measure`, `judge`, `cohort` |
//!
//! The files beside them use all folders. [`args`] makes a [`plan`] of what was typed; [`run`]
//! starts a server ([`child`], which runs [`server`]) and the threads that load it; [`compare`]
//! runs every transport in turns, or one several times; [`with_cohort`] runs without and with a
//! cohort; [`search`] looks for the highest rate, and [`sweep`] runs a range of them, both with
//! [`rates`]; [`interrupt`] is what Ctrl-C does. It is no example of how to use the library: it also
//! uses modules that the library hides from its users. Read next: [`run`].

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod args;
mod child;
mod cohort;
mod compare;
mod interrupt;
mod judge;
mod limits;
mod load;
mod measure;
mod plan;
mod rates;
mod report;
mod rivals;
mod run;
mod search;
mod server;
mod sweep;
#[cfg(test)]
mod testing;
mod values;
mod with_cohort;

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use sealwire_cli::error::Error;
use sealwire_cli::exposure::Exposure;
use sealwire_cli::inherited::{self, printed, require_stdin, require_stdout};
use sealwire_cli::kernel;
use sealwire_cli::limits::LOG_PATIENCE;
use sealwire_cli::log::Log;

use crate::args::{Command, Config};
use crate::interrupt::Interrupt;
use crate::judge::baseline::Baseline;
use crate::judge::comparison::Comparison;
use crate::limits::BASELINE_BYTES;
use crate::measure::environment::Environment;
use crate::report::files::Files;
use crate::report::progress::Progress;
use crate::report::{Report, comparison};

ctor::declarative::ctor! {
    #[ctor(unsafe)]
    fn before_main() {
        inherited::note_closed();
    }
}

fn main() -> ExitCode {
    let mut log = Log::to_stderr("loadgen");
    let code = start(&mut log).unwrap_or_else(|error| {
        log.say_why(&error);
        match error {
            // Here 5 means figures that are not valid.
            Error::Deadline(_) => 1,
            _ => error.exit_code(),
        }
    });
    log.finish(LOG_PATIENCE);
    ExitCode::from(code)
}

fn start(log: &mut Log) -> Result<u8, Error> {
    let mut exposure = Exposure::end();
    let words: Vec<_> = std::env::args_os().collect();
    exposure.wipe_arguments();
    let command = args::parse(words, &|name| std::env::var_os(name));
    // Also after an error; there is only one thread yet.
    exposure.wipe_environment();
    let command = command?;
    if !command.hides_keys() {
        // So that debuggers work, and the process of our own server can be sampled.
        exposure.allow_core_dumps();
    }
    // Before anything is started: every command prints there.
    require_stdout()?;
    match command {
        Command::Show(text) => {
            printed(text.print().and_then(|()| std::io::stdout().flush()))?;
            Ok(0)
        }
        Command::Text(text) => {
            let mut stdout = std::io::stdout();
            printed(
                stdout
                    .write_all(text.as_bytes())
                    .and_then(|()| stdout.flush()),
            )?;
            Ok(0)
        }
        Command::Serve(identity, service) => {
            require_stdin()?;
            server::serve(identity, service)
        }
        Command::Run(config) => run_once(&config, log),
        Command::Compare(config, rounds) => {
            let comparison = Comparison::new(&config.plan, rounds, kernel::chosen()?);
            run_in_rounds(&config, comparison, log)
        }
        Command::Repeat(config, rounds) => {
            let (plan, own) = (&config.plan, config.to.is_none());
            let comparison = Comparison::repeated(plan, rounds, kernel::chosen()?, own);
            run_in_rounds(&config, comparison, log)
        }
        Command::Search(config, rounds) => run_search(&config, rounds, log),
        Command::Sweep(config, rates) => run_sweep(&config, rates, log),
    }
}

fn run_once(config: &Config, log: &mut Log) -> Result<u8, Error> {
    warn(config, log);
    let outputs = &config.outputs;
    let files = Files::open(outputs)?;
    let interrupt = Interrupt::catch()?;
    if let Some(wanted) = &config.cohort {
        let cohort = with_cohort::run(config, wanted, &interrupt)?;
        interrupt.end();
        let environment = Environment::here();
        let report = report::cohort::Report::new(&cohort, &config.slos, &environment);
        report.emit(files, outputs.quiet)?;
        return Ok(report.exit_code(outputs.strict));
    }
    let progress = Progress::new(String::new(), outputs.quiet);
    let results = run::run(&config.plan, config.to.as_ref(), &interrupt, progress)?;
    interrupt.end();
    let environment = Environment::here();
    let report = Report::new(&results, &config.slos, &environment);
    report.emit(files, outputs.quiet)?;
    Ok(report.exit_code(outputs.strict))
}

/// Runs the rounds of `comparison`, which has none yet.
fn run_in_rounds(config: &Config, mut comparison: Comparison, log: &mut Log) -> Result<u8, Error> {
    warn(config, log);
    let environment = Environment::here();
    let old = config.outputs.baseline.as_ref();
    let old = old.map(|path| older(path, &comparison, &environment));
    let old = old.transpose()?;
    let files = Files::open(&config.outputs)?;
    let interrupt = Interrupt::catch()?;
    compare::compare(
        &mut comparison,
        config.to.as_ref(),
        &environment,
        &interrupt,
    )?;
    interrupt.end();
    if let Some(old) = old {
        let new = comparison::json(&comparison, &environment);
        comparison.baseline = Some(old.judge(&new));
    }
    comparison::emit(&comparison, &environment, files)?;
    Ok(comparison::exit_code(&comparison, config.outputs.strict))
}

/// The older report, if it can be compared with one of `comparison`. That is known before anybody
/// has waited for rounds.
fn older(
    path: &Path,
    comparison: &Comparison,
    environment: &Environment,
) -> Result<Baseline, Error> {
    let failed = |why: String| Error::Local(format!("--baseline {}: {why}", path.display()));
    let text = baseline(path).map_err(|error| failed(error.to_string()))?;
    let setting = comparison::json(comparison, environment);
    let old = Baseline::read(&text).map_err(failed)?;
    old.check(&setting, comparison.rounds).map_err(failed)?;
    Ok(old)
}

fn baseline(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let file = File::open(path)?;
    file.take(BASELINE_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

fn run_search(config: &Config, rounds: usize, log: &mut Log) -> Result<u8, Error> {
    warn(config, log);
    let outputs = &config.outputs;
    let environment = Environment::here();
    let files = Files::open(outputs)?;
    let interrupt = Interrupt::catch()?;
    if !outputs.quiet {
        log.say(&search::announcement(config, rounds));
    }
    let searched = search::search(config, rounds, &environment, &interrupt)?;
    interrupt.end();
    report::search::emit(&searched, &environment, files, outputs.quiet)?;
    Ok(report::search::exit_code(&searched, outputs.strict))
}

fn run_sweep(config: &Config, rates: Vec<f64>, log: &mut Log) -> Result<u8, Error> {
    warn(config, log);
    let outputs = &config.outputs;
    let environment = Environment::here();
    let files = Files::open(outputs)?;
    let interrupt = Interrupt::catch()?;
    if !outputs.quiet {
        log.say(&sweep::announcement(config, &rates));
    }
    let swept = sweep::sweep(config, rates, &environment, &interrupt)?;
    interrupt.end();
    report::sweep::emit(&swept, &environment, files, outputs.quiet)?;
    Ok(report::sweep::exit_code(&swept, outputs.strict))
}

/// Tells what the user should know before anything runs.
fn warn(config: &Config, log: &mut Log) {
    for warning in &config.warnings {
        log.say(warning);
    }
}
