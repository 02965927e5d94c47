//! One peer's slot: its connection, and what each part of the endpoint notes on it.
//!
//! [`Protocol`] is what the two formats have in common. It decides nothing about other
//! peers: that is up to the parts. Read next: `roster`, `undecided`, `inbound`,
//! `outbound`, `flow` and `idle`.

use std::sync::Arc;

use super::flow::PeerFlow;
use super::idle::IdleClock;
use super::inbound::Intake;
use super::outbound::Outlet;
use super::roster::{Membership, Standing};
use super::slow::PeerSlowness;
use super::transport::LocalId;
use super::undecided::Undecided;
use crate::classic::ClassicConnection;
use crate::conn::{Connection, Outcome, StreamEnd};
use crate::crypto::ring::Key;
use crate::error::{Abort, Failure};
use crate::limits::Limits;
use crate::time::Time;

/// What a peer speaks.
#[derive(Debug)]
pub(super) enum Protocol {
    /// Its first bytes will tell; those that came are in its intake.
    Undecided(Undecided),
    Native(Connection),
    Classic(ClassicConnection),
}

/// One peer.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) protocol: Protocol,
    pub(super) membership: Membership,
    pub(super) intake: Intake,
    pub(super) outlet: Outlet,
    pub(super) flow: PeerFlow,
    pub(super) taking: PeerSlowness,
    pub(super) idle: IdleClock,
    /// The local that belongs to it, as in a tunnel. It may be gone.
    pub(super) local: Option<LocalId>,
    /// Its local has failed: it is aborted behind what is queued for it.
    pub(super) doomed: Option<Box<Abort>>,
}

impl Protocol {
    pub(super) fn is_over(&self) -> bool {
        match self {
            Self::Undecided(conn) => conn.is_over(),
            Self::Native(conn) => conn.is_over(),
            Self::Classic(conn) => conn.is_over(),
        }
    }

    /// Whether the connection is established and has not begun to close.
    pub(super) fn is_open(&self) -> bool {
        match self {
            Self::Undecided(_) => false,
            Self::Native(conn) => conn.is_open(),
            Self::Classic(conn) => !conn.is_over(),
        }
    }

    /// Whether the peer has shown that it holds the keys.
    pub(super) fn is_proved(&self) -> bool {
        match self {
            Self::Undecided(_) => false,
            Self::Native(conn) => conn.is_open(),
            Self::Classic(conn) => conn.is_proved(),
        }
    }

    /// Whether its hello waits for our answer.
    pub(super) fn waits_for_answer(&self) -> bool {
        matches!(self, Self::Native(conn) if conn.greeting().is_some())
    }

    /// The key that it used, if it connected to us.
    pub(super) fn key(&self) -> Option<&Arc<Key>> {
        match self {
            Self::Native(conn) => conn.key(),
            _ => None,
        }
    }

    pub(super) fn is_classic(&self) -> bool {
        matches!(self, Self::Classic(_))
    }

    pub(super) fn heard(&mut self, now: Time) {
        match self {
            Self::Undecided(conn) => conn.heard(now),
            Self::Native(conn) => conn.heard(now),
            Self::Classic(conn) => conn.heard(now),
        }
    }

    /// Ends it without sending ABORT.
    pub(super) fn fail(&mut self, failure: Failure) {
        match self {
            Self::Undecided(conn) => conn.fail(failure),
            Self::Native(conn) => conn.fail(failure),
            Self::Classic(conn) => conn.fail(failure),
        }
    }

    /// The stream has ended. Returns whether a classic peer has ended properly, which
    /// stands for FIN.
    pub(super) fn end_of_stream(&mut self, end: StreamEnd) -> bool {
        match self {
            Self::Undecided(_) => self.fail(Failure::Closed("it closed without a word")),
            Self::Native(conn) => conn.end_of_stream(end),
            Self::Classic(conn) => return conn.end_of_stream(end),
        }
        false
    }

    pub(super) fn write_failed(&mut self) {
        match self {
            Self::Undecided(_) => {}
            Self::Native(conn) => conn.write_failed(),
            Self::Classic(conn) => conn.write_failed(),
        }
    }

    pub(super) fn finish(&mut self) {
        match self {
            Self::Undecided(_) => {}
            Self::Native(conn) => conn.finish(),
            Self::Classic(conn) => conn.finish(),
        }
    }

    /// Whether it is complete or aborted, and only its end of stream is missing.
    pub(super) fn is_closing(&self) -> bool {
        matches!(self, Self::Native(conn) if conn.is_closing())
    }

    pub(super) fn poll_timeout(&self, limits: &Limits) -> Option<Time> {
        match self {
            Self::Undecided(conn) => conn.poll_timeout(),
            Self::Native(conn) => conn.poll_timeout(limits),
            Self::Classic(conn) => conn.poll_timeout(),
        }
    }

    /// Does what is due. No deadline of the peer expires while its bytes wait `unread`.
    /// Returns whether an undecided connection was silent long enough to become a listener.
    pub(super) fn handle_timeout(&mut self, limits: &Limits, now: Time, unread: bool) -> bool {
        match self {
            Self::Undecided(conn) => return conn.handle_timeout(now, unread),
            Self::Native(conn) => conn.handle_timeout(limits, now, unread),
            Self::Classic(conn) => conn.handle_timeout(now, unread),
        }
        false
    }

    pub(super) fn set_reading(&mut self, now: Time, reading: bool) {
        match self {
            Self::Undecided(_) => {}
            Self::Native(conn) => conn.set_reading(now, reading),
            Self::Classic(conn) => conn.set_reading(now, reading),
        }
    }

    /// How it ended, once it is over.
    pub(super) fn outcome(&self) -> Outcome {
        let outcome = match self {
            Self::Undecided(conn) => conn.outcome(),
            Self::Native(conn) => conn.outcome().cloned(),
            Self::Classic(conn) => conn.outcome().cloned(),
        };
        outcome.expect("a connection that is over has an outcome")
    }

    /// Whether to reset the connection: we gave up on the peer, and its format has no ABORT.
    pub(super) fn must_reset(&self) -> bool {
        let has_no_abort = !matches!(self, Self::Native(_));
        has_no_abort && self.is_over() && matches!(self.outcome(), Err(Failure::Gave(_)))
    }
}

impl Peer {
    pub(super) fn new(membership: Membership, protocol: Protocol) -> Self {
        Self {
            protocol,
            membership,
            intake: Intake::default(),
            outlet: Outlet::default(),
            flow: PeerFlow::default(),
            taking: PeerSlowness::default(),
            idle: IdleClock::default(),
            local: None,
            doomed: None,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.protocol.is_over()
    }

    /// Whether the mode knows it.
    pub(super) fn is_proved(&self) -> bool {
        self.membership.standing() == Standing::Proved
    }

    /// Whether it waits for a turn of ours: with bytes that have come, as far as is known, or
    /// with a hello that has no answer yet.
    pub(super) fn has_unread(&self) -> bool {
        self.flow.is_ready() || self.intake.has_backlog() || self.protocol.waits_for_answer()
    }

    /// Whether messages may be queued for it.
    pub(super) fn takes_messages(&self) -> bool {
        match &self.protocol {
            Protocol::Undecided(conn) => conn.listens(),
            Protocol::Native(conn) => self.is_proved() && conn.may_send() && !conn.is_finishing(),
            Protocol::Classic(conn) => conn.may_send() && !conn.is_finishing(),
        }
    }

    /// Whether there is something to seal for it.
    pub(super) fn has_output(&self) -> bool {
        let queued = !self.outlet.is_empty();
        match &self.protocol {
            Protocol::Undecided(conn) => queued && !conn.is_over(),
            Protocol::Native(conn) => conn.owes() || queued && conn.may_send(),
            Protocol::Classic(conn) => conn.may_send() && (conn.frame().is_some() || queued),
        }
    }

    /// Whether to shut down our end of its stream now; a second call says no. The shutdown
    /// never cuts a record.
    pub(super) fn take_shutdown(&mut self, now: Time) -> bool {
        if self.outlet.has_unsent() {
            return false;
        }
        match &mut self.protocol {
            Protocol::Undecided(_) => false,
            Protocol::Native(conn) => conn.take_shutdown(),
            Protocol::Classic(conn) => self.outlet.is_empty() && conn.take_shutdown(now),
        }
    }
}
