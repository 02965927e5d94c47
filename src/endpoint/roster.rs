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

use super::peer::{Peer, Protocol};
use super::transport::PeerId;
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
    /// Candidates for eviction, by standing, oldest first. Entries of peers that are gone
    /// or have another standing by now are skipped.
    elders: [VecDeque<PeerId>; 2],
    /// The names of peers for people, where the driver has set them.
    names: HashMap<PeerId, Arc<str>>,
    touched: VecDeque<PeerId>,
    /// When to look at which peer. The deadlines of a busy connection move with every
    /// byte, almost always later. So an entry stays where it is until it comes up, and
    /// only the one that its peer has noted counts.
    timers: BinaryHeap<Reverse<(Time, PeerId)>>,
}

impl Roster {
    /// Gives a connection a slot. It has proved nothing yet.
    pub(super) fn insert(&mut self, protocol: Protocol) -> PeerId {
        self.generation = self.generation.wrapping_add(1);
        let generation = self.generation;
        let membership = Membership {
            generation,
            standing: Standing::Unproved,
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

    pub(super) fn remove(&mut self, id: PeerId) -> Peer {
        let standing = self[id].membership.standing;
        self.counts[standing as usize] -= 1;
        self.names.remove(&id);
        let peer = self.slab.remove(id.slot as usize);
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

    pub(super) fn name(&self, id: PeerId) -> Option<Arc<str>> {
        self.names.get(&id).cloned()
    }

    // ---- standing --------------------------------------------------------

    pub(super) fn set_standing(&mut self, id: PeerId, to: Standing) {
        let from = std::mem::replace(&mut self[id].membership.standing, to);
        self.counts[from as usize] -= 1;
        self.counts[to as usize] += 1;
        if to != Standing::Proved {
            self.may_make_room(id);
        }
    }

    /// Adds the unproved peer `id` to the candidates for eviction, as the newest of its
    /// standing.
    pub(super) fn may_make_room(&mut self, id: PeerId) {
        let standing = self[id].membership.standing;
        let mut elders = std::mem::take(&mut self.elders[standing as usize]);
        elders.push_back(id);
        // Entries that are skipped are dropped when they are most of the list.
        if elders.len() > 2 * self.counts[standing as usize] {
            elders.retain(|&elder| self.stands(elder, standing));
        }
        self.elders[standing as usize] = elders;
    }

    fn stands(&self, id: PeerId, standing: Standing) -> bool {
        let stands = |peer: &Peer| peer.membership.standing == standing && !peer.is_over();
        self.get(id).is_some_and(stands)
    }

    /// The peer to evict so that one more can have `standing`: the oldest, if `most` peers
    /// have it already.
    pub(super) fn oldest_of(&mut self, standing: Standing, most: usize) -> Option<PeerId> {
        while let Some(&oldest) = self.elders[standing as usize].front() {
            let stands = self.stands(oldest, standing);
            if stands && self.counts[standing as usize] < most {
                return None;
            }
            self.elders[standing as usize].pop_front();
            if stands {
                return Some(oldest);
            }
        }
        None
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

    fn comes(roster: &mut Roster) -> PeerId {
        let id = roster.insert(Protocol::Undecided(Undecided::new(Time::ZERO)));
        roster.may_make_room(id);
        id
    }

    /// Goal: a peer that comes and goes leaves no entry behind, whatever it was
    /// meanwhile; the oldest that still stands makes room, once, and none does while there
    /// is room. Method: ten thousand beside ten that stay; the lists stay short. Of the
    /// unproved, the second is proved then, and the third is over.
    #[test]
    fn elders_do_not_pile_up() {
        let mut roster = Roster::default();
        let mut stay = Vec::new();
        for n in 0..10 {
            stay.push(comes(&mut roster));
            if n % 2 == 0 {
                roster.set_standing(stay[n], Standing::Listening);
            }
        }
        for n in 0..10_000 {
            let id = comes(&mut roster);
            match n % 4 {
                0 => {}
                1 => roster.set_standing(id, Standing::Listening),
                2 => roster.set_standing(id, Standing::Proved),
                _ => {
                    // It turns native, and is the newest of the unproved once more.
                    roster.set_standing(id, Standing::Listening);
                    roster.set_standing(id, Standing::Unproved);
                }
            }
            roster.remove(id);
            let most = roster.elders.each_ref().map(VecDeque::len);
            assert!(most.iter().all(|&len| len <= 2 * 10 + 2), "{most:?}");
        }
        assert_eq!(roster.len(), 10);
        assert_eq!(roster.oldest_of(Standing::Listening, 5), Some(stay[0]));
        assert_eq!(roster.oldest_of(Standing::Unproved, 5), Some(stay[1]));
        roster.set_standing(stay[3], Standing::Proved);
        let over = crate::error::Failure::Closed("it is over");
        roster[stay[5]].protocol.fail(over);
        assert_eq!(roster.oldest_of(Standing::Unproved, 5), None);
        assert_eq!(roster.oldest_of(Standing::Unproved, 4), Some(stay[7]));
        assert_eq!(roster.oldest_of(Standing::Unproved, 4), Some(stay[9]));
        assert_eq!(roster.oldest_of(Standing::Unproved, 0), None);
    }
}
