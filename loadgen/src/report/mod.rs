//! What a run came to, as it is told: a table for people ([`table`]), JSON for
//! programs ([`json`]), percentiles ([`hdr`]) and intervals ([`timeseries`]) for
//! those who plot; what a comparison came to ([`comparison`]); and the exit code.
//!
//! All of them name what ran, and where ([`headline`]).

pub(crate) mod comparison;
mod hdr;
mod headline;
pub(crate) mod json;
mod server;
mod table;
mod timeseries;

use std::env;
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use sealwire_cli::error::Error;
use sealwire_cli::inherited::printed;

use crate::environment::Environment;
use crate::plan::Plan;
use crate::results::Results;
use crate::slo::Judged;
use crate::verdict::{Grade, Verdict};

/// A bound on response times was missed, or could not be decided.
const SLO_MISSED: u8 = 3;
/// The figures cannot be trusted, and that was asked for.
const NOT_VALID: u8 = 5;
/// Something was lost or wrong, or a peer failed.
const FOUND_FAULTS: u8 = 6;

/// All that is told of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Report<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) results: &'a Results,
    pub(crate) environment: &'a Environment,
    pub(crate) slos: &'a [Judged],
    pub(crate) verdict: &'a Verdict,
}

/// Where it is told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Outputs {
    /// `-` is stdout, and then nothing else is on it.
    pub(crate) json: Option<PathBuf>,
    pub(crate) hdr: Option<PathBuf>,
    pub(crate) timeseries: Option<PathBuf>,
    /// One line instead of the table.
    pub(crate) quiet: bool,
}

/// Tells it: in files, and on stdout.
///
/// # Errors
///
/// [`Error::Local`] if one of them cannot be written.
pub(crate) fn emit(report: &Report<'_>, outputs: &Outputs) -> Result<(), Error> {
    emit_to(&mut io::stdout(), report, outputs)
}

fn emit_to(stdout: &mut dyn Write, report: &Report<'_>, outputs: &Outputs) -> Result<(), Error> {
    // What can be written is written, whatever else cannot be.
    let hdr = write(outputs.hdr.as_ref(), || hdr::text(report));
    let timeseries = write(outputs.timeseries.as_ref(), || timeseries::text(report));
    let figures = write_figures(
        stdout,
        outputs,
        || json::text(report),
        || match outputs.quiet {
            true => table::line(report),
            false => table::table(report, in_colour()),
        },
    );
    hdr.and(timeseries).and(figures)
}

/// Writes the figures: JSON to its file and the table to stdout, or JSON alone there.
fn write_figures(
    stdout: &mut dyn Write,
    outputs: &Outputs,
    json: impl FnOnce() -> String,
    table: impl FnOnce() -> String,
) -> Result<(), Error> {
    let file = outputs.json.as_ref();
    // What waits in a buffer when the program ends is lost without a word.
    let mut print = |text: String| {
        let written = stdout.write_all(text.as_bytes());
        printed(written.and_then(|()| stdout.flush()))
    };
    if file.is_some_and(|file| file == Path::new("-")) {
        return print(json());
    }
    let written = write(file, json);
    let told = print(table());
    written.and(told)
}

/// Writes a file, if it is wanted.
fn write(file: Option<&PathBuf>, text: impl FnOnce() -> String) -> Result<(), Error> {
    let Some(file) = file else { return Ok(()) };
    fs::write(file, text())
        .map_err(|error| Error::Local(format!("{}: cannot write: {error}", file.display())))
}

/// On a terminal, unless the user wants none.
fn in_colour() -> bool {
    wants_colour() && io::stdout().is_terminal()
}

/// Whether the user takes colours where there can be any.
pub(crate) fn wants_colour() -> bool {
    env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// What the program leaves with once it has told of a run.
pub(crate) fn exit_code(report: &Report<'_>, strict: bool) -> u8 {
    let met = report.slos.iter().all(Judged::is_met);
    let faults = report.results.found_faults();
    code(faults, met, strict, report.verdict.grade)
}

/// Lost and wrong data is worse than a missed bound, and that than figures that cannot
/// be trusted, where they are to be.
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

/// For tests: what `tell` says of a made-up run after `change`.
#[cfg(test)]
fn told<T>(
    change: impl FnOnce(&mut Plan, &mut Results),
    slos: &str,
    tell: impl FnOnce(&Report<'_>) -> T,
) -> T {
    let (mut plan, mut results) = (crate::testing::plan(), crate::testing::results());
    change(&mut plan, &mut results);
    let environment = crate::testing::environment();
    let slos = crate::slo::Slo::parse(slos).unwrap_or_default().into_iter();
    let slos: Vec<_> = slos.map(|slo| slo.judge(&results.tally.response)).collect();
    let verdict = crate::verdict::judge(&plan, &results, &slos, &environment);
    tell(&Report {
        plan: &plan,
        results: &results,
        environment: &environment,
        slos: &slos,
        verdict: &verdict,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::ErrorKind;

    use super::*;

    /// Goal: each exit code, and which one where several would do. Method: runs
    /// with each fault, without and with the bounds that are missed, strict and
    /// not.
    #[test]
    fn exit_codes() {
        let met = "p99<1s";
        let missed = "p99<1s,p50<1ns";
        let undecided = "p99.9999<1s";
        let of = |change: fn(&mut Results), slos, strict| {
            told(
                |_, results| change(results),
                slos,
                |report| exit_code(report, strict),
            )
        };
        let good = |_: &mut Results| {};
        let suspect = |results: &mut Results| results.interrupted = true;
        assert_eq!(of(good, "", true), 0);
        assert_eq!(of(good, met, true), 0);
        assert_eq!(of(suspect, met, false), 0);
        assert_eq!(of(suspect, met, true), 5);
        for slos in [missed, undecided] {
            assert_eq!(of(good, slos, false), 3);
            assert_eq!(of(suspect, slos, true), 3);
        }
        let faults: [fn(&mut Results); 6] = [
            |results| {
                results.tally.counts.insert("duplicates", 1);
            },
            |results| {
                results.tally.counts.insert("reordered", 1);
            },
            |results| results.tally.wrong = 1,
            |results| results.tally.lost = 1,
            |results| results.failed = 1,
            |results| results.tally.account.errors = 1,
        ];
        for fault in faults {
            assert_eq!(of(fault, met, false), 6);
            assert_eq!(of(fault, missed, true), 6);
        }
        // Late, but there: that is for bounds and verdict to say.
        let late = |results: &mut Results| results.tally.account.timeouts = 1;
        assert_eq!(of(late, "", false), 0);
    }

    /// What is on stdout, once a good run is told to `outputs`.
    fn emitted(outputs: &Outputs) -> Result<String, Error> {
        let mut stdout = Vec::new();
        told(
            |_, _| {},
            "",
            |report| emit_to(&mut stdout, report, outputs),
        )?;
        Ok(String::from_utf8(stdout).unwrap())
    }

    /// Goal: every output that is asked for is written, and names what ran and
    /// where. Method: files in a folder.
    #[test]
    fn files_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| Some(folder.path().join(name));
        let outputs = Outputs {
            json: at("json"),
            hdr: at("hgrm"),
            timeseries: at("csv"),
            quiet: false,
        };
        let table = emitted(&outputs).unwrap();
        fs::write(folder.path().join("table"), table).unwrap();
        for (name, part) in [
            ("table", "account  "),
            ("json", "\"format\": 2"),
            ("hgrm", "1/(1-Percentile)"),
            ("csv", "until_s,"),
        ] {
            let text = fs::read_to_string(folder.path().join(name)).unwrap();
            assert!(text.contains(part), "{name}: {text}");
            for named in [
                "0123456789ab",
                "Made-up CPU",
                "Linux 6.1.0",
                "portable",
                "VALID",
            ] {
                assert!(text.contains(named), "{name} does not name {named}: {text}");
            }
        }
    }

    /// Takes nothing.
    struct Closed(ErrorKind);

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Goal: files are written though stdout takes nothing, and that is told; a reader
    /// that has gone is no error, but an error elsewhere is. Method: writers that refuse.
    #[test]
    fn stdout_takes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let names = ["json", "hgrm", "csv"].map(|name| folder.path().join(name));
        let [json, hdr, timeseries] = names.clone().map(Some);
        let outputs = Outputs {
            json,
            hdr,
            timeseries,
            quiet: false,
        };
        let to = |kind, outputs: &Outputs| {
            let mut stdout = Closed(kind);
            told(
                |_, _| {},
                "",
                |report| emit_to(&mut stdout, report, outputs),
            )
        };
        let gone = to(ErrorKind::BrokenPipe, &outputs);
        assert!(matches!(gone, Err(Error::ReaderGone)));
        assert!(names.iter().all(|name| name.exists()));
        let error = to(ErrorKind::StorageFull, &outputs).unwrap_err();
        assert!(error.to_string().starts_with("writing standard output: "));
        let nowhere = Outputs {
            json: Some("no/such/folder".into()),
            ..outputs
        };
        let error = to(ErrorKind::BrokenPipe, &nowhere).unwrap_err();
        assert!(error.to_string().starts_with("no/such/folder: "));
    }

    /// Goal: only what was asked for is on stdout; what cannot be written is named.
    /// Method: JSON on stdout, quietly and not; one line; a file in no folder.
    #[test]
    fn what_is_on_stdout() {
        for quiet in [false, true] {
            let json = Some("-".into());
            let outputs = Outputs {
                json,
                quiet,
                ..Outputs::default()
            };
            let text = emitted(&outputs).unwrap();
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(value["format"], 2);
        }
        let quiet = true;
        let outputs = Outputs {
            quiet,
            ..Outputs::default()
        };
        assert_eq!(emitted(&outputs).unwrap().lines().count(), 1);
        let hdr = Some("no/such/folder".into());
        let outputs = Outputs {
            hdr,
            ..Outputs::default()
        };
        let error = emitted(&outputs).unwrap_err().to_string();
        assert!(error.starts_with("no/such/folder: cannot write"), "{error}");
    }
}
