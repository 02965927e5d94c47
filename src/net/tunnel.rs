//! One end of a tunnel: what a loop with the mode [`Tunnel`](crate::Tunnel) does besides.
//!
//! The near end accepts plain connections, and makes one to the server for each. The far end
//! makes one to the target of each peer that has proved its keys. It does not move bytes: the
//! endpoint does, through [`super::sockets`]. Read next: [`super::dials`], which makes many
//! connections at a time.
//!
//! **While the server cannot be reached,** the near end resets plain connections, or lets them
//! [wait](Waiting). Then the one that came first is dialled when it is time to try again, and
//! the others wait for what comes of that: however many wait, the server sees one attempt for
//! each wait. Once it answers, all of them are dialled.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use mio::{Registry, Token, Waker};

use super::accept::Acceptor;
use super::address::without_brackets;
use super::backoff::Backoff;
use super::dials::{Dialled, Dials};
use super::error::Error;
use super::place::Place;
use super::plain::{PlainListener, PlainSocket};
use super::report::Report;
use super::sockets::{Made, Sockets};
use super::stream;
use crate::crypto::ring::Key;
use crate::endpoint::Endpoint;
use crate::endpoint::mode::Mode;
use crate::endpoint::transport::{LocalId, PeerId};
use crate::error::{Abort, Reason};
use crate::limits::{ACCEPT_BUDGET, HELD_LOOK, Limits};
use crate::time::Time;

/// What the loop lends to its tunnel in a turn.
pub(super) struct Lent<'a, M> {
    pub(super) endpoint: &'a mut Endpoint<M>,
    pub(super) sockets: &'a mut Sockets,
    pub(super) registry: &'a Registry,
    pub(super) reports: &'a mut Vec<Report>,
    pub(super) now: Time,
}

/// One end of a tunnel.
pub(super) struct TunnelEnd {
    /// Accepts plain connections, at the near end.
    acceptor: Option<Acceptor<PlainListener>>,
    is_near: bool,
    /// Where it connects to: the server, or the target of every peer.
    target: Arc<Place>,
    dials: Dials,
    backoff: Backoff,
    /// Where plain connections wait for the server; without it they are reset.
    waiting: Option<Waiting>,
}

/// Plain connections that wait until the server can be reached.
#[derive(Default)]
struct Waiting {
    held: VecDeque<(LocalId, PlainSocket)>,
    /// The server could not be reached at the last try.
    is_away: bool,
    /// The connection that is dialled to find out whether it is there again.
    scout: Option<LocalId>,
    /// When to look again whose source has reset them.
    look: Time,
}

impl Waiting {
    /// When to take the next turn; `again` is when to try again to reach the server.
    fn next_timeout(&self, again: Time) -> Option<Time> {
        let is_due = !self.held.is_empty() && self.scout.is_none();
        is_due.then_some(if self.is_away { again } else { Time::ZERO })
    }

    /// Takes those out whose source has reset them: nobody waits for them any more. One call to
    /// the system for each: as many as there may be take less than a tick may.
    fn take_reset(&mut self) -> Vec<LocalId> {
        let mut gone = Vec::new();
        self.held.retain(|(local, socket)| {
            let has_failed = socket.has_failed();
            if has_failed {
                gone.push(*local);
            }
            !has_failed
        });
        gone
    }
}

impl TunnelEnd {
    /// The far end: it connects peers to `target`.
    pub(super) fn far(target: Place, waker: Arc<Waker>) -> Self {
        Self {
            acceptor: None,
            is_near: false,
            target: Arc::new(target),
            dials: Dials::new(waker),
            backoff: Backoff::of_refusal(),
            waiting: None,
        }
    }

    /// The near end: it connects to `port` of `host` for each plain connection that it accepts.
    /// If it `retries`, they wait while the server cannot be reached.
    pub(super) fn near(host: &str, port: u16, retries: bool, waker: Arc<Waker>) -> Self {
        let host = without_brackets(host).to_owned();
        let mut tunnel = Self::far(Place::Tcp { host, port }, waker);
        tunnel.is_near = true;
        if retries {
            tunnel.backoff = Backoff::of_retry();
            tunnel.waiting = Some(Waiting::default());
        }
        tunnel
    }

    pub(super) fn is_near(&self) -> bool {
        self.is_near
    }

    /// Takes plain connections from `listener`, whose events have `token`. Returns where that
    /// is.
    pub(super) fn accept_from(
        &mut self,
        listener: PlainListener,
        limits: &Limits,
        registry: &Registry,
        token: Token,
    ) -> Result<Place, Error> {
        listener.set_backlog(limits.accept_queue);
        let place = listener.place();
        let acceptor = Acceptor::new(listener, limits.dead_after, registry, token);
        self.acceptor = Some(acceptor.map_err(Error::Poll)?);
        Ok(place)
    }

    /// Where to connect the local of a peer to that has proved `key`: a key with a target of its
    /// own goes there, and nowhere else. `None` if that is no place.
    fn target_of(&self, key: &Key) -> Option<Arc<Place>> {
        match &key.forward {
            None => Some(self.target.clone()),
            Some(forward) => Place::target(forward).map(Arc::new),
        }
    }

    /// When to take the next turn even without an event; `accepts` says whether plain
    /// connections may be accepted.
    pub(super) fn next_timeout(&self, accepts: bool) -> Option<Time> {
        let acceptor = self.acceptor.as_ref().filter(|_| accepts);
        let accept = acceptor.and_then(Acceptor::next_due);
        let again = self.backoff.until();
        let waiting = self.waiting.as_ref();
        let full = waiting.filter(|waiting| !accepts && !waiting.held.is_empty());
        let look = full.map(|waiting| waiting.look);
        let waiting = waiting.and_then(|waiting| waiting.next_timeout(again));
        let due = [self.dials.next_timeout(), accept, waiting, look];
        due.into_iter().flatten().min()
    }

    /// Takes note of an event: plain connections wait.
    pub(super) fn note_ready(&mut self) {
        if let Some(acceptor) = &mut self.acceptor {
            acceptor.note_ready();
        }
    }

    /// Takes note of an event of `local`. Returns whether a connection is being made for it.
    pub(super) fn note(&mut self, local: LocalId) -> bool {
        self.dials.note(local)
    }

    /// Accepts the plain connections that wait, within the budget. Each waits for its peer, for
    /// which the server is dialled. While that cannot be reached, they wait, or are reset at once.
    pub(super) fn accept<M: Mode>(&mut self, lent: &mut Lent<'_, M>) {
        let Some(acceptor) = &mut self.acceptor else {
            return;
        };
        if acceptor.has_recovered(lent.now) {
            lent.reports.push(Report::CanAccept);
        }
        for _ in 0..ACCEPT_BUDGET {
            if !lent.endpoint.accepts_locals() {
                // Those that nobody waits for any more make room for others.
                return self.drop_reset(lent);
            }
            match acceptor.accept(lent.now) {
                Ok(None) => return,
                Ok(Some(socket)) => match &mut self.waiting {
                    // Dropping it resets it.
                    None if self.backoff.holds(lent.now) => drop(socket),
                    Some(waiting) if waiting.is_away => {
                        let local = lent.endpoint.accepted_local();
                        waiting.held.push_back((local, socket));
                    }
                    _ => {
                        let local = lent.endpoint.accepted_local();
                        let server = self.target.clone();
                        self.dials.start(local, server, Some(socket), lent.now);
                    }
                },
                Err(error) => {
                    if acceptor.note_failure(lent.now) {
                        lent.reports.push(Report::CannotAccept(error));
                    }
                    return;
                }
            }
        }
    }

    /// Begins to connect `local` to the target of its `peer`.
    pub(super) fn dial<M: Mode>(&mut self, local: LocalId, peer: PeerId, lent: &mut Lent<'_, M>) {
        let key = lent.endpoint.key(peer);
        match key.and_then(|key| self.target_of(key)) {
            Some(target) => self.dials.start(local, target, None, lent.now),
            None => {
                let why = "this key may go to no place";
                fail_target(local, Abort::new(Reason::REFUSED, why), why.into(), lent);
            }
        }
    }

    /// Dials the server for some of those that wait for it: once it is time, for the first of
    /// them; when it is there again, for all, as many in a turn as are accepted.
    fn dial_for_waiting<M: Mode>(&mut self, lent: &mut Lent<'_, M>) {
        let is_away = self.waiting.as_ref().is_some_and(|waiting| waiting.is_away);
        if is_away && !self.backoff.holds(lent.now) {
            self.drop_reset(lent);
        }
        let Some(waiting) = &mut self.waiting else {
            return;
        };
        let mut most = ACCEPT_BUDGET;
        if waiting.is_away {
            if waiting.held.is_empty() || waiting.scout.is_some() || self.backoff.holds(lent.now) {
                return;
            }
            waiting.scout = waiting.held.front().map(|&(local, _)| local);
            most = 1;
        }
        let most = most.min(waiting.held.len());
        for (local, socket) in waiting.held.drain(..most) {
            let server = self.target.clone();
            self.dials.start(local, server, Some(socket), lent.now);
        }
    }

    /// Drops those that wait and whose source has reset them, if it is time for a look.
    fn drop_reset<M: Mode>(&mut self, lent: &mut Lent<'_, M>) {
        let Some(waiting) = &mut self.waiting else {
            return;
        };
        if lent.now < waiting.look {
            return;
        }
        waiting.look = lent.now + HELD_LOOK;
        for local in waiting.take_reset() {
            let abort = Abort::new(Reason::RESET, "");
            lent.endpoint.local_failed(lent.now, local, abort);
        }
    }

    /// Goes on with the connections that are being made.
    pub(super) fn turn<M: Mode>(&mut self, lent: &mut Lent<'_, M>) {
        for local in lent.sockets.take_unopened() {
            self.dials.cancel(local);
        }
        self.dial_for_waiting(lent);
        for dialled in self.dials.turn(lent.registry, lent.now) {
            match self.is_near {
                true => self.take_server(dialled, lent),
                false => take_target(dialled, lent),
            }
        }
    }

    /// The server is connected, or not, for a plain connection that was accepted.
    fn take_server<M: Mode>(&mut self, dialled: Dialled, lent: &mut Lent<'_, M>) {
        let (local, accepted) = (dialled.local, dialled.accepted);
        let source = accepted.as_ref().and_then(PlainSocket::address);
        match (dialled.made, accepted) {
            (Ok(PlainSocket::Tcp(socket, address)), Some(plain)) => {
                self.server_is_there(lent);
                let Some(peer) = lent.endpoint.dialled_for(lent.now, local) else {
                    return;
                };
                // If one of them fails, the first read fails, too, and reports it.
                let _ = stream::tune(&socket, dead_after(lent));
                let _ = lent.sockets.add(peer, socket, address, Made::ForLocal);
                lent.sockets.set_source(peer, source);
                let _ = lent.sockets.add_plain(local, plain);
            }
            (made, accepted) => {
                let error = made
                    .err()
                    .unwrap_or_else(|| Error::Plain(ErrorKind::Other.into()));
                self.server_is_away(local, accepted, error, lent);
            }
        }
    }

    fn server_is_there<M: Mode>(&mut self, lent: &mut Lent<'_, M>) {
        self.backoff.succeeded();
        if let Some(waiting) = &mut self.waiting {
            waiting.scout = None;
            if std::mem::take(&mut waiting.is_away) {
                lent.reports.push(Report::ReachedAgain);
            }
        }
    }

    /// The server cannot be reached for `local`: that waits, or is reset.
    fn server_is_away<M: Mode>(
        &mut self,
        local: LocalId,
        accepted: Option<PlainSocket>,
        error: Error,
        lent: &mut Lent<'_, M>,
    ) {
        let is_new = !self.backoff.holds(lent.now);
        let wait = self.backoff.failed(lent.now);
        let source = accepted.as_ref().and_then(PlainSocket::address);
        let accepted = accepted.filter(|socket| !socket.has_failed());
        match &mut self.waiting {
            Some(waiting) => {
                waiting.is_away = true;
                waiting.scout.take_if(|scout| *scout == local);
                match accepted {
                    Some(socket) => waiting.held.push_front((local, socket)),
                    None => reset(local, lent),
                }
                // Others that were dialled at the same time have nothing to add.
                if is_new {
                    lent.reports.push(Report::Retrying(error, wait));
                }
            }
            None => {
                reset(local, lent);
                lent.reports.push(Report::Unreachable(source, error));
            }
        }
    }

    /// We are leaving: no plain connection is accepted or made any more.
    pub(super) fn end(&mut self) {
        self.acceptor = None;
        self.dials.clear();
        self.waiting = None;
    }
}

/// A target is connected, or not.
fn take_target<M: Mode>(dialled: Dialled, lent: &mut Lent<'_, M>) {
    let local = dialled.local;
    let made = dialled.made.and_then(|socket| {
        let socket = socket.for_program(dead_after(lent)).map_err(Error::Plain)?;
        if lent.endpoint.local_opened(local) {
            let added = lent.sockets.add_plain(local, socket);
            added.map_err(Error::Plain)?;
        }
        Ok(())
    });
    if let Err(error) = made {
        fail_target(local, abort_of(&error), error.to_string(), lent);
    }
}

/// The peer of `local` has no target: it is told so by `abort`, and our user gets the whole
/// reason.
fn fail_target<M: Mode>(local: LocalId, abort: Abort, why: String, lent: &mut Lent<'_, M>) {
    let told = abort.clone();
    if let Some(peer) = lent.endpoint.local_failed(lent.now, local, abort) {
        lent.reports.push(Report::NoTarget(peer, told, why));
    }
}

/// Resets `local`, which has no peer.
fn reset<M: Mode>(local: LocalId, lent: &mut Lent<'_, M>) {
    let abort = Abort::new(Reason::REFUSED, "");
    lent.endpoint.local_failed(lent.now, local, abort);
}

fn dead_after<M: Mode>(lent: &Lent<'_, M>) -> Duration {
    lent.endpoint.limits().dead_after
}

/// What a peer is told whose target cannot be reached: no address or path, which is not for
/// everyone that may use the target.
fn abort_of(error: &Error) -> Abort {
    let (reason, text) = match error {
        Error::Silent { tried: None, .. } => (Reason::TIMED_OUT, "its name was not resolved"),
        // The reason says all.
        Error::Silent { .. } => (Reason::TIMED_OUT, ""),
        Error::Plain(_) => (Reason::LOCAL_ERROR, ""),
        Error::Resolve { .. } => (Reason::REFUSED, "its name is unknown"),
        error if error.is_refusal() => (Reason::REFUSED, ""),
        Error::Path { source, .. } if source.kind() == ErrorKind::ConnectionRefused => {
            (Reason::REFUSED, "")
        }
        _ => (Reason::REFUSED, "it cannot be reached"),
    };
    Abort::new(reason, text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::net::TcpStream;
    use std::time::Instant;

    use super::*;
    use crate::crypto::kernel::Kernel;
    use crate::crypto::keys::Identity;
    use crate::crypto::secret::{Secret, SecretPair};
    use crate::endpoint::{Leaves, Setup};
    use crate::modes::tunnel::Tunnel;
    use crate::net::buffers::Buffers;
    use crate::net::machine;
    use crate::net::sockets::Owner;
    use crate::net::testing::{Bench, PATIENCE, SUBJECT, refusing};

    fn endpoint() -> Endpoint<Tunnel> {
        let secrets = SecretPair {
            confkey: Secret::new(vec![1; 32]),
            authkey: Secret::new(vec![2; 32]),
        };
        let kernel = Kernel::fastest().unwrap();
        let mut setup = Setup::new(kernel, Leaves::WhenStopped, [3; 32]);
        setup.identity = Identity::new(&secrets);
        Endpoint::new(setup, Tunnel)
    }

    /// Goal: however many connections wait, the server gets one attempt for each wait, and all of
    /// them once it is there. Method: the first finds that it is away; twenty more come; four
    /// waits pass, by times that the test makes up; then it listens.
    #[test]
    fn one_tries_for_all() {
        let mut bench = Bench::new();
        let mut endpoint = endpoint();
        let buffers = Buffers::new(endpoint.limits().socket_buffers, machine::tcp());
        let mut sockets = Sockets::new(bench.registry().try_clone().unwrap(), buffers);
        let mut reports = Vec::new();
        let (server, address) = refusing();
        let mut tunnel = TunnelEnd::near("127.0.0.1", address.port(), true, bench.waker.clone());
        let listener = PlainListener::on_first(&["127.0.0.1:0".parse().unwrap()]).unwrap();
        let entry = listener.place().to_string();
        tunnel
            .accept_from(listener, endpoint.limits(), bench.registry(), SUBJECT)
            .unwrap();
        let mut sources = vec![TcpStream::connect(&entry).unwrap()];
        let mut now = Time::ZERO;
        let start = Instant::now();
        let mut waits = 0;
        // All that came have a peer in the end.
        while endpoint.connections() < 21 {
            assert!(start.elapsed() < PATIENCE, "{reports:?}");
            tunnel.note_ready();
            let mut lent = Lent {
                endpoint: &mut endpoint,
                sockets: &mut sockets,
                registry: bench.registry(),
                reports: &mut reports,
                now,
            };
            tunnel.accept(&mut lent);
            tunnel.turn(&mut lent);
            let waiting = tunnel.waiting.as_ref().unwrap();
            if waiting.is_away && waiting.held.len() == sources.len() {
                waits += 1;
                assert_eq!(tunnel.dials.begun, waits, "one for each wait");
                now = tunnel.backoff.until();
                assert_eq!(tunnel.next_timeout(true), Some(now));
                match waits {
                    1 => sources.extend((0..20).map(|_| TcpStream::connect(&entry).unwrap())),
                    5 => server.listen(64).unwrap(),
                    _ => {}
                }
            }
            for event in bench.events(Duration::from_millis(5)) {
                if let Owner::Local(local) = Owner::of(event.token()) {
                    tunnel.note(local);
                }
            }
        }
        assert_eq!(waits, 5);
        assert_eq!(tunnel.dials.begun, 5 + 21);
        assert_eq!(reports.len(), 6, "{reports:?}");
        assert!(matches!(reports[5], Report::ReachedAgain));
    }
}
