//! What a thread measures of its messages: counts, times, and how many were in flight on
//! average.
//!
//! A workload decides which messages there are. Read next: [`super::results`].

use std::mem;
use std::time::Duration;

use hdrhistogram::Histogram;
use sealwire::Time;

use super::freezes::Silences;
use super::quantile;
use super::results::{Account, Tally};
use crate::plan::Plan;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    /// The load begins.
    pub(crate) start: Time,
    /// Measuring begins.
    pub(crate) measure: Time,
    /// Both end.
    pub(crate) end: Time,
}

impl Window {
    pub(crate) fn new(plan: &Plan, start: Time) -> Self {
        let measure = start + plan.warmup;
        Self {
            start,
            measure,
            end: measure + plan.duration,
        }
    }

    pub(crate) fn has_begun(&self, now: Time) -> bool {
        now >= self.start
    }

    pub(crate) fn is_over(&self, now: Time) -> bool {
        now >= self.end
    }

    /// Whether what happens at `time` is measured.
    pub(crate) fn measures(&self, time: Time) -> bool {
        (self.measure..self.end).contains(&time)
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Flight {
    /// When it was due; in a closed loop, when it was sent.
    pub(crate) due: Time,
    pub(crate) sent: Time,
    /// It counts: it was due in the measured time. That may end early, after it was sent.
    counts: bool,
}

pub(crate) struct Meter {
    window: Window,
    timeout: Duration,
    pub(crate) tally: Tally,
    /// Messages that have left, and those that were answered, measured or not.
    pub(crate) sent_so_far: u64,
    pub(crate) answered_so_far: u64,
    /// Messages in flight, measured or not, and when that number last changed.
    in_flight: u64,
    since: Time,
    /// Response times of what was answered since they were last taken.
    recent: Histogram<u64>,
    silences: Silences,
}

impl Meter {
    /// One that measures nothing until the load [begins](Self::begin).
    pub(crate) fn new(timeout: Duration) -> Self {
        let never = Time::from_nanos(u64::MAX);
        let window = Window {
            start: never,
            measure: never,
            end: never,
        };
        Self {
            window,
            timeout,
            tally: Tally::new(),
            sent_so_far: 0,
            answered_so_far: 0,
            in_flight: 0,
            since: Time::ZERO,
            recent: quantile::histogram(),
            silences: Silences::new(window),
        }
    }

    pub(crate) fn begin(&mut self, window: Window) {
        self.window = window;
        self.silences = Silences::new(window);
    }

    pub(crate) fn window(&self) -> &Window {
        &self.window
    }

    /// The run ends `now`, if it has not ended before.
    pub(crate) fn close(&mut self, now: Time) {
        self.window.end = self.window.end.min(now);
    }

    pub(crate) fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// A stream moves on, or a part of an answer has come: the server is alive.
    pub(crate) fn moved(&mut self, now: Time) {
        self.silences.waits(now);
        self.silences.answered(now);
    }

    /// The load tester looked so much later than it wanted to.
    pub(crate) fn stalled(&mut self, late: Duration) {
        self.silences.stalled(late);
    }

    /// The silences of the run, which has ended at `now` or before.
    pub(crate) fn silences(&mut self, now: Time) -> Silences {
        self.silences.close(now.min(self.window.end));
        self.silences.clone()
    }

    /// A message leaves at `sent`. In an open loop, it was `due` before, and could have left from
    /// the time `late` on.
    pub(crate) fn sent(&mut self, due: Time, sent: Time, late: Option<Time>) -> Flight {
        let counts = self.window.measures(due);
        let flight = Flight { due, sent, counts };
        self.move_on(sent);
        self.in_flight += 1;
        self.silences.waits(flight.sent);
        self.sent_so_far += 1;
        if counts {
            self.tally.account.scheduled += 1;
            if let Some(could) = late {
                record(&mut self.tally.lag, could, sent);
            }
        }
        flight
    }

    /// A message is answered; an answer that took too long counts as a timeout.
    pub(crate) fn answered(&mut self, flight: Flight, now: Time) {
        self.answered_so_far += 1;
        record(&mut self.recent, flight.due, now);
        self.silences.answered(now);
        self.timed(flight, now, |account| &mut account.completed);
    }

    /// A message was answered wrongly, or cannot be answered any more.
    pub(crate) fn failed(&mut self, flight: Flight, now: Time) {
        if let Some(account) = self.landed(flight, now) {
            account.errors += 1;
        }
    }

    /// A message was not answered in time, or before the user `cut_short` the run.
    pub(crate) fn unanswered(&mut self, flight: Flight, now: Time, cut_short: bool) {
        self.timed(flight, now, |account| match cut_short {
            true => &mut account.in_flight,
            false => &mut account.timeouts,
        });
    }

    /// A message is no longer in flight. Returns the account, if it counts there.
    fn landed(&mut self, flight: Flight, now: Time) -> Option<&mut Account> {
        self.move_on(now);
        self.in_flight -= 1;
        if self.in_flight == 0 {
            self.silences.rests(now);
        }
        flight.counts.then_some(&mut self.tally.account)
    }

    /// Counts a message and takes its times. It counts as a timeout if it took too long, and
    /// otherwise as `in_time` says.
    fn timed(&mut self, flight: Flight, now: Time, in_time: impl FnOnce(&mut Account) -> &mut u64) {
        let late = now.since(flight.sent) > self.timeout;
        if let Some(account) = self.landed(flight, now) {
            *(if late {
                &mut account.timeouts
            } else {
                in_time(account)
            }) += 1;
            record(&mut self.tally.response, flight.due, now);
            record(&mut self.tally.service, flight.sent, now);
        }
    }

    /// Counts `count` messages that were due about then and never sent: their peer was `gone`,
    /// or no slot was free.
    pub(crate) fn never_sent(&mut self, due: Time, count: u64, now: Time, gone: bool) {
        if !self.window.measures(due) {
            return;
        }
        let account = &mut self.tally.account;
        account.scheduled += count;
        match gone {
            true => account.shed += count,
            false => {
                account.unsent += count;
                let age = now.since(due).as_nanos() as u64;
                self.tally.response.saturating_record_n(age, count);
            }
        }
    }

    /// Response times of what was answered since the last call.
    pub(crate) fn take_recent(&mut self) -> Histogram<u64> {
        mem::replace(&mut self.recent, quantile::histogram())
    }

    /// Adds up how many were in flight until now, within the measured time.
    pub(crate) fn move_on(&mut self, now: Time) {
        let (from, to) = (
            self.since.max(self.window.measure),
            now.min(self.window.end),
        );
        self.tally.in_flight_ns += u128::from(self.in_flight) * to.since(from).as_nanos();
        self.since = now;
    }
}

fn record(times: &mut Histogram<u64>, from: Time, to: Time) {
    times.saturating_record(to.since(from).as_nanos() as u64);
}
