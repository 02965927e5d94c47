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

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;

    /// Goal: time starts at zero and passes as in the world. Method: sleep.
    #[test]
    fn moves_on() {
        let clock = Clock::start();
        let before = clock.now();
        thread::sleep(Duration::from_millis(5));
        assert!(clock.now().since(before) >= Duration::from_millis(5));
        assert!(before < Time::ZERO + Duration::from_secs(10));
    }
}
