//! Whether the figures agree with each other, and rest on enough samples.

use std::cmp::Reverse;
use std::time::Duration;

use super::Verdict;
use super::slo::{Judged, Outcome};
use crate::limits::{
    CHANCE, FREEZES_NAMED, FROZEN, HALVES, HALVES_INTERVALS, HALVES_SAMPLES, LITTLE_INVALID,
    LITTLE_SAMPLES, LITTLE_SERVICE, LITTLE_SUSPECT,
};
use crate::measure::figures::seconds;
use crate::measure::freezes::Freeze;
use crate::measure::results::{Interval, Results};
use crate::plan::Kind;

const LITTLE: &str = "Little's law is missed";

/// Little's law: the mean number of messages in flight is the rate times the mean time of a
/// message. Where it does not hold, times or counts are wrong.
pub(super) fn littles_law(results: &Results, verdict: &mut Verdict) {
    let service = &results.tally.service;
    let took = seconds(results.took) * 1e9;
    let skipped = if results.plan.kind == Kind::Sink {
        Some("no message is answered")
    } else if service.len() < LITTLE_SAMPLES {
        Some("there are too few samples")
    } else if service.mean() > took * LITTLE_SERVICE {
        Some("messages take too long for the time that was measured")
    } else {
        None
    };
    if let Some(why) = skipped {
        return verdict.note(format!("Little's law was not asked: {why}"));
    }
    // Messages without an answer are in the histogram, too. Their time is their age.
    let expected = service.len() as f64 * service.mean() / took;
    let in_flight = results.tally.in_flight_ns as f64 / took;
    let off = (in_flight / expected - 1.0).abs();
    let text = format!(
        "Little's law is missed by {:.1} %: {in_flight:.2} messages were under way, where rate \
         and service time make {expected:.2}",
        off * 100.0
    );
    if off > LITTLE_INVALID {
        verdict.invalid(LITTLE, text);
    } else if off > LITTLE_SUSPECT {
        verdict.suspect(LITTLE, text);
    }
}

/// Whether the second half of the run was like the first.
pub(super) fn halves(results: &Results, verdict: &mut Verdict) {
    // A sink confirms only at the end.
    if results.plan.kind == Kind::Sink {
        return;
    }
    if results.plan.rate.is_some_and(|rate| !rate.is_steady()) {
        return verdict.note("its halves were not compared: the rate was to change");
    }
    let intervals = &results.intervals;
    if intervals.len() < HALVES_INTERVALS {
        let rule = "it was too short";
        return verdict.suspect(rule, format!("{rule} to tell whether it was steady"));
    }
    let (first, second) = intervals.split_at(intervals.len() / 2);
    let (first, second) = (Half::of(first), Half::of(second));
    let fewer = first.answered.min(second.answered);
    if fewer < HALVES_SAMPLES {
        return verdict.note("its halves were not compared: there are too few answers");
    }
    // How much two counts of that size may differ by chance.
    let by_chance = CHANCE * (2.0 / fewer as f64).sqrt();
    let changes = [
        ("throughput", first.rate, second.rate, HALVES.max(by_chance)),
        ("median response", first.median, second.median, HALVES),
    ];
    for (what, first, second, most) in changes {
        let change = second / first - 1.0;
        if change.abs() > most {
            let (rule, change) = ("it was not steady", change * 100.0);
            let text =
                format!("{what} changed by {change:+.0} % from its first half to its second");
            verdict.suspect(rule, format!("{rule}: {text}"));
        }
    }
}

/// Whether the server went on answering for all of the run.
pub(super) fn freezes(results: &Results, verdict: &mut Verdict) {
    let total: Duration = results.freezes.iter().map(|one| one.took).sum();
    let part = seconds(total) / seconds(results.loaded);
    if part <= FROZEN {
        return;
    }
    let mut longest: Vec<&Freeze> = results.freezes.iter().collect();
    longest.sort_by_key(|one| Reverse(one.took));
    let named = longest.iter().take(FREEZES_NAMED).map(|one| {
        let (took, from) = (one.took.as_secs_f64(), one.from.as_secs_f64());
        format!("for {took:.2} s from {from:.2} s on")
    });
    let named: Vec<_> = named.collect();
    let more = match longest.len().saturating_sub(FREEZES_NAMED) {
        0 => String::new(),
        more => format!(", and {more} shorter times"),
    };
    let rule = "the server stood still";
    let (part, named) = (part * 100.0, named.join(", "));
    let text = format!("{rule} {part:.0} % of the time: {named}{more}");
    verdict.suspect(rule, text);
}

/// Whether a bound is met only because a closed loop sends nothing while it waits.
pub(super) fn omission(slos: &[Judged], verdict: &mut Verdict) {
    for Judged { slo, open_ns, .. } in slos {
        if let Some(open) = open_ns {
            let text = format!(
                "{} is met only because a closed loop sends nothing while it waits: an open loop at \
                 this rate would have seen {:.1} us",
                slo.text,
                open / 1e3
            );
            verdict.suspect("a bound is met because the loop is closed", text);
        }
    }
}

struct Half {
    answered: u64,
    rate: f64,
    /// In seconds.
    median: f64,
}

impl Half {
    fn of(intervals: &[Interval]) -> Self {
        let answered = intervals.iter().map(|interval| interval.completed).sum();
        let took: Duration = intervals.iter().map(|interval| interval.took).sum();
        // An interval without answers has no median.
        let with_answers = intervals.iter().filter(|interval| interval.completed > 0);
        let mut medians: Vec<_> = with_answers.map(|interval| interval.median).collect();
        medians.sort_unstable();
        let median = medians.get(medians.len() / 2).copied();
        Self {
            answered,
            rate: answered as f64 / seconds(took),
            median: seconds(median.unwrap_or_default()),
        }
    }
}

/// Whether there are enough samples for the user's bounds.
pub(super) fn samples(slos: &[Judged], verdict: &mut Verdict) {
    let undecided = slos.iter().filter(|one| one.outcome == Outcome::Undecided);
    for Judged {
        slo,
        samples,
        needs,
        ..
    } in undecided
    {
        let text = format!(
            "{} cannot be told from {samples} samples: it takes {needs}",
            slo.text
        );
        verdict.suspect("there are too few samples for a bound", text);
    }
}
