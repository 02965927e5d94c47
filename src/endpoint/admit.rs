//! How a connection comes to a slot, and what it speaks.
//!
//! Whoever connects has proved nothing yet, and where both formats are spoken its first
//! bytes decide between them. Those that say nothing and those that speak classic have
//! a bound of their own, so that they take no room from native handshakes.

use std::ops::Range;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use zeroize::Zeroizing;

use super::mode::Mode;
use super::peer::{Protocol, Standing, Undecided};
use super::transport::PeerId;
use super::{Core, Endpoint};
use crate::conn::classic::ClassicConnection;
use crate::conn::{Connection, FirstSecrets};
use crate::crypto::dh::Private;
use crate::crypto::keys::Identity;
use crate::limits::{MAX_CLASSIC_UNPROVED, MAX_UNPROVED};
use crate::time::Time;
use crate::wire::hello::{self, FIXED};

impl<M: Mode> Endpoint<M> {
    /// Gives a connection that was accepted a slot.
    pub fn accepted(&mut self, now: Time) -> PeerId {
        self.core.now = now;
        self.core.make_room(Standing::Unproved, MAX_UNPROVED);
        let protocol = if self.core.setup.classic.is_some() {
            Protocol::Undecided(Undecided::new(now))
        } else {
            Protocol::Native(self.core.new_server(now))
        };
        let id = self.core.insert(protocol);
        self.core.peers.may_make_room(id);
        self.core.ready(id);
        id
    }

    /// Gives a connection that we made a slot.
    pub fn dialled(&mut self, now: Time) -> PeerId {
        self.core.now = now;
        let protocol = match self.core.new_classic(now) {
            Some(conn) => Protocol::Classic(conn),
            None => {
                let private = self.core.ephemeral();
                Protocol::Native(Connection::client(self.core.identity(), private, now))
            }
        };
        let is_classic = matches!(protocol, Protocol::Classic(_));
        let id = self.core.insert(protocol);
        if is_classic {
            // The other side may wait for us to speak first.
            self.core.peers.set_standing(id, Standing::Proved);
            self.note_open(id);
        }
        self.core.ready(id);
        // Its hello waits.
        self.core.dirty(id);
        id
    }

    /// Gives a connection a slot that counts as proved though nobody has proved
    /// anything: for tests and benches, which have many without the cost of the curve.
    /// It is taken even if there are [`max_peers`](crate::limits::Limits::max_peers),
    /// and counts among them.
    #[doc(hidden)]
    pub fn adopt(&mut self, now: Time, secrets: FirstSecrets<'_>) -> PeerId {
        self.core.now = now;
        let conn = Connection::open_already(&mut self.core.keys, secrets, now);
        let id = self.core.insert(Protocol::Native(conn));
        self.core.peers.set_standing(id, Standing::Proved);
        self.note_open(id);
        id
    }
}

impl Core {
    fn insert(&mut self, protocol: Protocol) -> PeerId {
        let id = self.peers.insert(protocol);
        self.touch(id);
        id
    }

    /// Closes the oldest of those that have proved nothing, if there are too many
    /// of them: who opens connections and says nothing keeps nobody out.
    fn make_room(&mut self, standing: Standing, most: usize) {
        if let Some(oldest) = self.peers.oldest_of(standing, most) {
            self.fail(oldest, "to make room for newer connections");
        }
    }

    /// Gives a silent or classic peer a slot of its kind, unless it came too late: it
    /// would get the rest of the input, and no word of what it missed.
    pub(super) fn listen(&mut self, id: PeerId) {
        if let Some(why) = self.too_late() {
            return self.fail(id, why);
        }
        self.make_room(Standing::Listening, MAX_CLASSIC_UNPROVED);
        self.peers.set_standing(id, Standing::Listening);
        self.peers.may_make_room(id);
    }

    /// Decides what an undecided peer speaks, if the bytes in `range` tell.
    pub(super) fn decide(&mut self, id: PeerId, range: Range<usize>) {
        let Protocol::Undecided(undecided) = self.peers[id].protocol else {
            return;
        };
        let bytes = &self.memory.scratch[range];
        if self.setup.identity.is_none() || !hello::may_be_client(bytes) {
            self.become_classic(id);
        } else if bytes.len() >= FIXED {
            let conn = self.new_server(undecided.since(self.now));
            self.peers[id].protocol = Protocol::Native(conn);
            // What it was to hear as a listener is not for it.
            self.drop_queue(id);
            if undecided.listens {
                self.peers.set_standing(id, Standing::Unproved);
                self.peers.may_make_room(id);
            }
        }
    }

    /// Makes an undecided peer a classic one.
    pub(super) fn become_classic(&mut self, id: PeerId) {
        let Protocol::Undecided(undecided) = self.peers[id].protocol else {
            return;
        };
        if !undecided.listens {
            self.listen(id);
        }
        if self.peers[id].is_over() {
            return;
        }
        if let Some(mut conn) = self.new_classic(self.now) {
            conn.frame_began(undecided.first_byte);
            self.peers[id].protocol = Protocol::Classic(conn);
        }
    }

    fn identity(&self) -> Arc<Identity> {
        self.setup.identity.clone().expect("one of the two formats")
    }

    /// A private key for one handshake. The generator is seeded anew with it:
    /// whoever sees its state later cannot tell the keys of before.
    fn ephemeral(&mut self) -> Private {
        let mut bytes = Zeroizing::new([0; 32]);
        let mut seed = Zeroizing::new([0; 32]);
        self.setup.rng.fill_bytes(&mut bytes[..]);
        self.setup.rng.fill_bytes(&mut seed[..]);
        self.setup.rng = StdRng::from_seed(*seed);
        Private::new(*bytes)
    }

    fn new_server(&mut self, since: Time) -> Connection {
        let private = self.ephemeral();
        Connection::server(self.identity(), private, since)
    }

    /// A classic connection, if we speak classic.
    fn new_classic(&self, now: Time) -> Option<ClassicConnection> {
        let keys = self.setup.classic.clone()?;
        let limit = self.setup.limits.max_message;
        Some(ClassicConnection::new(keys, limit, now))
    }
}
