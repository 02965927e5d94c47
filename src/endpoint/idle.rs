//! Peers that make no progress, where the endpoint cannot end because of them.
//!
//! PING and PONG are no progress. [`super::flow`] handles peers that others wait for, and
//! [`crate::conn`] a peer that is silent. Read next: [`super::shutdown`].

use super::Context;
use super::peer::Peer;
use super::transport::PeerId;
use crate::error::{Abort, Reason};
use crate::time::Time;

/// When data last moved either way. It is reset while we cause the delay.
#[derive(Debug, Default)]
pub(super) struct IdleClock {
    active: Time,
}

impl IdleClock {
    pub(super) fn reset(&mut self, now: Time) {
        self.active = now;
    }
}

impl Context {
    /// When `peer` counts as idle if it makes no progress: never where the endpoint does
    /// not end with its peers.
    pub(super) fn idle_due(&self, peer: &Peer) -> Option<Time> {
        let ends_with_peers = self.shutdown.ends_with_peers();
        let counts = ends_with_peers && peer.is_proved() && peer.protocol.is_open();
        let idle = self.limits.max_idle.filter(|_| counts)?;
        Some(peer.idle.active + idle)
    }

    /// Drops `id` if the endpoint cannot end because of it, and neither side has sent
    /// anything but PING and PONG for `max_idle`.
    pub(super) fn drop_if_idle(&mut self, id: PeerId) {
        let due = self.idle_due(&self.roster[id]);
        if due.is_none_or(|due| self.now < due) {
            return;
        }
        let peer = &mut self.roster[id];
        let is_waited_for = peer.outlet.has_waiting() || !self.locals.input_is_open();
        let is_read = !peer.flow.is_paused() && !peer.flow.is_ready();
        // Our own output may hold it up, too.
        if is_waited_for && is_read && self.locals.have_all() {
            let idle = self.limits.max_idle.unwrap_or_default();
            let why = format!("no progress for {} s", idle.as_secs_f32());
            self.abort(id, Abort::new(Reason::TOO_SLOW, &why));
        } else {
            peer.idle.reset(self.now);
        }
    }
}
