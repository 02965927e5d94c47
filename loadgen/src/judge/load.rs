//! Whether the load was the one that was asked for.

use super::Verdict;
use super::generator::is_late;
use crate::limits::{ACHIEVED, CHANCE, FAILED, SLACK_AT_ENDS};
use crate::measure::figures::{Figures, seconds};
use crate::measure::results::Results;
use crate::plan::Arrival;

/// Whether as much was scheduled and answered as was asked for; if not, why.
pub(super) fn rate(results: &Results, figures: &Figures, verdict: &mut Verdict) {
    let Some(rate) = figures.asked_messages_per_second else {
        return;
    };
    let took = seconds(results.took);
    let asked = rate * took;
    let scheduled = results.tally.account.scheduled as f64;
    let by_chance = match results.plan.arrival {
        Arrival::Constant => SLACK_AT_ENDS,
        Arrival::Poisson => SLACK_AT_ENDS.max(CHANCE * asked.sqrt()),
    };
    if asked - scheduled > by_chance.max(asked * (1.0 - ACHIEVED)) {
        let why = match results.peers.failed {
            0 => "the load tester fell behind".into(),
            // Once all peers have left, their messages are not scheduled any more.
            failed => format!("{failed} peers had failed"),
        };
        let had = scheduled / took;
        let text = format!("{had:.0} messages/s were scheduled of {rate:.0} asked for: {why}");
        verdict.invalid("fewer were scheduled than asked for", text);
    }
    let answered = figures.measured_messages as f64;
    let missing = scheduled - answered - results.more_in_flight();
    if missing > SLACK_AT_ENDS.max(scheduled * (1.0 - ACHIEVED)) {
        let (had, due, why) = (
            answered / took,
            scheduled / took,
            cause(results, verdict.at_least),
        );
        let part = answered / scheduled * 100.0;
        let text = format!(
            "{had:.0} messages/s were answered of {due:.0} that were due ({part:.1} %): {why}"
        );
        verdict.invalid("fewer were answered than due", text);
    }
}

/// Why less was answered than was due.
fn cause(results: &Results, busy: bool) -> String {
    let account = &results.tally.account;
    if account.shed > account.unsent + account.timeouts {
        return format!("for {} messages there was no peer any more", account.shed);
    }
    let late = is_late(results);
    let server = match account.unsent {
        0 => "the server did not answer in time".into(),
        unsent => format!(
            "the server held them back, {unsent} were never sent with {} of each peer under way",
            results.plan.depth
        ),
    };
    match (late || busy, account.unsent + account.timeouts > 0) {
        (false, _) => server,
        (true, false) => "the load tester fell behind".into(),
        (true, true) => format!("the load tester fell behind, and {server}"),
    }
}

pub(super) fn failures(results: &Results, verdict: &mut Verdict) {
    let (tally, peers) = (&results.tally, &results.peers);
    if tally.wrong > 0 {
        let text = format!("{} answers were wrong", tally.wrong);
        verdict.invalid("answers were wrong", text);
    }
    for (name, told) in [
        ("duplicates", "messages came twice"),
        ("reordered", "messages came out of order"),
    ] {
        if let Some(count) = tally.counts.get(name).filter(|count| **count > 0) {
            verdict.invalid(told, format!("{count} {told}"));
        }
    }
    let account = &tally.account;
    let messages = account.scheduled;
    let all_peers = (peers.complete + peers.failed).max(results.plan.peers as u64);
    for (failed, all, what) in [
        (account.errors, messages, "messages failed"),
        (account.timeouts, messages, "messages timed out"),
        (account.shed, messages, "messages had no peer"),
        (tally.lost, messages, "messages got no answer ever"),
        (peers.failed, all_peers, "peers failed"),
    ] {
        let text = format!("{failed} {what}");
        if failed as f64 > all as f64 * FAILED {
            verdict.invalid(what, text);
        } else if failed > 0 {
            verdict.suspect(what, text);
        }
    }
}
