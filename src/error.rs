//! Why a connection ended, sorted by whose fault it was.
//!
//! A [`Failure`] is about one connection and is final for it. Texts say what happened;
//! the caller, which knows the address, adds to which peer it happened.

pub mod cause;

use std::fmt;
use std::io::{self, ErrorKind};
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use crate::limits;
use crate::text::Escaped;

/// Why one connection ended before it was complete.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The peer broke the protocol, or is not a holder of the keys.
    #[error(transparent)]
    Peer(#[from] PeerFault),
    /// The peer gave up and said why.
    #[error("the peer gave up: {0}")]
    Aborted(Abort),
    /// We gave up on the peer and told it why.
    #[error("gave up: {0}")]
    Gave(Abort),
    /// The stream ended before everything was handed on. A read that failed is
    /// [`Broken`](Self::Broken).
    #[error("the connection ended before everything was transferred ({0})")]
    Truncated(&'static str),
    /// Reading from a peer that was connected failed before everything was handed on.
    #[error("the connection ended before everything was transferred ({0})")]
    Broken(#[source] ReadError),
    /// A deadline passed.
    #[error("{0}")]
    Deadline(Deadline),
    /// Closed from our side to make room, or because we leave.
    #[error("closed: {0}")]
    Closed(&'static str),
}

/// How grave a failure is, from mild to grave. Of several, the gravest counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gravity {
    /// Something failed on this machine.
    Local,
    /// The peer is at fault, or gave up.
    Peer,
    /// Something is missing, and the end does not say why.
    Truncated,
    /// The peer was too slow or silent.
    Late,
}

impl Failure {
    /// Whether another connection may fare better: nobody has shown that the keys differ, has
    /// broken the protocol, or will refuse the next one for the same reason.
    pub fn may_pass(&self) -> bool {
        match self {
            // Both may be a server that is just being stopped.
            Self::Peer(fault) => matches!(fault, PeerFault::NoHandshake | PeerFault::Unproved),
            Self::Aborted(abort) => abort.reason.may_pass() || abort.reason == Reason::LOCAL_ERROR,
            Self::Gave(abort) => abort.reason.may_pass(),
            Self::Truncated(_) | Self::Broken(_) | Self::Deadline(_) | Self::Closed(_) => true,
        }
    }

    /// How grave it is.
    pub fn gravity(&self) -> Gravity {
        match self {
            Self::Peer(_) | Self::Aborted(_) => Gravity::Peer,
            Self::Gave(abort) => match abort.reason {
                Reason::TOO_LARGE => Gravity::Peer,
                Reason::LOCAL_ERROR => Gravity::Local,
                Reason::TOO_SLOW => Gravity::Late,
                _ => Gravity::Truncated,
            },
            Self::Truncated(_) | Self::Broken(_) | Self::Closed(_) => Gravity::Truncated,
            Self::Deadline(_) => Gravity::Late,
        }
    }
}

/// The system's error of a read from the peer. Clones share it, because an
/// [`io::Error`] cannot be cloned. It is no error itself, so that the source of a failure is
/// the [`io::Error`].
#[derive(Debug, Clone)]
pub struct ReadError(Arc<io::Error>);

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        Self(Arc::new(error))
    }
}

impl Deref for ReadError {
    type Target = io::Error;

    fn deref(&self) -> &io::Error {
        &self.0
    }
}

impl PartialEq for ReadError {
    /// Compares the kinds, because an [`io::Error`] cannot be compared.
    fn eq(&self, other: &Self) -> bool {
        self.kind() == other.kind()
    }
}

impl Eq for ReadError {}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind() {
            ErrorKind::ConnectionReset => "it was reset",
            ErrorKind::TimedOut => "the network gave up on it",
            _ => "reading failed",
        })
    }
}

/// What the peer did that a holder of the keys that follows `PROTOCOL.md` never does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerFault {
    /// The server closed or reset before the handshake was done.
    #[error(
        "keys or service differ, or not a sealwire server, or one that takes no more peers \
         (it closed before the handshake)"
    )]
    NoHandshake,
    /// It closed or reset before its first record.
    #[error("it closed before it had proved that it holds the keys")]
    Unproved,
    /// The first bytes are no hello.
    #[error("not a sealwire peer (the first bytes are no hello)")]
    NotSealwire,
    /// A cipher suite we do not have.
    #[error("the hello asks for suite {0}; only 1 is known")]
    Suite(u8),
    /// A service that is not offered here.
    #[error("the hello asks for service {0}, which is not offered here")]
    Service(u8),
    /// A reserved byte of a hello is not zero.
    #[error("a reserved byte of the hello is not zero")]
    Reserved,
    /// The hello names keys that are not ours.
    #[error("the keys differ (unknown key id)")]
    UnknownKey,
    /// The hello is not authentic.
    #[error("the keys differ (the hello does not authenticate)")]
    HelloTag,
    /// The hello came before, in another connection.
    #[error("its hello is a recording of an earlier one")]
    Replayed,
    /// Something follows the client's hello before the server has answered.
    #[error("it broke the protocol: it sent more before its hello was answered")]
    Early,
    /// The Diffie-Hellman result is zero: a low-order point was sent.
    #[error("the hello carries a low-order public key")]
    LowOrder,
    /// A record of 0 or of more than 1025 blocks.
    #[error("it broke the protocol: a record of {0} blocks (1 to {max} are allowed)", max = limits::MAX_BLOCKS)]
    Blocks(u16),
    /// A record that does not authenticate: changed, replayed, reordered,
    /// reflected, or under other keys.
    #[error("a record does not authenticate: it was changed on the way, or the keys differ")]
    Tag,
    /// The plaintext of a record is all zero.
    #[error("it broke the protocol: a record has no kind")]
    NoKind,
    /// A payload over the limit of a record.
    #[error("it broke the protocol: a record carries {0} bytes ({max} are allowed)", max = limits::MAX_PAYLOAD)]
    LongPayload(usize),
    /// A kind that does not exist.
    #[error("it broke the protocol: a record of unknown kind {0}")]
    Kind(u8),
    /// A payload that this kind may not have.
    #[error("it broke the protocol: a record of kind {kind} with a payload of {len} bytes")]
    Payload {
        /// The kind's number.
        kind: u8,
        /// Payload bytes.
        len: usize,
    },
    /// A PACK of too few or too many messages, or whose lengths do not fill it.
    #[error("it broke the protocol: a pack of messages that does not parse")]
    Pack,
    /// PACK between PART and END.
    #[error("it broke the protocol: a pack of messages inside a message")]
    PackInside,
    /// FIN between PART and END.
    #[error("it broke the protocol: a FIN inside a message")]
    FinInside,
    /// PART, END, PACK or FIN after FIN.
    #[error("it broke the protocol: a message or a second FIN after FIN")]
    AfterFin,
    /// DONE, and no FIN had been sent.
    #[error("it broke the protocol: a DONE that nobody asked for")]
    DoneUnasked,
    /// A classic frame that does not authenticate, decrypt or continue.
    #[error("a classic frame is not valid: the keys differ, or it was changed on the way")]
    ClassicFrame,
    /// A classic message over the limit.
    #[error("a classic message over the limit")]
    ClassicLength,
}

/// Which deadline passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deadline {
    /// The handshake and the first record.
    Handshake,
    /// A record, from its first byte to its last.
    Record,
    /// A classic frame, from its first byte to its last.
    Frame,
    /// Nothing came at all for this time.
    Silence(Duration),
}

impl Deadline {
    /// How long it was.
    pub const fn span(self) -> Duration {
        match self {
            Self::Handshake => limits::HANDSHAKE_DEADLINE,
            Self::Record => limits::RECORD_DEADLINE,
            Self::Frame => limits::CLASSIC_FRAME_DEADLINE,
            Self::Silence(dead_after) => dead_after,
        }
    }
}

impl fmt::Display for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            Self::Handshake => "no handshake",
            Self::Record => "a record was not whole",
            Self::Frame => "a classic frame was not whole",
            Self::Silence(_) => "not a byte",
        };
        write!(f, "{what} within {} s", self.span().as_secs_f64())
    }
}

/// The number that an ABORT gives as its reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reason(pub u8);

impl Reason {
    /// A message is larger than the receiver takes.
    pub const TOO_LARGE: Self = Self(1);
    /// The receiver does not keep up.
    pub const TOO_SLOW: Self = Self(2);
    /// The sender of the ABORT is leaving.
    pub const GOING_AWAY: Self = Self(3);
    /// The key is no longer valid.
    pub const KEY_WITHDRAWN: Self = Self(4);
    /// The tunnel's target refused.
    pub const REFUSED: Self = Self(5);
    /// The tunnel's target or source was reset.
    pub const RESET: Self = Self(6);
    /// The tunnel's target did not answer.
    pub const TIMED_OUT: Self = Self(7);
    /// Something failed on the sender's own machine.
    pub const LOCAL_ERROR: Self = Self(8);

    /// Whether it says nothing of the next connection.
    fn may_pass(self) -> bool {
        [
            Self::TOO_SLOW,
            Self::GOING_AWAY,
            Self::REFUSED,
            Self::RESET,
            Self::TIMED_OUT,
        ]
        .contains(&self)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0 {
            1 => "message too large",
            2 => "too slow",
            3 => "going away",
            4 => "key withdrawn",
            5 => "target refused",
            6 => "target or source reset",
            7 => "target timed out",
            8 => "local error",
            other => return write!(f, "reason {other}"),
        };
        f.write_str(name)
    }
}

/// An ABORT's reason and text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Abort {
    /// Why.
    pub reason: Reason,
    /// Free text, as it came: it may hold any bytes and is escaped when shown.
    pub text: Vec<u8>,
}

impl Abort {
    /// An ABORT of our own.
    pub fn new(reason: Reason, text: &str) -> Self {
        let mut text = text.as_bytes().to_vec();
        text.truncate(limits::MAX_ABORT - 1);
        Self { reason, text }
    }

    /// The payload of the record that says it (`PROTOCOL.md` §1.3).
    pub(crate) fn payload(&self) -> Vec<u8> {
        [&[self.reason.0], &self.text[..]].concat()
    }
}

impl fmt::Display for Abort {
    /// The reason, then the text, escaped for a terminal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.reason)?;
        if self.text.is_empty() {
            return Ok(());
        }
        write!(f, ": {}", Escaped(&self.text))
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    /// Goal: what may pass is told from what another connection would meet again. Method: each
    /// kind of failure.
    #[test]
    fn some_failures_may_pass() {
        let gave = |reason| Failure::Gave(Abort::new(reason, ""));
        let aborted = |reason| Failure::Aborted(Abort::new(reason, ""));
        for failure in [
            PeerFault::NoHandshake.into(),
            Failure::Truncated("the peer closed it"),
            Failure::Broken(io::Error::from(ErrorKind::ConnectionReset).into()),
            Failure::Deadline(Deadline::Handshake),
            aborted(Reason::GOING_AWAY),
            aborted(Reason::LOCAL_ERROR),
            gave(Reason::TOO_SLOW),
        ] {
            assert!(failure.may_pass(), "{failure}");
        }
        for failure in [
            PeerFault::HelloTag.into(),
            PeerFault::Tag.into(),
            PeerFault::NotSealwire.into(),
            aborted(Reason::KEY_WITHDRAWN),
            aborted(Reason::TOO_LARGE),
            aborted(Reason(99)),
            gave(Reason::TOO_LARGE),
            gave(Reason::LOCAL_ERROR),
        ] {
            assert!(!failure.may_pass(), "{failure}");
        }
    }

    /// Goal: a failed read is told in plain words, and its cause is kept. Method: each text
    /// with an error of its kind; the source is that error.
    #[test]
    fn a_failed_read_keeps_its_error() {
        for (kind, why) in [
            (ErrorKind::ConnectionReset, "it was reset"),
            (ErrorKind::TimedOut, "the network gave up on it"),
            (ErrorKind::HostUnreachable, "reading failed"),
        ] {
            let failure = Failure::Broken(io::Error::from(kind).into());
            assert_eq!(
                failure.to_string(),
                format!("the connection ended before everything was transferred ({why})")
            );
            let source = failure.source().and_then(|error| error.downcast_ref());
            assert_eq!(source.map(io::Error::kind), Some(kind));
        }
    }
}
