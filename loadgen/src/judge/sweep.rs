//! The rates of a sweep, and where its curve has its knee. It runs nothing.
//!
//! Read next: [`crate::sweep`], which makes the runs.

use super::Grade;
use super::point::Point;
use super::search::rounded;
use crate::limits::KNEE;
use crate::plan::{Plan, Rate};

/// `steps` rates from one to the other, each larger than the last by the same factor: a curve of
/// latency is told by what a server does at twice the rate, not at a thousand more.
pub(crate) fn rates(range: Rate, steps: usize) -> Vec<f64> {
    let last = steps.saturating_sub(1).max(1) as f64;
    let factor = range.to / range.from;
    let at = |step: usize| rounded(range.from * factor.powf(step as f64 / last));
    let mut rates: Vec<_> = (0..steps).map(at).collect();
    // The ends are as they were typed.
    if let [first, .., last] = &mut rates[..] {
        (*first, *last) = (range.from, range.to);
    }
    // Rates that are close to each other are the same with three digits.
    rates.retain(|rate| (range.from..=range.to).contains(rate));
    rates.dedup();
    rates
}

/// A curve, from its lowest rate on.
pub(crate) struct Sweep {
    pub(crate) plan: Plan,
    pub(crate) own_server: bool,
    pub(crate) rates: Vec<f64>,
    /// One for each rate that was run.
    pub(crate) points: Vec<Point>,
    /// The user ended it before its last rate.
    pub(crate) interrupted: bool,
    /// Why a run could not be made, which ended it: what the others showed stays.
    pub(crate) failure: Option<String>,
}

impl Sweep {
    /// Where the sweep ends: the load tester was the bound there and at the next rate, and is at
    /// higher ones, too. At one rate alone another program may have disturbed it.
    pub(crate) fn load_testers(&self) -> Option<usize> {
        let bound = |point: &Point| point.load_tester_is_the_bound;
        let pairs = self.points.windows(2);
        pairs.into_iter().position(|two| two.iter().all(bound))
    }

    /// The last rate that the server serves as well as low ones: its run is not INVALID, and has a
    /// p99 of less than [`KNEE`] times the lowest. `None` if that holds for the last rate of all.
    /// Not the first rate that is served worse: each rate is run once, and one may be disturbed.
    pub(crate) fn knee(&self) -> Option<usize> {
        let p99 = |point: &Point| {
            let p99 = point.response_p99_us;
            p99.filter(|_| point.verdict < Grade::Invalid)
        };
        let lowest = self.points.iter().filter_map(p99);
        let lowest = lowest.min_by(f64::total_cmp)?;
        let serves = |point: &Point| p99(point).is_some_and(|p99| p99 < lowest * KNEE);
        let knee = self.points.iter().rposition(serves)?;
        (knee + 1 < self.points.len()).then_some(knee)
    }

    /// The worst grade up to the knee: behind it the server is asked for more than it can do, which
    /// is what a sweep is for.
    pub(crate) fn grade(&self) -> Grade {
        let whole = match self.points.len() < self.rates.len() {
            true => Grade::Suspect,
            false => Grade::Valid,
        };
        let served = self.knee().map_or(self.points.len(), |knee| knee + 1);
        let grades = self.points[..served].iter().map(|point| point.verdict);
        grades.fold(whole, Grade::max)
    }

    pub(crate) fn found_faults(&self) -> bool {
        self.failure.is_some() || self.points.iter().any(|point| point.faults)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    /// A sweep with these p99, the last of them INVALID if it `is_invalid`.
    fn sweep(p99: &[Option<f64>], is_invalid: bool) -> Sweep {
        let mut points: Vec<_> = p99.iter().map(|_| testing::point()).collect();
        for (point, p99) in points.iter_mut().zip(p99) {
            point.response_p99_us = *p99;
        }
        if let Some(last) = points.last_mut().filter(|_| is_invalid) {
            last.verdict = Grade::Invalid;
        }
        Sweep {
            plan: testing::plan(),
            own_server: true,
            rates: vec![1.0; points.len()],
            points,
            interrupted: false,
            failure: None,
        }
    }

    /// Goal: rates grow by the same factor, and end where they should. Method: some ranges, one too
    /// small for its steps.
    #[test]
    fn rates_of_a_sweep() {
        let range = |from, to| Rate { from, to };
        assert_eq!(rates(range(1e3, 8e3), 4), [1e3, 2e3, 4e3, 8e3]);
        assert_eq!(rates(range(10_001.0, 2e5), 2), [10_001.0, 2e5]);
        let ten = rates(range(10e3, 200e3), 10);
        assert_eq!(ten.len(), 10);
        let grows = |two: &[f64]| (1.36..1.43).contains(&(two[1] / two[0]));
        assert!(ten.windows(2).all(grows), "{ten:?}");
        let near = rates(range(100.0, 101.0), 50);
        assert_eq!(near, [100.0, 101.0]);
    }

    /// Goal: the sweep ends at the rate from which on the load tester is the bound, and not where it
    /// was disturbed once. Method: points of both kinds.
    #[test]
    fn the_load_testers_end() {
        for (bound, due) in [
            (&[false, true, false, true][..], None),
            (&[false, true, true], Some(1)),
            (&[true], None),
            (&[], None),
        ] {
            let mut sweep = sweep(&vec![None; bound.len()], false);
            for (point, is_bound) in sweep.points.iter_mut().zip(bound) {
                point.load_tester_is_the_bound = *is_bound;
            }
            assert_eq!(sweep.load_testers(), due, "{bound:?}");
        }
    }

    /// Goal: the knee is the last rate before the curve rises, and only if it does. Method: curves
    /// that rise, are disturbed, stay flat, rise at once, have gaps, or end INVALID.
    #[test]
    fn knees() {
        let some = |p99: &[f64]| p99.iter().map(|p99| Some(*p99)).collect::<Vec<_>>();
        for (p99, is_invalid, due) in [
            (
                &[100.0, 90.0, 110.0, 179.0, 181.0, 900.0][..],
                false,
                Some(3),
            ),
            (&[100.0, 300.0], false, Some(0)),
            (&[100.0, 300.0, 110.0, 120.0, 500.0], false, Some(3)),
            (&[100.0, 110.0, 120.0], false, None),
            (&[100.0, 110.0, 120.0], true, Some(1)),
            // A cold start is not a knee.
            (&[300.0, 100.0, 110.0], false, None),
            (&[100.0], true, None),
        ] {
            assert_eq!(sweep(&some(p99), is_invalid).knee(), due, "{p99:?}");
        }
        let gap = sweep(&[None, Some(100.0), None, Some(500.0)], false);
        assert_eq!(gap.knee(), Some(1));
        assert_eq!(sweep(&[], false).knee(), None);
    }
}
