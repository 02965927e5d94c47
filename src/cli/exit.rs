//! The exit code of a run (`docs/OPERATING.md`, Exit codes).

use sealwire::{End, Gravity};

/// Added to the number of a signal that ended us before all was complete (POSIX shells).
const BY_SIGNAL: u8 = 128;
/// The reader of our output has gone and missed something: the code that a shell reports for a
/// program that SIGPIPE ended.
pub(crate) const READER_GONE: u8 = BY_SIGNAL + 13;

/// The exit code for `end`; `stopped_by` is the last signal that stopped the program.
pub(crate) fn code(end: End, stopped_by: Option<i32>) -> u8 {
    match end {
        End::Complete => 0,
        End::Failed(gravity) => code_of(gravity),
        End::LocalFailed => code_of(Gravity::Local),
        End::ReaderGone => READER_GONE,
        End::Stopped => BY_SIGNAL + stopped_by.unwrap_or_default() as u8,
    }
}

/// Rises with the gravity: the gravest failure has the highest code.
fn code_of(gravity: Gravity) -> u8 {
    match gravity {
        Gravity::Local => 1,
        Gravity::Peer => 3,
        Gravity::Truncated => 4,
        Gravity::Late => 5,
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, ErrorKind};

    use sealwire::{Abort, Deadline, Failure, PeerFault, Reason};

    use super::*;

    /// Goal: each end has the code of `docs/OPERATING.md`, and a graver failure a higher
    /// one. Method: all kinds of ends; all ranks in order.
    #[test]
    fn ends_have_their_codes() {
        let gave = |reason| Failure::Gave(Abort::new(reason, ""));
        let failures = [
            (gave(Reason::LOCAL_ERROR), 1),
            (Failure::Peer(PeerFault::Tag), 3),
            (Failure::Aborted(Abort::new(Reason::TOO_SLOW, "")), 3),
            (gave(Reason::TOO_LARGE), 3),
            (gave(Reason::GOING_AWAY), 4),
            (Failure::Truncated("the peer closed it"), 4),
            (
                Failure::Broken(io::Error::from(ErrorKind::TimedOut).into()),
                4,
            ),
            (Failure::Closed("we are leaving"), 4),
            (gave(Reason::TOO_SLOW), 5),
            (Failure::Deadline(Deadline::Handshake), 5),
        ];
        assert!(failures.is_sorted_by_key(|(failure, _)| failure.gravity()));
        for (failure, wanted) in failures {
            assert_eq!(code(End::Failed(failure.gravity()), None), wanted);
        }
        assert_eq!(code(End::Complete, Some(15)), 0);
        assert_eq!(code(End::LocalFailed, None), 1);
        assert_eq!(code(End::ReaderGone, None), 141);
        assert_eq!(code(End::Stopped, Some(15)), 128 + 15);
    }
}
