//! A thread that reads or writes a descriptor whose calls block.
//!
//! It makes one call for one block at a time, on demand: it never reads ahead, and what
//! it reports as written is written. It ends with the [`Helper`], or with the process,
//! which does not wait for it. Which descriptors need it is not known here. Read next:
//! [`super::local`].

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::thread;

use mio::Waker;
use rustix::io::{Errno, retry_on_intr};

use super::descriptor::{Direction, uninterrupted, wait_until_ready};

/// A block, and the result of the call for it.
type Done = (Vec<u8>, io::Result<usize>);

/// Makes blocking calls on a thread of its own, one at a time.
#[derive(Debug)]
pub(super) struct Helper {
    blocks: Sender<Vec<u8>>,
    done: Receiver<Done>,
    busy: bool,
}

impl Helper {
    /// Starts the thread, which wakes the poll after each call.
    pub(super) fn start(fd: OwnedFd, direction: Direction, waker: Arc<Waker>) -> io::Result<Self> {
        let (blocks, todo) = mpsc::channel();
        let (report, done) = mpsc::channel();
        thread::Builder::new()
            .name("helper".into())
            .spawn(move || run(&fd, direction, &todo, &report, &waker))?;
        Ok(Self {
            blocks,
            done,
            busy: false,
        })
    }

    /// Whether the thread has a block: [`take`](Self::take) it back first.
    pub(super) fn is_busy(&self) -> bool {
        self.busy
    }

    /// Hands over `block`, to read into all of it or to write all of it.
    pub(super) fn give(&mut self, block: Vec<u8>) -> io::Result<()> {
        debug_assert!(!self.busy, "one block at a time");
        self.blocks.send(block).map_err(|_| gone())?;
        self.busy = true;
        Ok(())
    }

    /// Takes the block back with the result of the call; `WouldBlock` while the call
    /// runs.
    pub(super) fn take(&mut self) -> io::Result<Done> {
        match self.done.try_recv() {
            Ok(done) => {
                self.busy = false;
                Ok(done)
            }
            Err(TryRecvError::Empty) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryRecvError::Disconnected) => Err(gone()),
        }
    }
}

fn gone() -> io::Error {
    io::Error::other("the helper thread is gone")
}

/// The thread: makes the call for each block until the [`Helper`] is gone.
fn run(
    fd: &OwnedFd,
    direction: Direction,
    todo: &Receiver<Vec<u8>>,
    report: &Sender<Done>,
    waker: &Waker,
) {
    for mut block in todo {
        let result = call(fd, direction, &mut block);
        if report.send((block, result)).is_err() {
            return;
        }
        // It fails only where the poll is gone, and with it the reader of the report.
        let _ = waker.wake();
    }
}

/// One read or write. Another program may have made the shared descriptor non-blocking:
/// then this waits.
fn call(fd: &OwnedFd, direction: Direction, block: &mut [u8]) -> io::Result<usize> {
    loop {
        let result = retry_on_intr(|| match direction {
            Direction::In => rustix::io::read(fd, &mut *block),
            Direction::Out => rustix::io::write(fd, block),
        });
        if result != Err(Errno::AGAIN) {
            return Ok(result?);
        }
        uninterrupted(|| wait_until_ready(fd, direction, None))?;
    }
}
