//! How long ticks take: while one runs, every other peer waits.
//!
//! It keeps counts, not the times themselves. What a tick does: [`crate::endpoint`].

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::limits::LONGEST_TICK;

/// The times of all ticks so far.
#[derive(Debug)]
pub struct Ticks {
    /// To two digits, in microseconds.
    times: Histogram<u64>,
    total: Duration,
}

impl Default for Ticks {
    fn default() -> Self {
        let longest = LONGEST_TICK.as_micros() as u64;
        Self {
            times: Histogram::new_with_max(longest, 2).expect("bounds that are in order"),
            total: Duration::ZERO,
        }
    }
}

impl Ticks {
    /// Counts a tick that took this long.
    pub(super) fn note(&mut self, took: Duration) {
        self.times.saturating_record(took.as_micros() as u64);
        self.total += took;
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.times.len()
    }

    /// How long all of them took together.
    pub fn total(&self) -> Duration {
        self.total
    }

    /// How many took less than `time`: exactly, where that is a power of two of microseconds.
    pub fn below(&self, time: Duration) -> u64 {
        match time.as_micros() as u64 {
            0 => 0,
            micros => self.times.count_between(0, micros - 1),
        }
    }
}

/// One line: quantiles, then how many took less than each power of two.
impl fmt::Display for Ticks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let us = |part| self.times.value_at_quantile(part);
        write!(
            f,
            "{} ticks, us: p50 {}, p90 {}, p99 {}, p99.9 {}, longest {};",
            self.times.len(),
            us(0.5),
            us(0.9),
            us(0.99),
            us(0.999),
            self.times.max()
        )?;
        let most = self.times.max().max(1).ilog2();
        for power in 0..=most {
            let from = if power == 0 { 0 } else { 1 << power };
            let below = 2 << power;
            write!(f, " <{below} {}", self.times.count_between(from, below - 1))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the line counts every tick once, and its quantiles are right. Method: a
    /// hundred of 3 us, one of 900, one beyond the upper bound.
    #[test]
    fn every_tick_is_told() {
        let mut ticks = Ticks::default();
        for _ in 0..100 {
            ticks.note(Duration::from_nanos(3999));
        }
        ticks.note(Duration::from_micros(900));
        ticks.note(2 * LONGEST_TICK);
        let line = ticks.to_string();
        assert!(
            line.starts_with("102 ticks, us: p50 3, p90 3, p99 90"),
            "{line}"
        );
        let counts = line.split(" <").skip(1);
        let counts = counts.map(|word| word.split_once(' ').map(|(_, count)| count));
        let sum: u64 = counts.flatten().flat_map(str::parse::<u64>).sum();
        assert_eq!(sum, 102, "{line}");
        assert!(
            line.contains(" <4 100 ") && line.contains(" <1024 1 "),
            "{line}"
        );
        assert_eq!(Ticks::default().to_string().matches('<').count(), 1);
        let below = |micros| ticks.below(Duration::from_micros(micros));
        assert_eq!([0, 2, 4, 512, 1024].map(below), [0, 0, 100, 100, 101]);
        assert_eq!(below(1 << 25), 101);
        assert_eq!(ticks.count(), 102);
        assert!(ticks.total() > 2 * LONGEST_TICK, "{:?}", ticks.total());
    }
}
