//! The intervals of a run, added up as threads report them.
//!
//! The histogram of an interval is kept only until all threads have reported it, so that
//! memory does not grow with the run.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::figures::seconds;
use super::quantile::{self, Quantile};
use super::results::{Interval, Sample};

pub(crate) struct ThreadInterval {
    pub(crate) index: usize,
    /// The figures so far: they lack the quantiles of response times, and the server's figures.
    pub(crate) interval: Interval,
    pub(crate) responses: Histogram<u64>,
}

pub(crate) struct Intervals {
    threads: usize,
    open: BTreeMap<usize, OpenInterval>,
    whole: Vec<Interval>,
}

struct OpenInterval {
    interval: Interval,
    responses: Histogram<u64>,
    threads: usize,
}

impl Intervals {
    pub(crate) fn new(threads: usize) -> Self {
        Self {
            threads,
            open: BTreeMap::new(),
            whole: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, of_thread: &ThreadInterval) {
        let open = self.open.entry(of_thread.index);
        let open = open.or_insert_with(|| OpenInterval {
            interval: Interval::default(),
            responses: quantile::histogram(),
            threads: 0,
        });
        open.responses += &of_thread.responses;
        open.threads += 1;
        let (interval, one) = (&mut open.interval, &of_thread.interval);
        // A thread that ends early has a short one.
        interval.until = interval.until.max(one.until);
        interval.took = interval.took.max(one.took);
        interval.completed += one.completed;
        interval.sent += one.sent;
        interval.peers += one.peers;
        interval.generator += one.generator;
        // Each thread reports its intervals in order, so they are whole in order, too.
        if open.threads == self.threads {
            let whole = self.open.pop_first();
            self.whole.extend(whole.map(|(_, open)| open.close()));
        }
    }

    /// All intervals, when every thread has left. A thread that ended before the others lacks the
    /// last ones. The `samples` were taken when the first interval began and when each ended.
    pub(crate) fn finish(mut self, samples: &[Sample]) -> Vec<Interval> {
        let rest = self.open.into_values().map(OpenInterval::close);
        self.whole.extend(rest);
        for (interval, around) in self.whole.iter_mut().zip(samples.windows(2)) {
            let [before, after] = around else { continue };
            let used = after.server.zip(before.server);
            interval.server = used.map(|(after, before)| after.since(before));
            // Without the server's part, it is not known what others had.
            let busy = after.machine.zip(before.machine);
            let others = busy.zip(interval.server).map(|((after, before), server)| {
                let ours = server.ran + interval.generator;
                after.saturating_sub(before).saturating_sub(ours)
            });
            interval.others = others;
        }
        self.whole
    }
}

impl OpenInterval {
    fn close(self) -> Interval {
        let (interval, times) = (self.interval, &self.responses);
        Interval {
            rate: interval.completed as f64 / seconds(interval.took),
            p50: Quantile::P50.of(times),
            p99: Quantile::P99.of(times),
            max: (!times.is_empty()).then(|| times.value_at_quantile(1.0)),
            median: Duration::from_nanos(Quantile::P50.of_what_there_is(times)),
            ..interval
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::SECOND;

    fn interval(index: usize, took: Duration, nanos: u64) -> ThreadInterval {
        let mut responses = quantile::histogram();
        responses.saturating_record_n(nanos, 10);
        let interval = Interval {
            until: SECOND * index as u32 + took,
            took,
            completed: 10,
            sent: 11,
            ..Interval::default()
        };
        ThreadInterval {
            index,
            interval,
            responses,
        }
    }

    /// Goal: an interval is of all threads, as long as it really was, and its times are not
    /// kept longer than needed. Method: two threads; one is ahead, and the other ends
    /// within its second interval, so that what follows has too few answers for a median.
    #[test]
    fn threads_are_put_together() {
        let mut intervals = Intervals::new(2);
        intervals.add(&interval(0, SECOND, 1000));
        intervals.add(&interval(1, SECOND, 1000));
        intervals.add(&interval(2, SECOND / 2, 1000));
        assert_eq!(intervals.open.len(), 3);
        intervals.add(&interval(0, SECOND, 9000));
        assert_eq!((intervals.open.len(), intervals.whole.len()), (2, 1));
        intervals.add(&interval(1, SECOND / 4, 9000));
        assert_eq!((intervals.open.len(), intervals.whole.len()), (1, 2));
        let all = intervals.finish(&[Sample::default(); 4]);
        let took: Vec<_> = all.iter().map(|interval| interval.took).collect();
        assert_eq!(took, [SECOND, SECOND, SECOND / 2]);
        assert_eq!(all[2].until, SECOND * 5 / 2);
        let done: Vec<_> = all.iter().map(|interval| interval.completed).collect();
        assert_eq!(done, [20, 20, 10]);
        assert_eq!((all[0].sent, all[2].rate), (22, 20.0));
        assert_eq!(all[0].p50, Some(1000));
        assert_eq!((all[2].p50, all[0].p99), (None, None));
        assert_eq!(all[2].median, Duration::from_nanos(1000));
        assert!(all[0].max >= Some(9000));
    }
}
