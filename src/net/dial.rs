//! A client's way from a name to a connection (Happy Eyeballs, RFC 8305).
//!
//! It looks the name up ([`super::lookup`]) and tries the addresses one after the other,
//! families in turn. The next attempt starts as soon as one fails or has not answered for a
//! moment. The first address that answers wins. One deadline covers all of it. It sends
//! nothing on the connection. Read next: [`super::stream`].

use std::collections::{HashSet, VecDeque};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token, Waker};
use rustix::io::Errno;

use super::address::{literal, without_brackets};
use super::error::Error;
use super::listener::canonical;
use super::lookup::Lookup;
use crate::limits::{ATTEMPT_PATIENCE, CONNECT_DEADLINE, CONNECT_STAGGER};
use crate::time::Time;

/// The state of a [`Dial`] after a turn.
#[derive(Debug)]
pub(super) enum Progress {
    /// Not over: come back after an event or the timeout.
    Pending,
    /// A connection, no longer registered, and the address that it goes to.
    Connected(TcpStream, SocketAddr),
    /// No address answered; the dial is over.
    Failed(Error),
}

/// One address that is being tried.
#[derive(Debug)]
struct Attempt {
    socket: TcpStream,
    address: SocketAddr,
    since: Time,
}

/// A connection that is being made. Dropping it gives up.
#[derive(Debug)]
pub(super) struct Dial {
    host: String,
    port: u16,
    deadline: Time,
    /// Finds the addresses; `None` once they are known.
    lookup: Option<Lookup>,
    untried: VecDeque<SocketAddr>,
    /// When to try the next of them, if no attempt fails before.
    next_try: Time,
    /// Attempts under way, oldest first.
    attempts: Vec<Attempt>,
    /// How many there may be at once.
    most: usize,
    /// A connection that was reset at once counts as made: a sealed one has other means to tell
    /// an end from a cut, and its user learns more.
    takes_reset: bool,
    failures: Vec<(SocketAddr, io::Error)>,
}

impl Dial {
    /// Begins to dial `port` of `host`, a name or an address, in brackets or
    /// not; `waker` wakes the poll when a name is resolved.
    pub(super) fn start(host: &str, port: u16, waker: Arc<Waker>, now: Time) -> Self {
        let bare = without_brackets(host);
        let address = literal(bare, port);
        let mut dial = Self::over(bare, port, Vec::from_iter(address), now);
        dial.takes_reset = true;
        if address.is_none() {
            dial.lookup = Some(Lookup::start(bare, port, waker));
        }
        dial
    }

    /// A dial of `addresses`, which are those of `host`.
    pub(super) fn over(host: &str, port: u16, addresses: Vec<SocketAddr>, now: Time) -> Self {
        Self {
            host: host.to_owned(),
            port,
            deadline: now + CONNECT_DEADLINE,
            lookup: None,
            untried: alternating(addresses),
            next_try: now,
            attempts: Vec::new(),
            most: usize::MAX,
            takes_reset: false,
            failures: Vec::new(),
        }
    }

    /// How many attempts are under way.
    pub(super) fn attempts(&self) -> usize {
        self.attempts.len()
    }

    /// Begins no attempt from now on while there are `most`, at least one.
    pub(super) fn set_most(&mut self, most: usize) {
        self.most = most;
    }

    /// When to take the next turn even without an event.
    pub(super) fn next_timeout(&self) -> Time {
        if self.untried.is_empty() {
            self.deadline
        } else {
            self.next_try.min(self.deadline)
        }
    }

    /// Goes on as far as it can now. It registers all sockets under `token`: call it after
    /// any event of `token` or of the waker, and at the timeout. An extra call is cheap.
    pub(super) fn turn(&mut self, registry: &Registry, token: Token, now: Time) -> Progress {
        match self.lookup.as_ref().map(Lookup::take) {
            Some(Ok(Some(addresses))) => {
                self.untried = alternating(addresses);
                self.lookup = None;
            }
            Some(Err(error)) => return Progress::Failed(error),
            Some(Ok(None)) | None => {}
        }
        if let Some((socket, address)) = self.take_connected(registry, now) {
            self.attempts.clear();
            return Progress::Connected(socket, canonical(address));
        }
        if now >= self.deadline {
            return Progress::Failed(self.silent());
        }
        if let Some((socket, address)) = self.try_next(registry, token, now) {
            self.attempts.clear();
            return Progress::Connected(socket, canonical(address));
        }
        if self.lookup.is_none() && self.attempts.is_empty() && self.untried.is_empty() {
            return Progress::Failed(self.unreachable());
        }
        Progress::Pending
    }

    /// Takes the first attempt that succeeded, and drops those that failed.
    fn take_connected(
        &mut self,
        registry: &Registry,
        now: Time,
    ) -> Option<(TcpStream, SocketAddr)> {
        let mut index = 0;
        while index < self.attempts.len() {
            let Attempt {
                socket, address, ..
            } = &mut self.attempts[index];
            let outcome = match is_connected(socket) {
                Ok(false) => {
                    index += 1;
                    continue;
                }
                Ok(true) => registry.deregister(socket),
                // Its error is told once, here, and its first read shows an end.
                Err(error) if self.takes_reset && was_made(&error) => registry.deregister(socket),
                Err(error) => Err(error),
            };
            let address = *address;
            let Attempt { socket, .. } = self.attempts.remove(index);
            match outcome {
                Ok(()) => return Some((socket, address)),
                Err(error) => self.failures.push((address, error)),
            }
            self.next_try = now;
        }
        None
    }

    /// Tries the next address when it is due, and at once the one behind it where the
    /// system refuses that address immediately. Returns a connection that is there at once, as on
    /// loopback.
    fn try_next(
        &mut self,
        registry: &Registry,
        token: Token,
        now: Time,
    ) -> Option<(TcpStream, SocketAddr)> {
        while now >= self.next_try && !self.untried.is_empty() {
            if self.attempts.len() >= self.most && !self.give_up_first(now) {
                self.next_try = now + CONNECT_STAGGER;
                return None;
            }
            let address = self.untried.pop_front()?;
            let connecting = TcpStream::connect(address).and_then(|mut socket| {
                let there = is_connected(&socket)?;
                if !there {
                    registry.register(&mut socket, token, Interest::WRITABLE)?;
                }
                Ok((socket, there))
            });
            match connecting {
                Ok((socket, true)) => return Some((socket, address)),
                Ok((socket, false)) => {
                    self.attempts.push(Attempt {
                        socket,
                        address,
                        since: now,
                    });
                    self.next_try = now + CONNECT_STAGGER;
                }
                Err(error) => self.failures.push((address, error)),
            }
        }
        None
    }

    /// Gives up the attempt that began first, if it has had its time.
    fn give_up_first(&mut self, now: Time) -> bool {
        let first = self.attempts.first();
        let over = first.is_some_and(|first| now >= first.since + ATTEMPT_PATIENCE);
        if over {
            let Attempt { address, .. } = self.attempts.remove(0);
            self.failures.push((address, ErrorKind::TimedOut.into()));
        }
        over
    }

    /// Every address failed.
    fn unreachable(&mut self) -> Error {
        Error::Unreachable {
            host: self.host.clone(),
            port: self.port,
            failures: std::mem::take(&mut self.failures),
        }
    }

    /// The deadline has passed.
    fn silent(&self) -> Error {
        let failed = self.failures.iter().map(|(address, _)| *address);
        let open = self.attempts.iter().map(|attempt| attempt.address);
        let tried = || failed.chain(open).collect();
        Error::Silent {
            host: self.host.clone(),
            port: self.port,
            tried: self.lookup.is_none().then(tried),
        }
    }
}

/// `addresses` without repetition, families in turn, in the system's order within a
/// family: RFC 8305 §4.
fn alternating(addresses: Vec<SocketAddr>) -> VecDeque<SocketAddr> {
    let Some(first) = addresses.first().map(SocketAddr::is_ipv4) else {
        return VecDeque::new();
    };
    let mut seen = HashSet::new();
    let unique = addresses
        .into_iter()
        .filter(|address| seen.insert(*address));
    let (mut one, mut other): (VecDeque<_>, VecDeque<_>) =
        unique.partition(|address| address.is_ipv4() == first);
    let mut mixed = VecDeque::new();
    while !one.is_empty() || !other.is_empty() {
        mixed.extend(one.pop_front());
        mixed.extend(other.pop_front());
    }
    mixed
}

/// Whether a connecting socket is connected.
fn is_connected(socket: &TcpStream) -> io::Result<bool> {
    match socket.peer_addr() {
        // Its error, if it has one by now, is for the first read.
        Ok(_) => return Ok(true),
        Err(error) if error.kind() == ErrorKind::NotConnected => {}
        Err(error) if Errno::from_io_error(&error) == Some(Errno::INPROGRESS) => {}
        Err(error) => return Err(error),
    }
    socket.take_error()?.map_or(Ok(false), Err)
}

/// Whether a connection that failed so was made, and reset since: one that never existed is
/// refused.
fn was_made(error: &io::Error) -> bool {
    error.kind() == ErrorKind::ConnectionReset
}

#[cfg(test)]
mod tests;
