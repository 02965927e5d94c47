//! Whoever uses the loop over streams: what it is asked, and what it is told.

use std::ops::Range;

use sealwire::endpoint::transport::PeerId;

use super::codec::Codec;
use super::peers::{Peers, Slot};

/// What is done with what is said.
pub(crate) trait User<C: Codec> {
    /// What it keeps for each peer.
    type Peer: Default;

    /// The TCP connection of `id` is there.
    fn connected(&mut self, _id: PeerId) {}

    /// `id` can be sent to.
    fn joined(&mut self, _peers: &mut Peers<C, Self::Peer>, _id: PeerId) {}

    /// Whether `id` may be read now; if not, it is when [`Peers::resume`] is called.
    fn may_read(&self, _slot: &Slot<C, Self::Peer>) -> bool {
        true
    }

    /// Whether what was read is to stay where it is until the turn ends.
    fn keeps(&self) -> bool {
        false
    }

    /// `id` said what is in `range` of `bytes`.
    fn said(
        &mut self,
        peers: &mut Peers<C, Self::Peer>,
        id: PeerId,
        bytes: &[u8],
        range: Range<usize>,
    );

    /// `id` has said all.
    fn ended(&mut self, peers: &mut Peers<C, Self::Peer>, id: PeerId);

    /// Called once in every turn, behind what was said, which is in `bytes` if it was
    /// to stay.
    fn turn(&mut self, _peers: &mut Peers<C, Self::Peer>, _bytes: &[u8]) {}

    /// Sends what waits for `id`; says whether nothing is left.
    fn write(&mut self, peers: &mut Peers<C, Self::Peer>, id: PeerId) -> bool;

    /// `id` is gone; `Ok` if each side has told the other that it is done.
    fn left(
        &mut self,
        peers: &mut Peers<C, Self::Peer>,
        id: PeerId,
        own: Self::Peer,
        outcome: Result<(), String>,
    );
}
