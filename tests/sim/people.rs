//! What endpoints of a run are made of: keys, setups, and modes that watch or send; and how
//! connections end.

use std::collections::{BTreeMap, VecDeque};

use sealwire::{
    Abort, ClassicKeys, Context, Deadline, Failure, HandedOn, Identity, Leaves, Limits, LocalId,
    Message, Mode, Outcome, PeerId, Reason, Receivers, Secret, SecretPair, Service, Setup,
};

/// What a mode was told, in order.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) messages: Vec<(PeerId, Vec<u8>)>,
    pub(crate) fins: Vec<PeerId>,
    /// What each local gave, and whether it has ended.
    pub(crate) inputs: BTreeMap<LocalId, (Vec<u8>, bool)>,
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

fn copy(context: &Context, message: Message<'_>) -> Vec<u8> {
    context.pieces(message).collect::<Vec<_>>().concat()
}

/// Another mode, watched.
pub(crate) struct Watched {
    mode: Box<dyn Mode>,
    pub(crate) log: Log,
}

impl Watched {
    pub(crate) fn new(mode: impl Mode + 'static) -> Self {
        Self {
            mode: Box::new(mode),
            log: Log::default(),
        }
    }
}

impl Mode for Watched {
    fn receivers(&self) -> Receivers {
        self.mode.receivers()
    }

    fn service(&self) -> Service {
        self.mode.service()
    }

    fn joined(&mut self, context: &mut Context, peer: PeerId) {
        self.mode.joined(context, peer);
    }

    fn message(&mut self, context: &mut Context, peer: PeerId, message: Message<'_>) {
        let bytes = copy(context, message);
        self.log.messages.push((peer, bytes));
        self.mode.message(context, peer, message);
    }

    fn fin(&mut self, context: &mut Context, peer: PeerId) -> HandedOn {
        self.log.fins.push(peer);
        self.mode.fin(context, peer)
    }

    fn left(&mut self, context: &mut Context, peer: PeerId, outcome: &Outcome) {
        self.mode.left(context, peer, outcome);
    }

    fn input(&mut self, context: &mut Context, local: LocalId, message: Message<'_>) {
        let (bytes, ended) = self.log.inputs.entry(local).or_default();
        assert!(!*ended, "it gave all");
        bytes.extend(copy(context, message));
        self.mode.input(context, local, message);
    }

    fn input_end(&mut self, context: &mut Context, local: LocalId) {
        self.log.inputs.entry(local).or_default().1 = true;
        self.mode.input_end(context, local);
    }

    fn tick(&mut self, context: &mut Context) {
        let before = context.queued();
        self.mode.tick(context);
        let acted = context.queued() > before;
        self.log.eager = acted || (self.log.eager && before > 0);
    }
}

/// A client that sends what it plans to, and then says FIN or stays.
pub(crate) struct Sender {
    plan: VecDeque<Vec<u8>>,
    finishes: bool,
    peer: Option<PeerId>,
}

/// How much a sender queues at a time.
const AHEAD: usize = 1 << 16;

impl Sender {
    pub(crate) fn new(plan: Vec<Vec<u8>>) -> Self {
        Self {
            plan: plan.into(),
            finishes: true,
            peer: None,
        }
    }

    /// One that does not say FIN.
    pub(crate) fn staying(plan: Vec<Vec<u8>>) -> Self {
        let finishes = false;
        Self {
            finishes,
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

    fn tick(&mut self, context: &mut Context) {
        let Some(peer) = self.peer else {
            return;
        };
        while context.queued_for(peer) < AHEAD
            && let Some(message) = self.plan.pop_front()
        {
            // A server that ends first takes no more.
            let _ = context.send_bytes(peer, &message);
        }
        if self.plan.is_empty() && std::mem::take(&mut self.finishes) {
            context.finish(peer);
        }
    }
}

/// 2000 messages of 1000 bytes.
pub(crate) fn much() -> Vec<Vec<u8>> {
    (0..2000_u16).map(|n| n.to_be_bytes().repeat(500)).collect()
}

/// The setup of a client that speaks classic.
pub(crate) fn classic_client(seed: u64) -> Setup {
    let mut setup = both(seed, Leaves::WithPeers);
    setup.identity = None;
    setup
}

/// The outcome of a connection whose peer gave up.
pub(crate) fn aborted(reason: Reason, why: &str) -> Option<Outcome> {
    Some(Err(Failure::Aborted(Abort::new(reason, why))))
}

/// The outcome of a connection that was given up.
pub(crate) fn gave(reason: Reason) -> Option<Outcome> {
    Some(Err(Failure::Gave(Abort::new(reason, ""))))
}

/// The outcome of a connection that took too long.
pub(crate) fn late(deadline: Deadline) -> Option<Outcome> {
    Some(Err(Failure::Deadline(deadline)))
}

pub(crate) fn is_truncated(outcome: &Option<Outcome>) -> bool {
    matches!(
        outcome,
        Some(Err(Failure::Truncated(_) | Failure::Broken(_)))
    )
}

/// 64 bytes of key material.
pub(crate) fn secrets(first: u8) -> SecretPair {
    SecretPair {
        confkey: Secret::new(vec![first; 32]),
        authkey: Secret::new(vec![first ^ 0xff; 32]),
    }
}

/// The seed of an endpoint in the run of this number.
pub(crate) fn seed(number: u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    bytes
}

/// A setup with the keys that all endpoints have.
pub(crate) fn native(seed: u64, leaves: Leaves) -> Setup {
    let kernel = crate::chosen::kernel();
    let mut setup = Setup::new(kernel, leaves, self::seed(seed));
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
