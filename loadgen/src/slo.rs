//! What a run's response times are to be: `--slo 'p99<5ms'`.

use std::time::Duration;

use hdrhistogram::Histogram;
use sealwire_cli::error::Error;

use crate::limits::SAMPLES_ABOVE;
use crate::times::Quantile;

/// A bound on one figure of the response times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slo {
    /// As it was typed.
    pub(crate) text: String,
    figure: Figure,
    bound: Duration,
    /// The bound itself is met, too.
    or_equal: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Figure {
    Quantile(Quantile),
    Max,
    Mean,
}

/// What came of one. Times are in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Outcome {
    Met(f64),
    Missed(f64),
    /// So few samples say nothing; which is not to have met it.
    TooFew {
        samples: u64,
        needs: u64,
    },
}

/// One, and what came of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Judged {
    pub(crate) slo: Slo,
    pub(crate) outcome: Outcome,
}

impl Judged {
    pub(crate) fn is_met(&self) -> bool {
        matches!(self.outcome, Outcome::Met(_))
    }
}

impl Slo {
    /// Those that were typed behind one `--slo`, with commas between them.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`], which does not show what was typed.
    pub(crate) fn parse(text: &str) -> Result<Vec<Self>, Error> {
        let all: Option<_> = text.split(',').map(|text| Self::one(text.trim())).collect();
        all.ok_or_else(|| {
            let text = "--slo: a bound on response times is wanted, such as p99<5ms, max<=1s or \
                        p50<20us,mean<30us";
            Error::Usage(text.into())
        })
    }

    fn one(text: &str) -> Option<Self> {
        let (figure, bound) = text.split_once('<')?;
        let (bound, or_equal) = match bound.strip_prefix('=') {
            Some(bound) => (bound, true),
            None => (bound, false),
        };
        let figure = match figure.trim_end() {
            "max" => Figure::Max,
            "mean" => Figure::Mean,
            figure => Figure::Quantile(Quantile::parse(figure.strip_prefix('p')?)?),
        };
        Some(Self {
            text: text.into(),
            figure,
            bound: time(bound.trim_start())?,
            or_equal,
        })
    }

    /// What comes of it with these response times, in nanoseconds.
    pub(crate) fn judge(self, response: &Histogram<u64>) -> Judged {
        let needs = match self.figure {
            Figure::Quantile(quantile) => quantile.needs(),
            Figure::Max | Figure::Mean => SAMPLES_ABOVE,
        };
        let samples = response.len();
        let value = match self.figure {
            Figure::Quantile(quantile) => quantile.of_what_there_is(response) as f64,
            Figure::Max => response.max() as f64,
            Figure::Mean => response.mean(),
        };
        let bound = self.bound.as_nanos() as f64;
        let outcome = if samples < needs {
            Outcome::TooFew { samples, needs }
        } else if value < bound || self.or_equal && value == bound {
            Outcome::Met(value)
        } else {
            Outcome::Missed(value)
        };
        let slo = self;
        Judged { slo, outcome }
    }
}

/// A number, with or without a point, and a unit. Not nothing.
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
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::times;

    fn one(text: &str) -> Slo {
        let mut all = Slo::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(all.len(), 1, "{text}");
        all.remove(0)
    }

    /// Goal: every figure, sign and unit is understood. Method: each once.
    #[test]
    fn what_may_be_typed() {
        let quantile = |text| Figure::Quantile(Quantile::parse(text).unwrap());
        for (text, figure, nanos, or_equal) in [
            ("p50<20ns", quantile("50"), 20, false),
            ("p90 < 20us", quantile("90"), 20_000, false),
            ("p99<=1.5ms", quantile("99"), 1_500_000, true),
            ("p99.9<0.5 s", quantile("99.9"), 500_000_000, false),
            ("p12.3456<7\u{b5}s", quantile("12.3456"), 7_000, false),
            ("max<7\u{3bc}s", Figure::Max, 7_000, false),
            ("mean <= 1s", Figure::Mean, 1_000_000_000, true),
        ] {
            let text = text.to_owned();
            let bound = Duration::from_nanos(nanos);
            assert_eq!(
                one(&text.clone()),
                Slo {
                    text,
                    figure,
                    bound,
                    or_equal
                }
            );
        }
        let both = Slo::parse("p50<1ms, p99<5ms").unwrap();
        let texts: Vec<_> = both.iter().map(|slo| &*slo.text).collect();
        assert_eq!(texts, ["p50<1ms", "p99<5ms"]);
    }

    /// Goal: whatever else is typed is refused, and not shown.
    #[test]
    fn what_may_not() {
        for text in [
            "",
            ",",
            "p99",
            "p99<",
            "p99<5",
            "p99<ms",
            "<5ms",
            "p99>5ms",
            "p99=5ms",
            "99<5ms",
            "p<5ms",
            "p0<5ms",
            "p100<5ms",
            "p99.99999<5ms",
            "min<5ms",
            "p99<-5ms",
            "p99<1e3ms",
            "p99<5m",
            "p99<0ms",
            "p99<5ms,",
            "p99<1.2.3ms",
            "p99<.ms",
            "p99<<5ms",
            "p99<=<5ms",
            "p99<999999999999999999999s",
            "p99<0.1ns",
            "p99<5ms p50<1ms",
            "p99<infs",
        ] {
            let Err(Error::Usage(told)) = Slo::parse(text) else {
                panic!("{text}: taken");
            };
            assert!(
                told.starts_with("--slo: ") && !told.contains('\n'),
                "{told}"
            );
        }
    }

    /// Goal: bounds are met, missed, or not decided, each where it must be.
    /// Method: a thousand times of 1 us to 1 ms, on either side of each bound.
    #[test]
    fn bounds_are_judged() {
        let mut response = times::histogram();
        (1..=1000).for_each(|us| response.record(us * 1000).unwrap());
        let value = |text: &str| match one(text).judge(&response).outcome {
            Outcome::Met(value) => (true, value),
            Outcome::Missed(value) => (false, value),
            Outcome::TooFew { .. } => panic!("{text}"),
        };
        for (met, missed, about) in [
            ("p50<501us", "p50<500us", 500e3),
            ("p99<991us", "p99<990us", 990e3),
            ("max<1.01ms", "max<1ms", 1000e3),
            ("mean<501us", "mean<500us", 500.5e3),
        ] {
            for (text, is_met) in [(met, true), (missed, false)] {
                let (was_met, value) = value(text);
                assert_eq!(was_met, is_met, "{text}: {value}");
                assert!((value / about - 1.0).abs() < 0.001, "{text}: {value}");
            }
        }
        let undecided = one("p99.9<1s").judge(&response);
        let (samples, needs) = (1000, 10_000);
        assert_eq!(undecided.outcome, Outcome::TooFew { samples, needs });
        assert!(!undecided.is_met());
    }

    /// Goal: the bound itself counts as typed; a maximum and a mean of a few are
    /// not decided. Method: ten times that the histogram keeps exactly, and nine.
    #[test]
    fn at_the_bound() {
        let mut response = times::histogram();
        response.record_n(100, 9).unwrap();
        for text in ["max<1s", "mean<1s", "p50<1s"] {
            assert!(!one(text).judge(&response).is_met(), "{text}");
        }
        response.record_n(100, 1).unwrap();
        for (text, met) in [("max<100ns", false), ("max<=100ns", true)] {
            let judged = one(text).judge(&response);
            assert_eq!(judged.is_met(), met, "{judged:?}");
        }
        assert!(one("mean<101ns").judge(&response).is_met());
        response.record_n(100, 10).unwrap();
        assert!(one("p50<=100ns").judge(&response).is_met());
    }
}
