//! Whether the figures of a run can be trusted, and why not.
//!
//! [`judge`] applies every rule: [`load`] checks the load against the plan, [`generator`] the load
//! tester, [`consistency`] the figures themselves. All bounds are in [`crate::limits`]. [`slo`]
//! has the user's bounds, and [`comparison`] combines the runs of a comparison.

pub(crate) mod comparison;
mod consistency;
mod generator;
mod load;
pub(crate) mod slo;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;

use serde::Serialize;

use self::slo::Judged;
use crate::measure::environment::Environment;
use crate::measure::figures::Figures;
use crate::measure::results::Results;

/// How far figures can be trusted; the worst rule decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Grade {
    /// Valid.
    Valid,
    /// Doubtful: read the reasons.
    Suspect,
    /// The figures answer another question.
    Invalid,
}

impl Grade {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Valid => "VALID",
            Self::Suspect => "SUSPECT",
            Self::Invalid => "INVALID",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reason {
    pub(crate) grade: Grade,
    /// Which rule it broke: the same words in every run.
    pub(crate) rule: &'static str,
    /// By how much, in this run.
    pub(crate) text: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Verdict {
    #[serde(rename = "verdict")]
    pub(crate) grade: Grade,
    /// Why it is not valid, the worst first.
    #[serde(skip)]
    pub(crate) reasons: Vec<Reason>,
    /// What else the reader should know: which rules were not applied, and why.
    pub(crate) notes: Vec<String>,
    /// The load tester was at its limit: the server may do more than the figures show.
    pub(crate) at_least: bool,
}

pub(crate) fn judge(
    results: &Results,
    figures: &Figures,
    slos: &[Judged],
    environment: &Environment,
) -> Verdict {
    let mut findings = Findings::default();
    let answered = figures.measured_messages > 0;
    if !answered {
        let rule = "nothing was answered";
        findings.invalid(rule, format!("{rule} in the measured time"));
    }
    let at_least = generator::judge(results, figures, &mut findings);
    load::rate(results, figures, at_least, &mut findings);
    load::failures(results, &mut findings);
    circumstances(results, environment, &mut findings);
    if !results.tally.account.holds() {
        let rule = "the account does not hold";
        findings.invalid(rule, format!("{rule}: a message was lost track of"));
    }
    if answered {
        consistency::littles_law(results, &mut findings);
        consistency::halves(results, &mut findings);
    }
    consistency::samples(slos, &mut findings);
    findings.verdict(at_least)
}

/// How the run differs from what was asked for.
fn circumstances(results: &Results, here: &Environment, findings: &mut Findings) {
    if results.interrupted {
        findings.suspect("it was interrupted", "it was interrupted");
    }
    if results.ended_early {
        let planned = results.plan.duration.as_secs_f64();
        let took = results.took.as_secs_f64();
        let text = format!("it ended after {took:.2} s of {planned} s: no peer was left");
        findings.suspect("it ended early", text);
    }
    if here.profile == "debug" {
        let rule = "this is a debug build";
        let text = format!("{rule}: cargo run --release is the one to measure");
        findings.suspect(rule, text);
    }
    let fastest = here.fastest.name();
    if let Some(used) = results.kernel.map(|kernel| kernel.name())
        && used != fastest
    {
        let text = format!("kernel {used} was used; this processor has {fastest}, too");
        findings.note(text);
    }
}

#[derive(Debug, Default)]
struct Findings {
    all: Vec<Reason>,
    notes: Vec<String>,
}

impl Findings {
    fn suspect(&mut self, rule: &'static str, text: impl Into<String>) {
        let (grade, text) = (Grade::Suspect, text.into());
        self.all.push(Reason { grade, rule, text });
    }

    fn invalid(&mut self, rule: &'static str, text: impl Into<String>) {
        let (grade, text) = (Grade::Invalid, text.into());
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
