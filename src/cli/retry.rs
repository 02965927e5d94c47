//! Lets a chat on a terminal connect again after its connection has failed or ended, or could not
//! be made.
//!
//! The loop and the endpoint stay, with the terminal and the signals: only the peer is another.
//! What is typed meanwhile waits in the terminal for the next peer. It does not decide what a
//! failure is: [`Failure::may_pass`] does. Read next: [`mod@crate::run`]; `net::tunnel` in the
//! library, where plain connections wait instead.

use std::io::{IsTerminal as _, stdin, stdout};
use std::time::Duration;

use sealwire::net::backoff::Backoff;
use sealwire::{
    EndpointEvent, EventLoop, Failure, Mode, NetError, PeerFault, PeerId, Report, Time,
};

use crate::error::Error;
use crate::limits::LASTING;
use crate::log::{Level, Log};
use crate::report::{Again, Name};
use crate::usage;

/// Dials again and again.
#[derive(Debug)]
pub(crate) struct Retry {
    host: String,
    port: u16,
    backoff: Backoff,
    /// When to dial, if nobody is there or on the way.
    due: Option<Time>,
    /// Since when the peer is proved.
    joined: Option<Time>,
    /// Bytes typed when the last connection ended; nothing is read before the next.
    typed: u64,
    /// A peer was proved: the keys are right, and what follows is another connection.
    was_there: bool,
}

impl Retry {
    /// One that connects to `port` of `host`, which has been dialled once.
    ///
    /// # Errors
    ///
    /// If the user could lose something without a word: what a pipe or a file has given, or
    /// taken, is gone with its connection.
    pub(crate) fn new(host: &str, port: u16, no_input: bool) -> Result<Self, Error> {
        let piped = match (no_input || stdin().is_terminal(), stdout().is_terminal()) {
            (true, true) => None,
            (false, _) => Some("stdin"),
            (_, false) => Some("stdout"),
        };
        if let Some(name) = piped {
            return usage(format!(
                "--retry: {name} is no terminal, and what a pipe or a file has lost with its \
                 connection cannot be sent again: leave --retry out, and start the whole \
                 transfer anew if it fails"
            ));
        }
        Ok(Self {
            host: host.to_owned(),
            port,
            backoff: Backoff::of_retry(),
            due: None,
            joined: None,
            typed: 0,
            was_there: false,
        })
    }

    /// Acts on `report`. Returns whether the user has been told all of it.
    pub(crate) fn takes<M: Mode>(
        &mut self,
        log: &mut Log,
        events: &mut EventLoop<M>,
        report: &Report,
    ) -> bool {
        match report {
            // That it is there again is said once it is proved.
            Report::Connected(..) => self.was_there,
            Report::Endpoint(EndpointEvent::Joined(peer)) => self.joined(log, events, *peer),
            Report::Endpoint(
                EndpointEvent::Left(peer, Err(failure))
                | EndpointEvent::Refused(peer, Err(failure)),
            ) => self.failed(log, events, *peer, failure),
            Report::Endpoint(EndpointEvent::Left(peer, Ok(()))) => self.ended(log, events, *peer),
            _ => false,
        }
    }

    fn joined<M: Mode>(&mut self, log: &mut Log, events: &EventLoop<M>, peer: PeerId) -> bool {
        self.joined = Some(events.now());
        if std::mem::replace(&mut self.was_there, true) {
            let name = Name::of(events, peer);
            let text = format_args!("connected to {name} again");
            log.line(Level::Info, &text, &name.fields());
        }
        false
    }

    /// The connection has failed. Returns whether there will be another.
    fn failed<M: Mode>(
        &mut self,
        log: &mut Log,
        events: &mut EventLoop<M>,
        peer: PeerId,
        failure: &Failure,
    ) -> bool {
        // A server that does not know the key closes like this: so it is worth another try
        // only where the key was right before.
        let no_handshake = *failure == Failure::Peer(PeerFault::NoHandshake);
        if is_over(events) || !failure.may_pass() || no_handshake && !self.was_there {
            return false;
        }
        let wait = self.wait(events);
        let before = std::mem::replace(&mut self.typed, events.endpoint().input_given());
        let lost = match self.typed > before {
            true => "; what you typed last may not have arrived",
            false => "",
        };
        let name = Name::of(events, peer);
        let text = format_args!("{name}: {failure}{lost}; {}", Again(wait));
        let cause = failure.cause();
        log.line(Level::Warn, &text, &name.fields_with("reason", &cause));
        events.endpoint_mut().await_another();
        true
    }

    /// The server has ended the connection properly, as one does that is started again. It has
    /// everything. Returns whether there will be another.
    fn ended<M: Mode>(&mut self, log: &mut Log, events: &mut EventLoop<M>, peer: PeerId) -> bool {
        if is_over(events) {
            return false;
        }
        let wait = self.wait(events);
        self.typed = events.endpoint().input_given();
        let name = Name::of(events, peer);
        let text = format_args!("{name} left; {}", Again(wait));
        log.line(Level::Info, &text, &name.fields());
        events.endpoint_mut().await_another();
        true
    }

    /// There is no connection now: returns how long it waits for the next.
    fn wait<M: Mode>(&mut self, events: &EventLoop<M>) -> Duration {
        let now = events.now();
        let joined = self.joined.take();
        if joined.is_some_and(|since| now.since(since) >= LASTING) {
            self.backoff.succeeded();
        }
        let wait = self.backoff.failed(now);
        self.due = Some(self.backoff.until());
        wait
    }

    /// The server could not be reached.
    ///
    /// # Errors
    ///
    /// Where another try would not help, why.
    pub(crate) fn unreachable(
        &mut self,
        log: &mut Log,
        now: Time,
        error: NetError,
    ) -> Result<(), NetError> {
        if !error.may_pass() {
            return Err(error);
        }
        let wait = self.backoff.failed(now);
        log.warn(&format_args!("{error}; {}", Again(wait)));
        self.due = Some(self.backoff.until());
        Ok(())
    }

    /// Dials, if it is time. Returns when to call this again, if at all.
    pub(crate) fn dial<M: Mode>(&mut self, events: &mut EventLoop<M>) -> Option<Time> {
        let now = events.now();
        if self.due.take_if(|due| *due <= now).is_some() {
            events.dial(&self.host, self.port);
        }
        self.due
    }
}

/// The user has said all, or leaves, or this machine has failed.
fn is_over<M: Mode>(events: &EventLoop<M>) -> bool {
    let endpoint = events.endpoint();
    endpoint.input_has_ended() || !endpoint.is_accepting()
}
