//! The table for people.

use std::fmt::Display;

use hdrhistogram::Histogram;

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
        "generator CPU",
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
        let line = format!("{name:<16}{text}");
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
        table.times("generator lag", &tally.lag);
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
mod tests {
    use std::time::Duration;

    use super::super::told;
    use super::*;
    use crate::plan::{Kind, Over, Plan, Rate};
    use crate::results::Results;

    fn shown(change: impl FnOnce(&mut Plan, &mut Results)) -> String {
        told(change, "", |report| table(report, false))
    }

    /// Goal: the whole table of a good run. Method: compare with what it is to be.
    #[test]
    fn a_good_run() {
        let shown = told(|_, _| {}, "p99<5ms", |report| table(report, false));
        let due = "\
loadgen 1.2.3 (0123456789ab, release): echo over sealed
64 peers, 100 B, depth 4, 2 threads
open loop, 1000 messages/s evenly, 20 s after 1 s
Made-up CPU @ 2 GHz, 8 processors, Linux 6.1.0
load on a server of its own at 127.0.0.1:9999, both on this machine
kernel portable on both sides

rate            1000 messages/s of 1000 asked for (100.0 %)
payload         0.10 MB/s one way
us                      p50        p90        p99      p99.9        max       mean
response              160.1      200.1      209.0      210.0      210.0      160.5
service               150.0      190.1      199.0      200.1      200.1      150.5
generator lag          10.0       10.0       10.0       10.0       10.0       10.0
handshake             400.1          -          -          -      400.1      400.0
account         20000 scheduled = 20000 completed + 0 errors + 0 timeouts + 0 shed + 0 unsent + 0 in flight
answers         0 wrong, 0 lost, with the warm-up
peers           64 joined, 64 complete, 0 failed; 128 handshakes/s
server CPU      10.00 us per message: 4.00 user + 6.00 system; 1 % of a processor
of it crypto    5 %, at 0.30 us to seal (2 at once) and 0.20 us to open (2 at once)
server memory   10.6 MB, 1500 bytes per peer
server          70 descriptors; waits 500 times a second, made to 20 times
generator CPU   20 %, 25 % of each thread
slo             p99<5ms met: 209.0 us

VALID
";
        assert_eq!(shown, due);
    }

    /// Goal: what a run lacks is not told as if it were there. Method: a closed
    /// loop against another's server, over plain TCP, of which nothing is known.
    #[test]
    fn what_is_not_known() {
        let shown = shown(|plan, results| {
            plan.rate = None;
            plan.over = Over::Plain;
            results.own_server = false;
            results.address = "192.0.2.1:9999".parse().expect("an address");
            results.server = None;
        });
        for line in [
            "closed loop, 20 s after 1 s",
            "load on the server at 192.0.2.1:9999, on another machine",
            "rate            1000 messages/s",
            "server CPU      n/a",
        ] {
            assert!(shown.contains(&format!("\n{line}\n")), "{line}: {shown}");
        }
        for none in [
            "kernel",
            "lag",
            "crypto",
            "bytes per peer",
            "asked",
            "descriptors",
        ] {
            assert!(!shown.contains(none), "{none}: {shown}");
        }
    }

    /// Goal: what went wrong is told, and why figures are in doubt. Method: a run
    /// with a bit of everything, an account that does not hold, and bounds that
    /// are missed and not decided.
    #[test]
    fn what_went_wrong() {
        let shown = told(
            |_, results| {
                results.tally.account.errors = 3;
                results.tally.wrong = 3;
                results.threads[0].ran = results.took;
                results.errors.insert("reset".into(), 2);
                results.failed = 2;
            },
            "p99<5us,p99.999<1s",
            |report| table(report, false),
        );
        for line in [
            "rate            at least 1000 messages/s of 1000 asked for (100.0 %)",
            "account         20000 scheduled is not 20000 completed + 3 errors + 0 timeouts + 0 shed + 0 unsent + 0 in flight",
            "answers         3 wrong, 0 lost, with the warm-up",
            "error           2 reset",
            "slo             p99<5us missed: 209.0 us",
            "slo             p99.999<1s not decided: 20000 samples of 1000000 that it takes",
            "INVALID",
            "  3 answers were wrong",
        ] {
            assert!(shown.contains(&format!("\n{line}\n")), "{line}: {shown}");
        }
        assert!(shown.contains("may be the bound"), "{shown}");
    }

    /// Goal: stages come in the order in which they happen, counts with their
    /// names, and rates in their unit. Method: runs of churn and of fanout.
    #[test]
    fn stages_and_counts() {
        let stages = |results: &mut Results, names: &[&'static str]| {
            for name in names {
                let times = results.tally.service.clone();
                results.tally.stages.insert(name, times);
            }
        };
        let in_order = |shown: &str, names: &[&str]| {
            let place = |name: &&str| shown.find(&format!("\n{name:<16}"));
            let places: Vec<_> = names.iter().map(place).collect();
            assert!(
                places[0].is_some() && places.is_sorted(),
                "{places:?}: {shown}"
            );
        };
        let churn = shown(|plan, results| {
            plan.kind = Kind::Churn;
            stages(
                results,
                &["complete", "connect", "first reply", "handshake"],
            );
        });
        in_order(&churn, &["connect", "handshake", "first reply", "complete"]);
        assert_eq!(churn.matches("\nhandshake ").count(), 1, "{churn}");
        assert!(
            churn.contains("rate            1000 connections/s of"),
            "{churn}"
        );
        assert!(churn.contains(" 10.00 us per connection: "), "{churn}");
        let fanout = shown(|plan, results| {
            plan.kind = Kind::Fanout;
            plan.rate = Some(Rate {
                from: 500.0,
                to: 1500.0,
            });
            stages(results, &["first", "last", "median"]);
            results.tally.counts.insert("deliveries", 1_280_000);
        });
        in_order(&fanout, &["first", "median", "last"]);
        assert!(fanout.contains("\ndeliveries      1280000\n"), "{fanout}");
        assert!(
            fanout.contains("\n1 publishers, 64 subscribers, 100 B"),
            "{fanout}"
        );
        assert!(
            fanout.contains("\nopen loop, 500 to 1500 messages/s evenly"),
            "{fanout}"
        );
    }

    /// Goal: one line has what counts, and names what ran. Method: a good run; one that
    /// is in doubt and misses its bound; one without answers.
    #[test]
    fn one_line() {
        let good = told(|_, _| {}, "p99<5ms", line);
        let figures = "1000 messages/s, p50 160.1 us, p99 209.0 us, VALID; loadgen ";
        assert!(
            good.starts_with(figures) && good.lines().count() == 1,
            "{good}"
        );
        let busy = |_: &mut Plan, results: &mut Results| results.threads[0].ran = results.took;
        let busy = told(busy, "p50<1us", line);
        let due = "at least 1000 messages/s, p50 160.1 us, p99 209.0 us, \
                   slo p50<1us missed: 160.1 us, SUSPECT; ";
        assert!(busy.starts_with(due), "{busy}");
        let none = told(
            |_, results| {
                results.tally = crate::results::Tally::new();
                results.rows.clear();
                results.threads.clear();
                results.took = Duration::ZERO;
            },
            "",
            line,
        );
        assert!(none.starts_with("0 messages/s, p50 - us, p99 - us, INVALID; "));
    }

    /// Goal: a run that ends before its time says how long it was.
    #[test]
    fn ended_early() {
        let shown = shown(|_, results| results.took = Duration::from_millis(370));
        let line = "\nopen loop, 1000 messages/s evenly, 20 s after 1 s; it ended after 0.37 s\n";
        assert!(shown.contains(line), "{shown}");
    }

    /// Goal: only the verdict has a colour, and only if there is to be one.
    #[test]
    fn colours() {
        let plain = told(|_, _| {}, "", |report| table(report, false));
        let coloured = told(|_, _| {}, "", |report| table(report, true));
        assert!(!plain.contains('\x1b'));
        assert_eq!(coloured.replace("\x1b[32mVALID\x1b[0m", "VALID"), plain);
    }
}
