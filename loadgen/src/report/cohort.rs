//! The report of a load without and with a cohort: the good peers' figures side by side,
//! and for each group of the cohort how its connections ended.
//!
//! The JSON also has the whole report of each run. It computes nothing: read
//! [`crate::judge::cohort`] for that.

use sealwire::text::escaped;
use sealwire_cli::error::Error;
use serde_json::{Map, Value, json};

use super::comparison::number;
use super::files::Files;
use super::{SLO_MISSED, code, headline, json as of_runs, page, table, write_figures};
use crate::cohort::account::Account;
use crate::judge::Grade;
use crate::judge::cohort::{CohortRounds, Figure, Part, PartRun};
use crate::judge::comparison::Spread;
use crate::judge::slo::Slo;
use crate::measure::environment::{Environment, shares_machine};
use crate::values::name;

/// A run, judged, and the number of its round.
pub(super) struct Judged<'a> {
    pub(super) round: usize,
    pub(super) run: &'a PartRun,
    pub(super) report: super::Report<'a>,
}

/// The report; its runs are in the order of time.
pub(crate) struct Report<'a> {
    pub(super) cohort: &'a CohortRounds,
    pub(super) runs: Vec<Judged<'a>>,
    environment: &'a Environment,
}

impl<'a> Report<'a> {
    /// Judges the runs. The user's bounds are for those with the cohort.
    pub(crate) fn new(
        cohort: &'a CohortRounds,
        slos: &[Slo],
        environment: &'a Environment,
    ) -> Self {
        let rounds = cohort.rounds.iter().enumerate();
        let runs = rounds.flat_map(|(index, runs)| runs.iter().map(move |run| (index + 1, run)));
        let judged = runs.map(|(round, run)| {
            let slos = match run.part {
                Part::Cohort => slos,
                Part::Clean | Part::Control => &[],
            };
            let report = super::Report::new(&run.results, slos, environment);
            Judged { round, run, report }
        });
        Self {
            cohort,
            runs: judged.collect(),
            environment,
        }
    }

    pub(crate) fn emit(&self, mut files: Files, quiet: bool) -> Result<(), Error> {
        let html = files.html.write(|| page::of_cohort(self));
        let text = || match quiet {
            true => self.line(),
            false => self.table(),
        };
        let figures = write_figures(files, || of_runs::text(self.json()), text);
        html.and(figures)
    }

    /// The program's exit code after it.
    pub(crate) fn exit_code(&self, strict: bool) -> u8 {
        let mut codes = self.runs.iter().map(|one| one.report.exit_code(false));
        let met = codes.all(|code| code != SLO_MISSED);
        code(self.cohort.found_faults(), met, strict, self.grade())
    }

    pub(super) fn grade(&self) -> Grade {
        let grades = self.runs.iter().map(|one| one.report.verdict.grade);
        grades.max().unwrap_or_default()
    }

    fn table(&self) -> String {
        let cohort = self.cohort;
        let mut text = headline::lines(&self.runs[0].report).join("\n");
        text += &format!("\n{}\n\n", self.about());
        for (name, cells) in self.rows() {
            text += &line(name, cells.into_iter());
        }
        text.push('\n');
        for account in &cohort.accounts {
            text += &group(account);
        }
        text.push('\n');
        for one in &self.runs {
            text += &verdict(one);
        }
        text
    }

    /// The names of the columns; then a row for each figure, with its medians and its ratios.
    pub(super) fn rows(&self) -> Vec<(&'static str, Vec<String>)> {
        let (parts, others) = (self.cohort.parts(), self.cohort.others());
        let names = parts.iter().map(|part| part.name().into());
        let ratios = others.iter().map(|part| format!("cohort/{}", part.name()));
        let head = ("", names.chain(ratios).collect());
        let rows = Figure::ALL.map(|figure| {
            let of = |part: &Part| median(figure, self.cohort.median(*part, figure));
            let by = |part: &Part| ratio(self.cohort.ratio(*part, figure));
            let cells = parts.iter().map(of).chain(others.iter().map(by));
            (figure.names().0, cells.collect())
        });
        [head].into_iter().chain(rows).collect()
    }

    /// The most important figures on one line.
    fn line(&self) -> String {
        let cohort = self.cohort;
        let p99 = Figure::P99;
        let [without, with] =
            [Part::Clean, Part::Cohort].map(|part| median(p99, cohort.median(part, p99)));
        let ratio = ratio(cohort.ratio(Part::Clean, p99));
        let ended = match cohort.is_as_it_should_be() {
            true => "as they should be",
            false => "NOT as they should be",
        };
        let groups = cohort.wanted.groups.iter();
        let groups = groups.map(ToString::to_string).collect::<Vec<_>>();
        let what = headline::lines(&self.runs[0].report).join("; ");
        format!(
            "p99 {with} us with the cohort, {without} us without ({ratio}), bad peers ended \
             {ended}, {}; {}; {}; {what}\n",
            name(self.grade()),
            groups.join(", "),
            self.about()
        )
    }

    /// How large the cohort is, and where it ran.
    pub(super) fn about(&self) -> String {
        let (peers, rounds) = (self.cohort.wanted.peers(), self.cohort.rounds.len());
        let busy = self.cohort.runs().filter_map(PartRun::cohort_busy);
        let busy = busy.fold(0.0, f64::max) * 100.0;
        format!(
            "cohort of {peers} peers on a thread of the load tester, on this machine: {busy:.0} % \
             of a processor; rounds: {rounds}"
        )
    }

    fn json(&self) -> Value {
        let cohort = self.cohort;
        let figures = Figure::ALL.map(|figure| {
            let parts = cohort.parts().into_iter();
            let medians = parts.map(|part| {
                let median = cohort.median(part, figure);
                (part.name().to_owned(), json!(median))
            });
            let others = cohort.others().into_iter();
            let ratios = others.map(|part| {
                let name = format!("cohort_by_{}", part.name());
                (name, json!(cohort.ratio(part, figure)))
            });
            let all: Map<String, Value> = medians.chain(ratios).collect();
            (figure.names().1.to_owned(), Value::from(all))
        });
        let runs = self.runs.iter().map(|one| {
            let outcome = one.run.outcome.as_ref();
            json!({
                "round": one.round,
                "part": one.run.part.name(),
                "report": of_runs::value(&one.report),
                "company": outcome.map(|outcome| groups(&outcome.accounts)),
                "company_cpu_s": outcome.map(|outcome| outcome.used.ran.as_secs_f64()),
            })
        });
        let first = &self.runs[0].run.results;
        json!({
            "format": of_runs::FORMAT,
            "environment": self.environment,
            "plan": first.plan,
            "cohort": cohort.wanted,
            "rounds": cohort.rounds.len(),
            "interrupted": cohort.runs().any(|run| run.results.interrupted),
            "shares_machine": shares_machine(first.address),
            "verdict": self.grade(),
            "as_it_should_be": cohort.is_as_it_should_be(),
            "figures": figures.into_iter().collect::<Map<_, _>>(),
            "company": groups(&cohort.accounts),
            "runs": runs.collect::<Vec<_>>(),
        })
    }
}

/// A name, and its cells.
fn line(name: &str, cells: impl Iterator<Item = String>) -> String {
    let cells: String = cells.map(|cell| format!(" {cell:>17}")).collect();
    format!("{name:<16}{}\n", cells.trim_end())
}

fn median(figure: Figure, value: Option<f64>) -> String {
    value.map_or("-".into(), |value| match figure.counts() {
        true => format!("{value:.0}"),
        false => number(value),
    })
}

/// A ratio; of several rounds the median, the least and the most.
pub(super) fn ratio(spread: Option<Spread>) -> String {
    spread.map_or("-".into(), |spread| match spread.rounds {
        1 => format!("{:.2}", spread.median),
        _ => format!(
            "{:.2} ({:.1}-{:.1})",
            spread.median, spread.least, spread.most
        ),
    })
}

/// What came of a group.
pub(super) fn group(account: &Account) -> String {
    let list = |all: Vec<String>, between: &str| all.join(between);
    let ends = account.ends.iter();
    let ends = list(
        ends.map(|(end, count)| format!("{count} {end}")).collect(),
        " + ",
    );
    let equals = if account.holds() { "=" } else { "is not" };
    let (group, made) = (account.group, account.made);
    let mut text = format!("{group}\n    {made} made {equals} {ends}");
    let lived = &account.lived;
    if !lived.is_empty() {
        let times = [lived.min(), lived.value_at_quantile(0.5), lived.max()];
        let times = times.map(|nanos| format!("{:.3}", nanos as f64 / 1e9));
        text += &format!("; lived {} s", times.join(" / "));
    }
    if account.not_begun > 0 {
        text += &format!("; {} could not be begun here", account.not_begun);
    }
    let misfits = account.misfits.iter();
    let misfits = list(
        misfits
            .map(|(why, count)| format!("{count} {why}"))
            .collect(),
        ", ",
    );
    text += &match account.is_as_it_should_be() {
        true => "\n    as it should be\n".into(),
        false => format!("\n    NOT as it should be: {misfits}\n"),
    };
    text
}

fn groups(accounts: &[Account]) -> Value {
    let all = accounts.iter().map(|account| {
        let mut value = json!(account);
        value["holds"] = account.holds().into();
        value["as_it_should_be"] = account.is_as_it_should_be().into();
        value
    });
    all.collect()
}

fn verdict(one: &Judged<'_>) -> String {
    let (round, part) = (one.round, one.run.part.name());
    let grade = name(one.report.verdict.grade);
    let all: String = says(one).map(|text| format!("  {text}\n")).collect();
    format!("round {round}, {part}: {grade}\n{all}")
}

/// What there is to say of a run.
pub(super) fn says(one: &Judged<'_>) -> impl Iterator<Item = String> {
    let report = &one.report;
    let reasons = report.verdict.reasons.iter();
    let reasons = reasons.map(|why| why.text.clone());
    let errors = one.run.results.peers.errors.iter();
    let errors = errors.map(|(what, count)| format!("error: {count} {}", escaped(what)));
    let slos = report.slos.iter();
    let slos = slos.map(|judged| format!("slo {}", table::slo(judged)));
    let notes = report.verdict.notes.iter();
    let notes = notes.map(|what| format!("note: {what}"));
    reasons.chain(notes).chain(errors).chain(slos)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::cohort::{Outcome, Wanted};
    use crate::measure::results::ThreadUse;
    use crate::testing;

    /// Two rounds of the made-up run. With the cohort it answers half as fast; its accounts are
    /// those of seven connections after `change`.
    pub(in crate::report) fn cohort(change: impl Fn(&mut Account)) -> CohortRounds {
        let group = "bad-hello:3".parse().unwrap();
        let run = |part| PartRun {
            part,
            results: testing::changed(|results| {
                if part == Part::Cohort {
                    results.tally.response = testing::times(1_000_000, 20_000);
                    testing::answers(results, |count| count / 2);
                }
            }),
            outcome: (part != Part::Clean).then(|| {
                let mut account = Account::new(group);
                account.made = 7;
                change(&mut account);
                Outcome {
                    accounts: vec![account],
                    used: ThreadUse::default(),
                }
            }),
        };
        let round = || [Part::Clean, Part::Control, Part::Cohort].map(run).into();
        let wanted = Wanted {
            groups: vec![group],
            control: true,
            rounds: 2,
            ..Wanted::default()
        };
        CohortRounds::new(wanted, vec![round(), round()])
    }

    /// Goal: figures stand side by side with their ratios, the groups of all rounds are added,
    /// and a bound of the user is for the runs with the cohort alone. Method: the made-up runs,
    /// as text and as JSON.
    #[test]
    fn side_by_side() {
        let cohort = cohort(|account| account.closed(7));
        let environment = testing::environment();
        let slos = ["p99<500us".parse().unwrap()];
        let report = Report::new(&cohort, &slos, &environment);
        let json = report.json();
        let rate = &json["figures"]["answers_per_second"];
        assert_eq!(
            (&rate["clean"], &rate["cohort"]),
            (&json!(1000.0), &json!(500.0))
        );
        assert_eq!(rate["cohort_by_control"]["median"], 0.5);
        assert_eq!(json["figures"]["cohort_connections"]["cohort"], 7.0);
        let group = &json["company"][0];
        assert_eq!(
            (&group["kind"], &group["count"]),
            (&json!("bad-hello"), &json!(3))
        );
        assert_eq!(
            (&group["made"], &group["holds"]),
            (&json!(14), &json!(true))
        );
        assert_eq!(group["ends"], json!({ "closed": 14 }));
        assert_eq!(json["as_it_should_be"], true);
        let parts: Vec<_> = json["runs"].as_array().unwrap().iter().collect();
        let parts: Vec<_> = parts
            .iter()
            .map(|run| run["part"].as_str().unwrap())
            .collect();
        let round = ["clean", "control", "cohort"];
        assert_eq!(parts, [round, round].concat());
        assert_eq!(json["runs"][2]["report"]["slos"][0]["outcome"], "missed");
        assert_eq!(json["runs"][0]["report"]["slos"], json!([]));
        let table = report.table();
        for part in [
            "cohort/clean    cohort/control\n",
            " 0 ",
            "0.50 (0.5-0.5)\n",
            "bad-hello:3\n    14 made = 14 closed\n    as it should be\n",
            "round 2, cohort: ",
            "slo p99<500us missed",
        ] {
            assert!(table.contains(part), "{part}: {table}");
        }
        let line = report.line();
        assert!(line.contains("bad peers ended as they should be"), "{line}");
        assert_eq!(report.exit_code(false), 3);
    }

    /// Goal: a peer that was not ended as it should be is told, and is a fault. Method: one of
    /// each round; and an account that does not hold.
    #[test]
    fn misfits() {
        let cohort = cohort(|account| {
            account.closed(6);
            account.misfits.insert("not ended at once", 1);
        });
        let environment = testing::environment();
        let report = Report::new(&cohort, &[], &environment);
        let table = report.table();
        for part in [
            "14 made is not 12 closed",
            "NOT as it should be: 2 not ended at once\n",
        ] {
            assert!(table.contains(part), "{part}: {table}");
        }
        assert!(report.line().contains("ended NOT as they should be"));
        assert_eq!(report.json()["as_it_should_be"], false);
        assert_eq!(
            report.json()["company"][0]["misfits"],
            json!({ "not ended at once": 2 })
        );
        assert_eq!(report.exit_code(false), super::super::FOUND_FAULTS);
    }
}
