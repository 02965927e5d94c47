//! One peer's slot: its connection, what waits for it, and what lists it is on.

use super::queue::Queue;
use crate::conn::classic::ClassicConnection;
use crate::conn::{Connection, Outcome};
use crate::error::Failure;
use crate::time::Time;
use crate::wire::buffer::{Assembly, BufferId};

/// What a peer speaks.
#[derive(Debug)]
pub(super) enum Protocol {
    /// Its first bytes will tell; those that came are in `Peer::partial`.
    Undecided {
        /// When the first byte came.
        first_byte: Option<Time>,
    },
    Native(Connection),
    Classic(ClassicConnection),
    /// Ended before it was decided.
    Ended(Failure),
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

/// Bytes of a unit that is not whole yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Partial {
    pub(super) buffer: BufferId,
    pub(super) filled: usize,
    /// How many it has in all, if the rest is to be read in behind them; else
    /// they go back in front of what is read next.
    pub(super) whole: Option<usize>,
}

/// Sealed bytes that the socket would not take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unsent {
    pub(super) buffer: BufferId,
    pub(super) from: usize,
    pub(super) to: usize,
}

/// One peer.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) generation: u32,
    pub(super) protocol: Protocol,
    pub(super) standing: Standing,
    pub(super) born: Time,
    /// The mode knows it.
    pub(super) joined: bool,
    pub(super) queue: Queue,
    pub(super) partial: Option<Partial>,
    pub(super) unsent: Option<Unsent>,
    pub(super) assembly: Assembly,
    /// On the list of those with something to read; of those to be sent to; of
    /// those not read for now; of those to be looked at when the tick ends.
    pub(super) ready: bool,
    pub(super) dirty: bool,
    pub(super) paused: bool,
    pub(super) touched: bool,
    /// The end of its stream was read.
    pub(super) ended: bool,
    /// Its queue is above high water, and when it last took something.
    pub(super) congested: bool,
    pub(super) progress: Time,
    /// The earliest entry in the timers.
    pub(super) planned: Option<Time>,
}

impl Peer {
    pub(super) fn new(generation: u32, protocol: Protocol, now: Time) -> Self {
        Self {
            generation,
            protocol,
            standing: Standing::Unproved,
            born: now,
            joined: false,
            queue: Queue::default(),
            partial: None,
            unsent: None,
            assembly: Assembly::default(),
            ready: false,
            dirty: false,
            paused: false,
            touched: false,
            ended: false,
            congested: false,
            progress: now,
            planned: None,
        }
    }

    /// Whether messages may be queued for it.
    pub(super) fn takes_messages(&self) -> bool {
        match &self.protocol {
            Protocol::Undecided { .. } => self.standing == Standing::Listening,
            Protocol::Native(conn) => self.joined && conn.may_send() && !conn.is_finishing(),
            Protocol::Classic(conn) => conn.may_send() && !conn.is_finishing(),
            Protocol::Ended(_) => false,
        }
    }

    /// Whether there is something to be sealed for it.
    pub(super) fn has_output(&self) -> bool {
        match &self.protocol {
            Protocol::Undecided { .. } => !self.queue.is_empty(),
            Protocol::Native(conn) => {
                conn.owes() || !self.queue.is_empty() && (conn.may_send() || conn.is_aborting())
            }
            Protocol::Classic(conn) => {
                conn.may_send() && (conn.frame().is_some() || !self.queue.is_empty())
            }
            Protocol::Ended(_) => false,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        match &self.protocol {
            Protocol::Undecided { .. } => false,
            Protocol::Native(conn) => conn.is_over(),
            Protocol::Classic(conn) => conn.is_over(),
            Protocol::Ended(_) => true,
        }
    }

    /// How it ended; only asked when it is over, or closed because we leave.
    pub(super) fn outcome(&self) -> Outcome {
        let outcome = match &self.protocol {
            Protocol::Undecided { .. } => None,
            Protocol::Native(conn) => conn.outcome().cloned(),
            Protocol::Classic(conn) => conn.outcome().cloned(),
            Protocol::Ended(failure) => Some(Err(failure.clone())),
        };
        outcome.unwrap_or(Err(Failure::Closed("we are leaving")))
    }

    pub(super) fn reading(&mut self, now: Time, reading: bool) {
        self.paused = !reading;
        match &mut self.protocol {
            Protocol::Undecided { .. } | Protocol::Ended(_) => {}
            Protocol::Native(conn) => conn.reading(now, reading),
            Protocol::Classic(conn) => conn.reading(now, reading),
        }
    }

    pub(super) fn finish(&mut self) {
        match &mut self.protocol {
            Protocol::Undecided { .. } | Protocol::Ended(_) => {}
            Protocol::Native(conn) => conn.finish(),
            Protocol::Classic(conn) => conn.finish(),
        }
    }
}
