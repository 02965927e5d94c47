//! Runs a server or a client: builds the endpoint and the loop, turns the loop until
//! there is an exit code, and lets a reporter print what happens.
//!
//! It does not know what a turn does. Read next: [`sealwire::net::event_loop`].

use std::io::{self, IsTerminal};

use rustix::stdio::{stdin, stdout};
use sealwire::net::rlimit::raise_descriptor_limit;
use sealwire::{
    Chat, Clock, Echo, End, Endpoint, EventLoop, Kernel, Leaves, Mode, Relay, Report, Setup, Sink,
    Tunnel,
};

use crate::config::{Config, ModeKind, Role};
use crate::error::Error;
use crate::exit;
use crate::inherited;
use crate::kernel;
use crate::limits::LOG_RETRY;
use crate::log::Log;
use crate::report::{Audience, Reporter};

type AnyMode = Box<dyn Mode>;

/// Runs `config` to its end, with what happens on `log`; returns the process exit code,
/// which says how connections ended.
///
/// # Errors
///
/// Why it could not run.
pub fn run(config: Config, log: &mut Log) -> Result<u8, Error> {
    let kernel = kernel::chosen()?;
    let audience = Audience::of(&config.role);
    if audience.uses_stdio() {
        inherited::require_stdout()?;
        if !config.no_input {
            inherited::require_stdin()?;
        }
    }
    raise_descriptor_limit();
    for warning in &config.keys.warnings {
        log.warn(warning);
    }
    let mut events = build(&config, kernel, audience)
        .map_err(|error| Error::Local(format!("cannot set up the event loop: {error}")))?;
    match &config.role {
        Role::Client { host } => events.dial(host, config.port),
        Role::Tunnel { host, from } => events
            .tunnel_from(from, host, config.port)
            .map_err(|error| Error::Local(format!("--tunnel: {error}")))?,
        Role::Server { listen, mode } => {
            if let ModeKind::Forward(target) = mode {
                events.forward_to(target.clone());
            }
            events.listen_on(listen.as_deref(), config.port)?;
        }
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
                    // Its exit code cannot say that it served until it was stopped.
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

fn build(config: &Config, kernel: Kernel, audience: Audience) -> io::Result<EventLoop<AnyMode>> {
    // A person may type for ever, and no input has no end, so no end is waited for.
    let open_ended = config.no_input || io::stdin().is_terminal();
    let mut limits = config.limits.clone();
    limits.max_idle = limits.max_idle.filter(|_| !open_ended);
    let leaves = match audience {
        Audience::Client => Leaves::WithPeers,
        Audience::Chat if !open_ended => Leaves::AfterInput,
        Audience::Chat | Audience::Service | Audience::Tunnel => Leaves::WhenStopped,
    };
    let mut setup = Setup::new(kernel, leaves, rand::random());
    setup.identity.clone_from(&config.keys.native);
    setup.classic.clone_from(&config.keys.classic);
    setup.limits = limits;
    let mode: AnyMode = match &config.role {
        Role::Client { .. } => Box::new(Chat::new(open_ended)),
        Role::Tunnel { .. } => Box::new(Tunnel),
        Role::Server { mode, .. } => match mode {
            ModeKind::Chat => Box::new(Chat::new(open_ended)),
            ModeKind::Echo => Box::new(Echo),
            ModeKind::Sink => Box::new(Sink),
            ModeKind::Relay => Box::new(Relay),
            ModeKind::Forward(_) => Box::new(Tunnel),
        },
    };
    let mut events = EventLoop::new(Endpoint::new(setup, mode), Clock::start())?;
    if audience.uses_stdio() {
        let input = (!config.no_input).then(stdin);
        let lines = config.keys.classic.is_some();
        events.attach_local(input, stdout(), lines)?;
    }
    events.watch_signals()?;
    Ok(events)
}
