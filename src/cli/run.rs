//! Runs a server or a client: builds the endpoint and the loop, turns the loop until
//! there is an exit code, and lets a reporter print what happens.
//!
//! It does not know what a turn does. Read next: [`sealwire::net::event_loop`].

use std::io::{self, IsTerminal, stderr};
use std::net::TcpListener;

use rustix::stdio::{stdin, stdout};
use sealwire::net::rlimit::raise_descriptor_limit;
use sealwire::{
    Chat, Clock, Echo, End, Endpoint, EventLoop, Kernel, Leaves, Listener, Mode, NetError, Relay,
    Report, Setup, Sink, Tunnel,
};

use crate::config::{Config, ModeKind, Role};
use crate::error::Error;
use crate::exit;
use crate::inherited;
use crate::kernel;
use crate::limits::{KEYS_LOOK, LOG_RETRY};
use crate::log::{Level, Log};
use crate::metrics;
use crate::report::{Audience, Reporter};
use crate::reread::Reread;
use crate::retry::Retry;
use crate::service_manager::ServiceManager;
use crate::usage;

type AnyMode = Box<dyn Mode>;

/// Runs `config` to its end, with what happens on `log`; returns the process exit code,
/// which says how connections ended. A server listens on `socket`, if a service manager has
/// passed one.
///
/// # Errors
///
/// Why it could not run.
pub fn run(config: Config, socket: Option<TcpListener>, log: &mut Log) -> Result<u8, Error> {
    let kernel = kernel::chosen()?;
    let audience = Audience::of(&config.role);
    if audience.uses_stdio() {
        inherited::require_stdout()?;
        if !config.no_input {
            inherited::require_stdin()?;
        }
    }
    raise_descriptor_limit();
    let mut retry = None;
    if let Role::Client { host } = &config.role
        && config.retry
    {
        retry = Some(Retry::new(host, config.port, config.no_input)?);
    }
    for warning in &config.keys.warnings {
        log.warn(warning);
    }
    let mut events = build(&config, kernel, audience)
        .map_err(|error| Error::Local(format!("cannot set up the event loop: {error}")))?;
    if let Some(address) = config.metrics {
        let served = events.serve_metrics(address);
        let address = served.map_err(|error| Error::Local(format!("--metrics: {error}")))?;
        let text = format_args!("figures are at http://{address}/metrics");
        log.line(Level::Info, &text, &[("address", &address)]);
    }
    if let Role::Server { mode, .. } = &config.role
        && let ModeKind::Forward(target) = mode
    {
        events.forward_to(target.clone());
    }
    match (&config.role, socket) {
        (Role::Client { host }, _) => events.dial(host, config.port),
        (Role::Tunnel { host, from }, _) => events
            .tunnel_from(from, host, config.port, config.retry)
            .map_err(of_tunnel)?,
        (Role::Server { .. }, Some(socket)) => {
            events.take_listener(passed(socket, config.address)?)?;
        }
        (Role::Server { listen, .. }, None) => {
            events.listen_on(listen.as_deref(), config.port)?;
        }
    }
    let file = config.keys.file.clone().filter(|_| !stderr().is_terminal());
    drop(config);
    let reread = file.map(Reread::new);
    if reread.is_some() {
        events.serve_on_hangup();
    }
    let again = Again { reread, retry };
    turn_until_done(&mut events, kernel, Reporter::new(audience), again, log)
}

/// What the program does more than once, if it does.
struct Again {
    reread: Option<Reread>,
    retry: Option<Retry>,
}

/// Why there is no near end of a tunnel.
fn of_tunnel(error: NetError) -> Error {
    Error::Local(format!("--tunnel: {error}"))
}

/// The listener of `socket`, unless the option `address` says where to listen, too.
fn passed(socket: TcpListener, address: Option<&str>) -> Result<Listener, Error> {
    if let Some(option) = address {
        return usage(format!(
            "{option}: the service manager has passed a socket (LISTEN_FDS), which has an \
             address: leave {option} out"
        ));
    }
    Listener::inherited(socket).map_err(|error| {
        Error::Local(format!(
            "LISTEN_FDS: cannot listen on the socket of the service manager: {error}"
        ))
    })
}

fn turn_until_done<M: Mode>(
    events: &mut EventLoop<M>,
    kernel: Kernel,
    mut reporter: Reporter,
    again: Again,
    log: &mut Log,
) -> Result<u8, Error> {
    let mut manager = ServiceManager::from_env();
    let Again {
        mut reread,
        mut retry,
    } = again;
    let mut stopped_by = None;
    loop {
        for report in events.take_reports() {
            match report {
                Report::Listening(_) | Report::PlainListening(_) => manager.ready(),
                Report::MetricsWanted(wanted) => {
                    wanted.answer(metrics::text(events, kernel));
                    continue;
                }
                Report::Stopping(signal) => {
                    manager.stopping();
                    stopped_by = Some(signal);
                    if events.is_looking_up() {
                        // Its exit code cannot say that it served until it was stopped.
                        return Ok(exit::code(End::Stopped, stopped_by));
                    }
                }
                _ => {}
            }
            if let (Report::HungUp, Some(reread)) = (&report, &mut reread) {
                manager.reloading();
                reread.start(log, events.endpoint().keys());
                if !reread.is_reading() {
                    manager.ready();
                }
            }
            let is_told = (retry.as_mut()).is_some_and(|retry| retry.takes(log, events, &report));
            if !is_told {
                reporter.print(log, events, report);
            }
        }
        let now = events.now();
        if let Some(reread) = &mut reread
            && reread.take(log, now, events.endpoint_mut())
        {
            manager.ready();
        }
        let end = events.endpoint().end();
        reporter.tell_hidden(log, now, end.is_some());
        log.flush();
        if let Some(end) = end {
            return Ok(exit::code(end, stopped_by));
        }
        let full = log.is_waiting().then_some(LOG_RETRY);
        let is_reading = reread.as_ref().is_some_and(Reread::is_reading);
        let dial = retry.as_mut().and_then(|retry| retry.dial(events));
        let due = [reporter.next_due(), manager.alive(now), dial];
        let due = due.into_iter().flatten().map(|due| due.since(now));
        let keys = is_reading.then_some(KEYS_LOOK);
        let at_most = full.into_iter().chain(keys).chain(due).min();
        if let Err(error) = events.turn(at_most) {
            match &mut retry {
                Some(retry) => retry.unreachable(log, events.now(), error)?,
                None if reporter.is_of_tunnel() && !matches!(error, NetError::Poll(_)) => {
                    return Err(of_tunnel(error));
                }
                None => return Err(error.into()),
            }
        }
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
        Audience::Chat | Audience::Relay | Audience::Service | Audience::Tunnel => {
            Leaves::WhenStopped
        }
    };
    let mut setup = Setup::new(kernel, leaves, rand::random());
    setup.identity.clone_from(&config.keys.native);
    setup.ring.clone_from(&config.keys.ring);
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
