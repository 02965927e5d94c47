//! Messages over streams of bytes, which are what the library is compared with:
//! plain TCP, and TLS.
//!
//! Nothing in a stream says where a message ends; all of a run have one size. What
//! is to be sent are parts of the pattern, so that a queue refers to it and copies
//! nothing.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::ops::Range;

use sealwire::endpoint::transport::PeerId;
use sealwire::limits::MOST_SHARE;
use sealwire::net::clock::Clock;
use sealwire::time::Time;
use sealwire_cli::error::Error;

use super::codec::Codec;
use super::cutting::{Rest, Spares, cut};
use super::peers::Peers;
use super::turns::Turns;
use super::user::User;
use super::{Context, Link, Received, Wire};
use crate::crew::Crew;
use crate::limits::GATHER;
use crate::pattern::Pattern;

/// Streams to one address.
pub(crate) struct Streams<C: Codec> {
    turns: Turns<C, Client>,
    address: SocketAddr,
}

impl<C: Codec> Streams<C> {
    /// No connection yet.
    pub(crate) fn new(context: &Context<'_>, setup: C::Setup, crew: Crew) -> io::Result<Self> {
        let client = Client {
            crew,
            clock: context.clock,
            pattern: context.pattern.clone(),
            size: context.plan.size,
            spares: Spares::default(),
        };
        Ok(Self {
            turns: Turns::new(setup, context.clock, client)?,
            address: context.address,
        })
    }
}

impl<C: Codec> Wire for Streams<C> {
    fn connect(&mut self, from: Option<SocketAddr>) -> io::Result<PeerId> {
        self.turns.connect(self.address, from)
    }

    fn turn(&mut self, until: Time) -> Result<(), Error> {
        let turned = self.turns.turn(Some(until));
        turned.map_err(|error| Error::Local(format!("cannot wait for events: {error}")))
    }

    fn crew(&mut self) -> &mut Crew {
        &mut self.turns.user.crew
    }

    fn now(&self) -> Time {
        self.turns.now()
    }
}

/// Passes on what is said, and sends what the crew wants sent.
struct Client {
    crew: Crew,
    clock: Clock,
    pattern: Pattern,
    size: usize,
    spares: Spares,
}

/// What a peer has under way.
#[derive(Debug, Default)]
struct Traffic {
    /// Parts of the pattern that are to be sent, and their bytes.
    queue: VecDeque<Range<usize>>,
    queued: usize,
    /// The first part of a message that is coming.
    rest: Rest,
}

impl Traffic {
    /// Takes `count` bytes that have been sent off the queue.
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

impl<C: Codec> User<C> for Client {
    type Peer = Traffic;

    fn connected(&mut self, id: PeerId) {
        self.crew.connected(self.clock.now(), id);
    }

    fn joined(&mut self, peers: &mut Peers<C, Traffic>, id: PeerId) {
        let clock = self.clock;
        self.crew.joined(&mut Sender { peers, clock }, id);
    }

    fn said(
        &mut self,
        peers: &mut Peers<C, Traffic>,
        id: PeerId,
        bytes: &[u8],
        range: Range<usize>,
    ) {
        let Some(slot) = peers.get_mut(id) else {
            return;
        };
        let rest = std::mem::take(&mut slot.own.rest);
        let (clock, crew) = (self.clock, &mut self.crew);
        let message = |parts: &[&[u8]]| {
            crew.message(clock.now(), id, Received(parts));
            crew.go_on(&mut Sender { peers, clock }, id);
        };
        let rest = cut(self.size, rest, &bytes[range], &mut self.spares, message);
        if let Some(slot) = peers.get_mut(id) {
            slot.own.rest = rest;
        }
    }

    fn ended(&mut self, peers: &mut Peers<C, Traffic>, id: PeerId) {
        let Some(slot) = peers.get(id) else {
            return;
        };
        if !slot.is_finished() {
            peers.fail(id, "the server ended the connection early");
        } else if !slot.own.rest.is_empty() {
            peers.fail(id, "the server ended the connection within a message");
        } else {
            peers.close(id, Ok(()));
        }
    }

    fn turn(&mut self, peers: &mut Peers<C, Traffic>, _: &[u8]) {
        let clock = self.clock;
        self.crew.turn(&mut Sender { peers, clock });
    }

    fn write(&mut self, peers: &mut Peers<C, Traffic>, id: PeerId) -> bool {
        // It shares no room to seal into with others.
        let mut budget = MOST_SHARE;
        while let Some(slot) = peers.get_mut(id) {
            if slot.own.queue.is_empty() {
                return true;
            }
            if budget == 0 {
                peers.dirty(id);
                return false;
            }
            let queue = std::mem::take(&mut slot.own.queue);
            let (given, taken) = self.write_some(peers, id, &queue);
            let Some(slot) = peers.get_mut(id) else {
                return false;
            };
            slot.own.queue = queue;
            slot.own.sent(taken);
            if taken < given {
                return false;
            }
            budget = budget.saturating_sub(given);
        }
        false
    }

    fn left(
        &mut self,
        _: &mut Peers<C, Traffic>,
        id: PeerId,
        traffic: Traffic,
        outcome: Result<(), String>,
    ) {
        self.spares.give(traffic.rest);
        self.crew.left(self.clock.now(), id, outcome);
    }
}

impl Client {
    /// Sends from `queue`; says how much it gave, and how much of that was taken.
    fn write_some<C: Codec>(
        &self,
        peers: &mut Peers<C, Traffic>,
        id: PeerId,
        queue: &VecDeque<Range<usize>>,
    ) -> (usize, usize) {
        let bytes = self.pattern.bytes();
        if let (Some(part), 1) = (queue.front(), queue.len()) {
            let parts = [IoSlice::new(&bytes[part.clone()])];
            return (part.len(), peers.send(id, &parts));
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
        (given, peers.send(id, &parts[..count]))
    }
}

/// Sends to the peers of a loop.
struct Sender<'a, C: Codec> {
    peers: &'a mut Peers<C, Traffic>,
    clock: Clock,
}

impl<C: Codec> Link for Sender<'_, C> {
    fn now(&self) -> Time {
        self.clock.now()
    }

    fn send(&mut self, peer: PeerId, part: Range<usize>) -> bool {
        let slot = self.peers.get_mut(peer);
        let Some(slot) = slot.filter(|slot| slot.is_open()) else {
            return false;
        };
        slot.own.queued += part.len();
        slot.own.queue.push_back(part);
        if slot.may_write() {
            self.peers.dirty(peer);
        }
        true
    }

    fn waiting(&self, peer: PeerId) -> usize {
        let slot = self.peers.get(peer);
        slot.map_or(0, |slot| slot.own.queued + slot.codec.unsent())
    }

    fn finish(&mut self, peer: PeerId) {
        self.peers.finish(peer);
    }
}

#[cfg(test)]
mod tests;
