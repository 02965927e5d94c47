//! One end of a tunnel: what a loop with the mode [`Tunnel`](crate::Tunnel) does besides.
//!
//! The near end accepts plain connections, and makes one to the server for each. The far end
//! makes one to the target of each peer that has proved its keys. It does not move bytes: the
//! endpoint does, through [`super::sockets`]. Read next: [`super::dials`], which makes many
//! connections at a time.

use std::sync::Arc;
use std::time::Duration;

use mio::{Registry, Token, Waker};

use super::accept::Acceptor;
use super::address::without_brackets;
use super::dials::{Backoff, Dialled, Dials};
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
use crate::limits::{ACCEPT_BUDGET, Limits};
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
}

impl TunnelEnd {
    /// The far end: it connects peers to `target`.
    pub(super) fn far(target: Place, waker: Arc<Waker>) -> Self {
        Self {
            acceptor: None,
            is_near: false,
            target: Arc::new(target),
            dials: Dials::new(waker),
            backoff: Backoff::default(),
        }
    }

    /// The near end: it connects to `port` of `host` for each plain connection that it accepts.
    pub(super) fn near(host: &str, port: u16, waker: Arc<Waker>) -> Self {
        let host = without_brackets(host).to_owned();
        let mut tunnel = Self::far(Place::Tcp { host, port }, waker);
        tunnel.is_near = true;
        tunnel
    }

    /// Listens at `place` for plain connections, whose events have `token`. Returns where that
    /// is.
    pub(super) fn listen(
        &mut self,
        place: &Place,
        limits: &Limits,
        registry: &Registry,
        token: Token,
    ) -> Result<Place, Error> {
        let listener = PlainListener::bind(place)?;
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
        self.dials.next_timeout().into_iter().chain(accept).min()
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
    /// which the server is dialled. While that cannot be reached, they are reset at once.
    pub(super) fn accept<M: Mode>(&mut self, lent: &mut Lent<'_, M>) {
        let Some(acceptor) = &mut self.acceptor else {
            return;
        };
        if acceptor.has_recovered(lent.now) {
            lent.reports.push(Report::CanAccept);
        }
        for _ in 0..ACCEPT_BUDGET {
            if !lent.endpoint.accepts_locals() {
                return;
            }
            match acceptor.accept(lent.now) {
                Ok(None) => return,
                Ok(Some(socket)) => {
                    // Dropping it resets it.
                    if !self.backoff.holds(lent.now) {
                        let local = lent.endpoint.accepted_local();
                        let server = self.target.clone();
                        self.dials.start(local, server, Some(socket), lent.now);
                    }
                }
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
                let abort = Abort::new(Reason::REFUSED, "this key may go to no place");
                lent.endpoint.local_failed(lent.now, local, abort);
            }
        }
    }

    /// Goes on with the connections that are being made.
    pub(super) fn turn<M: Mode>(&mut self, lent: &mut Lent<'_, M>) {
        for local in lent.sockets.take_unopened() {
            self.dials.cancel(local);
        }
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
                self.backoff.succeeded();
                let Some(peer) = lent.endpoint.dialled_for(lent.now, local) else {
                    return;
                };
                // If one of them fails, the first read fails, too, and reports it.
                let _ = stream::tune(&socket, dead_after(lent));
                let _ = lent.sockets.add(peer, socket, address, Made::ForLocal);
                lent.sockets.set_source(peer, source);
                let _ = lent.sockets.add_plain(local, plain);
            }
            (made, _) => {
                let error = made
                    .err()
                    .unwrap_or_else(|| Error::Plain(std::io::ErrorKind::Other.into()));
                self.backoff.failed(lent.now);
                lent.endpoint
                    .local_failed(lent.now, local, abort_of(&error));
                lent.reports.push(Report::Unreachable(source, error));
            }
        }
    }

    /// We are leaving: no plain connection is accepted or made any more.
    pub(super) fn end(&mut self) {
        self.acceptor = None;
        self.dials.clear();
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
        lent.endpoint
            .local_failed(lent.now, local, abort_of(&error));
    }
}

fn dead_after<M: Mode>(lent: &Lent<'_, M>) -> Duration {
    lent.endpoint.limits().dead_after
}

/// What a peer is told whose target cannot be reached.
fn abort_of(error: &Error) -> Abort {
    let reason = match error {
        Error::Silent { .. } => Reason::TIMED_OUT,
        Error::Plain(_) => Reason::LOCAL_ERROR,
        _ => Reason::REFUSED,
    };
    Abort::new(reason, &error.to_string())
}
