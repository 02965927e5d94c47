//! Whether the figures agree with each other, and are of enough.

use std::time::Duration;

use super::Findings;
use crate::figures::seconds;
use crate::limits::{
    CHANCE, HALVES, HALVES_ROWS, HALVES_SAMPLES, LITTLE_INVALID, LITTLE_SAMPLES, LITTLE_SERVICE,
    LITTLE_SUSPECT,
};
use crate::plan::{Kind, Plan};
use crate::results::{Results, Row};
use crate::slo::{Judged, Outcome};

const LITTLE: &str = "Little's law is missed";

/// Whether every message is accounted for.
pub(super) fn account(results: &Results, findings: &mut Findings) {
    if !results.tally.account.holds() {
        findings.invalid(
            "the account does not hold",
            "the account does not hold: a message was lost track of",
        );
    }
}

/// Little's law: on average as many messages are under way as come in the time
/// that one takes. Where they are not, times or counts are wrong.
pub(super) fn littles_law(plan: &Plan, results: &Results, findings: &mut Findings) {
    let service = &results.tally.service;
    let took = seconds(results.took) * 1e9;
    let skipped = if plan.kind == Kind::Sink {
        Some("no message is answered")
    } else if service.len() < LITTLE_SAMPLES {
        Some("there are too few samples")
    } else if service.mean() > took * LITTLE_SERVICE {
        Some("messages take too long for the time that was measured")
    } else {
        None
    };
    if let Some(why) = skipped {
        findings.note(format!("Little's law was not asked: {why}"));
        return;
    }
    // Whatever was not answered is in the histogram, too, with its age.
    let expected = service.len() as f64 * service.mean() / took;
    let under_way = results.tally.under_way as f64 / took;
    let off = (under_way / expected - 1.0).abs();
    let text = format!(
        "Little's law is missed by {:.1} %: {under_way:.2} messages were under way, where rate \
         and service time make {expected:.2}",
        off * 100.0
    );
    if off > LITTLE_INVALID {
        findings.invalid(LITTLE, text);
    } else if off > LITTLE_SUSPECT {
        findings.suspect(LITTLE, text);
    }
}

/// Whether the second half of the run was like the first.
pub(super) fn halves(plan: &Plan, results: &Results, findings: &mut Findings) {
    // It is only at the end that anything is confirmed.
    if plan.kind == Kind::Sink {
        return;
    }
    if plan.rate.is_some_and(|rate| !rate.is_steady()) {
        findings.note("its halves were not compared: the rate was to change");
        return;
    }
    let rows = &results.rows;
    if rows.len() < HALVES_ROWS {
        findings.suspect(
            "it was too short",
            "it was too short to tell whether it was steady",
        );
        return;
    }
    let (first, second) = rows.split_at(rows.len() / 2);
    let (first, second) = (Half::of(first), Half::of(second));
    let fewer = first.answered.min(second.answered);
    if fewer < HALVES_SAMPLES {
        findings.note("its halves were not compared: there are too few answers");
        return;
    }
    // So much two counts of that size differ by chance.
    let by_chance = CHANCE * (2.0 / fewer as f64).sqrt();
    let changes = [
        ("throughput", first.rate, second.rate, HALVES.max(by_chance)),
        ("median response", first.median, second.median, HALVES),
    ];
    for (what, first, second, most) in changes {
        let change = second / first - 1.0;
        if change.abs() > most {
            findings.suspect("it was not steady", format!(
                "it was not steady: {what} changed by {:+.0} % from its first half to its second",
                change * 100.0
            ));
        }
    }
}

/// Half of a run.
struct Half {
    answered: u64,
    rate: f64,
    /// In seconds.
    median: f64,
}

impl Half {
    fn of(rows: &[Row]) -> Self {
        let answered = rows.iter().map(|row| row.completed).sum();
        let took: Duration = rows.iter().map(|row| row.took).sum();
        // An interval without answers has no median.
        let with_answers = rows.iter().filter(|row| row.completed > 0);
        let mut medians: Vec<_> = with_answers.map(|row| row.p50).collect();
        medians.sort_unstable();
        let median = medians.get(medians.len() / 2).copied();
        Self {
            answered,
            rate: answered as f64 / seconds(took),
            median: seconds(median.unwrap_or_default()),
        }
    }
}

/// Whether there are enough samples for what was asked.
pub(super) fn samples(slos: &[Judged], findings: &mut Findings) {
    for judged in slos {
        if let Outcome::TooFew { samples, needs } = judged.outcome {
            findings.suspect(
                "there are too few samples for a bound",
                format!(
                    "{} cannot be told from {samples} samples: it takes {needs}",
                    judged.slo.text
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::{Grade, expect, judge, judged};
    use super::*;
    use crate::plan::Rate;
    use crate::results::Tally;
    use crate::slo::Slo;
    use crate::testing;

    /// Goal: an account that does not hold is found. Method: one more scheduled.
    #[test]
    fn accounts_hold() {
        let verdict = judged(|_, results| results.tally.account.scheduled += 1);
        expect(&verdict, Grade::Invalid, "account does not hold");
    }

    /// Goal: what disagrees with Little's law is found, and how badly it does.
    /// Method: more and fewer under way than there were, on either side of both
    /// bounds.
    #[test]
    fn little_agrees() {
        for (percent, grade) in [
            (100, Grade::Valid),
            (101, Grade::Valid),
            (99, Grade::Valid),
            (103, Grade::Suspect),
            (97, Grade::Suspect),
            (89, Grade::Invalid),
            (111, Grade::Invalid),
            (0, Grade::Invalid),
        ] {
            let verdict = judged(|_, results| {
                results.tally.under_way = results.tally.under_way * percent / 100;
            });
            let told = if grade == Grade::Valid {
                ""
            } else {
                "Little's law is missed"
            };
            expect(&verdict, grade, told);
        }
    }

    /// Goal: where Little's law says nothing it is not asked, and that is said.
    /// Method: nothing is under way, in a sink, with few samples, and with
    /// messages that take long.
    #[test]
    fn little_is_not_always_asked() {
        let of = |change: &dyn Fn(&mut Plan, &mut Tally)| {
            let verdict = judged(|plan, results| {
                results.tally.under_way = 0;
                change(plan, &mut results.tally);
            });
            expect(&verdict, Grade::Valid, "");
            verdict.notes.join("\n")
        };
        let sink = of(&|plan, _| plan.kind = Kind::Sink);
        assert!(sink.contains("not asked: no message is answered"), "{sink}");
        let few = of(&|_, tally| {
            tally.service.reset();
            tally.service.record_n(100_000, 999).unwrap();
        });
        assert!(
            few.contains("not asked: there are too few samples"),
            "{few}"
        );
        let long = of(&|_, tally| {
            tally.service.reset();
            tally.service.record_n(500_000_000, 1000).unwrap();
        });
        assert!(long.contains("not asked: messages take too long"), "{long}");
    }

    /// Goal: a run that changes on its way is found. Method: a second half with
    /// other medians, and with more and fewer answers, on either side of the bound;
    /// the median of a half is not changed by one interval.
    #[test]
    fn halves_are_alike() {
        let of = |percent: u32, rows: std::ops::Range<usize>| {
            judged(|_, results| {
                for row in &mut results.rows[rows] {
                    row.p50 = row.p50 * percent / 100;
                }
            })
        };
        expect(&of(109, 10..20), Grade::Valid, "");
        expect(
            &of(111, 10..20),
            Grade::Suspect,
            "median response changed by +11 %",
        );
        expect(
            &of(89, 10..20),
            Grade::Suspect,
            "median response changed by -11 %",
        );
        expect(&of(500, 10..11), Grade::Valid, "");
        let of = |percent: u64| {
            judged(|plan, results| {
                plan.rate = None;
                for row in &mut results.rows[10..] {
                    row.completed = row.completed * percent / 100;
                }
            })
        };
        expect(&of(109), Grade::Valid, "");
        expect(&of(111), Grade::Suspect, "throughput changed by +11 %");
        expect(&of(89), Grade::Suspect, "throughput changed by -11 %");
    }

    /// Goal: what is too short, too little or meant to change is not taken for
    /// unsteady. Method: runs of each, whose halves differ.
    #[test]
    fn halves_are_not_always_compared() {
        let verdict = judged(|plan, results| {
            plan.rate = None;
            results.rows.truncate(3);
            results.rows[0].completed *= 2;
        });
        expect(&verdict, Grade::Suspect, "too short");
        let uneven = |results: &mut Results, counts: [u64; 2]| {
            for (k, row) in results.rows.iter_mut().enumerate() {
                row.completed = counts[k / 10];
            }
        };
        let few = judged(|plan, results| {
            plan.rate = None;
            uneven(results, [20, 9]);
        });
        expect(&few, Grade::Valid, "");
        assert!(few.notes[0].contains("too few answers"), "{few:?}");
        // Of two hundred, forty more or fewer are chance.
        let chance = judged(|plan, results| {
            plan.rate = None;
            uneven(results, [20, 24]);
        });
        expect(&chance, Grade::Valid, "");
        let ramp = judged(|plan, results| {
            plan.rate = Some(Rate {
                from: 500.0,
                to: 1500.0,
            });
            uneven(results, [750, 1250]);
        });
        expect(&ramp, Grade::Valid, "");
        assert!(ramp.notes[0].contains("was to change"), "{ramp:?}");
    }

    /// Goal: a bound that cannot be told makes a run suspect; a missed one does
    /// not. Method: one of each kind.
    #[test]
    fn samples_suffice() {
        let (plan, results) = (testing::plan(), testing::results());
        let of = |text: &str| {
            let slos = Slo::parse(text).unwrap().into_iter();
            let slos: Vec<_> = slos.map(|slo| slo.judge(&results.tally.response)).collect();
            judge(&plan, &results, &slos, &testing::environment())
        };
        expect(&of("p99.9<1s,p50<1ns"), Grade::Valid, "");
        let told = "p99.99<1s cannot be told from 20000 samples: it takes 100000";
        expect(&of("p99.99<1s"), Grade::Suspect, told);
    }
}
