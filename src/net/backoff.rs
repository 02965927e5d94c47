//! How long to wait before a server that could not be reached is tried again.
//!
//! It waits for nothing and tries nothing: its user does. Read next: `tunnel`, which is one.

use std::time::Duration;

use crate::limits::{
    CONNECT_BACKOFF, MOST_CONNECT_BACKOFF, MOST_RETRY_BACKOFF, RETRY_BACKOFF, RETRY_JITTER,
};
use crate::time::Time;

/// Waits that double with each failure, up to a bound.
#[derive(Debug)]
pub struct Backoff {
    /// The first wait, and the longest.
    least: Duration,
    most: Duration,
    /// The part of each wait that is left to chance.
    jitter: f64,
    wait: Duration,
    until: Time,
}

impl Backoff {
    /// The waits of a tunnel without `--retry`: during one, plain connections are reset without an
    /// attempt.
    pub(super) fn of_refusal() -> Self {
        Self::new(CONNECT_BACKOFF, MOST_CONNECT_BACKOFF, 0.0)
    }

    /// The waits of `--retry`.
    pub fn of_retry() -> Self {
        Self::new(RETRY_BACKOFF, MOST_RETRY_BACKOFF, RETRY_JITTER)
    }

    fn new(least: Duration, most: Duration, jitter: f64) -> Self {
        Self {
            least,
            most,
            jitter,
            wait: Duration::ZERO,
            until: Time::ZERO,
        }
    }

    /// Whether it is too early for another try.
    pub fn holds(&self, now: Time) -> bool {
        now < self.until
    }

    /// The end of the last wait.
    pub fn until(&self) -> Time {
        self.until
    }

    /// Notes that a try has failed, and returns how long to wait now. Several tries that fail
    /// in one wait count once.
    pub fn failed(&mut self, now: Time) -> Duration {
        if !self.holds(now) {
            self.wait = (2 * self.wait).clamp(self.least, self.most);
            let chance = self.jitter * rand::random::<f64>();
            self.until = now + self.wait.mul_f64(1.0 - chance);
        }
        self.until.since(now)
    }

    /// Begins anew.
    pub fn succeeded(&mut self) {
        self.wait = Duration::ZERO;
        self.until = Time::ZERO;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLIS: fn(u64) -> Duration = Duration::from_millis;

    /// Goal: the waits double from 100 ms to 5 s, several failures at a time count once, and a
    /// success begins anew.
    #[test]
    fn waits_double() {
        let mut backoff = Backoff::of_refusal();
        let mut now = Time::ZERO;
        for wanted in [100, 200, 400, 800, 1600, 3200, 5000, 5000] {
            assert!(!backoff.holds(now));
            assert_eq!(backoff.failed(now), MILLIS(wanted));
            assert_eq!(backoff.failed(now + MILLIS(1)), MILLIS(wanted - 1));
            assert!(backoff.holds(now + MILLIS(wanted - 1)), "{wanted}");
            now = now + MILLIS(wanted);
        }
        backoff.failed(now);
        backoff.succeeded();
        assert!(!backoff.holds(now));
        assert_eq!(backoff.failed(now), CONNECT_BACKOFF);
    }

    /// Goal: those of a retry end at a time that nobody can foresee, between half of them and
    /// the whole, so that many programs that have lost one server do not come back at once.
    /// Method: many of each length.
    #[test]
    fn waits_are_spread() {
        let mut late = 0;
        for _ in 0..100 {
            let mut backoff = Backoff::of_retry();
            let mut now = Time::ZERO;
            for wanted in [
                100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30_000, 30_000,
            ] {
                let wait = backoff.failed(now);
                let whole = MILLIS(wanted);
                assert!((whole / 2..=whole).contains(&wait), "{wanted}: {wait:?}");
                late += usize::from(wait > whole * 3 / 4);
                now = now + wait;
            }
        }
        assert!((300..800).contains(&late), "{late} of 1100");
    }
}
