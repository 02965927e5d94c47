//! Waking the loop at a time, to some microseconds.
//!
//! A poll rounds its own timeout to whole milliseconds: enough for deadlines, but too coarse
//! for sending at an even pace. So this is a timer that a poll can wait for. It does not know
//! what the time is for. Read next: [`super::event_loop`].

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use crate::time::Time;

const NEVER: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

/// Wakes a poll once.
#[derive(Debug)]
pub struct Alarm {
    at: Option<Time>,
    timer: OwnedFd,
}

impl Alarm {
    /// One that is not set, whose events have `token`.
    pub fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        registry.register(&mut SourceFd(&timer.as_raw_fd()), token, Interest::READABLE)?;
        Ok(Self { at: None, timer })
    }

    /// Sets it to `at`, in place of the time that was set before; it is `now`.
    pub fn set(&mut self, at: Time, now: Time) -> io::Result<()> {
        if self.at == Some(at) {
            return Ok(());
        }
        // Zero would switch the timer off.
        let after = at.since(now).max(Duration::from_nanos(1));
        let once = Itimerspec {
            it_interval: NEVER,
            it_value: Timespec::try_from(after).expect("64 bits of nanoseconds"),
        };
        // Setting it also clears an expiry, so nothing reads the timer.
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)?;
        self.at = Some(at);
        Ok(())
    }

    /// When it goes off, if it has not yet.
    pub fn at(&mut self, now: Time) -> Option<Time> {
        self.at = self.at.filter(|&at| at > now);
        self.at
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::{Duration, Instant};

    use mio::{Events, Poll};

    use super::*;

    /// Goal: it wakes a poll at its time, again and again, also when it was set anew
    /// before it went off. Method: a poll with a long timeout. How late it is depends on
    /// the machine; it must not be early.
    #[test]
    fn wakes() {
        let mut poll = Poll::new().unwrap();
        let mut events = Events::with_capacity(4);
        let mut alarm = Alarm::new(poll.registry(), Token(7)).unwrap();
        let start = Instant::now();
        let now = || Time::ZERO + start.elapsed();
        for micros in [1, 300, 5000] {
            let began = now();
            alarm.set(began + Duration::from_secs(100), began).unwrap();
            let at = began + Duration::from_micros(micros);
            alarm.set(at, began).unwrap();
            assert!(alarm.at(began) == Some(at));
            let minute = Duration::from_secs(60);
            poll.poll(&mut events, Some(minute)).unwrap();
            assert!(events.iter().any(|event| event.token() == Token(7)));
            assert!(now() >= at && now() < began + minute);
            assert_eq!(alarm.at(now()), None);
        }
    }
}
