//! A listener in a loop: it accepts the connections that wait, one by one, and rests after a
//! failure.
//!
//! It does not bind ([`listener`](super::listener) does), and does not know what a connection is
//! for, or how many may be accepted. Read next: [`super::event_loop`].

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Registry, Token};

use super::listener::Listener;
use crate::limits::{ACCEPT_CALM, ACCEPT_PAUSE};
use crate::time::Time;

/// What connections come to.
pub trait Accepts {
    /// A connection.
    type Accepted;

    /// Sets what its connections inherit. TCP itself takes the other machine of one for dead
    /// after `dead_after`.
    fn tune(&self, dead_after: Duration) -> io::Result<()>;

    /// Registers for connections.
    fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()>;

    /// Accepts the next connection; `None` if there is none now.
    ///
    /// # Errors
    ///
    /// Those of this machine, such as having no more descriptors.
    fn accept(&mut self) -> io::Result<Option<Self::Accepted>>;
}

impl Accepts for Listener {
    type Accepted = (TcpStream, SocketAddr);

    fn tune(&self, dead_after: Duration) -> io::Result<()> {
        Listener::tune(self, dead_after)
    }

    fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        Listener::register(self, registry, token)
    }

    fn accept(&mut self) -> io::Result<Option<Self::Accepted>> {
        Listener::accept(self)
    }
}

/// Accepts connections.
#[derive(Debug)]
pub struct Acceptor<L = Listener> {
    listener: L,
    /// More connections may wait.
    ready: bool,
    /// The end of a rest.
    rests_until: Time,
    /// Accepting has failed, the last time at this time.
    failed: Option<Time>,
}

impl<L: Accepts> Acceptor<L> {
    /// Accepts the connections that come to `listener`, whose events have `token`. TCP itself
    /// takes the other machine of one for dead after `dead_after`.
    pub fn new(
        mut listener: L,
        dead_after: Duration,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        listener.tune(dead_after)?;
        listener.register(registry, token)?;
        Ok(Self {
            listener,
            ready: true,
            rests_until: Time::ZERO,
            failed: None,
        })
    }

    /// Takes note of an event: connections wait.
    pub fn note_ready(&mut self) {
        self.ready = true;
    }

    /// When to call [`accept`](Self::accept), or to look whether accepting has
    /// [recovered](Self::has_recovered); `None` before the next event.
    pub fn next_due(&self) -> Option<Time> {
        let accept = self.ready.then_some(self.rests_until);
        let calm = self.failed.map(|at| at + ACCEPT_CALM);
        accept.into_iter().chain(calm).min()
    }

    /// Accepts the next connection that waits; `None` if there is none, or at rest.
    ///
    /// # Errors
    ///
    /// Those of this machine, such as having no more descriptors. A rest of [`ACCEPT_PAUSE`]
    /// follows.
    pub fn accept(&mut self, now: Time) -> io::Result<Option<L::Accepted>> {
        if !self.ready || now < self.rests_until {
            return Ok(None);
        }
        let accepted = self.listener.accept();
        match &accepted {
            Ok(accepted) => self.ready = accepted.is_some(),
            Err(_) => self.rest_until(now + ACCEPT_PAUSE),
        }
        accepted
    }

    /// Accepts nothing before `at`, which replaces the time that was set before.
    pub fn rest_until(&mut self, at: Time) {
        self.rests_until = at;
    }

    /// Notes that accepting has failed. Returns whether that is news.
    pub(super) fn note_failure(&mut self, now: Time) -> bool {
        self.failed.replace(now).is_none()
    }

    /// Whether accepting has failed, and no more for [`ACCEPT_CALM`]; a second call says no.
    pub(super) fn has_recovered(&mut self, now: Time) -> bool {
        self.failed.take_if(|at| now >= *at + ACCEPT_CALM).is_some()
    }
}
