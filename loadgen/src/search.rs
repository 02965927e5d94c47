//! The highest rate that meets the user's bounds: `loadgen search`.
//!
//! A closed loop finds the range, and runs at one rate after the other narrow it. Read next:
//! [`crate::judge::search`], which says at which rate, and [`crate::report::search`].

use sealwire_cli::error::Error;

use crate::args::Config;
use crate::interrupt::Interrupt;
use crate::judge::search::{Run, Search, Searched};
use crate::judge::slo::Slo;
use crate::measure::environment::Environment;
use crate::rates::{Rates, announced, time_of_run, told};

/// What the user is told before it begins.
pub(crate) fn announcement(config: &Config, rounds: usize) -> String {
    // The closed loop is one more.
    let most = 1 + Search::most_runs(rounds);
    let each = told(time_of_run(&config.plan));
    let runs = format!("a search takes up to {most} runs of {each}");
    announced(&config.plan, &runs, most)
}

/// Searches, until the rate is known or the user interrupts it. Only whole runs count.
pub(crate) fn search(
    config: &Config,
    rounds: usize,
    environment: &Environment,
    interrupt: &Interrupt,
) -> Result<Searched, Error> {
    let mut rates = Rates::new(config, environment, interrupt)?;
    let mut searched = Searched::new(&config.plan, config.to.is_none(), &config.slos, rounds);
    let Some((closed, _)) = rates.run(None, "search, a closed loop first, ".into())? else {
        return Ok(searched);
    };
    if closed.messages_per_second <= 0.0 {
        let text = "nothing was answered in a closed loop, so a search has no rate to begin with";
        return Err(Error::Local(text.into()));
    }
    let needs = config.slos.iter().map(Slo::needs).max().unwrap_or_default();
    let least = needs as f64 / config.plan.duration.as_secs_f64();
    let mut search = Search::new(closed.messages_per_second, least, rounds);
    searched.closed = Some(closed);
    while let Some((rate, had)) = search.next() {
        let left = time_of_run(&config.plan).saturating_mul(search.most_left() as u32);
        let title = format!(
            "search, {rate}/s, run {} of {rounds}, at most {} left, ",
            had + 1,
            told(left)
        );
        let (point, outcome) = match rates.run(Some(rate), title) {
            Ok(Some(run)) => run,
            Ok(None) => break,
            Err(error) => {
                searched.failure = Some(error.to_string());
                break;
            }
        };
        search.note(rate, outcome);
        searched.runs.push(Run {
            rate,
            outcome,
            point,
        });
    }
    searched.interrupted = interrupt.is_asked();
    searched.search = Some(search);
    Ok(searched)
}
