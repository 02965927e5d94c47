//! Whether the load tester could make the load, and measure it.

use std::time::Duration;

use super::Verdict;
use crate::limits::{BUSY, LAG_ALLOWED, LAG_INVALID, LAG_OF_RESPONSE, LAG_OF_SERVICE, WAITS};
use crate::measure::figures::Figures;
use crate::measure::quantile::Quantile;
use crate::measure::results::Results;

const BOUND: &str = "the load tester may be the bound";
pub(super) const LATE: &str = "the load tester sent late";

/// Whether the load tester could make the load, or was at its limit.
pub(super) fn judge(results: &Results, figures: &Figures, verdict: &mut Verdict) {
    let (busy, waits) = (&figures.generator_busy, &figures.generator_waits);
    let wanted = busy.iter().zip(waits);
    let busiest = wanted
        .max_by(|(ran, waited), (more, longer)| (*ran + *waited).total_cmp(&(*more + *longer)));
    let (ran, waited) = busiest.unwrap_or((&0.0, &0.0));
    verdict.at_least = ran + waited >= BUSY;
    if verdict.at_least {
        let [ran, waited] = [ran * 100.0, waited * 100.0];
        let text = format!(
            "a thread of the load tester ran {ran:.0} % of the time, and waited for a processor \
             {waited:.0} %: it may be the bound, not the server"
        );
        match results.plan.rate {
            Some(_) => verdict.suspect(BOUND, text),
            // A closed loop reaches a limit by design; the rate is then "at least".
            None => verdict.note(text),
        }
    }
    let longest = waits.iter().copied().fold(0.0, f64::max);
    if longest > WAITS {
        let text = format!(
            "the load tester had to wait for a processor {:.0} % of the time: some of the times \
             are the machine's",
            longest * 100.0
        );
        verdict.suspect("the load tester waited for a processor", text);
    }
    lateness(results, verdict);
}

fn lateness(results: &Results, verdict: &mut Verdict) {
    let (lag, allowed) = (lag(results), allowed_lag(results));
    let response = Quantile::P99.of_what_there_is(&results.tally.response);
    let part = Duration::from_nanos(response).mul_f64(LAG_OF_RESPONSE);
    if lag > allowed.mul_f64(LAG_INVALID) {
        verdict.invalid(LATE, late(lag, allowed, "the times are its own"));
    } else if lag > allowed {
        verdict.suspect(LATE, late(lag, allowed, "some of the times are its own"));
    } else if lag > part {
        verdict.suspect(LATE, late(lag, part, "most of the response is its own"));
    }
}

fn late(lag: Duration, allowed: Duration, so: &str) -> String {
    let [lag, allowed] = [lag, allowed].map(|time| time.as_secs_f64() * 1e3);
    format!(
        "the load tester itself sent {lag:.2} ms late at p99, where {allowed:.2} ms may be: {so}"
    )
}

/// How late the load tester was at its 99th percentile.
fn lag(results: &Results) -> Duration {
    let lag = &results.tally.lag;
    Duration::from_nanos(Quantile::P99.of_what_there_is(lag))
}

pub(super) fn is_late(results: &Results) -> bool {
    lag(results) > allowed_lag(results)
}

fn allowed_lag(results: &Results) -> Duration {
    // Not the response time, because it contains the lag.
    let service = Quantile::P50.of_what_there_is(&results.tally.service);
    LAG_ALLOWED.max(Duration::from_nanos(service).mul_f64(LAG_OF_SERVICE))
}
