//! Inherited descriptors as byte streams that never block their caller.
//!
//! A terminal or a pipe is non-blocking and polled. A file and `/dev/null` are always
//! ready. For the rest, such as a socket, a helper thread makes the calls and wakes the
//! poll; then a read and a write are both worth a try. It does not know what the bytes are
//! for. Read next: `descriptor`, which decides how to wait; [`crate::endpoint`].

use std::io::{self, IoSlice};
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token, Waker};
use rustix::io::{Errno, retry_on_intr};

use super::descriptor::{Descriptor, Direction};
use super::helper::Helper;
use crate::endpoint::transport::Read;
use crate::limits::LOCAL_BUDGET;

/// Our end of a stream, by the thread that makes the calls.
#[derive(Debug)]
pub(super) enum Local {
    /// The caller's: calls return at once.
    Ours(OwnedFd),
    /// The helper's.
    Helped {
        helper: Helper,
        /// What it has read and the caller has not yet taken, as a part of its block.
        unread: Range<usize>,
    },
}

impl Local {
    /// Opens `fd` without blocking; other programs see no change. `waker` wakes the poll
    /// when a helper has made a call. Where the poll can wait, it reports under `token`
    /// that a call is worth a try.
    pub(super) fn open(
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
                unread: 0..0,
            },
        })
    }

    /// Reads into `into`, which has room. A descriptor that was not opened for reading
    /// reads as an end.
    ///
    /// Reports `drained` only at the end: a terminal gives one line at a time, and the end of
    /// a pipe comes in one event with its last bytes.
    pub(super) fn read(&mut self, into: &mut [u8]) -> io::Result<Read> {
        debug_assert!(!into.is_empty(), "a read without room looks like the end");
        let result = match self {
            Self::Ours(fd) => {
                retry_on_intr(|| rustix::io::read(&*fd, &mut *into)).map_err(Into::into)
            }
            Self::Helped { helper, unread } => take(helper, unread, into),
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

    /// Writes a first part of `bytes`. Returns how many bytes are written; bytes that a helper
    /// still has do not count.
    ///
    /// After `WouldBlock` the next call must begin with the same bytes: a helper may be
    /// writing a copy of them.
    pub(super) fn write(&mut self, bytes: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Ours(fd) => Ok(retry_on_intr(|| rustix::io::writev(&*fd, bytes))?),
            Self::Helped { helper, .. } => helper.call(|copy| {
                copy.clear();
                for slice in bytes {
                    let room = LOCAL_BUDGET - copy.len();
                    copy.extend_from_slice(&slice[..slice.len().min(room)]);
                }
            }),
        }
    }
}

/// Takes the bytes that the helper has read, or asks it to read more.
fn take(helper: &mut Helper, unread: &mut Range<usize>, into: &mut [u8]) -> io::Result<usize> {
    if unread.start == unread.end {
        *unread = 0..helper.call(|block| block.resize(LOCAL_BUDGET, 0))?;
    }
    let part = &helper.block()[unread.clone()];
    let len = part.len().min(into.len());
    into[..len].copy_from_slice(&part[..len]);
    unread.start += len;
    Ok(len)
}

#[cfg(test)]
mod tests;
