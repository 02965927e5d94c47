//! A report as a page for a browser: one file, without scripts, that asks for no other.
//!
//! What a run's page has is in [`run`]; a comparison's in [`comparison`]; that of a load without and
//! with a cohort in [`cohort`]; that of a sweep in [`sweep`]. They describe the [`chart`]s, whose scales are [`axis`]; [`markup`] keeps all text from being markup. Here is
//! what every page has. It computes no figure: read [`super::table`].

mod axis;
mod chart;
mod cohort;
mod comparison;
mod markup;
mod run;
mod sweep;

use self::markup::{Markup, element, list, own, section, text};
use super::Report;
use super::comparison::notes;
use super::headline;
use super::table::slo;
use crate::judge::Grade;
use crate::judge::comparison::Comparison;
use crate::judge::sweep::Sweep;
use crate::measure::environment::Environment;
use crate::values::name;

/// How every page looks, in light, in dark and on paper.
const STYLE: &str = include_str!("page.css");

/// Nothing is loaded and no script runs, whatever else the page has. An icon of its own keeps the
/// browser from asking for one.
const HEAD: &str = "\
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
<meta name=\"color-scheme\" content=\"light dark\">
<meta http-equiv=\"Content-Security-Policy\" \
content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">
<link rel=\"icon\" href=\"data:,\">
";

/// The page of a run.
pub(super) fn of_run(report: &Report<'_>) -> String {
    let plan = &report.results.plan;
    let title = format!("{} over {}", name(plan.kind), name(plan.over));
    let slos = report.slos.iter();
    let slos = slos.map(|judged| format!("slo {}", slo(judged)));
    let reasons = report.verdict.reasons.iter().map(|why| why.text.clone());
    let notes = report.verdict.notes.iter();
    let notes = notes.map(|what| format!("note: {what}"));
    let lines: Vec<_> = reasons.chain(slos).chain(notes).collect();
    let parts = [
        verdict(report.verdict.grade, lines),
        pair(
            setting(headline::lines(report)),
            section("Figures", [run::figures(report)]),
        ),
        run::sections(report),
    ];
    document(&title, report.verdict.grade, parts)
}

/// The page of a comparison.
pub(super) fn of_comparison(comparison: &Comparison, environment: &Environment) -> String {
    let (plan, grade) = (&comparison.plan, comparison.grade());
    let overs = comparison.transports.iter().map(|one| name(one.over));
    let overs = overs.collect::<Vec<_>>().join(", ");
    let headline = super::comparison::setting(comparison, environment);
    let parts = [
        verdict(grade, notes(comparison)),
        pair(
            setting(headline.lines().map(str::to_owned)),
            comparison::medians(comparison),
        ),
        comparison::sections(comparison),
    ];
    document(&format!("{} over {overs}", name(plan.kind)), grade, parts)
}

/// The page of a load without and with a cohort.
pub(super) fn of_cohort(report: &super::cohort::Report<'_>) -> String {
    let (grade, first) = (report.grade(), &report.runs[0].report);
    let plan = &first.results.plan;
    let title = format!(
        "{} over {}, with a cohort",
        name(plan.kind),
        name(plan.over)
    );
    let lines = headline::lines(first).into_iter().chain([report.about()]);
    let parts = [
        verdict(grade, cohort::says(report)),
        pair(setting(lines), cohort::company(report)),
        cohort::sections(report),
    ];
    document(&title, grade, parts)
}

/// The page of a sweep.
pub(super) fn of_sweep(sweep: &Sweep, environment: &Environment) -> String {
    let (plan, grade) = (&sweep.plan, sweep.grade());
    let lines = super::sweep::setting(sweep, environment);
    let parts = [
        verdict(grade, super::sweep::notes(sweep)),
        setting(lines.lines().map(str::to_owned)),
        sweep::sections(sweep),
    ];
    let title = format!("{} over {}, by rate", name(plan.kind), name(plan.over));
    document(&title, grade, parts)
}

/// How far the figures can be trusted, in words and with a colour, and why.
fn verdict(grade: Grade, lines: impl IntoIterator<Item = String>) -> Markup {
    let (class, sign, meaning) = match grade {
        Grade::Valid => ("valid", "✓", "no check found a fault"),
        Grade::Suspect => (
            "suspect",
            "?",
            "read the reasons before you trust the figures",
        ),
        Grade::Invalid => ("invalid", "✗", "the figures answer another question"),
    };
    let word = element("strong", text(format!("{sign} {}", name(grade))));
    let word = element("p", word + text(meaning));
    element(&format!("div.verdict {class}"), word + list("ul", lines))
}

/// What ran, how, and where.
fn setting(lines: impl IntoIterator<Item = String>) -> Markup {
    section("What ran", [list("ul.plain", lines)])
}

/// Side by side, where the page is wide enough.
fn pair(one: Markup, other: Markup) -> Markup {
    element("div.pair", one + other)
}

/// The whole page.
fn document(title: &str, grade: Grade, parts: impl IntoIterator<Item = Markup>) -> String {
    let tab = element("title", text(format!("{title}: {}", name(grade))));
    let head = own(HEAD) + tab + element("style", own(STYLE));
    let body: Markup = parts.into_iter().collect();
    let main = element("main", element("h1", text(title)) + body);
    let html = element("head", head) + element("body", main);
    format!("<!doctype html>\n<html lang=\"en\">\n{html}</html>\n")
}

#[cfg(test)]
mod tests;
