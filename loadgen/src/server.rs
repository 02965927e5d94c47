//! The server that a run starts for itself: echo, sink or relay on loopback, in a process of
//! its own.
//!
//! It prints its port on stdout, and leaves when its stdin ends: the system closes that pipe
//! however the run ends. Read next: [`crate::child`], its other side.

use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::{process, thread};

use sealwire::net::rlimit::raise_descriptor_limit;
use sealwire::{
    Clock, Echo, Endpoint, EventLoop, Identity, Leaves, Listener, Mode, Relay, Setup, Sink,
};
use sealwire_cli::error::Error;
use sealwire_cli::kernel;

use crate::plan::{ServerMode, Service, Transport};
use crate::rivals::server::Server;
use crate::rivals::{Plain, Rival};
#[cfg(feature = "tls")]
use crate::rivals::{TlsServer, certificate::Certificate};

pub(crate) const LOOPBACK: &str = "127.0.0.1";
/// Where a TLS server finds its certificate and its key.
#[cfg(feature = "tls")]
pub(crate) const CERTIFICATE: &str = "LOADGEN_CERTIFICATE";

/// Serves as `service` says, with the keys of `identity`. Returns only if it cannot serve.
pub(crate) fn serve(identity: Arc<Identity>, service: Service) -> Result<u8, Error> {
    // Stdin is watched only after this check, so that a server that cannot run reports why first.
    kernel::chosen()?;
    raise_descriptor_limit();
    leave_with_stdin().map_err(local)?;
    match (service.over, service.mode) {
        (Transport::Sealed, ServerMode::Echo) => sealed(identity, Echo),
        (Transport::Sealed, ServerMode::Sink) => sealed(identity, Sink),
        (Transport::Sealed, ServerMode::Relay) => sealed(identity, Relay),
        (Transport::Sealed, ServerMode::Close) => Err(Error::Usage(
            "serve sealed close: only a plain server closes".into(),
        )),
        (Transport::Plain, _) => rival::<Plain>((), service),
        #[cfg(feature = "tls")]
        (Transport::Tls, _) => rival::<TlsServer>(certificate()?.server()?, service),
    }
}

fn sealed(identity: Arc<Identity>, mode: impl Mode) -> Result<u8, Error> {
    let mut setup = Setup::new(kernel::chosen()?, Leaves::WhenStopped, rand::random());
    setup.identity = Some(identity);
    let mut events = EventLoop::new(Endpoint::new(setup, mode), Clock::start()).map_err(local)?;
    events.accept_from(listener()?).map_err(local)?;
    loop {
        events.turn(None)?;
        // The load tester reports how its peers fare.
        drop(events.take_reports());
    }
}

fn rival<R: Rival>(setup: R::Setup, service: Service) -> Result<u8, Error> {
    let Service { mode, size, .. } = service;
    let mut server = Server::<R>::new(setup, mode, size, listener()?).map_err(local)?;
    loop {
        server.turn().map_err(local)?;
    }
}

/// Where peers connect to. It prints the port, so it is called last: the load tester then
/// measures what an idle server takes.
fn listener() -> Result<Listener, Error> {
    let listener = Listener::on_first(&[(Ipv4Addr::LOCALHOST, 0).into()])?;
    let port = listener.local_addr().port();
    writeln!(io::stdout(), "{port}").map_err(local)?;
    Ok(listener)
}

/// The certificate that [`crate::child`] made.
#[cfg(feature = "tls")]
fn certificate() -> Result<Certificate, Error> {
    let text = std::env::var(CERTIFICATE).unwrap_or_default();
    let missing = || Error::Usage("serve tls: there is no certificate in the environment".into());
    Certificate::parse(&text).ok_or_else(missing)
}

/// Ends this process when its stdin does.
fn leave_with_stdin() -> io::Result<()> {
    let wait = || {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        process::exit(0);
    };
    thread::Builder::new().name("stdin".into()).spawn(wait)?;
    Ok(())
}

fn local(error: io::Error) -> Error {
    Error::Local(format!("the server: {error}"))
}
