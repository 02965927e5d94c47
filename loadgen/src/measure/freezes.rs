//! When the server stood still: long stretches without an answer while messages were in flight.
//!
//! A closed loop sends nothing meanwhile, so a freeze is in few of its response times. Here it is
//! found by what did not happen. Each thread notes its long silences, and how long it usually is
//! between two answers. [`freezes`] finds when all threads were silent for much longer than that.
//! What is too much is up to [`crate::judge`].

use std::time::Duration;

use hdrhistogram::Histogram;
use sealwire::Time;
use serde::Serialize;

use super::meter::Window;
use super::quantile;
use crate::limits::{FREEZE, FREEZE_OF_RUN, FREEZE_OF_USUAL, FREEZE_SURE, LAG_ALLOWED, USUAL_GAP};
use crate::plan::seconds;

/// A stretch of the measured time in which the server stood still.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Freeze {
    /// Since measuring began.
    #[serde(rename = "from_s", serialize_with = "seconds")]
    pub(crate) from: Duration,
    #[serde(rename = "took_s", serialize_with = "seconds")]
    pub(crate) took: Duration,
}

/// A stretch without an answer to one thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Silence {
    from: Time,
    to: Time,
    /// Something was in flight for most of it.
    waits: bool,
    /// The load tester itself stood still for most of it.
    own: bool,
}

/// What one thread notes.
#[derive(Debug, Clone)]
pub(crate) struct Silences {
    window: Window,
    /// Shorter silences are not kept, so that memory does not grow with the run.
    least: Duration,
    /// The last answer.
    last: Time,
    /// Since when something is in flight.
    waiting: Option<Time>,
    /// Of the time since the last answer: how long something was in flight before `waiting`, and
    /// how long the load tester itself stood still.
    waited: Duration,
    stalled: Duration,
    found: Vec<Silence>,
    /// Times between two answers.
    gaps: Histogram<u64>,
}

impl Silences {
    pub(crate) fn new(window: Window) -> Self {
        let run = window.end.since(window.measure);
        Self {
            window,
            least: FREEZE.max(run / FREEZE_OF_RUN),
            last: window.measure,
            waiting: None,
            waited: Duration::ZERO,
            stalled: Duration::ZERO,
            found: Vec::new(),
            gaps: quantile::histogram(),
        }
    }

    /// From `now` on something is in flight.
    pub(crate) fn waits(&mut self, now: Time) {
        self.waiting.get_or_insert(now);
    }

    /// Nothing is in flight any more.
    pub(crate) fn rests(&mut self, now: Time) {
        self.waited += self.waiting.take().map_or(Duration::ZERO, |since| {
            now.since(since.max(self.last).max(self.window.measure))
        });
    }

    /// The load tester looked so much later than it wanted to.
    pub(crate) fn stalled(&mut self, late: Duration) {
        // Every turn takes some time, and every timer has some slack.
        if late >= LAG_ALLOWED {
            self.stalled += late;
        }
    }

    /// An answer has come, or a stream has moved on.
    pub(crate) fn answered(&mut self, now: Time) {
        if now < self.window.measure {
            (self.waited, self.stalled) = (Duration::ZERO, Duration::ZERO);
            return;
        }
        // Those of one turn come at one time.
        if now == self.last {
            return;
        }
        let to = now.min(self.window.end);
        let (from, took) = (self.last, to.since(self.last));
        if self.waiting.is_some() {
            self.rests(to);
            self.waiting = Some(now);
        }
        if !took.is_zero() {
            self.gaps.saturating_record(took.as_nanos() as u64);
        }
        if took >= self.least {
            self.found.push(Silence {
                from,
                to,
                waits: 2 * self.waited >= took,
                own: 2 * self.stalled >= took,
            });
        }
        self.last = now;
        (self.waited, self.stalled) = (Duration::ZERO, Duration::ZERO);
    }

    /// No more will come: the load ends at `end`.
    pub(crate) fn close(&mut self, end: Time) {
        if end > self.last {
            self.answered(end);
        }
    }
}

/// When the server stood still, from what each thread noted.
pub(crate) fn freezes(threads: &[Silences]) -> Vec<Freeze> {
    let Some((first, others)) = threads.split_first() else {
        return Vec::new();
    };
    let (mut gaps, mut all) = (first.gaps.clone(), first.found.clone());
    for other in others {
        gaps += &other.gaps;
        all = common(&all, &other.found);
    }
    let window = first.window;
    let sure = window.end.since(window.measure).mul_f64(FREEZE_SURE);
    let long = (usual(&gaps) * FREEZE_OF_USUAL).min(sure);
    let long = long.max(first.least);
    let is_one = |silence: &&Silence| {
        let took = silence.to.since(silence.from);
        silence.waits && !silence.own && took >= long
    };
    let freeze = |silence: &Silence| Freeze {
        from: silence.from.since(window.measure),
        took: silence.to.since(silence.from),
    };
    all.iter().filter(is_one).map(freeze).collect()
}

/// When two threads were silent at the same time. The server was waited for if one of them did;
/// the load tester stood still only if both did.
fn common(one: &[Silence], other: &[Silence]) -> Vec<Silence> {
    let (mut one, mut other) = (one.iter().peekable(), other.iter().peekable());
    let mut common = Vec::new();
    while let (Some(a), Some(b)) = (one.peek(), other.peek()) {
        let (from, to) = (a.from.max(b.from), a.to.min(b.to));
        if from < to {
            common.push(Silence {
                from,
                to,
                waits: a.waits || b.waits,
                own: a.own && b.own,
            });
        }
        match a.to <= b.to {
            true => one.next(),
            false => other.next(),
        };
    }
    common
}

/// How long it usually is between two answers: a part of the time, [`USUAL_GAP`], lies in gaps
/// that are no longer. So a few long ones do not change it, nor do many short ones of a batch.
fn usual(gaps: &Histogram<u64>) -> Duration {
    let time_of = |value: u64, count: u64| value as f64 * count as f64;
    let all: f64 = gaps
        .iter_recorded()
        .map(|step| time_of(step.value_iterated_to(), step.count_at_value()))
        .sum();
    let mut before = 0.0;
    let mut steps = gaps.iter_recorded();
    let usual = steps.find(|step| {
        before += time_of(step.value_iterated_to(), step.count_at_value());
        before >= all * USUAL_GAP
    });
    Duration::from_nanos(usual.map_or(0, |step| step.value_iterated_to()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);
    /// Of the run.
    const LENGTH: u32 = 4000;

    fn at(millis: u32) -> Time {
        Time::ZERO + MILLI * (1000 + millis)
    }

    fn window() -> Window {
        Window {
            start: at(0),
            measure: at(0),
            end: at(LENGTH),
        }
    }

    /// What a thread notes whose answers come at `times`, in milliseconds, with a message in
    /// flight at all times.
    fn thread(times: impl IntoIterator<Item = u32>) -> Silences {
        let mut silences = Silences::new(window());
        silences.waits(at(0));
        for millis in times {
            silences.answered(at(millis));
        }
        silences.close(at(LENGTH));
        silences
    }

    fn spans(threads: &[Silences]) -> Vec<(u32, u32)> {
        let millis = |time: Duration| time.as_millis() as u32;
        let spans = freezes(threads).into_iter();
        let spans = spans.map(|one| (millis(one.from), millis(one.took)));
        spans.collect()
    }

    /// Times between which there is always `every`, without those in `frozen`.
    fn beats(every: u32, frozen: &[(u32, u32)]) -> impl Iterator<Item = u32> {
        let times = (0..LENGTH).step_by(every as usize);
        times.filter(move |time| {
            !frozen
                .iter()
                .any(|(from, to)| (from + 1..*to).contains(time))
        })
    }

    /// Goal: a freeze is found wherever it lies, with its time and length. Method: ten places,
    /// also at either end; five lengths; answers every 1 ms and every 20 ms.
    #[test]
    fn wherever_it_lies() {
        for every in [1, 20] {
            for length in [200, 400, 800, 1600, 2600] {
                for place in 0..10 {
                    let from = (LENGTH - length) / 9 / every * place * every;
                    let frozen = [(from, from + length)];
                    let found = spans(&[thread(beats(every, &frozen))]);
                    let close = |a: u32, b: u32| a.abs_diff(b) <= every;
                    assert!(
                        matches!(found[..], [(at, took)] if close(at, from) && close(took, length)),
                        "{every} {length} {from}: {found:?}"
                    );
                }
            }
        }
    }

    /// Goal: pieces are found; a steady pace is no freeze, however slow, nor is chance. Method: ten
    /// pieces of 50 ms; answers every 200 ms, alone and in bursts; gaps of an exponential
    /// distribution, whose part above the bound is small; a freeze of 1.5 s among answers every
    /// 200 ms.
    #[test]
    fn pieces_and_paces() {
        let pieces: Vec<_> = (0..10).map(|k| (100 + 400 * k, 150 + 400 * k)).collect();
        assert_eq!(spans(&[thread(beats(1, &pieces))]).len(), 10);
        assert_eq!(spans(&[thread(beats(200, &[]))]), []);
        let bursts = (0..LENGTH).filter(|time| time % 200 < 5);
        assert_eq!(spans(&[thread(bursts)]), []);
        let mut now = 0.0;
        let chance = (1..2000).map_while(|k| {
            let even = f64::from(k * 1237 % 2000) / 2000.0;
            now += -40.0 * (1.0 - even).ln();
            (now < f64::from(LENGTH)).then_some(now as u32)
        });
        let frozen: u32 = spans(&[thread(chance)]).iter().map(|(_, took)| took).sum();
        assert!(frozen < LENGTH / 10, "{frozen} ms");
        let found = spans(&[thread(beats(200, &[(1000, 2600)]))]);
        assert_eq!(found, [(1000, 1600)]);
    }

    /// Goal: the server stands still only if it answers no thread. A thread that has nothing in
    /// flight, or stands still itself, does not show that. Method: two threads with silences that
    /// overlap; one that is answered meanwhile; one that waits for nothing; one that was stopped.
    #[test]
    fn several_threads() {
        let first = thread(beats(1, &[(500, 1500)]));
        assert_eq!(
            spans(&[first.clone(), thread(beats(1, &[(1000, 2000)]))]),
            [(1000, 500)]
        );
        assert_eq!(spans(&[first.clone(), thread(beats(5, &[]))]), []);
        let mut rests = Silences::new(window());
        rests.close(at(LENGTH));
        assert_eq!(spans(&[rests.clone()]), []);
        assert_eq!(spans(&[first, rests]), [(500, 1000)]);
        let mut stopped = thread([500]);
        stopped.found.clear();
        stopped.last = at(500);
        stopped.stalled(MILLI * 900);
        stopped.answered(at(1500));
        assert_eq!(spans(&[stopped]), []);
    }

    /// Goal: only what was in flight counts, and only within the measured time. Method: an answer
    /// in the warm-up; a message for a tenth of a long silence, and for most of it.
    #[test]
    fn something_is_in_flight() {
        for (flight, found) in [(100, 0), (900, 1)] {
            let mut silences = Silences::new(window());
            silences.answered(Time::ZERO + MILLI * 999);
            for millis in (0..2000).chain(3000..LENGTH) {
                silences.waits(at(millis));
                silences.answered(at(millis));
                silences.rests(at(millis));
                if millis == 1999 {
                    silences.waits(at(2999 - flight));
                }
            }
            silences.close(at(LENGTH));
            assert_eq!(spans(&[silences]).len(), found, "{flight}");
        }
    }
}
