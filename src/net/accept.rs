//! A listener at work in a loop: who waits there is taken within a budget, and after
//! a failure not before a pause.
//!
//! Who listens where is [`listen`](super::listen)'s; what becomes of a connection is
//! up to whoever takes it.

use std::io;
use std::net::SocketAddr;

use mio::net::TcpStream;
use mio::{Registry, Token};

use super::listen::Listener;
use crate::limits::{ACCEPT_BUDGET, ACCEPT_PAUSE};
use crate::time::Time;

/// Takes connections, some at a time.
#[derive(Debug)]
pub struct Acceptor {
    listener: Listener,
    /// There may be more than was accepted.
    ready: bool,
    /// Not before this: there was no room for another connection.
    paused: Option<Time>,
}

impl Acceptor {
    /// Takes what comes to `listener`, whose events come under `token`.
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

    /// From when on [`accept`](Self::accept) is worth a try, unless an event has to
    /// come first.
    pub fn next_due(&self) -> Option<Time> {
        self.ready.then(|| self.paused.unwrap_or(Time::ZERO))
    }

    /// Has `take` called for who waits, at most [`ACCEPT_BUDGET`] of them.
    ///
    /// # Errors
    ///
    /// Those of this machine, such as having no more descriptors, and those of
    /// `take`. After one, nobody is taken for [`ACCEPT_PAUSE`].
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
