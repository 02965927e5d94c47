//! Which rate to try next, and what is known when the search is over. It runs nothing.
//!
//! A search begins with a part of a closed loop's rate. It goes up until a rate is missed, or down
//! until one is met, and then halves what is between. Each rate is run several times, and most of
//! its runs decide. It does not go up to where the load tester is the bound: what the server could
//! do there is not known. Read next: [`crate::search`], which makes the runs.

use clap::ValueEnum;
use serde::Serialize;

use super::Grade;
use super::point::Point;
use super::slo::Slo;
use crate::limits::{
    SEARCH_BEGINS, SEARCH_DOWN, SEARCH_LEAST, SEARCH_MOST, SEARCH_UP, SEARCH_WIDTH,
};
use crate::plan::Plan;

/// What a run says about its rate, or most runs of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    /// The run meets every bound, and is not INVALID.
    Met,
    Missed,
    /// It is missed, and perhaps by the load tester.
    LoadTester,
}

impl Outcome {
    /// Judges a run by its bounds, by its grade, and by whether the load tester was the bound.
    pub(crate) fn of(slos_met: bool, grade: Grade, is_load_testers: bool) -> Self {
        match (slos_met && grade < Grade::Invalid, is_load_testers) {
            (true, _) => Self::Met,
            (false, false) => Self::Missed,
            (false, true) => Self::LoadTester,
        }
    }
}

/// A rate, and what its runs said.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Trial {
    pub(crate) rate: f64,
    pub(crate) runs: Vec<Outcome>,
}

impl Trial {
    pub(crate) fn count(&self, outcome: Outcome) -> usize {
        self.runs.iter().filter(|run| **run == outcome).count()
    }

    /// What most of `rounds` runs say, as soon as the others cannot change that; never after one.
    pub(crate) fn decided(&self, rounds: usize) -> Option<Outcome> {
        let most = rounds / 2 + 1;
        let met = self.count(Outcome::Met);
        let load_tester = self.count(Outcome::LoadTester);
        let not_met = self.runs.len() - met;
        if self.runs.len() < 2 {
            None
        } else if met >= most {
            Some(Outcome::Met)
        } else if not_met <= rounds - most {
            None
        } else if 2 * load_tester >= not_met {
            // In doubt it is not the server.
            Some(Outcome::LoadTester)
        } else {
            Some(Outcome::Missed)
        }
    }
}

/// A search, from its beginning to its end.
#[derive(Debug)]
pub(crate) struct Search {
    rounds: usize,
    begin: f64,
    least: f64,
    most: f64,
    /// In the order of time. The last may not be decided yet.
    trials: Vec<Trial>,
}

impl Search {
    /// A search that begins at `closed`, the rate of a closed loop. Below `least` no run can
    /// decide.
    pub(crate) fn new(closed: f64, least: f64, rounds: usize) -> Self {
        let begin = rounded(closed * SEARCH_BEGINS).max(least);
        Self {
            rounds,
            begin,
            least: least.max(begin * SEARCH_LEAST),
            most: (closed * SEARCH_MOST).max(begin),
            trials: Vec::new(),
        }
    }

    /// How many runs a search takes at most, whatever the server does.
    pub(crate) fn most_runs(rounds: usize) -> usize {
        // Any rate: the steps are ratios.
        Self::new(1e6, 0.0, rounds).most_left()
    }

    /// The rate of the next run, and how many its rate had already; `None` when the search is over.
    pub(crate) fn next(&self) -> Option<(f64, usize)> {
        match self.trials.last() {
            Some(last) if last.decided(self.rounds).is_none() => {
                return Some((last.rate, last.runs.len()));
            }
            _ => {}
        }
        let rate = match (self.met(), self.not_met()) {
            (None, None) => Some(self.begin),
            (Some(met), None) => up(met.rate, self.most),
            (None, Some(other)) => down(other.rate, self.least),
            (Some(_), Some(_)) if self.load_testers().is_some() => None,
            (Some(met), Some(missed)) => between(met.rate, missed.rate),
        };
        rate.map(|rate| (rate, 0))
    }

    /// Notes what the run said that [`next`](Self::next) asked for.
    pub(crate) fn note(&mut self, rate: f64, outcome: Outcome) {
        match self.trials.last_mut() {
            Some(last) if last.rate == rate => last.runs.push(outcome),
            _ => self.trials.push(Trial {
                rate,
                runs: vec![outcome],
            }),
        }
    }

    /// How many runs are left at most.
    pub(crate) fn most_left(&self) -> usize {
        let Some(rate) = self.next().map(|(rate, _)| rate) else {
            return 0;
        };
        let all = 1 + match (self.met(), self.not_met()) {
            (Some(met), Some(other)) => bisections((rate / met.rate).max(other.rate / rate)),
            (Some(_), None) => self.rates_up(rate),
            (None, Some(_)) => self.rates_down(rate),
            (None, None) => self.rates_up(rate).max(self.rates_down(rate)),
        };
        let had = self.trials.last().filter(|last| last.rate == rate);
        all * self.rounds - had.map_or(0, |trial| trial.runs.len())
    }

    /// How many rates come behind `rate` at most, if it is met and nothing was missed.
    fn rates_up(&self, rate: f64) -> usize {
        let ups = steps(rate, |rate| up(rate, self.most));
        ups + bisections(SEARCH_UP)
    }

    fn rates_down(&self, rate: f64) -> usize {
        let downs = steps(rate, |rate| down(rate, self.least));
        downs + bisections(SEARCH_DOWN)
    }

    pub(crate) fn trials(&self) -> &[Trial] {
        &self.trials
    }

    fn of(&self, outcome: Outcome) -> impl Iterator<Item = &Trial> {
        let trials = self.trials.iter();
        trials.filter(move |trial| trial.decided(self.rounds) == Some(outcome))
    }

    /// The highest rate that was met.
    pub(crate) fn met(&self) -> Option<&Trial> {
        self.of(Outcome::Met)
            .max_by(|a, b| a.rate.total_cmp(&b.rate))
    }

    /// The lowest rate that was missed.
    pub(crate) fn missed(&self) -> Option<&Trial> {
        lowest(self.of(Outcome::Missed))
    }

    /// The lowest rate that was not met, whoever was the bound.
    fn not_met(&self) -> Option<&Trial> {
        lowest(self.of(Outcome::Missed).chain(self.of(Outcome::LoadTester)))
    }

    /// The rate that the search does not go beyond, as the load tester was the bound there.
    pub(crate) fn load_testers(&self) -> Option<&Trial> {
        let lowest = self.not_met();
        lowest.filter(|trial| trial.decided(self.rounds) == Some(Outcome::LoadTester))
    }

    /// How far the lowest rate that was missed is above the highest that was met, in percent.
    pub(crate) fn width_percent(&self) -> Option<f64> {
        let (met, missed) = (self.met()?.rate, self.missed()?.rate);
        Some((missed / met - 1.0) * 100.0)
    }

    /// Whether the highest rate is known, as narrowly as a search knows it.
    pub(crate) fn is_narrow(&self) -> bool {
        let both = self.met().zip(self.not_met());
        let both = both.filter(|_| self.load_testers().is_none());
        both.is_some_and(|(met, missed)| between(met.rate, missed.rate).is_none())
    }
}

/// A run of a search.
#[derive(Debug, Serialize)]
pub(crate) struct Run {
    #[serde(rename = "rate_per_second")]
    pub(crate) rate: f64,
    pub(crate) outcome: Outcome,
    #[serde(flatten)]
    pub(crate) point: Point,
}

/// A search that is over, with its runs in the order of time.
pub(crate) struct Searched {
    pub(crate) plan: Plan,
    pub(crate) own_server: bool,
    pub(crate) slos: Vec<Slo>,
    pub(crate) rounds: usize,
    /// The closed loop that it began with; none if the user ended that.
    pub(crate) closed: Option<Point>,
    pub(crate) search: Option<Search>,
    pub(crate) runs: Vec<Run>,
    /// The user ended it before the rate was known.
    pub(crate) interrupted: bool,
    /// Why a run could not be made, which ended it: what the others showed stays.
    pub(crate) failure: Option<String>,
}

impl Searched {
    /// One that has not begun.
    pub(crate) fn new(plan: &Plan, own_server: bool, slos: &[Slo], rounds: usize) -> Self {
        Self {
            plan: plan.clone(),
            own_server,
            slos: slos.to_vec(),
            rounds,
            closed: None,
            search: None,
            runs: Vec::new(),
            interrupted: true,
            failure: None,
        }
    }

    pub(crate) fn met(&self) -> Option<&Trial> {
        self.search.as_ref()?.met()
    }

    /// The server may do more than was met: the search ended before it found a rate that the server
    /// misses, near enough.
    pub(crate) fn at_least(&self) -> bool {
        self.search
            .as_ref()
            .is_none_or(|search| !search.is_narrow())
    }

    pub(crate) fn found_faults(&self) -> bool {
        let points = self.runs.iter().map(|run| &run.point);
        self.failure.is_some() || points.chain(&self.closed).any(|point| point.faults)
    }
}

fn lowest<'a>(trials: impl Iterator<Item = &'a Trial>) -> Option<&'a Trial> {
    trials.min_by(|a, b| a.rate.total_cmp(&b.rate))
}

fn up(rate: f64, most: f64) -> Option<f64> {
    (rate < most).then(|| rounded(rate * SEARCH_UP))
}

fn down(rate: f64, least: f64) -> Option<f64> {
    (rate > least).then(|| rounded(rate / SEARCH_DOWN).max(least))
}

/// The rate in the middle, as a ratio, if both are not near enough yet.
fn between(met: f64, missed: f64) -> Option<f64> {
    (missed / met > SEARCH_WIDTH).then(|| rounded((met * missed).sqrt()))
}

/// How many rates come between two whose ratio is `ratio`, at most: one more for rounding.
fn bisections(ratio: f64) -> usize {
    let halvings = (ratio.ln() / SEARCH_WIDTH.ln()).log2().ceil();
    halvings.max(0.0) as usize + 1
}

/// How many steps there are from `rate`.
fn steps(rate: f64, next: impl Fn(f64) -> Option<f64>) -> usize {
    std::iter::successors(Some(rate), |rate| next(*rate)).count() - 1
}

/// With three digits: people type and compare such rates.
pub(crate) fn rounded(rate: f64) -> f64 {
    let digit = 10_f64.powf(rate.log10().floor() - 2.0);
    match digit >= 1.0 {
        true => (rate / digit).round() * digit,
        // A division by a power of ten is exact, a multiplication by its inverse is not.
        false => (rate / digit).round() / digit.recip().round(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Searches a server that meets its bound as `model` says, and returns the search and its
    /// number of runs.
    fn searched(
        closed: f64,
        least: f64,
        mut model: impl FnMut(f64, usize) -> Outcome,
    ) -> (Search, usize) {
        let mut search = Search::new(closed, least, 3);
        let mut runs = 0;
        let mut left = search.most_left();
        assert!(left <= Search::most_runs(3));
        while let Some((rate, had)) = search.next() {
            search.note(rate, model(rate, had));
            runs += 1;
            let now = search.most_left();
            assert!(now < left, "at most {left} were left: {search:?}");
            left = now;
        }
        (search, runs)
    }

    /// Goal: wherever the limit of a server lies, the search finds it as narrowly as it says, in
    /// the time that it says, and runs each rate more than once. Method: limits from far below the
    /// closed loop's rate to its double.
    #[test]
    fn limits_are_found() {
        for part in [0.001, 0.01, 0.2, 0.49, 0.51, 0.7, 0.999, 1.2, 1.4] {
            for closed in [90.0, 5_000.0, 123_456.0, 3e6] {
                let limit = closed * part;
                let (search, runs) = searched(closed, 0.0, |rate, _| match rate <= limit {
                    true => Outcome::Met,
                    false => Outcome::Missed,
                });
                let (met, missed) = (search.met().unwrap(), search.missed().unwrap());
                assert!(met.rate <= limit && limit < missed.rate, "{search:?}");
                assert!(search.is_narrow() && search.width_percent().unwrap() <= 5.01);
                assert!(runs <= Search::most_runs(3), "{runs}");
                let twice = |trial: &Trial| trial.runs.len() == 2;
                assert!(search.trials().iter().all(twice), "{search:?}");
            }
        }
    }

    /// Goal: most runs decide, and a stray run does not. Method: a server that misses its bound in
    /// the first run of each rate, and meets it in the others.
    #[test]
    fn most_runs_decide() {
        let (search, _) = searched(1000.0, 0.0, |rate, had| match rate <= 700.0 && had > 0 {
            true => Outcome::Met,
            false => Outcome::Missed,
        });
        let met = search.met().unwrap();
        assert!((660.0..=700.0).contains(&met.rate), "{search:?}");
        assert_eq!((met.count(Outcome::Met), met.runs.len()), (2, 3));
        let trial = |runs: &[Outcome]| Trial {
            rate: 1.0,
            runs: runs.to_vec(),
        };
        use Outcome::{LoadTester, Met, Missed};
        for (runs, due) in [
            (&[Met][..], None),
            (&[Met, Missed], None),
            (&[Met, Met], Some(Met)),
            (&[Missed, Missed], Some(Missed)),
            (&[Missed, LoadTester], Some(LoadTester)),
            (&[Missed, Met, Missed], Some(Missed)),
        ] {
            assert_eq!(trial(runs).decided(3), due, "{runs:?}");
        }
        // An even number needs more than half, too, and one run says nothing.
        assert_eq!(trial(&[Missed]).decided(2), None);
        assert_eq!(trial(&[Met, Missed]).decided(2), Some(Missed));
    }

    /// Goal: where the load tester is the bound, the search ends, and keeps what was met. Method: a
    /// load tester that makes 800 messages per second.
    #[test]
    fn the_load_tester_is_the_bound() {
        let (search, runs) = searched(1000.0, 0.0, |rate, _| match rate <= 800.0 {
            true => Outcome::Met,
            false => Outcome::LoadTester,
        });
        let rates: Vec<_> = search.trials().iter().map(|trial| trial.rate).collect();
        assert_eq!((rates, runs), (vec![500.0, 625.0, 781.0, 976.0], 8));
        assert_eq!(search.met().unwrap().rate, 781.0);
        assert_eq!(search.load_testers().unwrap().rate, 976.0);
        assert!(search.missed().is_none() && !search.is_narrow());

        // It goes down past rates where the load tester is the bound, until one is met.
        let (search, _) = searched(1000.0, 0.0, |rate, _| match rate {
            400.0.. => Outcome::Missed,
            100.0.. => Outcome::LoadTester,
            _ => Outcome::Met,
        });
        let rates: Vec<_> = search.trials().iter().map(|trial| trial.rate).collect();
        assert_eq!(rates, [500.0, 250.0, 125.0, 62.5]);
        assert_eq!(search.load_testers().unwrap().rate, 125.0);
        assert_eq!(search.missed().unwrap().rate, 500.0);
        assert!(!search.is_narrow());

        // Above a rate that is missed it does not matter.
        let (search, _) = searched(1000.0, 0.0, |rate, _| match rate {
            400.0.. => Outcome::LoadTester,
            100.0.. => Outcome::Missed,
            _ => Outcome::Met,
        });
        assert!(search.load_testers().is_none() && search.is_narrow());
    }

    /// Goal: a server that never meets its bound, or always, ends the search. Method: both; with a
    /// lowest rate that decides.
    #[test]
    fn no_limit() {
        let (search, _) = searched(1000.0, 200.0, |_, _| Outcome::Missed);
        assert_eq!(search.missed().unwrap().rate, 200.0);
        assert!(search.met().is_none());
        let (search, _) = searched(1000.0, 200.0, |_, _| Outcome::Met);
        assert!(search.met().unwrap().rate >= 1500.0 && search.missed().is_none());
        let (search, _) = searched(100.0, 200.0, |_, _| Outcome::Missed);
        assert_eq!(search.trials().len(), 1, "{search:?}");
    }

    /// Goal: rates have three digits. Method: large and small ones.
    #[test]
    fn three_digits() {
        for (rate, due) in [
            (123_456.0, 123_000.0),
            (999.6, 1000.0),
            (1.2345, 1.23),
            (0.012_345, 0.0123),
        ] {
            assert_eq!(rounded(rate), due);
        }
    }
}
