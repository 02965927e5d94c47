//! Many connections that are being made at a time, one for each local of a tunnel.
//!
//! At the far end it is the local's own connection, to the target. At the near end it is that of
//! the local's peer, to the server; the plain connection that was accepted waits here, so that a
//! poll tells nothing of it before. Read next: [`super::dial`], which makes one of them.

use std::collections::{BTreeSet, HashMap};
use std::io::ErrorKind;
use std::sync::Arc;

use mio::{Registry, Waker};

use super::address::literal;
use super::dial::{Dial, Progress};
use super::error::Error;
use super::names::{Known, Names};
use super::place::Place;
use super::plain::PlainSocket;
use super::sockets::token_of_local;
use crate::endpoint::transport::LocalId;
use crate::limits::{CONNECT_DEADLINE, LOCAL_ATTEMPTS, MOST_SECOND_ATTEMPTS, PATH_RETRY};
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

impl Pending {
    /// Attempts beyond the first.
    fn second_attempts(&self) -> usize {
        let attempts = self.dial.as_ref().map_or(0, Dial::attempts);
        attempts.saturating_sub(1)
    }
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
    /// How many attempts there may be yet beyond the first of each.
    spare_attempts: usize,
    /// How many were begun.
    #[cfg(test)]
    pub(super) begun: usize,
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
            spare_attempts: MOST_SECOND_ATTEMPTS,
            #[cfg(test)]
            begun: 0,
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
        #[cfg(test)]
        {
            self.begun += 1;
        }
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
            let mut pending = self.take(local)?;
            match self.step(local, &mut pending, registry, now) {
                None => {
                    self.spare_attempts -= pending.second_attempts();
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

    /// Takes the connection for `local` out, with all that counts it.
    fn take(&mut self, local: LocalId) -> Option<Pending> {
        let pending = self.pending.remove(&local)?;
        self.due.remove(&(pending.due, local));
        self.spare_attempts += pending.second_attempts();
        Some(pending)
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
        // Two that are under way go on.
        let is_free = dial.attempts() > 1 || self.spare_attempts > 0;
        dial.set_most(if is_free { LOCAL_ATTEMPTS } else { 1 });
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
        self.take(local);
    }

    /// Gives up on all of them.
    pub(super) fn clear(&mut self) {
        self.pending.clear();
        self.due.clear();
        self.ready.clear();
        self.unnamed.clear();
        self.spare_attempts = MOST_SECOND_ATTEMPTS;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::net::TcpListener;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::net::sockets::Owner;
    use crate::net::testing::{Bench, PATIENCE, silent};

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

    /// Goal: connections to names with many addresses that do not answer have two sockets at a
    /// time, and few of them have a second; those are free again when their connection is given
    /// up. Method: two spare attempts for four such names.
    #[test]
    fn few_have_a_second_attempt() {
        let held = [silent(), silent(), silent()];
        let addresses: Vec<_> = held.iter().map(|(_, address)| *address).collect();
        let bench = Bench::new();
        let mut dials = Dials::new(bench.waker.clone());
        dials.spare_attempts = 2;
        let locals = [0, 1, 2, 3].map(local);
        for local in locals {
            dials.start(local, tcp("name", 9), None, Time::ZERO);
            let dial = Dial::over("name", 9, addresses.clone(), Time::ZERO);
            dials.pending.get_mut(&local).unwrap().dial = Some(dial);
        }
        let attempts = |after: u64, dials: &mut Dials| {
            let now = Time::ZERO + Duration::from_millis(after);
            assert!(dials.turn(bench.registry(), now).is_empty());
            assert!(dials.next_timeout() > Some(now), "it does not spin");
            let count = |local| Some(dials.pending.get(local)?.dial.as_ref()?.attempts());
            let mut counts: Vec<_> = locals.iter().filter_map(count).collect();
            counts.sort_unstable();
            (counts, dials.spare_attempts)
        };
        assert_eq!(attempts(0, &mut dials), (vec![1; 4], 2));
        assert_eq!(attempts(300, &mut dials), (vec![1, 1, 2, 2], 0));
        assert_eq!(attempts(600, &mut dials), (vec![1, 1, 2, 2], 0));
        assert_eq!(attempts(2700, &mut dials), (vec![1, 1, 2, 2], 0));
        for local in locals {
            dials.cancel(local);
        }
        assert_eq!(dials.spare_attempts, 2);
    }
}
