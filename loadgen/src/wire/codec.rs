//! What protects a stream of bytes, or does not: the seam between the loop and
//! [`plain`](super::plain) or TLS.

use std::io::{self, ErrorKind, IoSlice};

use sealwire::net::stream::Stream;

/// One side of one connection: bytes in, bytes out, over its socket.
pub(crate) trait Codec: Sized {
    /// What all connections of one side have in common.
    type Setup;

    /// Room that it reads and writes in, which no connection has to itself.
    type Room: Default;

    /// One that has neither read nor written.
    fn new(setup: &Self::Setup) -> io::Result<Self>;

    /// Whether the other side can be sent to.
    fn is_open(&self) -> bool;

    /// Reads from `socket`, and puts what was said into `into`, which has room for
    /// at most [`INPUT_SCRATCH`](sealwire::limits::INPUT_SCRATCH).
    ///
    /// # Errors
    ///
    /// `WouldBlock`, if nothing has come; all others end the connection.
    fn receive(
        &mut self,
        socket: &mut Stream,
        into: &mut [u8],
        room: &mut Self::Room,
    ) -> io::Result<Came>;

    /// Sends a first part of `parts`, and before it what is
    /// [unsent](Self::unsent); says how much it took. Less than all means that the
    /// socket takes no more for now.
    fn send(
        &mut self,
        socket: &mut Stream,
        parts: &[IoSlice<'_>],
        room: &mut Self::Room,
    ) -> io::Result<usize>;

    /// Bytes that it has taken, or made itself, and the socket has not.
    fn unsent(&self) -> usize;

    /// Says, behind what was sent, that nothing more follows, where the format has
    /// a word for it.
    fn finish(&mut self) -> io::Result<()>;
}

/// What one read brought.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Came {
    /// How much was said.
    pub(crate) bytes: usize,
    /// Nothing more is there now.
    pub(crate) drained: bool,
    /// The other side has said, as the format wants it, that nothing follows.
    pub(crate) ended: bool,
}

/// Writes a first part of `parts` to `socket`; says how much it took, which is
/// nothing if it has no room.
pub(super) fn write(socket: &mut Stream, parts: &[IoSlice<'_>]) -> io::Result<usize> {
    let wrote = match parts {
        [part] => socket.write(part),
        _ => socket.write_vectored(parts),
    };
    match wrote {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        result => result,
    }
}
