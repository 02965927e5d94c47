//! Relay: every message goes to all other peers.

use crate::endpoint::Context;
use crate::endpoint::mode::{Message, Mode, Receivers};
use crate::endpoint::transport::PeerId;
use crate::error::{Abort, Reason};

/// Passes each message to every other peer. A peer that has sent FIN gets what is
/// queued for it by then, and no more.
#[derive(Debug, Clone, Copy, Default)]
pub struct Relay;

impl Mode for Relay {
    fn receivers(&self) -> Receivers {
        Receivers::Others
    }

    fn message(&mut self, context: &mut Context, peer: PeerId, message: Message<'_>) {
        if context.is_stopping() {
            // No peer gets this message any more, so its FIN gets no DONE.
            context.abort(peer, Abort::new(Reason::GOING_AWAY, ""));
        } else {
            context.broadcast(Some(peer), message);
        }
    }
}
