//! Times, in a histogram, and their quantiles.

use hdrhistogram::Histogram;

use crate::limits::{DIGITS, MAX_DURATION, SAMPLES_ABOVE};

pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(MAX_DURATION.as_nanos() as u64, DIGITS).expect("the bounds are sound")
}

/// A place in a distribution, as a part of a million.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quantile(u32);

impl Quantile {
    const WHOLE: u32 = 1_000_000;
    pub(crate) const P50: Self = Self(500_000);
    pub(crate) const P90: Self = Self(900_000);
    pub(crate) const P99: Self = Self(990_000);
    pub(crate) const P99_9: Self = Self(999_000);

    /// From a percentile between 0 and 100 such as `99.9`, with up to four digits after the point.
    pub(crate) fn parse(percent: &str) -> Option<Self> {
        let (whole, part) = percent.split_once('.').unwrap_or((percent, "0"));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let sound = digits(whole) && digits(part) && (1..=2).contains(&whole.len());
        if !sound || !(1..=4).contains(&part.len()) {
            return None;
        }
        let parts = format!("{whole}{part:0<4}").parse().ok()?;
        (parts > 0).then_some(Self(parts))
    }

    pub(crate) fn needs(self) -> u64 {
        let above = u64::from(Self::WHOLE - self.0);
        (SAMPLES_ABOVE * u64::from(Self::WHOLE)).div_ceil(above)
    }

    /// Its value in `times`, in nanoseconds, if there are enough of them.
    pub(crate) fn of(self, times: &Histogram<u64>) -> Option<u64> {
        (times.len() >= self.needs()).then(|| self.of_what_there_is(times))
    }

    /// Its value in `times`, however few there are.
    pub(crate) fn of_what_there_is(self, times: &Histogram<u64>) -> u64 {
        times.value_at_quantile(f64::from(self.0) / f64::from(Self::WHOLE))
    }
}
