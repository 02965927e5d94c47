//! A run, phase by phase: peers join; they warm up; they are measured; what is
//! under way comes home; they finish.
//!
//! One thread, which drives the library's loop. What is sent, and what came
//! back, is [`crate::echo`]'s.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sealwire::conn::Outcome;
use sealwire::crypto::kernel::Kernel;
use sealwire::crypto::keys::Identity;
use sealwire::endpoint::{Endpoint, Event, Leaves, Setup};
use sealwire::error::Error;
use sealwire::limits::Limits;
use sealwire::net::event_loop::{EventLoop, Report};

use crate::args::{Config, Load, Server};
use crate::child::OwnServer;
use crate::cpu;
use crate::echo::Echo;
use crate::handshakes::Handshakes;
use crate::limits::{COMPLETION, DRAIN, HANDSHAKES_AT_ONCE, REDRAW, SERVER_LEAVES};
use crate::old_report::Figures;
use crate::progress::{Progress, Standing};
use crate::times::Spread;

/// A run under way.
struct Run {
    load: Load,
    events: EventLoop<Echo>,
    /// Where the first connection led; the others follow.
    address: Option<SocketAddr>,
    handshakes: Handshakes,
    joined: usize,
    /// Peers that never joined.
    refused: usize,
    complete: usize,
    failed: usize,
    /// Why peers failed, and how many.
    errors: BTreeMap<String, u64>,
    progress: Progress,
}

/// What waits to be sent is bounded by the load; how much memory that takes is no
/// reason to give up on a server.
fn unlimited() -> Limits {
    Limits {
        max_queue: usize::MAX / 4,
        max_queued: usize::MAX / 4,
        ..Limits::default()
    }
}

/// The time that is measured.
struct Window {
    took: Duration,
    server_cpu: Option<Duration>,
}

/// Runs the load of `config`, and says what came of it.
///
/// # Errors
///
/// What kept it from running: no server, or none that takes a single peer. What
/// goes wrong once peers have joined is in the figures.
pub(crate) fn run(config: &Config) -> Result<Figures, Error> {
    // Before a server is started, which could only say the same.
    let kernel = Kernel::chosen()?;
    let (mut own, started);
    let server = match &config.to {
        Some(server) => {
            own = None;
            server
        }
        None => {
            let (child, server) = OwnServer::start()?;
            (own, started) = (Some(child), server);
            &started
        }
    };
    if let Some(pid) = config.to.as_ref().and_then(|server| server.pid)
        && cpu::time_of(pid).is_none()
    {
        let text = format!("--server-pid: the CPU time of process {pid} cannot be read");
        return Err(Error::Local(text));
    }
    let mut run = Run::new(config.load, server.identity.clone(), kernel)?;
    let address = run.join(server)?;
    run.warm_up()?;
    let window = run.measure(server.pid)?;
    run.end()?;
    if run.failed > 0
        && let Some(status) = own.as_mut().and_then(|own| own.ended(SERVER_LEAVES))
    {
        run.note_error(format!("the server that was started ended early: {status}"));
    }
    Ok(run.figures(address, kernel, &window))
}

impl Run {
    fn new(load: Load, identity: Identity, kernel: Kernel) -> Result<Self, Error> {
        let setup = Setup {
            identity: Some(Arc::new(identity)),
            classic: None,
            kernel,
            limits: unlimited(),
            leaves: Leaves::WithPeers,
            rng: rand::make_rng(),
        };
        let events = EventLoop::new(Endpoint::new(setup, Echo::new(load)));
        Ok(Self {
            load,
            events: events.map_err(|error| Error::Local(error.to_string()))?,
            address: None,
            handshakes: Handshakes::begin(),
            joined: 0,
            refused: 0,
            complete: 0,
            failed: 0,
            errors: BTreeMap::new(),
            progress: Progress::new(),
        })
    }

    // ---- phases ----------------------------------------------------------

    /// Has all peers connect and join. The first one finds the address.
    fn join(&mut self, server: &Server) -> Result<SocketAddr, Error> {
        self.progress.phase("joining");
        self.events.dial(&server.host, server.port);
        let address = loop {
            self.turn(REDRAW)?;
            if let Some(address) = self.address {
                break address;
            }
        };
        let mut begun = 1;
        loop {
            let done = self.joined + self.refused;
            let wanted = self.load.peers.min(done + HANDSHAKES_AT_ONCE);
            for _ in begun..wanted {
                self.connect(address)?;
            }
            begun = begun.max(wanted);
            if done >= self.load.peers {
                break;
            }
            self.turn(REDRAW)?;
        }
        match self.errors.iter().max_by_key(|(_, count)| **count) {
            Some((why, _)) if self.joined == 0 => Err(Error::Local(format!("{address}: {why}"))),
            _ => Ok(address),
        }
    }

    fn connect(&mut self, address: SocketAddr) -> Result<(), Error> {
        let now = Instant::now();
        let peer = self.events.connect(address);
        let peer =
            peer.map_err(|error| Error::Local(format!("cannot connect to {address}: {error}")))?;
        self.handshakes.connecting(peer, now);
        Ok(())
    }

    fn warm_up(&mut self) -> Result<(), Error> {
        self.progress.phase("warming up");
        self.mode().start();
        self.go_on(self.load.warmup, |mode| mode.peers() == 0)
    }

    /// Measures; not to the end if there is nobody left.
    fn measure(&mut self, pid: Option<u32>) -> Result<Window, Error> {
        self.progress.phase("measuring");
        let used = pid.and_then(cpu::time_of);
        let began = Instant::now();
        self.mode().measure();
        self.go_on(self.load.duration, |mode| mode.peers() == 0)?;
        let took = began.elapsed();
        let server_cpu = pid.and_then(cpu::time_of).zip(used);
        Ok(Window {
            took,
            server_cpu: server_cpu.map(|(after, before)| after.saturating_sub(before)),
        })
    }

    /// Waits for what is under way, then for peers to be complete.
    fn end(&mut self) -> Result<(), Error> {
        self.progress.phase("waiting for the last replies");
        self.mode().stop();
        self.go_on(DRAIN, |mode| mode.under_way() == 0)?;
        self.progress.phase("finishing");
        self.mode().finish();
        self.go_on(COMPLETION, |mode| mode.peers() == 0)?;
        for _ in 0..self.mode().give_up() {
            self.failed += 1;
            self.note_error("not complete in time".into());
        }
        Ok(())
    }

    /// Turns the loop for `at_most`, or until `done`.
    fn go_on(&mut self, at_most: Duration, done: impl Fn(&Echo) -> bool) -> Result<(), Error> {
        let began = Instant::now();
        while !done(self.mode()) {
            let left = at_most.saturating_sub(began.elapsed());
            if left.is_zero() {
                break;
            }
            self.turn(left)?;
        }
        Ok(())
    }

    // ---- turns -----------------------------------------------------------

    fn turn(&mut self, at_most: Duration) -> Result<(), Error> {
        self.events.turn(Some(at_most.min(REDRAW)))?;
        for report in self.events.take_reports() {
            self.note(report);
        }
        let mode = self.events.endpoint().mode();
        self.progress.show(Standing {
            peers: mode.peers(),
            failed: self.failed,
            answered: mode.counts().answered,
        });
        Ok(())
    }

    fn note(&mut self, report: Report) {
        match report {
            Report::Connected(address) => {
                self.address = Some(address);
                self.handshakes = Handshakes::begin();
            }
            Report::Endpoint(Event::Joined(peer)) => {
                self.joined += 1;
                self.handshakes.joined(peer);
            }
            Report::Endpoint(Event::Left(_, outcome)) => self.note_end(outcome),
            Report::Endpoint(Event::Refused(_, outcome)) => {
                self.refused += 1;
                self.note_end(outcome);
            }
            _ => {}
        }
    }

    fn note_end(&mut self, outcome: Outcome) {
        match outcome {
            Ok(()) if self.mode().is_finished() => self.complete += 1,
            Ok(()) => {
                self.failed += 1;
                self.note_error("the server ended the connection early".into());
            }
            Err(failure) => {
                self.failed += 1;
                self.note_error(failure.to_string());
            }
        }
    }

    fn note_error(&mut self, what: String) {
        *self.errors.entry(what).or_default() += 1;
    }

    fn mode(&mut self) -> &mut Echo {
        self.events.endpoint_mut().mode_mut()
    }

    fn figures(self, address: SocketAddr, kernel: Kernel, window: &Window) -> Figures {
        let mode = self.events.endpoint().mode();
        Figures {
            address,
            kernel,
            joined: self.joined,
            complete: self.complete,
            failed: self.failed,
            handshakes_took: self.handshakes.took(),
            handshake: Spread::of(self.handshakes.times()),
            took: window.took,
            latency: Spread::of(mode.latencies()),
            counts: mode.counts(),
            server_cpu: window.server_cpu,
            errors: self.errors,
        }
    }
}
