//! Echo: every message goes back to its sender.

use crate::endpoint::Context;
use crate::endpoint::mode::{Message, Mode, Receivers};
use crate::endpoint::transport::PeerId;
use crate::error::{Abort, Reason};

/// Returns each message.
#[derive(Debug, Clone, Copy, Default)]
pub struct Echo;

impl Mode for Echo {
    fn receivers(&self) -> Receivers {
        Receivers::Sender
    }

    fn message(&mut self, context: &mut Context, peer: PeerId, message: Message<'_>) {
        if context.is_stopping() {
            // We have sent FIN, so this message cannot be answered, and its FIN gets no DONE.
            context.abort(peer, Abort::new(Reason::GOING_AWAY, ""));
        } else {
            // A peer that takes no answer any more is on its way out.
            let _ = context.send(peer, message);
        }
    }
}
