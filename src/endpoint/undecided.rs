//! A connection whose format is not known yet.
//!
//! Its first bytes decide. Until then it has only clocks, and a failure if it ends: a peer
//! that stays silent may be an old client that only listens. Read next:
//! [`super::admission`], which reads the first bytes.

use crate::conn::Outcome;
use crate::error::{Deadline, Failure};
use crate::limits::{CLASSIC_SILENCE, HANDSHAKE_DEADLINE};
use crate::time::Time;

/// A connection that may speak either format.
#[derive(Debug)]
pub(super) struct Undecided {
    born: Time,
    first_byte: Option<Time>,
    listens: bool,
    failure: Option<Failure>,
}

impl Undecided {
    pub(super) fn new(now: Time) -> Self {
        Self {
            born: now,
            first_byte: None,
            listens: false,
            failure: None,
        }
    }

    /// It was silent long enough to be an old client that only listens, and is not over.
    pub(super) fn listens(&self) -> bool {
        self.listens && !self.is_over()
    }

    pub(super) fn first_byte(&self) -> Option<Time> {
        self.first_byte
    }

    /// When the handshake began: with the connection, or with the first byte of a
    /// listener.
    pub(super) fn since(&self, now: Time) -> Time {
        match self.listens {
            true => self.first_byte.unwrap_or(now),
            false => self.born,
        }
    }

    pub(super) fn heard(&mut self, now: Time) {
        self.first_byte.get_or_insert(now);
    }

    /// The first failure stays.
    pub(super) fn fail(&mut self, failure: Failure) {
        self.failure.get_or_insert(failure);
    }

    pub(super) fn is_over(&self) -> bool {
        self.failure.is_some()
    }

    pub(super) fn outcome(&self) -> Option<Outcome> {
        self.failure.clone().map(Err)
    }

    /// When to look at it: a silent peer becomes a listener then; a peer that has begun to
    /// send must have finished its handshake.
    pub(super) fn poll_timeout(&self) -> Option<Time> {
        match self.first_byte {
            _ if self.is_over() => None,
            Some(first) => Some(self.since(first) + HANDSHAKE_DEADLINE),
            None if self.listens => None,
            None => Some(self.born + CLASSIC_SILENCE),
        }
    }

    /// Does what is due. No deadline expires while bytes wait `unread`. Returns whether the
    /// peer has just become a listener.
    pub(super) fn handle_timeout(&mut self, now: Time, unread: bool) -> bool {
        if unread || self.poll_timeout().is_none_or(|due| now < due) {
            return false;
        }
        if self.first_byte.is_some() {
            self.fail(Failure::Deadline(Deadline::Handshake));
            return false;
        }
        self.listens = true;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const START: Time = Time::ZERO;

    /// What becomes of a connection whose first byte comes after `silence`, when 5 s have
    /// passed since the handshake began, less or more a millisecond.
    fn times_out(silence: Duration, began: Time) {
        let mut conn = Undecided::new(START);
        let listens = conn.handle_timeout(START + silence, false);
        assert_eq!(listens, silence >= CLASSIC_SILENCE);
        conn.heard(START + silence);
        assert_eq!(conn.since(START + silence), began);
        let due = began + HANDSHAKE_DEADLINE;
        assert_eq!(conn.poll_timeout(), Some(due));
        assert!(!conn.handle_timeout(due, true) && !conn.is_over(), "unread");
        assert!(!conn.handle_timeout(due, false));
        conn.fail(Failure::Closed("the first failure stays"));
        let late = Failure::Deadline(Deadline::Handshake);
        assert_eq!(conn.outcome(), Some(Err(late)));
        assert!(!conn.listens() && conn.poll_timeout().is_none());
    }

    /// Goal: a handshake has 5 s from the start of the connection, or from the first byte of
    /// a listener. Method: a first byte at once, and after 2 s of silence.
    #[test]
    fn a_handshake_has_five_seconds() {
        times_out(Duration::from_millis(10), START);
        let silence = Duration::from_secs(2);
        times_out(silence, START + silence);
    }
}
