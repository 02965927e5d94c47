//! Tunnel: each peer has a plain connection of its own, and the bytes of the two go to each
//! other.
//!
//! The same mode is both ends. At the far end peers come, and each gets a connection to its
//! target. At the near end plain connections come, and each gets a peer. The ends of the two are
//! joined as [`crate::endpoint`] says; which target a peer has is up to the driver.

use crate::endpoint::Context;
use crate::endpoint::mode::{HandedOn, Message, Mode, Receivers};
use crate::endpoint::transport::{LocalId, PeerId};
use crate::wire::hello::Service;

/// Joins each peer with a local that belongs to it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tunnel;

impl Mode for Tunnel {
    fn receivers(&self) -> Receivers {
        Receivers::Paired
    }

    fn service(&self) -> Service {
        Service::Tunnel
    }

    fn joined(&mut self, context: &mut Context, peer: PeerId) {
        // One that was dialled for a plain connection has that.
        if context.local_of(peer).is_none() {
            context.open_local(peer);
        }
    }

    fn message(&mut self, context: &mut Context, peer: PeerId, message: Message<'_>) {
        if let Some(local) = context.local_of(peer) {
            context.write(local, peer, message);
        }
    }

    fn fin(&mut self, context: &mut Context, peer: PeerId) -> HandedOn {
        let Some(local) = context.local_of(peer) else {
            return HandedOn::Now;
        };
        context.finish_local(local);
        HandedOn::Written(local)
    }

    fn input(&mut self, context: &mut Context, local: LocalId, message: Message<'_>) {
        if let Some(peer) = context.peer_of(local) {
            // A peer that takes no more has failed, and so will the local.
            let _ = context.send(peer, message);
        }
    }

    fn input_end(&mut self, context: &mut Context, local: LocalId) {
        if let Some(peer) = context.peer_of(local) {
            context.finish(peer);
        }
    }
}
