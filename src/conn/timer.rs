//! The clocks of one native connection (`PROTOCOL.md` §1.2, §1.3, §1.5).
//!
//! They say when something is due, not what follows from it: that is
//! [`super::Connection::handle_timeout`].

use crate::error::Deadline;
use crate::limits::{
    CLOSING_DEADLINE, HANDSHAKE_DEADLINE, PING_AFTER, RECORD_DEADLINE, SILENCE_DEADLINE,
};
use crate::time::Time;

/// What a clock asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// The connection has failed.
    Failed(Deadline),
    /// Say something, so that the other side hears us.
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

/// The clocks themselves.
#[derive(Debug)]
pub(super) struct Timers {
    phase: Phase,
    /// When the last byte came, or reading went on.
    heard: Time,
    /// When the last record was sealed.
    spoke: Time,
    /// When the record that is not whole yet began.
    partial: Option<Time>,
    reading: bool,
}

impl Timers {
    pub(super) fn new(now: Time) -> Self {
        Self {
            phase: Phase::Handshake {
                deadline: now + HANDSHAKE_DEADLINE,
            },
            heard: now,
            spoke: now,
            partial: None,
            reading: true,
        }
    }

    /// The other side is proved: silence and records count from now on.
    pub(super) fn open(&mut self, now: Time) {
        self.phase = Phase::Open;
        self.heard = now;
        self.spoke = now;
    }

    /// Only the end of the other's stream is waited for.
    pub(super) fn close(&mut self, now: Time) {
        if !matches!(self.phase, Phase::Closing { .. }) {
            let deadline = now + CLOSING_DEADLINE;
            self.phase = Phase::Closing { deadline };
        }
    }

    pub(super) fn heard(&mut self, now: Time) {
        self.heard = now;
    }

    pub(super) fn spoke(&mut self, now: Time) {
        self.spoke = now;
    }

    /// A new record began, or none is in progress.
    pub(super) fn partial(&mut self, since: Option<Time>) {
        self.partial = since;
    }

    pub(super) fn partial_since(&self) -> Option<Time> {
        self.partial
    }

    /// The receiver reads, or not; the clocks of what it hears stand still while
    /// it does not, and start anew when it does.
    pub(super) fn set_reading(&mut self, now: Time, reading: bool) {
        if reading && !self.reading {
            self.heard = now;
            self.partial = self.partial.map(|_| now);
        }
        self.reading = reading;
    }

    /// When [`due`](Self::due) is worth asking again.
    pub(super) fn next(&self) -> Time {
        match self.phase {
            Phase::Handshake { deadline } | Phase::Closing { deadline } => deadline,
            Phase::Open => {
                let ping = self.spoke + PING_AFTER;
                self.deadline().map_or(ping, |(at, _)| at.min(ping))
            }
        }
    }

    /// What is due. While bytes wait `unread`, nothing is held against the other
    /// side.
    pub(super) fn due(&self, now: Time, unread: bool) -> Option<Due> {
        match self.phase {
            Phase::Handshake { deadline } => {
                (now >= deadline && !unread).then_some(Due::Failed(Deadline::Handshake))
            }
            Phase::Closing { deadline } => (now >= deadline).then_some(Due::Close),
            Phase::Open => match self.deadline() {
                Some((at, which)) if now >= at && !unread => Some(Due::Failed(which)),
                _ => (now >= self.spoke + PING_AFTER).then_some(Due::Ping),
            },
        }
    }

    /// The nearest deadline of what is heard, while it is listened for.
    fn deadline(&self) -> Option<(Time, Deadline)> {
        if !self.reading {
            return None;
        }
        let silence = (self.heard + SILENCE_DEADLINE, Deadline::Silence);
        let record = self
            .partial
            .map(|at| (at + RECORD_DEADLINE, Deadline::Record));
        Some(record.map_or(silence, |record| {
            if record.0 < silence.0 {
                record
            } else {
                silence
            }
        }))
    }
}
