//! What the user reads on stderr: which peers came, left or failed and why, and what the
//! program could not do. One line each. Lines that peers or strangers cause come at a
//! bounded rate; one line gives the number of the rest.
//!
//! How lines are written is [`crate::log`]'s. Read next: [`mod@crate::run`].

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use sealwire::net::address::host_and_port;
use sealwire::{
    EndpointEvent, EventLoop, Failure, Mode, Notice, Outcome, PeerId, Reason, Report, Stats, Time,
};
use signal_hook::low_level::signal_name;

use crate::config::{ModeKind, Role};
use crate::limits::{FAILURES_LOGGED, LOG_PERIOD, REFUSALS_LOGGED, VISITS_LOGGED};
use crate::log::{Field, Level, Log};

/// The program's role, which decides what its user wants to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Of a client: what went wrong with its one peer.
    Client,
    /// Of a chatting server: which peers come and leave.
    Chat,
    /// Of a relay: that, too, of peers whose keys have names, and what goes wrong.
    Relay,
    /// Of a server with another mode: what goes wrong, at a bounded rate.
    Service,
    /// Of the near end of a tunnel: what goes wrong with which plain connection, likewise.
    Tunnel,
}

impl Audience {
    /// The audience of a program in this role.
    pub fn of(role: &Role) -> Self {
        match role {
            Role::Client { .. } => Self::Client,
            Role::Tunnel { .. } => Self::Tunnel,
            Role::Server { mode, .. } => match mode {
                ModeKind::Chat => Self::Chat,
                ModeKind::Relay => Self::Relay,
                ModeKind::Echo | ModeKind::Sink | ModeKind::Forward(_) => Self::Service,
            },
        }
    }

    /// How much it matters that the peer of this name came or left.
    fn visit_level(self, name: &Name<'_>) -> Level {
        match self {
            Self::Chat => Level::Info,
            Self::Relay if !name.key.is_empty() => Level::Info,
            Self::Relay | Self::Client | Self::Service | Self::Tunnel => Level::Debug,
        }
    }

    /// Whether the program reads stdin and writes stdout.
    pub(crate) fn uses_stdio(self) -> bool {
        matches!(self, Self::Client | Self::Chat)
    }
}

/// Prints reports.
#[derive(Debug)]
pub struct Reporter {
    audience: Audience,
    /// Connections that prove nothing.
    strangers: Bounded,
    /// Peers that come and leave.
    visits: Bounded,
    /// Peers that fail, and lines of our own input that are dropped.
    problems: Bounded,
}

/// Lines of one kind, at most `most` in each [`LOG_PERIOD`].
#[derive(Debug)]
struct Bounded {
    what: &'static str,
    most: u32,
    period: Time,
    printed: u32,
    hidden: u64,
}

impl Bounded {
    fn new(what: &'static str, most: u32) -> Self {
        Self {
            what,
            most,
            period: Time::ZERO,
            printed: 0,
            hidden: 0,
        }
    }

    /// Prints a line about `fields`, or counts it. One that the log leaves out does not count.
    fn line(
        &mut self,
        log: &mut Log,
        now: Time,
        level: Level,
        text: fmt::Arguments<'_>,
        fields: &[Field<'_>],
    ) {
        if !log.has(level) {
            return;
        }
        if self.due().is_none_or(|due| now >= due) {
            self.begin(log, now);
        }
        if self.printed < self.most {
            self.printed += 1;
            log.line(level, &text, fields);
        } else {
            self.hidden += 1;
        }
    }

    /// Begins a new period, and logs how many lines the last one hid.
    fn begin(&mut self, log: &mut Log, now: Time) {
        if self.hidden > 0 {
            let Self { hidden, what, .. } = self;
            log.warn(&format_args!(
                "{hidden} more like these were not shown: {what}"
            ));
        }
        *self = Self {
            period: now,
            ..Self::new(self.what, self.most)
        };
    }

    /// When the period ends, if anything was printed in it.
    fn due(&self) -> Option<Time> {
        (self.printed > 0).then(|| self.period + LOG_PERIOD)
    }
}

impl Reporter {
    /// Prints for `audience`.
    pub fn new(audience: Audience) -> Self {
        Self {
            audience,
            strangers: Bounded::new("connections that proved nothing", REFUSALS_LOGGED),
            visits: Bounded::new("peers that came or left", VISITS_LOGGED),
            problems: Bounded::new(
                "peers that failed, lines that were dropped",
                FAILURES_LOGGED,
            ),
        }
    }

    /// Whether it prints for the near end of a tunnel.
    pub(crate) fn is_of_tunnel(&self) -> bool {
        self.audience == Audience::Tunnel
    }

    /// The kinds of lines that hid some.
    fn hiding(&mut self) -> impl Iterator<Item = &mut Bounded> {
        let kinds = [&mut self.strangers, &mut self.visits, &mut self.problems];
        kinds.into_iter().filter(|kind| kind.hidden > 0)
    }

    /// When to call [`tell_hidden`](Self::tell_hidden), if at all.
    pub fn next_due(&mut self) -> Option<Time> {
        self.hiding().filter_map(|kind| kind.due()).min()
    }

    /// Says how many lines were hidden, once their period is over; at the `end`, at once.
    pub fn tell_hidden(&mut self, log: &mut Log, now: Time, end: bool) {
        for kind in self.hiding() {
            if end || kind.due().is_some_and(|due| now >= due) {
                kind.begin(log, now);
            }
        }
    }

    /// Prints `report`, where the user wants to know it.
    pub fn print<M: Mode>(&mut self, log: &mut Log, events: &EventLoop<M>, report: Report) {
        let now = events.now();
        match report {
            Report::Connected(peer, _) => {
                let name = Name::of(events, peer);
                let text = format_args!("connected to {name}");
                log.line(Level::Info, &text, &name.fields());
            }
            Report::Listening(address) => {
                let address = host_and_port(address);
                let text = format_args!("listening on {address}");
                log.line(Level::Info, &text, &[("address", &address)]);
            }
            Report::PlainListening(place) => {
                let text = format_args!("listening on {place}");
                log.line(Level::Info, &text, &[("address", &place)]);
            }
            Report::Unreachable(source, error) => {
                let name = Name::at(source);
                let text = format_args!("{name} was reset: {error}");
                self.problems
                    .line(log, now, Level::Warn, text, &name.fields());
            }
            Report::Retrying(error, wait) => {
                let text = format_args!("{error}; {}", Again(wait));
                self.problems.line(log, now, Level::Warn, text, &[]);
            }
            Report::ReachedAgain => {
                let text = format_args!("the server is reached again");
                self.problems.line(log, now, Level::Info, text, &[]);
            }
            Report::NoTarget(peer, abort, why) => {
                let name = Name::of(events, peer);
                let (text, failure) = (format!("{}: {why}", abort.reason), Failure::Gave(abort));
                let text = format_args!("{name}: gave up: {text}");
                let cause = failure.cause();
                let fields = name.fields_with("reason", &cause);
                self.problems.line(log, now, Level::Warn, text, &fields);
            }
            Report::Stopping(signal) => {
                let name = signal_name(signal).unwrap_or("a signal");
                log.info(&format_args!(
                    "{name}: leaving; send a second signal to leave at once"
                ));
            }
            Report::StatisticsWanted => {
                let endpoint = events.endpoint();
                let (stats, held) = (endpoint.stats(), endpoint.held());
                log.info(&statistics_line(&stats, endpoint.proved(), held));
                log.info(events.ticks());
            }
            Report::CannotAccept(error) => {
                log.warn(&format_args!(
                    "cannot accept more connections for now: {error}; a new one takes the place \
                     of one that has proved nothing, if there is one"
                ));
            }
            Report::CanAccept => log.info(&"accepting connections again"),
            Report::Endpoint(EndpointEvent::Joined(peer)) => {
                let name = Name::of(events, peer);
                let text = format_args!("{name} came");
                let level = self.audience.visit_level(&name);
                self.visits.line(log, now, level, text, &name.fields());
            }
            Report::Endpoint(EndpointEvent::Left(peer, outcome)) => {
                self.left(log, now, &Name::of(events, peer), &outcome);
            }
            Report::Endpoint(EndpointEvent::Refused(peer, outcome)) => {
                self.refused(log, now, &Name::of(events, peer), &outcome);
            }
            Report::Endpoint(EndpointEvent::Notice(notice)) => self.notice(log, now, notice),
            _ => {}
        }
    }

    fn left(&mut self, log: &mut Log, now: Time, name: &Name<'_>, outcome: &Outcome) {
        match outcome {
            Ok(()) => {
                let text = format_args!("{name} left");
                let level = self.audience.visit_level(name);
                self.visits.line(log, now, level, text, &name.fields());
            }
            // Our own input or output failed, which has a line of its own, or none.
            Err(Failure::Gave(abort)) if abort.reason == Reason::LOCAL_ERROR => {}
            // So has a target that cannot be reached.
            Err(Failure::Gave(abort)) if is_of_target(abort.reason) => {}
            Err(failure) => {
                let text = format_args!("{name}: {failure}");
                let cause = failure.cause();
                let fields = name.fields_with("reason", &cause);
                self.problems.line(log, now, Level::Warn, text, &fields);
            }
        }
    }

    fn refused(&mut self, log: &mut Log, now: Time, name: &Name<'_>, outcome: &Outcome) {
        let Err(failure) = outcome else {
            return;
        };
        let cause = failure.cause();
        let fields = name.fields_with("reason", &cause);
        if self.audience == Audience::Client {
            log.line(Level::Error, &format_args!("{name}: {failure}"), &fields);
        } else if self.audience == Audience::Tunnel {
            let text = format_args!("{name} was reset: {failure}");
            self.problems.line(log, now, Level::Warn, text, &fields);
        } else {
            let level = match failure {
                Failure::Closed(_) => Level::Debug,
                _ => Level::Warn,
            };
            let text = format_args!("{name} refused: {failure}");
            self.strangers.line(log, now, level, text, &fields);
        }
    }

    fn notice(&mut self, log: &mut Log, now: Time, notice: Notice) {
        match notice {
            Notice::NobodyThere => {
                let text = format_args!("nobody is there: the line was dropped");
                self.problems.line(log, now, Level::Warn, text, &[]);
            }
            Notice::LeavingAfterPeers => {
                log.info(&"input ended: leaving after these peers; --no-input keeps serving");
            }
            Notice::NotText(bytes) => {
                let text = format_args!(
                    "{bytes} bytes are not UTF-8 and were left out: classic carries text only"
                );
                self.problems.line(log, now, Level::Warn, text, &[]);
            }
            Notice::Abandoned(given) => log.error(&format_args!(
                "not delivered: all peers left after {given} bytes of the input; start the \
                 server again to send it whole"
            )),
            Notice::InputFailed(error) => {
                log.error(&format_args!("reading standard input: {error}"));
            }
            Notice::OutputFailed(error) => {
                let text = format_args!("writing standard output: {error}");
                self.problems.line(log, now, Level::Error, text, &[]);
            }
            other => log.warn(&format_args!("{other:?}")),
        }
    }
}

/// A peer as the user knows it. Most lines of a flood are not shown, so nothing is made of it
/// before one is.
pub(crate) struct Name<'a> {
    /// The name of the key that it has proved; empty if there is none.
    key: &'a str,
    address: Address,
}

struct Address(Option<SocketAddr>);

impl<'a> Name<'a> {
    /// The name of `peer`, which may have left in the last turn. Where it is for a plain
    /// connection, the user knows it by the address of that.
    pub(crate) fn of<M: Mode>(events: &'a EventLoop<M>, peer: PeerId) -> Self {
        let key = events.endpoint().key_name(peer);
        Self {
            key: key.map_or("", |key| key),
            address: Address(events.source(peer).or_else(|| events.address(peer))),
        }
    }

    /// The name of what is at `address`, and has proved nothing.
    fn at(address: Option<SocketAddr>) -> Self {
        Self {
            key: "",
            address: Address(address),
        }
    }

    pub(crate) fn fields(&self) -> [Field<'_>; 2] {
        [("peer", &self.address), ("key", &self.key)]
    }

    pub(crate) fn fields_with<'b>(
        &'b self,
        name: &'static str,
        value: &'b dyn fmt::Display,
    ) -> [Field<'b>; 3] {
        let [peer, key] = self.fields();
        [peer, key, (name, value)]
    }
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.key.is_empty() {
            write!(f, "{} at ", self.key)?;
        }
        self.address.fmt(f)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => f.write_str(&host_and_port(address)),
            None => f.write_str("a peer"),
        }
    }
}

/// When it is tried again.
pub(crate) struct Again(pub(crate) Duration);

impl fmt::Display for Again {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "trying again in {:.1} s", self.0.as_secs_f64())
    }
}

/// Whether an ABORT of ours for this reason says that a target cannot be reached.
fn is_of_target(reason: Reason) -> bool {
    [Reason::REFUSED, Reason::TIMED_OUT].contains(&reason)
}

/// The first line that SIGUSR1 prints.
fn statistics_line(stats: &Stats, peers: usize, held: usize) -> String {
    format!(
        "{peers} peers now, {} joined, {} complete, {} failed, {} refused; \
         {} messages of {} bytes received; {} records opened, {} sealed; {held} bytes held",
        stats.joined,
        stats.complete,
        stats.failed,
        stats.refused,
        stats.messages,
        stats.bytes,
        stats.opened,
        stats.sealed,
    )
}
