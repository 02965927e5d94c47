//! The clocks of one connection (`PROTOCOL.md` §1.2, §1.3, §1.5).
//!
//! They say when something is due. They do not act on it: read
//! [`super::Connection::handle_timeout`] for that.

use crate::error::Deadline;
use crate::limits::{CLOSING_DEADLINE, HANDSHAKE_DEADLINE, Limits, RECORD_DEADLINE};
use crate::time::Time;

/// What a clock asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// The connection has failed.
    Failed(Deadline),
    /// Send PING, so that the other side hears us.
    Ping,
    /// The other's end of stream did not come: close.
    Close,
}

/// Which clocks run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Handshake { deadline: Time },
    Open,
    Closing { deadline: Time },
}

/// The clocks of what the other side sends, in either format.
#[derive(Debug)]
pub(crate) struct Hearing {
    /// When the last byte came, or reading went on.
    pub(crate) heard: Time,
    /// When the record or frame that is not whole yet began.
    pub(crate) partial: Option<Time>,
    /// The driver reads from this peer.
    pub(crate) reading: bool,
}

impl Hearing {
    pub(crate) fn new(now: Time) -> Self {
        Self {
            heard: now,
            partial: None,
            reading: true,
        }
    }

    /// The clocks stand still while the driver does not read, and start anew when it
    /// does: our pause must not expire the peer's deadlines.
    pub(crate) fn set_reading(&mut self, now: Time, reading: bool) {
        if reading && !self.reading {
            self.heard = now;
            self.partial = self.partial.map(|_| now);
        }
        self.reading = reading;
    }
}

/// The clocks of a native connection. The times that a user may set stay in [`Limits`],
/// which all connections share.
#[derive(Debug)]
pub(super) struct Clocks {
    phase: Phase,
    /// When the last record was sealed.
    pub(super) spoke: Time,
    pub(super) hearing: Hearing,
}

impl Clocks {
    pub(super) fn new(now: Time) -> Self {
        let deadline = now + HANDSHAKE_DEADLINE;
        Self {
            phase: Phase::Handshake { deadline },
            spoke: now,
            hearing: Hearing::new(now),
        }
    }

    /// The other side is proved: silence and records count from now on.
    pub(super) fn open(&mut self, now: Time) {
        self.phase = Phase::Open;
        self.hearing.heard = now;
        self.spoke = now;
    }

    /// From now on only the end of the other's stream is missing.
    pub(super) fn close(&mut self, now: Time) {
        if !matches!(self.phase, Phase::Closing { .. }) {
            let deadline = now + CLOSING_DEADLINE;
            self.phase = Phase::Closing { deadline };
        }
    }

    /// When to call [`due`](Self::due) again.
    pub(super) fn next(&self, limits: &Limits) -> Time {
        match self.phase {
            Phase::Handshake { deadline } | Phase::Closing { deadline } => deadline,
            Phase::Open => {
                let ping = self.spoke + limits.ping_after;
                self.deadline(limits).map_or(ping, |(at, _)| at.min(ping))
            }
        }
    }

    /// What is due. No deadline of the peer expires while its bytes wait `unread`.
    pub(super) fn due(&self, limits: &Limits, now: Time, unread: bool) -> Option<Due> {
        match self.phase {
            Phase::Handshake { deadline } => {
                (now >= deadline && !unread).then_some(Due::Failed(Deadline::Handshake))
            }
            Phase::Closing { deadline } => (now >= deadline).then_some(Due::Close),
            Phase::Open => match self.deadline(limits) {
                Some((at, which)) if now >= at && !unread => Some(Due::Failed(which)),
                _ => (now >= self.spoke + limits.ping_after).then_some(Due::Ping),
            },
        }
    }

    /// The nearest deadline of the peer, while the driver reads.
    fn deadline(&self, limits: &Limits) -> Option<(Time, Deadline)> {
        if !self.hearing.reading {
            return None;
        }
        let dead_after = limits.dead_after;
        let silence = (
            self.hearing.heard + dead_after,
            Deadline::Silence(dead_after),
        );
        match self.hearing.partial.map(|at| at + RECORD_DEADLINE) {
            Some(record) if record < silence.0 => Some((record, Deadline::Record)),
            _ => Some(silence),
        }
    }
}
