//! What endpoints of a run are made of: keys, setups, and modes that watch or send.

use std::cell::RefCell;
use std::rc::Rc;

use rand::SeedableRng;
use rand::rngs::StdRng;
use sealwire::classic::ClassicKeys;
use sealwire::conn::Outcome;
use sealwire::crypto::keys::Identity;
use sealwire::crypto::secret::{Secret, SecretPair};
use sealwire::endpoint::mode::{HandedOn, Message, Mode, Receivers};
use sealwire::endpoint::transport::{LocalId, PeerId};
use sealwire::endpoint::{Context, Leaves, Setup};
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

    /// What all peers said.
    pub(crate) fn all(&self) -> Vec<&[u8]> {
        self.messages.iter().map(|(_, m)| &m[..]).collect()
    }
}

/// Shared with the mode that fills it.
pub(crate) type Shared = Rc<RefCell<Log>>;

fn copy(context: &Context, message: Message<'_>) -> Vec<u8> {
    let spans = message.spans().iter();
    spans
        .flat_map(|&span| context.bytes(span).to_vec())
        .collect()
}

/// Another mode, watched.
pub(crate) struct Watched<M>(pub(crate) M, pub(crate) Shared);

impl<M: Mode> Mode for Watched<M> {
    fn receivers(&self) -> Receivers {
        self.0.receivers()
    }

    fn joined(&mut self, context: &mut Context, peer: PeerId) {
        self.1.borrow_mut().joined.push(peer);
        self.0.joined(context, peer);
    }

    fn message(&mut self, context: &mut Context, peer: PeerId, message: Message<'_>) {
        let bytes = copy(context, message);
        self.1.borrow_mut().messages.push((peer, bytes));
        self.0.message(context, peer, message);
    }

    fn fin(&mut self, context: &mut Context, peer: PeerId) -> HandedOn {
        self.1.borrow_mut().fins.push(peer);
        self.0.fin(context, peer)
    }

    fn left(&mut self, context: &mut Context, peer: PeerId, outcome: &Outcome) {
        self.1.borrow_mut().left.push((peer, outcome.clone()));
        self.0.left(context, peer, outcome);
    }

    fn input(&mut self, context: &mut Context, local: LocalId, message: Message<'_>) {
        self.0.input(context, local, message);
    }

    fn input_end(&mut self, context: &mut Context, local: LocalId) {
        self.0.input_end(context, local);
    }

    fn turn(&mut self, context: &mut Context) {
        let before = context.queued();
        self.0.turn(context);
        let acted = context.queued() > before;
        self.1.borrow_mut().eager &= acted || before > 0;
        self.1.borrow_mut().eager |= acted;
    }
}

/// A client that sends what it plans to, and then says FIN or stays.
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

    fn joined(&mut self, _: &mut Context, peer: PeerId) {
        self.peer = Some(peer);
    }

    fn message(&mut self, _: &mut Context, _: PeerId, _: Message<'_>) {}

    fn fin(&mut self, _: &mut Context, _: PeerId) -> HandedOn {
        HandedOn::Now
    }

    fn turn(&mut self, context: &mut Context) {
        let Some(peer) = self.peer else {
            return;
        };
        while self.next < self.plan.len() && context.queued_for(peer) < AHEAD {
            // A server that ends first takes no more.
            let _ = context.send_bytes(peer, &self.plan[self.next]);
            self.next += 1;
        }
        if self.next == self.plan.len() && self.finishes && !self.finished {
            self.finished = true;
            context.finish(peer);
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

/// A setup with the keys that all endpoints have.
pub(crate) fn native(seed: u64, leaves: Leaves) -> Setup {
    let kernel = crate::chosen::kernel();
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut setup = Setup::new(kernel, leaves, bytes);
    setup.identity = Identity::new(&secrets(7));
    setup
}

/// As [`native`], with classic too.
pub(crate) fn both(seed: u64, leaves: Leaves) -> Setup {
    let mut setup = native(seed, leaves);
    setup.classic = Some(ClassicKeys::new(&secrets(7)));
    setup
}

/// The setup of a native server, with limits that `change` changes.
pub(crate) fn limited(change: impl FnOnce(&mut Limits)) -> Setup {
    let mut setup = native(1, Leaves::WhenStopped);
    change(&mut setup.limits);
    setup
}
