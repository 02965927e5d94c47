//! Looking a name up without waiting for it.
//!
//! The system's resolver blocks, for seconds if it gets no answer, so a thread asks it.
//! Neither the loop nor the end of the program waits for that thread. It does not tell names
//! from addresses. Read next: [`super::address`], which does.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::thread;

use mio::Waker;

use super::error::Error;

/// A name whose addresses are not known yet. Dropping it gives up.
#[derive(Debug)]
pub(super) struct Lookup {
    host: String,
    found: Receiver<io::Result<Vec<SocketAddr>>>,
}

impl Lookup {
    /// Asks for the addresses of `host`, with `port`; `waker` wakes the poll when
    /// they are there.
    pub(super) fn start(host: &str, port: u16, waker: Arc<Waker>) -> Self {
        let (sender, found) = mpsc::channel();
        let asked = (host.to_owned(), port);
        let wake = Arc::clone(&waker);
        let thread = thread::Builder::new().name("lookup".into()).spawn(move || {
            let addresses = asked.to_socket_addrs().map(Iterator::collect);
            // The caller may have given up.
            let _ = sender.send(addresses);
            let _ = wake.wake();
        });
        if thread.is_err() {
            // The next `take` finds that the sender is gone.
            let _ = waker.wake();
        }
        let host = host.to_owned();
        Self { host, found }
    }

    /// One that gets no answer while the other half is there.
    #[cfg(test)]
    pub(super) fn hanging(host: &str) -> (mpsc::Sender<io::Result<Vec<SocketAddr>>>, Self) {
        let (sender, found) = mpsc::channel();
        let host = host.to_owned();
        (sender, Self { host, found })
    }

    /// The addresses, at least one, once they are there.
    ///
    /// # Errors
    ///
    /// [`Error::Resolve`] if the name has none.
    pub(super) fn take(&self) -> Result<Option<Vec<SocketAddr>>, Error> {
        match self.found.try_recv() {
            Ok(Ok(addresses)) if addresses.is_empty() => {
                Err(self.failed(io::Error::other("it has no address")))
            }
            Ok(Ok(addresses)) => Ok(Some(addresses)),
            Ok(Err(error)) => Err(self.failed(error)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => {
                Err(self.failed(io::Error::other("no thread to look it up")))
            }
        }
    }

    fn failed(&self, source: io::Error) -> Error {
        let host = self.host.clone();
        Error::Resolve { host, source }
    }
}
