//! What the library is compared with: plain TCP and TLS 1.3, on both sides.
//!
//! A [`Rival`] turns a stream of bytes into what travels over a socket, and back. One loop
//! ([`streams`]) drives it, for the load tester ([`client`]) and for the server of a run
//! ([`server`]). The rivals do not go through the library's own loop: they have no records and no
//! completion, so its cost for these would flatter the library. Their loop takes the same care
//! instead: one buffer to read into, which connections share as in the library; a list of the
//! connections that may have more; and no allocation for a message.

#[cfg(feature = "tls")]
pub(crate) mod certificate;
mod client;
mod plain;
pub(crate) mod server;
mod streams;
#[cfg(test)]
mod tests;
#[cfg(feature = "tls")]
mod tls;

use std::io::{self, ErrorKind, IoSlice};

use sealwire::net::stream::Stream;

pub(crate) use self::client::Client;
pub(crate) use self::plain::Plain;
#[cfg(feature = "tls")]
pub(crate) use self::tls::{TlsClient, TlsServer};

/// One side of one connection: bytes in, bytes out, over its socket.
pub(crate) trait Rival: Sized {
    /// What all connections of one side have in common.
    type Setup;

    /// Buffers that all connections of a loop share.
    type Scratch: Default;

    fn new(setup: &Self::Setup) -> io::Result<Self>;

    fn is_open(&self) -> bool;

    /// Reads from `socket`, and puts the payload into `into`, which has room for at most
    /// [`INPUT_SCRATCH`](sealwire::limits::INPUT_SCRATCH).
    /// `WouldBlock` says that nothing has come; all other errors end the connection.
    fn receive(
        &mut self,
        socket: &mut Stream,
        into: &mut [u8],
        room: &mut Self::Scratch,
    ) -> io::Result<ReadResult>;

    /// Sends a first part of `parts`, after what is [unsent](Self::unsent). Returns how many
    /// bytes it accepted. Fewer than all means that the socket accepts no more for now.
    fn send(
        &mut self,
        socket: &mut Stream,
        parts: &[IoSlice<'_>],
        room: &mut Self::Scratch,
    ) -> io::Result<usize>;

    /// Bytes that it has accepted or made itself, and that the socket has not accepted.
    fn unsent(&self) -> usize {
        0
    }

    /// Sends the format's mark that nothing follows, if it has one, after what was sent.
    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct ReadResult {
    bytes: usize,
    /// Nothing more is there now.
    drained: bool,
    /// The other side has properly ended its direction, by the rules of the format.
    ended: bool,
}

/// Writes a first part of `parts` to `socket`. Returns how much it took: 0 if it has no room.
fn write(socket: &mut Stream, parts: &[IoSlice<'_>]) -> io::Result<usize> {
    let wrote = match parts {
        [part] => socket.write(part),
        _ => socket.write_vectored(parts),
    };
    match wrote {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        result => result,
    }
}
