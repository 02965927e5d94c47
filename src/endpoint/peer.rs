//! One peer's slot: its connection, what waits for it, and what lists it is on.
//!
//! What the two formats have in common is asked of [`Protocol`]; who decides what
//! follows is the rest of the endpoint.

use super::queue::Queue;
use crate::conn::classic::ClassicConnection;
use crate::conn::{Connection, Outcome, StreamEnd};
use crate::error::{Deadline, Failure};
use crate::limits::{CLASSIC_SILENCE, HANDSHAKE_DEADLINE};
use crate::span::Span;
use crate::time::Time;
use crate::wire::buffer::Assembly;

/// What a peer speaks.
#[derive(Debug)]
pub(super) enum Protocol {
    /// Its first bytes will tell; those that came are in `Peer::partial`.
    Undecided(Undecided),
    Native(Connection),
    Classic(ClassicConnection),
    /// Ended before it was decided.
    Ended(Failure),
}

/// A connection that may speak either format.
#[derive(Debug, Clone, Copy)]
pub(super) struct Undecided {
    pub(super) born: Time,
    pub(super) first_byte: Option<Time>,
    /// It was silent for so long that it may be an old client that only listens.
    pub(super) listens: bool,
}

/// What kind of slot a peer takes (`PROTOCOL.md` §2, `limits`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing is known about it.
    Unproved,
    /// Silent, or classic without a whole frame yet.
    Listening,
    /// It holds the keys.
    Proved,
}

/// Bytes of a unit that is not whole yet, in a buffer of their own.
#[derive(Debug, Clone, Copy)]
pub(super) enum Partial {
    /// So many have been filled of where the unit is; the rest is read in behind them.
    Unit { unit: Span, filled: u32 },
    /// How long the unit is, is not known yet: they go back in front of what is read
    /// next.
    Start(Span),
}

impl Partial {
    /// Where all of it is or will be.
    pub(super) fn span(self) -> Span {
        match self {
            Self::Unit { unit, .. } => unit,
            Self::Start(start) => start,
        }
    }
}

/// One peer.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) generation: u32,
    pub(super) protocol: Protocol,
    pub(super) standing: Standing,
    /// The mode knows it.
    pub(super) joined: bool,
    pub(super) queue: Queue,
    pub(super) partial: Option<Partial>,
    /// Sealed bytes that the socket would not take.
    pub(super) unsent: Option<Span>,
    /// Its socket takes nothing until it is said to be writable.
    pub(super) blocked: bool,
    pub(super) assembly: Assembly,
    /// On the list of those with something to read; of those to be sent to; of
    /// those not read for now; of those to be looked at when the tick ends.
    pub(super) ready: bool,
    pub(super) dirty: bool,
    pub(super) paused: bool,
    pub(super) touched: bool,
    /// It sends much at once ([`STREAM_FROM`](crate::limits::STREAM_FROM)); and it has let
    /// those go first who were ready with it, since its last turn.
    pub(super) streams: bool,
    pub(super) made_way: bool,
    /// The end of its stream was read.
    pub(super) ended: bool,
    /// Its queue is above high water, and when it last took something.
    pub(super) congested: bool,
    pub(super) progress: Time,
    /// The last time that data moved either way; set anew while we hold it up, not the
    /// peer.
    pub(super) last_active: Time,
    /// The earliest entry in the timers.
    pub(super) planned: Option<Time>,
}

impl Undecided {
    pub(super) fn new(now: Time) -> Self {
        Self {
            born: now,
            first_byte: None,
            listens: false,
        }
    }

    /// When the time of a handshake began: with the connection, or with the first
    /// byte of who was silent for long.
    pub(super) fn since(self, now: Time) -> Time {
        match self.listens {
            true => self.first_byte.unwrap_or(now),
            false => self.born,
        }
    }

    /// When it is to be looked at: one that says nothing may only listen; one that
    /// has begun has the time of a handshake.
    fn due(self) -> Option<Time> {
        match self.first_byte {
            Some(first) => Some(self.since(first) + HANDSHAKE_DEADLINE),
            None if self.listens => None,
            None => Some(self.born + CLASSIC_SILENCE),
        }
    }
}

impl Protocol {
    pub(super) fn is_over(&self) -> bool {
        match self {
            Self::Undecided(_) => false,
            Self::Native(conn) => conn.is_over(),
            Self::Classic(conn) => conn.is_over(),
            Self::Ended(_) => true,
        }
    }

    /// Whether messages go both ways, as far as the connection is concerned.
    pub(super) fn is_open(&self) -> bool {
        match self {
            Self::Undecided(_) | Self::Ended(_) => false,
            Self::Native(conn) => conn.is_open(),
            Self::Classic(conn) => !conn.is_over(),
        }
    }

    /// Says that bytes came.
    pub(super) fn heard(&mut self, now: Time) {
        match self {
            Self::Undecided(undecided) => {
                undecided.first_byte.get_or_insert(now);
            }
            Self::Native(conn) => conn.heard(now),
            Self::Classic(conn) => conn.heard(now),
            Self::Ended(_) => {}
        }
    }

    /// Ends it without a word.
    pub(super) fn fail(&mut self, failure: Failure) {
        match self {
            Self::Undecided(_) => *self = Self::Ended(failure),
            Self::Native(conn) => conn.fail(failure),
            Self::Classic(conn) => conn.fail(failure),
            Self::Ended(_) => {}
        }
    }

    /// Nothing more comes. Says whether a classic peer has ended properly, which
    /// stands for FIN.
    pub(super) fn end_of_stream(&mut self, end: StreamEnd) -> bool {
        match self {
            Self::Undecided(_) => self.fail(Failure::Closed("it closed without a word")),
            Self::Native(conn) => conn.end_of_stream(end),
            Self::Classic(conn) => return conn.end_of_stream(end),
            Self::Ended(_) => {}
        }
        false
    }

    pub(super) fn write_failed(&mut self) {
        match self {
            Self::Undecided(_) | Self::Ended(_) => {}
            Self::Native(conn) => conn.write_failed(),
            Self::Classic(conn) => conn.write_failed(),
        }
    }

    pub(super) fn finish(&mut self) {
        match self {
            Self::Undecided(_) | Self::Ended(_) => {}
            Self::Native(conn) => conn.finish(),
            Self::Classic(conn) => conn.finish(),
        }
    }

    /// Whether all is said, and what was said last is on its way.
    pub(super) fn is_closing(&self) -> bool {
        matches!(self, Self::Native(conn) if conn.is_closing())
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        match self {
            Self::Undecided(undecided) => undecided.due(),
            Self::Native(conn) => conn.poll_timeout(),
            Self::Classic(conn) => conn.poll_timeout(),
            Self::Ended(_) => None,
        }
    }

    /// Does what is due, while bytes wait `unread` or not. Says whether an undecided
    /// connection has been silent for so long that it is to listen.
    pub(super) fn handle_timeout(&mut self, now: Time, unread: bool) -> bool {
        match self {
            Self::Undecided(undecided) => {
                let due = !unread && undecided.due().is_some_and(|due| now >= due);
                if due && undecided.first_byte.is_some() {
                    self.fail(Failure::Deadline(Deadline::Handshake));
                } else {
                    undecided.listens |= due;
                    return due;
                }
            }
            Self::Native(conn) => conn.handle_timeout(now, unread),
            Self::Classic(conn) => conn.handle_timeout(now, unread),
            Self::Ended(_) => {}
        }
        false
    }
}

impl Peer {
    pub(super) fn new(generation: u32, protocol: Protocol) -> Self {
        Self {
            generation,
            protocol,
            standing: Standing::Unproved,
            joined: false,
            queue: Queue::default(),
            partial: None,
            unsent: None,
            blocked: false,
            assembly: Assembly::default(),
            ready: false,
            dirty: false,
            paused: false,
            touched: false,
            streams: false,
            made_way: false,
            ended: false,
            congested: false,
            progress: Time::ZERO,
            last_active: Time::ZERO,
            planned: None,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.protocol.is_over()
    }

    /// Whether messages may be queued for it.
    pub(super) fn takes_messages(&self) -> bool {
        match &self.protocol {
            Protocol::Undecided(undecided) => undecided.listens,
            Protocol::Native(conn) => self.joined && conn.may_send() && !conn.is_finishing(),
            Protocol::Classic(conn) => conn.may_send() && !conn.is_finishing(),
            Protocol::Ended(_) => false,
        }
    }

    /// Whether anything waits for it, sealed or not.
    pub(super) fn has_waiting(&self) -> bool {
        self.unsent.is_some() || !self.queue.is_empty()
    }

    /// Whether there is something to be sealed for it.
    pub(super) fn has_output(&self) -> bool {
        match &self.protocol {
            Protocol::Undecided(_) => !self.queue.is_empty(),
            Protocol::Native(conn) => conn.owes() || !self.queue.is_empty() && conn.may_send(),
            Protocol::Classic(conn) => {
                conn.may_send() && (conn.frame().is_some() || !self.queue.is_empty())
            }
            Protocol::Ended(_) => false,
        }
    }

    /// Whether its end of the stream is to be shut down now; asked again, no. Not
    /// in the middle of a record.
    pub(super) fn take_shutdown(&mut self, now: Time) -> bool {
        if self.unsent.is_some() {
            return false;
        }
        match &mut self.protocol {
            Protocol::Undecided(_) | Protocol::Ended(_) => false,
            Protocol::Native(conn) => conn.take_shutdown(),
            Protocol::Classic(conn) => self.queue.is_empty() && conn.take_shutdown(now),
        }
    }

    /// How it ended, once it is over.
    pub(super) fn outcome(&self) -> Outcome {
        let outcome = match &self.protocol {
            Protocol::Undecided(_) => None,
            Protocol::Native(conn) => conn.outcome().cloned(),
            Protocol::Classic(conn) => conn.outcome().cloned(),
            Protocol::Ended(failure) => Some(Err(failure.clone())),
        };
        outcome.expect("who is over has an outcome")
    }

    /// Whether we gave it up in a format that has no other way to say so.
    pub(super) fn must_reset(&self) -> bool {
        match &self.protocol {
            Protocol::Undecided(_) | Protocol::Native(_) => false,
            Protocol::Ended(failure) => matches!(failure, Failure::Gave(_)),
            Protocol::Classic(conn) => matches!(conn.outcome(), Some(Err(Failure::Gave(_)))),
        }
    }

    pub(super) fn set_reading(&mut self, now: Time, reading: bool) {
        self.paused = !reading;
        match &mut self.protocol {
            Protocol::Undecided(_) | Protocol::Ended(_) => {}
            Protocol::Native(conn) => conn.set_reading(now, reading),
            Protocol::Classic(conn) => conn.set_reading(now, reading),
        }
    }
}
