//! A run at each of several rates: `loadgen sweep`.
//!
//! Read next: [`crate::judge::sweep`], which has the rates and the knee, and
//! [`crate::report::sweep`].

use sealwire_cli::error::Error;

use crate::args::Config;
use crate::interrupt::Interrupt;
use crate::judge::sweep::Sweep;
use crate::measure::environment::Environment;
use crate::rates::{Rates, announced, time_of_run, told};

/// What the user is told before it begins.
pub(crate) fn announcement(config: &Config, rates: &[f64]) -> String {
    let each = told(time_of_run(&config.plan));
    let runs = format!("a sweep takes {} runs of {each}", rates.len());
    announced(&config.plan, &runs, rates.len())
}

/// Runs all rates, until the load tester is the bound or the user interrupts it.
pub(crate) fn sweep(
    config: &Config,
    rates: Vec<f64>,
    environment: &Environment,
    interrupt: &Interrupt,
) -> Result<Sweep, Error> {
    let mut runs = Rates::new(config, environment, interrupt)?;
    let mut sweep = Sweep {
        plan: config.plan.clone(),
        own_server: config.to.is_none(),
        rates,
        points: Vec::new(),
        interrupted: false,
        failure: None,
    };
    let all = sweep.rates.len();
    for (index, &rate) in sweep.rates.iter().enumerate() {
        let left = time_of_run(&config.plan).saturating_mul((all - index) as u32);
        let number = index + 1;
        let left = told(left);
        let title = format!("sweep, {rate}/s, {number} of {all}, at most {left} left, ");
        match runs.run(Some(rate), title) {
            Ok(Some((point, _))) => sweep.points.push(point),
            Ok(None) => {
                sweep.interrupted = true;
                break;
            }
            // Without any run there is nothing to report.
            Err(error) if index == 0 => return Err(error),
            Err(error) => {
                sweep.failure = Some(error.to_string());
                break;
            }
        }
        if sweep.load_testers().is_some() {
            break;
        }
    }
    Ok(sweep)
}
