//! The report of a run: a table for people ([`table`]), JSON for programs ([`json`]),
//! percentiles ([`hdr`]) and intervals ([`timeseries`]) for plotters, figures for Prometheus
//! ([`prometheus`]), and a [`page`] with charts for a browser; that of a comparison
//! ([`comparison`]), of a load without and with a cohort ([`cohort`]), of a search for a rate
//! ([`search`]) and of a sweep over rates ([`sweep`]); figures beside older ones ([`baseline`]); the
//! exit code; and the live line meanwhile ([`progress`]).
//!
//! All of them name what ran, and where ([`headline`]).

mod baseline;
pub(crate) mod cohort;
pub(crate) mod comparison;
pub(crate) mod files;
mod hdr;
mod headline;
pub(crate) mod json;
mod page;
pub(crate) mod progress;
mod prometheus;
pub(crate) mod search;
pub(crate) mod sweep;
mod table;
mod timeseries;

use std::io::{self, Write as _};
use std::path::PathBuf;

use anstream::AutoStream;
use sealwire_cli::error::Error;
use sealwire_cli::inherited::printed;
use serde::Serialize;

use self::files::Files;
use crate::judge::slo::{Judged, Slo};
use crate::judge::{self, Grade, Verdict};
use crate::measure::environment::Environment;
use crate::measure::figures::Figures;
use crate::measure::results::Results;

/// A bound on response times was missed, or could not be decided.
const SLO_MISSED: u8 = 3;
/// The figures are not valid, and `--strict` makes that an error.
const NOT_VALID: u8 = 5;
/// Something was lost or wrong, or a peer failed.
const FOUND_FAULTS: u8 = 6;

/// A figure is worse than that of the baseline.
const WORSE: u8 = 7;

/// The report of a run; its names in JSON are those of its parts.
#[derive(Debug, Serialize)]
pub(crate) struct Report<'a> {
    #[serde(flatten)]
    results: &'a Results,
    #[serde(flatten)]
    pub(crate) figures: Figures,
    #[serde(flatten)]
    environment: &'a Environment,
    slos: Vec<Judged>,
    #[serde(flatten)]
    pub(crate) verdict: Verdict,
}

/// Where the report goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
#[command(next_help_heading = "The report")]
pub(crate) struct Outputs {
    /// Figures that are not valid are an error
    #[arg(long)]
    pub(crate) strict: bool,
    /// Write the figures for programs; - is stdout, and then there is no table
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write the response times as HdrHistogram's plotter reads them
    #[arg(long, value_name = "FILE")]
    pub(crate) hdr: Option<PathBuf>,
    /// Write a line for each second, as CSV
    #[arg(long, value_name = "FILE")]
    pub(crate) timeseries: Option<PathBuf>,
    /// Write the figures in the text format of Prometheus
    #[arg(long, value_name = "FILE")]
    pub(crate) prometheus: Option<PathBuf>,
    /// Write a page for a browser: the verdict, the figures, and charts of them
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Say whether rounds are better or worse than those of an older report, made with
    /// --json; it goes with compare and --rounds, and makes 7 rounds if none are asked for
    #[arg(long, value_name = "FILE")]
    pub(crate) baseline: Option<PathBuf>,
    /// Print one line in place of the table, and show nothing meanwhile
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

impl<'a> Report<'a> {
    /// Judges `results`, and the user's bounds on them.
    pub(crate) fn new(results: &'a Results, slos: &[Slo], environment: &'a Environment) -> Self {
        let figures = Figures::of(results);
        let slos = slos
            .iter()
            .map(|slo| slo.judge(&results.tally.response, results.as_open_loop.as_ref()));
        let slos: Vec<_> = slos.collect();
        let verdict = judge::judge(results, &figures, &slos, environment);
        Self {
            results,
            figures,
            environment,
            slos,
            verdict,
        }
    }

    /// Whether every bound of the user is met.
    pub(crate) fn slos_met(&self) -> bool {
        self.slos.iter().all(Judged::is_met)
    }

    /// Writes it: to files, and to stdout.
    pub(crate) fn emit(&self, mut files: Files, quiet: bool) -> Result<(), Error> {
        // An output that fails keeps no other from being written.
        let hdr = files.hdr.write(|| hdr::text(self));
        let timeseries = files.timeseries.write(|| timeseries::text(self));
        let prometheus = files.prometheus.write(|| prometheus::text(self));
        let html = files.html.write(|| page::of_run(self));
        let table = || match quiet {
            true => table::line(self),
            false => table::table(self),
        };
        let figures = write_figures(files, || json::text(json::value(self)), table);
        hdr.and(timeseries).and(prometheus).and(html).and(figures)
    }

    /// The program's exit code after it.
    pub(crate) fn exit_code(&self, strict: bool) -> u8 {
        let (faults, grade) = (self.results.found_faults(), self.verdict.grade);
        code(faults, self.slos_met(), strict, grade)
    }
}

/// Writes the figures: JSON to its file and the table to stdout, or JSON alone there.
fn write_figures(
    mut files: Files,
    json: impl FnOnce() -> String,
    table: impl FnOnce() -> String,
) -> Result<(), Error> {
    let print = |text: String| {
        // Stdout has colours where it is a terminal and the user takes them.
        let mut stdout = AutoStream::auto(io::stdout());
        // A buffer that is dropped without a flush would lose its text silently.
        let written = stdout.write_all(text.as_bytes());
        printed(written.and_then(|()| stdout.flush()))
    };
    if files.json_alone {
        return print(json());
    }
    let written = files.json.write(json);
    let told = print(table());
    written.and(told)
}

/// Lost or wrong data is worse than a missed bound; a missed bound is worse than figures that
/// cannot be trusted.
fn code(faults: bool, slos_met: bool, strict: bool, grade: Grade) -> u8 {
    if faults {
        FOUND_FAULTS
    } else if !slos_met {
        SLO_MISSED
    } else if strict && grade != Grade::Valid {
        NOT_VALID
    } else {
        0
    }
}

/// For tests: `tell`s of the made-up run after `change`, with these bounds.
#[cfg(test)]
fn told<T>(
    change: impl FnOnce(&mut Results),
    slos: &str,
    tell: impl FnOnce(&Report<'_>) -> T,
) -> T {
    let results = crate::testing::changed(change);
    let slos = slos.split_terminator(',').map(str::parse).collect();
    let slos: Vec<Slo> = Result::unwrap_or_default(slos);
    let environment = crate::testing::environment();
    tell(&Report::new(&results, &slos, &environment))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: each fault has its exit code, and the worst decides. Method: runs with each
    /// fault, without and with the bounds that are missed, strict and not.
    #[test]
    fn exit_codes() {
        type Change = fn(&mut Results);
        let (met, missed, undecided) = ("p99<1s", "p99<1s,p50<1ns", "p99.9999<1s");
        let good: Change = |_| {};
        let suspect: Change = |results| results.interrupted = true;
        // Late, but there: bounds and verdict judge that.
        let late: Change = |results| results.tally.account.timeouts = 1;
        let faults: [Change; 6] = [
            |results| _ = results.tally.counts.insert("duplicates", 1),
            |results| _ = results.tally.counts.insert("reordered", 1),
            |results| results.tally.wrong = 1,
            |results| results.tally.lost = 1,
            |results| results.peers.failed = 1,
            |results| results.tally.account.errors = 1,
        ];
        let rows = [
            (good, "", true, 0),
            (good, met, true, 0),
            (suspect, met, false, 0),
            (suspect, met, true, 5),
            (good, missed, false, 3),
            (good, undecided, false, 3),
            (suspect, missed, true, 3),
            (late, "", false, 0),
        ];
        let faults = faults
            .iter()
            .flat_map(|&fault| [(fault, met, false, 6), (fault, missed, true, 6)]);
        for (change, slos, strict, due) in rows.into_iter().chain(faults) {
            let code = told(change, slos, |report| report.exit_code(strict));
            assert_eq!(code, due, "{slos}");
        }
    }
}
