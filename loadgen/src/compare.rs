//! The same load over every transport, in turns: what protection costs.
//!
//! A machine's speed changes from one minute to the next, so a round runs every
//! transport once, each round beginning with another one; ratios are taken within a round, and what is told is the median
//! over rounds, with the least and the most. Each run has a server of its own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sealwire::error::Error;
use serde_json::{Value, json};

use crate::environment::Environment;
use crate::plan::{Kind, Over, Plan};
use crate::report::{self, Outputs, headline, json};
use crate::results::Results;
use crate::run;
use crate::times::Quantile;
use crate::verdict::{self, Grade};

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Figure {
    Throughput,
    ServerCpu,
    P99,
    Memory,
}

impl Figure {
    const ALL: [Self; 4] = [Self::Throughput, Self::ServerCpu, Self::P99, Self::Memory];

    /// In the table, and in JSON.
    fn names(self, plan: &Plan) -> (&'static str, &'static str) {
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
type Run = [Option<f64>; Figure::ALL.len()];

/// What came of a transport.
#[derive(Debug)]
struct Transport {
    over: Over,
    /// Round by round.
    runs: Vec<Run>,
    /// The worst of any run, and why.
    grade: Grade,
    reasons: BTreeMap<String, usize>,
    /// In some run the generator had no more to give.
    at_least: bool,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Comparison {
    plan: Plan,
    rounds: usize,
    transports: Vec<Transport>,
    /// Something was wrong or lost.
    faults: bool,
    /// The user ended it before all rounds were over.
    interrupted: bool,
}

/// Least, median, most.
struct Spread([f64; 3]);

impl Spread {
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_unstable_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let middle = [(values.len() - 1) / 2, values.len() / 2];
        let median = middle.map(|at| values[at]).iter().sum::<f64>() / 2.0;
        Some(Self([least, median, most]))
    }

    fn json(&self) -> Value {
        let [least, median, most] = self.0;
        json!({ "least": least, "median": median, "most": most })
    }
}

/// Runs `plan` over every transport, `rounds` times, or until `stop`.
pub(crate) fn compare(
    plan: &Plan,
    rounds: usize,
    environment: &Environment,
    stop: &Arc<AtomicBool>,
) -> Result<Comparison, Error> {
    let mut comparison = Comparison::new(plan, rounds);
    for round in 0..rounds {
        for turn in 0..Over::ALL.len() {
            // What follows another run finds the machine as that left it.
            let index = (round + turn) % Over::ALL.len();
            let over = Over::ALL[index];
            let plan = Plan {
                over,
                ..plan.clone()
            };
            eprintln!("loadgen: round {} of {rounds}, {}", round + 1, over.name());
            let results = run::run(&plan, None, stop)?;
            if stop.load(Ordering::Relaxed) {
                comparison.interrupted = true;
                return Ok(comparison);
            }
            comparison.note(index, &plan, &results, environment);
        }
    }
    Ok(comparison)
}

impl Transport {
    fn figure(&self, figure: Figure) -> Option<Spread> {
        let values = self.runs.iter();
        Spread::of(values.filter_map(|run| run[figure as usize]).collect())
    }

    /// This one's by another's, round by round.
    fn ratio(&self, to: &Self, figure: Figure) -> Option<Spread> {
        let rounds = self.runs.iter().zip(&to.runs);
        let of = |(ours, theirs): (&Run, &Run)| {
            let ratio = ours[figure as usize]? / theirs[figure as usize]?;
            ratio.is_finite().then_some(ratio)
        };
        Spread::of(rounds.filter_map(of).collect())
    }

    fn row(&self) -> String {
        let name = format!("{} ({} runs)", self.over.name(), self.runs.len());
        let mut row = format!("{name:18}");
        for figure in Figure::ALL {
            let at_least = match figure {
                Figure::Throughput if self.at_least => "at least ",
                _ => "",
            };
            let cell = match self.figure(figure) {
                Some(Spread([_, median, _])) => format!("{at_least}{}", number(median)),
                None => "-".into(),
            };
            // Writing to a String does not fail.
            let _ = write!(row, "{cell:>24}");
        }
        if !self.runs.is_empty() {
            let _ = write!(row, "  {}", self.grade.name());
        }
        row + "\n"
    }

    fn json(&self, plan: &Plan) -> Value {
        let mut value = named(plan, |figure| self.figure(figure));
        value["runs"] = self.runs.len().into();
        value["verdict"] = match self.runs.is_empty() {
            true => Value::Null,
            false => self.grade.name().into(),
        };
        value["at_least"] = self.at_least.into();
        value
    }
}

/// An object with the spread of every figure.
fn named(plan: &Plan, spread: impl Fn(Figure) -> Option<Spread>) -> Value {
    let one = |figure: Figure| {
        let spread = spread(figure).map(|spread| spread.json());
        (figure.names(plan).1.to_owned(), spread.into())
    };
    Value::Object(Figure::ALL.into_iter().map(one).collect())
}

impl Comparison {
    fn new(plan: &Plan, rounds: usize) -> Self {
        let transports = Over::ALL.iter().map(|&over| Transport {
            over,
            runs: Vec::new(),
            grade: Grade::Valid,
            reasons: BTreeMap::new(),
            at_least: false,
        });
        Self {
            plan: plan.clone(),
            rounds,
            transports: transports.collect(),
            faults: false,
            interrupted: false,
        }
    }

    fn note(&mut self, index: usize, plan: &Plan, results: &Results, environment: &Environment) {
        let verdict = verdict::judge(plan, results, &[], environment);
        let transport = &mut self.transports[index];
        let run = Figure::ALL.map(|figure| figure.of(plan, results));
        transport.runs.push(run);
        transport.grade = transport.grade.max(verdict.grade);
        for reason in verdict.reasons {
            // Its figures are those of one run.
            let figures = reason.find(|c: char| c.is_ascii_digit() || "+-".contains(c));
            let kind = reason[..figures.unwrap_or(reason.len())].trim_end_matches(" by ");
            *transport.reasons.entry(kind.trim_end().into()).or_default() += 1;
        }
        transport.at_least |= verdict.at_least;
        self.faults |= report::found_faults(results);
    }

    /// Ours, and each of those that it is compared with.
    fn pairs(&self) -> impl Iterator<Item = (&Transport, &Transport)> {
        let is_ours = |transport: &&Transport| transport.over == Over::Sealed;
        let ours = self.transports.iter().find(is_ours);
        let others = self.transports.iter().filter(move |one| !is_ours(one));
        ours.into_iter()
            .flat_map(move |ours| others.clone().map(move |other| (ours, other)))
    }

    /// The worst of all, and no more than suspect if it is not whole.
    fn grade(&self) -> Grade {
        let grades = self.transports.iter().map(|transport| transport.grade);
        let whole = match self.interrupted {
            true => Grade::Suspect,
            false => Grade::Valid,
        };
        grades.fold(whole, Grade::max)
    }

    /// What there is to say about the figures, one line each.
    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.interrupted {
            let least = self.transports.iter().map(|one| one.runs.len()).min();
            notes.push(format!(
                "it was interrupted: {} of {} rounds are whole",
                least.unwrap_or(0),
                self.rounds
            ));
        }
        let bound = self.transports.iter().filter(|one| one.at_least);
        let bound: Vec<_> = bound.map(|one| one.over.name()).collect();
        if !bound.is_empty() {
            notes.push(format!(
                "the generator was the bound of {}: ratios of throughput with it are not the servers'",
                bound.join(", ")
            ));
        }
        for transport in &self.transports {
            let name = transport.over.name();
            let reasons = transport.reasons.iter();
            notes.extend(reasons.map(|(why, runs)| format!("{name}, {runs} runs: {why}")));
        }
        notes
    }

    /// Tells it: on stdout, and as JSON where that is wanted.
    ///
    /// # Errors
    ///
    /// [`Error::Local`] if one of them cannot be written.
    pub(crate) fn emit(&self, environment: &Environment, outputs: &Outputs) -> Result<(), Error> {
        let json = format!("{:#}\n", self.json(environment));
        let text = match &outputs.json {
            Some(file) if file == Path::new("-") => json,
            Some(file) => {
                report::write(Some(file), || json)?;
                self.table(environment)
            }
            None => self.table(environment),
        };
        report::write_to(&mut std::io::stdout(), &text)
    }

    /// What the program leaves with.
    pub(crate) fn exit_code(&self, strict: bool) -> u8 {
        match (self.faults, self.grade()) {
            (true, _) => report::FOUND_FAULTS,
            (false, Grade::Suspect | Grade::Invalid) if strict => report::NOT_VALID,
            _ => 0,
        }
    }

    fn table(&self, environment: &Environment) -> String {
        let mut text = headline::of_comparison(&self.plan, environment);
        let _ = write!(text, "\n{:18}", "medians");
        for figure in Figure::ALL {
            // Writing to a String does not fail.
            let _ = write!(text, "{:>24}", figure.names(&self.plan).0);
        }
        text.push('\n');
        for transport in &self.transports {
            text += &transport.row();
        }
        for (ours, other) in self.pairs() {
            let name = format!("{} / {}", ours.over.name(), other.over.name());
            let _ = write!(text, "{name:18}");
            for figure in Figure::ALL {
                let cell = match ours.ratio(other, figure) {
                    Some(Spread([least, median, most])) => {
                        format!("{median:.3} ({least:.2} to {most:.2})")
                    }
                    None => "-".into(),
                };
                let _ = write!(text, "{cell:>24}");
            }
            text.push('\n');
        }
        for note in self.notes() {
            let _ = writeln!(text, "note: {note}");
        }
        let _ = writeln!(text, "\n{}", self.grade().name());
        text
    }

    fn json(&self, environment: &Environment) -> Value {
        let transports = self.transports.iter();
        let transports = transports.map(|one| (one.over.name().to_owned(), one.json(&self.plan)));
        let ratios = self.pairs().map(|(ours, other)| {
            let name = format!("{}_by_{}", ours.over.name(), other.over.name());
            (name, named(&self.plan, |figure| ours.ratio(other, figure)))
        });
        json!({
            "format": json::FORMAT,
            "environment": json::of_environment(environment),
            "plan": json::of_plan(&self.plan),
            "rounds": self.rounds,
            "interrupted": self.interrupted,
            "verdict": self.grade().name(),
            "transports": Value::Object(transports.collect()),
            "ratios": Value::Object(ratios.collect()),
            "notes": self.notes(),
        })
    }
}

/// With three digits that mean something, or all there are before the point.
fn number(value: f64) -> String {
    match value {
        ..10.0 => format!("{value:.3}"),
        ..100.0 => format!("{value:.2}"),
        ..1000.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests;
