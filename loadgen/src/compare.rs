//! The same load over every transport, in turns: what protection costs.
//!
//! A machine's speed changes from one minute to the next, so a round runs every
//! transport once, ratios are taken within a round, and what is told is the median
//! over rounds, with the least and the most. Each run has a server of its own.

use std::collections::BTreeSet;
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
            Self::P99 if results.tally.response.is_empty() => None,
            Self::P99 => Some(results.tally.response.value_at_quantile(0.99) as f64 / 1e3),
            Self::Memory => results.bytes_per_peer(plan).map(|bytes| bytes / 1024.0),
        };
        figure.filter(|figure| figure.is_finite() && *figure > 0.0)
    }
}

/// One run's figures, in the order of [`Figure::ALL`].
type Run = [Option<f64>; Figure::ALL.len()];

/// What came of it: for each transport, its runs, round by round.
#[derive(Debug)]
pub(crate) struct Comparison {
    plan: Plan,
    runs: Vec<(Over, Vec<Run>)>,
    /// Why figures may not be what they seem.
    reasons: BTreeSet<String>,
    /// Something was wrong or lost.
    faults: bool,
    worst: Grade,
}

/// Least, median, most.
struct Spread([f64; 3]);

impl Spread {
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_unstable_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        Some(Self([least, values[values.len() / 2], most]))
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
    let mut comparison = Comparison {
        plan: plan.clone(),
        runs: Over::ALL.iter().map(|&over| (over, Vec::new())).collect(),
        reasons: BTreeSet::new(),
        faults: false,
        worst: Grade::Valid,
    };
    for round in 1..=rounds {
        for index in 0..Over::ALL.len() {
            let over = Over::ALL[index];
            let plan = Plan {
                over,
                ..plan.clone()
            };
            eprintln!("loadgen: round {round} of {rounds}, {}", over.name());
            let results = run::run(&plan, None, stop)?;
            if stop.load(Ordering::Relaxed) {
                return Ok(comparison);
            }
            comparison.note(index, &plan, &results, environment);
        }
    }
    Ok(comparison)
}

impl Comparison {
    fn note(&mut self, index: usize, plan: &Plan, results: &Results, environment: &Environment) {
        let (over, runs) = &mut self.runs[index];
        runs.push(Figure::ALL.map(|figure| figure.of(plan, results)));
        self.faults |= report::found_faults(results);
        let verdict = verdict::judge(plan, results, &[], environment);
        self.worst = self.worst.max(verdict.grade);
        for reason in verdict.reasons {
            self.reasons.insert(format!("{}: {reason}", over.name()));
        }
    }

    fn runs_of(&self, over: Over) -> &[Run] {
        let found = self.runs.iter().find(|(one, _)| *one == over);
        found.map_or(&[], |(_, runs)| runs)
    }

    fn figure(&self, over: Over, figure: Figure) -> Option<Spread> {
        let values = self.runs_of(over).iter();
        Spread::of(values.filter_map(|run| run[figure as usize]).collect())
    }

    /// Ours by another's, round by round.
    fn ratio(&self, to: Over, figure: Figure) -> Option<Spread> {
        let rounds = self.runs_of(Over::Sealed).iter().zip(self.runs_of(to));
        let of =
            |(ours, theirs): (&Run, &Run)| Some(ours[figure as usize]? / theirs[figure as usize]?);
        Spread::of(rounds.filter_map(of).collect())
    }

    fn others(&self) -> impl Iterator<Item = Over> {
        let others = self.runs.iter().map(|(over, _)| *over);
        others.filter(|over| *over != Over::Sealed)
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
        match (self.faults, self.worst) {
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
        for (over, runs) in &self.runs {
            let _ = write!(
                text,
                "{:18}",
                format!("{} ({} runs)", over.name(), runs.len())
            );
            for figure in Figure::ALL {
                let cell = match self.figure(*over, figure) {
                    Some(Spread([_, median, _])) => number(median),
                    None => "-".into(),
                };
                let _ = write!(text, "{cell:>24}");
            }
            text.push('\n');
        }
        for to in self.others() {
            let _ = write!(text, "{:18}", format!("sealed / {}", to.name()));
            for figure in Figure::ALL {
                let cell = match self.ratio(to, figure) {
                    Some(Spread([least, median, most])) => {
                        format!("{median:.3} ({least:.2} to {most:.2})")
                    }
                    None => "-".into(),
                };
                let _ = write!(text, "{cell:>24}");
            }
            text.push('\n');
        }
        for reason in &self.reasons {
            let _ = writeln!(text, "note: {reason}");
        }
        text
    }

    fn json(&self, environment: &Environment) -> Value {
        let named = |spread: &dyn Fn(Figure) -> Option<Spread>| -> Value {
            let one = |figure: Figure| {
                let spread = spread(figure).map(|spread| spread.json());
                (figure.names(&self.plan).1.to_owned(), spread.into())
            };
            Value::Object(Figure::ALL.into_iter().map(one).collect())
        };
        let transports = self.runs.iter().map(|(over, _)| {
            (
                over.name().to_owned(),
                named(&|figure| self.figure(*over, figure)),
            )
        });
        let ratios = self.others().map(|to| {
            let name = format!("sealed_by_{}", to.name());
            (name, named(&|figure| self.ratio(to, figure)))
        });
        json!({
            "format": json::FORMAT,
            "environment": json::of_environment(environment),
            "plan": json::of_plan(&self.plan),
            "rounds": self.runs_of(Over::Sealed).len(),
            "transports": Value::Object(transports.collect()),
            "ratios": Value::Object(ratios.collect()),
            "notes": self.reasons,
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
