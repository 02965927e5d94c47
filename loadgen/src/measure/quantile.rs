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

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: percentiles are taken as typed, and all else is refused. Method: many texts.
    #[test]
    fn percentiles_as_typed() {
        for (text, parts) in [
            ("50", 500_000),
            ("99.9", 999_000),
            ("9.5", 95_000),
            ("99.9999", 999_999),
            ("0.0001", 1),
        ] {
            assert_eq!(Quantile::parse(text), Some(Quantile(parts)), "{text}");
        }
        for text in "|.|99.|.9|0|0.0|100|-1|+5|99.99999|9 9|x|1e1".split('|') {
            assert_eq!(Quantile::parse(text), None, "{text}");
        }
    }

    /// Goal: a percentile comes from enough samples only, and is the right one.
    /// Method: the numbers from 1 up, one fewer than needed and as many.
    #[test]
    fn percentiles_need_samples() {
        for (quantile, needs) in [
            (Quantile::P50, 20),
            (Quantile::P90, 100),
            (Quantile::P99, 1000),
            (Quantile::P99_9, 10_000),
            (Quantile(999_999), 10_000_000),
        ] {
            assert_eq!(quantile.needs(), needs);
        }
        let mut times = histogram();
        (1..1000).for_each(|time| times.record(time).unwrap());
        assert_eq!(Quantile::P50.of(&times), Some(500));
        assert_eq!(Quantile::P99.of(&times), None);
        times.record(1000).unwrap();
        assert_eq!(Quantile::P99.of(&times), Some(990));
    }
}
