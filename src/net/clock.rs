//! The clock that gives the layers below their time; they read none themselves.
//!
//! Read next: [`crate::time`].

use std::time::Instant;

use crate::time::Time;

/// Tells how long ago it was started; never goes back and does not follow the
/// wall clock.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock whose [`Time::ZERO`] is now.
    pub fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    /// The time now.
    pub fn now(self) -> Time {
        Time::ZERO + self.start.elapsed()
    }
}
