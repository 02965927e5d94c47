//! Runs what the command line asks for: builds the endpoint and the loop, turns
//! it until there is an exit code, and prints what happens.

use std::io::{self, IsTerminal};

use super::config::{Config, ModeKind, Role};
use super::exit;
use super::report::{Audience, Reporter};
use crate::crypto::kernel::Kernel;
use crate::endpoint::mode::Mode;
use crate::endpoint::{End, Endpoint, Leaves, Setup};
use crate::error::Error;
use crate::limits::LOG_RETRY;
use crate::modes::chat::Chat;
use crate::modes::echo::Echo;
use crate::modes::relay::Relay;
use crate::modes::sink::Sink;
use crate::net::clock::Clock;
use crate::net::event_loop::{EventLoop, Report};
use crate::net::inherited;
use crate::net::log::Log;
use crate::net::rlimit::raise_descriptor_limit;

type AnyMode = Box<dyn Mode>;

/// Runs `config` to its end, and tells `log` what happens; returns the process exit
/// code.
///
/// # Errors
///
/// What kept it from running. How connections end is printed, and told by the
/// exit code.
pub fn run(config: Config, log: &mut Log) -> Result<u8, Error> {
    let kernel = Kernel::chosen()?;
    let audience = Audience::of(&config.role);
    if audience != Audience::Service {
        inherited::require_stdout()?;
        if !config.no_input {
            inherited::require_stdin()?;
        }
    }
    raise_descriptor_limit();
    for warning in &config.warnings {
        log.warn(warning);
    }
    let mut events = build(&config, kernel, audience).map_err(cannot_set_up)?;
    match &config.role {
        Role::Client { host } => events.dial(host, config.port),
        Role::Server { listen, .. } => events.listen_on(listen.as_deref(), config.port)?,
    }
    drop(config);
    turn_until_done(&mut events, Reporter::new(audience), log)
}

fn turn_until_done<M: Mode>(
    events: &mut EventLoop<M>,
    mut reporter: Reporter,
    log: &mut Log,
) -> Result<u8, Error> {
    let mut stopped_by = None;
    loop {
        for report in events.take_reports() {
            if let Report::Stopping(signal) = report {
                stopped_by = Some(signal);
                if events.is_looking_up() {
                    // It has not served until it was stopped: it never served.
                    return Ok(exit::code(End::Stopped, stopped_by));
                }
            }
            reporter.print(log, events, report);
        }
        let now = events.now();
        let end = events.endpoint().end();
        reporter.tell_hidden(log, now, end.is_some());
        log.flush();
        if let Some(end) = end {
            return Ok(exit::code(end, stopped_by));
        }
        let retry = log.is_waiting().then_some(LOG_RETRY);
        let hidden = reporter.next_due().map(|due| due.since(now));
        events.turn(retry.into_iter().chain(hidden).min())?;
    }
}

fn cannot_set_up(error: io::Error) -> Error {
    Error::Local(format!("cannot set up the event loop: {error}"))
}

fn build(config: &Config, kernel: Kernel, audience: Audience) -> io::Result<EventLoop<AnyMode>> {
    // Where somebody types, or nothing is read, nobody waits for the input's end.
    let open_ended = config.no_input || io::stdin().is_terminal();
    let mut limits = config.limits.clone();
    limits.max_idle = limits.max_idle.filter(|_| !open_ended);
    let leaves = match audience {
        Audience::Client => Leaves::WithPeers,
        Audience::Chat if !open_ended => Leaves::AfterInput,
        Audience::Chat | Audience::Service => Leaves::WhenStopped,
    };
    let mut setup = Setup::new(kernel, leaves, rand::make_rng());
    setup.identity.clone_from(&config.keys.native);
    setup.classic.clone_from(&config.keys.classic);
    setup.limits = limits;
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
