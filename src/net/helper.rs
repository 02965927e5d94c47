//! A thread that reads or writes a descriptor whose calls block.
//!
//! It makes one call for one block at a time, on demand: it never reads ahead, and what
//! it reports as written is written. It ends with the [`Helper`], or with the process,
//! which does not wait for it. It does not know which descriptors need it. Read next:
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
    /// The block of the last call; `None` while the thread has it.
    block: Option<Vec<u8>>,
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
            block: Some(Vec::new()),
        })
    }

    /// Lets the thread read into all of a block, or write all of it, as `prepare` left it.
    /// Returns how many bytes it read or wrote, or `WouldBlock` while its call runs: then a
    /// later call of this returns the result, and does not use its `prepare`.
    pub(super) fn call(&mut self, prepare: impl FnOnce(&mut Vec<u8>)) -> io::Result<usize> {
        let gone = || io::Error::other("the helper thread is gone");
        if let Some(mut block) = self.block.take() {
            prepare(&mut block);
            self.blocks.send(block).map_err(|_| gone())?;
        }
        match self.done.try_recv() {
            Ok((block, result)) => {
                self.block = Some(block);
                result
            }
            Err(TryRecvError::Empty) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryRecvError::Disconnected) => Err(gone()),
        }
    }

    /// The block of the last call, if none runs.
    pub(super) fn block(&self) -> &[u8] {
        self.block.as_deref().unwrap_or_default()
    }
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
        // Waking fails only if the poll is gone, and then no reader needs the report.
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
