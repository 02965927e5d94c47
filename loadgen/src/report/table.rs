//! The table for people.

use std::fmt::Display;

use hdrhistogram::Histogram;
use sealwire::text::escaped;

use super::Report;
use super::headline::{lines, unit};
use super::server;
use crate::slo::{Judged, Outcome};
use crate::times::Quantile;
use crate::verdict::{Grade, Verdict};

/// The stages of a message or a connection, in the order in which they come.
const STAGES: [&str; 7] = [
    "connect",
    "handshake",
    "first reply",
    "complete",
    "first",
    "median",
    "last",
];

/// A line for each thing, the verdict last.
pub(super) fn table(report: &Report<'_>, colour: bool) -> String {
    let mut table = Table(lines(report).join("\n"));
    table.0 += "\n\n";
    rates(report, &mut table);
    times(report, &mut table);
    counts(report, &mut table);
    server::lines(report, &mut table);
    let threads = report.results.busy();
    let threads: Vec<_> = threads
        .map(|busy| format!("{:.0} %", busy * 100.0))
        .collect();
    table.line(
        "load tester CPU",
        format!("{} of each thread", threads.join(", ")),
    );
    for (what, count) in &report.results.errors {
        table.line("error", format!("{count} {what}"));
    }
    for judged in report.slos {
        table.line("slo", slo(judged));
    }
    table.0 += &verdict(report.verdict, colour);
    table.0
}

/// All that there is room for on one line.
pub(super) fn line(report: &Report<'_>) -> String {
    let response = &report.results.tally.response;
    let [p50, p99] = [Quantile::P50, Quantile::P99]
        .map(|quantile| micros(quantile.of(response).map(|nanos| nanos as f64)));
    let missed: String = report
        .slos
        .iter()
        .filter(|judged| !judged.is_met())
        .map(|judged| format!(", slo {}", slo(judged)))
        .collect();
    let (rate, grade) = (rate(report), report.verdict.grade.name());
    let what = lines(report).join("; ");
    format!("{rate}, p50 {p50} us, p99 {p99} us{missed}, {grade}; {what}\n")
}

pub(super) struct Table(String);

impl Table {
    pub(super) fn line(&mut self, name: &str, text: impl Display) {
        let text = text.to_string();
        let line = format!("{name:<16}{}", escaped(&text));
        self.0 += line.trim_end();
        self.0.push('\n');
    }

    /// Figures of `times`, below each other; those that there are too few samples
    /// for are dashes.
    fn times(&mut self, name: &str, times: &Histogram<u64>) {
        let quantiles = [Quantile::P50, Quantile::P90, Quantile::P99, Quantile::P99_9];
        let quantiles = quantiles.map(|quantile| quantile.of(times).map(|nanos| nanos as f64));
        let some = |nanos: f64| (!times.is_empty()).then_some(nanos);
        let rest = [some(times.max() as f64), some(times.mean())];
        let cells = quantiles.into_iter().chain(rest);
        let cells: String = cells.map(|cell| format!(" {:>10}", micros(cell))).collect();
        self.line(name, cells);
    }
}

/// Nanoseconds as they are told, in microseconds.
fn micros(nanos: Option<f64>) -> String {
    nanos.map_or("-".into(), |nanos| format!("{:.1}", nanos / 1e3))
}

/// What was reached; never more than is known.
fn rate(report: &Report<'_>) -> String {
    let at_least = if report.verdict.at_least {
        "at least "
    } else {
        ""
    };
    let rate = report.results.messages_per_second(report.plan);
    format!("{at_least}{rate:.0} {}", unit(report.plan))
}

fn rates(report: &Report<'_>, table: &mut Table) {
    let Report { plan, results, .. } = report;
    let of_target = match results.asked_per_second(plan) {
        Some(asked) => {
            let share = results.messages_per_second(plan) / asked * 100.0;
            format!(" of {asked:.0} asked for ({share:.1} %)")
        }
        None => String::new(),
    };
    table.line("rate", rate(report) + &of_target);
    let bytes = results.megabytes_per_second(plan);
    table.line("payload", format!("{bytes:.2} MB/s one way"));
}

fn times(report: &Report<'_>, table: &mut Table) {
    let tally = &report.results.tally;
    let names = ["p50", "p90", "p99", "p99.9", "max", "mean"];
    let names = names.map(|name| format!(" {name:>10}")).concat();
    table.line("us", names);
    table.times("response", &tally.response);
    table.times("service", &tally.service);
    if report.plan.rate.is_some() {
        table.times("load tester lag", &tally.lag);
    }
    let place = |name: &str| STAGES.iter().position(|stage| *stage == name);
    let mut stages: Vec<_> = tally.stages.iter().collect();
    // Those that are not known come last.
    stages.sort_by_key(|(name, _)| place(name).unwrap_or(STAGES.len()));
    for (name, times) in stages {
        table.times(name, times);
    }
    if !tally.stages.contains_key("handshake") {
        table.times("handshake", &report.results.handshake);
    }
}

fn counts(report: &Report<'_>, table: &mut Table) {
    let results = report.results;
    let account = &results.tally.account;
    let equals = if account.holds() { "=" } else { "is not" };
    let parts = [
        (account.completed, "completed"),
        (account.errors, "errors"),
        (account.timeouts, "timeouts"),
        (account.shed, "shed"),
        (account.unsent, "unsent"),
        (account.in_flight, "in flight"),
    ];
    let parts = parts
        .map(|(count, name)| format!("{count} {name}"))
        .join(" + ");
    let scheduled = account.scheduled;
    table.line("account", format!("{scheduled} scheduled {equals} {parts}"));
    let tally = &results.tally;
    let answers = format!(
        "{} wrong, {} lost, with the warm-up",
        tally.wrong, tally.lost
    );
    table.line("answers", answers);
    for (name, count) in &tally.counts {
        table.line(name, count);
    }
    table.line(
        "peers",
        format!(
            "{} joined, {} complete, {} failed; {:.0} handshakes/s",
            results.joined,
            results.complete,
            results.failed,
            results.handshakes_per_second(report.plan)
        ),
    );
}

fn slo(judged: &Judged) -> String {
    let text = &judged.slo.text;
    match judged.outcome {
        Outcome::Met(nanos) => format!("{text} met: {} us", micros(Some(nanos))),
        Outcome::Missed(nanos) => format!("{text} missed: {} us", micros(Some(nanos))),
        Outcome::TooFew { samples, needs } => {
            format!("{text} not decided: {samples} samples of {needs} that it takes")
        }
    }
}

fn verdict(verdict: &Verdict, colour: bool) -> String {
    let name = verdict.grade.name();
    let name = match (colour, verdict.grade) {
        (false, _) => name.to_owned(),
        (true, Grade::Valid) => format!("\x1b[32m{name}\x1b[0m"),
        (true, Grade::Suspect) => format!("\x1b[33m{name}\x1b[0m"),
        (true, Grade::Invalid) => format!("\x1b[31m{name}\x1b[0m"),
    };
    let reasons = verdict
        .reasons
        .iter()
        .map(|why| format!("  {}\n", why.text));
    let notes = verdict.notes.iter().map(|what| format!("  note: {what}\n"));
    format!("\n{name}\n{}", reasons.chain(notes).collect::<String>())
}

#[cfg(test)]
mod tests;
