//! The figures in the text format of Prometheus, for a run from a continuous integration that a
//! node exporter or a push gateway passes on.
//!
//! Names and units are those that Prometheus asks for
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>). A figure that is unknown, or
//! has too few samples, is left out.

use std::collections::BTreeSet;
use std::fmt::{Display, Write as _};

use hdrhistogram::Histogram;

use super::Report;
use crate::judge::Grade;
use crate::judge::slo::Judged;
use crate::measure::quantile::Quantile;
use crate::values::name;

/// The quantiles of a summary, as labels have them.
const QUANTILES: [(Quantile, &str); 4] = [
    (Quantile::P50, "0.5"),
    (Quantile::P90, "0.9"),
    (Quantile::P99, "0.99"),
    (Quantile::P99_9, "0.999"),
];

pub(super) fn text(report: &Report<'_>) -> String {
    let mut page = Page::default();
    run(report, &mut page);
    times(report, &mut page);
    account(report, &mut page);
    server(report, &mut page);
    page.0
}

/// The text, as far as it is written.
#[derive(Default)]
struct Page(String);

impl Page {
    /// Begins a metric.
    fn metric(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(
            self.0,
            "# HELP loadgen_{name} {help}\n# TYPE loadgen_{name} {kind}"
        );
    }

    /// Adds a value of the metric that was begun. `labels` have names and values.
    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels = labels.iter().map(|(name, value)| {
            let value = value.replace('\\', r"\\").replace('"', "\\\"");
            format!("{name}=\"{}\"", value.replace('\n', r"\n"))
        });
        let labels: Vec<_> = labels.collect();
        let _ = match &labels[..] {
            [] => writeln!(self.0, "loadgen_{name} {value}"),
            _ => writeln!(self.0, "loadgen_{name}{{{}}} {value}", labels.join(",")),
        };
    }

    /// Adds a metric with one value, if that is known.
    fn gauge(&mut self, name: &str, help: &str, value: Option<f64>) {
        if let Some(value) = value.filter(|value| value.is_finite()) {
            self.metric(name, "gauge", help);
            self.sample(name, &[], value);
        }
    }

    /// Adds the times of a histogram as a summary, in seconds.
    fn summary(&mut self, name: &str, help: &str, times: &Histogram<u64>) {
        if times.is_empty() {
            return;
        }
        self.metric(name, "summary", help);
        for (quantile, label) in QUANTILES {
            if let Some(nanos) = quantile.of(times) {
                self.sample(name, &[("quantile", label)], seconds(nanos as f64));
            }
        }
        let sum = seconds(times.mean() * times.len() as f64);
        self.sample(&format!("{name}_sum"), &[], sum);
        self.sample(&format!("{name}_count"), &[], times.len());
    }
}

fn seconds(nanos: f64) -> f64 {
    nanos / 1e9
}

/// What ran, and whether its figures can be trusted.
fn run(report: &Report<'_>, page: &mut Page) {
    let (plan, here) = (&report.results.plan, report.environment);
    let (kind, over) = (name(plan.kind), name(plan.over));
    page.metric("run_info", "gauge", "What ran.");
    let labels = [
        ("workload", &kind[..]),
        ("over", &over),
        ("version", here.version),
        ("commit", here.commit),
    ];
    page.sample("run_info", &labels, 1);
    let grade = match report.verdict.grade {
        Grade::Valid => 0,
        Grade::Suspect => 1,
        Grade::Invalid => 2,
    };
    let what = "Whether the figures can be trusted: 0 valid, 1 suspect, 2 invalid.";
    page.gauge("verdict", what, Some(f64::from(grade)));
    if !report.slos.is_empty() {
        page.metric("slo_met", "gauge", "Whether a bound was met.");
        // The same bound twice would be the same sample twice.
        let mut told = BTreeSet::new();
        for Judged { slo, outcome, .. } in &report.slos {
            if !told.insert(&slo.text) {
                continue;
            }
            let met = u8::from(*outcome == crate::judge::slo::Outcome::Met);
            page.sample("slo_met", &[("slo", &slo.text)], met);
        }
    }
    let frozen: f64 = report
        .results
        .freezes
        .iter()
        .map(|one| one.took.as_secs_f64())
        .sum();
    page.gauge(
        "frozen_seconds",
        "How long the server stood still.",
        Some(frozen),
    );
}

fn times(report: &Report<'_>, page: &mut Page) {
    let tally = &report.results.tally;
    let what = "From when a message was due to its answer.";
    page.summary("response_seconds", what, &tally.response);
    let what = "From when a message was sent to its answer.";
    page.summary("service_seconds", what, &tally.service);
    if let Some(open) = &report.results.as_open_loop {
        let what = "Response times as an open loop at the same rate would have seen them.";
        page.summary("response_as_open_loop_seconds", what, open);
    }
    let handshakes = &report.results.handshake;
    page.summary(
        "handshake_seconds",
        "From connecting to joined.",
        handshakes,
    );
}

fn account(report: &Report<'_>, page: &mut Page) {
    let (figures, results) = (&report.figures, report.results);
    let what = "Messages that were answered in a second.";
    page.gauge(
        "messages_per_second",
        what,
        Some(figures.messages_per_second),
    );
    let what = "Messages that were asked for in a second.";
    let asked = figures.asked_messages_per_second;
    page.gauge("asked_messages_per_second", what, asked);
    let account = &results.tally.account;
    page.metric(
        "messages",
        "gauge",
        "What became of the messages of the measured time.",
    );
    for (outcome, count) in [
        ("completed", account.completed),
        ("errors", account.errors),
        ("timeouts", account.timeouts),
        ("shed", account.shed),
        ("unsent", account.unsent),
        ("in_flight", account.in_flight),
    ] {
        page.sample("messages", &[("outcome", outcome)], count);
    }
    page.metric("peers", "gauge", "What became of the peers.");
    let peers = &results.peers;
    for (outcome, count) in [
        ("joined", peers.joined),
        ("complete", peers.complete),
        ("failed", peers.failed),
    ] {
        page.sample("peers", &[("outcome", outcome)], count);
    }
    let [wrong, lost] = [results.tally.wrong, results.tally.lost].map(|count| Some(count as f64));
    page.gauge("wrong_messages", "Unexpected answers.", wrong);
    page.gauge("lost_messages", "Messages without any answer.", lost);
}

fn server(report: &Report<'_>, page: &mut Page) {
    let figures = &report.figures;
    let cpu = figures.server_cpu_us_per_message.map(|us| us / 1e6);
    let what = "CPU time of the server for a message.";
    page.gauge("server_cpu_seconds_per_message", what, cpu);
    let resident = report
        .results
        .server
        .map(|server| server.after.resident as f64);
    page.gauge("server_resident_bytes", "Memory of the server.", resident);
    let what = "Memory of the server for a peer.";
    page.gauge("server_bytes_per_peer", what, figures.server_bytes_per_peer);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::told;
    use super::*;

    /// Goal: every metric has its help and its type before its samples, once; values are numbers;
    /// what is unknown is left out. Method: the made-up run with a bound, and one to an unknown
    /// server.
    #[test]
    fn the_format_is_kept() {
        let all = told(|_| {}, "p99<5ms", text);
        let closed = told(crate::testing::to_an_unknown_server, "", text);
        for text in [&all, &closed] {
            let (mut seen, mut current) = (BTreeSet::new(), String::new());
            for line in text.lines() {
                if let Some(rest) = line.strip_prefix("# HELP ") {
                    let (name, help) = rest.split_once(' ').unwrap();
                    assert!(
                        help.ends_with('.') && seen.insert(name.to_owned()),
                        "{line}"
                    );
                    current = name.to_owned();
                } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                    assert!(rest.starts_with(&format!("{current} ")), "{line}");
                } else {
                    let (sample, value) = line.rsplit_once(' ').unwrap();
                    assert!(sample.starts_with(&current), "{line}");
                    assert!(value.parse::<f64>().unwrap().is_finite(), "{line}");
                }
            }
        }
        for line in [
            "loadgen_verdict 0",
            "loadgen_slo_met{slo=\"p99<5ms\"} 1",
            "loadgen_messages{outcome=\"completed\"} 20000",
            "loadgen_response_seconds{quantile=\"0.99\"} 0.000209023",
            "loadgen_response_seconds_count 20000",
            "loadgen_server_cpu_seconds_per_message 0.00001",
            "loadgen_asked_messages_per_second 1000",
        ] {
            assert!(all.lines().any(|one| one == line), "{line}: {all}");
        }
        assert!(!closed.contains("loadgen_server") && !closed.contains("asked"));
    }

    /// Goal: no text of a bound breaks the format. Method: quotes, a backslash, a line's end.
    #[test]
    fn labels_are_escaped() {
        let mut page = Page::default();
        page.sample("x", &[("a", "\"\\\n"), ("b", "c")], 1);
        assert_eq!(page.0, "loadgen_x{a=\"\\\"\\\\\\n\",b=\"c\"} 1\n");
    }
}
