//! What the user is told on stderr: who came, who left and why, and what could
//! not be done. One line each; refusals at a bounded rate.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use super::config::{ModeKind, Role};
use crate::conn::Outcome;
use crate::endpoint::mode::Mode;
use crate::endpoint::{Event, Notice, Stats};
use crate::error::{Failure, Reason};
use crate::limits::REFUSALS_LOGGED;
use crate::net::event_loop::{EventLoop, Report};
use crate::time::Time;

/// How often lines of one kind start anew.
const PERIOD: Duration = Duration::from_secs(1);

/// Who reads, and therefore what they want to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Of a client: what went wrong with its one peer.
    Client,
    /// Of a chatting server: who comes and who goes.
    Chat,
    /// Of a server with a mode: what goes wrong, at a bounded rate.
    Service,
}

impl Audience {
    /// Who reads what a program in this role prints.
    pub fn of(role: &Role) -> Self {
        match role {
            Role::Client { .. } => Self::Client,
            Role::Server { mode, .. } if *mode == ModeKind::Chat => Self::Chat,
            Role::Server { .. } => Self::Service,
        }
    }
}

/// Prints reports.
#[derive(Debug)]
pub struct Reporter {
    audience: Audience,
    period: Time,
    printed: u32,
    hidden: u64,
}

/// A peer as the user knows it.
struct Name(Option<SocketAddr>);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => write!(f, "{address}"),
            None => f.write_str("a peer"),
        }
    }
}

impl Reporter {
    /// Prints for `audience`.
    pub fn new(audience: Audience) -> Self {
        Self {
            audience,
            period: Time::ZERO,
            printed: 0,
            hidden: 0,
        }
    }

    /// Prints what `report` has to tell.
    pub fn print<M: Mode>(&mut self, events: &EventLoop<M>, report: Report) {
        let now = events.now();
        match report {
            Report::Connected(address) => tracing::info!("connected to {address}"),
            Report::Reached(..) => {}
            Report::StatisticsWanted => {
                let core = events.endpoint().core();
                tracing::info!("{}", line(&core.stats(), core.proved(), core.held()));
                tracing::info!("{}", events.ticks());
            }
            Report::CannotAccept(error) => {
                if self.may_print(now) {
                    tracing::warn!("cannot accept more connections for now: {error}");
                }
            }
            Report::Endpoint(Event::Joined(peer)) => {
                if self.audience == Audience::Chat {
                    tracing::info!("{} came", Name(events.address(peer)));
                }
            }
            Report::Endpoint(Event::Left(peer, outcome)) => {
                self.left(now, &Name(events.address(peer)), &outcome);
            }
            Report::Endpoint(Event::Refused(peer, outcome)) => {
                self.refused(now, &Name(events.address(peer)), &outcome);
            }
            Report::Endpoint(Event::Notice(notice)) => self.notice(events, notice),
        }
    }

    fn left(&mut self, now: Time, name: &Name, outcome: &Outcome) {
        let chat = self.audience == Audience::Chat;
        match outcome {
            Ok(()) if chat => tracing::info!("{name} left"),
            Ok(()) => {}
            // A local of ours failed, which is told once, or is no failure.
            Err(Failure::Gave(abort)) if abort.reason == Reason::LOCAL_ERROR => {}
            Err(failure) => {
                if self.audience != Audience::Service || self.may_print(now) {
                    tracing::warn!("{name}: {failure}");
                }
            }
        }
    }

    fn refused(&mut self, now: Time, name: &Name, outcome: &Outcome) {
        let Err(failure) = outcome else {
            return;
        };
        if self.audience == Audience::Client {
            tracing::error!("{name}: {failure}");
        } else if !matches!(failure, Failure::Closed(_)) && self.may_print(now) {
            tracing::warn!("{name} refused: {failure}");
        }
    }

    fn notice<M: Mode>(&mut self, events: &EventLoop<M>, notice: Notice) {
        let now = events.now();
        match notice {
            Notice::NobodyThere => tracing::warn!("nobody is there: the line was dropped"),
            Notice::LeavingAfterPeers => {
                tracing::info!("input ended: leaving after these peers; --no-input keeps serving")
            }
            Notice::NotText(bytes) => {
                if self.may_print(now) {
                    tracing::warn!(
                        "{bytes} bytes are not UTF-8 and were left out: classic carries text only"
                    );
                }
            }
            Notice::CameLate(peer, given) => tracing::warn!(
                "{} came after {given} bytes of the input: it gets only what follows",
                Name(events.address(peer))
            ),
            Notice::InputFailed(error) => tracing::error!("reading standard input: {error}"),
            Notice::OutputFailed(error) => tracing::error!("writing standard output: {error}"),
        }
    }

    /// Whether another line of the kind that strangers cause may be printed.
    fn may_print(&mut self, now: Time) -> bool {
        if now.since(self.period) >= PERIOD {
            if self.hidden > 0 {
                tracing::warn!("{} more like these were not shown", self.hidden);
            }
            self.period = now;
            self.printed = 0;
            self.hidden = 0;
        }
        let may = self.printed < REFUSALS_LOGGED;
        if may {
            self.printed += 1;
        } else {
            self.hidden += 1;
        }
        may
    }
}

/// The first line that SIGUSR1 prints.
fn line(stats: &Stats, peers: usize, held: usize) -> String {
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
