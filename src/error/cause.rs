//! The words by which failures are counted and searched for.
//!
//! A word stands for what an operator would do about it, so several faults share one. Words
//! stay as they are: dashboards and alerts depend on them. `docs/OPERATING.md` explains each.

use super::{Deadline, Failure, PeerFault, Reason};

/// All words that [`Failure::cause`] gives.
pub const CAUSES: [&str; 30] = [
    "not_sealwire",
    "keys",
    "unproved",
    "replayed",
    "not_authentic",
    "protocol",
    "truncated",
    "broken",
    "handshake_late",
    "record_late",
    "silent",
    "closed",
    "too_large",
    "too_slow",
    "going_away",
    "key_withdrawn",
    "target_refused",
    "target_reset",
    "target_late",
    "local_error",
    "other",
    "peer_too_large",
    "peer_too_slow",
    "peer_going_away",
    "peer_key_withdrawn",
    "peer_target_refused",
    "peer_target_reset",
    "peer_target_late",
    "peer_local_error",
    "peer_other",
];

/// Where the words for an ABORT of ours begin in [`CAUSES`], in the order of reasons.
const OURS: usize = 12;
/// Where those for a peer's ABORT begin, in the same order.
const THEIRS: usize = 21;

impl Failure {
    /// One word of [`CAUSES`].
    pub fn cause(&self) -> &'static str {
        match self {
            Self::Peer(fault) => fault.cause(),
            Self::Aborted(abort) => CAUSES[THEIRS + abort.reason.place()],
            Self::Gave(abort) => CAUSES[OURS + abort.reason.place()],
            Self::Truncated(_) => "truncated",
            Self::Broken(_) => "broken",
            Self::Deadline(Deadline::Handshake) => "handshake_late",
            Self::Deadline(Deadline::Record | Deadline::Frame) => "record_late",
            Self::Deadline(Deadline::Silence(_)) => "silent",
            Self::Closed(_) => "closed",
        }
    }
}

impl PeerFault {
    fn cause(self) -> &'static str {
        match self {
            Self::NotSealwire => "not_sealwire",
            Self::NoHandshake | Self::UnknownKey | Self::HelloTag => "keys",
            Self::Unproved => "unproved",
            Self::Replayed => "replayed",
            Self::Tag | Self::ClassicFrame => "not_authentic",
            Self::ClassicLength => "too_large",
            _ => "protocol",
        }
    }
}

impl Reason {
    /// Its place among the reasons that `PROTOCOL.md` gives; unknown ones share the last.
    fn place(self) -> usize {
        match self.0 {
            1..=8 => usize::from(self.0) - 1,
            _ => 8,
        }
    }
}

/// Failures by their [cause](Failure::cause).
#[derive(Debug, Clone, Copy, Default)]
pub struct Causes([u64; CAUSES.len()]);

impl Causes {
    /// Counts a failure.
    pub(crate) fn note(&mut self, failure: &Failure) {
        let cause = failure.cause();
        let place = CAUSES.iter().position(|&name| name == cause);
        debug_assert!(place.is_some(), "{cause} is on the list");
        self.0[place.unwrap_or(CAUSES.len() - 1)] += 1;
    }

    /// Each cause, with its count.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        CAUSES.into_iter().zip(self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, ErrorKind};
    use std::time::Duration;

    use super::*;
    use crate::error::Abort;

    /// Goal: every kind of failure has a word on the list, and each word stands for one kind
    /// of ABORT. Method: failures of every kind, and ABORTs of every reason, known or not.
    #[test]
    fn every_failure_has_a_word() {
        let mut causes = Causes::default();
        let mut count = |failure: Failure, word: &str| {
            let counted = |causes: Causes| causes.iter().find(|&(name, _)| name == word);
            let before = counted(causes).map(|(_, count)| count + 1);
            causes.note(&failure);
            assert_eq!(
                counted(causes).map(|(_, count)| count),
                before,
                "{failure:?}"
            );
        };
        let read = io::Error::from(ErrorKind::ConnectionReset);
        for (failure, word) in [
            (PeerFault::HelloTag.into(), "keys"),
            (PeerFault::Replayed.into(), "replayed"),
            (PeerFault::Tag.into(), "not_authentic"),
            (PeerFault::Kind(9).into(), "protocol"),
            (Failure::Truncated("x"), "truncated"),
            (Failure::Broken(read.into()), "broken"),
            (Failure::Closed("x"), "closed"),
            (Failure::Deadline(Deadline::Frame), "record_late"),
            (
                Failure::Deadline(Deadline::Silence(Duration::ZERO)),
                "silent",
            ),
        ] {
            count(failure, word);
        }
        for (number, word) in [
            (1, "too_large"),
            (2, "too_slow"),
            (3, "going_away"),
            (4, "key_withdrawn"),
            (5, "target_refused"),
            (6, "target_reset"),
            (7, "target_late"),
            (8, "local_error"),
            (0, "other"),
            (9, "other"),
            (255, "other"),
        ] {
            let abort = Abort::new(Reason(number), "");
            count(Failure::Gave(abort.clone()), word);
            count(Failure::Aborted(abort), &format!("peer_{word}"));
        }
    }
}
