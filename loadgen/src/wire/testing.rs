//! What the tests of streams share: servers on threads of the test, over each
//! codec.

#![allow(clippy::unwrap_used)]

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use sealwire::net::listen::Listener;

use super::codec::Codec;
use super::plain::Plain;
use crate::plan::Over;
use crate::server::streams::Server;
use crate::server::{Mode, Service};

/// How long anything may take: far longer than it does.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Both sides of a codec, set up for each other.
pub(crate) trait Pair {
    type Client: Codec;
    type Server: Codec<Setup: Send + 'static> + 'static;
    const OVER: Over;

    fn setups() -> (
        <Self::Client as Codec>::Setup,
        <Self::Server as Codec>::Setup,
    );
}

pub(crate) struct PlainPair;

impl Pair for PlainPair {
    type Client = Plain;
    type Server = Plain;
    const OVER: Over = Over::Plain;

    fn setups() -> ((), ()) {
        ((), ())
    }
}

#[cfg(feature = "tls")]
pub(crate) struct TlsPair;

#[cfg(feature = "tls")]
impl Pair for TlsPair {
    type Client = super::tls::TlsClient;
    type Server = super::tls::TlsServer;
    const OVER: Over = Over::Tls;

    fn setups() -> (Arc<rustls::ClientConfig>, Arc<rustls::ServerConfig>) {
        let certificate = super::certificate::Certificate::new().unwrap();
        let client = super::certificate::client(Some(&certificate.public));
        (client.unwrap(), certificate.server().unwrap())
    }
}

/// A server that serves until this is dropped, and is gone then.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    /// How many peers it can send to.
    pub(crate) open: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Running {
    pub(crate) fn start<C: Codec<Setup: Send + 'static> + 'static>(
        setup: C::Setup,
        over: Over,
        mode: Mode,
        size: usize,
    ) -> Self {
        let listener = Listener::on_first(&["127.0.0.1:0".parse().unwrap()]).unwrap();
        let address = listener.local_addr();
        let service = Service { over, mode, size };
        let stop = Arc::new(AtomicBool::new(false));
        let open = Arc::new(AtomicUsize::new(0));
        let (stopped, counted) = (stop.clone(), open.clone());
        let thread = thread::spawn(move || {
            let mut server = Server::<C>::new(setup, service)?;
            server.listen(listener)?;
            while !stopped.load(Ordering::Relaxed) {
                server.turn(Some(Duration::from_millis(10)))?;
                counted.store(server.open(), Ordering::Relaxed);
            }
            Ok(())
        });
        Self {
            address,
            open,
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap().unwrap();
        }
    }
}
