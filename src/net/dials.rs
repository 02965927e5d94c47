//! Many connections that are being made at a time, one for each local of a tunnel.
//!
//! At the far end it is the local's own connection, to the target. At the near end it is that of
//! the local's peer, to the server; the plain connection that was accepted waits here, so that a
//! poll tells nothing of it before. Read next: [`super::dial`], which makes one of them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use mio::{Registry, Waker};

use super::address::literal;
use super::dial::{Dial, Progress};
use super::error::Error;
use super::names::{Known, Names};
use super::place::Place;
use super::plain::PlainSocket;
use super::sockets::token_of_local;
use crate::endpoint::transport::LocalId;
use crate::limits::{CONNECT_BACKOFF, CONNECT_DEADLINE, MOST_CONNECT_BACKOFF};
use crate::time::Time;

/// A connection that was wanted.
#[derive(Debug)]
pub(super) struct Dialled {
    pub(super) local: LocalId,
    pub(super) made: Result<PlainSocket, Error>,
    /// The plain connection that it is for.
    pub(super) accepted: Option<PlainSocket>,
}

#[derive(Debug)]
struct Pending {
    target: Arc<Place>,
    since: Time,
    /// `None` while the name's addresses are not known.
    dial: Option<Dial>,
    /// When to look at it without an event.
    due: Time,
    accepted: Option<PlainSocket>,
}

/// All connections that are being made.
#[derive(Debug)]
pub(super) struct Dials {
    names: Names,
    pending: HashMap<LocalId, Pending>,
    due: BTreeSet<(Time, LocalId)>,
    /// Those to look at in the next turn.
    ready: Vec<LocalId>,
    /// Those whose name is looked up.
    unnamed: Vec<LocalId>,
}

impl Dials {
    /// `waker` wakes the poll when a name is resolved.
    pub(super) fn new(waker: Arc<Waker>) -> Self {
        Self {
            names: Names::new(waker),
            pending: HashMap::new(),
            due: BTreeSet::new(),
            ready: Vec::new(),
            unnamed: Vec::new(),
        }
    }

    /// Begins to connect to `target` for `local`. The next [turn](Self::turn) goes on with it.
    pub(super) fn start(
        &mut self,
        local: LocalId,
        target: Arc<Place>,
        accepted: Option<PlainSocket>,
        now: Time,
    ) {
        let pending = Pending {
            target,
            since: now,
            dial: None,
            due: now,
            accepted,
        };
        self.due.insert((now, local));
        self.pending.insert(local, pending);
    }

    /// Takes note of an event of `local`. Returns whether it is being dialled.
    pub(super) fn note(&mut self, local: LocalId) -> bool {
        let is_pending = self.pending.contains_key(&local);
        if is_pending {
            self.ready.push(local);
        }
        is_pending
    }

    /// When to take the next turn even without an event.
    pub(super) fn next_timeout(&self) -> Option<Time> {
        self.due.first().map(|&(at, _)| at)
    }

    /// Goes on as far as it can now. Returns those that are over.
    pub(super) fn turn(&mut self, registry: &Registry, now: Time) -> Vec<Dialled> {
        if self.names.turn(now) {
            self.ready.append(&mut self.unnamed);
        }
        while let Some(&(at, local)) = self.due.first()
            && at <= now
        {
            self.due.pop_first();
            self.ready.push(local);
        }
        let ready = std::mem::take(&mut self.ready);
        let over = ready.into_iter().filter_map(|local| {
            let mut pending = self.pending.remove(&local)?;
            self.due.remove(&(pending.due, local));
            match self.step(local, &mut pending, registry, now) {
                None => {
                    self.due.insert((pending.due, local));
                    self.pending.insert(local, pending);
                    None
                }
                Some(made) => Some(Dialled {
                    local,
                    made,
                    accepted: pending.accepted,
                }),
            }
        });
        over.collect()
    }

    fn step(
        &mut self,
        local: LocalId,
        pending: &mut Pending,
        registry: &Registry,
        now: Time,
    ) -> Option<Result<PlainSocket, Error>> {
        let Place::Tcp { host, port } = &*pending.target else {
            let Place::Unix(path) = &*pending.target else {
                return None;
            };
            return Some(PlainSocket::connect(path));
        };
        let Some(dial) = &mut pending.dial else {
            let addresses = match literal(host, *port) {
                Some(address) => vec![address],
                None => match self.names.ask(host, *port, now) {
                    Known::Addresses(addresses) => addresses,
                    Known::Failed(error) => return Some(Err(error)),
                    Known::NotYet if now >= pending.since + CONNECT_DEADLINE => {
                        return Some(Err(Error::Silent {
                            host: host.clone(),
                            port: *port,
                            tried: None,
                        }));
                    }
                    Known::NotYet => {
                        pending.due = pending.since + CONNECT_DEADLINE;
                        self.unnamed.push(local);
                        return None;
                    }
                },
            };
            pending.dial = Some(Dial::over(host, *port, addresses, pending.since));
            return self.step(local, pending, registry, now);
        };
        match dial.turn(registry, token_of_local(local), now) {
            Progress::Pending => {
                pending.due = dial.next_timeout();
                None
            }
            Progress::Failed(error) => Some(Err(error)),
            Progress::Connected(socket, address) => Some(Ok(PlainSocket::Tcp(socket, address))),
        }
    }

    /// Gives up on the connection for `local`, if there is one.
    pub(super) fn cancel(&mut self, local: LocalId) {
        if let Some(pending) = self.pending.remove(&local) {
            self.due.remove(&(pending.due, local));
        }
    }

    /// Gives up on all of them.
    pub(super) fn clear(&mut self) {
        self.pending.clear();
        self.due.clear();
        self.ready.clear();
        self.unnamed.clear();
    }
}

/// Until when nobody tries again to reach a server that could not be reached.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    until: Time,
    wait: Duration,
}

impl Backoff {
    /// Whether it is too early for another try.
    pub(super) fn holds(&self, now: Time) -> bool {
        now < self.until
    }

    pub(super) fn failed(&mut self, now: Time) {
        if !self.holds(now) {
            self.wait = (2 * self.wait).clamp(CONNECT_BACKOFF, MOST_CONNECT_BACKOFF);
            self.until = now + self.wait;
        }
    }

    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the waits double from 100 ms to 5 s, several failures at a time count once, and a
    /// success begins anew.
    #[test]
    fn waits_double() {
        let mut backoff = Backoff::default();
        let mut now = Time::ZERO;
        for wanted in [100, 200, 400, 800, 1600, 3200, 5000, 5000] {
            assert!(!backoff.holds(now));
            backoff.failed(now);
            backoff.failed(now);
            let millis = Duration::from_millis;
            assert!(backoff.holds(now + millis(wanted - 1)), "{wanted}");
            now = now + millis(wanted);
        }
        backoff.failed(now);
        backoff.succeeded();
        assert!(!backoff.holds(now));
        backoff.failed(now);
        assert!(!backoff.holds(now + CONNECT_BACKOFF));
    }
}
