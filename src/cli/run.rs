//! Runs what the command line asks for: builds the endpoint and the loop, turns
//! it until there is an exit code, and prints what happens.

use std::io::{self, IsTerminal};

use super::config::{Config, ModeKind, Role};
use super::report::{Audience, Reporter};
use crate::crypto::kernel::Kernel;
use crate::endpoint::mode::Mode;
use crate::endpoint::{Endpoint, Leaves, Setup};
use crate::error::Error;
use crate::modes::chat::Chat;
use crate::modes::echo::Echo;
use crate::modes::relay::Relay;
use crate::modes::sink::Sink;
use crate::net::clock::Clock;
use crate::net::event_loop::EventLoop;
use crate::net::listen::Listener;
use crate::net::rlimit::raise_descriptor_limit;

type AnyMode = Box<dyn Mode>;

/// Runs `config` to its end; returns the process exit code.
///
/// # Errors
///
/// What kept it from running. How connections end is printed, and told by the
/// exit code.
pub fn run(config: Config) -> Result<u8, Error> {
    let kernel = Kernel::chosen()?;
    raise_descriptor_limit();
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let audience = Audience::of(&config.role);
    let mut reporter = Reporter::new(audience);
    let mut events = build(&config, kernel, audience).map_err(cannot_set_up)?;
    match &config.role {
        Role::Client { host } => events.dial(host, config.port),
        Role::Server { listen, .. } => {
            let listener = Listener::bind(listen.as_deref(), config.port)?;
            tracing::info!("listening on {}", listener.local_addr());
            events.listen(listener).map_err(cannot_set_up)?;
        }
    }
    drop(config);
    loop {
        events.turn(None)?;
        for report in events.take_reports() {
            reporter.print(&events, report);
        }
        if let Some(code) = events.endpoint().exit() {
            return Ok(code);
        }
    }
}

fn cannot_set_up(error: io::Error) -> Error {
    Error::Local(format!("cannot set up the event loop: {error}"))
}

fn build(config: &Config, kernel: Kernel, audience: Audience) -> io::Result<EventLoop<AnyMode>> {
    // Where somebody types, or nothing is read, nobody waits for the input's end.
    let open_ended = config.no_input || io::stdin().is_terminal();
    let setup = Setup {
        identity: config.keys.native.clone(),
        classic: config.keys.classic.clone(),
        kernel,
        limits: config.limits.clone(),
        leaves: match audience {
            Audience::Client => Leaves::WithPeers,
            Audience::Chat if !open_ended => Leaves::AfterInput,
            Audience::Chat | Audience::Service => Leaves::WhenStopped,
        },
        rng: rand::make_rng(),
    };
    let kind = match config.role {
        Role::Server { mode, .. } => mode,
        Role::Client { .. } => ModeKind::Chat,
    };
    let mode: AnyMode = match kind {
        ModeKind::Chat => Box::new(Chat::new(open_ended)),
        ModeKind::Echo => Box::new(Echo),
        ModeKind::Sink => Box::new(Sink),
        ModeKind::Relay => Box::new(Relay),
    };
    let mut events = EventLoop::new(Endpoint::new(setup, mode), Clock::start())?;
    if audience != Audience::Service {
        events.attach_stdio(!config.no_input, config.keys.classic.is_some())?;
    }
    events.watch_signals()?;
    Ok(events)
}
