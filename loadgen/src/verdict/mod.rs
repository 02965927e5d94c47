//! Whether the figures of a run can be trusted, and why not.
//!
//! [`judge`] asks every rule. What is asked of the load that was to be made is in
//! [`load`], of who makes it in [`generator`], and of the figures themselves in
//! [`figures`]; all bounds are in [`crate::limits`].

mod figures;
mod generator;
mod load;

use std::cmp::Reverse;

use crate::environment::Environment;
use crate::plan::Plan;
use crate::results::Results;
use crate::slo::Judged;

/// How far figures can be trusted; the worst rule decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Grade {
    /// They are what they say.
    Valid,
    /// They may be; look at the reasons.
    Suspect,
    /// They are of something else.
    Invalid,
}

impl Grade {
    /// What it is called in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Valid => "VALID",
            Self::Suspect => "SUSPECT",
            Self::Invalid => "INVALID",
        }
    }
}

/// Why a run is not valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reason {
    pub(crate) grade: Grade,
    /// Which rule it broke: the same words in every run.
    pub(crate) rule: &'static str,
    /// By how much, in this run.
    pub(crate) text: String,
}

/// What there is to say about a run's figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) grade: Grade,
    /// Why it is not valid; none if it is. The worst first.
    pub(crate) reasons: Vec<Reason>,
    /// What else the reader should know: what was not asked, and why.
    pub(crate) notes: Vec<String>,
    /// The generator had no more to give: the server may do more than is told.
    pub(crate) at_least: bool,
}

/// Judges a run.
pub(crate) fn judge(
    plan: &Plan,
    results: &Results,
    slos: &[Judged],
    environment: &Environment,
) -> Verdict {
    let mut findings = Findings::default();
    let answered = results.answered(plan) > 0.0;
    if !answered {
        findings.invalid(
            "nothing was answered",
            "nothing was answered in the measured time",
        );
    }
    let at_least = generator::judge(plan, results, &mut findings);
    load::rate(plan, results, at_least, &mut findings);
    load::failures(plan, results, &mut findings);
    load::circumstances(plan, results, environment, &mut findings);
    figures::account(results, &mut findings);
    if answered {
        figures::littles_law(plan, results, &mut findings);
        figures::halves(plan, results, &mut findings);
    }
    figures::samples(slos, &mut findings);
    findings.verdict(at_least)
}

/// What rules have found so far.
#[derive(Debug, Default)]
struct Findings {
    all: Vec<Reason>,
    notes: Vec<String>,
}

impl Findings {
    fn suspect(&mut self, rule: &'static str, why: impl Into<String>) {
        self.found(Grade::Suspect, rule, why.into());
    }

    fn invalid(&mut self, rule: &'static str, why: impl Into<String>) {
        self.found(Grade::Invalid, rule, why.into());
    }

    fn found(&mut self, grade: Grade, rule: &'static str, text: String) {
        self.all.push(Reason { grade, rule, text });
    }

    fn note(&mut self, what: impl Into<String>) {
        self.notes.push(what.into());
    }

    fn verdict(mut self, at_least: bool) -> Verdict {
        self.all.sort_by_key(|reason| Reverse(reason.grade));
        Verdict {
            grade: self.all.first().map_or(Grade::Valid, |worst| worst.grade),
            reasons: self.all,
            notes: self.notes,
            at_least,
        }
    }
}

/// For tests: the verdict on the made-up run ([`crate::testing`]) after `change`.
#[cfg(test)]
#[track_caller]
fn judged(change: impl FnOnce(&mut Plan, &mut Results)) -> Verdict {
    let (mut plan, mut results) = (crate::testing::plan(), crate::testing::results());
    change(&mut plan, &mut results);
    judge(&plan, &results, &[], &crate::testing::environment())
}

/// For tests: that `verdict` is of this grade, for this reason alone, or for none.
#[cfg(test)]
#[track_caller]
fn expect(verdict: &Verdict, grade: Grade, reason: &str) {
    assert_eq!(verdict.grade, grade, "{verdict:?}");
    if reason.is_empty() {
        assert!(verdict.reasons.is_empty(), "{verdict:?}");
    } else {
        assert_eq!(verdict.reasons.len(), 1, "{verdict:?}");
        assert!(verdict.reasons[0].text.contains(reason), "{verdict:?}");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Goal: a run with nothing wrong is valid, and nothing more is said of it.
    #[test]
    fn a_good_run() {
        let verdict = judged(|_, _| {});
        expect(&verdict, Grade::Valid, "");
        assert_eq!(verdict.notes, [""; 0]);
        assert!(!verdict.at_least);
    }

    /// Goal: the worst reason decides and comes first. Method: a run that breaks a
    /// rule of each grade.
    #[test]
    fn the_worst_comes_first() {
        let verdict = judged(|_, results| {
            results.interrupted = true;
            results.tally.account.completed -= 1;
        });
        assert_eq!(verdict.grade, Grade::Invalid);
        assert_eq!(verdict.reasons.len(), 2, "{verdict:?}");
        assert!(verdict.reasons[0].text.contains("account"), "{verdict:?}");
    }

    /// Goal: without an answer there is nothing to trust, and no rule fails over
    /// it. Method: a run in which all timed out, and one of which nothing is known.
    #[test]
    fn nothing_answered() {
        let verdict = judged(|_, results| {
            let account = &mut results.tally.account;
            account.timeouts = std::mem::take(&mut account.completed);
            results.rows.iter_mut().for_each(|row| row.completed = 0);
        });
        assert_eq!(verdict.grade, Grade::Invalid);
        assert!(verdict.reasons[0].text.contains("nothing was answered"));
        let verdict = judged(|_, results| {
            results.tally = crate::results::Tally::new();
            results.rows.clear();
            results.threads.clear();
            results.server = None;
            results.took = Duration::ZERO;
        });
        assert_eq!(verdict.grade, Grade::Invalid);
    }
}
