//! Waking the loop at a time, to some microseconds.
//!
//! A poll's own timeout is kept to whole milliseconds, which is fine for
//! deadlines and useless for sending at an even pace. Linux has timers that a poll
//! can wait for; elsewhere the poll's timeout has to do.

use std::io;
#[cfg(target_os = "linux")]
use std::os::fd::{AsRawFd as _, OwnedFd};

#[cfg(target_os = "linux")]
use mio::unix::SourceFd;
use mio::{Registry, Token};

#[cfg(target_os = "linux")]
use mio::Interest;

use crate::time::Time;

/// Wakes a poll once.
#[derive(Debug)]
pub struct Alarm {
    at: Option<Time>,
    #[cfg(target_os = "linux")]
    timer: OwnedFd,
}

impl Alarm {
    /// One that is not set, whose events have `token`.
    pub fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        #[cfg(target_os = "linux")]
        {
            use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};

            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
            registry.register(&mut SourceFd(&timer.as_raw_fd()), token, Interest::READABLE)?;
            Ok(Self { at: None, timer })
        }
        #[cfg(not(target_os = "linux"))]
        {
            let _ = (registry, token);
            Ok(Self { at: None })
        }
    }

    /// Sets it to go off at `at` instead of when it was to; it is `now`.
    pub fn set(&mut self, at: Time, now: Time) -> io::Result<()> {
        if self.at == Some(at) {
            return Ok(());
        }
        #[cfg(target_os = "linux")]
        {
            use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};

            const NEVER: Timespec = Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            };
            let after = at.since(now).max(std::time::Duration::from_nanos(1));
            let once = Itimerspec {
                it_interval: NEVER,
                it_value: Timespec {
                    tv_sec: after.as_secs().try_into().unwrap_or(i64::MAX),
                    tv_nsec: after.subsec_nanos().into(),
                },
            };
            // It need not be read: setting it forgets that it went off.
            timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)?;
        }
        #[cfg(not(target_os = "linux"))]
        let _ = now;
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

    /// Goal: it wakes a poll when it should, again and again, also when it was set
    /// anew before it went off. Method: waits without another end. How soon after its
    /// time is a matter of the machine; before its time, it may not be.
    #[test]
    #[cfg(target_os = "linux")]
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
            poll.poll(&mut events, Some(Duration::from_secs(60)))
                .unwrap();
            assert_eq!(
                events.iter().next().map(|event| event.token()),
                Some(Token(7))
            );
            assert!(now() >= at && now() < began + Duration::from_secs(60));
            assert_eq!(alarm.at(now()), None);
        }
    }
}
