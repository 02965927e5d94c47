//! The clock that all threads of a run share.

use std::time::Instant;

use sealwire::time::Time;

/// Tells how long ago it was started.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock whose [`Time::ZERO`] is now.
    pub(crate) fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    /// The time now.
    pub(crate) fn now(self) -> Time {
        self.at(Instant::now())
    }

    /// The time that it was then.
    pub(crate) fn at(self, then: Instant) -> Time {
        Time::ZERO + then.duration_since(self.start)
    }
}
