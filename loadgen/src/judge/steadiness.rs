//! Whether the run was steady: its second half like its first, and the server never at a standstill.
//!
//! A change may be the server's, or that of a machine which other programs use, too. It counts as
//! the machine's where others had more of the processors in the worse half. In a comparison it
//! counts as the server's only if it repeats ([`super::comparison`]).

use std::cmp::Reverse;
use std::time::Duration;

use super::Verdict;
use crate::limits::{
    CHANCE, FREEZES_NAMED, FROZEN, HALVES, HALVES_INTERVALS, HALVES_SAMPLES, OTHERS, OTHERS_EXPLAIN,
};
use crate::measure::figures::seconds;
use crate::measure::freezes::Freeze;
use crate::measure::results::{Interval, Results};
use crate::plan::Kind;

/// The rules that a comparison looks at over all rounds.
pub(super) const UNSTEADY: &str = "it was not steady";
pub(super) const DISTURBED: &str = "the machine was not steady";

/// Whether the second half of the run was like the first, on a machine with so many `processors`.
pub(super) fn halves(results: &Results, processors: usize, verdict: &mut Verdict) {
    // A sink confirms only at the end.
    if results.plan.kind == Kind::Sink {
        return;
    }
    if results.plan.rate.is_some_and(|rate| !rate.is_steady()) {
        return verdict.note("its halves were not compared: the rate was to change");
    }
    if results.intervals.len() < HALVES_INTERVALS {
        let rule = "it was too short";
        return verdict.suspect(rule, format!("{rule} to tell whether it was steady"));
    }
    let Some(halves) = Halves::of(results) else {
        return verdict.note("its halves were not compared: there are too few answers");
    };
    for (what, change) in [
        ("throughput", halves.throughput()),
        ("median response", halves.response()),
    ] {
        let Some(change) = change else { continue };
        let second_is_worse = (change < 0.0) == (what == "throughput");
        let percent = change * 100.0;
        let text = format!("{what} changed by {percent:+.0} % from its first half to its second");
        match halves.others(processors, change, second_is_worse) {
            None => verdict.suspect(UNSTEADY, format!("{UNSTEADY}: {text}")),
            Some([first, second]) => {
                let [first, second] = [first, second].map(|part| part * 100.0);
                let text = format!(
                    "{text}; other programs had {first:.0} % and {second:.0} % of the processors"
                );
                verdict.suspect(DISTURBED, format!("{DISTURBED}: {text}"));
            }
        }
    }
}

/// By how much the throughput changed, if by more than chance: the second half's part of the
/// first's, less 1.
pub(super) fn change(results: &Results) -> Option<f64> {
    Halves::of(results)?.throughput()
}

struct Halves<'a> {
    first: Half<'a>,
    second: Half<'a>,
}

struct Half<'a> {
    intervals: &'a [Interval],
    answered: u64,
    rate: f64,
    /// In seconds.
    median: f64,
}

impl<'a> Halves<'a> {
    /// `None` where there are too few answers to compare.
    fn of(results: &'a Results) -> Option<Self> {
        let intervals = &results.intervals;
        let (first, second) = intervals.split_at(intervals.len() / 2);
        let (first, second) = (Half::of(first), Half::of(second));
        let fewer = first.answered.min(second.answered);
        (fewer >= HALVES_SAMPLES).then_some(Self { first, second })
    }

    fn throughput(&self) -> Option<f64> {
        let (first, second) = (&self.first, &self.second);
        // How much two counts of that size may differ by chance, and two means of values that
        // vary as these do.
        let fewer = first.answered.min(second.answered) as f64;
        let by_count = CHANCE * (2.0 / fewer).sqrt();
        let by_spread = CHANCE * (first.error().powi(2) + second.error().powi(2)).sqrt();
        let change = second.rate / first.rate - 1.0;
        let most = HALVES.max(by_count).max(by_spread / first.rate);
        (change.abs() > most).then_some(change)
    }

    fn response(&self) -> Option<f64> {
        let change = self.second.median / self.first.median - 1.0;
        (change.abs() > HALVES).then_some(change)
    }

    /// What others had of the processors in each half, if that explains the `change`: more in the
    /// worse half.
    fn others(&self, processors: usize, change: f64, second_is_worse: bool) -> Option<[f64; 2]> {
        let halves = [&self.first, &self.second];
        let [Some(first), Some(second)] = halves.map(|half| half.others(processors)) else {
            return None;
        };
        let more = match second_is_worse {
            true => second - first,
            false => first - second,
        };
        // What we had of the processors, where we had more.
        let [ours, other] = halves.map(|half| half.ours(processors));
        let explained = more / ours.max(other);
        let explains = more >= OTHERS && explained >= change.abs() * OTHERS_EXPLAIN;
        explains.then_some([first, second])
    }
}

impl<'a> Half<'a> {
    fn of(intervals: &'a [Interval]) -> Self {
        let answered = intervals.iter().map(|interval| interval.completed).sum();
        let took: Duration = intervals.iter().map(|interval| interval.took).sum();
        // An interval without answers has no median.
        let with_answers = intervals.iter().filter(|interval| interval.completed > 0);
        let mut medians: Vec<_> = with_answers.map(|interval| interval.median).collect();
        medians.sort_unstable();
        let median = medians.get(medians.len() / 2).copied();
        Self {
            intervals,
            answered,
            rate: answered as f64 / seconds(took),
            median: seconds(median.unwrap_or_default()),
        }
    }

    /// The standard error of its rate, from how much the rates of its intervals vary.
    fn error(&self) -> f64 {
        let longest = self.intervals.iter().map(|one| one.took).max();
        let least = longest.unwrap_or_default() / 2;
        // The rate of a short last one says nothing.
        let whole = self.intervals.iter().filter(|one| one.took >= least);
        let rates = whole.map(|one| one.completed as f64 / seconds(one.took));
        let squares: Vec<f64> = rates.map(|rate| (rate - self.rate).powi(2)).collect();
        let count = squares.len() as f64;
        let squares: f64 = squares.iter().sum();
        (squares / (count - 1.0).max(1.0) / count.max(1.0)).sqrt()
    }

    /// What the server and the load tester had of the processors.
    fn ours(&self, processors: usize) -> f64 {
        let ours = self.intervals.iter();
        let ours = ours.map(|one| one.generator + one.server.map_or(Duration::ZERO, |s| s.ran));
        self.part(ours.sum(), processors)
    }

    /// What others had of the processors; `None` where it is not known.
    fn others(&self, processors: usize) -> Option<f64> {
        let others = self.intervals.iter().map(|one| one.others);
        let others: Option<Duration> = others.sum();
        others.map(|others| self.part(others, processors))
    }

    fn part(&self, time: Duration, processors: usize) -> f64 {
        let took: Duration = self.intervals.iter().map(|one| one.took).sum();
        seconds(time) / (seconds(took) * processors as f64)
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
