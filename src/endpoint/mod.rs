//! Many peers and locals, without I/O.
//!
//! An [`Endpoint`] gives every connection a slot, reads and writes through a
//! [`transport`], hands messages to a [`mode`], and keeps everything within
//! `limits`. It knows no socket and no clock.
//!
//! It is made of parts, and each part keeps its fields to itself: `roster` (the peers),
//! `admission` (new connections), `inbound` (bytes that came), `outbound` (bytes that
//! go), `flow` (which peer waits for which), `slow` (which receivers are given up), `locals`
//! and `shutdown`.
//!
//! Read next: [`tick`] for what happens in which order; [`Context`] for what modes may
//! ask for.

mod admission;
mod context;
mod crowd;
mod flow;
mod idle;
mod inbound;
mod locals;
pub mod mode;
mod outbound;
mod packing;
mod peer;
mod queue;
mod recent;
mod roster;
mod settle;
mod shutdown;
mod slow;
pub mod tick;
pub mod transport;
mod undecided;
mod unfinished;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::Arc;

use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::classic::ClassicKeys;
use crate::conn::Outcome;
use crate::crypto::kernel::Kernel;
use crate::crypto::keys::{Identity, KeyStores};
use crate::crypto::ring::{Key, KeyRing};
use crate::error::cause::Causes;
use crate::limits::Limits;
use crate::time::Time;

use admission::Admission;
use flow::Flow;
use inbound::Inbound;
use locals::Locals;
use mode::Mode;
use outbound::Outbound;
use queue::Store;
use roster::Roster;
use shutdown::Shutdown;
use slow::Slowness;
use transport::{LocalId, PeerId};

pub use locals::{Cut, InputKind, OutputKind};
pub use shutdown::{End, Leaves};

/// What an endpoint is made of.
#[derive(Debug)]
#[non_exhaustive]
pub struct Setup {
    /// The key for the native format: what we prove when we connect, and what a peer that
    /// connects may prove.
    pub identity: Option<Arc<Identity>>,
    /// Further keys that a peer that connects may prove, one for each peer or group of peers.
    pub ring: KeyRing,
    /// Keys for the classic format, if the endpoint speaks it. With both, a peer that
    /// connects chooses the format, and a dialled peer is spoken to in classic.
    pub classic: Option<Arc<ClassicKeys>>,
    /// What seals and opens.
    pub kernel: Kernel,
    /// What a user may set.
    pub limits: Limits,
    /// When the endpoint is done.
    pub leaves: Leaves,
    /// Where ephemeral keys and classic IVs come from.
    rng: StdRng,
}

impl Setup {
    /// A setup with the default limits, and without keys yet: it needs some for one
    /// format at least. `seed` is random, fresh and secret: ephemeral keys come from it.
    /// A test gives a number instead, to repeat a run.
    pub fn new(kernel: Kernel, leaves: Leaves, seed: [u8; 32]) -> Self {
        Self {
            identity: None,
            ring: KeyRing::default(),
            classic: None,
            kernel,
            limits: Limits::default(),
            leaves,
            rng: StdRng::from_seed(seed),
        }
    }
}

/// What happened, for people to read.
#[derive(Debug)]
#[non_exhaustive]
pub enum EndpointEvent {
    /// A peer is proved.
    Joined(PeerId),
    /// A peer that had joined is gone.
    Left(PeerId, Outcome),
    /// A connection is gone that never proved anything.
    Refused(PeerId, Outcome),
    /// This local waits for a connection to the target of this peer. The driver says that it is
    /// [there](Endpoint::local_opened), or [why not](Endpoint::local_failed).
    Dial(LocalId, PeerId),
    /// Something to tell the user.
    Notice(Notice),
}

/// Something to tell the user that is about no single peer.
#[derive(Debug)]
#[non_exhaustive]
pub enum Notice {
    /// A line was typed and no peer was there.
    NobodyThere,
    /// The input ended, and so does this endpoint once its peers are complete.
    LeavingAfterPeers,
    /// All peers that had the input from its start are gone before its end, so that no
    /// peer can have it whole. It had given this many bytes.
    Abandoned(u64),
    /// This many bytes were not UTF-8 and were left out, because classic carries text.
    NotText(usize),
    /// Reading from a local failed.
    InputFailed(io::Error),
    /// Writing to a local failed.
    OutputFailed(io::Error),
}

/// Counts since the start.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Peers that joined.
    pub joined: u64,
    /// Peers that joined and were complete when they left.
    pub complete: u64,
    /// Peers that joined and failed.
    pub failed: u64,
    /// Connections that never proved anything.
    pub refused: u64,
    /// Why peers that had joined failed.
    pub failed_by: Causes,
    /// Why connections that never proved anything ended.
    pub refused_by: Causes,
    /// Connections that were closed before they proved anything, to make room for newer ones.
    pub evicted: u64,
    /// Whole messages received.
    pub messages: u64,
    /// Bytes of whole messages received.
    pub bytes: u64,
    /// Records opened.
    pub opened: u64,
    /// Records sealed.
    pub sealed: u64,
    /// Bytes that sockets of peers took, sealed.
    pub written: u64,
}

/// An endpoint as its [mode](mode::Mode) sees it: everything but the mode itself.
pub struct Context {
    /// The time of this tick.
    now: Time,
    limits: Limits,
    roster: Roster,
    admission: Admission,
    inbound: Inbound,
    outbound: Outbound,
    flow: Flow,
    slowness: Slowness,
    locals: Locals,
    shutdown: Shutdown,
    store: Store,
    keys: KeyStores,
    events: VecDeque<EndpointEvent>,
    stats: Stats,
}

/// Many peers and locals, and the mode that says what is done with messages.
///
/// To drive it: say which peers were [accepted](Self::accepted) or
/// [dialled](Self::dialled) and which peers and locals are [readable](Self::readable) or
/// [writable](Self::writable), call [`tick`](Self::tick), take
/// [events](Self::poll_event) until there are none, and wait no longer than
/// [`next_timeout`](Self::next_timeout) (`None`: until something happens), until there is
/// an [`end`](Self::end). [`stop`](Self::stop) asks for one. With a mode that gives peers locals,
/// such as a tunnel, connect what [`Dial`](EndpointEvent::Dial) asks for, or
/// [accept](Self::accepted_local) plain connections.
pub struct Endpoint<M> {
    mode: M,
    parts: Context,
}

impl<M: Mode> Endpoint<M> {
    /// An endpoint without peers or locals.
    ///
    /// # Panics
    ///
    /// If `setup` has no keys, for neither format.
    pub fn new(setup: Setup, mode: M) -> Self {
        let parts = Context {
            now: Time::ZERO,
            roster: Roster::default(),
            inbound: Inbound::default(),
            outbound: Outbound::default(),
            flow: Flow::new(mode.receivers(), &setup.limits),
            slowness: Slowness::default(),
            locals: Locals::default(),
            shutdown: Shutdown::new(setup.leaves),
            store: Store::new(packing::SCRATCH),
            keys: KeyStores::new(setup.kernel),
            limits: setup.limits.clone(),
            admission: Admission::new(setup, mode.service()),
            events: VecDeque::new(),
            stats: Stats::default(),
        };
        Self { mode, parts }
    }

    /// Says where `peer` is, for a [terminal](OutputKind::Terminal). The name of the key that it
    /// proves comes before that.
    pub fn set_name(&mut self, peer: PeerId, name: &str) {
        self.parts.roster.set_name(peer, name);
    }

    /// Says that reading from `peer` is worth a try.
    pub fn readable(&mut self, peer: PeerId) {
        self.parts.ready(peer);
    }

    /// Says that writing to `peer` is worth a try.
    pub fn writable(&mut self, peer: PeerId) {
        // Pollers report writable together with readable, so a peer that was not
        // blocked has nothing new to do.
        if let Some(slot) = self.parts.roster.get_mut(peer) {
            self.parts.outbound.unblock(peer, slot);
        }
    }

    /// When to call [`tick`](Self::tick) even if nothing happens; a time that has
    /// passed means at once.
    pub fn next_timeout(&self) -> Option<Time> {
        let parts = &self.parts;
        let busy = parts.flow.is_busy()
            || parts.admission.is_busy()
            || parts.outbound.is_busy()
            || parts.store.is_busy()
            || parts.roster.touched() > 0
            || parts.locals.has_busy_pairs()
            || parts.locals.may_be_written()
            || (parts.locals.shared().iter()).any(|&local| parts.may_read_local(local));
        if busy {
            return Some(Time::ZERO);
        }
        let due = [
            parts.roster.next_due(),
            parts.shutdown.next_due(),
            parts.slowness.next_due(),
            parts.stalled_due(),
            parts.locals.next_due(),
        ];
        due.into_iter().flatten().min()
    }

    /// What happened, in order.
    pub fn poll_event(&mut self) -> Option<EndpointEvent> {
        self.parts.events.pop_front()
    }

    /// The mode.
    pub fn mode(&self) -> &M {
        &self.mode
    }

    /// The mode, to change it between ticks.
    pub fn mode_mut(&mut self) -> &mut M {
        &mut self.mode
    }

    /// The keys that peers may prove, now.
    pub fn keys(&self) -> &KeyRing {
        self.parts.admission.ring()
    }

    /// Replaces the [ring](Setup::ring) of keys that peers may prove. A peer whose key is not
    /// [the same](KeyRing::same) any more is aborted (key withdrawn); if it has not proved
    /// itself yet, it is closed.
    pub fn set_ring(&mut self, now: Time, ring: KeyRing) {
        self.parts.now = now;
        self.parts.set_ring(ring);
    }

    /// The name of the key that `peer` has proved, if it has one; also if the peer left in the
    /// last tick.
    pub fn key_name(&self, peer: PeerId) -> Option<&Arc<str>> {
        let there = self.parts.key(peer).and_then(|key| key.name.as_ref());
        there.or_else(|| self.parts.roster.name_of_left(peer))
    }

    /// The key that `peer` has proved.
    pub fn key(&self, peer: PeerId) -> Option<&Arc<Key>> {
        self.parts.key(peer)
    }

    /// The bounds that it keeps.
    pub fn limits(&self) -> &Limits {
        &self.parts.limits
    }

    /// Counts since the start.
    pub fn stats(&self) -> Stats {
        self.parts.stats
    }

    /// How many peers are proved.
    pub fn proved(&self) -> usize {
        self.parts.roster.proved()
    }

    /// How many locals belong to a peer, or wait for one.
    pub fn pairs(&self) -> usize {
        self.parts.locals.pairs()
    }

    /// How many connections there are, proved or not.
    #[doc(hidden)]
    pub fn connections(&self) -> usize {
        self.parts.roster.len()
    }

    /// Bytes held in buffers: messages, queues, partial records.
    pub fn held(&self) -> usize {
        self.parts.store.memory.held()
    }

    /// Bytes that all queues take, of what waits for peers and locals.
    #[doc(hidden)]
    pub fn queued_memory(&self) -> usize {
        self.parts.queued_memory()
    }

    /// Bytes of messages that have not arrived whole.
    #[doc(hidden)]
    pub fn unfinished(&self) -> usize {
        self.parts.inbound.assembling()
    }

    /// Bytes copied since the start: into buffers, and together into packs.
    #[doc(hidden)]
    pub fn copied(&self) -> u64 {
        self.parts.store.memory.copied()
    }

    /// How many chunks wait in queues.
    #[doc(hidden)]
    pub fn queued(&self) -> usize {
        self.parts.store.queued()
    }

    /// How many directions have keys.
    #[doc(hidden)]
    pub fn keyed(&self) -> usize {
        self.parts.keys.seal.len() + self.parts.keys.open.len()
    }

    /// The scratch, for a test that looks for what must be erased.
    #[doc(hidden)]
    pub fn scratch(&self) -> &[u8] {
        &self.parts.store.memory.scratch
    }
}

impl Context {
    /// Lists `id` to be read in a later tick.
    fn ready(&mut self, id: PeerId) {
        if let Some(peer) = self.roster.get_mut(id) {
            self.flow.ready(id, peer);
        }
    }

    /// Lists `id` for sealing and writing in this tick, or the next.
    fn list_for_output(&mut self, id: PeerId) {
        if let Some(peer) = self.roster.get_mut(id) {
            self.outbound.list(id, peer);
        }
    }

    /// Lists `id` for output, and for a look at the end of the tick.
    fn stir(&mut self, id: PeerId) {
        self.list_for_output(id);
        self.roster.touch(id);
    }
}

impl<M> fmt::Debug for Endpoint<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("connections", &self.parts.roster.len())
            .field("proved", &self.parts.roster.proved())
            .field("held", &self.parts.store.memory.held())
            .field("stats", &self.parts.stats)
            .finish_non_exhaustive()
    }
}
