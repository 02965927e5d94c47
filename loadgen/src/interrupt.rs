//! What Ctrl-C, SIGTERM and SIGHUP do: they end the program while there is nothing to report,
//! and ask for the report once there is.
//!
//! So a call that blocks, such as the lookup of a name, need not check a flag. It does not stop
//! the server of a run, which leaves by itself when its stdin ends.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sealwire::net::signals::not_ignored;
use sealwire_cli::error::Error;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

/// Whether the user wants the program to end.
pub(crate) struct Interrupt {
    asked: Arc<AtomicBool>,
    /// A signal ends the program as if it were not caught.
    ends: Arc<AtomicBool>,
}

impl Interrupt {
    /// Catches SIGINT, SIGTERM and SIGHUP, unless they were ignored; until
    /// [`report`](Self::report) each of them ends the program.
    pub(crate) fn catch() -> Result<Self, Error> {
        let this = Self {
            asked: Arc::default(),
            ends: Arc::new(AtomicBool::new(true)),
        };
        for signal in not_ignored(&[SIGINT, SIGTERM, SIGHUP]) {
            this.on(signal)
                .map_err(|error| Error::Local(format!("cannot catch signals: {error}")))?;
        }
        Ok(this)
    }

    fn on(&self, signal: i32) -> io::Result<()> {
        flag::register_conditional_default(signal, Arc::clone(&self.ends))?;
        flag::register(signal, Arc::clone(&self.asked))?;
        // The second one ends it.
        flag::register(signal, Arc::clone(&self.ends))?;
        Ok(())
    }

    /// From now on there is something to report: the first signal asks for it.
    pub(crate) fn report(&self) {
        self.ends.store(false, Ordering::SeqCst);
        // A signal that came before counts as the first one.
        if self.asked.load(Ordering::SeqCst) {
            self.end();
        }
    }

    /// From now on the report is under way: a signal ends the program.
    pub(crate) fn end(&self) {
        self.ends.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    pub(crate) fn asked(&self) -> &Arc<AtomicBool> {
        &self.asked
    }
}

/// The user ended a run before it measured. A comparison then reports its earlier runs.
pub(crate) fn interrupted() -> Error {
    Error::Local("it was interrupted before it measured anything".into())
}
