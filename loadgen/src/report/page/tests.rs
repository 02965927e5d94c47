//! Pages of made-up runs.

use std::time::Duration;

use clap::ValueEnum as _;
use sealwire::Kernel;
use serde_json::Value;

use super::super::told;
use super::*;
use crate::measure::freezes::Freeze;
use crate::measure::quantile::histogram;
use crate::measure::results::Results;
use crate::plan::{Kind, Transport};
use crate::testing;

/// A chart of a page: its caption, the points that it says it has, and those of its lines or bars.
#[derive(Debug, PartialEq, Eq)]
struct Chart {
    caption: String,
    says: usize,
    has: usize,
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let (_, rest) = text.split_once(from).unwrap();
    rest.split_once(to).unwrap().0
}

/// The elements of `svg` that have the class `class`.
fn of_class<'a>(svg: &'a str, class: &'a str) -> impl Iterator<Item = &'a str> {
    let class = format!("class=\"{class}");
    svg.lines().filter(move |line| line.contains(&class))
}

fn charts(page: &str) -> Vec<Chart> {
    let figures = page.split("<figure>").skip(1);
    let chart = |figure: &str| {
        let figure = figure.split("</figure>").next().unwrap();
        let svg = between(figure, "role=\"img\"", "</svg>");
        let lines = of_class(svg, "stroke line-").map(|line| between(line, "points=\"", "\""));
        let on_lines = lines.flat_map(str::split_whitespace).count();
        let dots = of_class(svg, "fill line-").count();
        Chart {
            caption: between(figure, "<figcaption>", "</figcaption>").into(),
            says: between(svg, "data-points=\"", "\"").parse().unwrap(),
            has: if on_lines > 0 { on_lines } else { dots },
        }
    };
    figures.map(chart).collect()
}

/// That a page is whole and asks for nothing.
#[track_caller]
fn asks_for_nothing(page: &str) {
    assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
    let inner = page.replace("http-equiv", "");
    for word in [
        "http:", "https:", "src=", "url(", "@import", "<script", "<iframe", "=\"#0000",
    ] {
        assert!(!inner.contains(word), "{word}");
    }
    assert_eq!(page.matches("href=").count(), 1, "an empty icon");
    for name in ["figure", "table", "section", "div", "svg", "ul", "details"] {
        let begins =
            page.matches(&format!("<{name}>")).count() + page.matches(&format!("<{name} ")).count();
        assert_eq!(
            begins,
            page.matches(&format!("</{name}>")).count(),
            "{name}"
        );
    }
}

fn page(change: impl FnOnce(&mut Results), slos: &str) -> String {
    let page = told(change, slos, of_run);
    asks_for_nothing(&page);
    page
}

/// Goal: a page has the verdict and its reasons, the setting, the figures, and a chart of each kind
/// with all of its points. Method: a run with nothing wrong; a bound that cannot be decided.
#[test]
fn a_run() {
    let good = page(|_| {}, "p99<5ms");
    for part in [
        "<title>echo over sealed: VALID</title>",
        "<div class=\"verdict valid\">",
        "✓ VALID",
        "<li>slo p99&lt;5ms met: 209.0 us</li>",
        "<li>64 peers, 100 B, depth 4, 2 threads</li>",
        "<dt>payload</dt>\n<dd>0.10 MB/s one way</dd>",
        "<th>p99.9</th>\n<td>210.0</td>",
        "<th>99.9</th>\n<td>210.0</td>",
        "<th>20.00</th>\n<td>160.0</td>\n<td>209.0</td>",
    ] {
        assert!(good.contains(part), "{part}: {good}");
    }
    let charts = charts(&good);
    let captions = charts.iter().map(|chart| &chart.caption[..]);
    let due = [
        "Time of a message, by percentile",
        "Rate, messages/s",
        "Response time, us",
        "Server CPU, % of a processor",
        "Server memory, MB",
    ];
    assert!(captions.eq(due), "{charts:?}");
    for chart in &charts {
        assert!(chart.says == chart.has && chart.has >= 20, "{chart:?}");
    }
    // What was asked for is a line from end to end.
    let points: Vec<_> = charts[1..].iter().map(|chart| chart.has).collect();
    assert_eq!(points, [22, 40, 20, 20]);
    assert!(!good.contains("stood still"));

    let doubtful = page(|_| {}, "p99.999<1s");
    let reason = "<li>p99.999&lt;1s cannot be told from 20000 samples: it takes 1000000</li>";
    assert!(doubtful.contains("verdict suspect") && doubtful.contains(reason));
}

/// Goal: freezes are shaded in each chart over time, the shortest, too. Method: a long one, and one
/// of 10 ms at the very end.
#[test]
fn freezes_are_shaded() {
    let freeze = |from, took| Freeze {
        from: Duration::from_millis(from),
        took: Duration::from_millis(took),
    };
    let page = page(
        |results| results.freezes = [freeze(5000, 4000), freeze(19_990, 10)].into(),
        "",
    );
    assert_eq!(page.matches("the server stood still</li>").count(), 4);
    let shades = of_class(&page, "fill shade").filter(|line| line.starts_with("<rect x="));
    let widths = shades.map(|line| between(line, " width=\"", "\"").parse::<u32>().unwrap());
    let widths: Vec<_> = widths.collect();
    assert_eq!(widths.len(), 8, "{widths:?}");
    assert!(widths.iter().all(|width| *width > 4), "{widths:?}");
}

/// Goal: a line is interrupted where a value is unknown, and a value between two unknown ones can
/// be seen. Method: a p99 alone in the middle.
#[test]
fn unknown_values_are_gaps() {
    let page = page(
        |results| {
            for unknown in [3, 5] {
                results.intervals[unknown].p99 = None;
            }
        },
        "",
    );
    let chart = page.split("<figure>").nth(3).unwrap();
    let svg = between(chart, "role=\"img\"", "</svg>");
    assert_eq!(of_class(svg, "stroke line-1").count(), 1);
    assert_eq!(of_class(svg, "stroke line-2").count(), 3);
    assert_eq!(of_class(svg, "fill line-2").count(), 18);
    assert!(chart.contains("<td>160.0</td>\n<td>-</td>"), "{chart}");
}

/// Goal: there is a page of any run. Method: nothing was answered; an unknown server; no interval,
/// as of a run that was ended at once; a closed loop, whose times are also those of an open one.
#[test]
fn any_run() {
    let nothing = page(
        |results| {
            for times in [&mut results.tally.response, &mut results.tally.service] {
                *times = histogram();
            }
            for one in &mut results.intervals {
                (one.completed, one.rate) = (0, 0.0);
                (one.p50, one.p99, one.max) = (None, None, None);
            }
        },
        "",
    );
    assert!(nothing.contains("verdict invalid"));
    assert_eq!(charts(&nothing).len(), 3, "no times");

    let unknown = page(
        |results| {
            testing::to_an_unknown_server(results);
            results
                .intervals
                .iter_mut()
                .for_each(|one| one.server = None);
        },
        "",
    );
    assert_eq!(charts(&unknown).len(), 3);

    let at_once = page(
        |results| {
            results.intervals.clear();
            (results.took, results.loaded) = (Duration::ZERO, Duration::ZERO);
            results.server = None;
        },
        "",
    );
    assert_eq!(charts(&at_once).len(), 1);

    let closed = page(
        |results| {
            results.plan.rate = None;
            results.tally.service = results.tally.response.clone();
            results.as_open_loop = results.opened();
        },
        "",
    );
    for name in ["response, service", "as open loop"] {
        assert!(closed.contains(&format!("</svg>{name}</li>")));
    }
    assert_eq!(charts(&closed)[1].has, 20, "no rate was asked for");
}

/// Goal: the rate of a sink, which confirms only at the end, is what was sent. Method: one that has
/// confirmed nothing yet.
#[test]
fn a_sink() {
    let page = page(
        |results| {
            (results.plan.kind, results.plan.rate) = (Kind::Sink, None);
            for one in &mut results.intervals {
                (one.completed, one.rate) = (0, 0.0);
            }
        },
        "",
    );
    let rate = page.split("<figure>").nth(2).unwrap();
    assert!(rate.contains("</svg>sent</li>"), "{rate}");
    assert!(rate.contains("<th>1.00</th>\n<td>1000</td>"), "{rate}");
}

/// Goal: what a peer or a machine says is text. Method: markup in an error and in the name of the
/// processor.
#[test]
fn text_is_no_markup() {
    let bad = "</dd><script>\u{1b}";
    let page = page(|results| _ = results.peers.errors.insert(bad.into(), 1), "");
    let due = "<dd>1 &lt;/dd&gt;&lt;script&gt;\\u{1b}</dd>";
    assert!(page.contains(due), "{page}");
    let (results, mut here) = (testing::results(), testing::environment());
    here.processor = bad.into();
    let page = of_run(&Report::new(&results, &[], &here));
    asks_for_nothing(&page);
    assert!(page.contains("&lt;script&gt;"), "{page}");
}

/// A comparison of made-up runs, in rounds that answer more and more.
fn compared(rounds: u64, change: impl Fn(Transport, &mut Results)) -> Comparison {
    let here = testing::environment();
    let mut plan = testing::plan();
    plan.rate = None;
    let mut comparison = Comparison::new(&plan, rounds as usize, Kernel::PORTABLE);
    for round in 1..=rounds {
        for (index, &over) in Transport::value_variants().iter().enumerate() {
            let mut results = testing::results();
            (results.plan.over, results.plan.rate) = (over, None);
            testing::answers(&mut results, |count| count * round);
            change(over, &mut results);
            let report = Report::new(&results, &[], &here);
            let (figures, verdict) = (&report.figures, &report.verdict);
            comparison.note(index, &results, figures, verdict, Value::Null);
        }
    }
    comparison
}

/// Goal: a comparison has a chart for each ratio and each figure, with a dot for every round, its
/// notes, and its medians. Method: three rounds, in which plain TCP answers half as much.
#[test]
fn a_comparison() {
    let comparison = compared(3, |over, results| {
        if over == Transport::Plain {
            testing::answers(results, |count| count / 2);
        }
    });
    let page = of_comparison(&comparison, &testing::environment());
    asks_for_nothing(&page);
    for part in [
        "<title>echo over sealed, plain",
        "<li>closed loop, 20 s after 1 s</li>",
        "<th>messages/s</th>\n<td>2000</td>\n<td>1000</td>",
        "<th>runs</th>\n<td>3</td>\n<td>3</td>",
        "messages/s: 2.000 (2.00 to 2.00) of 3\n</text>",
        "sealed: 2000 (1000 to 3000)\n</text>",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    for note in notes(&comparison) {
        assert!(
            page.contains(&format!("<li>{}</li>", text(&note))),
            "{note}"
        );
    }
    let transports = Transport::value_variants().len();
    let charts = charts(&page);
    let (ratios, figures) = charts.split_at(transports - 1);
    assert!(figures.len() == 4 && figures[0].caption == "messages/s (more is better)");
    assert!(ratios.iter().all(|chart| chart.has == 4 * 3), "{ratios:?}");
    assert!(
        figures.iter().all(|chart| chart.has == transports * 3),
        "{figures:?}"
    );
    assert!(
        charts.iter().all(|chart| chart.has == chart.says),
        "{charts:?}"
    );
}

/// Goal: what is unknown has no bar, and a run that failed leaves the other rounds as they are.
/// Method: no memory is known; the last run over plain TCP fails.
#[test]
fn a_comparison_with_gaps() {
    let mut comparison = compared(2, |_, results| results.server = None);
    comparison.rounds = 4;
    comparison
        .failed(1, sealwire_cli::error::Error::Local("<no port>".into()))
        .unwrap();
    let page = of_comparison(&comparison, &testing::environment());
    asks_for_nothing(&page);
    assert!(page.contains("not run: &lt;no port&gt;"), "{page}");
    let captions: Vec<_> = charts(&page)
        .into_iter()
        .map(|chart| chart.caption)
        .collect();
    let figures = &captions[captions.len() - 2..];
    assert_eq!(
        figures,
        ["messages/s (more is better)", "p99 us (less is better)"]
    );
    let none = of_comparison(&compared(0, |_, _| {}), &testing::environment());
    asks_for_nothing(&none);
    assert_eq!(charts(&none), []);
}

/// Goal: the page of a cohort says how each group ended, sets the figures side by side, and has charts
/// of them. Method: two rounds, in which all is as it should be; then not.
#[test]
fn a_cohort() {
    let here = testing::environment();
    for (closed, says) in [
        (7, "bad peers ended as they should"),
        (6, "bad peers did NOT end as they should"),
    ] {
        let rounds = crate::report::cohort::tests::cohort(|account| {
            account.closed(closed);
            if closed < 7 {
                account.misfits.insert("<late>", 1);
            }
        });
        let report = crate::report::cohort::Report::new(&rounds, &[], &here);
        let page = of_cohort(&report);
        asks_for_nothing(&page);
        for part in [
            says,
            "<dt>bad-hello:3</dt>",
            "<th>answers/s</th>\n<td>1000</td>",
            "0.50 (0.5-0.5)</td>",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
        assert_eq!(page.contains("2 &lt;late&gt;"), closed < 7);
        let charts = charts(&page);
        assert!(
            charts
                .iter()
                .all(|chart| chart.has == chart.says && chart.has > 0)
        );
        let captions: Vec<_> = charts.iter().map(|chart| &chart.caption[..]).collect();
        let due = [
            "Time of a message, by percentile",
            "cohort / clean",
            "cohort / control",
        ];
        assert_eq!(captions[..3], due);
        // Those over time, of each part.
        assert_eq!(captions.len(), 3 + 3 * 4);
    }
}

/// Goal: the page of a sweep has its curve, with a point for each rate, the knee, and the numbers.
/// Method: three rates, of which the last is slow; no rate was run.
#[test]
fn a_sweep() {
    let mut sweep = Sweep {
        plan: testing::plan(),
        own_server: true,
        rates: vec![1000.0, 2000.0, 4000.0],
        points: vec![testing::point(), testing::point(), testing::point()],
        interrupted: false,
        failure: None,
    };
    sweep.points[2].response_p99_us = Some(50_000.0);
    let page = of_sweep(&sweep, &testing::environment());
    asks_for_nothing(&page);
    let charts = charts(&page);
    assert_eq!(charts[0].caption, "Response time, us, by messages/s");
    let known = sweep.points.iter().map(|point| {
        let times = [
            point.response_p50_us,
            point.response_p99_us,
            point.response_p99_9_us,
        ];
        times.iter().flatten().count()
    });
    assert_eq!(charts[0].says, known.sum::<usize>());
    for chart in &charts {
        assert!(chart.says == chart.has && chart.has >= 3, "{chart:?}");
    }
    assert!(page.contains("behind the knee") && page.contains("knee: 2000 messages/s"));
    assert!(page.contains("<th>4000</th>"), "{page}");
    sweep.points.clear();
    asks_for_nothing(&of_sweep(&sweep, &testing::environment()));
}
