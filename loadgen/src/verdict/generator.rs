//! Whether the load tester could make the load, and measure it.

use std::time::Duration;

use super::Findings;
use crate::limits::{BUSY, LAG_ALLOWED, LAG_INVALID, LAG_OF_RESPONSE, LAG_OF_SERVICE, WAITS};
use crate::plan::Plan;
use crate::results::Results;
use crate::times::Quantile;

const BOUND: &str = "the load tester may be the bound";
const LATE: &str = "the load tester sent late";

/// Whether the load tester could make it. Says whether it had no more to give.
pub(super) fn judge(plan: &Plan, results: &Results, findings: &mut Findings) -> bool {
    let wanted = results.busy().zip(results.waits());
    let busiest =
        wanted.max_by(|(ran, waited), (more, longer)| (ran + waited).total_cmp(&(more + longer)));
    let (ran, waited) = busiest.unwrap_or_default();
    let at_least = ran + waited >= BUSY;
    if at_least {
        let text = format!(
            "a thread of the load tester ran {:.0} % of the time, and waited for a processor \
             {:.0} %: it may be the bound, not the server",
            ran * 100.0,
            waited * 100.0
        );
        match plan.rate {
            Some(_) => findings.suspect(BOUND, text),
            // That there is no more is what a closed loop is to show; of which
            // side is said with the rate.
            None => findings.note(text),
        }
    }
    let longest = results.waits().fold(0.0, f64::max);
    if longest > WAITS {
        findings.suspect(
            "the load tester waited for a processor",
            format!(
                "the load tester had to wait for a processor {:.0} % of the time: some of the times \
             are the machine's",
                longest * 100.0
            ),
        );
    }
    lateness(results, findings);
    at_least
}

/// Whether it sent in time.
fn lateness(results: &Results, findings: &mut Findings) {
    let (lag, allowed) = (lag(results), allowed_lag(results));
    let response = Duration::from_nanos(Quantile::P99.of_what_there_is(&results.tally.response));
    let part = response.mul_f64(LAG_OF_RESPONSE);
    if lag > allowed.mul_f64(LAG_INVALID) {
        findings.invalid(LATE, late(lag, allowed, "the times are its own"));
    } else if lag > allowed {
        findings.suspect(LATE, late(lag, allowed, "some of the times are its own"));
    } else if lag > part {
        findings.suspect(LATE, late(lag, part, "most of the response is its own"));
    }
}

fn late(lag: Duration, allowed: Duration, so: &str) -> String {
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    format!(
        "the load tester itself sent {:.2} ms late at p99, where {:.2} ms may be: {so}",
        millis(lag),
        millis(allowed)
    )
}

/// How late the load tester was at its 99th percentile.
fn lag(results: &Results) -> Duration {
    let lag = &results.tally.lag;
    Duration::from_nanos(Quantile::P99.of_what_there_is(lag))
}

/// Whether it was later than it may be.
pub(super) fn is_late(results: &Results) -> bool {
    lag(results) > allowed_lag(results)
}

fn allowed_lag(results: &Results) -> Duration {
    // The response holds the lag itself.
    let service = Quantile::P50.of_what_there_is(&results.tally.service);
    LAG_ALLOWED.max(Duration::from_nanos(service).mul_f64(LAG_OF_SERVICE))
}

#[cfg(test)]
mod tests {
    use super::super::{Grade, expect, judged};
    use crate::times;

    /// Goal: a busy thread makes rates lower bounds; in an open loop it makes them
    /// suspect, too. Method: a thread just under the bound, and one at it, each with
    /// some time that it waited.
    #[test]
    fn busy_threads() {
        for closed in [false, true] {
            let of = |part: f64| {
                judged(|plan, results| {
                    if closed {
                        plan.rate = None;
                    }
                    results.threads[1].ran = results.took.mul_f64(part - 0.05);
                    results.threads[1].waited = results.took.mul_f64(0.05);
                })
            };
            let verdict = of(0.94);
            expect(&verdict, Grade::Valid, "");
            assert!(!verdict.at_least);
            let verdict = of(0.96);
            assert!(verdict.at_least);
            if closed {
                expect(&verdict, Grade::Valid, "");
                assert!(verdict.notes[0].contains("ran 91 %"), "{verdict:?}");
            } else {
                expect(
                    &verdict,
                    Grade::Suspect,
                    "ran 91 % of the time, and waited for a processor 5 %",
                );
            }
        }
    }

    /// Goal: a load tester that waits for a processor is told, in a closed loop, too.
    /// Method: just as much as may be, and more.
    #[test]
    fn waits_for_a_processor() {
        let of = |part: f64| {
            judged(|plan, results| {
                plan.rate = None;
                results.threads[1].waited = results.took.mul_f64(part);
            })
        };
        expect(&of(0.2), Grade::Valid, "");
        expect(&of(0.3), Grade::Suspect, "wait for a processor 30 %");
    }

    /// Goal: a late load tester is told, by how much it matters. Method: lags on
    /// either side of both bounds; also where the service takes so long that more
    /// does not show; a response that is long because of the lag is no excuse.
    #[test]
    fn late_generators() {
        let of = |micros: u64, service: Option<u64>| {
            judged(|_, results| {
                let tally = &mut results.tally;
                tally.lag.saturating_record_n(micros * 1000, 1000);
                let count = tally.response.len();
                tally.response = times::histogram();
                tally.response.saturating_record_n(40_000_000, count);
                if let Some(millis) = service {
                    tally.service = times::histogram();
                    tally.service.saturating_record_n(millis * 1_000_000, count);
                    tally.under_way = u128::from(count) * u128::from(millis) * 1_000_000;
                }
            })
        };
        expect(&of(990, None), Grade::Valid, "");
        expect(&of(1100, None), Grade::Suspect, "1.10 ms late at p99");
        expect(&of(9900, None), Grade::Suspect, "late at p99");
        expect(&of(10_100, None), Grade::Invalid, "late at p99");
        expect(&of(3900, Some(40)), Grade::Valid, "");
        expect(&of(4100, Some(40)), Grade::Suspect, "where 4.00 ms may be");
    }

    /// Goal: a response that is mostly the load tester's own lag is told, however short
    /// both are. Method: a lag on either side of half of the response.
    #[test]
    fn late_for_a_fast_server() {
        let of = |micros: u64| {
            judged(|_, results| {
                let lag = &mut results.tally.lag;
                let count = lag.len();
                lag.reset();
                // Of a response of 209 us.
                lag.saturating_record_n(micros * 1000, count);
            })
        };
        expect(&of(100), Grade::Valid, "");
        let told = "0.11 ms late at p99, where 0.10 ms may be: most of the response";
        expect(&of(110), Grade::Suspect, told);
    }
}
