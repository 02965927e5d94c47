//! A poll that waits for one token, and ports that do not answer, for the tests of `net`.

#![allow(clippy::unwrap_used)]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::{Events, Poll, Registry, Token, Waker};
use socket2::{Domain, SockAddr, Socket, Type};

/// The token of a [`Bench`]'s waker.
pub(super) const WAKE: Token = Token(0);
/// The token of what a test is about.
pub(super) const SUBJECT: Token = Token(1);
/// How long a test waits for what must happen.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// A poll with a waker.
pub(super) struct Bench {
    poll: Poll,
    pub(super) waker: Arc<Waker>,
}

impl Bench {
    pub(super) fn new() -> Self {
        let poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), WAKE).unwrap());
        Self { poll, waker }
    }

    pub(super) fn registry(&self) -> &Registry {
        self.poll.registry()
    }

    /// Every event that one poll brings within `timeout`.
    pub(super) fn events(&mut self, timeout: Duration) -> Vec<Event> {
        let mut events = Events::with_capacity(64);
        match self.poll.poll(&mut events, Some(timeout)) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Vec::new(),
            result => {
                result.unwrap();
                events.iter().cloned().collect()
            }
        }
    }

    /// Waits until `token` has an event that `wanted` accepts.
    pub(super) fn until(&mut self, token: Token, wanted: impl Fn(&Event) -> bool) -> Event {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            let events = self.events(Duration::from_secs(1));
            let found = |event: &Event| event.token() == token && wanted(event);
            if let Some(event) = events.into_iter().find(found) {
                return event;
            }
        }
        panic!("no such event for {token:?}");
    }
}

/// A loopback port that is bound but not listened on: it refuses.
pub(super) fn refusing() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    socket.bind(&any.into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

/// A loopback port that never answers: its queue of connections is full.
pub(super) fn silent() -> (Vec<Socket>, SocketAddr) {
    let (socket, address) = refusing();
    socket.listen(0).unwrap();
    let mut held = vec![socket];
    for _ in 0..4 {
        let filler = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        filler.set_nonblocking(true).unwrap();
        let _ = filler.connect(&SockAddr::from(address));
        held.push(filler);
    }
    (held, address)
}
