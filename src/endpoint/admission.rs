//! How a connection comes to a slot, what it speaks, and when it joins.
//!
//! A peer that connects has proved nothing yet. Where the endpoint speaks both formats,
//! the peer's first bytes decide between them. Silent peers and classic peers have a bound
//! of their own, so that they take no room from native handshakes. How a peer proves
//! itself is not decided here: read [`crate::conn`] and [`crate::classic`] for that.

use std::ops::Range;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use zeroize::Zeroizing;

use super::mode::Mode;
use super::peer::Protocol;
use super::roster::Standing;
use super::transport::PeerId;
use super::undecided::Undecided;
use super::{Context, Endpoint, EndpointEvent, Setup};
use crate::classic::{ClassicConnection, ClassicKeys};
use crate::conn::Connection;
#[cfg(feature = "internals")]
use crate::conn::FirstSecrets;
use crate::crypto::dh::Private;
use crate::crypto::kernel::Kernel;
use crate::crypto::keys::Identity;
use crate::error::{Abort, Reason};
use crate::limits::{BLOCK, MAX_CLASSIC_UNPROVED, MAX_UNPROVED};
use crate::time::Time;
use crate::wire::hello::{self, FIXED};

/// What new connections are made of: the keys of both formats, and randomness.
pub(super) struct Admission {
    identity: Option<Arc<Identity>>,
    classic: Option<Arc<ClassicKeys>>,
    max_message: usize,
    kernel: Kernel,
    rng: StdRng,
}

impl Admission {
    pub(super) fn new(setup: Setup) -> Self {
        assert!(setup.identity.is_some() || setup.classic.is_some());
        Self {
            identity: setup.identity,
            classic: setup.classic,
            max_message: setup.limits.max_message,
            kernel: setup.kernel,
            rng: setup.rng,
        }
    }

    /// A native connection of this `side`, whose handshake began at `since`.
    fn native(
        &mut self,
        side: fn(Arc<Identity>, Private, Time) -> Connection,
        since: Time,
    ) -> Connection {
        let identity = self.identity.clone().expect("one of the two formats");
        side(identity, self.ephemeral(), since)
    }

    fn classic(&self, now: Time) -> Option<ClassicConnection> {
        let keys = self.classic.clone()?;
        Some(ClassicConnection::new(keys, self.max_message, now))
    }

    /// A private key for one handshake. The generator gets a new seed, too, so that its later
    /// state does not reveal earlier keys.
    fn ephemeral(&mut self) -> Private {
        let mut bytes = Zeroizing::new([0; 32]);
        let mut seed = Zeroizing::new([0; 32]);
        self.rng.fill_bytes(&mut bytes[..]);
        self.rng.fill_bytes(&mut seed[..]);
        self.rng = StdRng::from_seed(*seed);
        Private::new(*bytes, self.kernel)
    }

    pub(super) fn iv(&mut self) -> [u8; BLOCK] {
        let mut iv = [0; BLOCK];
        self.rng.fill_bytes(&mut iv);
        iv
    }
}

impl<M: Mode> Endpoint<M> {
    /// Gives a connection that was accepted a slot.
    pub fn accepted(&mut self, now: Time) -> PeerId {
        self.parts.now = now;
        self.parts.make_room(Standing::Unproved, MAX_UNPROVED);
        let protocol = match self.parts.admission.classic {
            Some(_) => Protocol::Undecided(Undecided::new(now)),
            None => Protocol::Native(self.parts.admission.native(Connection::server, now)),
        };
        let id = self.parts.roster.insert(protocol);
        self.parts.roster.may_make_room(id);
        self.parts.ready(id);
        id
    }

    /// Gives a connection that we made a slot.
    pub fn dialled(&mut self, now: Time) -> PeerId {
        self.parts.now = now;
        let admission = &mut self.parts.admission;
        let id = if let Some(conn) = admission.classic(now) {
            let id = self.parts.roster.insert(Protocol::Classic(conn));
            // The other side may wait for us to speak first.
            self.join(id);
            id
        } else {
            let conn = admission.native(Connection::client, now);
            self.parts.roster.insert(Protocol::Native(conn))
        };
        self.parts.ready(id);
        // Its hello waits.
        self.parts.list_for_output(id);
        id
    }

    /// Gives a connection a slot that counts as proved without a proof: for tests and
    /// benches, which have many without the cost of the curve. The endpoint takes it
    /// even if there are [`max_peers`](crate::limits::Limits::max_peers), and counts it
    /// among them.
    #[cfg(feature = "internals")]
    pub fn adopt(&mut self, now: Time, secrets: FirstSecrets<'_>) -> PeerId {
        self.parts.now = now;
        let conn = Connection::open_already(&mut self.parts.keys, secrets, now);
        let id = self.parts.roster.insert(Protocol::Native(conn));
        self.join(id);
        id
    }

    /// Tells the mode about a peer that has just proved itself. Returns whether the mode
    /// knows the peer.
    #[inline]
    pub(super) fn note_proof(&mut self, id: PeerId) -> bool {
        self.parts.roster[id].is_proved() || self.take_proved(id)
    }

    /// Lets a peer join if it has proved itself, came in time and finds room. Returns
    /// whether it joined.
    fn take_proved(&mut self, id: PeerId) -> bool {
        let parts = &mut self.parts;
        let peer = &parts.roster[id];
        if !peer.protocol.is_proved() || peer.is_over() {
            return false;
        }
        let full = parts.roster.proved() >= parts.limits.max_peers;
        // A listener came before the input began.
        let listened = peer.membership.standing() == Standing::Listening;
        let why = parts.too_late().filter(|_| !listened);
        if let Some(why) = why.or(full.then_some("this server is full")) {
            // It keeps its slot until it is closed: the bound on unproved peers counts it.
            parts.abort(id, Abort::new(Reason::GOING_AWAY, why));
            return false;
        }
        self.join(id);
        true
    }

    /// Counts `id` as proved, and tells the mode.
    fn join(&mut self, id: PeerId) {
        let parts = &mut self.parts;
        parts.roster.set_standing(id, Standing::Proved);
        parts.roster[id].idle.reset(parts.now);
        parts.flow.joined(&parts.roster[id]);
        parts.stats.joined += 1;
        parts.events.push_back(EndpointEvent::Joined(id));
        self.mode.joined(parts, id);
        self.parts.greet(id);
    }
}

impl Context {
    /// Evicts the oldest peer of this unproved `standing` if there are `most`, so that silent
    /// connections keep no peer out.
    fn make_room(&mut self, standing: Standing, most: usize) {
        if let Some(oldest) = self.roster.oldest_of(standing, most) {
            self.fail(oldest, "to make room for newer connections");
        }
    }

    /// Gives a silent or classic peer a slot of its kind. A peer that came too late is
    /// aborted: it would get only the rest of the input, and could not know what it missed.
    pub(super) fn listen(&mut self, id: PeerId) {
        if let Some(why) = self.too_late() {
            return self.abort(id, Abort::new(Reason::GOING_AWAY, why));
        }
        self.make_room(Standing::Listening, MAX_CLASSIC_UNPROVED);
        self.roster.set_standing(id, Standing::Listening);
    }

    /// Decides which format an undecided peer speaks, if the bytes in `range` of the
    /// scratch are enough. Returns whether they are classic frames.
    pub(super) fn decide(&mut self, id: PeerId, range: Range<usize>) -> bool {
        let undecided = match &self.roster[id].protocol {
            Protocol::Undecided(undecided) if !undecided.is_over() => undecided,
            protocol => return protocol.is_classic(),
        };
        let bytes = &self.store.memory.scratch[range];
        let native = self.admission.identity.is_some() && hello::may_be_client(bytes);
        if native && bytes.len() >= FIXED {
            let since = undecided.since(self.now);
            let listened = undecided.listens();
            let conn = self.admission.native(Connection::server, since);
            self.roster[id].protocol = Protocol::Native(conn);
            // What was queued is text for a listener, not for a native peer.
            self.drop_queue(id);
            if listened {
                self.roster.set_standing(id, Standing::Unproved);
            }
        }
        !native
    }

    /// Makes an undecided peer a classic one. It may evict another, so this comes in its
    /// own turn: a peer whose frame came before it is proved by then.
    pub(super) fn become_classic(&mut self, id: PeerId) {
        let standing = self.roster[id].membership.standing();
        if let Protocol::Undecided(undecided) = &self.roster[id].protocol
            && !undecided.is_over()
            && standing != Standing::Listening
        {
            self.listen(id);
        }
        if let Protocol::Undecided(undecided) = &self.roster[id].protocol
            && !undecided.is_over()
            && let Some(conn) = self.admission.classic(self.now)
        {
            let conn = conn.frame_began(undecided.first_byte());
            self.roster[id].protocol = Protocol::Classic(conn);
        }
    }
}
