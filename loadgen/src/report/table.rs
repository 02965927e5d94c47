//! The table for people. Colours are left to the stream that prints it.

use std::fmt::{self, Display};

use hdrhistogram::Histogram;
use sealwire::text::escaped;

use super::Report;
use super::headline::{lines, unit};
use crate::judge::Grade;
use crate::judge::slo::{Judged, Outcome};
use crate::measure::figures::seconds;
use crate::measure::quantile::Quantile;
use crate::plan::Kind;
use crate::values::name;

/// The stages of a message or a connection, in the order in which they come.
const STAGES: &str = "connect, handshake, first reply, complete, first, median, last";

/// A line for each thing, the verdict last.
pub(super) fn table(report: &Report<'_>) -> String {
    let mut table = Table(Vec::new());
    rates(report, &mut table);
    times(report, &mut table);
    others(report, &mut table);
    format!("{}\n\n{table}{}", lines(report).join("\n"), verdict(report))
}

/// Names and figures, without the times ([`series`]) and the verdict.
pub(super) fn rows(report: &Report<'_>) -> Vec<(String, String)> {
    let mut table = Table(Vec::new());
    rates(report, &mut table);
    others(report, &mut table);
    table.0
}

fn others(report: &Report<'_>, table: &mut Table) {
    counts(report, table);
    server(report, table);
    let threads = report.figures.generator_busy.iter();
    let threads: Vec<_> = threads
        .map(|busy| format!("{:.0} %", busy * 100.0))
        .collect();
    let busy = threads.join(", ") + " of each thread";
    table.line("load tester CPU", busy);
    for (what, count) in &report.results.peers.errors {
        table.line("error", format!("{count} {what}"));
    }
    for judged in &report.slos {
        table.line("slo", slo(judged));
    }
}

/// The most important figures on one line.
pub(super) fn line(report: &Report<'_>) -> String {
    let response = &report.results.tally.response;
    let [p50, p99] = [Quantile::P50, Quantile::P99]
        .map(|quantile| micros(quantile.of(response).map(|nanos| nanos as f64)));
    let missed = report.slos.iter().filter(|judged| !judged.is_met());
    let missed: String = missed.map(|one| format!(", slo {}", slo(one))).collect();
    let (rate, grade) = (rate(report), name(report.verdict.grade));
    let what = lines(report).join("; ");
    format!("{rate}, p50 {p50} us, p99 {p99} us{missed}, {grade}; {what}\n")
}

/// Names, and what is said of each.
struct Table(Vec<(String, String)>);

impl Display for Table {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, text) in &self.0 {
            let line = format!("{name:<16}{}", escaped(text));
            writeln!(to, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

impl Table {
    fn line(&mut self, name: &str, text: impl Display) {
        self.0.push((name.into(), text.to_string()));
    }

    /// Figures of `times` side by side.
    fn times(&mut self, name: &str, times: &Histogram<u64>) {
        let cells = cells(times).map(|cell| format!(" {cell:>10}"));
        self.line(name, cells.concat());
    }
}

/// The names of [`cells`].
pub(super) const CELLS: [&str; 6] = ["p50", "p90", "p99", "p99.9", "max", "mean"];

/// Figures of `times`, in us; a dash stands for too few samples.
pub(super) fn cells(times: &Histogram<u64>) -> [String; CELLS.len()] {
    let of = |quantile: Quantile| quantile.of(times).map(|nanos| nanos as f64);
    let some = |nanos: f64| (!times.is_empty()).then_some(nanos);
    [
        of(Quantile::P50),
        of(Quantile::P90),
        of(Quantile::P99),
        of(Quantile::P99_9),
        some(times.max() as f64),
        some(times.mean()),
    ]
    .map(micros)
}

pub(super) fn micros(nanos: Option<f64>) -> String {
    nanos.map_or("-".into(), |nanos| format!("{:.1}", nanos / 1e3))
}

/// The rate that was reached; a lower bound is marked as one.
fn rate(report: &Report<'_>) -> String {
    let at_least = match report.verdict.at_least {
        true => "at least ",
        false => "",
    };
    let rate = report.figures.messages_per_second;
    format!("{at_least}{rate:.0} {}", unit(&report.results.plan))
}

fn rates(report: &Report<'_>, table: &mut Table) {
    let figures = &report.figures;
    let of_target = figures.asked_messages_per_second.map(|asked| {
        let share = figures.messages_per_second / asked * 100.0;
        format!(" of {asked:.0} asked for ({share:.1} %)")
    });
    table.line("rate", rate(report) + &of_target.unwrap_or_default());
    let bytes = figures.megabytes_per_second;
    table.line("payload", format!("{bytes:.2} MB/s one way"));
}

fn times(report: &Report<'_>, table: &mut Table) {
    let names = CELLS.map(|name| format!(" {name:>10}")).concat();
    table.line("us", names);
    for (name, times) in series(report) {
        table.times(name, times);
    }
}

/// All times that were taken.
pub(super) fn series<'a>(report: &Report<'a>) -> Vec<(&'static str, &'a Histogram<u64>)> {
    let (results, tally) = (report.results, &report.results.tally);
    let mut series = vec![("response", &tally.response)];
    series.extend(
        results
            .as_open_loop
            .iter()
            .map(|times| ("  as open loop", times)),
    );
    series.push(("service", &tally.service));
    if results.plan.rate.is_some() {
        series.push(("load tester lag", &tally.lag));
    }
    for stage in STAGES.split(", ") {
        series.extend(tally.stages.get(stage).map(|times| (stage, times)));
    }
    if !tally.stages.contains_key("handshake") {
        series.push(("handshake", &results.handshake));
    }
    series
}

fn counts(report: &Report<'_>, table: &mut Table) {
    let (tally, peers) = (&report.results.tally, &report.results.peers);
    let account = &tally.account;
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
    let (wrong, lost) = (tally.wrong, tally.lost);
    let answers = format!("{wrong} wrong, {lost} lost, with the warm-up");
    table.line("answers", answers);
    for (name, count) in &tally.counts {
        table.line(name, count);
    }
    let (joined, complete, failed) = (peers.joined, peers.complete, peers.failed);
    let rate = report.figures.handshakes_per_second;
    let came = format!("{joined} joined, {complete} complete, {failed} failed");
    table.line("peers", format!("{came}; {rate:.0} handshakes/s"));
}

/// The server's side: what it used, and for what.
fn server(report: &Report<'_>, table: &mut Table) {
    let (figures, results) = (&report.figures, report.results);
    let Some(server) = results.server.map(|server| server.measured()) else {
        table.line("server CPU", "n/a");
        return;
    };
    let share = seconds(server.ran) / seconds(results.took) * 100.0;
    let share = format!("{share:.0} % of a processor");
    let each = match results.plan.kind {
        Kind::Churn => "connection",
        _ => "message",
    };
    let parts = figures
        .server_user_us_per_message
        .zip(figures.server_system_us_per_message);
    let parts = parts.map(|(user, system)| {
        let all = user + system;
        format!("{all:.2} us per {each}: {user:.2} user + {system:.2} system; ")
    });
    table.line("server CPU", parts.unwrap_or_default() + &share);
    if let (Some(cost), Some(share)) = (results.crypto, figures.crypto_share_of_server_cpu) {
        let [seal, open] = [cost.seal, cost.open].map(|cost| seconds(cost.took) * 1e6);
        let [seals, opens] = [cost.seal.batch, cost.open.batch];
        let seal = format!("{seal:.2} us to seal ({seals} at once)");
        let open = format!("{open:.2} us to open ({opens} at once)");
        let share = share * 100.0;
        table.line(
            "of it crypto",
            format!("{share:.0} %, at {seal} and {open}"),
        );
    }
    let resident = server.resident as f64 / 1e6;
    let each = figures.server_bytes_per_peer;
    let each = each.map(|bytes| format!(", {bytes:.0} bytes per peer"));
    let memory = format!("{resident:.1} MB{}", each.unwrap_or_default());
    table.line("server memory", memory);
    let took = seconds(results.took);
    let [waited, made_to] = [server.voluntary, server.involuntary].map(|n| n as f64 / took);
    let waits = format!("waits {waited:.0} times a second, made to {made_to:.0} times");
    table.line(
        "server",
        format!("{} descriptors; {waits}", server.descriptors),
    );
}

pub(super) fn slo(judged: &Judged) -> String {
    let text = &judged.slo.text;
    let measured = micros(judged.measured_ns);
    match judged.outcome {
        Outcome::Met => format!("{text} met: {measured} us"),
        Outcome::Missed => format!("{text} missed: {measured} us"),
        Outcome::Undecided => {
            let Judged { samples, needs, .. } = judged;
            format!("{text} not decided: {samples} samples of {needs} that it takes")
        }
    }
}

fn verdict(report: &Report<'_>) -> String {
    let verdict = &report.verdict;
    let name = name(verdict.grade);
    let colour = match verdict.grade {
        Grade::Valid => 32,
        Grade::Suspect => 33,
        Grade::Invalid => 31,
    };
    let reasons = verdict.reasons.iter();
    let reasons = reasons.map(|why| format!("  {}\n", why.text));
    let notes = verdict.notes.iter().map(|what| format!("  note: {what}\n"));
    let lines: String = reasons.chain(notes).collect();
    format!("\n\x1b[{colour}m{name}\x1b[0m\n{lines}")
}

#[cfg(test)]
mod tests;
