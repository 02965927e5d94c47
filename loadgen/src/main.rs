//! `loadgen` loads a sealwire server, checks every reply, and reports what the
//! server can do, and how far its own figures can be trusted.
//!
//! [`args`] makes a [`plan`] of what was typed. [`run`] starts a server ([`child`],
//! which [`server`] is), and threads, each a [`worker`]: it takes the peers of a
//! [`crew`] through the run, over a [`wire`], with a [`workload`] that follows a
//! [`schedule`] and measures with a [`meter`]. What comes of it are [`results`], on
//! which [`verdict`] judges and of which [`report`] tells; [`compare`] does all that
//! over every transport. What Ctrl-C does is up to [`interrupt`]. The library is used
//! through its public API alone.

mod args;
mod child;
mod compare;
mod crew;
mod crypto_cost;
mod ending;
mod environment;
mod figures;
mod interrupt;
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

use std::io::{Write, stdout};
use std::process::ExitCode;

use args::{Command, Config};
use environment::Environment;
use interrupt::Interrupt;
use progress::Progress;
use report::Report;
use sealwire_cli::error::Error;
use sealwire_cli::exposure::Exposure;
use sealwire_cli::inherited::{self, printed, require_stdin, require_stdout};
use sealwire_cli::limits::LOG_PATIENCE;
use sealwire_cli::log::Log;

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
            // 5 says something else here.
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
    // Whatever came of it: there is one thread yet.
    exposure.wipe_environment();
    let command = command?;
    if !command.hides_keys() {
        // So that debuggers work, and the server that we start can be looked at.
        exposure.allow_core_dumps();
    }
    // Before anything is started: every command prints there.
    require_stdout()?;
    match command {
        Command::Show(text) => {
            printed(text.print().and_then(|()| stdout().flush()))?;
            Ok(0)
        }
        Command::Serve(identity, service) => {
            require_stdin()?;
            server::serve(identity, service)
        }
        Command::Run(config) => run_once(&config, log),
        Command::Compare(config, rounds) => run_in_turns(&config, rounds),
    }
}

fn run_once(config: &Config, log: &mut Log) -> Result<u8, Error> {
    for warning in &config.warnings {
        log.say(warning);
    }
    let plan = &config.plan;
    let progress = Progress::new(String::new(), config.outputs.quiet);
    let interrupt = Interrupt::catch()?;
    let results = run::run(plan, config.to.as_ref(), &interrupt, progress)?;
    interrupt.end();
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
    let interrupt = Interrupt::catch()?;
    let comparison = compare::compare(&config.plan, rounds, &environment, &interrupt)?;
    interrupt.end();
    report::comparison::emit(&comparison, &environment, &config.outputs)?;
    Ok(report::comparison::exit_code(&comparison, config.strict))
}
