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
use crate::limits::{LOOKUP_AGAIN, LOOKUP_RETRY, MOST_NAMES};
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

/// The names that were asked for.
///
/// Invariant: `asking` has those with a lookup.
#[derive(Debug)]
pub(super) struct Names {
    waker: Arc<Waker>,
    known: HashMap<(String, u16), Entry>,
    asking: Vec<(String, u16)>,
}

impl Names {
    /// `waker` wakes the poll when a name is resolved.
    pub(super) fn new(waker: Arc<Waker>) -> Self {
        Self {
            waker,
            known: HashMap::new(),
            asking: Vec::new(),
        }
    }

    /// What is known of `host`. Begins to look it up where that is due.
    pub(super) fn ask(&mut self, host: &str, port: u16, now: Time) -> Known {
        let name = (host.to_owned(), port);
        if self.known.len() >= MOST_NAMES && !self.known.contains_key(&name) {
            // Those that nobody has asked for lately are forgotten.
            let is_fresh = |entry: &Entry| entry.lookup.is_some() || entry.again > now;
            self.known.retain(|_, entry| is_fresh(entry));
        }
        let entry = self.known.entry(name.clone()).or_default();
        if entry.lookup.is_none() && entry.again <= now {
            entry.lookup = Some(Lookup::start(host, port, self.waker.clone()));
            self.asking.push(name);
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
        let before = self.asking.len();
        let known = &mut self.known;
        self.asking.retain(|name| {
            let Some(entry) = known.get_mut(name) else {
                return false;
            };
            let Some(lookup) = &entry.lookup else {
                return false;
            };
            match lookup.take() {
                Ok(None) => return true,
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
            false
        });
        self.asking.len() < before
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
