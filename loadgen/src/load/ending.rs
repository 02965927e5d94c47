//! The early end of a run: all threads agree on its time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use sealwire::Time;

pub(crate) struct Ending {
    stop: Arc<AtomicBool>,
    /// How many threads have peers, or will have some.
    threads: AtomicUsize,
    /// When it ended, as the first thread saw it, in nanoseconds.
    at: AtomicU64,
}

impl Ending {
    /// The end of a run with `threads` threads. `stop` is set when the user wants it to end.
    pub(crate) fn new(threads: usize, stop: &Arc<AtomicBool>) -> Self {
        Self {
            stop: Arc::clone(stop),
            threads: AtomicUsize::new(threads),
            at: AtomicU64::new(u64::MAX),
        }
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// A thread has no peers any more. It calls this once.
    pub(crate) fn leave(&self) {
        self.threads.fetch_sub(1, Ordering::Relaxed);
    }

    /// When the run ended, if it is over `now`: the user wants it, or no thread has a peer.
    pub(crate) fn at(&self, now: Time) -> Option<Time> {
        let over = self.is_stopped() || self.threads.load(Ordering::Relaxed) == 0;
        over.then(|| {
            let before = self.at.fetch_min(now.as_nanos(), Ordering::Relaxed);
            now.min(Time::from_nanos(before))
        })
    }

    /// Whether it ended before `end` because all peers were gone.
    pub(crate) fn was_early(&self, end: Time) -> bool {
        !self.is_stopped() && self.at.load(Ordering::Relaxed) < end.as_nanos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a run goes on until its last peer is gone or the user ends it; then all threads
    /// agree on the time. Method: each of both, asked twice.
    #[test]
    fn all_agree() {
        let at = Time::from_nanos;
        let stop = Arc::default();
        let ending = Ending::new(2, &stop);
        ending.leave();
        assert_eq!(ending.at(at(5)), None);
        ending.leave();
        assert_eq!(ending.at(at(7)), Some(at(7)));
        assert_eq!(ending.at(at(9)), Some(at(7)));
        assert!(!ending.is_stopped());
        assert!(ending.was_early(at(8)) && !ending.was_early(at(7)));

        let ending = Ending::new(2, &stop);
        stop.store(true, Ordering::Relaxed);
        assert_eq!(ending.at(at(3)), Some(at(3)));
        assert_eq!(ending.at(at(4)), Some(at(3)));
        assert!(!ending.was_early(at(8)));
    }
}
