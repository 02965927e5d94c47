//! The result of a comparison: ratios, and how far they can be trusted.
//!
//! A machine's speed changes from one minute to the next. So a ratio is taken within a round,
//! and the figure is the median over the rounds, with the least and the most.
//! [`crate::compare`] makes the rounds.

use std::collections::{BTreeMap, BTreeSet};

use clap::ValueEnum as _;
use sealwire::Kernel;
use sealwire_cli::error::Error;
use serde::Serialize;
use serde_json::Value;

use super::steadiness::{self, DISTURBED, UNSTEADY};
use super::{Grade, Reason, Verdict, baseline};
use crate::limits::{REPEATS, REPEATS_RUNS};
use crate::measure::figures::Figures;
use crate::measure::quantile::Quantile;
use crate::measure::results::Results;
use crate::plan::{Kind, Plan, Transport};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Figure {
    Throughput,
    ServerCpu,
    P99,
    Memory,
}

impl Figure {
    pub(crate) const ALL: [Self; 4] = [Self::Throughput, Self::ServerCpu, Self::P99, Self::Memory];

    /// Its name in the table, and in JSON.
    pub(crate) fn names(self, kind: Kind) -> (&'static str, &'static str) {
        match (self, kind) {
            (Self::Throughput, Kind::Churn) => ("connections/s", "connections_per_second"),
            (Self::ServerCpu, Kind::Churn) => ("server us/conn", "server_cpu_us_per_connection"),
            (Self::Throughput, _) => ("messages/s", "messages_per_second"),
            (Self::ServerCpu, _) => ("server us/msg", "server_cpu_us_per_message"),
            (Self::P99, _) => ("p99 us", "response_p99_us"),
            (Self::Memory, _) => ("KiB/peer", "server_kib_per_peer"),
        }
    }

    fn of(self, results: &Results, figures: &Figures) -> Option<f64> {
        let figure = match self {
            Self::Throughput => Some(figures.messages_per_second),
            Self::ServerCpu => figures.server_cpu_us_per_message,
            Self::P99 => {
                let nanos = Quantile::P99.of(&results.tally.response);
                nanos.map(|nanos| nanos as f64 / 1e3)
            }
            Self::Memory => figures.server_bytes_per_peer.map(|bytes| bytes / 1024.0),
        };
        figure.filter(|figure| figure.is_finite())
    }
}

/// One run's figures, in the order of [`Figure::ALL`].
type RunFigures = [Option<f64>; Figure::ALL.len()];

pub(crate) struct TransportRuns {
    pub(crate) over: Transport,
    /// Round by round; `None` where the run failed.
    runs: Vec<Option<RunFigures>>,
    pub(crate) grade: Grade,
    /// By how much the throughput of each run changed on its way, if by more than chance.
    changes: Vec<Option<f64>>,
    /// Which rules were broken, and in how many runs.
    pub(crate) rules: BTreeMap<&'static str, usize>,
    /// What went wrong in runs, and how many times.
    pub(crate) errors: BTreeMap<String, u64>,
    /// Why runs failed, and how many.
    pub(crate) failures: BTreeMap<String, usize>,
    /// In some run the load tester was at its limit.
    pub(crate) at_least: bool,
}

/// Rounds over every transport, or over one.
pub(crate) struct Comparison {
    pub(crate) plan: Plan,
    pub(crate) own_server: bool,
    pub(crate) rounds: usize,
    pub(crate) kernel: Kernel,
    pub(crate) transports: Vec<TransportRuns>,
    /// The report of each run as JSON, in the order of time.
    pub(crate) runs: Vec<Value>,
    pub(crate) faults: bool,
    /// The user ended it before all rounds were over.
    pub(crate) interrupted: bool,
    /// The figures beside those of an older report.
    pub(crate) baseline: Option<baseline::Judged>,
}

/// Least, median, most; and of how many rounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) least: f64,
    pub(crate) median: f64,
    pub(crate) most: f64,
    pub(crate) rounds: usize,
}

impl Spread {
    pub(crate) fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<_> = values.collect();
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

impl TransportRuns {
    pub(crate) fn count(&self) -> usize {
        self.runs.iter().flatten().count()
    }

    pub(crate) fn figure(&self, figure: Figure) -> Option<Spread> {
        Spread::of(self.figures(figure).flatten())
    }

    /// `figure` of each round, where it is known.
    pub(crate) fn figures(&self, figure: Figure) -> impl Iterator<Item = Option<f64>> {
        self.runs.iter().map(move |run| (*run)?[figure as usize])
    }

    /// The change that repeats from run to run, in one direction.
    fn repeated(&self) -> Option<f64> {
        let all = self.changes.len();
        let most = (all as f64 * REPEATS).ceil() as usize;
        let of = |sign: f64| {
            let changes = self.changes.iter().flatten();
            let same = changes.copied().filter(|change| change.signum() == sign);
            Spread::of(same).filter(|spread| spread.rounds >= most)
        };
        let repeated = of(1.0).or_else(|| of(-1.0))?;
        (all >= REPEATS_RUNS).then_some(repeated.median)
    }

    /// This transport's figure divided by another's, round by round.
    pub(crate) fn ratio(&self, to: &Self, figure: Figure) -> Option<Spread> {
        Spread::of(self.ratios(to, figure).flatten())
    }

    /// The ratio of each round, where both are known.
    pub(crate) fn ratios(&self, to: &Self, figure: Figure) -> impl Iterator<Item = Option<f64>> {
        let both = self.figures(figure).zip(to.figures(figure));
        both.map(|(ours, theirs)| Some(ours? / theirs?).filter(|ratio| ratio.is_finite()))
    }
}

/// Whether `reason` is that the run changed on its way.
fn is_steadiness(reason: &Reason) -> bool {
    [UNSTEADY, DISTURBED].contains(&reason.rule)
}

impl Comparison {
    /// Over every transport, each with a server of its own.
    pub(crate) fn new(plan: &Plan, rounds: usize, kernel: Kernel) -> Self {
        Self::over(Transport::value_variants(), plan, rounds, kernel, true)
    }

    /// The same plan again and again.
    pub(crate) fn repeated(plan: &Plan, rounds: usize, kernel: Kernel, own_server: bool) -> Self {
        Self::over(&[plan.over], plan, rounds, kernel, own_server)
    }

    fn over(
        transports: &[Transport],
        plan: &Plan,
        rounds: usize,
        kernel: Kernel,
        own_server: bool,
    ) -> Self {
        let transports = transports.iter().map(|&over| TransportRuns {
            over,
            runs: Vec::new(),
            changes: Vec::new(),
            grade: Grade::Valid,
            rules: BTreeMap::new(),
            errors: BTreeMap::new(),
            failures: BTreeMap::new(),
            at_least: false,
        });
        Self {
            plan: plan.clone(),
            own_server,
            rounds,
            kernel,
            transports: transports.collect(),
            runs: Vec::new(),
            faults: false,
            interrupted: false,
            baseline: None,
        }
    }

    /// Whether there is one transport alone, and nothing to divide by.
    pub(crate) fn is_alone(&self) -> bool {
        self.transports.len() == 1
    }

    pub(crate) fn note(
        &mut self,
        index: usize,
        results: &Results,
        figures: &Figures,
        verdict: &Verdict,
        mut report: Value,
    ) {
        let transport = &mut self.transports[index];
        report["round"] = (transport.runs.len() + 1).into();
        self.runs.push(report);
        let run = Figure::ALL.map(|figure| figure.of(results, figures));
        transport.runs.push(Some(run));
        transport.changes.push(steadiness::change(results));
        let doubts = verdict.reasons.iter().filter(|one| !is_steadiness(one));
        let worst = doubts.map(|reason| reason.grade).max();
        transport.grade = transport.grade.max(worst.unwrap_or_default());
        // A run may break a rule in two ways.
        let rules: BTreeSet<_> = verdict.reasons.iter().map(|one| one.rule).collect();
        for rule in rules {
            *transport.rules.entry(rule).or_default() += 1;
        }
        for (why, count) in &results.peers.errors {
            *transport.errors.entry(why.clone()).or_default() += count;
        }
        transport.at_least |= verdict.at_least;
        self.faults |= results.found_faults();
    }

    /// Notes a failed run. Returns its error once fewer than two of the transport can succeed.
    pub(crate) fn failed(&mut self, index: usize, error: Error) -> Result<(), Error> {
        let transport = &mut self.transports[index];
        transport.runs.push(None);
        *transport.failures.entry(error.to_string()).or_default() += 1;
        match self.rounds - transport.failures.values().sum::<usize>() {
            0 | 1 => Err(error),
            _ => Ok(()),
        }
    }

    /// Ours, and each that it is compared with.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&TransportRuns, &TransportRuns)> {
        let is_ours = |transport: &&TransportRuns| transport.over == Transport::Sealed;
        let ours = self.transports.iter().find(is_ours);
        let others = self.transports.iter().filter(move |one| !is_ours(one));
        ours.into_iter()
            .flat_map(move |ours| others.clone().map(move |other| (ours, other)))
    }

    /// The worst grade of all runs; at best suspect if a run is missing.
    pub(crate) fn grade(&self) -> Grade {
        let mut all = self.transports.iter();
        let whole = match self.interrupted || all.any(|one| !one.failures.is_empty()) {
            true => Grade::Suspect,
            false => Grade::Valid,
        };
        let grades = self.transports.iter().map(|one| self.grade_of(one));
        grades.fold(whole, Grade::max)
    }

    /// The worst grade of this transport's runs. A change on the way of a run is noise, unless it
    /// repeats.
    pub(crate) fn grade_of(&self, transport: &TransportRuns) -> Grade {
        let steady = match self.drift(transport) {
            Some(_) => Grade::Suspect,
            None => Grade::Valid,
        };
        transport.grade.max(steady)
    }

    /// By how much the throughput of this transport's runs changes again and again, as a median;
    /// `None` if that does not repeat, or does so with plain TCP, too: then it is the machine's.
    pub(crate) fn drift(&self, transport: &TransportRuns) -> Option<f64> {
        let is_plain = |one: &&TransportRuns| one.over == Transport::Plain;
        let plain = self.transports.iter().find(is_plain);
        let of_plain = plain.filter(|plain| plain.over != transport.over);
        let of_plain = of_plain.and_then(TransportRuns::repeated);
        let drift = transport.repeated()?;
        let same = of_plain.is_some_and(|of_plain| of_plain.signum() == drift.signum());
        (!same).then_some(drift)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::judge;
    use crate::testing;

    /// Goal: a median of an even number is between the two in the middle. Method: one to three
    /// values, and none.
    #[test]
    fn medians() {
        for (values, due) in [
            (&[3.0][..], [3.0, 3.0, 3.0]),
            (&[4.0, 1.0], [1.0, 2.5, 4.0]),
            (&[9.0, 1.0, 2.0], [1.0, 2.0, 9.0]),
        ] {
            let spread = Spread::of(values.iter().copied()).unwrap();
            assert_eq!([spread.least, spread.median, spread.most], due);
            assert_eq!(spread.rounds, values.len());
        }
        assert!(Spread::of(std::iter::empty()).is_none());
    }

    /// Goal: a failed run leaves the others as they are: ratios are of the rounds that both
    /// have. Method: three rounds; one fails of one transport, then one more.
    #[test]
    fn a_run_fails() {
        let here = testing::environment();
        let mut comparison = Comparison::new(&testing::plan(), 3, Kernel::PORTABLE);
        let note = |comparison: &mut Comparison, index: usize, ran: u64| {
            let mut results = testing::results();
            testing::answers(&mut results, |count| count * ran);
            let figures = Figures::of(&results);
            let verdict = judge(&results, &figures, &[], &here);
            comparison.note(index, &results, &figures, &verdict, Value::Null);
        };
        let error = || Error::Local("no port".into());
        let fail = |comparison: &mut Comparison| comparison.failed(1, error());
        for index in 0..Transport::value_variants().len() {
            note(&mut comparison, index, 1);
        }
        note(&mut comparison, 0, 7);
        fail(&mut comparison).unwrap();
        note(&mut comparison, 0, 2);
        note(&mut comparison, 1, 1);
        let [ours, theirs] = &comparison.transports[..2] else {
            panic!("there are two at least");
        };
        let ratio = ours.ratio(theirs, Figure::Throughput).unwrap();
        assert_eq!((ratio.least, ratio.most, ratio.rounds), (1.0, 2.0, 2));
        assert_eq!(theirs.count(), 2);
        // Two runs cannot succeed any more.
        let error = fail(&mut comparison).unwrap_err().to_string();
        assert_eq!(error, "no port");
    }

    /// Goal: a change on the way of a run is noise unless it repeats in one direction, and not in
    /// plain TCP, too; a run that breaks a rule in two ways counts once. Method: five rounds of
    /// changes, of the library and of plain TCP.
    #[test]
    fn what_repeats_is_drift() {
        let here = testing::environment();
        let (up, down, none) = (1400, 600, 1000);
        for (sealed, plain, grade) in [
            ([down, down, down, none, down], [none; 5], Grade::Suspect),
            ([down, up, down, none, up], [none; 5], Grade::Valid),
            ([down, down, none, none, none], [none; 5], Grade::Valid),
            ([down; 5], [down; 5], Grade::Valid),
            ([down; 5], [up; 5], Grade::Suspect),
        ] {
            let mut comparison = Comparison::new(&testing::plan(), 5, Kernel::PORTABLE);
            for (index, changes) in [sealed, plain].iter().enumerate() {
                for second in changes {
                    let mut results = testing::results();
                    results.plan.rate = None;
                    for interval in &mut results.intervals[10..] {
                        interval.completed = *second;
                        interval.median *= 2;
                    }
                    let figures = Figures::of(&results);
                    let verdict = judge(&results, &figures, &[], &here);
                    comparison.note(index, &results, &figures, &verdict, Value::Null);
                }
            }
            let ours = &comparison.transports[0];
            assert_eq!(comparison.grade_of(ours), grade, "{sealed:?} {plain:?}");
            assert_eq!(ours.rules[UNSTEADY], 5, "of five runs");
        }
    }
}
