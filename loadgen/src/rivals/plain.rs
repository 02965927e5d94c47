//! TCP with no protection: the lower bound of the cost.
//!
//! It copies nothing: bytes are read to where they are used, and written from where they are.

use std::io::{self, IoSlice, IoSliceMut};

use sealwire::net::stream::Stream;

use super::{ReadResult, Rival, write};

/// Bytes as they are.
pub(crate) struct Plain;

impl Rival for Plain {
    type Setup = ();
    type Scratch = ();

    fn new((): &()) -> io::Result<Self> {
        Ok(Self)
    }

    fn is_open(&self) -> bool {
        true
    }

    fn receive(
        &mut self,
        socket: &mut Stream,
        into: &mut [u8],
        (): &mut (),
    ) -> io::Result<ReadResult> {
        let read = socket.read(&mut [IoSliceMut::new(into)])?;
        Ok(ReadResult {
            bytes: read.bytes,
            drained: read.drained,
            ended: read.bytes == 0,
        })
    }

    fn send(
        &mut self,
        socket: &mut Stream,
        parts: &[IoSlice<'_>],
        (): &mut (),
    ) -> io::Result<usize> {
        match parts {
            [] => Ok(0),
            _ => write(socket, parts),
        }
    }
}
