//! Bounds on a run's response times: `--slo 'p99<5ms'`.

use std::str::FromStr;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Serialize, Serializer};

use crate::limits::SAMPLES_ABOVE;
use crate::measure::quantile::Quantile;

/// A bound on one figure of the response times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slo {
    pub(crate) text: String,
    figure: Statistic,
    bound: Duration,
    /// The bound itself meets it, too.
    or_equal: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Statistic {
    Quantile(Quantile),
    Max,
    Mean,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    Met,
    Missed,
    /// There are too few samples; that does not meet it.
    Undecided,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Judged {
    pub(crate) slo: Slo,
    pub(crate) outcome: Outcome,
    /// `None` if it is not decided.
    pub(crate) measured_ns: Option<f64>,
    /// What an open loop would have seen, if that misses the bound and the closed loop met it.
    #[serde(skip)]
    pub(crate) open_ns: Option<f64>,
    #[serde(skip)]
    pub(crate) samples: u64,
    #[serde(skip)]
    pub(crate) needs: u64,
}

impl Judged {
    pub(crate) fn is_met(&self) -> bool {
        self.outcome == Outcome::Met
    }
}

impl Serialize for Slo {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.text)
    }
}

impl FromStr for Slo {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text.trim()).ok_or(
            "a bound on response times is wanted, such as p99<5ms, max<=1s or p50<20us,mean<30us",
        )
    }
}

impl Slo {
    fn parse(text: &str) -> Option<Self> {
        let (figure, bound) = text.split_once('<')?;
        let (bound, or_equal) = match bound.strip_prefix('=') {
            Some(bound) => (bound, true),
            None => (bound, false),
        };
        let figure = match figure.trim_end() {
            "max" => Statistic::Max,
            "mean" => Statistic::Mean,
            figure => Statistic::Quantile(Quantile::parse(figure.strip_prefix('p')?)?),
        };
        Some(Self {
            text: text.into(),
            figure,
            bound: time(bound.trim_start())?,
            or_equal,
        })
    }

    /// Judges the times of a run. Of a closed loop, `open` has those that an open loop would have
    /// seen.
    pub(crate) fn judge(&self, response: &Histogram<u64>, open: Option<&Histogram<u64>>) -> Judged {
        let needs = self.needs();
        let (value, samples) = (self.value(response), response.len());
        let outcome = if samples < needs {
            Outcome::Undecided
        } else if self.allows(value) {
            Outcome::Met
        } else {
            Outcome::Missed
        };
        let open = open.filter(|_| outcome == Outcome::Met);
        let open = open.map(|times| self.value(times));
        Judged {
            slo: self.clone(),
            outcome,
            measured_ns: (outcome != Outcome::Undecided).then_some(value),
            open_ns: open.filter(|&value| !self.allows(value)),
            samples,
            needs,
        }
    }

    /// How many samples decide it.
    pub(crate) fn needs(&self) -> u64 {
        match self.figure {
            Statistic::Quantile(quantile) => quantile.needs(),
            Statistic::Max | Statistic::Mean => SAMPLES_ABOVE,
        }
    }

    fn value(&self, times: &Histogram<u64>) -> f64 {
        match self.figure {
            Statistic::Quantile(quantile) => quantile.of_what_there_is(times) as f64,
            Statistic::Max => times.max() as f64,
            Statistic::Mean => times.mean(),
        }
    }

    fn allows(&self, nanos: f64) -> bool {
        let bound = self.bound.as_nanos() as f64;
        nanos < bound || self.or_equal && nanos == bound
    }
}

/// A number, with or without a point, and a unit; not 0.
fn time(text: &str) -> Option<Duration> {
    let number = text.trim_end_matches(|c: char| !c.is_ascii_digit() && c != '.');
    let nanos = match text[number.len()..].trim_start() {
        "ns" => 1.0,
        // The sign for micro, and the Greek letter.
        "us" | "\u{b5}s" | "\u{3bc}s" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        _ => return None,
    };
    // Neither signs nor exponents.
    let plain = number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let nanos = number.parse::<f64>().ok().filter(|_| plain)? * nanos;
    let time = Duration::try_from_secs_f64(nanos.round() / 1e9).ok()?;
    (!time.is_zero()).then_some(time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::quantile;

    fn slo(text: &str) -> Slo {
        text.parse().unwrap()
    }

    /// Goal: every form is taken, and all else is refused. Method: many texts.
    #[test]
    fn forms() {
        let quantile = Statistic::Quantile;
        for (text, figure, nanos, or_equal) in [
            ("p50<20ns", quantile(Quantile::P50), 20, false),
            ("p90 < 20us", quantile(Quantile::P90), 20_000, false),
            ("p99<=1.5ms", quantile(Quantile::P99), 1_500_000, true),
            ("p99.9<0.5 s", quantile(Quantile::P99_9), 500_000_000, false),
            ("p50.0000<7\u{b5}s", quantile(Quantile::P50), 7_000, false),
            ("max<7\u{3bc}s", Statistic::Max, 7_000, false),
            ("mean <= 1s", Statistic::Mean, 1_000_000_000, true),
        ] {
            let due = Slo {
                text: text.into(),
                figure,
                bound: Duration::from_nanos(nanos),
                or_equal,
            };
            assert_eq!(slo(&format!(" {text}")), due);
        }
        let none = "|p99|p99<|p99<5|p99<ms|<5ms|p99>5ms|p99=5ms|99<5ms|p<5ms|p0<5ms|p100<5ms|\
            p99.99999<5ms|min<5ms|p99<-5ms|p99<1e3ms|p99<5m|p99<0ms|p99<1.2.3ms|p99<.ms|p99<<5ms|\
            p99<=<5ms|p99<999999999999999999999s|p99<0.1ns|p99<5ms p50<1ms|p99<infs|p.<5ms|\
            p99.<5ms|p.9<5ms|p0.0<5ms|p-1<5ms|p+5<5ms|p9 9<5ms|px<5ms|p1e1<5ms";
        for text in none.split('|') {
            assert!(text.parse::<Slo>().is_err(), "{text}: taken");
        }
    }

    /// Goal: bounds are met, missed, or not decided, each where it must be. Method: a thousand
    /// times from 1 us to 1 ms, on either side of each bound.
    #[test]
    fn bounds_are_judged() {
        let mut response = quantile::histogram();
        (1..=1000).for_each(|us| response.record(us * 1000).unwrap());
        for (met, missed, about) in [
            ("p50<501us", "p50<500us", 500e3),
            ("p99<991us", "p99<990us", 990e3),
            ("max<1.01ms", "max<1ms", 1000e3),
            ("mean<501us", "mean<500us", 500.5e3),
        ] {
            for (text, outcome) in [(met, Outcome::Met), (missed, Outcome::Missed)] {
                let judged = slo(text).judge(&response, None);
                assert_eq!(judged.outcome, outcome, "{judged:?}");
                let value = judged.measured_ns.unwrap();
                assert!((value / about - 1.0).abs() < 0.001, "{text}: {value}");
            }
        }
        for (text, needs) in [
            ("p0.0001<1s", 11),
            ("p9.5<1s", 12),
            ("p50<1s", 20),
            ("p90<1s", 100),
            ("p99<1s", 1000),
            ("p99.9<1s", 10_000),
            ("p99.9999<1s", 10_000_000),
        ] {
            let judged = slo(text).judge(&response, None);
            assert_eq!((judged.samples, judged.needs), (1000, needs));
            let undecided = judged.outcome == Outcome::Undecided;
            assert_eq!((undecided, judged.is_met()), (needs > 1000, needs <= 1000));
        }
    }

    /// Goal: the bound itself counts as typed; a maximum and a mean of a few samples are not
    /// decided. Method: ten times that the histogram keeps exactly, and nine.
    #[test]
    fn at_the_bound() {
        for (count, text, met) in [
            (9, "max<1s", false),
            (9, "mean<1s", false),
            (19, "p50<1s", false),
            (10, "max<100ns", false),
            (10, "max<=100ns", true),
            (10, "mean<101ns", true),
            (20, "p50<=100ns", true),
        ] {
            let response = crate::testing::times(100, count);
            assert_eq!(slo(text).judge(&response, None).is_met(), met, "{text}");
        }
    }
}
