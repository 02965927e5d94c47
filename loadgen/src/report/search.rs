//! The report of a search: a line for each rate, and the highest that meets the bounds. It
//! computes nothing but medians: read [`crate::judge::search`] for that.

use std::collections::BTreeMap;

use sealwire::text::escaped;
use sealwire_cli::error::Error;
use serde_json::{Value, json};

use super::comparison::number;
use super::files::Files;
use super::{code, headline, json as of_runs, write_figures};
use crate::judge::Grade;
use crate::judge::comparison::Spread;
use crate::judge::point::Point;
use crate::judge::search::{Outcome, Searched, Trial};
use crate::measure::environment::Environment;
use crate::values::name;

/// Writes the report: as JSON where that is wanted, and to stdout.
pub(crate) fn emit(
    searched: &Searched,
    environment: &Environment,
    files: Files,
    quiet: bool,
) -> Result<(), Error> {
    let text = || match quiet {
        true => line(searched, environment),
        false => table(searched, environment),
    };
    write_figures(files, || of_runs::text(json(searched, environment)), text)
}

/// The program's exit code after it. With `strict` the highest rate has to be known.
pub(crate) fn exit_code(searched: &Searched, strict: bool) -> u8 {
    let grade = match searched.at_least() {
        true => Grade::Suspect,
        false => Grade::Valid,
    };
    let met = searched.met().is_some();
    code(searched.found_faults(), met, strict, grade)
}

fn table(searched: &Searched, environment: &Environment) -> String {
    let mut text = headlines(searched, environment) + "\n";
    let unit = headline::unit(&searched.plan);
    text += &header(unit, "met");
    if let Some(closed) = &searched.closed {
        text += &row("closed loop", &[closed], "");
    }
    let trials = searched.search.iter().flat_map(|search| search.trials());
    let mut trials: Vec<_> = trials.collect();
    trials.sort_by(|one, other| one.rate.total_cmp(&other.rate));
    for trial in trials {
        let runs = searched.runs.iter().filter(|run| run.rate == trial.rate);
        let points: Vec<_> = runs.map(|run| &run.point).collect();
        text += &row(&trial.rate.to_string(), &points, &of(trial, Outcome::Met));
    }
    let points = searched.runs.iter().map(|run| &run.point);
    let lines = answer(searched).into_iter().chain(rules(points));
    let lines: String = lines.map(|line| line + "\n").collect();
    text + "\n" + &lines
}

fn line(searched: &Searched, environment: &Environment) -> String {
    let lines = headlines(searched, environment);
    let what: Vec<_> = lines.lines().collect();
    format!("{}; {}\n", answer(searched).join("; "), what.join("; "))
}

fn headlines(searched: &Searched, environment: &Environment) -> String {
    let (plan, rounds) = (&searched.plan, searched.rounds);
    let pace = format!(
        "search for the highest rate with {}: open loops, up to {rounds} runs of each rate, {}",
        bounds(searched),
        headline::length(plan)
    );
    let over = name(plan.over);
    headline::of_several(plan, environment, &over, &pace, searched.own_server)
}

fn bounds(searched: &Searched) -> String {
    let slos = searched.slos.iter();
    slos.map(|slo| &*slo.text).collect::<Vec<_>>().join(", ")
}

/// The names of the columns of [`row`].
pub(super) fn header(unit: &str, last: &str) -> String {
    let cells = [
        "reached", "p50 us", "p99 us", "p99.9 us", "max us", "CPU %", last,
    ];
    let cells = cells.map(|cell| format!(" {cell:>10}")).concat();
    format!("{unit:<16}{cells}  verdict\n")
}

/// The medians of the runs at a rate, and their worst verdict.
pub(super) fn row(rate: &str, points: &[&Point], last: &str) -> String {
    let of = |figure: fn(&Point) -> Option<f64>| {
        let all = points.iter().filter_map(|point| figure(point));
        Spread::of(all).map_or("-".into(), |spread| number(spread.median))
    };
    let cells = [
        of(|point| Some(point.messages_per_second)),
        of(|point| point.response_p50_us),
        of(|point| point.response_p99_us),
        of(|point| point.response_p99_9_us),
        of(|point| point.response_max_us),
        of(|point| point.server_cpu_percent),
        last.into(),
    ];
    let cells = cells.map(|cell| format!(" {cell:>10}")).concat();
    let grades = points.iter().map(|point| point.verdict);
    let grade = grades.max().unwrap_or_default();
    format!("{rate:<16}{cells}  {}\n", name(grade))
}

/// Which rules runs have broken, and how many of them, one line each.
pub(super) fn rules<'a>(points: impl Iterator<Item = &'a Point>) -> Vec<String> {
    let mut rules = BTreeMap::<_, usize>::new();
    let mut all = 0;
    for point in points {
        all += 1;
        for rule in &point.rules {
            *rules.entry(*rule).or_default() += 1;
        }
    }
    let rules = rules.iter();
    let told = rules.map(|(rule, runs)| format!("{runs} of {all} runs: {rule}"));
    told.collect()
}

/// How many runs of a rate say so.
fn of(trial: &Trial, outcome: Outcome) -> String {
    format!("{} of {}", trial.count(outcome), trial.runs.len())
}

/// What the search has found, one line each.
fn answer(searched: &Searched) -> Vec<String> {
    let (bounds, unit) = (bounds(searched), headline::unit(&searched.plan));
    let mut lines = Vec::new();
    let search = searched.search.as_ref();
    lines.push(match searched.met() {
        Some(met) => {
            let (rate, runs) = (met.rate, of(met, Outcome::Met));
            let at_least = match searched.at_least() {
                true => "at least ",
                false => "",
            };
            format!("{at_least}{rate} {unit} with {bounds}: {runs} runs met it")
        }
        None => format!("no rate was found with {bounds}"),
    });
    if let Some(missed) = search.and_then(|search| search.missed()) {
        let (rate, met) = (missed.rate, missed.count(Outcome::Met));
        let runs = format!("{} of {}", missed.runs.len() - met, missed.runs.len());
        let width = search.and_then(|search| search.width_percent());
        let width = width.map_or(String::new(), |width| format!(", {width:.1} % above"));
        lines.push(format!("at {rate}{width}, {runs} runs missed it"));
    }
    if let Some(trial) = search.and_then(|search| search.load_testers()) {
        let (rate, runs) = (trial.rate, of(trial, Outcome::LoadTester));
        lines.push(format!(
            "at {rate} the load tester may be the bound, as in {runs} runs: what the server can do \
             there is not known"
        ));
    }
    if let Some(why) = &searched.failure {
        lines.push(format!("a run could not be made: {}", escaped(why)));
    }
    if searched.interrupted {
        lines.push("it was interrupted: what is between is not known".into());
    }
    lines
}

fn json(searched: &Searched, environment: &Environment) -> Value {
    let search = searched.search.as_ref();
    let trials = search.iter().flat_map(|search| search.trials());
    json!({
        "format": of_runs::FORMAT,
        "environment": environment,
        "plan": searched.plan,
        "server_is_own": searched.own_server,
        "slos": searched.slos,
        "rounds": searched.rounds,
        "interrupted": searched.interrupted,
        "highest_rate_per_second": searched.met().map(|trial| trial.rate),
        "at_least": searched.at_least(),
        "met": searched.met().map(of_trial),
        "missed": search.and_then(|search| search.missed()).map(of_trial),
        "load_tester_is_the_bound": search.and_then(|search| search.load_testers()).map(of_trial),
        "width_percent": search.and_then(|search| search.width_percent()),
        "closed_loop": searched.closed,
        "trials": trials.map(of_trial).collect::<Vec<_>>(),
        "runs": searched.runs,
        "answer": answer(searched),
    })
}

fn of_trial(trial: &Trial) -> Value {
    json!({
        "rate_per_second": trial.rate,
        "runs": trial.runs.len(),
        "met_runs": trial.count(Outcome::Met),
        "missed_runs": trial.count(Outcome::Missed),
        "load_tester_runs": trial.count(Outcome::LoadTester),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::search::{Run, Search};
    use crate::testing;

    /// A search that `says` what each run said; its table, its line and its JSON.
    fn told(says: impl Fn(f64) -> Outcome) -> (Searched, [String; 2], Value) {
        let slos = ["p99<2ms".parse().unwrap()];
        let mut searched = Searched::new(&testing::plan(), true, &slos, 3);
        let mut search = Search::new(1000.0, 0.0, 3);
        while let Some((rate, _)) = search.next() {
            let (outcome, point) = (says(rate), testing::point());
            search.note(rate, outcome);
            searched.runs.push(Run {
                rate,
                outcome,
                point,
            });
        }
        searched.search = Some(search);
        searched.closed = Some(testing::point());
        searched.interrupted = false;
        let here = testing::environment();
        let texts = [table(&searched, &here), line(&searched, &here)];
        let value = json(&searched, &here);
        (searched, texts, value)
    }

    /// Goal: the report has the highest rate, and how sure it is. Method: a server that misses the
    /// bound above 700 messages per second; as table, line, JSON and exit code.
    #[test]
    fn the_highest_rate() {
        let (searched, texts, value) = told(|rate| match rate <= 700.0 {
            true => Outcome::Met,
            false => Outcome::Missed,
        });
        for text in &texts {
            assert!(text.contains("with p99<2ms: 2 of 2 runs met it"), "{text}");
            assert!(text.contains("% above, 2 of 2 runs missed it"), "{text}");
            assert!(!text.contains("at least"), "{text}");
        }
        assert!(texts[0].contains("\n500 "), "{}", texts[0]);
        assert_eq!(texts[1].lines().count(), 1);
        let rate = value["highest_rate_per_second"].as_f64().unwrap();
        assert!((660.0..=700.0).contains(&rate), "{value}");
        assert_eq!(
            (&value["at_least"], &value["met"]["met_runs"]),
            (&json!(false), &json!(2))
        );
        assert!(value["width_percent"].as_f64().unwrap() < 5.01);
        assert_eq!(value["runs"][0]["outcome"], "met");
        assert_eq!(exit_code(&searched, true), 0);
    }

    /// Goal: a search without an end says so. Method: the load tester is the bound above 700; no
    /// rate is met; the user ended it.
    #[test]
    fn without_an_end() {
        let (searched, texts, value) = told(|rate| match rate <= 700.0 {
            true => Outcome::Met,
            false => Outcome::LoadTester,
        });
        for text in &texts {
            assert!(
                text.contains("at least 625 messages/s with p99<2ms"),
                "{text}"
            );
            assert!(
                text.contains("at 781 the load tester may be the bound, as in 2 of 2"),
                "{text}"
            );
        }
        assert_eq!(value["at_least"], true);
        assert_eq!(
            [false, true].map(|strict| exit_code(&searched, strict)),
            [0, 5]
        );

        let (searched, texts, _) = told(|_| Outcome::Missed);
        assert!(
            texts[0].contains("no rate was found with p99<2ms"),
            "{}",
            texts[0]
        );
        assert_eq!(exit_code(&searched, false), 3);

        let begun = Searched::new(&testing::plan(), true, &searched.slos, 3);
        let text = table(&begun, &testing::environment());
        assert!(text.contains("it was interrupted"), "{text}");
        assert!(json(&begun, &testing::environment())["met"].is_null());
    }
}
