//! Whether the figures of a run can be trusted, and why not.
//!
//! [`judge`] applies every rule: [`load`] checks the load against the plan, [`generator`] the load
//! tester, [`consistency`] the figures themselves, [`steadiness`] the run over its time. All bounds
//! are in [`crate::limits`]. [`slo`] has the user's bounds. [`comparison`] combines the runs of a
//! comparison, [`baseline`] sets them beside older ones ([`ranks`]), and [`cohort`] combines those
//! without and with a cohort. [`search`] chooses rates until the highest that meets a bound is
//! known, [`sweep`] finds the knee of a curve, and [`point`] has the figures of a run at a rate.

pub(crate) mod baseline;
pub(crate) mod cohort;
pub(crate) mod comparison;
mod consistency;
mod generator;
mod load;
pub(crate) mod point;
mod ranks;
pub(crate) mod search;
pub(crate) mod slo;
mod steadiness;
pub(crate) mod sweep;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;

use clap::ValueEnum;
use serde::Serialize;

use self::slo::Judged;
use crate::measure::environment::Environment;
use crate::measure::figures::Figures;
use crate::measure::results::Results;

/// How far figures can be trusted; the worst rule decides.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[value(rename_all = "UPPER")]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Grade {
    #[default]
    Valid,
    /// Doubtful: read the reasons.
    Suspect,
    /// The figures answer another question.
    Invalid,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reason {
    pub(crate) grade: Grade,
    /// Which rule it broke: the same words in every run.
    pub(crate) rule: &'static str,
    /// By how much, in this run.
    pub(crate) text: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
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

impl Verdict {
    fn suspect(&mut self, rule: &'static str, text: impl Into<String>) {
        self.doubt(Grade::Suspect, rule, text.into());
    }

    fn invalid(&mut self, rule: &'static str, text: impl Into<String>) {
        self.doubt(Grade::Invalid, rule, text.into());
    }

    fn doubt(&mut self, grade: Grade, rule: &'static str, text: String) {
        self.grade = self.grade.max(grade);
        self.reasons.push(Reason { grade, rule, text });
    }

    /// Whether the load tester was the bound, not the server: it was at its limit, or its lateness
    /// alone has at least this grade.
    pub(crate) fn is_load_testers(&self, grade: Grade) -> bool {
        let late = |reason: &Reason| reason.rule == generator::LATE && reason.grade >= grade;
        self.at_least || self.reasons.iter().any(late)
    }

    fn note(&mut self, what: impl Into<String>) {
        self.notes.push(what.into());
    }
}

pub(crate) fn judge(
    results: &Results,
    figures: &Figures,
    slos: &[Judged],
    environment: &Environment,
) -> Verdict {
    let mut verdict = Verdict::default();
    let answered = figures.measured_messages > 0;
    if !answered {
        let rule = "nothing was answered";
        verdict.invalid(rule, format!("{rule} in the measured time"));
    }
    generator::judge(results, figures, &mut verdict);
    load::rate(results, figures, &mut verdict);
    load::failures(results, &mut verdict);
    circumstances(results, environment, &mut verdict);
    if !results.tally.account.holds() {
        let rule = "the account does not hold";
        verdict.invalid(rule, format!("{rule}: a message was lost track of"));
    }
    if answered {
        consistency::littles_law(results, &mut verdict);
        steadiness::halves(results, environment.processors, &mut verdict);
        steadiness::freezes(results, &mut verdict);
        consistency::omission(slos, &mut verdict);
    }
    consistency::samples(slos, &mut verdict);
    verdict.reasons.sort_by_key(|reason| Reverse(reason.grade));
    verdict
}

/// How the run differs from what was asked for.
fn circumstances(results: &Results, here: &Environment, verdict: &mut Verdict) {
    if results.interrupted {
        verdict.suspect("it was interrupted", "it was interrupted");
    }
    if results.ended_early {
        let planned = results.plan.duration.as_secs_f64();
        let took = results.took.as_secs_f64();
        let text = format!("it ended after {took:.2} s of {planned} s: no peer was left");
        verdict.suspect("it ended early", text);
    }
    if here.profile == "debug" {
        let rule = "this is a debug build";
        let text = format!("{rule}: cargo run --release is the one to measure");
        verdict.suspect(rule, text);
    }
    let fastest = here.fastest_kernel;
    if let Some(used) = results.kernel.map(|kernel| kernel.name())
        && used != fastest
    {
        let text = format!("kernel {used} was used; this processor has {fastest}, too");
        verdict.note(text);
    }
}
