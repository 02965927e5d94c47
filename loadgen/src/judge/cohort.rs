//! The good peers' figures without and with a cohort, side by side.
//!
//! As in a comparison, a ratio is taken within a round, and the figure is the median over the
//! rounds. Whether the cohort itself was ended as it should be is in its accounts. Read next:
//! [`crate::with_cohort`], which makes the runs, and [`crate::report::cohort`].

use super::comparison::Spread;
use crate::cohort::account::Account;
use crate::cohort::{Outcome, Wanted};
use crate::measure::figures::{Figures, seconds};
use crate::measure::quantile::Quantile;
use crate::measure::results::Results;

/// Which run of a round it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Clean,
    /// The cohort goes to a plain server.
    Control,
    Cohort,
}

impl Part {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Control => "control",
            Self::Cohort => "cohort",
        }
    }
}

/// A run of a round.
pub(crate) struct PartRun {
    pub(crate) part: Part,
    pub(crate) results: Results,
    /// What came of the cohort, where there was one.
    pub(crate) outcome: Option<Outcome>,
}

impl PartRun {
    /// How much of a processor the cohort had.
    pub(crate) fn cohort_busy(&self) -> Option<f64> {
        let time = self.results.plan.warmup + self.results.loaded;
        Some(seconds(self.outcome.as_ref()?.used.ran) / seconds(time))
    }
}

/// What is set side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Figure {
    Rate,
    P50,
    P99,
    NotAnswered,
    FailedPeers,
    ServerCpu,
    CpuEach,
    Memory,
    TcpMemory,
    /// Connections of the cohort.
    Made,
}

impl Figure {
    pub(crate) const ALL: [Self; 10] = [
        Self::Rate,
        Self::P50,
        Self::P99,
        Self::NotAnswered,
        Self::FailedPeers,
        Self::ServerCpu,
        Self::CpuEach,
        Self::Memory,
        Self::TcpMemory,
        Self::Made,
    ];

    /// Its name in the table, and in JSON.
    pub(crate) fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Rate => ("answers/s", "answers_per_second"),
            Self::P50 => ("p50 us", "response_p50_us"),
            Self::P99 => ("p99 us", "response_p99_us"),
            Self::NotAnswered => ("not answered", "not_answered"),
            Self::FailedPeers => ("peers failed", "failed_peers"),
            Self::ServerCpu => ("server CPU %", "server_cpu_percent"),
            Self::CpuEach => ("server us/answer", "server_cpu_us_per_answer"),
            Self::Memory => ("server MB", "most_server_mb"),
            Self::TcpMemory => ("kernel TCP MB", "most_kernel_tcp_mb"),
            Self::Made => ("bad connections", "cohort_connections"),
        }
    }

    /// Whether it is a count, without a fraction.
    pub(crate) fn counts(self) -> bool {
        matches!(self, Self::NotAnswered | Self::FailedPeers | Self::Made)
    }

    fn of(self, run: &PartRun) -> Option<f64> {
        let (results, figures) = (&run.results, Figures::of(&run.results));
        let response = |quantile: Quantile| {
            let nanos = quantile.of(&results.tally.response);
            nanos.map(|nanos| nanos as f64 / 1e3)
        };
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        let account = &results.tally.account;
        match self {
            Self::Rate => Some(figures.messages_per_second),
            Self::P50 => response(Quantile::P50),
            Self::P99 => response(Quantile::P99),
            Self::NotAnswered => Some(account.scheduled.saturating_sub(account.completed) as f64),
            Self::FailedPeers => Some(results.peers.failed as f64),
            Self::ServerCpu => {
                let used = results.server?.measured().ran;
                Some(seconds(used) / seconds(results.took) * 100.0)
            }
            Self::CpuEach => figures.server_cpu_us_per_message,
            Self::Memory => {
                let rows = results.intervals.iter();
                let memory = rows.filter_map(|row| row.server.map(|server| server.resident));
                memory.max().map(megabytes)
            }
            Self::TcpMemory => results.tcp_memory.map(megabytes),
            Self::Made => {
                let accounts = run.outcome.as_ref()?.accounts.iter();
                Some(accounts.map(|account| account.made).sum::<u64>() as f64)
            }
        }
    }
}

/// Whole rounds, at least one. The parts of each are in the order of time.
pub(crate) struct CohortRounds {
    pub(crate) wanted: Wanted,
    pub(crate) rounds: Vec<Vec<PartRun>>,
    /// What came of the groups that loaded the server, all rounds together.
    pub(crate) accounts: Vec<Account>,
}

impl CohortRounds {
    pub(crate) fn new(wanted: Wanted, rounds: Vec<Vec<PartRun>>) -> Self {
        let groups = wanted.groups.iter();
        let mut accounts: Vec<_> = groups.map(|&group| Account::new(group)).collect();
        let runs = rounds.iter().flatten();
        for run in runs.filter(|run| run.part == Part::Cohort) {
            let outcome = run.outcome.iter();
            let of_run = outcome.flat_map(|outcome| &outcome.accounts);
            for (sum, one) in accounts.iter_mut().zip(of_run) {
                *sum += one;
            }
        }
        Self {
            wanted,
            rounds,
            accounts,
        }
    }

    pub(crate) fn runs(&self) -> impl Iterator<Item = &PartRun> {
        self.rounds.iter().flatten()
    }

    /// The parts of a round, the cohort's last.
    pub(crate) fn parts(&self) -> Vec<Part> {
        self.rounds[0].iter().map(|run| run.part).collect()
    }

    /// The parts that the cohort's figures are divided by.
    pub(crate) fn others(&self) -> Vec<Part> {
        let parts = self.parts().into_iter();
        parts.filter(|part| *part != Part::Cohort).collect()
    }

    /// `figure` of one part, in each round.
    fn values(&self, part: Part, figure: Figure) -> Vec<Option<f64>> {
        let of_round = |round: &Vec<PartRun>| {
            let run = round.iter().find(|run| run.part == part)?;
            figure.of(run)
        };
        self.rounds.iter().map(of_round).collect()
    }

    pub(crate) fn median(&self, part: Part, figure: Figure) -> Option<f64> {
        let values = self.values(part, figure).into_iter().flatten();
        Spread::of(values).map(|spread| spread.median)
    }

    /// The cohort's `figure` divided by that of the `other` part, round by round.
    pub(crate) fn ratio(&self, other: Part, figure: Figure) -> Option<Spread> {
        Spread::of(self.ratios(other, figure).into_iter().flatten())
    }

    /// The ratio of each round. Faults have no ratio: there should be none.
    pub(crate) fn ratios(&self, other: Part, figure: Figure) -> Vec<Option<f64>> {
        if matches!(figure, Figure::NotAnswered | Figure::FailedPeers) {
            return Vec::new();
        }
        let ours = self.values(Part::Cohort, figure).into_iter();
        let both = ours.zip(self.values(other, figure));
        let ratios =
            both.map(|(ours, theirs)| Some(ours? / theirs?).filter(|ratio| ratio.is_finite()));
        ratios.collect()
    }

    pub(crate) fn is_as_it_should_be(&self) -> bool {
        self.accounts.iter().all(Account::is_as_it_should_be)
    }

    /// Whether a good peer lost something, or a bad one was not ended as it should be.
    pub(crate) fn found_faults(&self) -> bool {
        let lost = self.runs().any(|run| run.results.found_faults());
        lost || !self.is_as_it_should_be()
    }
}
