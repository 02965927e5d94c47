//! The load tester's side of the rivals: a wire over streams of bytes.
//!
//! A stream does not mark the end of a message, so all messages of a run have one size. A queue
//! holds parts of the pattern, so that no message is copied.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::mem;
use std::net::SocketAddr;
use std::ops::Range;

use sealwire::limits::{INPUT_SCRATCH, MOST_SHARE};
use sealwire::{PeerId, Time};
use sealwire_cli::error::Error;

use super::Rival;
use super::streams::{Event, Streams};
use crate::limits::GATHER;
use crate::load::pattern::Pattern;
use crate::load::peers::Peers;
use crate::load::{Link, Received, RunSetup, Wire};

pub(crate) struct Client<R: Rival> {
    streams: Streams<R, Traffic>,
    address: SocketAddr,
    peers: Peers,
    pattern: Pattern,
    size: usize,
    bytes: Box<[u8]>,
}

#[derive(Debug, Default)]
struct Traffic {
    /// Parts of the pattern to send, and their bytes.
    queue: VecDeque<Range<usize>>,
    queued: usize,
    /// The first part of a message, until the rest comes.
    rest: Vec<u8>,
}

impl Traffic {
    /// Takes `count` bytes that were sent off the queue.
    fn sent(&mut self, mut count: usize) {
        self.queued -= count;
        while let Some(front) = self.queue.front_mut() {
            if front.len() > count {
                front.start += count;
                return;
            }
            count -= front.len();
            self.queue.pop_front();
        }
    }
}

impl<R: Rival> Client<R> {
    pub(crate) fn new(run: &RunSetup<'_>, setup: R::Setup, peers: Peers) -> io::Result<Self> {
        Ok(Self {
            streams: Streams::new(setup, run.clock)?,
            address: run.address,
            peers,
            pattern: run.pattern.clone(),
            size: run.plan.size,
            bytes: vec![0; INPUT_SCRATCH].into_boxed_slice(),
        })
    }

    fn handle(&mut self, event: Event) {
        let (peers, streams) = (&mut self.peers, &mut self.streams);
        match event {
            Event::Connected(id) => peers.workload().connected(streams.now(), id),
            Event::Joined(id) => peers.joined(streams, id),
            Event::Said(id, len) => self.said(id, len),
            Event::Ended(id) => {
                let Some(slot) = streams.get(id) else {
                    return;
                };
                if !slot.is_finished() {
                    streams.fail(id, "the server ended the connection early");
                } else if !slot.peer.rest.is_empty() {
                    streams.fail(id, "the server ended the connection within a message");
                } else {
                    streams.close(id, Ok(()));
                }
            }
        }
    }

    fn said(&mut self, id: PeerId, len: usize) {
        let Some(slot) = self.streams.get_mut(id) else {
            return;
        };
        let mut rest = mem::take(&mut slot.peer.rest);
        let (workload, streams) = (self.peers.workload(), &mut self.streams);
        cut(self.size, &mut rest, &self.bytes[..len], |parts| {
            workload.message(streams.now(), id, Received(parts));
            workload.go_on(streams, id);
        });
        if let Some(slot) = self.streams.get_mut(id) {
            slot.peer.rest = rest;
        }
    }

    /// Sends what waits for `id`. Returns whether nothing is left.
    fn write(&mut self, id: PeerId) -> bool {
        // The bound is that of the library, which shares its room for sealing.
        let mut budget = MOST_SHARE;
        while let Some(slot) = self.streams.get_mut(id) {
            if slot.peer.queue.is_empty() {
                return true;
            }
            if budget == 0 {
                self.streams.dirty(id);
                return false;
            }
            let queue = mem::take(&mut slot.peer.queue);
            let (given, taken) = self.write_some(id, &queue);
            let Some(slot) = self.streams.get_mut(id) else {
                return false;
            };
            slot.peer.queue = queue;
            slot.peer.sent(taken);
            if taken < given {
                return false;
            }
            budget = budget.saturating_sub(given);
        }
        false
    }

    /// Sends from `queue`. Returns how many bytes it offered, and how many were accepted.
    fn write_some(&mut self, id: PeerId, queue: &VecDeque<Range<usize>>) -> (usize, usize) {
        let bytes = self.pattern.bytes();
        if let (Some(part), 1) = (queue.front(), queue.len()) {
            let parts = [IoSlice::new(&bytes[part.clone()])];
            return (part.len(), self.streams.send_some(id, &parts));
        }
        let mut parts = [IoSlice::new(&[]); GATHER];
        let (mut count, mut given) = (0, 0);
        for (slice, part) in parts.iter_mut().zip(queue) {
            if given >= MOST_SHARE {
                break;
            }
            *slice = IoSlice::new(&bytes[part.clone()]);
            count += 1;
            given += part.len();
        }
        (given, self.streams.send_some(id, &parts[..count]))
    }
}

impl<R: Rival> Wire for Client<R> {
    fn connect(&mut self, from: Option<SocketAddr>) -> io::Result<PeerId> {
        self.streams.connect(self.address, from)
    }

    fn turn(&mut self, until: Time) -> Result<(), Error> {
        let waited = self.streams.wait(Some(until));
        waited.map_err(|error| Error::Local(format!("cannot wait for events: {error}")))?;
        while let Some(event) = self.streams.next_event(&mut self.bytes, |_| true) {
            self.handle(event);
        }
        self.peers.turn(&mut self.streams);
        self.streams.begin_writes();
        while let Some(id) = self.streams.next_writable() {
            if self.write(id) {
                self.streams.written(id);
            }
        }
        while let Some((id, _, outcome)) = self.streams.next_closed() {
            self.peers.left(self.streams.now(), id, outcome);
        }
        Ok(())
    }

    fn peers(&mut self) -> &mut Peers {
        &mut self.peers
    }

    fn now(&self) -> Time {
        self.streams.now()
    }
}

impl<R: Rival> Link for Streams<R, Traffic> {
    fn now(&self) -> Time {
        self.now()
    }

    fn send(&mut self, peer: PeerId, part: Range<usize>) -> bool {
        let slot = self.get_mut(peer);
        let Some(slot) = slot.filter(|slot| slot.is_open()) else {
            return false;
        };
        slot.peer.queued += part.len();
        slot.peer.queue.push_back(part);
        if slot.may_write() {
            self.dirty(peer);
        }
        true
    }

    fn waiting(&self, peer: PeerId) -> usize {
        let slot = self.get(peer);
        slot.map_or(0, |slot| slot.peer.queued + slot.unsent())
    }

    fn finish(&mut self, peer: PeerId) {
        self.finish(peer);
    }
}

/// Cuts `bytes`, which follow `rest`, into messages of `size` bytes, and calls `message` with
/// the pieces of each. `rest` gets what is left over. Nothing else is copied.
fn cut(size: usize, rest: &mut Vec<u8>, mut bytes: &[u8], mut message: impl FnMut(&[&[u8]])) {
    if !rest.is_empty() {
        let Some((end, others)) = bytes.split_at_checked(size - rest.len()) else {
            return rest.extend_from_slice(bytes);
        };
        message(&[rest, end]);
        rest.clear();
        bytes = others;
    }
    let whole = bytes.chunks_exact(size);
    rest.extend_from_slice(whole.remainder());
    for bytes in whole {
        message(&[bytes]);
    }
}

#[cfg(test)]
mod tests {
    use super::cut;

    /// Goal: messages come whole and in order, whatever the reads are. Method: two hundred
    /// bytes as messages of every size up to 50, read in pieces of every size up to 70.
    #[test]
    fn messages_are_put_together() {
        let stream: Vec<u8> = (0..200).collect();
        for size in 1..50 {
            for piece in 1..70 {
                let (mut rest, mut seen) = (Vec::new(), Vec::new());
                for bytes in stream.chunks(piece) {
                    cut(size, &mut rest, bytes, |parts| {
                        let message = parts.concat();
                        assert_eq!(message.len(), size);
                        seen.extend(message);
                    });
                }
                assert_eq!(seen, stream[..200 - 200 % size]);
                assert_eq!(rest, stream[200 - 200 % size..]);
            }
        }
    }
}
