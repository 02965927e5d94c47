//! Relay: every message goes to all other peers.

use crate::endpoint::Core;
use crate::endpoint::mode::{HandedOn, Message, Mode, Receivers};
use crate::endpoint::transport::PeerId;
use crate::error::{Abort, Reason};

/// Passes each message to every other peer. Who has said all gets what is queued
/// for it by then, and no more.
#[derive(Debug, Clone, Copy, Default)]
pub struct Relay;

impl Mode for Relay {
    fn receivers(&self) -> Receivers {
        Receivers::Others
    }

    fn message(&mut self, core: &mut Core, peer: PeerId, message: Message<'_>) {
        if core.is_stopping() {
            // Nobody gets it any more, so its end has no DONE.
            core.abort(peer, Abort::new(Reason::GOING_AWAY, ""));
        } else {
            core.broadcast(Some(peer), message);
        }
    }

    fn fin(&mut self, core: &mut Core, peer: PeerId) -> HandedOn {
        core.finish(peer);
        HandedOn::Now
    }
}
