//! What the page of a comparison shows: its medians, and for each ratio and each figure a bar with
//! its spread and a dot for every round.

use super::axis::Axis;
use super::chart::{Bar, Bars};
use super::markup::{Markup, element, section, table};
use crate::judge::comparison::{Comparison, Figure, Spread, TransportRuns};
use crate::plan::Kind;
use crate::report::comparison::{medians as cells, number, ratio};
use crate::values::name;

/// A figure of each round, where it is known.
pub(super) type Rounds = Vec<Option<f64>>;

/// A column for each transport, so that the table is narrow.
pub(super) fn medians(comparison: &Comparison) -> Markup {
    let transports = &comparison.transports;
    let row = |name: &str, cell: &dyn Fn(&TransportRuns) -> String| {
        let cells = transports.iter().map(cell);
        [name.to_owned()]
            .into_iter()
            .chain(cells)
            .collect::<Vec<_>>()
    };
    let medians: Vec<_> = transports.iter().map(cells).collect();
    let figures = Figure::ALL.iter().enumerate().map(|(index, figure)| {
        let name = figure.names(comparison.plan.kind).0.to_owned();
        let cells = medians.iter().map(|cells| cells[index].clone());
        [name].into_iter().chain(cells).collect()
    });
    let grade = |one: &TransportRuns| match one.count() {
        0 => "-".into(),
        _ => name(comparison.grade_of(one)),
    };
    let ends = [
        row("runs", &|one| one.count().to_string()),
        row("verdict", &grade),
    ];
    let table = table(&row("", &|one| name(one.over)), figures.chain(ends));
    section("Medians", [table])
}

pub(super) fn sections(comparison: &Comparison) -> Markup {
    let kind = comparison.plan.kind;
    let pairs = comparison.pairs();
    let ratios = pairs
        .map(|(ours, other)| ratios(ours, other, kind))
        .collect();
    let figures = Figure::ALL.map(|figure| figures(&comparison.transports, figure, kind));
    let figures = figures.into_iter().collect();
    section("Ratios within rounds", [element("div.charts", ratios)])
        + section("Figures", [element("div.charts", figures)])
}

/// The ratio of two transports in every figure.
fn ratios(ours: &TransportRuns, other: &TransportRuns, kind: Kind) -> Markup {
    let columns = Figure::ALL.map(|figure| {
        let rounds: Rounds = ours.ratios(other, figure).collect();
        let label = format!("{}: ", figure.names(kind).0) + &ratio(ours.ratio(other, figure));
        (figure.names(kind).0.to_owned(), label, rounds)
    });
    let values = columns
        .iter()
        .flat_map(|(.., rounds)| rounds.iter().flatten().copied());
    // Twice as much is as far from 1 as half as much.
    let axis = Axis::log(values.chain([1.0]), "");
    let title = format!("{} / {}", name(ours.over), name(other.over));
    bars(title, axis, 1.0, &columns)
}

/// One figure of every transport.
fn figures(transports: &[TransportRuns], figure: Figure, kind: Kind) -> Markup {
    let columns: Vec<_> = transports
        .iter()
        .map(|one| {
            let label = format!("{}: {}", name(one.over), spread(one.figure(figure)));
            (name(one.over), label, one.figures(figure).collect())
        })
        .collect();
    let values = columns
        .iter()
        .flat_map(|(.., rounds): &(_, _, Rounds)| rounds.iter().flatten());
    let axis = Axis::of(values.copied(), "");
    let better = match figure {
        Figure::Throughput => "more is better",
        Figure::ServerCpu | Figure::P99 | Figure::Memory => "less is better",
    };
    let title = format!("{} ({better})", figure.names(kind).0);
    bars(title, axis, 0.0, &columns)
}

fn spread(spread: Option<Spread>) -> String {
    spread.map_or("-".into(), |spread| {
        let [least, median, most] = [spread.least, spread.median, spread.most].map(number);
        format!("{median} ({least} to {most})")
    })
}

/// Bars of columns that have a name, a label and a value for each round.
pub(super) fn bars(
    title: String,
    x: Axis,
    origin: f64,
    columns: &[(String, String, Rounds)],
) -> Markup {
    let bars = columns.iter().filter_map(|(_, label, rounds)| {
        let values: Vec<_> = rounds.iter().flatten().copied().collect();
        Some(Bar {
            label: label.clone(),
            median: Spread::of(values.iter().copied())?.median,
            values,
        })
    });
    let chart = Bars {
        title,
        x,
        origin,
        bars: bars.collect(),
    };
    chart.figure(numbers(columns))
}

fn numbers(columns: &[(String, String, Rounds)]) -> Markup {
    let names = columns.iter().map(|(name, ..)| name.clone());
    let head: Vec<_> = ["round".into()].into_iter().chain(names).collect();
    let most = columns.iter().map(|(.., rounds)| rounds.len()).max();
    let rows = (0..most.unwrap_or(0)).map(|round| {
        let value = |rounds: &Rounds| rounds.get(round).copied().flatten();
        let cells = columns
            .iter()
            .map(|(.., rounds)| value(rounds).map_or("-".into(), number));
        [(round + 1).to_string()].into_iter().chain(cells).collect()
    });
    table(&head, rows)
}
