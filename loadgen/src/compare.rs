//! The same load over every transport, in turns: what protection costs.
//!
//! A machine's speed changes from one minute to the next, so a round runs every
//! transport once; ratios are taken within a round, and what is told is the median
//! over rounds, with the least and the most. Each run has a server of its own. What
//! is told of it is in [`crate::report::comparison`].

use std::collections::BTreeMap;

use sealwire::crypto::kernel::Kernel;
use sealwire_cli::error::Error;
use sealwire_cli::kernel;
use serde_json::Value;

use crate::environment::Environment;
use crate::interrupt::Interrupt;
use crate::plan::{Kind, Over, Plan};
use crate::progress::Progress;
use crate::report::{Report, json};
use crate::results::Results;
use crate::run;
use crate::times::Quantile;
use crate::verdict::{self, Grade};

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Figure {
    Throughput,
    ServerCpu,
    P99,
    Memory,
}

impl Figure {
    pub(crate) const ALL: [Self; 4] = [Self::Throughput, Self::ServerCpu, Self::P99, Self::Memory];

    /// In the table, and in JSON.
    pub(crate) fn names(self, plan: &Plan) -> (&'static str, &'static str) {
        match (self, plan.kind) {
            (Self::Throughput, Kind::Churn) => ("connections/s", "connections_per_second"),
            (Self::ServerCpu, Kind::Churn) => ("server us/conn", "server_cpu_us_per_connection"),
            (Self::Throughput, _) => ("messages/s", "messages_per_second"),
            (Self::ServerCpu, _) => ("server us/msg", "server_cpu_us_per_message"),
            (Self::P99, _) => ("p99 us", "response_p99_us"),
            (Self::Memory, _) => ("KiB/peer", "server_kib_per_peer"),
        }
    }

    /// That of a run; `None` where there is none.
    fn of(self, plan: &Plan, results: &Results) -> Option<f64> {
        let figure = match self {
            Self::Throughput => Some(results.messages_per_second(plan)),
            Self::ServerCpu => {
                let used = results.server_us_per_message(plan);
                used.map(|(user, system)| user + system)
            }
            Self::P99 => {
                let nanos = Quantile::P99.of(&results.tally.response);
                nanos.map(|nanos| nanos as f64 / 1e3)
            }
            Self::Memory => results.bytes_per_peer(plan).map(|bytes| bytes / 1024.0),
        };
        figure.filter(|figure| figure.is_finite())
    }
}

/// One run's figures, in the order of [`Figure::ALL`].
type Figures = [Option<f64>; Figure::ALL.len()];

/// What came of a transport.
#[derive(Debug)]
pub(crate) struct Transport {
    pub(crate) over: Over,
    /// Round by round; `None` where it could not be run.
    runs: Vec<Option<Figures>>,
    /// The worst of any run, and which rules were broken in how many.
    pub(crate) grade: Grade,
    pub(crate) rules: BTreeMap<&'static str, usize>,
    /// What went wrong in runs, and how many times; and what kept runs from being.
    pub(crate) errors: BTreeMap<String, u64>,
    pub(crate) failures: BTreeMap<String, usize>,
    /// In some run the load tester had no more to give.
    pub(crate) at_least: bool,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Comparison {
    pub(crate) plan: Plan,
    pub(crate) rounds: usize,
    /// What seals and opens, on both sides.
    pub(crate) kernel: Kernel,
    pub(crate) transports: Vec<Transport>,
    /// All that there is to tell of each run, as JSON, in the order of time.
    pub(crate) runs: Vec<Value>,
    /// Something was wrong or lost.
    pub(crate) faults: bool,
    /// The user ended it before all rounds were over.
    pub(crate) interrupted: bool,
}

/// Least, median, most; and of how many rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) least: f64,
    pub(crate) median: f64,
    pub(crate) most: f64,
    pub(crate) rounds: usize,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_unstable_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let middle = [(values.len() - 1) / 2, values.len() / 2];
        Some(Self {
            least,
            median: middle.map(|at| values[at]).iter().sum::<f64>() / 2.0,
            most,
            rounds: values.len(),
        })
    }
}

/// Runs `plan` over every transport, `rounds` times, or until the user interrupts it.
///
/// # Errors
///
/// What kept so many runs from being made that fewer than two of a transport are left.
pub(crate) fn compare(
    plan: &Plan,
    rounds: usize,
    environment: &Environment,
    interrupt: &Interrupt,
) -> Result<Comparison, Error> {
    // What is no kernel is refused before anything is run.
    let mut comparison = Comparison::new(plan, rounds, kernel::chosen()?);
    for round in 0..rounds {
        for index in order(round, Over::ALL.len()) {
            let over = Over::ALL[index];
            let plan = Plan {
                over,
                ..plan.clone()
            };
            let title = format!("round {} of {rounds}, {}, ", round + 1, over.name());
            let outcome = run::run(&plan, None, interrupt, Progress::new(title, false));
            if interrupt.is_asked() {
                comparison.interrupted = true;
                return Ok(comparison);
            }
            match outcome {
                Ok(results) => comparison.note(index, &plan, &results, environment),
                Err(error) => comparison.failed(index, error)?,
            }
        }
    }
    Ok(comparison)
}

/// In which order the transports are run in a round. What follows another run finds
/// the machine as that left it, so it is not always the same one: each is first in
/// turn, and every other round goes backwards.
fn order(round: usize, transports: usize) -> Vec<usize> {
    let mut order: Vec<_> = (0..transports).collect();
    order.rotate_left(round / 2 % transports);
    if round % 2 == 1 {
        order.reverse();
    }
    order
}

impl Transport {
    fn new(over: Over) -> Self {
        Self {
            over,
            runs: Vec::new(),
            grade: Grade::Valid,
            rules: BTreeMap::new(),
            errors: BTreeMap::new(),
            failures: BTreeMap::new(),
            at_least: false,
        }
    }

    /// How many runs there are.
    pub(crate) fn count(&self) -> usize {
        self.runs.iter().flatten().count()
    }

    pub(crate) fn figure(&self, figure: Figure) -> Option<Spread> {
        let runs = self.runs.iter().flatten();
        Spread::of(runs.filter_map(|run| run[figure as usize]).collect())
    }

    /// This one's by another's, round by round.
    pub(crate) fn ratio(&self, to: &Self, figure: Figure) -> Option<Spread> {
        let rounds = self.runs.iter().zip(&to.runs);
        let of = |(ours, theirs): (&Option<Figures>, &Option<Figures>)| {
            let ratio = (*ours)?[figure as usize]? / (*theirs)?[figure as usize]?;
            ratio.is_finite().then_some(ratio)
        };
        Spread::of(rounds.filter_map(of).collect())
    }
}

impl Comparison {
    pub(crate) fn new(plan: &Plan, rounds: usize, kernel: Kernel) -> Self {
        let transports = Over::ALL.iter().map(|&over| Transport::new(over));
        Self {
            plan: plan.clone(),
            rounds,
            kernel,
            transports: transports.collect(),
            runs: Vec::new(),
            faults: false,
            interrupted: false,
        }
    }

    /// A run of one of the transports.
    pub(crate) fn note(
        &mut self,
        index: usize,
        plan: &Plan,
        results: &Results,
        environment: &Environment,
    ) {
        let verdict = verdict::judge(plan, results, &[], environment);
        let transport = &mut self.transports[index];
        let mut run = json::value(&Report {
            plan,
            results,
            environment,
            slos: &[],
            verdict: &verdict,
        });
        run["round"] = (transport.runs.len() + 1).into();
        self.runs.push(run);
        let figures = Figure::ALL.map(|figure| figure.of(plan, results));
        transport.runs.push(Some(figures));
        transport.grade = transport.grade.max(verdict.grade);
        for reason in verdict.reasons {
            *transport.rules.entry(reason.rule).or_default() += 1;
        }
        for (why, count) in &results.errors {
            *transport.errors.entry(why.clone()).or_default() += count;
        }
        transport.at_least |= verdict.at_least;
        self.faults |= results.found_faults();
    }

    /// A run could not be made. The others count, if enough of them are left.
    fn failed(&mut self, index: usize, error: Error) -> Result<(), Error> {
        let transport = &mut self.transports[index];
        transport.runs.push(None);
        *transport.failures.entry(error.to_string()).or_default() += 1;
        match self.rounds - transport.failures.values().sum::<usize>() {
            0 | 1 => Err(error),
            _ => Ok(()),
        }
    }

    /// Ours, and each of those that it is compared with.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&Transport, &Transport)> {
        let is_ours = |transport: &&Transport| transport.over == Over::Sealed;
        let ours = self.transports.iter().find(is_ours);
        let others = self.transports.iter().filter(move |one| !is_ours(one));
        ours.into_iter()
            .flat_map(move |ours| others.clone().map(move |other| (ours, other)))
    }

    /// The worst of all, and no more than suspect if it is not whole.
    pub(crate) fn grade(&self) -> Grade {
        let mut all = self.transports.iter();
        let whole = match self.interrupted || all.any(|one| !one.failures.is_empty()) {
            true => Grade::Suspect,
            false => Grade::Valid,
        };
        let grades = self.transports.iter().map(|transport| transport.grade);
        grades.fold(whole, Grade::max)
    }
}

#[cfg(test)]
mod tests;
