//! The same load over every transport, in turns: what protection costs.
//!
//! A round runs every transport once, each with a server of its own. It computes no ratio. Read
//! next: [`crate::judge::comparison`], which does, and [`crate::report::comparison`].

use clap::ValueEnum as _;
use sealwire_cli::error::Error;
use sealwire_cli::kernel;

use crate::interrupt::Interrupt;
use crate::judge::comparison::Comparison;
use crate::measure::environment::Environment;
use crate::plan::{Plan, Transport};
use crate::report::progress::Progress;
use crate::report::{Report, json};
use crate::run;
use crate::values::name;

/// Runs `plan` over every transport, `rounds` times, or until the user interrupts it.
/// A transport that has fewer than two runs left ends it with its last error.
pub(crate) fn compare(
    plan: &Plan,
    rounds: usize,
    environment: &Environment,
    interrupt: &Interrupt,
) -> Result<Comparison, Error> {
    // An unknown kernel is refused before anything runs.
    let mut comparison = Comparison::new(plan, rounds, kernel::chosen()?);
    let transports = Transport::value_variants();
    for round in 0..rounds {
        for index in order(round, transports.len()) {
            let over = transports[index];
            let mut plan = plan.clone();
            plan.over = over;
            let title = format!("round {} of {rounds}, {}, ", round + 1, name(over));
            let outcome = run::run(&plan, None, interrupt, Progress::new(title, false));
            if interrupt.is_asked() {
                comparison.interrupted = true;
                return Ok(comparison);
            }
            match outcome {
                Ok(results) => {
                    let report = Report::new(&results, &[], environment);
                    let value = json::value(&report);
                    comparison.note(index, &results, &report.figures, &report.verdict, value);
                }
                Err(error) => comparison.failed(index, error)?,
            }
        }
    }
    Ok(comparison)
}

/// The order in which a round runs the transports. A run finds the machine as the run before left
/// it, so each transport must have several predecessors: each one is first in turn, and every
/// other round goes backwards.
fn order(round: usize, transports: usize) -> Vec<usize> {
    let mut order: Vec<_> = (0..transports).collect();
    order.rotate_left(round / 2 % transports);
    if round % 2 == 1 {
        order.reverse();
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a transport does not always run after the same other one. Method: each pair of
    /// neighbours, and each first one, occurs in some round.
    #[test]
    fn predecessors_change() {
        for transports in [2, 3] {
            let rounds: Vec<_> = (0..6).map(|round| order(round, transports)).collect();
            for one in 0..transports {
                assert!(rounds.iter().any(|order| order[0] == one), "{rounds:?}");
                for other in (0..transports).filter(|other| *other != one) {
                    let mut pairs = rounds.iter().flat_map(|order| order.windows(2));
                    let follows = pairs.any(|two| two == [other, one]);
                    assert!(follows, "{other}, {one}: {rounds:?}");
                }
            }
        }
    }
}
