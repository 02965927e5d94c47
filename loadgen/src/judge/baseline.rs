//! Whether rounds are better or worse than those of an older report: `--baseline`.
//!
//! Both have the report of each run, and each figure is judged by a rank test over all runs
//! ([`super::ranks`]), never from single numbers. A report of another machine, or of another
//! setting, is refused: a change would not be the server's. It reads no file.

use std::collections::{BTreeMap, BTreeSet};

use clap::ValueEnum;
use sealwire::text::escaped;
use serde::Serialize;
use serde_json::Value;

use super::comparison::Spread;
use super::ranks;
use crate::limits::{
    BASELINE_CHANCE, BASELINE_CHANGE, BASELINE_LEAST, BASELINE_RUNS, BASELINE_SHOWN,
};
use crate::values::name;

/// A figure of a run: where its report has it.
struct Figure {
    name: &'static str,
    pointer: &'static str,
    /// The unit of the name, in that of the report.
    unit: f64,
    more_is_better: bool,
    /// Not where a few messages or a few milliseconds make the figure: what else the machine does
    /// changes that most.
    decides: bool,
}

const fn figure(
    name: &'static str,
    pointer: &'static str,
    unit: f64,
    more_is_better: bool,
    decides: bool,
) -> Figure {
    Figure {
        name,
        pointer,
        unit,
        more_is_better,
        decides,
    }
}

const FIGURES: [Figure; 8] = [
    figure("messages/s", "/messages_per_second", 1.0, true, true),
    figure("p50 us", "/response_ns/p50", 1e3, false, true),
    figure("p99 us", "/response_ns/p99", 1e3, false, true),
    figure("p99.9 us", "/response_ns/p99_9", 1e3, false, false),
    figure("max us", "/response_ns/max", 1e3, false, false),
    figure(
        "server us/msg",
        "/server_cpu_us_per_message",
        1.0,
        false,
        true,
    ),
    figure("KiB/peer", "/server_bytes_per_peer", 1024.0, false, true),
    figure("handshakes/s", "/handshakes_per_second", 1.0, true, false),
];

/// What differs between two builds that are compared.
const MAY_DIFFER: [&str; 2] = ["version", "commit"];

/// What the rounds say about a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Change {
    Better,
    Worse,
    #[value(name = "can't tell")]
    CantTell,
}

/// A figure beside the old one.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    /// A transport, or two whose ratio it is.
    pub(crate) of: String,
    pub(crate) figure: &'static str,
    pub(crate) old: Spread,
    pub(crate) new: Spread,
    /// Of the median.
    pub(crate) change_percent: Option<f64>,
    /// How likely runs of one build differ as much.
    pub(crate) chance: f64,
    pub(crate) change: Change,
    /// Whether it decides about the whole: in a comparison only ratios do, as the machine's own
    /// changes cancel in them.
    pub(crate) decides: bool,
}

/// The rows, and what they come to.
#[derive(Debug, Serialize)]
pub(crate) struct Judged {
    /// What the old report was built from.
    pub(crate) commit: String,
    pub(crate) change: Change,
    pub(crate) rows: Vec<Row>,
    /// New runs that are INVALID, which the rows leave out, and new runs in all. If they leave too
    /// few to compare, that itself is worse: the old rounds had enough.
    pub(crate) invalid_runs: usize,
    pub(crate) new_runs: usize,
}

/// The report of older rounds.
pub(crate) struct Baseline(Value);

impl Baseline {
    /// Reads the JSON of a report.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let value = serde_json::from_str::<Value>(text);
        let value = value.map_err(|error| format!("it is no JSON: {error}"))?;
        match value["transports"].is_object() && value["runs"].is_array() {
            true => Ok(Self(value)),
            false => Err(
                "it has no rounds: --rounds N --json FILE makes a report that has, and so does \
                 compare --json FILE"
                    .into(),
            ),
        }
    }

    /// Refuses a report that cannot be compared with one of this `setting`: the report of `rounds`
    /// before the first of them.
    pub(crate) fn check(&self, setting: &Value, rounds: usize) -> Result<(), String> {
        // Read as the old report was, so that numbers are rounded in the same way.
        let setting: Value = serde_json::from_str(&setting.to_string()).expect("it is JSON");
        if let Some((place, old, new)) = difference(&self.0, &setting) {
            return Err(format!(
                "not comparable: {place} is {} there, and {} here",
                shown(&old),
                shown(&new)
            ));
        }
        let runs = Runs::of(&self.0);
        let counts = runs.overs.iter().map(|over| runs.count(over));
        let least = counts.min().unwrap_or_default();
        match are_too_few(least, rounds) {
            false => Ok(()),
            true => Err(format!(
                "{least} valid old rounds and {rounds} new ones are too few to tell anything: 6 \
                 of each are enough"
            )),
        }
    }

    /// Sets each figure of the report `new` beside the old one.
    pub(crate) fn judge(&self, new: &Value) -> Judged {
        let (old, new) = (Runs::of(&self.0), Runs::of(new));
        let mut rows = Vec::new();
        let several = new.overs.len() > 1;
        let ours = OURS.to_owned();
        for over in &new.overs {
            let figures = FIGURES.iter();
            rows.extend(figures.filter_map(|figure| {
                let values = |runs: &Runs<'_>| runs.values(over, figure);
                row(over.clone(), figure, values(&old), values(&new), !several)
            }));
        }
        for other in new.overs.iter().filter(|over| several && **over != ours) {
            let figures = FIGURES.iter();
            rows.extend(figures.filter_map(|figure| {
                let ratios = |runs: &Runs<'_>| runs.ratios(&ours, other, figure);
                let of = format!("{ours} / {other}");
                row(of, figure, ratios(&old), ratios(&new), true)
            }));
        }
        let any = |change: Change| rows.iter().any(|row| row.decides && row.change == change);
        let too_few = new
            .overs
            .iter()
            .any(|over| are_too_few(old.count(over), new.count(over)));
        let change = match (any(Change::Worse) || too_few, any(Change::Better)) {
            (true, _) => Change::Worse,
            (false, true) => Change::Better,
            (false, false) => Change::CantTell,
        };
        let commit = self.0["environment"]["commit"]
            .as_str()
            .unwrap_or("unknown");
        Judged {
            commit: commit.to_owned(),
            change,
            rows,
            invalid_runs: new.all - new.runs.len(),
            new_runs: new.all,
        }
    }
}

/// Whether so many runs of each build cannot tell anything, however much they differ.
fn are_too_few(old: usize, new: usize) -> bool {
    let few = old.min(new) < BASELINE_LEAST;
    few || ranks::least_chance(old, new.min(BASELINE_RUNS)) >= BASELINE_CHANCE
}

/// The transport whose ratio to the others decides.
const OURS: &str = "sealed";

/// The runs of a report that are not INVALID: those measure something else.
struct Runs<'a> {
    overs: BTreeSet<String>,
    /// By transport and round.
    runs: BTreeMap<(&'a str, u64), &'a Value>,
    /// How many there are with the others.
    all: usize,
}

impl<'a> Runs<'a> {
    fn of(report: &'a Value) -> Self {
        let transports = report["transports"].as_object();
        let overs = transports.into_iter().flat_map(|all| all.keys().cloned());
        let all = report["runs"].as_array();
        let count = all.map_or(0, Vec::len);
        let valid = all.into_iter().flatten();
        let valid = valid.filter(|run| run["verdict"] != name(super::Grade::Invalid));
        let runs = valid.filter_map(|run| {
            let (over, round) = (run["over"].as_str()?, run["round"].as_u64()?);
            Some(((over, round), run))
        });
        Self {
            overs: overs.collect(),
            runs: runs.collect(),
            all: count,
        }
    }

    fn rounds(&self, over: &str) -> impl Iterator<Item = (u64, &'a Value)> {
        let runs = self.runs.iter().filter(move |((of, _), _)| *of == over);
        let rounds = runs.map(|((_, round), run)| (*round, *run));
        rounds.take(BASELINE_RUNS)
    }

    fn count(&self, over: &str) -> usize {
        self.rounds(over).count()
    }

    fn values(&self, over: &str, figure: &Figure) -> Vec<f64> {
        let values = self.rounds(over).filter_map(|(_, run)| figure.of(run));
        values.collect()
    }

    /// Within rounds, those that have both.
    fn ratios(&self, ours: &str, other: &str, figure: &Figure) -> Vec<f64> {
        let ratios = self.rounds(ours).filter_map(|(round, run)| {
            let other = self.runs.get(&(other, round))?;
            Some(figure.of(run)? / figure.of(other)?)
        });
        ratios.filter(|ratio| ratio.is_finite()).collect()
    }
}

impl Figure {
    fn of(&self, run: &Value) -> Option<f64> {
        let value = run.pointer(self.pointer)?.as_f64()?;
        Some(value / self.unit)
    }
}

fn row(of: String, figure: &Figure, old: Vec<f64>, new: Vec<f64>, decides: bool) -> Option<Row> {
    let chance = ranks::chance(&new, &old);
    let [was, is] = [&old, &new].map(|values| Spread::of(values.iter().copied()));
    let (was, is) = was.zip(is)?;
    let part = is.median / was.median - 1.0;
    let part = part.is_finite().then_some(part);
    let differs = part.is_some_and(|part| part.abs() >= BASELINE_CHANGE);
    let change = match is.median > was.median {
        _ if chance >= BASELINE_CHANCE || !differs => Change::CantTell,
        more if more == figure.more_is_better => Change::Better,
        _ => Change::Worse,
    };
    Some(Row {
        of,
        figure: figure.name,
        old: was,
        new: is,
        change_percent: part.map(|part| part * 100.0),
        chance,
        change,
        decides: decides && figure.decides,
    })
}

/// The first field that differs, and what both reports have there.
fn difference(old: &Value, new: &Value) -> Option<(String, Value, Value)> {
    let fields = |part: &'static str| {
        let all = new[part].as_object();
        let names = all.into_iter().flat_map(|all| all.keys());
        let names = names.filter(|name| !MAY_DIFFER.contains(&name.as_str()));
        names.map(move |name| format!("{part}/{name}"))
    };
    let alone = ["format", "kernel", "server_is_own"].map(str::to_owned);
    let places = alone.into_iter();
    let mut places = places.chain(fields("environment")).chain(fields("plan"));
    let of = |report: &Value, place: &str| {
        let value = report.pointer(&format!("/{place}"));
        value.cloned().unwrap_or_default()
    };
    let differs = places.find_map(|place| {
        let (old, new) = (of(old, &place), of(new, &place));
        (old != new).then_some((place, old, new))
    });
    let overs = |report: &Value| Value::from_iter(Runs::of(report).overs);
    let (before, now) = (overs(old), overs(new));
    differs.or_else(|| (before != now).then(|| ("transports".into(), before, now)))
}

/// A value of a file, which may be anything, for a message.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    let mut cut: String = text.chars().take(BASELINE_SHOWN).collect();
    if cut.len() < text.len() {
        cut += "...";
    }
    escaped(&cut).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A report with these rates of each transport, round by round.
    fn report(rates: &[(&str, &[f64])]) -> Value {
        let mut runs = Vec::new();
        for (over, rates) in rates {
            for (round, rate) in rates.iter().enumerate() {
                runs.push(json!({
                    "over": over, "round": round + 1, "verdict": "VALID",
                    "messages_per_second": rate, "response_ns": { "p99": 1e9 / rate },
                }));
            }
        }
        let transports: BTreeMap<_, _> = rates.iter().map(|(over, _)| (*over, json!({}))).collect();
        json!({
            "format": 2, "kernel": "portable", "server_is_own": true,
            "environment": { "processor": "A", "processors": 2, "commit": "abc" },
            "plan": { "peers": 64, "rate_from_per_second": 0.1 },
            "transports": transports, "runs": runs,
        })
    }

    fn baseline(rates: &[(&str, &[f64])]) -> Baseline {
        Baseline::read(&report(rates).to_string()).unwrap()
    }

    const OLD: [f64; 6] = [1000.0, 1008.0, 1016.0, 1024.0, 1032.0, 1040.0];

    fn times(factor: f64) -> [f64; 6] {
        OLD.map(|rate| rate * factor)
    }

    /// Goal: better and worse are told by all rounds, more or less being better; a small change and
    /// rounds that overlap tell nothing. Method: rates of a transport, by factors; one round that
    /// is far off.
    #[test]
    fn better_and_worse() {
        use Change::{Better, CantTell, Worse};
        let old = baseline(&[("sealed", &OLD)]);
        let mut stray = times(1.0);
        stray[0] = 100.0;
        for (new, due) in [
            (times(1.2), Better),
            (times(0.8), Worse),
            (times(1.0), CantTell),
            // All rounds are higher, but by less than a machine changes.
            (times(1.042), CantTell),
            (stray, CantTell),
        ] {
            let judged = old.judge(&report(&[("sealed", &new)]));
            assert_eq!(judged.change, due, "{judged:?}");
            let rows = judged.rows.iter();
            let rows: Vec<_> = rows.map(|row| (row.figure, row.change)).collect();
            assert_eq!(rows, [("messages/s", due), ("p99 us", due)]);
        }
        let judged = old.judge(&report(&[("sealed", &times(0.8))]));
        assert_eq!(judged.commit, "abc");
        let row = &judged.rows[0];
        assert!((row.change_percent.unwrap() + 20.0).abs() < 1e-9, "{row:?}");
        assert_eq!((row.old.rounds, row.new.rounds), (6, 6));
    }

    /// Goal: a build whose rounds are INVALID is worse than one whose were not, though no figure is
    /// left to show it. Method: two of six, which leaves too few, and all of six; one of seven.
    #[test]
    fn invalid_rounds_are_worse() {
        let old = baseline(&[("sealed", &OLD)]);
        for (rounds, invalid, due) in [
            (6, 2, Change::Worse),
            (6, 6, Change::Worse),
            (7, 1, Change::CantTell),
        ] {
            let mut rates = OLD.to_vec();
            rates.resize(rounds, 1020.0);
            let mut new = report(&[("sealed", &rates)]);
            for run in 0..invalid {
                new["runs"][run]["verdict"] = "INVALID".into();
            }
            let judged = old.judge(&new);
            assert_eq!(judged.change, due, "{judged:?}");
            assert_eq!((judged.invalid_runs, judged.new_runs), (invalid, rounds));
        }
    }

    /// Goal: in a comparison the machine's own changes decide nothing. Method: both transports are
    /// slower; then one alone.
    #[test]
    fn ratios_decide() {
        let old = baseline(&[("plain", &OLD), ("sealed", &OLD)]);
        let both = report(&[("plain", &times(0.7)), ("sealed", &times(0.7))]);
        let judged = old.judge(&both);
        assert_eq!(judged.change, Change::CantTell, "{judged:?}");
        let worse = judged.rows.iter().filter(|row| row.change == Change::Worse);
        assert_eq!(worse.count(), 4, "of both: rates and times");
        let one = report(&[("plain", &OLD), ("sealed", &times(0.7))]);
        let judged = old.judge(&one);
        assert_eq!(judged.change, Change::Worse);
        let last = judged.rows.last().unwrap();
        assert!(last.decides && last.of == "sealed / plain", "{last:?}");
    }

    /// Goal: what cannot be compared is refused, and the field is named; another build is what
    /// is compared. Method: a change of each field; a report without rounds; too few of them, also
    /// because they are INVALID.
    #[test]
    fn refusals() {
        let same = report(&[("sealed", &OLD)]);
        let old = || baseline(&[("sealed", &OLD)]);
        let mut build = same.clone();
        build["environment"]["commit"] = "def".into();
        assert_eq!(old().check(&build, 6), Ok(()));
        for (place, value, told) in [
            ("/format", json!(3), "format is 2 there, and 3 here"),
            ("/kernel", json!("aesni"), "kernel is "),
            (
                "/server_is_own",
                json!(false),
                "server_is_own is true there",
            ),
            (
                "/environment/processor",
                json!("B"),
                "environment/processor is \"A\" there, and",
            ),
            (
                "/environment/processors",
                json!(4),
                "environment/processors is 2",
            ),
            (
                "/plan/peers",
                json!(32),
                "plan/peers is 64 there, and 32 here",
            ),
            (
                "/transports",
                json!({ "plain": {} }),
                "transports is [\"sealed\"]",
            ),
        ] {
            let mut other = same.clone();
            *other.pointer_mut(place).unwrap() = value;
            let refusal = old().check(&other, 6).unwrap_err();
            assert!(refusal.contains(told), "{refusal}");
            assert!(refusal.starts_with("not comparable: "), "{refusal}");
        }
        // Of other versions, fields may be missing.
        let mut more = same.clone();
        more["plan"]["more"] = json!(1);
        let refusal = old().check(&more, 6).unwrap_err();
        assert!(refusal.contains("plan/more is null there"), "{refusal}");
        let few = "too few to tell";
        assert!(
            old()
                .check(&same, 4)
                .unwrap_err()
                .contains("6 valid old rounds and 4 new")
        );
        let mut invalid = same.clone();
        invalid["runs"][0]["verdict"] = "INVALID".into();
        let invalid = Baseline::read(&invalid.to_string()).unwrap();
        assert!(invalid.check(&same, 5).unwrap_err().contains(few));
        for (text, told) in [
            ("{", "no JSON"),
            ("[]", "no rounds"),
            ("{\"runs\":[]}", "no rounds"),
        ] {
            let refusal = Baseline::read(text).map(|_| ()).unwrap_err();
            assert!(refusal.contains(told), "{refusal}");
        }
        let strange = Value::from("\u{9b}".to_owned() + &"x".repeat(1000));
        assert!(shown(&strange).len() < 200 && !shown(&strange).contains('\u{9b}'));
    }
}
