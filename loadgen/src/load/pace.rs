//! The pace of a sender in an open loop: when its next message is due, and from when on it could
//! be sent.

use std::mem;

use sealwire::Time;

use super::schedule::{DueTimes, Schedule};
use crate::limits::NEVER_SENT;
use crate::measure::meter::{Flight, Meter};

/// A message leaves `now`: the next one of `pace` or, in a closed loop, one that is due now.
pub(super) fn leave(pace: &mut Option<Pace>, meter: &mut Meter, now: Time) -> Flight {
    let taken = pace.as_mut().and_then(Pace::take);
    let due = taken.map_or(now, |(due, _)| due);
    meter.sent(due, now, taken.map(|(_, could)| could))
}

pub(super) struct Pace {
    dues: DueTimes,
    /// When the next message is due; `None` once the load has ended.
    next: Option<Time>,
    /// Whether no slot is free, and since when one is.
    full: bool,
    free_since: Time,
}

impl Pace {
    /// The pace of sender `index`, with nothing in flight.
    pub(super) fn new(schedule: Schedule, index: usize) -> Self {
        let mut dues = schedule.of(index);
        Self {
            next: dues.next(),
            dues,
            full: false,
            free_since: schedule.start(),
        }
    }

    pub(super) fn next(&self) -> Option<Time> {
        self.next
    }

    /// Whether no slot is free: as many messages are in flight as allowed.
    pub(super) fn waits(&self) -> bool {
        self.full
    }

    pub(super) fn set_full(&mut self, full: bool) {
        self.full = full;
    }

    /// A slot is free again. Returns whether the next message had to wait for it.
    pub(super) fn has_room(&mut self, now: Time) -> bool {
        let was_full = mem::take(&mut self.full);
        if was_full {
            self.free_since = now;
        }
        was_full
    }

    /// Takes the next message: when it is due, and from when on it could be sent.
    fn take(&mut self) -> Option<(Time, Time)> {
        let due = self.next?;
        self.next = self.dues.next();
        Some((due, due.max(self.free_since)))
    }

    /// Counts what is due until the end as never sent. It counts many at once, because there may be
    /// billions.
    pub(super) fn never_send(&mut self, meter: &mut Meter, now: Time, gone: bool) {
        let end = meter.window().end;
        let Some(due) = self.next.take().filter(|due| *due < end) else {
            return;
        };
        meter.never_sent(due, 1, now, gone);
        let at_once = self.dues.left(end) as u64 / NEVER_SENT;
        while at_once > 1 && self.dues.left(end) >= at_once as f64 {
            let Some(due) = self.dues.take_many(at_once) else {
                break;
            };
            meter.never_sent(due, at_once, now, gone);
        }
        while let Some(due) = self.dues.next().filter(|due| *due < end) {
            meter.never_sent(due, 1, now, gone);
        }
    }
}
