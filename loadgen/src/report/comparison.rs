//! What a comparison came to: a table for people, and JSON for programs, which has
//! each of its runs, too.

use std::fmt::Write as _;
use std::io;

use sealwire::text::escaped;
use sealwire_cli::error::Error;
use serde_json::{Value, json};

use super::{Outputs, code, headline, json as of_runs, write_figures};
use crate::compare::{Comparison, Figure, Spread, Transport};
use crate::environment::Environment;
use crate::plan::Plan;

/// Tells it: as JSON where that is wanted, and on stdout.
///
/// # Errors
///
/// [`Error::Local`] if one of them cannot be written.
pub(crate) fn emit(
    comparison: &Comparison,
    environment: &Environment,
    outputs: &Outputs,
) -> Result<(), Error> {
    write_figures(
        &mut io::stdout(),
        outputs,
        || format!("{:#}\n", json(comparison, environment)),
        || table(comparison, environment),
    )
}

/// What the program leaves with once it has told of a comparison.
pub(crate) fn exit_code(comparison: &Comparison, strict: bool) -> u8 {
    code(comparison.faults, true, strict, comparison.grade())
}

fn table(comparison: &Comparison, environment: &Environment) -> String {
    let Comparison { plan, kernel, .. } = comparison;
    let mut text = headline::of_comparison(plan, environment, *kernel);
    text.push('\n');
    let names = Figure::ALL.map(|figure| figure.names(plan).0.to_owned());
    text += &line("medians", names);
    for transport in &comparison.transports {
        text += &row(transport);
    }
    for (ours, other) in comparison.pairs() {
        let name = format!("{} / {}", ours.over.name(), other.over.name());
        text += &line(
            &name,
            Figure::ALL.map(|figure| ratio(ours.ratio(other, figure))),
        );
    }
    for note in notes(comparison) {
        // Writing to a String does not fail.
        let _ = writeln!(text, "note: {}", escaped(&note));
    }
    text + "\n" + comparison.grade().name() + "\n"
}

/// A name, and a cell for each figure.
fn line(name: &str, cells: [String; Figure::ALL.len()]) -> String {
    let cells = cells.map(|cell| format!("  {cell:>28}")).concat();
    format!("{name:18}{cells}\n")
}

fn row(transport: &Transport) -> String {
    let cells = Figure::ALL.map(|figure| {
        let at_least = match figure {
            Figure::Throughput if transport.at_least => "at least ",
            _ => "",
        };
        match transport.figure(figure) {
            Some(spread) => format!("{at_least}{}", number(spread.median)),
            None => "-".into(),
        }
    });
    let name = format!("{} ({} runs)", transport.over.name(), transport.count());
    let row = line(&name, cells);
    match transport.count() {
        0 => row,
        _ => format!("{}  {}\n", row.trim_end(), transport.grade.name()),
    }
}

fn ratio(spread: Option<Spread>) -> String {
    spread.map_or("-".into(), |spread| {
        let Spread {
            least,
            median,
            most,
            rounds,
        } = spread;
        format!("{median:.3} ({least:.2} to {most:.2}) of {rounds}")
    })
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

/// What there is to say about the figures, one line each.
fn notes(comparison: &Comparison) -> Vec<String> {
    let mut notes = Vec::new();
    let transports = &comparison.transports;
    if comparison.interrupted {
        let least = transports.iter().map(Transport::count).min();
        notes.push(format!(
            "it was interrupted: {} of {} rounds are whole",
            least.unwrap_or(0),
            comparison.rounds
        ));
    }
    let bound = transports.iter().filter(|one| one.at_least);
    let bound: Vec<_> = bound.map(|one| one.over.name()).collect();
    if !bound.is_empty() {
        notes.push(format!(
            "the load tester was the bound of {}: ratios of throughput with it are not the \
             servers'",
            bound.join(", ")
        ));
    }
    for transport in transports {
        let (name, all) = (transport.over.name(), transport.count());
        let failures = transport.failures.iter();
        notes.extend(failures.map(|(why, runs)| format!("{name}, {runs} not run: {why}")));
        let rules = transport.rules.iter();
        notes.extend(rules.map(|(rule, runs)| format!("{name}, {runs} of {all} runs: {rule}")));
        let errors = transport.errors.iter();
        notes.extend(errors.map(|(why, count)| format!("{name}, error: {count} {why}")));
    }
    notes
}

// ---- for programs ----------------------------------------------------------

fn json(comparison: &Comparison, environment: &Environment) -> Value {
    let plan = &comparison.plan;
    let transports = comparison.transports.iter();
    let transports = transports.map(|one| (one.over.name().to_owned(), of_transport(one, plan)));
    let ratios = comparison.pairs().map(|(ours, other)| {
        let name = format!("{}_by_{}", ours.over.name(), other.over.name());
        (name, named(plan, |figure| ours.ratio(other, figure)))
    });
    let mut load = of_runs::of_plan(plan);
    // Each run has its own.
    load["over"] = Value::Null;
    json!({
        "format": of_runs::FORMAT,
        "environment": of_runs::of_environment(environment),
        "kernel": comparison.kernel.name(),
        // Each server is a process that was started here.
        "shares_machine": true,
        "plan": load,
        "rounds": comparison.rounds,
        "interrupted": comparison.interrupted,
        "verdict": comparison.grade().name(),
        "transports": Value::Object(transports.collect()),
        "ratios": Value::Object(ratios.collect()),
        "notes": notes(comparison),
        "runs": comparison.runs,
    })
}

fn of_transport(transport: &Transport, plan: &Plan) -> Value {
    let mut value = named(plan, |figure| transport.figure(figure));
    let is_any = transport.count() > 0;
    value["runs"] = transport.count().into();
    value["verdict"] = is_any.then(|| transport.grade.name()).into();
    value["at_least"] = transport.at_least.into();
    value["rules"] = json!(transport.rules);
    value["errors"] = json!(transport.errors);
    value["failures"] = json!(transport.failures);
    value
}

/// An object with the spread of every figure.
fn named(plan: &Plan, spread: impl Fn(Figure) -> Option<Spread>) -> Value {
    let one = |figure: Figure| {
        let spread = spread(figure).map(|spread| {
            json!({
                "least": spread.least,
                "median": spread.median,
                "most": spread.most,
                "rounds": spread.rounds,
            })
        });
        (figure.names(plan).1.to_owned(), spread.into())
    };
    Value::Object(Figure::ALL.into_iter().map(one).collect())
}

#[cfg(test)]
mod tests;
