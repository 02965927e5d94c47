//! Many peers and locals, without I/O.
//!
//! An [`Endpoint`] gives every connection a slot, reads and writes through a
//! [`transport`], hands messages to a [`mode`], and keeps everything within
//! `limits`. It knows no socket and no clock. To drive it: say who was
//! [accepted](Endpoint::accepted) or [dialled](Endpoint::dialled) and who is
//! [readable](Endpoint::readable) or [writable](Endpoint::writable), call
//! [`tick`](Endpoint::tick), take [events](Endpoint::poll_event) until there are
//! none, then wait no longer than [`next_timeout`](Endpoint::next_timeout).
//!
//! Read next: [`tick`] for what happens in which order; `admit` for how peers come;
//! `output` for what modes may ask for.

mod admit;
mod ends;
mod flush;
mod input;
mod local;
pub mod mode;
mod output;
mod peer;
mod peers;
mod pressure;
mod queue;
mod screen;
pub mod tick;
mod timers;
pub mod transport;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::sync::Arc;

use rand::rngs::StdRng;

use crate::conn::Outcome;
use crate::crypto::batch::{OpenBatch, SealBatch};
use crate::crypto::classic::ClassicKeys;
use crate::crypto::kernel::Kernel;
use crate::crypto::keys::{Identity, Keys};
use crate::limits::{INPUT_SCRATCH, LOCAL_BUDGET, Limits, OUTPUT_SCRATCH};
use crate::span::Span;
use crate::time::Time;
use crate::wire::buffer::Memory;

use ends::Ends;
use local::{Input, Local, Output};
use mode::{Mode, Receivers};
use peer::Standing;
use peers::Peers;
use queue::Nodes;
use timers::Timers;
use transport::{LocalId, PeerId};

pub use ends::Leaves;
pub use local::{Cut, InputKind, OutputKind};

/// What an endpoint is made of.
#[derive(Debug)]
pub struct Setup {
    /// Keys for the native format, if it is spoken.
    pub identity: Option<Arc<Identity>>,
    /// Keys for the classic format, if it is spoken. With both, whoever connects
    /// chooses; whoever is dialled is spoken to in classic.
    pub classic: Option<Arc<ClassicKeys>>,
    /// What seals and opens.
    pub kernel: Kernel,
    /// What a user may set.
    pub limits: Limits,
    /// When the endpoint is done.
    pub leaves: Leaves,
    /// Where ephemeral keys and classic IVs come from: seeded by the operating
    /// system, or by a number where a run is to be repeated.
    pub rng: StdRng,
}

/// What happened, for people to read.
#[derive(Debug)]
pub enum Event {
    /// A peer is proved.
    Joined(PeerId),
    /// A peer that had joined is gone.
    Left(PeerId, Outcome),
    /// A connection is gone that never proved anything.
    Refused(PeerId, Outcome),
    /// Something to tell the user.
    Notice(Notice),
}

/// Something to tell the user that is about no single peer.
#[derive(Debug)]
pub enum Notice {
    /// A line was typed and nobody was there.
    NobodyThere,
    /// The input ended, and so does this endpoint once its peers are complete.
    LeavingAfterPeers,
    /// The peers that had the input from its start are gone, and it is not over: so
    /// many bytes of it were given, and no peer can have it whole.
    Abandoned(u64),
    /// So many bytes were no UTF-8 and left out, because classic carries text.
    NotText(usize),
    /// Reading from a local failed.
    InputFailed(io::Error),
    /// Writing to a local failed.
    OutputFailed(io::Error),
}

/// Counts since the start, and what there is now.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stats {
    /// Peers that joined.
    pub joined: u64,
    /// Of those, how many were complete when they left.
    pub complete: u64,
    /// Of those, how many failed.
    pub failed: u64,
    /// Connections that never proved anything.
    pub refused: u64,
    /// Whole messages received, and their bytes.
    pub messages: u64,
    /// Bytes of whole messages received.
    pub bytes: u64,
    /// Records opened.
    pub opened: u64,
    /// Records sealed.
    pub sealed: u64,
}

/// Everything of an endpoint but its mode, which acts on it.
pub struct Core {
    setup: Setup,
    receivers: Receivers,
    now: Time,
    peers: Peers,
    /// How many peers are above high water.
    congested: usize,
    /// What people call peers, where anybody wants to know.
    names: HashMap<PeerId, Arc<str>>,
    locals: Vec<Local>,
    memory: Memory,
    /// Bytes of the scratch that this tick has used.
    used: usize,
    /// Bytes of it to erase when a peer leaves.
    scratch_to_erase: usize,
    /// A peer has left in this tick.
    peer_left: bool,
    /// Whole units of this tick that lie in buffers, which are released when it ends.
    in_use: Vec<Span>,
    /// Bytes of the buffers that unfinished messages and partial records are in.
    assembling: usize,
    partial: usize,
    output: Box<[u8]>,
    nodes: Nodes,
    keys: Keys,
    opens: OpenBatch,
    seals: SealBatch,
    ready: VecDeque<PeerId>,
    /// How many of them do not stream; who has gone is not counted.
    chats_ready: usize,
    dirty: VecDeque<PeerId>,
    paused: Vec<PeerId>,
    touched: Vec<PeerId>,
    /// Queues took too much memory when the last tick ended.
    pressed: bool,
    /// They took twice that much.
    full: bool,
    /// Something that held peers up has gone since the paused were looked at.
    relieved: bool,
    timers: Timers,
    ends: Ends,
    events: VecDeque<Event>,
    stats: Stats,
}

/// Many peers and locals, and the mode that says what is done with messages.
pub struct Endpoint<M> {
    core: Core,
    mode: M,
    /// What was read in this tick and is to be settled.
    work: Vec<input::Work>,
    /// What was sealed in this round and is to be written.
    round: flush::Round,
}

impl<M: Mode> Endpoint<M> {
    /// An endpoint without peers or locals.
    ///
    /// # Panics
    ///
    /// If `setup` has keys for neither format.
    pub fn new(setup: Setup, mode: M) -> Self {
        assert!(setup.identity.is_some() || setup.classic.is_some());
        let ends = Ends::new(setup.leaves);
        let keys = Keys::new(setup.kernel);
        Self {
            core: Core {
                receivers: mode.receivers(),
                setup,
                now: Time::ZERO,
                peers: Peers::default(),
                congested: 0,
                names: HashMap::new(),
                locals: Vec::new(),
                memory: Memory::new(INPUT_SCRATCH + LOCAL_BUDGET),
                used: 0,
                scratch_to_erase: 0,
                peer_left: false,
                in_use: Vec::new(),
                assembling: 0,
                partial: 0,
                output: vec![0; OUTPUT_SCRATCH].into_boxed_slice(),
                nodes: Nodes::default(),
                keys,
                opens: OpenBatch::default(),
                seals: SealBatch::default(),
                ready: VecDeque::new(),
                chats_ready: 0,
                dirty: VecDeque::new(),
                paused: Vec::new(),
                touched: Vec::new(),
                pressed: false,
                full: false,
                relieved: false,
                timers: Timers::default(),
                ends,
                events: VecDeque::new(),
                stats: Stats::default(),
            },
            mode,
            work: Vec::new(),
            round: flush::Round::default(),
        }
    }

    /// Adds a local that is read, written, or both. The first is
    /// [index](LocalId::index) 0.
    pub fn add_local(&mut self, input: Option<InputKind>, output: Option<OutputKind>) -> LocalId {
        let locals = &mut self.core.locals;
        locals.push(Local {
            input: input.map(Input::new),
            output: output.map(Output::new),
        });
        LocalId(locals.len() as u32 - 1)
    }

    /// Says what people call `peer`, for a [terminal](OutputKind::Terminal).
    pub fn set_name(&mut self, peer: PeerId, name: &str) {
        if self.core.peers.get(peer).is_some() {
            self.core.names.insert(peer, name.into());
        }
    }

    /// Says that reading from `peer` is worth a try.
    pub fn readable(&mut self, peer: PeerId) {
        self.core.ready(peer);
    }

    /// Says that writing to `peer` is worth a try.
    pub fn writable(&mut self, peer: PeerId) {
        // Told with whatever can be read, too: who was not blocked has nothing waiting.
        if let Some(slot) = self.core.peers.get_mut(peer)
            && std::mem::take(&mut slot.blocked)
        {
            self.core.dirty(peer);
        }
    }

    /// Says that reading from `local` is worth a try.
    pub fn local_readable(&mut self, local: LocalId) {
        let local = self.core.locals.get_mut(local.index());
        if let Some(input) = local.and_then(|local| local.input.as_mut()) {
            input.ready = true;
        }
    }

    /// Says that `local` is known to have nothing to give. Its end is read as soon as a
    /// peer has come, even if that is gone already.
    pub fn local_is_empty(&mut self, local: LocalId) {
        let local = self.core.locals.get_mut(local.index());
        if let Some(input) = local.and_then(|local| local.input.as_mut()) {
            input.empty = true;
        }
    }

    /// Says that writing to `local` is worth a try.
    pub fn local_writable(&mut self, local: LocalId) {
        let local = self.core.locals.get_mut(local.index());
        if let Some(output) = local.and_then(|local| local.output.as_mut()) {
            output.blocked = false;
        }
    }

    /// When to call [`tick`](Self::tick) even if nothing happens; a time that has
    /// passed means at once.
    pub fn next_timeout(&self) -> Option<Time> {
        self.core.next_timeout()
    }

    /// What happened, in order.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.core.events.pop_front()
    }

    /// Whether new connections are welcome.
    pub fn is_accepting(&self) -> bool {
        self.core.ends.is_accepting()
    }

    /// The mode.
    pub fn mode(&self) -> &M {
        &self.mode
    }

    /// The mode, to change it between ticks.
    pub fn mode_mut(&mut self) -> &mut M {
        &mut self.mode
    }

    /// Everything but the mode.
    pub fn core(&self) -> &Core {
        &self.core
    }
}

impl Core {
    /// The time of this tick.
    pub fn now(&self) -> Time {
        self.now
    }

    /// Counts since the start.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// How many peers are proved.
    pub fn proved(&self) -> usize {
        self.peers.count(Standing::Proved)
    }

    /// How many connections there are, proved or not.
    pub fn connections(&self) -> usize {
        self.peers.len()
    }

    /// Bytes held in buffers: messages, queues, partial records.
    pub fn held(&self) -> usize {
        self.memory.pool.held()
    }

    /// Bytes copied into buffers since the start.
    pub fn copied(&self) -> u64 {
        self.memory.pool.copied()
    }

    /// How many chunks wait in queues.
    pub fn queued(&self) -> usize {
        self.nodes.len()
    }

    /// How many directions have keys.
    pub fn keyed(&self) -> usize {
        self.keys.seal.len() + self.keys.open.len()
    }

    /// The bytes of a part of a message.
    pub fn bytes(&self, span: Span) -> &[u8] {
        self.memory.bytes(span)
    }

    // ---- lists -----------------------------------------------------------

    fn ready(&mut self, id: PeerId) {
        if let Some(peer) = self.peers.get_mut(id)
            && !peer.ready
            && !peer.paused
            && !peer.ended
        {
            peer.ready = true;
            self.chats_ready += usize::from(!peer.streams);
            self.ready.push_back(id);
        }
    }

    fn dirty(&mut self, id: PeerId) {
        if let Some(peer) = self.peers.get_mut(id)
            && !peer.dirty
            && !peer.blocked
        {
            peer.dirty = true;
            self.dirty.push_back(id);
        }
    }

    /// Has `id` looked at when the tick ends.
    fn touch(&mut self, id: PeerId) {
        if let Some(peer) = self.peers.get_mut(id)
            && !peer.touched
        {
            peer.touched = true;
            self.touched.push(id);
        }
    }

    fn next_timeout(&self) -> Option<Time> {
        let busy = !self.ready.is_empty()
            || !self.dirty.is_empty()
            || !self.touched.is_empty()
            || self.relieved && !self.paused.is_empty()
            || self.locals_busy()
            || self.locals.iter().any(Local::may_be_written);
        if busy {
            return Some(Time::ZERO);
        }
        self.timers.next().into_iter().chain(self.ends.next()).min()
    }
}

impl<M> fmt::Debug for Endpoint<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("core", &self.core)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("peers", &self.peers.len())
            .field("proved", &self.proved())
            .field("held", &self.held())
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}
