//! Making the load: what peers send, when, and what must come back.
//!
//! A [`worker`] takes the [`peers`] of one thread through a run. They follow a [`workload`], which
//! sees peers by name, a clock, and a [`Link`] to send through, but no socket. A [`Wire`] owns the
//! sockets and calls the workload: [`sealed`] is the library itself, and [`crate::rivals`] are
//! what it is compared with. [`crate::measure`] keeps the figures.

mod churn;
mod echo;
pub(crate) mod ending;
mod fanout;
mod pace;
pub(crate) mod pattern;
pub(crate) mod peers;
mod schedule;
pub(crate) mod sealed;
#[cfg(test)]
mod simulation;
mod sink;
pub(crate) mod sources;
#[cfg(test)]
mod tests;
pub(crate) mod worker;
pub(crate) mod workload;

use std::io;
use std::net::SocketAddr;
use std::ops::Range;

use sealwire::{Clock, Kernel, PeerId, Time};
use sealwire_cli::error::Error;

use self::pattern::Pattern;
use self::peers::Peers;
use crate::plan::{Plan, Target};

/// What every thread of a run connects with, and to.
pub(crate) struct RunSetup<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) server: &'a Target,
    pub(crate) address: SocketAddr,
    pub(crate) kernel: Kernel,
    pub(crate) pattern: Pattern,
    pub(crate) clock: Clock,
}

pub(crate) trait Wire {
    /// Begins to connect another peer, from `from` if that is given.
    fn connect(&mut self, from: Option<SocketAddr>) -> io::Result<PeerId>;

    /// Waits until something happens, or until the time `until`, to the microsecond. Then acts on
    /// what happened.
    fn turn(&mut self, until: Time) -> Result<(), Error>;

    fn peers(&mut self) -> &mut Peers;

    /// The time now, by the clock that all wires of a run share.
    fn now(&self) -> Time;
}

/// What a workload may do while it is called.
pub(crate) trait Link {
    fn now(&self) -> Time;

    /// Sends the bytes `part` of the run's pattern as a message. Returns whether it will leave:
    /// not to a peer that is gone, or was told that nothing follows.
    fn send(&mut self, peer: PeerId, part: Range<usize>) -> bool;

    /// About how many bytes of messages wait to be sent to `peer`.
    fn waiting(&self, peer: PeerId) -> usize;

    /// Tells `peer`, after what is sent, that nothing follows.
    fn finish(&mut self, peer: PeerId);
}

/// A message that came: its bytes, in the pieces they are in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Received<'a>(pub(crate) &'a [&'a [u8]]);

impl Received<'_> {
    pub(crate) fn equals(self, mut wanted: &[u8]) -> bool {
        let same = self.0.iter().all(|part| {
            let rest = wanted.strip_prefix(*part);
            wanted = rest.unwrap_or(wanted);
            rest.is_some()
        });
        same && wanted.is_empty()
    }

    /// Its first eight bytes, if it has eight.
    pub(crate) fn start(self) -> Option<[u8; 8]> {
        let mut bytes = self.0.iter().copied().flatten();
        let mut start = [0; 8];
        for to in &mut start {
            *to = *bytes.next()?;
        }
        Some(start)
    }
}

#[cfg(test)]
mod received {
    use super::Received;

    /// Goal: a message is compared, and its start is read, however its bytes are cut. Method: a
    /// first piece of each length; one too short.
    #[test]
    fn pieces() {
        let bytes = *b"0123456789";
        for cut in 0..bytes.len() {
            let (front, back) = bytes.split_at(cut);
            let pieces = [front, back];
            let received = Received(&pieces);
            assert_eq!(received.start(), Some(*b"01234567"), "{cut}");
            assert!(received.equals(&bytes) && !received.equals(&bytes[1..]));
        }
        assert_eq!(Received(&[b"012", b"3456"]).start(), None);
    }
}
