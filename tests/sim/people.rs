//! Who takes part in a run: keys, setups, and the modes that watch or send.

use std::cell::RefCell;
use std::rc::Rc;

use rand::SeedableRng;
use rand::rngs::StdRng;
use sealwire::conn::Outcome;
use sealwire::crypto::classic::ClassicKeys;
use sealwire::crypto::keys::Identity;
use sealwire::crypto::secret::{Secret, SecretPair};
use sealwire::endpoint::mode::{HandedOn, Message, Mode, Receivers};
use sealwire::endpoint::transport::{LocalId, PeerId};
use sealwire::endpoint::{Core, Leaves, Setup};
use sealwire::limits::Limits;

/// What a mode was told, in order.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) joined: Vec<PeerId>,
    pub(crate) messages: Vec<(PeerId, Vec<u8>)>,
    pub(crate) fins: Vec<PeerId>,
    pub(crate) left: Vec<(PeerId, Outcome)>,
    /// The mode sends by itself, and may have more as soon as that is sent.
    pub(crate) eager: bool,
}

impl Log {
    /// What `peer` said.
    pub(crate) fn of(&self, peer: PeerId) -> Vec<&[u8]> {
        let mine = self.messages.iter().filter(|(from, _)| *from == peer);
        mine.map(|(_, message)| &message[..]).collect()
    }

    /// What everybody said.
    pub(crate) fn all(&self) -> Vec<&[u8]> {
        self.messages.iter().map(|(_, m)| &m[..]).collect()
    }
}

/// Shared with the mode that fills it.
pub(crate) type Shared = Rc<RefCell<Log>>;

fn copy(core: &Core, message: Message<'_>) -> Vec<u8> {
    let spans = message.spans().iter();
    spans.flat_map(|&span| core.bytes(span).to_vec()).collect()
}

/// Another mode, watched.
pub(crate) struct Watched<M>(pub(crate) M, pub(crate) Shared);

impl<M: Mode> Mode for Watched<M> {
    fn receivers(&self) -> Receivers {
        self.0.receivers()
    }

    fn joined(&mut self, core: &mut Core, peer: PeerId) {
        self.1.borrow_mut().joined.push(peer);
        self.0.joined(core, peer);
    }

    fn message(&mut self, core: &mut Core, peer: PeerId, message: Message<'_>) {
        let bytes = copy(core, message);
        self.1.borrow_mut().messages.push((peer, bytes));
        self.0.message(core, peer, message);
    }

    fn fin(&mut self, core: &mut Core, peer: PeerId) -> HandedOn {
        self.1.borrow_mut().fins.push(peer);
        self.0.fin(core, peer)
    }

    fn left(&mut self, core: &mut Core, peer: PeerId, outcome: &Outcome) {
        self.1.borrow_mut().left.push((peer, outcome.clone()));
        self.0.left(core, peer, outcome);
    }

    fn input(&mut self, core: &mut Core, local: LocalId, message: Message<'_>) {
        self.0.input(core, local, message);
    }

    fn input_end(&mut self, core: &mut Core, local: LocalId) {
        self.0.input_end(core, local);
    }

    fn turn(&mut self, core: &mut Core) {
        let before = core.queued();
        self.0.turn(core);
        let acted = core.queued() > before;
        self.1.borrow_mut().eager &= acted || before > 0;
        self.1.borrow_mut().eager |= acted;
    }
}

/// A client that sends what it plans to, and says FIN behind it if it is to.
pub(crate) struct Sender {
    pub(crate) plan: Vec<Vec<u8>>,
    pub(crate) finishes: bool,
    peer: Option<PeerId>,
    next: usize,
    finished: bool,
}

/// How much a sender queues at a time.
const AHEAD: usize = 1 << 16;

impl Sender {
    pub(crate) fn new(plan: Vec<Vec<u8>>) -> Self {
        Self {
            plan,
            finishes: true,
            peer: None,
            next: 0,
            finished: false,
        }
    }

    /// One that does not say FIN.
    pub(crate) fn staying(plan: Vec<Vec<u8>>) -> Self {
        Self {
            finishes: false,
            ..Self::new(plan)
        }
    }
}

impl Mode for Sender {
    fn receivers(&self) -> Receivers {
        Receivers::Nobody
    }

    fn joined(&mut self, _: &mut Core, peer: PeerId) {
        self.peer = Some(peer);
    }

    fn message(&mut self, _: &mut Core, _: PeerId, _: Message<'_>) {}

    fn fin(&mut self, _: &mut Core, _: PeerId) -> HandedOn {
        HandedOn::Now
    }

    fn turn(&mut self, core: &mut Core) {
        let Some(peer) = self.peer else {
            return;
        };
        while self.next < self.plan.len() && core.queued_for(peer) < AHEAD {
            let span = core.pin(&self.plan[self.next]);
            core.send_pinned(peer, span);
            self.next += 1;
        }
        if self.next == self.plan.len() && self.finishes && !self.finished {
            self.finished = true;
            core.finish(peer);
        }
    }
}

/// 64 bytes of key material.
pub(crate) fn secrets(first: u8) -> SecretPair {
    SecretPair {
        confkey: Secret::new(vec![first; 32]),
        authkey: Secret::new(vec![first ^ 0xff; 32]),
    }
}

/// A setup with the keys that everybody has.
pub(crate) fn native(seed: u64, leaves: Leaves) -> Setup {
    Setup {
        identity: Identity::new(&secrets(7)),
        classic: None,
        kernel: crate::chosen::kernel(),
        limits: Limits::default(),
        leaves,
        rng: StdRng::seed_from_u64(seed),
    }
}

/// As [`native`], with classic too.
pub(crate) fn both(seed: u64, leaves: Leaves) -> Setup {
    Setup {
        classic: Some(ClassicKeys::new(&secrets(7))),
        ..native(seed, leaves)
    }
}

/// As [`native`], with other limits.
pub(crate) fn limited(leaves: Leaves, limits: Limits) -> Setup {
    Setup {
        limits,
        ..native(1, leaves)
    }
}
