//! The slots that peers have, and whom to turn away when there are too many of
//! a kind.
//!
//! A name ([`PeerId`]) finds its peer only while it is there; a slot that is used
//! again has another generation.

use std::collections::VecDeque;
use std::ops::{Index, IndexMut};

use slab::Slab;

use super::peer::{Peer, Protocol, Standing};
use super::transport::PeerId;

/// All peers of an endpoint.
///
/// Invariant: `counts` says how many there are in each [`Standing`].
#[derive(Debug, Default)]
pub(super) struct Peers {
    slab: Slab<Peer>,
    generation: u32,
    slots: usize,
    counts: [usize; 3],
    /// Who may have to make room, by standing, oldest first. Who has gone or has
    /// another standing by now is passed over.
    elders: [VecDeque<PeerId>; 2],
}

impl Peers {
    /// Gives a connection a slot. It has proved nothing yet.
    pub(super) fn insert(&mut self, protocol: Protocol) -> PeerId {
        self.generation = self.generation.wrapping_add(1);
        let generation = self.generation;
        let slot = self.slab.insert(Peer::new(generation, protocol)) as u32;
        self.slots = self.slots.max(slot as usize + 1);
        self.counts[Standing::Unproved as usize] += 1;
        PeerId { slot, generation }
    }

    /// Takes a peer out.
    pub(super) fn remove(&mut self, id: PeerId) -> Peer {
        let standing = self[id].standing;
        self.counts[standing as usize] -= 1;
        let peer = self.slab.remove(id.slot as usize);
        while self.slots > 0 && !self.slab.contains(self.slots - 1) {
            self.slots -= 1;
        }
        peer
    }

    pub(super) fn get(&self, id: PeerId) -> Option<&Peer> {
        let peer = self.slab.get(id.slot as usize)?;
        (peer.generation == id.generation).then_some(peer)
    }

    pub(super) fn get_mut(&mut self, id: PeerId) -> Option<&mut Peer> {
        let peer = self.slab.get_mut(id.slot as usize)?;
        (peer.generation == id.generation).then_some(peer)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.slab.len()
    }

    /// How many have this standing.
    pub(super) fn count(&self, standing: Standing) -> usize {
        self.counts[standing as usize]
    }

    /// One more than the highest slot in use, for those who go through all while
    /// they change them.
    pub(super) fn slots(&self) -> usize {
        self.slots
    }

    /// Who has this slot.
    pub(super) fn id_at(&self, slot: usize) -> Option<PeerId> {
        let generation = self.slab.get(slot)?.generation;
        let slot = slot as u32;
        Some(PeerId { slot, generation })
    }

    /// All peers there are.
    pub(super) fn ids(&self) -> impl Iterator<Item = PeerId> {
        (0..self.slots()).filter_map(|slot| self.id_at(slot))
    }

    /// All peers that have this standing.
    pub(super) fn in_standing(&self, standing: Standing) -> Vec<PeerId> {
        let has = |&id: &PeerId| self[id].standing == standing;
        self.ids().filter(has).collect()
    }

    pub(super) fn set_standing(&mut self, id: PeerId, to: Standing) {
        let from = std::mem::replace(&mut self[id].standing, to);
        self.counts[from as usize] -= 1;
        self.counts[to as usize] += 1;
    }

    /// Has `id`, which is not proved, make room for others one day: it is the
    /// newest of its standing.
    pub(super) fn may_make_room(&mut self, id: PeerId) {
        let standing = self[id].standing;
        let mut elders = std::mem::take(&mut self.elders[standing as usize]);
        elders.push_back(id);
        // Those that are passed over are dropped when they are most of the list.
        if elders.len() > 2 * self.count(standing) {
            elders.retain(|&elder| self.stands(elder, standing));
        }
        self.elders[standing as usize] = elders;
    }

    fn stands(&self, id: PeerId, standing: Standing) -> bool {
        let stands = |peer: &Peer| peer.standing == standing && !peer.is_over();
        self.get(id).is_some_and(stands)
    }

    /// Who is to go so that one more may have `standing`, of which there may be
    /// `most`: the oldest, if there are that many.
    pub(super) fn oldest_of(&mut self, standing: Standing, most: usize) -> Option<PeerId> {
        while let Some(&oldest) = self.elders[standing as usize].front() {
            let stands = self.stands(oldest, standing);
            if stands && self.count(standing) < most {
                return None;
            }
            self.elders[standing as usize].pop_front();
            if stands {
                return Some(oldest);
            }
        }
        None
    }
}

/// # Panics
///
/// Of one who has gone.
impl Index<PeerId> for Peers {
    type Output = Peer;

    fn index(&self, id: PeerId) -> &Peer {
        self.get(id).expect("a peer that is there")
    }
}

/// # Panics
///
/// Of one who has gone.
impl IndexMut<PeerId> for Peers {
    fn index_mut(&mut self, id: PeerId) -> &mut Peer {
        self.get_mut(id).expect("a peer that is there")
    }
}

#[cfg(test)]
mod tests {
    use super::super::peer::Undecided;
    use super::*;
    use crate::time::Time;

    fn comes(peers: &mut Peers) -> PeerId {
        let id = peers.insert(Protocol::Undecided(Undecided::new(Time::ZERO)));
        peers.may_make_room(id);
        id
    }

    fn listens(peers: &mut Peers, id: PeerId) {
        peers.set_standing(id, Standing::Listening);
        peers.may_make_room(id);
    }

    /// Goal: who comes and goes leaves nothing behind, whatever it was meanwhile.
    /// Method: ten thousand beside ten that stay; the lists stay short.
    #[test]
    fn elders_do_not_pile_up() {
        let mut peers = Peers::default();
        let mut stay = Vec::new();
        for n in 0..10 {
            stay.push(comes(&mut peers));
            if n % 2 == 0 {
                listens(&mut peers, stay[n]);
            }
        }
        for n in 0..10_000 {
            let id = comes(&mut peers);
            match n % 4 {
                0 => {}
                1 => listens(&mut peers, id),
                2 => peers.set_standing(id, Standing::Proved),
                _ => {
                    // It turns native, and waits for room once more.
                    listens(&mut peers, id);
                    peers.set_standing(id, Standing::Unproved);
                    peers.may_make_room(id);
                }
            }
            peers.remove(id);
            let most = peers.elders.each_ref().map(VecDeque::len);
            assert!(most.iter().all(|&len| len <= 2 * 10 + 2), "{most:?}");
        }
        assert_eq!(peers.len(), 10);
        assert_eq!(peers.oldest_of(Standing::Unproved, 5), Some(stay[1]));
        assert_eq!(peers.oldest_of(Standing::Listening, 5), Some(stay[0]));
    }

    /// Goal: the oldest that still stands makes room, once, and nobody while there
    /// is some. Method: five, of which the first has gone, the second is proved and
    /// the third is over.
    #[test]
    fn the_oldest_that_stands_goes() {
        let mut peers = Peers::default();
        let ids = [(); 5].map(|()| comes(&mut peers));
        peers.remove(ids[0]);
        peers.set_standing(ids[1], Standing::Proved);
        let over = crate::error::Failure::Closed("it is over");
        peers[ids[2]].protocol = Protocol::Ended(over);
        assert_eq!(peers.oldest_of(Standing::Unproved, 4), None);
        assert_eq!(peers.oldest_of(Standing::Unproved, 3), Some(ids[3]));
        assert_eq!(peers.oldest_of(Standing::Unproved, 3), Some(ids[4]));
        assert_eq!(peers.oldest_of(Standing::Unproved, 0), None);
    }
}
