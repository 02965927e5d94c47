//! The same load in rounds: over every transport, which shows what protection costs, or over one.
//!
//! A round runs every transport once, each with a server of its own or with the one that is given.
//! It computes no ratio. Read next: [`crate::judge::comparison`], which does, and [`crate::report::comparison`].

use sealwire_cli::error::Error;

use crate::interrupt::Interrupt;
use crate::judge::comparison::Comparison;
use crate::measure::environment::Environment;
use crate::plan::Target;
use crate::report::progress::Progress;
use crate::report::{Report, json};
use crate::run;
use crate::values::name;

/// Runs the rounds of `comparison`, which has none yet, or until the user interrupts it. A
/// transport that has fewer than two runs left ends it with its last error.
pub(crate) fn compare(
    comparison: &mut Comparison,
    to: Option<&Target>,
    environment: &Environment,
    interrupt: &Interrupt,
) -> Result<(), Error> {
    let (rounds, transports) = (comparison.rounds, comparison.transports.len());
    for round in 0..rounds {
        for index in order(round, transports) {
            let over = comparison.transports[index].over;
            let mut plan = comparison.plan.clone();
            plan.over = over;
            let title = match comparison.is_alone() {
                true => format!("round {} of {rounds}, ", round + 1),
                false => format!("round {} of {rounds}, {}, ", round + 1, name(over)),
            };
            let outcome = run::run(&plan, to, interrupt, Progress::new(title, false));
            if interrupt.is_asked() {
                comparison.interrupted = true;
                return Ok(());
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
    Ok(())
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
