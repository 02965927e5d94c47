//! Runs a server or a client: builds the endpoint and the loop, turns the loop until
//! there is an exit code, and lets a reporter print what happens.
//!
//! It does not know what a turn does. Read next: [`sealwire::net::event_loop`].

use std::io::{self, IsTerminal, stderr};

use rustix::stdio::{stdin, stdout};
use sealwire::net::rlimit::raise_descriptor_limit;
use sealwire::{
    Chat, Clock, Echo, End, Endpoint, EventLoop, Kernel, Leaves, Mode, Relay, Report, Setup, Sink,
};

use crate::config::{Config, ModeKind, Role};
use crate::error::Error;
use crate::exit;
use crate::inherited;
use crate::kernel;
use crate::limits::{KEYS_LOOK, LOG_RETRY};
use crate::log::Log;
use crate::report::{Audience, Reporter};
use crate::reread::Reread;

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
    if audience.has_local() {
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
        Role::Server { listen, .. } => events.listen_on(listen.as_deref(), config.port)?,
    }
    let file = config.keys.file.clone().filter(|_| !stderr().is_terminal());
    drop(config);
    let reread = file.map(Reread::new);
    if reread.is_some() {
        events.serve_on_hangup();
    }
    turn_until_done(&mut events, Reporter::new(audience), reread, log)
}

fn turn_until_done<M: Mode>(
    events: &mut EventLoop<M>,
    mut reporter: Reporter,
    mut reread: Option<Reread>,
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
            if let (Report::HungUp, Some(reread)) = (&report, &mut reread) {
                reread.start(log, events.endpoint().keys());
            }
            reporter.print(log, events, report);
        }
        let now = events.now();
        if let Some(reread) = &mut reread {
            reread.take(log, now, events.endpoint_mut());
        }
        let end = events.endpoint().end();
        reporter.tell_hidden(log, now, end.is_some());
        log.flush();
        if let Some(end) = end {
            return Ok(exit::code(end, stopped_by));
        }
        let retry = log.is_waiting().then_some(LOG_RETRY);
        let hidden = reporter.next_due().map(|due| due.since(now));
        let is_reading = reread.as_ref().is_some_and(Reread::is_reading);
        let keys = is_reading.then_some(KEYS_LOOK);
        events.turn(retry.into_iter().chain(hidden).chain(keys).min())?;
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
        Audience::Chat | Audience::Relay | Audience::Service => Leaves::WhenStopped,
    };
    let mut setup = Setup::new(kernel, leaves, rand::random());
    setup.identity.clone_from(&config.keys.native);
    setup.ring.clone_from(&config.keys.ring);
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
    if audience.has_local() {
        let input = (!config.no_input).then(stdin);
        let lines = config.keys.classic.is_some();
        events.attach_local(input, stdout(), lines)?;
    }
    events.watch_signals()?;
    Ok(events)
}
