//! The server that a run starts for itself: echo, sink or relay on loopback, in a
//! process of its own.
//!
//! Says its port in a line on stdout, and leaves when its stdin ends, which it
//! does however the run ends. Read next: [`crate::child`], its other side;
//! [`streams`], what serves where the library does not.

pub(crate) mod streams;

use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::{process, thread};

use sealwire::crypto::kernel::Kernel;
use sealwire::crypto::keys::Identity;
use sealwire::endpoint::mode::Mode as SealedMode;
use sealwire::endpoint::{Endpoint, Leaves, Setup};
use sealwire::error::Error;
use sealwire::modes::echo::Echo;
use sealwire::modes::relay::Relay;
use sealwire::modes::sink::Sink;
use sealwire::net::clock::Clock;
use sealwire::net::event_loop::EventLoop;
use sealwire::net::listen::Listener;
use sealwire::net::rlimit::raise_descriptor_limit;

use self::streams::Server;
use crate::plan::{Kind, Over, Plan};
use crate::units::usage;
#[cfg(feature = "tls")]
use crate::wire::certificate::Certificate;
use crate::wire::codec::Codec;
use crate::wire::plain::Plain;
#[cfg(feature = "tls")]
use crate::wire::tls::TlsServer;

/// Where it listens.
pub(crate) const LOOPBACK: &str = "127.0.0.1";
/// Where a server that speaks TLS finds its certificate and the key, in hex.
#[cfg(feature = "tls")]
pub(crate) const CERTIFICATE: [&str; 2] = ["LOADGEN_CERTIFICATE", "LOADGEN_CERTIFICATE_KEY"];

/// What a server does with messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Returns each.
    Echo,
    /// Drops them.
    Sink,
    /// Passes each on to all other peers.
    Relay,
}

impl Mode {
    const ALL: [Self; 3] = [Self::Echo, Self::Sink, Self::Relay];

    fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Sink => "sink",
            Self::Relay => "relay",
        }
    }
}

/// What a server of a run does, over what, with messages of how many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Service {
    pub(crate) over: Over,
    pub(crate) mode: Mode,
    pub(crate) size: usize,
}

impl Service {
    /// What `plan` needs.
    pub(crate) fn of(plan: &Plan) -> Self {
        Self {
            over: plan.over,
            mode: match plan.kind {
                Kind::Echo | Kind::Churn | Kind::Idle => Mode::Echo,
                Kind::Sink => Mode::Sink,
                Kind::Fanout => Mode::Relay,
            },
            size: plan.size,
        }
    }

    /// What [`words`](Self::words) say.
    pub(crate) fn parse(words: &[&str]) -> Result<Self, Error> {
        let service = match words {
            [over, mode, size] => {
                let over = Over::ALL.iter().find(|known| known.name() == *over);
                let mode = Mode::ALL.into_iter().find(|known| known.name() == *mode);
                over.zip(mode).zip(size.parse().ok())
            }
            _ => None,
        };
        match service {
            Some(((&over, mode), size)) => Ok(Self { over, mode, size }),
            None => usage("serve is how a run starts its own server: serve OVER MODE SIZE"),
        }
    }

    /// It on a command line.
    pub(crate) fn words(self) -> [String; 3] {
        let (over, mode) = (self.over.name(), self.mode.name());
        [over.into(), mode.into(), self.size.to_string()]
    }
}

/// Serves as `service` says; where that takes keys, peers that hold those of
/// `identity`. Returns only if it cannot.
pub(crate) fn serve(identity: Arc<Identity>, service: Service) -> Result<u8, Error> {
    // What cannot run says so, however soon its stdin ends.
    Kernel::chosen()?;
    raise_descriptor_limit();
    leave_with_stdin().map_err(local)?;
    match (service.over, service.mode) {
        (Over::Sealed, Mode::Echo) => sealed(identity, Echo),
        (Over::Sealed, Mode::Sink) => sealed(identity, Sink),
        (Over::Sealed, Mode::Relay) => sealed(identity, Relay),
        (Over::Plain, _) => streaming::<Plain>((), service),
        #[cfg(feature = "tls")]
        (Over::Tls, _) => {
            let setup = certificate()?.server()?;
            streaming::<TlsServer>(setup, service)
        }
    }
}

fn sealed(identity: Arc<Identity>, mode: impl SealedMode) -> Result<u8, Error> {
    let mut setup = Setup::new(Kernel::chosen()?, Leaves::WhenStopped, rand::make_rng());
    setup.identity = Some(identity);
    let mut events = EventLoop::new(Endpoint::new(setup, mode), Clock::start()).map_err(local)?;
    events.listen(listener()?).map_err(local)?;
    loop {
        events.turn(None)?;
        // Whoever loads us sees how its peers fare.
        drop(events.take_reports());
    }
}

fn streaming<C: Codec>(setup: C::Setup, service: Service) -> Result<u8, Error> {
    let mut server = Server::<C>::new(setup, service).map_err(local)?;
    server.listen(listener()?).map_err(local)?;
    loop {
        server.turn(None).map_err(local)?;
    }
}

/// Where peers come to, once that has been said: last of all, so that whoever hears it
/// sees what an idle server takes.
fn listener() -> Result<Listener, Error> {
    let listener = Listener::on_first(&[(Ipv4Addr::LOCALHOST, 0).into()])?;
    let port = listener.local_addr().port();
    writeln!(io::stdout(), "{port}").map_err(local)?;
    Ok(listener)
}

/// Our certificate, as [`crate::child`] gave it to us.
#[cfg(feature = "tls")]
fn certificate() -> Result<Certificate, Error> {
    let words = CERTIFICATE.map(|name| std::env::var(name).unwrap_or_default());
    let certificate = Certificate::parse(words.each_ref().map(String::as_str));
    let missing = || Error::Usage("serve tls: there is no certificate in the environment".into());
    certificate.ok_or_else(missing)
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Goal: what is put on a command line is what is read from it, and nothing else
    /// is taken. Method: every service; words that are none.
    #[test]
    fn services_have_words() {
        for &over in Over::ALL {
            for mode in Mode::ALL {
                let size = 64;
                let service = Service { over, mode, size };
                let words = service.words();
                let words = words.each_ref().map(String::as_str);
                assert_eq!(Service::parse(&words).unwrap(), service);
            }
        }
        for words in [
            "",
            "sealed echo",
            "plain echo x",
            "none echo 1",
            "plain no 1",
        ] {
            let words: Vec<_> = words.split_whitespace().collect();
            assert!(matches!(Service::parse(&words), Err(Error::Usage(_))));
        }
    }
}
