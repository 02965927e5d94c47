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
        if core.is_stopping() {
            // We have said all, so this has no answer and its end no DONE.
            core.abort(peer, Abort::new(Reason::GOING_AWAY, ""));
        } else {
            core.send(peer, message);
        }
    }

    fn fin(&mut self, core: &mut Core, peer: PeerId) -> HandedOn {
        core.finish(peer);
        HandedOn::Now
    }
}
