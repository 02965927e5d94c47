//! The peers of an endpoint: how far each is trusted, what it is called, and when to
//! look at it.
//!
//! A [`PeerId`] finds its peer only while the peer is there: a slot that is used again
//! has another generation. The roster acts on no peer: it only says which one to look
//! at. Read next: [`super::admission`], which creates peers.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::ops::{Index, IndexMut};
use std::sync::Arc;

use slab::Slab;

use super::crowd::{Crowd, Place, Reached};
use super::peer::{Peer, Protocol};
use super::transport::{Origin, PeerId};
use crate::time::Time;

/// How far a peer is trusted, which decides what kind of slot it takes
/// (`PROTOCOL.md` §2, `limits`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It has proved nothing, and is no listener.
    Unproved,
    /// Silent, or classic without a whole frame yet.
    Listening,
    /// It holds the keys, or was dialled; the mode knows it.
    Proved,
}

/// What the roster notes on each peer.
#[derive(Debug)]
pub(super) struct Membership {
    generation: u32,
    standing: Standing,
    /// Where it comes from, if we accepted it.
    origin: Option<Origin>,
    /// Its place in the crowd of its standing, if it has one.
    place: Option<Place>,
    /// Its index among the members, if it is one.
    member: Option<usize>,
    /// It is on the list of those to look at when the tick ends.
    touched: bool,
    /// Its earliest entry in the timers.
    planned: Time,
}

impl Membership {
    pub(super) fn standing(&self) -> Standing {
        self.standing
    }
}

/// All peers of an endpoint.
///
/// Invariant: `counts` says how many there are in each [`Standing`]; `slots` is one
/// more than the highest slot in use.
#[derive(Debug, Default)]
pub(super) struct Roster {
    slab: Slab<Peer>,
    generation: u32,
    slots: usize,
    counts: [usize; 3],
    /// Accepted connections that have proved nothing, by standing.
    crowds: [Crowd; 2],
    /// Peers that messages may be queued for: all but the unproved, in any order.
    members: Vec<PeerId>,
    /// The names of peers for people, where the driver has set them.
    names: HashMap<PeerId, Arc<str>>,
    /// The names of the keys of peers that left in the last tick: a report may still ask.
    left: Vec<(PeerId, Arc<str>)>,
    touched: VecDeque<PeerId>,
    /// When to look at which peer. The deadlines of a busy connection move with every
    /// byte, almost always later. So an entry stays where it is until it comes up, and
    /// only the one that its peer has noted counts.
    timers: BinaryHeap<Reverse<(Time, PeerId)>>,
}

impl Roster {
    /// Gives a connection that we accepted at `now` a slot among those that have proved
    /// nothing yet.
    pub(super) fn admit(&mut self, protocol: Protocol, origin: Origin, now: Time) -> PeerId {
        let id = self.insert(protocol);
        self[id].membership.origin = Some(origin);
        self.enter_crowd(id, Reached::Nothing, now);
        id
    }

    /// Gives a connection that we made a slot. It has proved nothing yet.
    pub(super) fn insert(&mut self, protocol: Protocol) -> PeerId {
        self.generation = self.generation.wrapping_add(1);
        let generation = self.generation;
        let membership = Membership {
            generation,
            standing: Standing::Unproved,
            origin: None,
            place: None,
            member: None,
            touched: false,
            planned: Time::NEVER,
        };
        let slot = self.slab.insert(Peer::new(membership, protocol)) as u32;
        self.slots = self.slots.max(slot as usize + 1);
        self.counts[Standing::Unproved as usize] += 1;
        let id = PeerId { slot, generation };
        self.touch(id);
        id
    }

    /// Forgets the names of those that left before this tick.
    pub(super) fn begin_tick(&mut self) {
        self.left.clear();
    }

    pub(super) fn remove(&mut self, id: PeerId) -> Peer {
        self.leave_crowd(id);
        self.set_member(id, false);
        let standing = self[id].membership.standing;
        self.counts[standing as usize] -= 1;
        self.names.remove(&id);
        let peer = self.slab.remove(id.slot as usize);
        let key = peer.protocol.key().filter(|_| peer.is_proved());
        if let Some(name) = key.and_then(|key| key.name.clone()) {
            self.left.push((id, name));
        }
        while self.slots > 0 && !self.slab.contains(self.slots - 1) {
            self.slots -= 1;
        }
        peer
    }

    pub(super) fn get(&self, id: PeerId) -> Option<&Peer> {
        let peer = self.slab.get(id.slot as usize)?;
        (peer.membership.generation == id.generation).then_some(peer)
    }

    pub(super) fn get_mut(&mut self, id: PeerId) -> Option<&mut Peer> {
        let peer = self.slab.get_mut(id.slot as usize)?;
        (peer.membership.generation == id.generation).then_some(peer)
    }

    pub(super) fn len(&self) -> usize {
        self.slab.len()
    }

    pub(super) fn proved(&self) -> usize {
        self.counts[Standing::Proved as usize]
    }

    /// One more than the highest slot in use: a caller that changes peers while it goes
    /// through all of them counts up to it.
    pub(super) fn slots(&self) -> usize {
        self.slots
    }

    pub(super) fn id_at(&self, slot: usize) -> Option<PeerId> {
        let generation = self.slab.get(slot)?.membership.generation;
        let slot = slot as u32;
        Some(PeerId { slot, generation })
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Peer> {
        self.slab.iter().map(|(_, peer)| peer)
    }

    pub(super) fn in_standing(&self, standing: Standing) -> Vec<PeerId> {
        let has = |&id: &PeerId| self[id].membership.standing == standing;
        let ids = (0..self.slots).filter_map(|slot| self.id_at(slot));
        ids.filter(has).collect()
    }

    // ---- names -----------------------------------------------------------

    pub(super) fn set_name(&mut self, id: PeerId, name: &str) {
        if self.get(id).is_some() {
            self.names.insert(id, name.into());
        }
    }

    /// Puts the name of the key that `id` has proved before its name, if it has both.
    pub(super) fn name_by_key(&mut self, id: PeerId) {
        let key = self.get(id).and_then(|peer| peer.protocol.key());
        if let Some(key) = key.and_then(|key| key.name.clone())
            && let Some(name) = self.names.get_mut(&id)
        {
            *name = format!("{key} at {name}").into();
        }
    }

    pub(super) fn name_of_left(&self, id: PeerId) -> Option<&Arc<str>> {
        let left = self.left.iter().find(|(left, _)| *left == id);
        left.map(|(_, name)| name)
    }

    pub(super) fn name(&self, id: PeerId) -> Option<Arc<str>> {
        self.names.get(&id).cloned()
    }

    // ---- standing --------------------------------------------------------

    /// Changes how far a peer is trusted, at `now`. What it has sent before counts no more.
    pub(super) fn set_standing(&mut self, id: PeerId, to: Standing, now: Time) {
        self.leave_crowd(id);
        let from = std::mem::replace(&mut self[id].membership.standing, to);
        self.counts[from as usize] -= 1;
        self.counts[to as usize] += 1;
        if to != Standing::Proved {
            self.enter_crowd(id, Reached::Bytes, now);
        }
        self.set_member(id, to != Standing::Unproved);
    }

    /// Peers that messages may be queued for: proved or listening.
    pub(super) fn members(&self) -> &[PeerId] {
        &self.members
    }

    fn set_member(&mut self, id: PeerId, is_member: bool) {
        let member = self[id].membership.member;
        match member {
            None if is_member => {
                self[id].membership.member = Some(self.members.len());
                self.members.push(id);
            }
            Some(index) if !is_member => {
                self[id].membership.member = None;
                self.members.swap_remove(index);
                if let Some(&moved) = self.members.get(index) {
                    self[moved].membership.member = Some(index);
                }
            }
            _ => {}
        }
    }

    /// The accepted connections of a standing that is not proved.
    pub(super) fn crowd(&self, standing: Standing) -> &Crowd {
        &self.crowds[standing as usize]
    }

    /// Puts an accepted connection into the crowd of its standing.
    fn enter_crowd(&mut self, id: PeerId, reached: Reached, since: Time) {
        let membership = &mut self.slab[id.slot as usize].membership;
        if let Some(origin) = membership.origin {
            let place = Place { reached, since };
            membership.place = Some(place);
            self.crowds[membership.standing as usize].insert(origin, place, id);
        }
    }

    /// Takes a connection out of its crowd: it proves itself, or its slot is given up.
    pub(super) fn leave_crowd(&mut self, id: PeerId) {
        let membership = &mut self.slab[id.slot as usize].membership;
        if let (Some(origin), Some(place)) = (membership.origin, membership.place.take()) {
            self.crowds[membership.standing as usize].remove(origin, place, id);
        }
    }

    /// Notes how far a connection has come, if that is news.
    pub(super) fn note_reached(&mut self, id: PeerId, reached: Reached, now: Time) {
        let place = self[id].membership.place;
        if place.is_some_and(|place| place.reached < reached) {
            self.leave_crowd(id);
            self.enter_crowd(id, reached, now);
        }
    }

    // ---- when to look at a peer ------------------------------------------

    /// Lists `id` for a look at the end of the tick.
    pub(super) fn touch(&mut self, id: PeerId) {
        if let Some(peer) = self.get_mut(id)
            && !std::mem::replace(&mut peer.membership.touched, true)
        {
            self.touched.push_back(id);
        }
    }

    pub(super) fn touched(&self) -> usize {
        self.touched.len()
    }

    /// The next peer that was touched, if it is still there.
    pub(super) fn next_touched(&mut self) -> Option<(PeerId, &mut Peer)> {
        let id = self.touched.pop_front()?;
        let peer = self.get_mut(id)?;
        peer.membership.touched = false;
        Some((id, peer))
    }

    /// Plans a look at `id` at the time `at`, in addition to what is planned already.
    #[inline]
    pub(super) fn plan(&mut self, id: PeerId, at: Time) {
        let planned = &mut self.slab[id.slot as usize].membership.planned;
        if at < *planned {
            *planned = at;
            self.timers.push(Reverse((at, id)));
        }
    }

    /// The next peer whose time has come.
    pub(super) fn next_planned(&mut self, now: Time) -> Option<PeerId> {
        while let Some(&Reverse((at, id))) = self.timers.peek()
            && at <= now
        {
            self.timers.pop();
            if let Some(peer) = self.get_mut(id)
                && peer.membership.planned == at
            {
                peer.membership.planned = Time::NEVER;
                return Some(id);
            }
        }
        None
    }

    pub(super) fn next_due(&self) -> Option<Time> {
        self.timers.peek().map(|Reverse((at, _))| *at)
    }
}

/// Panics if the peer is gone.
impl Index<PeerId> for Roster {
    type Output = Peer;

    fn index(&self, id: PeerId) -> &Peer {
        self.get(id).expect("a peer that is there")
    }
}

impl IndexMut<PeerId> for Roster {
    fn index_mut(&mut self, id: PeerId) -> &mut Peer {
        self.get_mut(id).expect("a peer that is there")
    }
}

#[cfg(test)]
mod tests {
    use super::super::undecided::Undecided;
    use super::*;

    /// Goal: a connection is in the crowd of its standing, and in no other, until it proves
    /// itself or is gone; one that we made is in none. Method: connections of every kind that
    /// come, change, and go.
    #[test]
    fn a_connection_is_in_one_crowd() {
        let mut roster = Roster::default();
        let undecided = || Protocol::Undecided(Undecided::new(Time::ZERO));
        let now = Time::ZERO;
        let lens = |roster: &Roster| roster.crowds.each_ref().map(Crowd::len);
        for n in 0..100 {
            let dialled = roster.insert(undecided());
            let id = roster.admit(undecided(), Origin::new(n % 3), now);
            assert_eq!(lens(&roster), [1, 0]);
            roster.note_reached(id, Reached::Hello, now);
            roster.note_reached(id, Reached::Bytes, now);
            assert_eq!(roster.crowd(Standing::Unproved).with_hello(), 1);
            if n % 2 == 0 {
                roster.set_standing(id, Standing::Listening, now);
                assert_eq!(lens(&roster), [0, 1]);
            }
            if n % 3 == 0 {
                roster.set_standing(id, Standing::Unproved, now);
                assert_eq!(lens(&roster), [1, 0]);
                assert_eq!(roster.crowd(Standing::Unproved).with_hello(), 0);
            }
            if n % 5 == 0 {
                roster.set_standing(id, Standing::Proved, now);
                assert_eq!(lens(&roster), [0, 0]);
                assert!(roster.members().contains(&id));
            }
            roster.leave_crowd(id);
            assert_eq!(lens(&roster), [0, 0]);
            roster.remove(id);
            roster.remove(dialled);
        }
        assert_eq!((roster.len(), roster.counts), (0, [0; 3]));
        assert_eq!(roster.members(), []);
    }
}
