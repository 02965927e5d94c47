//! Whether the figures agree with each other, and rest on enough samples.

use super::Verdict;
use super::slo::{Judged, Outcome};
use crate::limits::{LITTLE_INVALID, LITTLE_SAMPLES, LITTLE_SERVICE, LITTLE_SUSPECT};
use crate::measure::figures::seconds;
use crate::measure::results::Results;
use crate::plan::Kind;

const LITTLE: &str = "Little's law is missed";

/// Little's law: the mean number of messages in flight is the rate times the mean time of a
/// message. Where it does not hold, times or counts are wrong.
pub(super) fn littles_law(results: &Results, verdict: &mut Verdict) {
    let service = &results.tally.service;
    let took = seconds(results.took) * 1e9;
    let skipped = if results.plan.kind == Kind::Sink {
        Some("no message is answered")
    } else if service.len() < LITTLE_SAMPLES {
        Some("there are too few samples")
    } else if service.mean() > took * LITTLE_SERVICE {
        Some("messages take too long for the time that was measured")
    } else {
        None
    };
    if let Some(why) = skipped {
        return verdict.note(format!("Little's law was not asked: {why}"));
    }
    // Messages without an answer are in the histogram, too. Their time is their age.
    let expected = service.len() as f64 * service.mean() / took;
    let in_flight = results.tally.in_flight_ns as f64 / took;
    let off = (in_flight / expected - 1.0).abs();
    let text = format!(
        "Little's law is missed by {:.1} %: {in_flight:.2} messages were under way, where rate \
         and service time make {expected:.2}",
        off * 100.0
    );
    if off > LITTLE_INVALID {
        verdict.invalid(LITTLE, text);
    } else if off > LITTLE_SUSPECT {
        verdict.suspect(LITTLE, text);
    }
}

/// Whether a bound is met only because a closed loop sends nothing while it waits.
pub(super) fn omission(slos: &[Judged], verdict: &mut Verdict) {
    for Judged { slo, open_ns, .. } in slos {
        if let Some(open) = open_ns {
            let text = format!(
                "{} is met only because a closed loop sends nothing while it waits: an open loop at \
                 this rate would have seen {:.1} us",
                slo.text,
                open / 1e3
            );
            verdict.suspect("a bound is met because the loop is closed", text);
        }
    }
}

/// Whether there are enough samples for the user's bounds.
pub(super) fn samples(slos: &[Judged], verdict: &mut Verdict) {
    let undecided = slos.iter().filter(|one| one.outcome == Outcome::Undecided);
    for Judged {
        slo,
        samples,
        needs,
        ..
    } in undecided
    {
        let text = format!(
            "{} cannot be told from {samples} samples: it takes {needs}",
            slo.text
        );
        verdict.suspect("there are too few samples for a bound", text);
    }
}
