//! What the page of a load without and with a cohort shows: how each group ended, the figures side
//! by side, and charts of both.

use hdrhistogram::Histogram;

use super::axis::Axis;
use super::comparison::{Rounds, bars};
use super::markup::{Markup, element, section, table, text};
use super::run::{over_time, percentiles};
use crate::judge::cohort::{CohortRounds, Figure, Part};
use crate::report::cohort::{self, Report, ratio};

/// Figures whose ratios have a chart: those that are about the good peers and the server.
const CHARTED: [Figure; 6] = [
    Figure::Rate,
    Figure::P50,
    Figure::P99,
    Figure::ServerCpu,
    Figure::CpuEach,
    Figure::Memory,
];

/// What there is to say of all runs.
pub(super) fn says(report: &Report<'_>) -> Vec<String> {
    let ended = match report.cohort.is_as_it_should_be() {
        true => "bad peers ended as they should",
        false => "bad peers did NOT end as they should: see below",
    };
    let runs = report.runs.iter().flat_map(|one| {
        let says = cohort::says(one);
        says.map(|text| format!("round {}, {}: {text}", one.round, one.run.part.name()))
    });
    [ended.to_owned()].into_iter().chain(runs).collect()
}

/// How the connections of each group ended.
pub(super) fn company(report: &Report<'_>) -> Markup {
    let groups = report.cohort.accounts.iter().map(|account| {
        let told = cohort::group(account);
        let mut lines = told.lines().map(str::trim);
        let name = lines.next().unwrap_or_default();
        let rest: Vec<_> = lines.collect();
        element("dt", text(name)) + element("dd", text(rest.join("; ")))
    });
    section("Bad company", [element("dl", groups.collect())])
}

pub(super) fn sections(report: &Report<'_>) -> Markup {
    let cohort = report.cohort;
    let ratios = cohort
        .others()
        .into_iter()
        .map(|other| ratios(cohort, other));
    let sides = [side_by_side(report), responses(cohort)];
    let charts: Markup = sides.into_iter().chain(ratios).collect();
    let first = report.runs.iter().filter(|one| one.round == 1);
    let over_time = first.map(|one| {
        let charts = element("div.charts", over_time(&one.run.results));
        section(
            &format!("Over time, round 1, {}", one.run.part.name()),
            [charts],
        )
    });
    let charts = [element("div.charts", charts)];
    section("Good peers, without and with the cohort", charts) + over_time.collect()
}

fn side_by_side(report: &Report<'_>) -> Markup {
    let mut rows = report.rows().into_iter().map(|(name, cells)| {
        let cells = [name.to_owned()].into_iter().chain(cells);
        cells.collect::<Vec<_>>()
    });
    let head = rows.next().unwrap_or_default();
    table(&head, rows)
}

/// Response times by percentile, of each part; all rounds together.
fn responses(cohort: &CohortRounds) -> Markup {
    let all: Vec<_> = cohort
        .parts()
        .into_iter()
        .map(|part| response(cohort, part))
        .collect();
    let some = all.iter().filter(|(_, times)| !times.is_empty());
    let some: Vec<_> = some.map(|(name, times)| (name.clone(), times)).collect();
    percentiles(&some)
}

fn response(cohort: &CohortRounds, part: Part) -> (String, Histogram<u64>) {
    let mut sum = crate::measure::quantile::histogram();
    for run in cohort.runs().filter(|run| run.part == part) {
        sum += &run.results.tally.response;
    }
    (format!("response, {}", part.name()), sum)
}

/// The cohort's figures by those of another part.
fn ratios(cohort: &CohortRounds, other: Part) -> Markup {
    let columns = CHARTED.map(|figure| {
        let name = figure.names().0;
        let label = format!("{name}: {}", ratio(cohort.ratio(other, figure)));
        (name.to_owned(), label, cohort.ratios(other, figure))
    });
    let values = columns
        .iter()
        .flat_map(|(.., rounds): &(_, _, Rounds)| rounds.iter().flatten());
    let axis = Axis::log(values.copied().chain([1.0]), "");
    bars(format!("cohort / {}", other.name()), axis, 1.0, &columns)
}
