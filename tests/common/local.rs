//! A plain stream in memory, as an endpoint's local.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};

use sealwire::Read;

/// A local: bytes to read, and bytes that were written.
#[derive(Debug)]
pub(crate) struct Plain {
    pub(crate) input: VecDeque<u8>,
    pub(crate) input_ended: bool,
    pub(crate) read_error: Option<ErrorKind>,
    /// Most bytes of one read.
    pub(crate) piece: usize,
    pub(crate) output: Vec<u8>,
    /// How many more bytes of output are taken before it blocks.
    pub(crate) room: usize,
    pub(crate) write_error: Option<ErrorKind>,
}

impl Plain {
    /// Gives `bytes`, and then nothing for now; takes everything.
    pub(crate) fn open(bytes: &[u8]) -> Self {
        Self {
            input: bytes.iter().copied().collect(),
            input_ended: false,
            read_error: None,
            piece: usize::MAX,
            output: Vec::new(),
            room: usize::MAX,
            write_error: None,
        }
    }

    pub(crate) fn read(&mut self, into: &mut [u8]) -> io::Result<Read> {
        assert!(!into.is_empty(), "a read without room looks like the end");
        if let Some(kind) = self.read_error {
            return Err(kind.into());
        }
        if self.input.is_empty() && !self.input_ended {
            return Err(ErrorKind::WouldBlock.into());
        }
        let bytes = self.input.len().min(into.len()).min(self.piece);
        for (to, from) in into.iter_mut().zip(self.input.drain(..bytes)) {
            *to = from;
        }
        Ok(Read {
            bytes,
            drained: self.input.is_empty() && !self.input_ended,
        })
    }

    pub(crate) fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if let Some(kind) = self.write_error {
            return Err(kind.into());
        }
        let mut count = 0;
        for slice in slices {
            let fits = slice.len().min(self.room);
            self.output.extend_from_slice(&slice[..fits]);
            self.room -= fits;
            count += fits;
        }
        match count {
            0 => Err(ErrorKind::WouldBlock.into()),
            _ => Ok(count),
        }
    }
}
