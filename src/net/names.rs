//! The addresses of names that are dialled again and again, looked up at most once a minute.
//!
//! While a name is looked up anew, its old addresses are used. Read next: [`super::lookup`].

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use mio::Waker;

use super::error::Error;
use super::lookup::Lookup;
use crate::limits::{LOOKUP_AGAIN, LOOKUP_RETRY};
use crate::time::Time;

/// What is known of a name.
#[derive(Debug)]
pub(super) enum Known {
    /// At least one address.
    Addresses(Vec<SocketAddr>),
    /// It is looked up.
    NotYet,
    /// It has none.
    Failed(Error),
}

#[derive(Debug, Default)]
struct Entry {
    addresses: Vec<SocketAddr>,
    /// Why the last lookup failed.
    failed: Option<String>,
    /// When to look it up again.
    again: Time,
    lookup: Option<Lookup>,
}

/// All names that were asked for. There are as many as targets.
#[derive(Debug)]
pub(super) struct Names {
    waker: Arc<Waker>,
    known: HashMap<(String, u16), Entry>,
}

impl Names {
    /// `waker` wakes the poll when a name is resolved.
    pub(super) fn new(waker: Arc<Waker>) -> Self {
        let known = HashMap::new();
        Self { waker, known }
    }

    /// What is known of `host`. Begins to look it up where that is due.
    pub(super) fn ask(&mut self, host: &str, port: u16, now: Time) -> Known {
        let entry = self.known.entry((host.to_owned(), port)).or_default();
        if entry.lookup.is_none() && entry.again <= now {
            entry.lookup = Some(Lookup::start(host, port, self.waker.clone()));
        }
        match &entry.failed {
            _ if !entry.addresses.is_empty() => Known::Addresses(entry.addresses.clone()),
            Some(why) if entry.lookup.is_none() => Known::Failed(Error::Resolve {
                host: host.to_owned(),
                source: io::Error::other(why.clone()),
            }),
            _ => Known::NotYet,
        }
    }

    /// Takes what was looked up. Returns whether anything was.
    pub(super) fn turn(&mut self, now: Time) -> bool {
        let mut news = false;
        for entry in self.known.values_mut() {
            let found = match &entry.lookup {
                Some(lookup) => lookup.take(),
                None => continue,
            };
            match found {
                Ok(None) => continue,
                Ok(Some(addresses)) => {
                    entry.addresses = addresses;
                    entry.failed = None;
                    entry.again = now + LOOKUP_AGAIN;
                }
                // Old addresses are better than none.
                Err(error) => {
                    entry.failed = Some(why(&error));
                    entry.again = now + LOOKUP_RETRY;
                }
            }
            entry.lookup = None;
            news = true;
        }
        news
    }
}

fn why(error: &Error) -> String {
    match error {
        Error::Resolve { source, .. } => source.to_string(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::{Duration, Instant};

    use super::*;
    use crate::net::testing::{Bench, PATIENCE};

    fn wait(names: &mut Names, now: Time) {
        let start = Instant::now();
        while !names.turn(now) {
            assert!(start.elapsed() < PATIENCE);
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Goal: a name is looked up once a minute at most, off the loop, and its old addresses
    /// serve meanwhile. Method: `localhost`, and times that the test chooses.
    #[test]
    fn once_a_minute() {
        let bench = Bench::new();
        let mut names = Names::new(bench.waker.clone());
        let start = Time::ZERO;
        assert!(matches!(names.ask("localhost", 9, start), Known::NotYet));
        wait(&mut names, start);
        for after in [Duration::ZERO, LOOKUP_AGAIN - Duration::from_secs(1)] {
            let known = names.ask("localhost", 9, start + after);
            assert!(matches!(known, Known::Addresses(_)));
            assert!(names.known.values().all(|entry| entry.lookup.is_none()));
        }
        let known = names.ask("localhost", 9, start + LOOKUP_AGAIN);
        assert!(matches!(known, Known::Addresses(_)));
        assert!(names.known.values().any(|entry| entry.lookup.is_some()));
        wait(&mut names, start + LOOKUP_AGAIN);
    }

    /// Goal: a name without an address fails, and is not looked up again at once.
    #[test]
    fn a_name_without_address() {
        let bench = Bench::new();
        let mut names = Names::new(bench.waker.clone());
        let ask = |names: &mut Names, now| names.ask("no.such.name.invalid", 9, now);
        assert!(matches!(ask(&mut names, Time::ZERO), Known::NotYet));
        wait(&mut names, Time::ZERO);
        assert!(matches!(ask(&mut names, Time::ZERO), Known::Failed(_)));
        let later = Time::ZERO + LOOKUP_RETRY;
        assert!(matches!(ask(&mut names, later), Known::NotYet));
        wait(&mut names, later);
    }
}
