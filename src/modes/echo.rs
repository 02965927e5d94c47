//! Echo: every message goes back to whoever sent it.

use crate::endpoint::Core;
use crate::endpoint::mode::{HandedOn, Message, Mode, Receivers};
use crate::endpoint::transport::PeerId;
use crate::error::{Abort, Reason};

/// Returns each message.
#[derive(Debug, Clone, Copy, Default)]
pub struct Echo;

impl Mode for Echo {
    fn receivers(&self) -> Receivers {
        Receivers::Sender
    }

    fn message(&mut self, core: &mut Core, peer: PeerId, message: Message<'_>) {
        if !core.send(peer, message) {
            // We have said all: this one cannot be answered, nor its end be
            // confirmed.
            core.abort(peer, Abort::new(Reason::GOING_AWAY, ""));
        }
    }

    fn fin(&mut self, core: &mut Core, peer: PeerId) -> HandedOn {
        core.finish(peer);
        HandedOn::Now
    }
}
