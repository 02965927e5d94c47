//! Many connections that are being made at a time, one for each local of a tunnel.
//!
//! At the far end it is the local's own connection, to the target. At the near end it is that of
//! the local's peer, to the server; the plain connection that was accepted waits here, so that a
//! poll tells nothing of it before. Read next: [`super::dial`], which makes one of them.

use std::collections::{BTreeSet, HashMap};
use std::io::ErrorKind;
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
use crate::limits::{CONNECT_BACKOFF, CONNECT_DEADLINE, MOST_CONNECT_BACKOFF, PATH_RETRY};
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
            let deadline = pending.since + CONNECT_DEADLINE;
            return match PlainSocket::connect(path) {
                // Its queue is full, for which TCP would wait.
                Err(Error::Path { source, .. })
                    if source.kind() == ErrorKind::WouldBlock && now < deadline =>
                {
                    pending.due = now + PATH_RETRY;
                    None
                }
                made => Some(made),
            };
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
    #![allow(clippy::unwrap_used)]

    use std::net::TcpListener;
    use std::time::Instant;

    use super::*;
    use crate::net::sockets::Owner;
    use crate::net::testing::{Bench, PATIENCE};

    fn local(slot: u32) -> LocalId {
        let generation = 7;
        LocalId { generation, slot }
    }

    fn tcp(host: &str, port: u16) -> Arc<Place> {
        let host = host.to_owned();
        Arc::new(Place::Tcp { host, port })
    }

    /// Goal: many connections are made at a time, each result belongs to its local, and one that
    /// nobody wants any more has none. Method: an address and a name that answer, and a port and
    /// a name that do not; one of each is given up.
    #[test]
    fn each_has_its_result() {
        let mut bench = Bench::new();
        let mut dials = Dials::new(bench.waker.clone());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let open = listener.local_addr().unwrap().port();
        let closed = TcpListener::bind("127.0.0.1:0").unwrap();
        let shut = closed.local_addr().unwrap().port();
        drop(closed);
        let targets = [
            tcp("127.0.0.1", open),
            tcp("127.0.0.1", shut),
            tcp("localhost", open),
            tcp("no.such.name.invalid", open),
            Arc::new(Place::Unix("/no/such/socket".into())),
        ];
        for (slot, target) in targets.iter().enumerate() {
            for slot in [slot as u32, slot as u32 + 100] {
                dials.start(local(slot), target.clone(), None, Time::ZERO);
            }
        }
        (100..105).for_each(|slot| dials.cancel(local(slot)));
        assert_eq!(dials.next_timeout(), Some(Time::ZERO));
        let start = Instant::now();
        let mut made = [None; 5];
        while made.iter().any(Option::is_none) {
            assert!(start.elapsed() < PATIENCE);
            for over in dials.turn(bench.registry(), Time::ZERO) {
                let before = made[over.local.index()].replace(over.made.is_ok());
                assert_eq!(before, None, "once");
            }
            for event in bench.events(Duration::from_millis(10)) {
                if let Owner::Local(local) = Owner::of(event.token()) {
                    assert!(dials.note(local));
                }
            }
        }
        let wanted = [true, false, true, false, false].map(Some);
        assert_eq!(made, wanted);
        assert_eq!(dials.next_timeout(), None);
    }

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
