//! The server that a run starts for itself: echo on loopback, in a process of
//! its own.
//!
//! Says its port in a line on stdout, and leaves when its stdin ends, which it
//! does however the run ends. Read next: [`crate::child`], its other side.

use std::io::{self, Write};
use std::sync::Arc;
use std::{process, thread};

use crate::plan::Plan;
use sealwire::crypto::kernel::Kernel;
use sealwire::crypto::keys::Identity;
use sealwire::endpoint::{Endpoint, Leaves, Setup};
use sealwire::error::Error;
use sealwire::limits::Limits;
use sealwire::modes::echo::Echo;
use sealwire::net::event_loop::EventLoop;
use sealwire::net::listen::Listener;
use sealwire::net::rlimit::raise_descriptor_limit;

/// Where it listens.
pub(crate) const LOOPBACK: &str = "127.0.0.1";

/// What a server of a run does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Service;
impl Service {
    pub(crate) fn of(_: &Plan) -> Self {
        Self
    }
    pub(crate) fn parse(_: &[&str]) -> Result<Self, Error> {
        Ok(Self)
    }
}

/// Serves peers that hold the keys of `identity`; returns only if it cannot.
pub(crate) fn serve(identity: Identity) -> Result<u8, Error> {
    let kernel = Kernel::chosen()?;
    raise_descriptor_limit();
    leave_with_stdin().map_err(local)?;
    let setup = Setup {
        identity: Some(Arc::new(identity)),
        classic: None,
        kernel,
        limits: Limits::default(),
        leaves: Leaves::WhenStopped,
        rng: rand::make_rng(),
    };
    let mut events = EventLoop::new(Endpoint::new(setup, Echo)).map_err(local)?;
    let listener = Listener::bind(Some(LOOPBACK), 0)?;
    let port = listener.local_addr().port();
    events.listen(listener).map_err(local)?;
    writeln!(io::stdout(), "{port}").map_err(local)?;
    loop {
        events.turn(None)?;
        // Whoever loads us sees how its peers fare.
        drop(events.take_reports());
    }
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
