//! Runs what the command line asks for: builds the endpoint and the loop, turns
//! it until there is an exit code, and prints what happens.

use std::io::IsTerminal;
use std::sync::Arc;

use super::config::{Config, ModeKind, Role};
use super::report::Reporter;
use crate::endpoint::mode::Mode;
use crate::endpoint::{Endpoint, Leaves, Setup};
use crate::error::Error;
use crate::modes::chat::Chat;
use crate::modes::echo::Echo;
use crate::modes::relay::Relay;
use crate::modes::sink::Sink;
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
    raise_descriptor_limit();
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let plan = Plan::new(&config);
    let mut reporter = Reporter::new(plan.names_peers, plan.is_client);
    let mut events = build(&config, &plan).map_err(|error| Error::Local(error.to_string()))?;
    match &config.role {
        Role::Client { host } => events.dial(host, config.port),
        Role::Server { listen, .. } => {
            let listener = Listener::bind(listen.as_deref(), config.port)?;
            tracing::info!("listening on {}", listener.local_addr());
            let listening = events.listen(listener);
            listening.map_err(|error| Error::Local(error.to_string()))?;
        }
    }
    drop(config);
    loop {
        events.turn(None)?;
        for report in events.reports() {
            reporter.print(&events, report);
        }
        if let Some(code) = events.endpoint().exit() {
            return Ok(code);
        }
    }
}

/// What follows from the command line and from what stdin is.
struct Plan {
    is_client: bool,
    /// Stdin and stdout are used, and who comes and goes is told.
    chats: bool,
    reads_input: bool,
    names_peers: bool,
    leaves: Leaves,
    /// A FIN is answered at once.
    answers_fin: bool,
}

impl Plan {
    fn new(config: &Config) -> Self {
        let is_client = matches!(config.role, Role::Client { .. });
        let chats = match config.role {
            Role::Client { .. } => true,
            Role::Server { mode, .. } => mode == ModeKind::Chat,
        };
        let terminal = std::io::stdin().is_terminal();
        let at_once = terminal || config.no_input;
        Self {
            is_client,
            chats,
            reads_input: chats && !config.no_input,
            names_peers: chats && !is_client,
            leaves: match (is_client, chats) {
                (true, _) => Leaves::WithPeers,
                (false, true) if !at_once => Leaves::AfterInput,
                (false, _) => Leaves::WhenStopped,
            },
            answers_fin: at_once,
        }
    }
}

fn build(config: &Config, plan: &Plan) -> std::io::Result<EventLoop<AnyMode>> {
    let setup = Setup {
        identity: config.keys.native.clone().map(Arc::new),
        classic: config.keys.classic.clone().map(Arc::new),
        limits: config.limits.clone(),
        leaves: plan.leaves,
        rng: rand::make_rng(),
    };
    let mode: AnyMode = match config.role {
        Role::Server {
            mode: ModeKind::Echo,
            ..
        } => Box::new(Echo),
        Role::Server {
            mode: ModeKind::Sink,
            ..
        } => Box::new(Sink),
        Role::Server {
            mode: ModeKind::Relay,
            ..
        } => Box::new(Relay),
        _ => Box::new(Chat::new(plan.answers_fin)),
    };
    let mut events = EventLoop::new(Endpoint::new(setup, mode))?;
    if plan.chats {
        events.attach_stdio(plan.reads_input, config.keys.classic.is_some())?;
    }
    events.watch_signals()?;
    Ok(events)
}
