//! Every rule, on the made-up run ([`crate::testing`]) with one thing changed.

use sealwire::Kernel;

use super::Grade::{Invalid, Suspect, Valid};
use super::*;
use crate::measure::freezes::Freeze;
use crate::measure::results::Account;
use crate::plan::{Arrival, Kind, Rate};
use crate::testing;

/// The verdict on the made-up run after `change`.
fn judged(change: impl FnOnce(&mut Results)) -> Verdict {
    judge_here(&testing::changed(change), &testing::environment())
}

fn judge_here(results: &Results, here: &Environment) -> Verdict {
    judge(results, &Figures::of(results), &[], here)
}

/// That `verdict` is of this grade, for this reason alone, or for none.
#[track_caller]
fn expect(verdict: &Verdict, grade: Grade, reason: &str) {
    assert_eq!(verdict.grade, grade, "{verdict:?}");
    if reason.is_empty() {
        assert!(verdict.reasons.is_empty(), "{verdict:?}");
    } else {
        assert_eq!(verdict.reasons.len(), 1, "{verdict:?}");
        assert!(verdict.reasons[0].text.contains(reason), "{verdict:?}");
    }
}

/// Goal: the worst reason decides and comes first. Method: a run that breaks a rule of each
/// grade.
#[test]
fn the_worst_comes_first() {
    let verdict = judged(|results| {
        results.interrupted = true;
        results.tally.account.completed -= 1;
    });
    let grades: Vec<_> = verdict.reasons.iter().map(|reason| reason.grade).collect();
    assert_eq!((verdict.grade, grades), (Invalid, vec![Invalid, Suspect]));
    assert!(verdict.reasons[0].text.contains("account"), "{verdict:?}");
}

/// Goal: without an answer a run is invalid. Method: a run in which all timed out.
#[test]
fn nothing_answered() {
    let verdict = judged(|results| {
        let account = &mut results.tally.account;
        account.timeouts = std::mem::take(&mut account.completed);
        testing::answers(results, |_| 0);
    });
    assert_eq!(verdict.grade, Invalid);
    assert!(verdict.reasons[0].text.contains("nothing was answered"));
}

/// Goal: a run with nothing wrong is valid, without notes; an interrupted one and a debug build
/// are suspect; a kernel that is not the fastest is only noted, and only where there is one.
/// Method: each of them.
#[test]
fn circumstances_are_told() {
    let interrupted = judged(|results| results.interrupted = true);
    expect(&interrupted, Suspect, "interrupted");
    let mut here = testing::environment();
    let mut results = testing::results();
    for fastest in Kernel::all() {
        here.fastest_kernel = fastest.name();
        for used in [Some(Kernel::PORTABLE), None] {
            results.kernel = used;
            let verdict = judge_here(&results, &here);
            expect(&verdict, Valid, "");
            let slower = used.is_some_and(|used| used.name() != fastest.name());
            assert_eq!(verdict.notes.len(), usize::from(slower), "{verdict:?}");
        }
    }
    here.profile = "debug";
    expect(&judge_here(&results, &here), Suspect, "debug build");
}

/// Goal: a busy thread makes rates lower bounds, and suspect in an open loop; one that waits for a
/// processor is suspect in a closed loop, too. Method: parts of the time that a thread ran and
/// waited, on either side of both bounds.
#[test]
fn busy_threads() {
    let told = "ran 91 % of the time, and waited for a processor 5 %";
    let open = testing::plan().rate;
    for (rate, ran, waited, grade, reason, note) in [
        (open, 0.89, 0.05, Valid, "", ""),
        (open, 0.91, 0.05, Suspect, told, ""),
        (None, 0.89, 0.05, Valid, "", ""),
        (None, 0.91, 0.05, Valid, "", told),
        (None, 0.25, 0.2, Valid, "", ""),
        (None, 0.25, 0.3, Suspect, "wait for a processor 30 %", ""),
    ] {
        let verdict = judged(|results| {
            results.plan.rate = rate;
            results.threads[1].ran = results.took.mul_f64(ran);
            results.threads[1].waited = results.took.mul_f64(waited);
        });
        expect(&verdict, grade, reason);
        assert_eq!(verdict.at_least, ran + waited > 0.95);
        assert!(verdict.notes.concat().contains(note), "{verdict:?}");
    }
}

/// Goal: a late load tester is found, and more lag is allowed where the service takes long; a
/// response that is long because of the lag excuses nothing; nor may it be mostly lag, however
/// short both are. Method: lags on either side of the bounds.
#[test]
fn late_generators() {
    for (micros, service, grade, told) in [
        (990, None, Valid, ""),
        (1100, None, Suspect, "1.10 ms late at p99"),
        (9900, None, Suspect, "late at p99"),
        (10_100, None, Invalid, "late at p99"),
        (3900, Some(40), Valid, ""),
        (4100, Some(40), Suspect, "where 4.00 ms may be"),
    ] {
        let verdict = judged(|results| {
            let tally = &mut results.tally;
            tally.lag.saturating_record_n(micros * 1000, 1000);
            let count = tally.response.len();
            tally.response = testing::times(40_000_000, count);
            if let Some(millis) = service {
                tally.service = testing::times(millis * 1_000_000, count);
                tally.in_flight_ns = u128::from(count * millis * 1_000_000);
            }
        });
        expect(&verdict, grade, told);
    }
    // The response is 209 us.
    let told = "0.11 ms late at p99, where 0.10 ms may be: most of the response";
    for (micros, grade, told) in [(100, Valid, ""), (110, Suspect, told)] {
        let verdict = judged(|results| {
            let count = results.tally.lag.len();
            results.tally.lag = testing::times(micros * 1000, count);
        });
        expect(&verdict, grade, told);
    }
}

/// A run with fewer answers: the `missing` are `unsent`, or late; a thread was `busy`.
fn fewer(missing: u64, unsent: bool, busy: bool) -> Verdict {
    judged(|results| {
        let each = missing / results.intervals.len() as u64;
        testing::answers(results, |count| count - each);
        if unsent {
            let account = &mut results.tally.account;
            account.unsent = missing;
            account.completed -= missing;
        }
        if busy {
            results.threads[0].ran = results.took;
        }
    })
}

/// Goal: a rate that was not reached is found, with the cause. Method: fewer answers, just
/// enough and too few, with each of the causes.
#[test]
fn the_rate_is_reached() {
    expect(&fewer(200, true, false), Valid, "");
    let held = "the server held them back, 220 were never sent with 4 of each";
    expect(&fewer(220, true, false), Invalid, held);
    let slow = "the server did not answer in time";
    expect(&fewer(220, false, false), Invalid, slow);
    for (unsent, told) in [
        (false, "were due (98.9 %): the load tester fell behind"),
        (true, "tester fell behind, and the server held them back"),
    ] {
        let verdict = fewer(220, unsent, true);
        assert_eq!(verdict.grade, Invalid);
        assert!(verdict.reasons[0].text.contains(told), "{verdict:?}");
    }
    let gone = judged(|results| {
        testing::answers(results, |count| count - 11);
        let account = &mut results.tally.account;
        (account.shed, account.completed) = (220, account.completed - 220);
    });
    let told = "for 220 messages there was no peer any more";
    assert!(gone.reasons[0].text.contains(told), "{gone:?}");
}

const RISES: Rate = Rate {
    from: 500.0,
    to: 1500.0,
};

/// Goal: answers that come after the end are no fault of a server that takes as long as ever.
/// Method: one that takes 500 ms, without a warm-up, with one, and with a rate that rises; and
/// one that is behind by more than that.
#[test]
fn long_answers() {
    let told = "the server did not answer in time";
    let steady = Rate::steady(1000.0);
    for (late, warmup, rate, grade, told) in [
        (500, 0, steady, Valid, ""),
        (800, 0, steady, Invalid, told),
        (500, 1, steady, Invalid, told),
        (500, 1, RISES, Valid, ""),
        (800, 1, RISES, Invalid, told),
    ] {
        let verdict = judged(|results| {
            results.plan.warmup = testing::SECOND * warmup;
            results.plan.rate = Some(rate);
            let each = late / results.intervals.len() as u64;
            testing::answers(results, |count| count - each);
            let count = results.tally.service.len();
            results.tally.service = testing::times(500_000_000, count);
        });
        expect(&verdict, grade, told);
    }
}

/// Goal: messages that were never scheduled are missed, too, but not within chance, nor in a
/// closed loop; peers that had left are not the load tester's fault. Method: other rates than
/// there was.
#[test]
fn the_schedule_is_kept() {
    let told = "1000 messages/s were scheduled of 1020 asked for: the load tester fell behind";
    let had_failed = "asked for: 1 peers had failed";
    for (asked, arrival, failed, grade, told) in [
        (Some(1009.0), Arrival::Constant, 0, Valid, ""),
        (Some(1020.0), Arrival::Constant, 0, Invalid, told),
        (Some(1020.0), Arrival::Poisson, 0, Valid, ""),
        (Some(1040.0), Arrival::Poisson, 0, Invalid, "scheduled of"),
        (Some(1020.0), Arrival::Constant, 1, Invalid, had_failed),
        (None, Arrival::Constant, 0, Valid, ""),
    ] {
        let mut verdict = judged(|results| {
            results.plan.rate = asked.map(Rate::steady);
            results.plan.arrival = arrival;
            results.peers.failed = failed;
        });
        let reasons = &mut verdict.reasons;
        reasons.retain(|reason| reason.rule != "peers failed");
        expect(&verdict, grade, told);
    }
}

/// Goal: a run that ends before its time says so, and is not blamed for what was not yet due.
/// Method: half of a run, steady and of a rate that rises from nothing to twice; one that the
/// user ended; one that was behind when it ended.
#[test]
fn ends_early() {
    let of = |rate, messages: u64, interrupted| {
        judged(|results| {
            results.plan.rate = Some(rate);
            results.took = results.plan.duration / 2;
            results.intervals.truncate(10);
            testing::answers(results, |_| messages / 10);
            let tally = &mut results.tally;
            let account = &mut tally.account;
            (account.scheduled, account.completed) = (messages, messages);
            tally.lag.reset();
            tally.service = testing::times(100_000, messages);
            tally.response = testing::times(100_000, messages);
            tally.in_flight_ns = u128::from(messages) * 100_000;
            results.interrupted = interrupted;
            results.ended_early = !interrupted;
        })
    };
    let (from, to) = (0.0, 2000.0);
    let ramp = Rate { from, to };
    let told = "it ended after 10.00 s of 20 s";
    let steady = Rate::steady(1000.0);
    expect(&of(steady, 10_000, false), Suspect, told);
    expect(&of(ramp, 5000, false), Suspect, told);
    expect(&of(steady, 10_000, true), Suspect, "interrupted");
    let behind = of(ramp, 4000, false);
    let told = "400 messages/s were scheduled of 500";
    assert!(behind.reasons[0].text.contains(told), "{behind:?}");
}

/// Goal: a failure makes a run suspect, and more than one in a hundred makes it invalid; a
/// wrong answer always does. Method: each kind of failure.
#[test]
fn failures_are_told() {
    type Part = fn(&mut Account) -> &mut u64;
    let parts: [(&str, Part); 3] = [
        ("messages failed", |account| &mut account.errors),
        ("messages timed out", |account| &mut account.timeouts),
        ("messages had no peer", |account| &mut account.shed),
    ];
    for (count, grade) in [(200, Suspect), (201, Invalid)] {
        for (told, part) in parts {
            let verdict = judged(|results| {
                *part(&mut results.tally.account) = count;
                results.tally.account.completed -= count;
            });
            expect(&verdict, grade, told);
        }
        let lost = judged(|results| results.tally.lost = count);
        expect(&lost, grade, "messages got no answer ever");
    }
    let wrong = judged(|results| results.tally.wrong = 1);
    expect(&wrong, Invalid, "1 answers were wrong");
    for (name, told) in [("duplicates", "came twice"), ("reordered", "out of order")] {
        let verdict = judged(|results| _ = results.tally.counts.insert(name, 1));
        expect(&verdict, Invalid, told);
    }
    for (complete, grade) in [(64, Invalid), (999, Suspect)] {
        let verdict = judged(|results| {
            (results.peers.complete, results.peers.failed) = (complete, 1);
        });
        expect(&verdict, grade, "1 peers failed");
    }
}

/// Goal: what disagrees with Little's law is found, with how badly it does. Method: more and
/// fewer in flight than there were, on either side of both bounds.
#[test]
fn little_agrees() {
    let missed = "Little's law is missed";
    for (percents, grade, told) in [
        (&[99, 100, 101][..], Valid, ""),
        (&[97, 103], Suspect, missed),
        (&[0, 89, 111], Invalid, missed),
    ] {
        for percent in percents {
            let verdict = judged(|results| {
                results.tally.in_flight_ns = results.tally.in_flight_ns * percent / 100;
            });
            expect(&verdict, grade, told);
        }
    }
}

/// Goal: Little's law is not asked where it does not apply, and that is noted. Method: no
/// message in flight, in a sink, with few samples, and with messages that take long.
#[test]
fn little_is_not_always_asked() {
    for (kind, samples, nanos, told) in [
        (Kind::Sink, 1000, 100_000, "no message is answered"),
        (Kind::Echo, 999, 100_000, "there are too few samples"),
        (Kind::Echo, 1000, 500_000_000, "messages take too long"),
    ] {
        let verdict = judged(|results| {
            results.plan.kind = kind;
            results.tally.in_flight_ns = 0;
            results.tally.service = testing::times(nanos, samples);
        });
        expect(&verdict, Valid, "");
        let told = format!("not asked: {told}");
        assert!(verdict.notes.iter().any(|note| note.contains(&told)));
    }
}

/// Goal: a run that changes on its way is found; one interval does not change the median of a
/// half; what is too short, too little or meant to change is not taken for unsteady. Method: a
/// second half with other medians, and with more and fewer answers, on either side of the bound;
/// of two hundred answers, forty more or fewer are chance.
#[test]
fn halves_are_alike() {
    for (percent, intervals, grade, told) in [
        (109, 10..20, Valid, ""),
        (111, 10..20, Suspect, "median response changed by +11 %"),
        (89, 10..20, Suspect, "median response changed by -11 %"),
        (500, 10..11, Valid, ""),
    ] {
        let verdict = judged(|results| {
            for interval in &mut results.intervals[intervals] {
                interval.median = interval.median * percent / 100;
            }
        });
        expect(&verdict, grade, told);
    }
    let (more, less) = ("throughput changed by +11 %", "throughput changed by -11 %");
    for (rate, intervals, counts, grade, told, note) in [
        (None, 20, [1000, 1090], Valid, "", ""),
        (None, 20, [1000, 1110], Suspect, more, ""),
        (None, 20, [1000, 890], Suspect, less, ""),
        (None, 3, [2000, 2000], Suspect, "too short", ""),
        (None, 20, [20, 9], Valid, "", "too few answers"),
        (None, 20, [20, 24], Valid, "", ""),
        (Some(RISES), 20, [750, 1250], Valid, "", "was to change"),
    ] {
        let verdict = judged(|results| {
            results.plan.rate = rate;
            results.intervals.truncate(intervals);
            for (k, interval) in results.intervals.iter_mut().enumerate() {
                interval.completed = counts[k / 10];
            }
        });
        expect(&verdict, grade, told);
        assert!(verdict.notes.join("").contains(note), "{verdict:?}");
    }
}

/// Goal: a server that stood still for more than a tenth of the run, whole or in pieces, makes it
/// suspect, and the longest times are named. Method: less, one piece, many pieces.
#[test]
fn a_server_that_stands_still() {
    // Of 20 s.
    for (pieces, millis, told) in [
        (1, 1900, ""),
        (
            1,
            2100,
            "the server stood still 11 % of the time: for 2.10 s from 3.00 s on",
        ),
        (
            4,
            700,
            "still 14 % of the time: for 0.70 s from 3.00 s on, for 0.70 s from 4.00 s on, \
            for 0.70 s from 5.00 s on, and 1 shorter times",
        ),
    ] {
        let verdict = judged(|results| {
            results.freezes = (0..pieces)
                .map(|k| Freeze {
                    from: testing::SECOND * (3 + k),
                    took: std::time::Duration::from_millis(millis),
                })
                .collect();
        });
        let grade = if told.is_empty() { Valid } else { Suspect };
        expect(&verdict, grade, told);
    }
}

/// Goal: a closed loop that meets a bound only because it waits is suspect; an open loop and one
/// that meets it anyway are not. Method: one answer of 2 s among 20,000.
#[test]
fn a_loop_that_waits() {
    for (rate, slow, grade) in [
        (None, true, Suspect),
        (None, false, Valid),
        (testing::plan().rate, true, Valid),
    ] {
        let results = testing::changed(|results| {
            results.plan.rate = rate;
            (results.plan.peers, results.plan.depth) = (1, 1);
            if slow {
                results.tally.response.saturating_record(2_000_000_000);
            }
            results.as_open_loop = results.opened();
        });
        let slo: slo::Slo = "p99<5ms".parse().unwrap();
        let open = results.as_open_loop.as_ref();
        assert_eq!(open.is_some(), rate.is_none());
        let judged = [slo.judge(&results.tally.response, open)];
        assert!(judged[0].is_met());
        let figures = Figures::of(&results);
        let verdict = judge(&results, &figures, &judged, &testing::environment());
        let told = if grade == Suspect {
            "p99<5ms is met only because"
        } else {
            ""
        };
        expect(&verdict, grade, told);
    }
}

/// Goal: a change counts as the machine's where other programs explain it, and as nobody's where
/// the intervals vary as much anyway. Method: a second half with a fifth fewer answers; others had
/// some of the processors in it, or in both halves, or it is not known; intervals that go up and
/// down.
#[test]
fn whose_change_it_is() {
    let machine = "the machine was not steady: throughput changed by -20 % from its first half to \
        its second; other programs had 1 % and 11 % of the processors";
    let server = "it was not steady: throughput changed by -20 %";
    for (others, varies, grade, told) in [
        ([Some(1), Some(11)], 0, Suspect, machine),
        ([Some(11), Some(11)], 0, Suspect, server),
        ([Some(1), Some(5)], 0, Suspect, server),
        ([Some(11), Some(1)], 0, Suspect, server),
        ([None, Some(11)], 0, Suspect, server),
        ([Some(0), Some(0)], 500, Valid, ""),
    ] {
        let verdict = judged(|results| {
            results.plan.rate = None;
            for (k, interval) in results.intervals.iter_mut().enumerate() {
                let half = k / 10;
                interval.completed = [1000, 800][half] + varies * (k as u64 % 2);
                // Of eight processors.
                let part = |percent| interval.took * 8 * percent / 100;
                interval.others = others[half].map(part);
                interval.generator = part(60);
            }
        });
        expect(&verdict, grade, told);
    }
}
