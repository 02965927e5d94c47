//! Reads the key file of a server again, at SIGHUP, while the server serves on.
//!
//! A thread reads it: the file may be a pipe, and ten thousand keys take longer than a tick may.
//! Read next: [`crate::keys::KeyFile`], which does the reading; [`mod@crate::run`], which looks
//! whether it is done.

use std::thread::{self, JoinHandle};

use sealwire::{Endpoint, KeyRing, Mode, Time};

use crate::error::Error;
use crate::keys::KeyFile;
use crate::log::Log;

/// The new keys with what to tell of them, and the warnings.
type Done = (Result<(KeyRing, String), Error>, Vec<String>);

/// The key file, and the thread that reads it, if one does.
#[derive(Debug)]
pub(crate) struct Reread {
    file: KeyFile,
    reading: Option<JoinHandle<Done>>,
    /// A signal came meanwhile, so the file may have changed since.
    again: bool,
}

impl Reread {
    pub(crate) fn new(file: KeyFile) -> Self {
        Self {
            file,
            reading: None,
            again: false,
        }
    }

    /// Begins to read the file, which may change the keys from `old`; does so once more if a
    /// thread reads it now.
    pub(crate) fn start(&mut self, log: &mut Log, old: &KeyRing) {
        self.again = self.reading.is_some();
        if self.again {
            return;
        }
        let (file, old) = (self.file.clone(), old.clone());
        let read = move || {
            let mut warnings = Vec::new();
            let new = file.read(&mut warnings);
            let new = new.map(|new| {
                let text = told(&old, &new);
                (new, text)
            });
            (new, warnings)
        };
        match thread::Builder::new().name("keys".into()).spawn(read) {
            Ok(thread) => self.reading = Some(thread),
            Err(error) => refused(log, &format!("no thread to read the keys: {error}")),
        }
    }

    /// Whether to [look](Self::take) soon.
    pub(crate) fn is_reading(&self) -> bool {
        self.reading.is_some()
    }

    /// Gives `endpoint` the new keys, once they are read; or keeps the old ones, and says why.
    /// Returns whether that was the last reading that was asked for.
    pub(crate) fn take<M: Mode>(
        &mut self,
        log: &mut Log,
        now: Time,
        endpoint: &mut Endpoint<M>,
    ) -> bool {
        let Some(thread) = self.reading.take_if(|thread| thread.is_finished()) else {
            return false;
        };
        let (result, warnings) = thread.join().expect("reading keys does not panic");
        for warning in warnings {
            log.warn(&warning);
        }
        match result {
            Ok((ring, text)) => {
                log.info(&text);
                endpoint.set_ring(now, ring);
            }
            Err(error) => refused(log, &error.to_string()),
        }
        if self.again {
            self.start(log, endpoint.keys());
        }
        self.reading.is_none()
    }
}

fn refused(log: &mut Log, why: &str) {
    log.error(&format_args!("{why}; the keys stay as they were"));
}

/// What changes from `old` to `new`.
fn told(old: &KeyRing, new: &KeyRing) -> String {
    let missing = |from: &KeyRing, other: &KeyRing| {
        let is_new = from.iter().filter(|key| other.same(key).is_none());
        is_new.count()
    };
    format!(
        "keys read again: {} in all, {} new, {} withdrawn",
        new.len(),
        missing(new, old),
        missing(old, new)
    )
}
