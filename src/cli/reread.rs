//! Reads the key file of a server again, at SIGHUP, while the server serves on.
//!
//! A thread reads it: the file may be a pipe, and ten thousand keys take longer than a tick may.
//! Read next: [`crate::keys::KeyFile`], which does the reading; [`mod@crate::run`], which looks
//! whether it is done.

use std::thread::{self, JoinHandle};

use sealwire::{Endpoint, KeyRing, Time};

use crate::error::Error;
use crate::keys::KeyFile;
use crate::log::Log;

/// What a read gave, and the warnings.
type Done = (Result<KeyRing, Error>, Vec<String>);

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

    /// Begins to read the file; does so once more if a thread reads it now.
    pub(crate) fn start(&mut self, log: &mut Log) {
        self.again = self.reading.is_some();
        if self.again {
            return;
        }
        let file = self.file.clone();
        let read = move || {
            let mut warnings = Vec::new();
            (file.read(&mut warnings), warnings)
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
    pub(crate) fn take<M: sealwire::Mode>(
        &mut self,
        log: &mut Log,
        now: Time,
        endpoint: &mut Endpoint<M>,
    ) {
        let Some(thread) = self.reading.take_if(|thread| thread.is_finished()) else {
            return;
        };
        let (result, warnings) = thread.join().expect("reading keys does not panic");
        for warning in warnings {
            log.warn(&warning);
        }
        match result {
            Ok(ring) => {
                log.info(&told(endpoint.keys(), &ring));
                endpoint.set_ring(now, ring);
            }
            Err(error) => refused(log, &error.to_string()),
        }
        if self.again {
            self.start(log);
        }
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
