//! How a connection comes to a slot, what it speaks, and when it joins.
//!
//! A peer that connects has proved nothing yet. Where the endpoint speaks both formats,
//! the peer's first bytes decide between them. Silent peers and classic peers have a bound
//! of their own, so that they take no room from native handshakes. Before a hello holds, a
//! connection costs a slot and one HMAC. Work on the curve has a budget, and a hello that was
//! seen before gets none. Read next: [`super::crowd`], which chooses the connection that makes
//! room. [`crate::conn`] and [`crate::classic`] decide how a peer proves itself.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use zeroize::Zeroizing;

use super::crowd::{Candidate, Reached};
use super::mode::Mode;
use super::peer::Protocol;
use super::recent::Recent;
use super::roster::Standing;
use super::transport::{Origin, PeerId};
use super::undecided::Undecided;
use super::{Context, Endpoint, EndpointEvent, Setup};
use crate::classic::{ClassicConnection, ClassicKeys};
use crate::conn::Connection;
#[cfg(feature = "internals")]
use crate::conn::FirstSecrets;
use crate::crypto::dh::Private;
use crate::crypto::kernel::Kernel;
use crate::crypto::keys::Identity;
use crate::crypto::ring::{Key, KeyRing};
use crate::error::{Abort, PeerFault, Reason};
use crate::limits::{
    ANSWERS, BLOCK, CLASSIC_IDLE, MAX_CLASSIC, MAX_CLASSIC_UNPROVED, RESERVED_PART, handshake_grace,
};
use crate::time::Time;
use crate::wire::hello::{self, CLIENT_TAG, FIXED, Service};

/// What new connections are made of: the keys of both formats, and randomness. And what is
/// known of those that prove themselves.
pub(super) struct Admission {
    /// What we prove when we connect.
    identity: Option<Arc<Identity>>,
    /// What peers that connect may prove.
    ring: KeyRing,
    classic: Option<Arc<ClassicKeys>>,
    /// What clients ask for.
    service: Service,
    max_message: usize,
    /// How long a connection has at each step of its handshake.
    grace: Duration,
    kernel: Kernel,
    rng: StdRng,
    /// Hellos that held, and frames of classic peers.
    hellos: Recent,
    frames: Recent,
    /// Proved classic peers that we accepted. Some may be gone.
    classic_peers: Vec<PeerId>,
    /// Connections whose hello waits for its answer, in order. Some may be gone.
    to_answer: VecDeque<PeerId>,
}

impl Admission {
    pub(super) fn new(setup: Setup, service: Service) -> Self {
        let ring = with(setup.ring, setup.identity.as_ref());
        assert!(!ring.is_empty() || setup.classic.is_some());
        Self {
            identity: setup.identity,
            ring,
            classic: setup.classic,
            service,
            max_message: setup.limits.max_message,
            grace: handshake_grace(setup.limits.max_handshakes),
            kernel: setup.kernel,
            rng: setup.rng,
            hellos: Recent::default(),
            frames: Recent::default(),
            classic_peers: Vec::new(),
            to_answer: VecDeque::new(),
        }
    }

    /// Whether hellos wait for their answer.
    pub(super) fn is_busy(&self) -> bool {
        !self.to_answer.is_empty()
    }

    /// What peers that connect may prove.
    pub(super) fn ring(&self) -> &KeyRing {
        &self.ring
    }

    /// A native connection of a peer that connected, whose handshake began at `since`.
    fn native(&mut self, since: Time) -> Connection {
        Connection::server(self.ring.clone(), self.ephemeral(), self.service, since)
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

/// `ring` with our own key, which peers may prove too.
fn with(mut ring: KeyRing, identity: Option<&Arc<Identity>>) -> KeyRing {
    if let Some(identity) = identity {
        // If it is there with a name, that stays.
        let _ = ring.add(Key::new(Arc::clone(identity)));
    }
    ring
}

impl<M: Mode> Endpoint<M> {
    /// When the next connection may be [accepted](Self::accepted): now, or when one that has
    /// proved nothing had time enough. Until then the system keeps the new one.
    pub fn accepts_at(&self, now: Time) -> Time {
        match self.parts.candidate(now, self.parts.admission.grace) {
            Candidate::At(at) => at,
            _ => now,
        }
    }

    /// Closes a connection that has proved nothing, because this machine has no descriptor or
    /// memory for one more. Returns when to try again; `None` if there is no such connection.
    pub fn make_room(&mut self, now: Time) -> Option<Time> {
        self.parts.now = now;
        let crowd = self.parts.roster.crowd(Standing::Unproved);
        match crowd.candidate(Reached::Answer, now, self.parts.admission.grace) {
            Candidate::Now(id) => self.parts.evict(id),
            Candidate::At(at) => return Some(at),
            Candidate::Nobody => return None,
        }
        Some(now)
    }

    /// Gives a connection that was accepted a slot. It comes from `origin`. It takes the slot
    /// of another one, whether that [had its time](Self::accepts_at) or not, if there are
    /// [`max_handshakes`](crate::limits::Limits::max_handshakes).
    pub fn accepted(&mut self, now: Time, origin: Origin) -> PeerId {
        self.parts.now = now;
        let mut candidate = self.parts.candidate(now, self.parts.admission.grace);
        if let Candidate::At(_) = candidate {
            candidate = self.parts.candidate(now, Duration::ZERO);
        }
        if let Candidate::Now(id) = candidate {
            self.parts.evict(id);
        }
        let protocol = match self.parts.admission.classic {
            Some(_) => Protocol::Undecided(Undecided::new(now)),
            None => Protocol::Native(self.parts.admission.native(now)),
        };
        let id = self.parts.roster.admit(protocol, origin, now);
        self.parts.ready(id);
        id
    }

    /// Gives a connection that we made a slot.
    ///
    /// # Panics
    ///
    /// If the setup had no identity, and no keys for classic.
    pub fn dialled(&mut self, now: Time) -> PeerId {
        self.parts.now = now;
        let admission = &mut self.parts.admission;
        let id = if let Some(conn) = admission.classic(now) {
            let id = self.parts.roster.insert(Protocol::Classic(conn));
            // The other side may wait for us to speak first.
            self.join(id);
            id
        } else {
            let identity = admission.identity.clone().expect("a key of our own");
            let conn = Connection::client(identity, admission.ephemeral(), admission.service, now);
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
        let is_classic = peer.protocol.is_classic();
        // A listener came before the input began.
        let listened = peer.membership.standing() == Standing::Listening;
        let why = parts.too_late().filter(|_| !listened);
        let full = full || is_classic && !parts.has_classic_room();
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
        parts.roster.set_standing(id, Standing::Proved, parts.now);
        if parts.roster[id].protocol.is_classic() {
            parts.admission.classic_peers.push(id);
        }
        parts.roster.name_by_key(id);
        parts.roster[id].idle.reset(parts.now);
        parts.flow.joined(&mut parts.roster[id]);
        parts.stats.joined += 1;
        parts.events.push_back(EndpointEvent::Joined(id));
        parts.open_pair(id);
        self.mode.joined(parts, id);
        self.parts.finish_if_input_ended(id);
    }
}

impl Context {
    /// Which connection makes room for one more that has proved nothing, after it had the time
    /// `grace`; nobody while there is room. Some slots are for connections whose hello holds:
    /// those without one may not take them, and those with one may keep them.
    fn candidate(&self, now: Time, grace: Duration) -> Candidate {
        let crowd = self.roster.crowd(Standing::Unproved);
        let most = self.limits.max_handshakes;
        let reserved = most / RESERVED_PART;
        let others = crowd.len() - crowd.with_hello();
        if crowd.len() < most && others < most - reserved {
            return Candidate::Nobody;
        }
        let furthest = match crowd.with_hello() > reserved {
            true => Reached::Answer,
            false => Reached::Bytes,
        };
        crowd.candidate(furthest, now, grace)
    }

    /// Replaces the keys that peers may prove, and ends those that used one that is withdrawn.
    pub(super) fn set_ring(&mut self, ring: KeyRing) {
        self.admission.ring = with(ring, self.admission.identity.as_ref());
        for slot in 0..self.roster.slots() {
            if let Some(id) = self.roster.id_at(slot)
                && let Protocol::Native(conn) = &mut self.roster[id].protocol
                && conn.set_keys(&self.admission.ring)
            {
                self.abort(id, Abort::new(Reason::KEY_WITHDRAWN, ""));
            }
        }
    }

    /// Closes a connection that has proved nothing. From now on it does not count.
    fn evict(&mut self, id: PeerId) {
        self.stats.evicted += 1;
        self.roster.leave_crowd(id);
        self.fail(id, "to make room for newer connections");
    }

    /// Notes how far an unproved peer has come that has sent bytes. A hello that holds waits
    /// for its answer, unless it was seen before, or something came `behind` it: its client
    /// cannot know what to send.
    pub(super) fn note_hello(&mut self, id: PeerId, behind: bool) {
        let mut reached = Reached::Bytes;
        if let Protocol::Native(conn) = &mut self.roster[id].protocol
            && let Some(hello) = conn.greeting()
        {
            reached = Reached::Hello;
            let (mark, _) = hello[CLIENT_TAG..].as_chunks();
            if behind {
                conn.fail(PeerFault::Early.into());
            } else if !self.admission.hellos.note(mark[0]) {
                conn.fail(PeerFault::Replayed.into());
            } else {
                self.admission.to_answer.push_back(id);
            }
        }
        self.roster.note_reached(id, reached, self.now);
    }

    /// Answers some of the hellos that wait.
    pub(super) fn answer_hellos(&mut self) {
        let mut answers = 0;
        while answers < ANSWERS {
            let Some(id) = self.admission.to_answer.pop_front() else {
                return;
            };
            if let Some(peer) = self.roster.get_mut(id)
                && let Protocol::Native(conn) = &mut peer.protocol
                && conn.greeting().is_some()
            {
                answers += 1;
                conn.answer(&mut self.keys);
                self.roster.note_reached(id, Reached::Answer, self.now);
                self.stir(id);
            }
        }
    }

    /// Notes a classic frame that holds, which has this `iv`. Ends a peer that it would prove if
    /// it came before: whoever sits on the path has recordings. Returns whether it counts.
    pub(super) fn note_frame(&mut self, id: PeerId, iv: [u8; BLOCK]) -> bool {
        let counts = self.admission.frames.note(iv) || self.roster[id].is_proved();
        if !counts {
            self.roster[id].protocol.fail(PeerFault::Replayed.into());
        }
        counts
    }

    /// Whether one more classic peer finds room; makes some, if a peer has said nothing for
    /// long. A peer that holds a recording alone cannot speak, and one that holds the keys can.
    fn has_classic_room(&mut self) -> bool {
        let (roster, peers) = (&self.roster, &mut self.admission.classic_peers);
        if peers.len() < MAX_CLASSIC {
            return true;
        }
        let heard = |&id: &PeerId| match &roster.get(id)?.protocol {
            Protocol::Classic(conn) if !conn.is_over() => Some((conn.heard_at(), id)),
            _ => None,
        };
        peers.retain(|id| heard(id).is_some());
        if peers.len() < MAX_CLASSIC {
            return true;
        }
        let longest = peers.iter().filter_map(heard).min();
        let silent = longest.filter(|&(at, _)| self.now >= at + CLASSIC_IDLE);
        if let Some((_, id)) = silent {
            self.abort(
                id,
                Abort::new(Reason::TOO_SLOW, "to make room for a newer peer"),
            );
        }
        silent.is_some()
    }

    /// Gives a silent or classic peer a slot of its kind. A peer that came too late is
    /// aborted: it would get only the rest of the input, and could not know what it missed.
    pub(super) fn listen(&mut self, id: PeerId) {
        if let Some(why) = self.too_late() {
            return self.abort(id, Abort::new(Reason::GOING_AWAY, why));
        }
        let crowd = self.roster.crowd(Standing::Listening);
        if crowd.len() >= MAX_CLASSIC_UNPROVED
            && let Candidate::Now(other) =
                crowd.candidate(Reached::Answer, self.now, Duration::ZERO)
        {
            self.evict(other);
        }
        self.roster.set_standing(id, Standing::Listening, self.now);
    }

    /// Decides which format an undecided peer speaks, if the bytes in `range` of the
    /// scratch are enough. Returns whether they are classic frames.
    pub(super) fn decide(&mut self, id: PeerId, range: Range<usize>) -> bool {
        let undecided = match &self.roster[id].protocol {
            Protocol::Undecided(undecided) if !undecided.is_over() => undecided,
            protocol => return protocol.is_classic(),
        };
        let bytes = &self.store.memory.scratch[range];
        let native = !self.admission.ring.is_empty() && hello::may_be_client(bytes);
        if native && bytes.len() >= FIXED {
            let since = undecided.since(self.now);
            let listened = undecided.listens();
            let conn = self.admission.native(since);
            self.roster[id].protocol = Protocol::Native(conn);
            // What was queued is text for a listener, not for a native peer.
            self.drop_queue(id);
            if listened {
                self.roster.set_standing(id, Standing::Unproved, self.now);
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
