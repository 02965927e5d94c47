//! Whether the figures of a run can be trusted, and why not.
//!
//! [`judge`] asks every rule. What is asked of the load that was to be made is in
//! [`load`], of who makes it in [`generator`], and of the figures themselves in
//! [`consistency`]; all bounds are in [`crate::limits`].

mod consistency;
mod generator;
mod load;

use std::cmp::Reverse;

use crate::environment::Environment;
use crate::plan::{Over, Plan};
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
    /// The load tester had no more to give: the server may do more than is told.
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
    let answered = results.answered(plan) > 0;
    if !answered {
        findings.invalid(
            "nothing was answered",
            "nothing was answered in the measured time",
        );
    }
    let at_least = generator::judge(plan, results, &mut findings);
    load::rate(plan, results, at_least, &mut findings);
    load::failures(plan, results, &mut findings);
    circumstances(plan, results, environment, &mut findings);
    consistency::account(results, &mut findings);
    if answered {
        consistency::littles_law(plan, results, &mut findings);
        consistency::halves(plan, results, &mut findings);
    }
    consistency::samples(slos, &mut findings);
    findings.verdict(at_least)
}

/// What the figures are of, other than what was asked for.
fn circumstances(plan: &Plan, results: &Results, here: &Environment, findings: &mut Findings) {
    if results.interrupted {
        findings.suspect("it was interrupted", "it was interrupted");
    }
    if results.ended_early {
        let (took, planned) = (results.took.as_secs_f64(), plan.duration.as_secs_f64());
        let text = format!("it ended after {took:.2} s of {planned} s: no peer was left");
        findings.suspect("it ended early", text);
    }
    if !here.is_optimised() {
        findings.suspect(
            "this is a debug build",
            "this is a debug build: cargo run --release is the one to measure",
        );
    }
    let (used, fastest) = (results.kernel.name(), here.fastest.name());
    if plan.over == Over::Sealed && used != fastest {
        findings.note(format!(
            "kernel {used} was used; this processor has {fastest}, too"
        ));
    }
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

    use sealwire::crypto::kernel::Kernel;

    use super::*;
    use crate::testing;

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

    /// Goal: an interrupted run and one of a debug build are suspect.
    #[test]
    fn circumstances_are_told() {
        let verdict = judged(|_, results| results.interrupted = true);
        expect(&verdict, Grade::Suspect, "interrupted");
        let mut environment = testing::environment();
        environment.profile = "debug";
        let (plan, results) = (testing::plan(), testing::results());
        let verdict = judge(&plan, &results, &[], &environment);
        expect(&verdict, Grade::Suspect, "debug build");
    }

    /// Goal: a kernel that is not the fastest is named, and no more. Method: this
    /// processor's fastest, for a run with its slowest.
    #[test]
    fn kernels_are_named() {
        let mut environment = testing::environment();
        let results = testing::results();
        for fastest in Kernel::all() {
            environment.fastest = fastest;
            let mut plan = testing::plan();
            let verdict = judge(&plan, &results, &[], &environment);
            expect(&verdict, Grade::Valid, "");
            let other = fastest.name() != results.kernel.name();
            assert_eq!(verdict.notes.len(), usize::from(other), "{verdict:?}");
            plan.over = Over::Plain;
            let verdict = judge(&plan, &results, &[], &environment);
            assert_eq!(verdict.notes, [""; 0]);
        }
    }
}
