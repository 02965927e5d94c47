//! The report of a sweep: a line for each rate, with the knee. Read [`crate::judge::sweep`] for
//! what that is.

use sealwire::text::escaped;
use sealwire_cli::error::Error;
use serde_json::{Value, json};

use super::files::Files;
use super::search::{header, row, rules};
use super::{code, headline, json as of_runs, page, write_figures};
use crate::judge::sweep::Sweep;
use crate::limits::KNEE;
use crate::measure::environment::Environment;
use crate::values::name;

/// Writes the report: as JSON where that is wanted, and to stdout.
pub(crate) fn emit(
    sweep: &Sweep,
    environment: &Environment,
    mut files: Files,
    quiet: bool,
) -> Result<(), Error> {
    let html = files.html.write(|| page::of_sweep(sweep, environment));
    let text = || match quiet {
        true => notes(sweep).join("; ") + "\n",
        false => table(sweep, environment),
    };
    let figures = write_figures(files, || of_runs::text(json(sweep, environment)), text);
    html.and(figures)
}

/// The program's exit code after it.
pub(crate) fn exit_code(sweep: &Sweep, strict: bool) -> u8 {
    code(sweep.found_faults(), true, strict, sweep.grade())
}

/// What ran, and where.
pub(super) fn setting(sweep: &Sweep, environment: &Environment) -> String {
    let plan = &sweep.plan;
    let pace = format!("sweep of open loops, {} each", headline::length(plan));
    let over = name(plan.over);
    headline::of_several(plan, environment, &over, &pace, sweep.own_server)
}

fn table(sweep: &Sweep, environment: &Environment) -> String {
    let mut text = setting(sweep, environment) + "\n";
    text += &header(headline::unit(&sweep.plan), "");
    let knee = sweep.knee();
    for (index, point) in sweep.points.iter().enumerate() {
        let mark = if knee == Some(index) { "knee" } else { "" };
        text += &row(&sweep.rates[index].to_string(), &[point], mark);
    }
    text.push('\n');
    text + &notes(sweep).join("\n") + "\n"
}

/// What the curve shows, and where it ends, one line each.
pub(super) fn notes(sweep: &Sweep) -> Vec<String> {
    let unit = headline::unit(&sweep.plan);
    let mut notes = Vec::new();
    notes.push(match sweep.knee() {
        Some(index) => {
            let rate = sweep.rates[index];
            format!(
                "knee: {rate} {unit}, the last rate that is not INVALID and has a p99 below {KNEE} \
                 times the lowest"
            )
        }
        None => "no knee is in this range".into(),
    });
    let (had, all) = (sweep.points.len(), sweep.rates.len());
    if let Some(index) = sweep.load_testers() {
        let rate = sweep.rates[index];
        notes.push(format!(
            "the load tester was the bound from {rate} {unit} on: what the server can do there is \
             not known; {} higher rates were not run",
            all - had
        ));
    }
    if let Some(why) = &sweep.failure {
        notes.push(format!("a run could not be made: {}", escaped(why)));
    }
    if sweep.interrupted {
        notes.push(format!("it was interrupted: {had} of {all} rates were run"));
    }
    notes.extend(rules(sweep.points.iter()));
    notes
}

fn json(sweep: &Sweep, environment: &Environment) -> Value {
    let knee = sweep.knee().map(|index| sweep.rates[index]);
    let points = sweep.rates.iter().zip(&sweep.points);
    let points = points.map(|(rate, point)| {
        let mut value = json!(point);
        value["rate_per_second"] = json!(rate);
        value
    });
    json!({
        "format": of_runs::FORMAT,
        "environment": environment,
        "plan": sweep.plan,
        "server_is_own": sweep.own_server,
        "rates_per_second": sweep.rates,
        "interrupted": sweep.interrupted,
        "verdict": sweep.grade(),
        "knee_rate_per_second": knee,
        "load_tester_is_the_bound": sweep.load_testers().is_some(),
        "points": points.collect::<Vec<_>>(),
        "notes": notes(sweep),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    /// Goal: the report marks the knee, and says where the load tester was the bound. Method: three
    /// rates, of which the second is slower; the load tester ends it there.
    #[test]
    fn the_curve() {
        let mut sweep = Sweep {
            plan: testing::plan(),
            own_server: true,
            rates: vec![1000.0, 2000.0, 4000.0],
            points: vec![testing::point(), testing::point()],
            interrupted: false,
            failure: None,
        };
        sweep.points[1].response_p99_us = Some(5000.0);
        let here = testing::environment();
        let text = table(&sweep, &here);
        let marked = text.lines().find(|line| line.contains("  knee  "));
        assert!(
            marked.is_some_and(|line| line.starts_with("1000 ")),
            "{text}"
        );
        assert!(text.contains("knee: 1000 messages/s"), "{text}");
        for point in &mut sweep.points {
            point.load_tester_is_the_bound = true;
            point.rules.insert("it was too short");
        }
        let text = table(&sweep, &here);
        assert!(
            text.contains("the load tester was the bound from 1000 messages/s on"),
            "{text}"
        );
        assert!(text.contains("\n2 of 2 runs: it was too short\n"), "{text}");
        assert!(text.contains("1 higher rates were not run"), "{text}");
        let value = json(&sweep, &here);
        assert_eq!(value["knee_rate_per_second"], 1000.0);
        assert_eq!(value["points"][1]["rate_per_second"], 2000.0);
        assert_eq!(value["load_tester_is_the_bound"], true);
        assert_eq!(
            [false, true].map(|strict| exit_code(&sweep, strict)),
            [0, 5]
        );
        sweep.failure = Some("refused\u{1b}".into());
        let text = table(&sweep, &here);
        assert!(
            text.contains("a run could not be made: refused\\"),
            "{text}"
        );
        assert_eq!(exit_code(&sweep, false), 6);
    }
}
