//! When messages are due in an open loop. The times are fixed before the first message, so a slow
//! server cannot slow down its own test.
//!
//! The messages of all N peers are numbered: peer i has the numbers i, i + N, and so on. So
//! peers are staggered at any rate. Random arrivals take random steps in place of N.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use sealwire::Time;

use crate::measure::meter::Window;
use crate::plan::{Arrival, Plan, Rate};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    rate: Rate,
    arrival: Arrival,
    peers: usize,
    seed: u64,
    window: Window,
}

impl Schedule {
    pub(crate) fn new(plan: &Plan, senders: usize, window: Window) -> Option<Self> {
        Some(Self {
            rate: plan.rate?,
            arrival: plan.arrival,
            peers: senders,
            seed: plan.seed,
            window,
        })
    }

    pub(super) fn start(&self) -> Time {
        self.window.start
    }

    pub(crate) fn of(self, index: usize) -> DueTimes {
        let mut dues = DueTimes {
            schedule: self,
            number: index as f64,
            random: match self.arrival {
                Arrival::Constant => None,
                Arrival::Poisson => {
                    Some(StdRng::seed_from_u64(self.seed.wrapping_add(index as u64)))
                }
            },
        };
        if dues.random.is_some() {
            dues.number = 0.0;
            dues.step();
        }
        dues
    }

    /// How many messages of all peers are due before `time`, as a fraction. The inverse of
    /// [`due`](Self::due).
    fn number(&self, time: Time) -> f64 {
        let Rate { from, to } = self.rate;
        let Window {
            start,
            measure,
            end,
        } = self.window;
        let before = from * time.min(measure).since(start).as_secs_f64();
        let lasts = end.since(measure).as_secs_f64();
        let measured = time.min(end).since(measure).as_secs_f64();
        before + measured * (from + (to - from) * measured / (2.0 * lasts))
    }

    /// When message `number` of all peers is due; `None` if that is after the end of the load.
    fn due(&self, number: f64) -> Option<Time> {
        let Rate { from, to } = self.rate;
        let Window {
            start,
            measure,
            end,
        } = self.window;
        let before = from * measure.since(start).as_secs_f64();
        let measured = number - before;
        if measured < 0.0 {
            return Some(start + Duration::from_secs_f64(number / from));
        }
        // A root of `from` t + (`to` - `from`) t² / 2 T = `measured`; for equal rates, too.
        let lasts = end.since(measure).as_secs_f64();
        let root = (from * from + 2.0 * (to - from) * measured / lasts).sqrt();
        let after = 2.0 * measured / (from + root);
        // False for NaN, too: then the rate falls to nothing before this message.
        (after < lasts).then(|| measure + Duration::from_secs_f64(after))
    }
}

/// The times at which one peer's messages are due, in order, until the load ends.
pub(crate) struct DueTimes {
    schedule: Schedule,
    number: f64,
    random: Option<StdRng>,
}

impl DueTimes {
    /// About how many are left before `end`.
    pub(crate) fn left(&self, end: Time) -> f64 {
        let numbers = self.schedule.number(end) - self.number;
        numbers.max(0.0) / self.schedule.peers as f64
    }

    /// Takes the next `count`, as if evenly spread. Returns when the middle one is due.
    pub(crate) fn take_many(&mut self, count: u64) -> Option<Time> {
        let peers = self.schedule.peers as f64;
        let middle = self.number + peers * (count - 1) as f64 / 2.0;
        self.number += peers * count as f64;
        self.schedule.due(middle)
    }

    fn step(&mut self) {
        let peers = self.schedule.peers as f64;
        self.number += match &mut self.random {
            None => peers,
            // An exponential distribution, by its inverse.
            Some(random) => -peers * (1.0 - random.random::<f64>()).ln(),
        };
    }
}

impl Iterator for DueTimes {
    type Item = Time;

    fn next(&mut self) -> Option<Time> {
        let due = self.schedule.due(self.number)?;
        self.step();
        Some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(from: f64, to: f64, arrival: Arrival) -> Schedule {
        let start = Time::from_nanos(500);
        Schedule {
            rate: Rate { from, to },
            arrival,
            peers: 10,
            seed: 1,
            window: Window {
                start,
                measure: start + Duration::from_secs(1),
                end: start + Duration::from_secs(5),
            },
        }
    }

    fn all(schedule: Schedule) -> Vec<Time> {
        let mut all: Vec<_> = (0..10).flat_map(|index| schedule.of(index)).collect();
        all.sort_unstable();
        all
    }

    /// Goal: a constant rate is kept from the first message on, and peers take turns. Method:
    /// all due times of all peers.
    #[test]
    fn constant() {
        let schedule = schedule(1000.0, 1000.0, Arrival::Constant);
        let all = all(schedule);
        assert_eq!(all.len(), 5000);
        for (number, due) in all.iter().enumerate() {
            let exact = 500 + number as u64 * 1_000_000;
            assert!(due.as_nanos().abs_diff(exact) <= 1, "{number}: {due:?}");
        }
        let third = schedule.of(3).next().unwrap_or_default();
        assert!(third.as_nanos().abs_diff(3_000_500) <= 1);
    }

    /// Goal: a ramp has its rate in every second, and the warm-up has the first one. Method:
    /// count; up, down, and down to nothing.
    #[test]
    fn ramps() {
        for (from, to, wanted) in [
            (1000.0, 5000.0, [1000, 1500, 2500, 3500, 4500]),
            (4000.0, 2000.0, [4000, 3750, 3250, 2750, 2250]),
            (800.0, 0.001, [800, 700, 500, 300, 100]),
        ] {
            let all = all(schedule(from, to, Arrival::Constant));
            for (second, wanted) in wanted.into_iter().enumerate() {
                let from = Time::from_nanos(500) + second as u32 * Duration::from_secs(1);
                let range = from..from + Duration::from_secs(1);
                let found = all.iter().filter(|&time| range.contains(time)).count();
                assert!(found.abs_diff(wanted) <= 2, "{second}: {found}, {wanted}");
            }
        }
    }

    /// Goal: taking many at once gives the same count and times as taking them one by one.
    /// Method: rates that stay, rise and fall; from the middle of the warm-up and of the
    /// measured time, to before and after the end.
    #[test]
    fn many_at_once() {
        for (from, to) in [(1000.0, 1000.0), (1000.0, 5000.0), (4000.0, 2000.0)] {
            let schedule = schedule(from, to, Arrival::Constant);
            let at = |millis| schedule.window.start + Duration::from_millis(millis);
            for (skip, end) in [(50, 700), (50, 4000), (200, 4000), (200, 9000)] {
                let mut dues = schedule.of(3);
                let rest: Vec<_> = dues.by_ref().skip(skip).collect();
                let rest = rest.into_iter().filter(|due| *due < at(end)).count();
                let mut dues = schedule.of(3);
                assert!(dues.take_many(skip as u64).is_some());
                let left = dues.left(at(end));
                assert!((left - rest as f64).abs() <= 1.0, "{left}, {rest}");
            }
            let (mut one, mut many) = (schedule.of(5), schedule.of(5));
            let middle = one.by_ref().nth(50).unwrap_or_default();
            let told = many.take_many(101).unwrap_or_default();
            assert!(told.as_nanos().abs_diff(middle.as_nanos()) <= 1);
            assert_eq!(one.nth(50), many.next());
        }
    }

    /// Goal: random arrivals have the rate, and exponential gaps. Method: their number, and
    /// how many gaps exceed their mean: one in e.
    #[test]
    fn poisson() {
        let all = all(schedule(10_000.0, 10_000.0, Arrival::Poisson));
        assert!(all.len().abs_diff(50_000) < 1500, "{}", all.len());
        let gaps = all.windows(2).map(|pair| pair[1].since(pair[0]));
        let long = gaps.filter(|gap| *gap > Duration::from_micros(100)).count();
        let share = long as f64 / all.len() as f64;
        assert!((share - (-1.0_f64).exp()).abs() < 0.02, "{share}");
        let again = self::all(schedule(10_000.0, 10_000.0, Arrival::Poisson));
        assert_eq!(all, again);
    }
}
