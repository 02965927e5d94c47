//! The report of a comparison: a table for people, and JSON for programs, which also has the
//! report of each run.

use std::collections::BTreeMap;

use sealwire::text::escaped;
use sealwire_cli::error::Error;
use serde_json::{Value, json};

use super::files::Files;
use super::{FOUND_FAULTS, WORSE, baseline, code, headline, json as of_runs, page, write_figures};
use crate::judge::Grade;
use crate::judge::baseline::Change;
use crate::judge::comparison::{Comparison, Figure, Spread, TransportRuns};
use crate::measure::environment::Environment;
use crate::plan::Kind;
use crate::values::name;

/// Writes the report: as JSON where that is wanted, and to stdout.
pub(crate) fn emit(
    comparison: &Comparison,
    environment: &Environment,
    mut files: Files,
) -> Result<(), Error> {
    let html = files
        .html
        .write(|| page::of_comparison(comparison, environment));
    let figures = write_figures(
        files,
        || of_runs::text(json(comparison, environment)),
        || table(comparison, environment),
    );
    html.and(figures)
}

/// The program's exit code after it.
pub(crate) fn exit_code(comparison: &Comparison, strict: bool) -> u8 {
    let judged = comparison.baseline.as_ref();
    let worse = judged.is_some_and(|judged| judged.change == Change::Worse);
    match code(comparison.faults, true, strict, comparison.grade()) {
        FOUND_FAULTS => FOUND_FAULTS,
        _ if worse => WORSE,
        code => code,
    }
}

/// What ran, and where.
pub(super) fn setting(comparison: &Comparison, environment: &Environment) -> String {
    let Comparison { plan, kernel, .. } = comparison;
    let pace = headline::pace(plan);
    let over = match comparison.is_alone() {
        true => name(plan.over),
        false => "every transport".into(),
    };
    let text = headline::of_several(plan, environment, &over, &pace, comparison.own_server);
    text + &format!("kernel {} where it is sealed\n", kernel.name())
}

fn table(comparison: &Comparison, environment: &Environment) -> String {
    let plan = &comparison.plan;
    let mut text = setting(comparison, environment) + "\n";
    let names = Figure::ALL.map(|figure| figure.names(plan.kind).0.to_owned());
    text += &line("medians", names);
    for transport in &comparison.transports {
        text += &row(transport, comparison.grade_of(transport));
    }
    for (ours, other) in comparison.pairs() {
        let name = format!("{} / {}", name(ours.over), name(other.over));
        let ratios = Figure::ALL.map(|figure| ratio(ours.ratio(other, figure)));
        text += &line(&name, ratios);
    }
    if let Some(judged) = &comparison.baseline {
        text += &baseline::table(judged);
    }
    for note in notes(comparison) {
        text += &format!("note: {}\n", escaped(&note));
    }
    text + "\n" + &name(comparison.grade()) + "\n"
}

/// A name, and a cell for each figure.
fn line(name: &str, cells: [String; Figure::ALL.len()]) -> String {
    let cells = cells.map(|cell| format!("  {cell:>28}")).concat();
    format!("{name:18}{cells}\n")
}

/// The medians of a transport.
pub(super) fn medians(transport: &TransportRuns) -> [String; Figure::ALL.len()] {
    Figure::ALL.map(|figure| {
        let at_least = match figure {
            Figure::Throughput if transport.at_least => "at least ",
            _ => "",
        };
        let spread = transport.figure(figure);
        spread.map_or("-".into(), |spread| {
            format!("{at_least}{}", number(spread.median))
        })
    })
}

fn row(transport: &TransportRuns, grade: Grade) -> String {
    let cells = medians(transport);
    let (over, grade) = (name(transport.over), name(grade));
    let row = line(&format!("{over} ({} runs)", transport.count()), cells);
    match transport.count() {
        0 => row,
        _ => format!("{}  {}\n", row.trim_end(), grade),
    }
}

pub(super) fn ratio(spread: Option<Spread>) -> String {
    spread.map_or("-".into(), |spread| {
        let (least, most, rounds) = (spread.least, spread.most, spread.rounds);
        format!("{:.3} ({least:.2} to {most:.2}) of {rounds}", spread.median)
    })
}

/// With four significant digits, or all digits before the point.
pub(super) fn number(value: f64) -> String {
    match value {
        ..10.0 => format!("{value:.3}"),
        ..100.0 => format!("{value:.2}"),
        ..1000.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// The notes on the figures, one line each.
pub(super) fn notes(comparison: &Comparison) -> Vec<String> {
    let mut notes = Vec::new();
    let transports = &comparison.transports;
    if comparison.interrupted {
        let least = transports.iter().map(TransportRuns::count).min();
        let (least, rounds) = (least.unwrap_or(0), comparison.rounds);
        let whole = format!("{least} of {rounds} rounds are whole");
        notes.push(format!("it was interrupted: {whole}"));
    }
    let bound = transports.iter().filter(|one| one.at_least);
    let bound: Vec<_> = bound.map(|one| name(one.over)).collect();
    if !bound.is_empty() {
        notes.push(format!(
            "the load tester was the bound of {}: ratios of throughput with it are not the \
             servers'",
            bound.join(", ")
        ));
    }
    for transport in transports {
        let (name, all) = (name(transport.over), transport.count());
        let failures = transport.failures.iter();
        notes.extend(failures.map(|(why, runs)| format!("{name}, {runs} not run: {why}")));
        if let Some(change) = comparison.drift(transport) {
            let percent = change * 100.0;
            notes.push(format!(
                "{name}: its throughput changes by {percent:+.0} % within a run, again and again"
            ));
        }
        let rules = transport.rules.iter();
        notes.extend(rules.map(|(rule, runs)| format!("{name}, {runs} of {all} runs: {rule}")));
        let errors = transport.errors.iter();
        notes.extend(errors.map(|(why, count)| format!("{name}, error: {count} {why}")));
    }
    notes
}

type Spreads = BTreeMap<&'static str, Option<Spread>>;

/// The report as JSON. Before the first round it has the setting alone.
pub(crate) fn json(comparison: &Comparison, environment: &Environment) -> Value {
    let mut plan = json!(comparison.plan);
    if !comparison.is_alone() {
        // Each run has its own.
        plan["over"] = Value::Null;
    }
    let kind = comparison.plan.kind;
    let transports = comparison.transports.iter();
    let transports = transports.map(|one| {
        let grade = comparison.grade_of(one);
        (name(one.over), of_transport(one, grade, kind))
    });
    let ratios = comparison.pairs().map(|(ours, other)| {
        let name = format!("{}_by_{}", name(ours.over), name(other.over));
        (name, spreads(kind, |figure| ours.ratio(other, figure)))
    });
    json!({
        "format": of_runs::FORMAT,
        "environment": environment,
        "kernel": comparison.kernel.name(),
        "shares_machine": shares_machine(comparison),
        "server_is_own": comparison.own_server,
        "plan": plan,
        "rounds": comparison.rounds,
        "interrupted": comparison.interrupted,
        "verdict": comparison.grade(),
        "transports": transports.collect::<BTreeMap<_, _>>(),
        "ratios": ratios.collect::<BTreeMap<_, _>>(),
        "notes": notes(comparison),
        "baseline": comparison.baseline,
        "runs": comparison.runs,
    })
}

/// Whether the server is on this machine; the first run has seen it.
fn shares_machine(comparison: &Comparison) -> Value {
    let first = comparison.runs.first();
    first.map_or(comparison.own_server.into(), |run| {
        run["shares_machine"].clone()
    })
}

fn of_transport(transport: &TransportRuns, grade: Grade, kind: Kind) -> Value {
    let mut value = json!(spreads(kind, |figure| transport.figure(figure)));
    value["runs"] = json!(transport.count());
    value["verdict"] = json!((transport.count() > 0).then_some(grade));
    value["at_least"] = json!(transport.at_least);
    value["rules"] = json!(transport.rules);
    value["errors"] = json!(transport.errors);
    value["failures"] = json!(transport.failures);
    value
}

fn spreads(kind: Kind, spread: impl Fn(Figure) -> Option<Spread>) -> Spreads {
    let figures = Figure::ALL.map(|figure| (figure.names(kind).1, spread(figure)));
    figures.into()
}

#[cfg(test)]
mod tests;
