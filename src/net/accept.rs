//! A listener in a loop: it accepts the connections that wait, within a budget, and
//! pauses after a failure.
//!
//! It does not bind ([`listener`](super::listener) does), and does not know what a connection is
//! for. Read next: [`super::event_loop`].

use std::io;
use std::net::SocketAddr;

use mio::net::TcpStream;
use mio::{Registry, Token};

use super::listener::Listener;
use crate::limits::{ACCEPT_BUDGET, ACCEPT_PAUSE};
use crate::time::Time;

/// Accepts connections, some at a time.
#[derive(Debug)]
pub struct Acceptor {
    listener: Listener,
    /// More connections may wait.
    ready: bool,
    /// The end of the pause after a failure.
    paused: Option<Time>,
}

impl Acceptor {
    /// Accepts the connections that come to `listener`, whose events have `token`.
    pub fn new(mut listener: Listener, registry: &Registry, token: Token) -> io::Result<Self> {
        listener.register(registry, token)?;
        Ok(Self {
            listener,
            ready: true,
            paused: None,
        })
    }

    /// Takes note of an event: connections wait.
    pub fn note_ready(&mut self) {
        self.ready = true;
    }

    /// When to call [`accept`](Self::accept); `None` before the next event.
    pub fn next_due(&self) -> Option<Time> {
        self.ready.then(|| self.paused.unwrap_or(Time::ZERO))
    }

    /// Calls `take` for each connection that waits, at most for [`ACCEPT_BUDGET`].
    ///
    /// # Errors
    ///
    /// Those of this machine, such as having no more descriptors, and those of
    /// `take`. A pause of [`ACCEPT_PAUSE`] follows.
    pub fn accept(
        &mut self,
        now: Time,
        mut take: impl FnMut(TcpStream, SocketAddr) -> io::Result<()>,
    ) -> io::Result<()> {
        if self.next_due().is_none_or(|due| now < due) {
            return Ok(());
        }
        self.paused = None;
        for _ in 0..ACCEPT_BUDGET {
            let taken = match self.listener.accept() {
                Ok(Some((socket, address))) => take(socket, address),
                Ok(None) => {
                    self.ready = false;
                    return Ok(());
                }
                Err(error) => Err(error),
            };
            if taken.is_err() {
                self.paused = Some(now + ACCEPT_PAUSE);
                return taken;
            }
        }
        Ok(())
    }
}
