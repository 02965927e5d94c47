//! Inherited descriptors as byte streams that never block their caller.
//!
//! A terminal or a pipe is non-blocking and polled; a file and `/dev/null` are always
//! ready; for the rest, such as a socket, a helper thread makes the calls and wakes the
//! poll, after which input and output are both worth a try. `descriptor` says which is
//! which, and why. What the bytes are for is not known here: read [`crate::endpoint`].

use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token, Waker};
use rustix::io::{Errno, retry_on_intr};

use super::descriptor::{Descriptor, Direction};
use super::helper::Helper;
use crate::endpoint::transport::Read;
use crate::limits::LOCAL_BUDGET;

/// A descriptor to read from.
#[derive(Debug)]
pub(super) struct Input(End);

/// A descriptor to write to.
#[derive(Debug)]
pub(super) struct Output(End);

/// Our end of a stream, by the thread that makes the calls.
#[derive(Debug)]
enum End {
    /// The caller's: calls return at once.
    Ours(OwnedFd),
    /// The helper's.
    Helped { helper: Helper, block: Block },
}

/// The helper's buffer, and how much of it is read and not yet taken.
///
/// Invariant: `taken <= filled <= bytes.len()`.
#[derive(Debug, Default)]
struct Block {
    bytes: Vec<u8>,
    taken: usize,
    filled: usize,
}

impl End {
    /// Opens `fd` without blocking; other programs see no change. `waker` wakes the poll
    /// when a helper has made a call. Where the poll can wait, it reports under `token`
    /// that a call is worth a try.
    fn open(
        fd: BorrowedFd<'_>,
        direction: Direction,
        waker: Arc<Waker>,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        let interest = match direction {
            Direction::In => Interest::READABLE,
            Direction::Out => Interest::WRITABLE,
        };
        Ok(match Descriptor::open(fd, direction)? {
            Descriptor::AlwaysReady(fd) => Self::Ours(fd),
            Descriptor::Polled(fd) => {
                registry.register(&mut SourceFd(&fd.as_raw_fd()), token, interest)?;
                Self::Ours(fd)
            }
            Descriptor::Blocking(fd) => Self::Helped {
                helper: Helper::start(fd, direction, waker)?,
                block: Block::default(),
            },
        })
    }
}

impl Input {
    /// Opens `fd` for reading, for the poll of `registry`, which `waker` wakes.
    pub(super) fn open(
        fd: BorrowedFd<'_>,
        waker: Arc<Waker>,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        End::open(fd, Direction::In, waker, registry, token).map(Self)
    }

    /// Reads into `into`, which has room. A descriptor that was not opened for reading
    /// reads as an end.
    ///
    /// Never drained before the end: a terminal gives one line at a time, and the end of
    /// a pipe comes in one event with its last bytes.
    pub(super) fn read(&mut self, into: &mut [u8]) -> io::Result<Read> {
        debug_assert!(!into.is_empty(), "a read without room looks like the end");
        let result = match &mut self.0 {
            End::Ours(fd) => {
                retry_on_intr(|| rustix::io::read(&*fd, &mut *into)).map_err(Into::into)
            }
            End::Helped { helper, block } => block.read(helper, into),
        };
        let bytes = match result {
            Err(error) if Errno::from_io_error(&error) == Some(Errno::BADF) => 0,
            other => other?,
        };
        Ok(Read {
            bytes,
            drained: bytes == 0,
        })
    }
}

impl Block {
    /// Takes the bytes that the helper read, or asks for more and says `WouldBlock`.
    fn read(&mut self, helper: &mut Helper, into: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.filled {
            if !helper.is_busy() {
                let mut bytes = std::mem::take(&mut self.bytes);
                bytes.resize(LOCAL_BUDGET, 0);
                helper.give(bytes)?;
            }
            let (bytes, result) = helper.take()?;
            *self = Self {
                filled: result?,
                taken: 0,
                bytes,
            };
        }
        let part = &self.bytes[self.taken..self.filled];
        let len = part.len().min(into.len());
        into[..len].copy_from_slice(&part[..len]);
        self.taken += len;
        Ok(len)
    }
}

impl Output {
    /// Opens `fd` for writing, for the poll of `registry`, which `waker` wakes.
    pub(super) fn open(
        fd: BorrowedFd<'_>,
        waker: Arc<Waker>,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        End::open(fd, Direction::Out, waker, registry, token).map(Self)
    }

    /// Writes a first part of `bytes`; says how much has been written for good.
    ///
    /// After `WouldBlock` the next call must begin with the same bytes: a helper may be
    /// writing a copy of them.
    pub(super) fn write(&mut self, bytes: &[IoSlice<'_>]) -> io::Result<usize> {
        match &mut self.0 {
            End::Ours(fd) => Ok(retry_on_intr(|| rustix::io::writev(&*fd, bytes))?),
            End::Helped { helper, block } => {
                if !helper.is_busy() {
                    let copy = &mut block.bytes;
                    copy.clear();
                    for slice in bytes {
                        let room = LOCAL_BUDGET - copy.len();
                        copy.extend_from_slice(&slice[..slice.len().min(room)]);
                    }
                    helper.give(std::mem::take(copy))?;
                }
                let (copy, result) = helper.take()?;
                block.bytes = copy;
                result
            }
        }
    }
}

#[cfg(test)]
mod tests;
