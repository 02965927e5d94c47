//! The intervals of a run, put together as threads tell of them. The times of one are
//! kept until all have told of it, so that memory does not grow with the run.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::results::{Row, Usage};
use crate::times;
use crate::worker::Interval;

/// Those that are whole, and those that are not yet.
#[derive(Debug)]
pub(crate) struct Rows {
    threads: usize,
    open: BTreeMap<usize, Open>,
    /// In their order.
    whole: Vec<Row>,
    /// How many each thread has told of that tells of no more.
    left: Vec<usize>,
}

/// One of which some threads have told.
#[derive(Debug)]
struct Open {
    row: Row,
    responses: Histogram<u64>,
    told: usize,
}

impl Rows {
    /// None yet, of so many threads.
    pub(crate) fn new(threads: usize) -> Self {
        Self {
            threads,
            open: BTreeMap::new(),
            whole: Vec::new(),
            left: Vec::new(),
        }
    }

    /// A thread tells of an interval.
    pub(crate) fn add(&mut self, interval: &Interval) {
        let open = self.open.entry(interval.index).or_insert_with(Open::new);
        open.responses += &interval.responses;
        open.told += 1;
        let row = &mut open.row;
        // A thread that ends early has a short one.
        row.until = row.until.max(interval.until);
        row.took = row.took.max(interval.took);
        row.completed += interval.done;
        row.sent += interval.sent;
        row.peers += interval.peers;
        row.generator += interval.used;
        self.settle();
    }

    /// A thread that told of so many intervals tells of no more.
    pub(crate) fn leave(&mut self, intervals: usize) {
        self.left.push(intervals);
        self.settle();
    }

    /// Takes what is left of those of which nobody has more to tell.
    fn settle(&mut self) {
        while let Some(open) = self.open.first_entry() {
            let gone = self.left.iter().filter(|told| **told <= *open.key());
            if open.get().told + gone.count() < self.threads {
                return;
            }
            self.whole.push(open.remove().row());
        }
    }

    /// All of them, when every thread has left; `looks` are at the server, when the first
    /// began and each ended.
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
    fn new() -> Self {
        Self {
            row: Row::default(),
            responses: times::histogram(),
            told: 0,
        }
    }

    fn row(self) -> Row {
        let at = |quantile| Duration::from_nanos(self.responses.value_at_quantile(quantile));
        Row {
            p50: at(0.5),
            p99: at(0.99),
            max: at(1.0),
            ..self.row
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::SECOND;

    fn interval(index: usize, took: Duration, nanos: u64) -> Interval {
        let mut responses = times::histogram();
        responses.saturating_record(nanos);
        Interval {
            index,
            until: SECOND * index as u32 + took,
            took,
            responses,
            done: 10,
            sent: 11,
            peers: 3,
            used: SECOND / 4,
        }
    }

    /// Goal: an interval is of all threads, as long as it really was, and its times
    /// are not kept longer than it takes. Method: two threads, of which one is ahead,
    /// and the other leaves within its second interval.
    #[test]
    fn threads_are_put_together() {
        let mut rows = Rows::new(2);
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
        assert_eq!(rows[0].sent, 22);
        assert_eq!(rows[0].p50, Duration::from_nanos(1000));
        assert!(rows[0].max >= Duration::from_nanos(9000));
    }
}
