//! Sink: messages are counted, by the endpoint's own
//! [statistics](crate::endpoint::Stats), and dropped.

use crate::endpoint::Core;
use crate::endpoint::mode::{HandedOn, Message, Mode, Receivers};
use crate::endpoint::transport::PeerId;

/// Drops each message.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sink;

impl Mode for Sink {
    fn receivers(&self) -> Receivers {
        Receivers::Nobody
    }

    fn message(&mut self, _: &mut Core, _: PeerId, _: Message<'_>) {}

    fn fin(&mut self, core: &mut Core, peer: PeerId) -> HandedOn {
        core.finish(peer);
        HandedOn::Now
    }
}
