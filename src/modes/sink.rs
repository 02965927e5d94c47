//! Sink: messages are counted, by the endpoint's own
//! [statistics](crate::endpoint::Stats), and dropped.

use crate::endpoint::Context;
use crate::endpoint::mode::{Message, Mode, Receivers};
use crate::endpoint::transport::PeerId;

/// Drops each message.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sink;

impl Mode for Sink {
    fn receivers(&self) -> Receivers {
        Receivers::Nobody
    }

    fn message(&mut self, _: &mut Context, _: PeerId, _: Message<'_>) {}
}
