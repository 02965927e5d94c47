//! The signals that the program acts on, told through the poll.
//!
//! What a stop or the statistics are is the event loop's to know.

use std::io;

use mio::{Interest, Registry, Token};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook_mio::v1_0 as hook;

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// To stop; the number is the signal's, for the exit code 128 + n.
    Stop(i32),
    /// To print what has been done so far (SIGUSR1).
    Statistics,
}

/// Catches SIGINT, SIGTERM, SIGHUP and SIGUSR1, which no longer end the process.
pub(super) struct Signals {
    hook: hook::Signals,
}

impl Signals {
    /// Catches the signals from here on; `token` becomes readable when one came.
    pub(super) fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        let mut hook = hook::Signals::new([SIGINT, SIGTERM, SIGHUP, SIGUSR1])?;
        registry.register(&mut hook, token, Interest::READABLE)?;
        Ok(Self { hook })
    }

    /// The signals that came since the last call; the same one twice counts once.
    pub(super) fn pending(&mut self) -> impl Iterator<Item = Signal> + use<> {
        self.hook.pending().map(|number| match number {
            SIGUSR1 => Signal::Statistics,
            stop => Signal::Stop(stop),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use rustix::process::{self, getpid, kill_process};

    use super::*;
    use crate::net::testing::{Bench, SUBJECT};

    /// Goal: each signal wakes the poll and is told apart. Method: one test
    /// for all of them, as handlers belong to the whole process; it sends them
    /// to itself.
    #[test]
    fn each_is_told() {
        let mut bench = Bench::new();
        let mut signals = Signals::new(bench.registry(), SUBJECT).unwrap();
        for (sent, told) in [
            (process::Signal::USR1, Signal::Statistics),
            (process::Signal::INT, Signal::Stop(2)),
            (process::Signal::TERM, Signal::Stop(15)),
            (process::Signal::HUP, Signal::Stop(1)),
        ] {
            kill_process(getpid(), sent).unwrap();
            bench.until(SUBJECT, |event| event.is_readable());
            assert_eq!(signals.pending().collect::<Vec<_>>(), [told]);
        }
        assert_eq!(signals.pending().count(), 0);
    }
}
