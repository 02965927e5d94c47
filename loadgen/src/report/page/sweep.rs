//! What the page of a sweep shows: response times and the server's CPU against the rate, and where
//! the knee is.

use super::axis::Axis;
use super::chart::{Line, Lines};
use super::markup::{Markup, element, section, table};
use crate::judge::point::Point;
use crate::judge::sweep::Sweep;
use crate::report::comparison::number;
use crate::report::headline::unit;
use crate::values::name;

/// A figure of a run, if it is known.
type Of = fn(&Point) -> Option<f64>;

const TIMES: [(&str, Of); 3] = [
    ("p50", |point| point.response_p50_us),
    ("p99", |point| point.response_p99_us),
    ("p99.9", |point| point.response_p99_9_us),
];
const CPU: [(&str, Of); 1] = [("server CPU", |point| point.server_cpu_percent)];

pub(super) fn sections(sweep: &Sweep) -> Markup {
    let rate = unit(&sweep.plan);
    let charts = [
        chart(sweep, format!("Response time, us, by {rate}"), "us", &TIMES),
        chart(
            sweep,
            format!("Server CPU, % of a processor, by {rate}"),
            "%",
            &CPU,
        ),
    ];
    section(
        "The curve",
        [element("div.charts", charts.into_iter().collect())],
    )
}

/// Both scales are logarithmic, as the rates are.
fn chart(sweep: &Sweep, title: String, unit: &'static str, of: &[(&'static str, Of)]) -> Markup {
    let rates = sweep.rates.iter().copied();
    let line = |(name, of): &(&'static str, Of)| {
        let points = rates.clone().zip(sweep.points.iter().map(of));
        Line::new(*name, points)
    };
    let lines: Vec<_> = of.iter().map(line).collect();
    let known: Vec<_> = lines.iter().flat_map(Line::points).collect();
    if known.is_empty() {
        return Markup::default();
    }
    let last = sweep
        .points
        .len()
        .checked_sub(1)
        .map(|last| sweep.rates[last]);
    let knee = sweep.knee().map(|index| sweep.rates[index]);
    let chart = Lines {
        title,
        x: Axis::log(known.iter().map(|&(rate, _)| rate), ""),
        y: Axis::log(known.iter().map(|&(_, value)| value), unit),
        shaded: knee.zip(last).into_iter().collect(),
        shade: "behind the knee",
        lines,
    };
    chart.figure(numbers(sweep))
}

fn numbers(sweep: &Sweep) -> Markup {
    let names = TIMES.iter().chain(&CPU).map(|(name, _)| *name);
    let head = ["rate", "answered"]
        .into_iter()
        .chain(names)
        .chain(["verdict"]);
    let head: Vec<_> = head.map(str::to_owned).collect();
    let rows = sweep.rates.iter().zip(&sweep.points).map(|(rate, point)| {
        let figures = TIMES.iter().chain(&CPU).map(|(_, of)| of(point));
        let cells = [Some(*rate), Some(point.messages_per_second)]
            .into_iter()
            .chain(figures);
        let cells = cells.map(|value| value.map_or("-".into(), number));
        cells.chain([name(point.verdict)]).collect()
    });
    table(&head, rows)
}
