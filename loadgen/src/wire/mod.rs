//! What carries messages, and what is carried.
//!
//! A [`Crew`] with its workload says what is sent and judges what comes back; it sees
//! peers by name, a clock, and a [`Link`] to send through, and no socket. A [`Wire`] owns
//! the sockets and drives it: [`sealed`] with the library itself; [`streams`] with what
//! that is compared with.
//!
//! Of streams there are two, [`plain`] and `tls`, behind one seam, [`codec`]. [`turns`] is
//! the loop over their connections, which are in [`peers`]; whoever uses it is its
//! [`user`]: here the crew, in [`crate::server`] what serves. [`cutting`] makes messages of
//! the bytes that come.

#[cfg(feature = "tls")]
pub(crate) mod certificate;
pub(crate) mod codec;
pub(crate) mod cutting;
pub(crate) mod peers;
pub(crate) mod plain;
mod sealed;
mod streams;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(feature = "tls")]
pub(crate) mod tls;
pub(crate) mod turns;
pub(crate) mod user;

use std::io;
use std::net::SocketAddr;
use std::ops::Range;

use sealwire::crypto::kernel::Kernel;
use sealwire::endpoint::transport::PeerId;
use sealwire::net::clock::Clock;
use sealwire::time::Time;
use sealwire_cli::error::Error;

use self::plain::Plain;
use self::sealed::Sealed;
use self::streams::Streams;
#[cfg(feature = "tls")]
use self::tls::TlsClient;
use crate::args::Target;
use crate::crew::Crew;
use crate::pattern::Pattern;
use crate::plan::{Over, Plan};

/// What a wire is made of.
pub(crate) struct Context<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) server: &'a Target,
    pub(crate) address: SocketAddr,
    pub(crate) kernel: Kernel,
    pub(crate) pattern: Pattern,
    pub(crate) clock: Clock,
}

/// The wire that the plan wants, without connections, for `crew`.
pub(crate) fn open(context: &Context<'_>, crew: Crew) -> Result<Box<dyn Wire + Send>, Error> {
    let wire = match context.plan.over {
        Over::Sealed => Sealed::new(context, crew).map(|wire| Box::new(wire) as _),
        Over::Plain => Streams::<Plain>::new(context, (), crew).map(|wire| Box::new(wire) as _),
        #[cfg(feature = "tls")]
        Over::Tls => {
            let setup = certificate::client(context.server.certificate.as_deref())?;
            Streams::<TlsClient>::new(context, setup, crew).map(|wire| Box::new(wire) as _)
        }
    };
    wire.map_err(|error| Error::Local(format!("cannot wait for events: {error}")))
}

/// Moves the messages of many peers.
pub(crate) trait Wire {
    /// Begins to connect another peer, from `from` if that is given.
    fn connect(&mut self, from: Option<SocketAddr>) -> io::Result<PeerId>;

    /// Waits until something happens, at most until `until`, which is kept to some
    /// microseconds, and does all that follows from it. Calls the crew.
    fn turn(&mut self, until: Time) -> Result<(), Error>;

    /// What it drives.
    fn crew(&mut self) -> &mut Crew;

    /// The time now, by the clock that all wires of a run share.
    fn now(&self) -> Time;
}

/// What a workload may do while it is called.
pub(crate) trait Link {
    /// The time now.
    fn now(&self) -> Time;

    /// Sends the bytes `part` of the run's pattern as a message. Says whether it
    /// will leave: not to who is gone or was told that no more follows.
    fn send(&mut self, peer: PeerId, part: Range<usize>) -> bool;

    /// How many bytes of messages wait to be sent to `peer`, roughly.
    fn waiting(&self, peer: PeerId) -> usize;

    /// Tells `peer`, behind what is sent, that nothing more follows.
    fn finish(&mut self, peer: PeerId);
}

/// A message that came: its bytes, in the pieces they are in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Received<'a>(pub(crate) &'a [&'a [u8]]);

impl Received<'_> {
    /// Whether these are its bytes.
    pub(crate) fn equals(self, mut wanted: &[u8]) -> bool {
        let same = self.0.iter().all(|part| {
            let rest = wanted.strip_prefix(*part);
            wanted = rest.unwrap_or(wanted);
            rest.is_some()
        });
        same && wanted.is_empty()
    }

    /// Its first eight bytes, if it has so many.
    pub(crate) fn start(self) -> Option<[u8; 8]> {
        let mut start = [0; 8];
        let mut rest = &mut start[..];
        for part in self.0 {
            let (to, behind) = rest.split_at_mut(part.len().min(rest.len()));
            to.copy_from_slice(&part[..to.len()]);
            rest = behind;
        }
        rest.is_empty().then_some(start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: which message it is, is told however its bytes are cut. Method: a first
    /// piece of each length; one too short.
    #[test]
    fn a_start_in_pieces() {
        let bytes = *b"0123456789";
        for cut in 0..bytes.len() {
            let (front, back) = bytes.split_at(cut);
            assert_eq!(
                Received(&[front, back]).start(),
                Some(*b"01234567"),
                "{cut}"
            );
        }
        assert_eq!(Received(&[b"012", b"3456"]).start(), None);
    }
}
