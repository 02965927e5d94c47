//! Times as they are counted, in a histogram, and as they are told, by their
//! quantiles.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::limits::{DIGITS, MAX_DURATION};

/// An empty histogram of times in nanoseconds.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(MAX_DURATION.as_nanos() as u64, DIGITS).expect("the bounds are sound")
}

/// How times are spread.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) count: u64,
    pub(crate) p50: Duration,
    pub(crate) p90: Duration,
    pub(crate) p99: Duration,
    pub(crate) p99_9: Duration,
    pub(crate) max: Duration,
}

impl Spread {
    pub(crate) fn of(times: &Histogram<u64>) -> Self {
        let at = |quantile| Duration::from_nanos(times.value_at_quantile(quantile));
        Self {
            count: times.len(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
            max: at(1.0),
        }
    }

    /// In nanoseconds, for programs.
    pub(crate) fn json(&self) -> Value {
        let nanos = |time: Duration| time.as_nanos() as u64;
        json!({
            "p50": nanos(self.p50),
            "p90": nanos(self.p90),
            "p99": nanos(self.p99),
            "p99_9": nanos(self.p99_9),
            "max": nanos(self.max),
        })
    }
}
