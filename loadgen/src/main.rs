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
mod crew;
mod crypto_cost;
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
mod times;
mod units;
mod wire;
mod worker;
mod workload;

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
        Command::Serve(identity, service) => server::serve(identity, service),
        Command::Compare(..) => todo!(),
        Command::Run(config) => {
            for warning in &config.warnings {
                eprintln!("loadgen: {warning}");
            }
            let stop = std::sync::Arc::default();
            let results = run::run(&config.plan, config.to.as_ref(), &stop)?;
            println!("{:?} {:?} {:?} joined {} failed {} {:?}", results.tally.account, results.took, results.tally.counts, results.joined, results.failed, results.errors);
            let h = &results.tally.response; println!("response n {} p50 {} p99 {} max {}", h.len(), h.value_at_quantile(0.5), h.value_at_quantile(0.99), h.max());
            let h = &results.tally.service; println!("service n {} p50 {} p99 {} max {}", h.len(), h.value_at_quantile(0.5), h.value_at_quantile(0.99), h.max());
            let h = &results.tally.lag; println!("lag n {} p50 {} p99 {} max {}", h.len(), h.value_at_quantile(0.5), h.value_at_quantile(0.99), h.max());
            let a = &results.tally.account;
            println!("rate {:.0} threads {:?} crypto {:?} server {:?}", a.completed as f64 / results.took.as_secs_f64(), results.threads, results.crypto, results.server.map(|s| s.after.since(s.before)));
            println!("little {:.3} vs {:.3}", results.tally.under_way as f64 / results.took.as_nanos() as f64, a.completed as f64 / results.took.as_nanos() as f64 * results.tally.service.mean());
            for row in &results.rows { println!("{row:?}"); }
            Ok(0)
        }
    }
}
