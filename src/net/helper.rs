//! A thread that reads or writes what only blocks.
//!
//! It has one block at a time and makes one call for it, when asked to: nothing
//! is read that nobody wants, and what is reported as written is written. It
//! ends with the [`Helper`], or else with the process, which does not wait for
//! it. Read next: [`super::local`].

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::thread;

use mio::Waker;
use rustix::event::PollFd;
use rustix::io::Errno;

use super::descriptor::Direction;

/// The block that a call was made for, and what the call returned.
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

    /// Whether a block is out: then it is to be [`take`](Self::take)n first.
    pub(super) fn is_busy(&self) -> bool {
        self.busy
    }

    /// Hands over `block`, all of which is to be read into or written.
    pub(super) fn give(&mut self, block: Vec<u8>) -> io::Result<()> {
        debug_assert!(!self.busy, "one block at a time");
        self.blocks.send(block).map_err(|_| gone())?;
        self.busy = true;
        Ok(())
    }

    /// Takes the block back with what the call returned; `WouldBlock` until it
    /// has.
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

/// The thread: makes the call for each block until nobody gives one any more.
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
        // Without a poll there is nobody to tell.
        let _ = waker.wake();
    }
}

/// One read or write. The descriptor is someone else's too, who may have made
/// it non-blocking: then this waits.
fn call(fd: &OwnedFd, direction: Direction, block: &mut [u8]) -> io::Result<usize> {
    loop {
        let result = match direction {
            Direction::In => rustix::io::read(fd, &mut *block),
            Direction::Out => rustix::io::write(fd, block),
        };
        match result {
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                let mut asked = [PollFd::new(fd, direction.readiness())];
                match rustix::event::poll(&mut asked, None) {
                    Ok(_) | Err(Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            result => return Ok(result?),
        }
    }
}
