//! Whether the load was the one that was asked for.

use super::Findings;
use super::generator::is_late;
use crate::figures::seconds;
use crate::limits::{ACHIEVED, CHANCE, FAILED, SLACK_AT_ENDS};
use crate::plan::{Arrival, Plan};
use crate::results::Results;

/// Whether as much was scheduled and answered as was asked for, and if not, who
/// was the cause.
pub(super) fn rate(plan: &Plan, results: &Results, busy: bool, findings: &mut Findings) {
    let Some(rate) = results.asked_per_second(plan) else {
        return;
    };
    let took = seconds(results.took);
    let asked = rate * took;
    let scheduled = results.tally.account.scheduled as f64;
    let by_chance = match plan.arrival {
        Arrival::Constant => SLACK_AT_ENDS,
        Arrival::Poisson => SLACK_AT_ENDS.max(CHANCE * asked.sqrt()),
    };
    if asked - scheduled > by_chance.max(asked * (1.0 - ACHIEVED)) {
        let why = match results.failed {
            0 => "the load tester fell behind".into(),
            // Theirs is not scheduled any more once they all have left.
            failed => format!("{failed} peers had failed"),
        };
        findings.invalid(
            "fewer were scheduled than asked for",
            format!(
                "{:.0} messages/s were scheduled of {rate:.0} asked for: {why}",
                scheduled / took,
            ),
        );
    }
    let answered = results.answered(plan) as f64;
    let missing = scheduled - answered - results.more_under_way(plan);
    if missing > SLACK_AT_ENDS.max(scheduled * (1.0 - ACHIEVED)) {
        findings.invalid(
            "fewer were answered than due",
            format!(
                "{:.0} messages/s were answered of {:.0} that were due ({:.1} %): {}",
                answered / took,
                scheduled / took,
                answered / scheduled * 100.0,
                cause(plan, results, busy)
            ),
        );
    }
}

/// Why less was answered than was due.
fn cause(plan: &Plan, results: &Results, busy: bool) -> String {
    let account = &results.tally.account;
    if account.shed > account.unsent + account.timeouts {
        return format!("for {} messages there was no peer any more", account.shed);
    }
    let late = is_late(results);
    let server = match account.unsent {
        0 => "the server did not answer in time".into(),
        unsent => format!(
            "the server held them back, {unsent} were never sent with {} of each peer under way",
            plan.depth
        ),
    };
    match (late || busy, account.unsent + account.timeouts > 0) {
        (false, _) => server,
        (true, false) => "the load tester fell behind".into(),
        (true, true) => format!("the load tester fell behind, and {server}"),
    }
}

/// What went wrong with messages and peers.
pub(super) fn failures(plan: &Plan, results: &Results, findings: &mut Findings) {
    let tally = &results.tally;
    if tally.wrong > 0 {
        let text = format!("{} answers were wrong", tally.wrong);
        findings.invalid("answers were wrong", text);
    }
    for (name, told) in [
        ("duplicates", "messages came twice"),
        ("reordered", "messages came out of order"),
    ] {
        if let Some(count) = tally.counts.get(name).filter(|count| **count > 0) {
            findings.invalid(told, format!("{count} {told}"));
        }
    }
    let account = &tally.account;
    let mut count = |failed: u64, all: u64, what: &'static str| {
        if failed == 0 {
            return;
        }
        let text = format!("{failed} {what}");
        if failed as f64 > all as f64 * FAILED {
            findings.invalid(what, text);
        } else {
            findings.suspect(what, text);
        }
    };
    count(account.errors, account.scheduled, "messages failed");
    count(account.timeouts, account.scheduled, "messages timed out");
    count(account.shed, account.scheduled, "messages had no peer");
    count(tally.lost, account.scheduled, "messages got no answer ever");
    let peers = (results.complete + results.failed).max(plan.peers as u64);
    count(results.failed, peers, "peers failed");
}

#[cfg(test)]
mod tests {
    use super::super::{Grade, expect, judged};
    use super::*;
    use crate::plan::Rate;
    use crate::testing;

    /// Goal: a rate that was not reached is told, and whose fault it was. Method:
    /// fewer answers, just enough and too few, with each of the causes.
    #[test]
    fn the_rate_is_reached() {
        let of = |missing: u64, change: &dyn Fn(&mut Results)| {
            judged(|_, results| {
                let from = results.rows.len() as u64;
                for row in &mut results.rows {
                    row.completed -= missing / from;
                }
                let account = &mut results.tally.account;
                account.unsent = missing;
                account.completed -= missing;
                change(results);
            })
        };
        expect(&of(200, &|_| {}), Grade::Valid, "");
        let held = "the server held them back, 220 were never sent with 4 of each";
        expect(&of(220, &|_| {}), Grade::Invalid, held);
        let late = of(220, &|results| {
            results.tally.account.completed += results.tally.account.unsent;
            results.tally.account.unsent = 0;
            results.threads[0].ran = results.took;
        });
        let told = "answered of 1000 that were due (98.9 %): the load tester fell behind";
        assert_eq!(late.grade, Grade::Invalid);
        assert!(late.reasons[0].text.ends_with(told), "{late:?}");
        let both = of(220, &|results| results.threads[0].ran = results.took);
        let told = "the load tester fell behind, and the server held them back";
        assert!(both.reasons[0].text.contains(told), "{both:?}");
        let backlog = of(220, &|results| {
            results.tally.account.completed += results.tally.account.unsent;
            results.tally.account.unsent = 0;
        });
        expect(
            &backlog,
            Grade::Invalid,
            "the server did not answer in time",
        );
        let gone = of(220, &|results| {
            let account = &mut results.tally.account;
            account.shed = std::mem::take(&mut account.unsent);
        });
        let told = "for 220 messages there was no peer";
        assert!(
            gone.reasons.iter().any(|why| why.text.contains(told)),
            "{gone:?}"
        );
    }

    /// Goal: what is answered in time, but behind the end, is no fault of a server that
    /// takes as long as ever. Method: one that takes 500 ms, without a warm-up, with one,
    /// and with a rate that rises; and one that is behind by more than that.
    #[test]
    fn long_answers() {
        let of = |late: u64, warmup: u64, change: &dyn Fn(&mut Plan)| {
            judged(|plan, results| {
                plan.warmup = testing::SECOND * warmup as u32;
                change(plan);
                let rows = results.rows.len() as u64;
                for row in &mut results.rows {
                    row.completed -= late / rows;
                }
                let count = results.tally.service.len();
                results.tally.service.reset();
                let service = &mut results.tally.service;
                service.saturating_record_n(500_000_000, count);
            })
        };
        let rises = |plan: &mut Plan| {
            plan.rate = Some(Rate {
                from: 500.0,
                to: 1500.0,
            });
        };
        let told = "the server did not answer in time";
        expect(&of(500, 0, &|_| {}), Grade::Valid, "");
        expect(&of(800, 0, &|_| {}), Grade::Invalid, told);
        expect(&of(500, 1, &|_| {}), Grade::Invalid, told);
        expect(&of(500, 1, &rises), Grade::Valid, "");
        expect(&of(800, 1, &rises), Grade::Invalid, told);
    }

    /// Goal: what was never scheduled is missed, too, but not what chance explains
    /// or a closed loop does not ask for. Method: another rate than there was.
    #[test]
    fn the_schedule_is_kept() {
        let of = |asked: f64, arrival| {
            judged(|plan, _| {
                plan.rate = Some(Rate::steady(asked));
                plan.arrival = arrival;
            })
        };
        expect(&of(1009.0, Arrival::Constant), Grade::Valid, "");
        let told = "1000 messages/s were scheduled of 1020 asked for";
        expect(&of(1020.0, Arrival::Constant), Grade::Invalid, told);
        expect(&of(1020.0, Arrival::Poisson), Grade::Valid, "");
        expect(
            &of(1040.0, Arrival::Poisson),
            Grade::Invalid,
            "scheduled of",
        );
        expect(&judged(|plan, _| plan.rate = None), Grade::Valid, "");
    }

    /// Goal: what was not scheduled because peers were gone is not the load tester's
    /// fault. Method: half of a schedule, without failures and with one.
    #[test]
    fn peers_had_left() {
        let of = |failed: u64| {
            let verdict = judged(|plan, results| {
                plan.rate = Some(Rate::steady(2000.0));
                results.failed = failed;
            });
            let mut reasons = verdict.reasons.into_iter();
            let one = reasons.find(|reason| reason.rule == "fewer were scheduled than asked for");
            one.map_or(String::new(), |reason| reason.text)
        };
        assert!(
            of(0).ends_with("asked for: the load tester fell behind"),
            "{}",
            of(0)
        );
        assert!(
            of(1).ends_with("asked for: 1 peers had failed"),
            "{}",
            of(1)
        );
    }

    /// Goal: a run that ends before its time says so, and is not blamed for what was
    /// not yet due. Method: half of a run, steady and of a rate that rises from nothing
    /// to twice; not if the user ended it.
    #[test]
    fn ends_early() {
        let of = |rate, messages: u64, interrupted| {
            judged(|plan, results| {
                plan.rate = Some(rate);
                results.took = plan.duration / 2;
                results.rows.truncate(10);
                let each = messages / results.rows.len() as u64;
                results.rows.iter_mut().for_each(|row| row.completed = each);
                let account = &mut results.tally.account;
                (account.scheduled, account.completed) = (messages, messages);
                let tally = &mut results.tally;
                tally.lag.reset();
                for times in [&mut tally.service, &mut tally.response] {
                    times.reset();
                    times.saturating_record_n(100_000, messages);
                }
                tally.under_way = u128::from(messages) * 100_000;
                results.interrupted = interrupted;
                results.ended_early = !interrupted;
            })
        };
        let ramp = Rate {
            from: 0.0,
            to: 2000.0,
        };
        let told = "it ended after 10.00 s of 20 s";
        let steady = Rate::steady(1000.0);
        expect(&of(steady, 10_000, false), Grade::Suspect, told);
        expect(&of(ramp, 5000, false), Grade::Suspect, told);
        expect(&of(steady, 10_000, true), Grade::Suspect, "interrupted");
        let verdict = of(ramp, 4000, false);
        assert!(
            verdict.reasons[0]
                .text
                .contains("400 messages/s were scheduled of 500")
        );
    }

    /// Goal: one failure makes a run suspect, and more than one in a hundred makes
    /// it invalid; a wrong answer always does. Method: each kind of failure.
    #[test]
    fn failures_are_told() {
        type Change = fn(&mut Results, u64);
        let kinds: [(&str, Change); 4] = [
            ("messages failed", |results, count| {
                results.tally.account.errors = count;
                results.tally.account.completed -= count;
            }),
            ("messages timed out", |results, count| {
                results.tally.account.timeouts = count;
                results.tally.account.completed -= count;
            }),
            ("messages had no peer", |results, count| {
                results.tally.account.shed = count;
                results.tally.account.completed -= count;
            }),
            ("messages got no answer ever", |results, count| {
                results.tally.lost = count;
            }),
        ];
        for (told, change) in kinds {
            let verdict = judged(|_, results| change(results, 200));
            expect(&verdict, Grade::Suspect, told);
            let verdict = judged(|_, results| change(results, 201));
            expect(&verdict, Grade::Invalid, told);
        }
        let verdict = judged(|_, results| results.tally.wrong = 1);
        expect(&verdict, Grade::Invalid, "1 answers were wrong");
        for (name, told) in [
            ("duplicates", "1 messages came twice"),
            ("reordered", "1 messages came out of order"),
        ] {
            let verdict = judged(|_, results| *results.tally.counts.entry(name).or_default() = 1);
            expect(&verdict, Grade::Invalid, told);
        }
        let verdict = judged(|_, results| results.failed = 1);
        expect(&verdict, Grade::Invalid, "1 peers failed");
        let verdict = judged(|_, results| (results.complete, results.failed) = (999, 1));
        expect(&verdict, Grade::Suspect, "1 peers failed");
    }
}
