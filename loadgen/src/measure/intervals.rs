//! The intervals of a run, added up as threads report them.
//!
//! The histogram of an interval is kept only until all threads have reported it, so that
//! memory does not grow with the run.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::figures::seconds;
use super::quantile::{self, Quantile};
use super::results::{Row, Usage};

pub(crate) struct Interval {
    pub(crate) index: usize,
    /// The row so far: it lacks the quantiles of response times, and the server's figures.
    pub(crate) row: Row,
    pub(crate) responses: Histogram<u64>,
}

pub(crate) struct Intervals {
    threads: usize,
    open: BTreeMap<usize, Open>,
    whole: Vec<Row>,
    /// For each thread that has left: how many intervals it reported.
    left: Vec<usize>,
}

struct Open {
    row: Row,
    responses: Histogram<u64>,
    told: usize,
}

impl Intervals {
    pub(crate) fn new(threads: usize) -> Self {
        Self {
            threads,
            open: BTreeMap::new(),
            whole: Vec::new(),
            left: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, interval: &Interval) {
        let open = self.open.entry(interval.index).or_insert_with(|| Open {
            row: Row::default(),
            responses: quantile::histogram(),
            told: 0,
        });
        open.responses += &interval.responses;
        open.told += 1;
        let (row, one) = (&mut open.row, &interval.row);
        // A thread that ends early has a short one.
        row.until = row.until.max(one.until);
        row.took = row.took.max(one.took);
        row.completed += one.completed;
        row.sent += one.sent;
        row.peers += one.peers;
        row.generator += one.generator;
        self.settle();
    }

    /// Notes that a thread has reported `intervals` intervals and reports no more.
    pub(crate) fn leave(&mut self, intervals: usize) {
        self.left.push(intervals);
        self.settle();
    }

    /// Closes the intervals that no thread will report any more.
    fn settle(&mut self) {
        while let Some(open) = self.open.first_entry() {
            let gone = self.left.iter().filter(|told| **told <= *open.key());
            if open.get().told + gone.count() < self.threads {
                return;
            }
            self.whole.push(open.remove().row());
        }
    }

    /// All intervals, when every thread has left. The samples `looks` of the server were taken
    /// when the first interval began and when each ended.
    pub(crate) fn finish(mut self, looks: &[Option<Usage>]) -> Vec<Row> {
        for (row, looks) in self.whole.iter_mut().zip(looks.windows(2)) {
            if let [Some(before), Some(after)] = looks {
                row.server = Some(after.since(*before));
            }
        }
        self.whole
    }
}

impl Open {
    fn row(self) -> Row {
        let (row, times) = (self.row, &self.responses);
        Row {
            rate: row.completed as f64 / seconds(row.took),
            p50: Quantile::P50.of(times),
            p99: Quantile::P99.of(times),
            max: (!times.is_empty()).then(|| times.value_at_quantile(1.0)),
            median: Duration::from_nanos(Quantile::P50.of_what_there_is(times)),
            ..row
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::SECOND;

    fn interval(index: usize, took: Duration, nanos: u64) -> Interval {
        let mut responses = quantile::histogram();
        responses.saturating_record_n(nanos, 10);
        let row = Row {
            until: SECOND * index as u32 + took,
            took,
            completed: 10,
            sent: 11,
            ..Row::default()
        };
        Interval {
            index,
            row,
            responses,
        }
    }

    /// Goal: an interval is of all threads, as long as it really was, and its times are not
    /// kept longer than needed. Method: two threads; one is ahead, and the other leaves
    /// within its second interval, so that what follows has too few answers for a median.
    #[test]
    fn threads_are_put_together() {
        let mut rows = Intervals::new(2);
        rows.add(&interval(0, SECOND, 1000));
        rows.add(&interval(1, SECOND, 1000));
        rows.add(&interval(2, SECOND / 2, 1000));
        assert_eq!(rows.open.len(), 3);
        rows.add(&interval(0, SECOND, 9000));
        assert_eq!((rows.open.len(), rows.whole.len()), (2, 1));
        rows.add(&interval(1, SECOND / 4, 9000));
        rows.leave(2);
        assert_eq!((rows.open.len(), rows.whole.len()), (0, 3));
        let rows = rows.finish(&[None; 4]);
        let took: Vec<_> = rows.iter().map(|row| row.took).collect();
        assert_eq!(took, [SECOND, SECOND, SECOND / 2]);
        assert_eq!(rows[2].until, SECOND * 5 / 2);
        let done: Vec<_> = rows.iter().map(|row| row.completed).collect();
        assert_eq!(done, [20, 20, 10]);
        assert_eq!((rows[0].sent, rows[2].rate), (22, 20.0));
        assert_eq!(rows[0].p50, Some(1000));
        assert_eq!((rows[2].p50, rows[0].p99), (None, None));
        assert_eq!(rows[2].median, Duration::from_nanos(1000));
        assert!(rows[0].max >= Some(9000));
    }
}
