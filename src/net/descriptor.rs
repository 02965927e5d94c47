//! How to wait for a descriptor that another program opened.
//!
//! The shell and other programs share such descriptors, so we do not make them
//! non-blocking: `O_NONBLOCK` belongs to the open file, not to the descriptor. We open a
//! terminal or a pipe a second time instead. It reads and writes no bytes. Read next: `local`,
//! which does.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};
use rustix::fs::{OFlags, fcntl_getfl, fstat, stat};
use rustix::io::Errno;

/// Which way the bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Bytes are read.
    In,
    /// Bytes are written.
    Out,
}

impl Direction {
    /// Whether `fd` is open this way.
    pub fn is_open(self, fd: BorrowedFd<'_>) -> io::Result<bool> {
        let mode = fcntl_getfl(fd)? & OFlags::RWMODE;
        let one_way = match self {
            Self::In => OFlags::RDONLY,
            Self::Out => OFlags::WRONLY,
        };
        Ok(mode == one_way || mode == OFlags::RDWR)
    }
}

/// A descriptor of our own, by how to wait for it.
#[derive(Debug)]
pub enum Descriptor {
    /// Reads and writes need no waiting: a regular file, `/dev/null`.
    AlwaysReady(OwnedFd),
    /// Non-blocking, and a poll can wait for it.
    Polled(OwnedFd),
    /// It could not be opened again: calls block, so a thread has to make them.
    Blocking(OwnedFd),
}

impl Descriptor {
    /// Opens what `fd` names for `direction`; `fd` itself is left as it is.
    pub fn open(fd: BorrowedFd<'_>, direction: Direction) -> io::Result<Self> {
        let copy = fd.try_clone_to_owned()?;
        // Opening a pipe's end the other way would give its other end. So it stays as it is,
        // and the first read or write reports the error.
        if !direction.is_open(fd)? || !can_be_polled(fd)? {
            return Ok(Self::AlwaysReady(copy));
        }
        Ok(match reopen(fd, direction) {
            Ok(own) => Self::Polled(own),
            // A socket, another user's terminal, a FIFO without a reader, or no /proc.
            Err(_) => Self::Blocking(copy),
        })
    }
}

/// Waits until `fd` can be read or written, or reports an error, but not longer than
/// `at_most`. Returns whether that came in time.
///
/// # Errors
///
/// Those of `poll`. A signal ends the wait with [`io::ErrorKind::Interrupted`].
pub fn wait_until_ready(
    fd: impl AsFd,
    direction: Direction,
    at_most: Option<Duration>,
) -> io::Result<bool> {
    let wanted = match direction {
        Direction::In => PollFlags::IN,
        Direction::Out => PollFlags::OUT,
    };
    // A time that a `Timespec` cannot hold means no limit.
    let at_most = at_most.and_then(|time| Timespec::try_from(time).ok());
    let mut asked = [PollFd::new(&fd, wanted)];
    Ok(poll(&mut asked, at_most.as_ref())? > 0)
}

/// Repeats `call` while a signal interrupts it.
pub(super) fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Whether `fd` is `/dev/null`.
pub fn is_null(fd: BorrowedFd<'_>) -> bool {
    let null = stat("/dev/null").map(|null| null.st_rdev);
    fstat(fd).is_ok_and(|file| null == Ok(file.st_rdev))
}

/// Whether epoll takes `fd`. It refuses what is always ready.
fn can_be_polled(fd: BorrowedFd<'_>) -> io::Result<bool> {
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let nothing = epoll::EventData::new_u64(0);
    match epoll::add(&poll, fd, nothing, epoll::EventFlags::empty()) {
        Ok(()) => Ok(true),
        Err(Errno::PERM) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Opens once more, non-blocking, the file that `fd` has open.
fn reopen(fd: BorrowedFd<'_>, direction: Direction) -> io::Result<OwnedFd> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new()
        .read(direction == Direction::In)
        .write(direction == Direction::Out)
        .custom_flags(flags.bits().cast_signed())
        .open(format!("/proc/self/fd/{}", fd.as_raw_fd()))?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs::File;

    use super::*;

    fn opened(fd: impl AsFd, direction: Direction) -> Descriptor {
        Descriptor::open(fd.as_fd(), direction).unwrap()
    }

    /// Goal: a pipe is non-blocking for us and stays blocking for the program that gave
    /// it to us. Method: look at the flags of both.
    #[test]
    fn a_pipe_is_opened_again() {
        let (reader, writer) = io::pipe().unwrap();
        for (fd, direction) in [
            (reader.as_fd(), Direction::In),
            (writer.as_fd(), Direction::Out),
        ] {
            let Descriptor::Polled(own) = opened(fd, direction) else {
                panic!("a pipe can be polled");
            };
            assert!(fcntl_getfl(&own).unwrap().contains(OFlags::NONBLOCK));
            assert!(!fcntl_getfl(fd).unwrap().contains(OFlags::NONBLOCK));
        }
    }

    /// Goal: what epoll refuses needs no waiting. Method: a file, `/dev/null`,
    /// and a pipe's end that goes the other way.
    #[test]
    fn files_are_always_ready() {
        let ready = |descriptor| matches!(descriptor, Descriptor::AlwaysReady(_));
        let file = tempfile::tempfile().unwrap();
        assert!(ready(opened(&file, Direction::In)));
        assert!(ready(opened(&file, Direction::Out)));
        let null = File::open("/dev/null").unwrap();
        assert!(ready(opened(&null, Direction::In)));
        let (_reader, writer) = io::pipe().unwrap();
        assert!(ready(opened(&writer, Direction::In)));
    }
}
