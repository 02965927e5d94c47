//! What the page of a run shows: its figures, its times by percentile, and how it went over time.

use hdrhistogram::Histogram;

use super::axis::{Axis, percent};
use super::chart::{Line, Lines};
use super::markup::{Markup, element, section, table, text};
use crate::limits::HDR_STEPS;
use crate::measure::quantile::Quantile;
use crate::measure::results::{Interval, Results};
use crate::plan::Kind;
use crate::report::Report;
use crate::report::comparison::number;
use crate::report::headline::unit;
use crate::report::table::{CELLS, cells, micros, rows, series};

/// Percentiles that the table has beside those that are all nines.
const PERCENTILES: [&str; 3] = ["50", "75", "95"];
/// The most nines of a percentile in the table: as many as an SLO may have.
const NINES: usize = 6;

pub(super) fn sections(report: &Report<'_>) -> Markup {
    section(
        "Times",
        [element(
            "div.pair",
            percentiles(&named(report.results)) + times(report),
        )],
    ) + section(
        "Over time",
        [element("div.charts", over_time(report.results))],
    )
}

pub(super) fn figures(report: &Report<'_>) -> Markup {
    let rows = rows(report).into_iter();
    let rows = rows.map(|(name, value)| element("dt", text(name)) + element("dd", text(value)));
    element("dl", rows.collect())
}

/// All times, one column each, so that the table is narrow.
fn times(report: &Report<'_>) -> Markup {
    let series = series(report);
    let names = series.iter().map(|(name, _)| name.trim().to_owned());
    let head: Vec<_> = ["us".to_owned()].into_iter().chain(names).collect();
    let columns: Vec<_> = series.iter().map(|(_, times)| cells(times)).collect();
    let rows = CELLS.iter().enumerate().map(|(row, name)| {
        let cells = columns.iter().map(|column| column[row].clone());
        [(*name).to_owned()].into_iter().chain(cells).collect()
    });
    table(&head, rows)
}

/// What the chart of percentiles has: in a closed loop both times are the same.
pub(super) fn named(results: &Results) -> Vec<(String, &Histogram<u64>)> {
    let tally = &results.tally;
    let is_same = tally.response == tally.service;
    let response = if is_same {
        "response, service"
    } else {
        "response"
    };
    let service = (!is_same).then_some(("service".into(), &tally.service));
    let opened = results.as_open_loop.iter();
    let opened = opened.map(|times| ("as open loop".into(), times));
    let all = [(response.into(), &tally.response)].into_iter();
    let all = all.chain(service).chain(opened);
    all.filter(|(_, times)| !times.is_empty()).collect()
}

/// Times by percentile, as HdrHistogram's plots have them.
pub(super) fn percentiles(all: &[(String, &Histogram<u64>)]) -> Markup {
    let lines: Vec<_> = all
        .iter()
        .map(|(name, times)| distribution(name, times))
        .collect();
    if lines.is_empty() {
        return Markup::default();
    }
    let most = all.iter().map(|(_, times)| times.len()).max();
    let values = lines.iter().flat_map(Line::points).map(|(_, time)| time);
    let chart = Lines {
        title: "Time of a message, by percentile".into(),
        x: Axis::percentiles(most.unwrap_or(0)),
        y: Axis::log(values, "us"),
        lines,
        shaded: Vec::new(),
        shade: "",
    };
    chart.figure(percentile_table(all))
}

/// A point for each step that a plotter of HdrHistogram has, in us.
fn distribution(name: &str, times: &Histogram<u64>) -> Line {
    // Nothing is above the last sample.
    let last = 1.0 - 1.0 / times.len() as f64;
    let steps = times.iter_quantiles(HDR_STEPS);
    let points = steps.map(|step| {
        let time = step.value_iterated_to() as f64 / 1e3;
        (step.quantile_iterated_to().min(last), Some(time))
    });
    Line::new(name, points)
}

fn percentile_table(all: &[(String, &Histogram<u64>)]) -> Markup {
    let names = all.iter().map(|(name, _)| format!("{name}, us"));
    let head: Vec<_> = ["percentile".into()].into_iter().chain(names).collect();
    let nines = (1..=NINES).map(percent);
    let mut wanted: Vec<_> = PERCENTILES
        .map(str::to_owned)
        .into_iter()
        .chain(nines)
        .collect();
    wanted.sort_by(|one, other| parsed(one).total_cmp(&parsed(other)));
    let rows = wanted.into_iter().filter_map(|wanted| {
        let quantile = Quantile::parse(&wanted)?;
        let of = |times: &Histogram<u64>| quantile.of(times).map(|nanos| nanos as f64);
        let cells: Vec<_> = all.iter().map(|(_, times)| of(times)).collect();
        let known = cells.iter().any(Option::is_some);
        known.then(|| {
            [wanted]
                .into_iter()
                .chain(cells.into_iter().map(micros))
                .collect()
        })
    });
    let most = all
        .iter()
        .map(|(_, times)| micros(Some(times.max() as f64)));
    let most = ["most".into()].into_iter().chain(most).collect();
    table(&head, rows.chain([most]))
}

fn parsed(percent: &str) -> f64 {
    percent.parse().unwrap_or_default()
}

/// A figure of an interval, if it is known.
type Of = fn(&Interval) -> Option<f64>;

fn rate(interval: &Interval) -> Option<f64> {
    Some(interval.rate)
}

/// A sink confirms only at the end.
fn sent(interval: &Interval) -> Option<f64> {
    let took = interval.took.as_secs_f64();
    (took > 0.0).then(|| interval.sent as f64 / took)
}

fn p50(interval: &Interval) -> Option<f64> {
    interval.p50.map(|nanos| nanos as f64 / 1e3)
}

fn p99(interval: &Interval) -> Option<f64> {
    interval.p99.map(|nanos| nanos as f64 / 1e3)
}

fn cpu(interval: &Interval) -> Option<f64> {
    let took = interval.took.as_secs_f64();
    let used = interval.server?.ran.as_secs_f64();
    (took > 0.0).then(|| used / took * 100.0)
}

fn memory(interval: &Interval) -> Option<f64> {
    interval.server.map(|server| server.resident as f64 / 1e6)
}

/// A chart over time.
struct OverTime<'a> {
    title: String,
    unit: &'static str,
    of: &'a [(&'static str, Of)],
    /// Lines that are no figures of intervals.
    more: Vec<Line>,
}

pub(super) fn over_time(results: &Results) -> Markup {
    let rates: &[(&str, Of)] = match results.plan.kind {
        Kind::Sink => &[("sent", sent)],
        _ => &[("answered", rate)],
    };
    let charts: [(String, _, &[(&str, Of)]); 4] = [
        (format!("Rate, {}", unit(&results.plan)), "", rates),
        (
            "Response time, us".into(),
            "us",
            &[("p50", p50), ("p99", p99)],
        ),
        (
            "Server CPU, % of a processor".into(),
            "%",
            &[("server CPU", cpu)],
        ),
        (
            "Server memory, MB".into(),
            "MB",
            &[("server memory", memory)],
        ),
    ];
    let mut charts = charts.map(|(title, unit, of)| OverTime {
        title,
        unit,
        of,
        more: Vec::new(),
    });
    charts[0].more.extend(asked_for(results));
    charts.iter().map(|chart| chart.of(results)).collect()
}

/// The rate of an open loop, from end to end.
fn asked_for(results: &Results) -> Option<Line> {
    let (plan, rate) = (&results.plan, results.plan.rate?);
    let took = results.took.min(plan.duration).as_secs_f64();
    let part = took / plan.duration.as_secs_f64();
    let last = rate.from + (rate.to - rate.from) * part;
    let ends = [(0.0, Some(rate.from)), (took, Some(last))];
    Some(Line::new("asked for", ends))
}

impl OverTime<'_> {
    /// The chart of `results`; nothing if no value is known.
    fn of(&self, results: &Results) -> Markup {
        let (title, unit, of) = (&self.title, self.unit, self.of);
        let intervals = &results.intervals;
        let middle = |one: &Interval| (one.until - one.took.min(one.until) / 2).as_secs_f64();
        let lines = of
            .iter()
            .map(|(name, of)| Line::new(*name, intervals.iter().map(|one| (middle(one), of(one)))));
        let known: Vec<_> = lines
            .filter(|line| line.points().next().is_some())
            .collect();
        if known.is_empty() {
            return Markup::default();
        }
        let lines: Vec<_> = known.into_iter().chain(self.more.iter().cloned()).collect();
        let values = || lines.iter().flat_map(Line::points).map(|(_, value)| value);
        let end = intervals.last().map(|last| last.until.as_secs_f64());
        let y = match unit {
            "us" => Axis::log(values(), unit),
            _ => Axis::of(values(), unit),
        };
        let shaded = results.freezes.iter().map(|freeze| {
            let from = freeze.from.as_secs_f64();
            (from, from + freeze.took.as_secs_f64())
        });
        let numbers = numbers(results, of);
        let chart = Lines {
            title: title.clone(),
            x: Axis::time(end.unwrap_or_default()),
            y,
            lines,
            shaded: shaded.collect(),
            shade: "the server stood still",
        };
        chart.figure(numbers)
    }
}

fn numbers(results: &Results, of: &[(&str, Of)]) -> Markup {
    let names = of.iter().map(|(name, _)| (*name).to_owned());
    let head: Vec<_> = ["until, s".into()].into_iter().chain(names).collect();
    let rows = results.intervals.iter().map(|one| {
        let until = format!("{:.2}", one.until.as_secs_f64());
        let cells = of.iter().map(|(_, of)| of(one).map_or("-".into(), number));
        [until].into_iter().chain(cells).collect()
    });
    table(&head, rows)
}
