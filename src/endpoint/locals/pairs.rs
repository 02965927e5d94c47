//! Locals that belong to a peer each: the two ends of a tunnel's connections.
//!
//! A pair is a local and its peer. What the local gives goes to the peer, and what the peer
//! sends goes to the local. Neither is read while the other is above its high-water mark, and
//! no pair waits for another. A local that has nothing to do is on no list, so it costs a tick
//! nothing.
//!
//! **How a pair ends.** The end of the local's input becomes FIN. The peer's FIN ends the
//! local's output, behind all that is queued for it, and is confirmed (DONE) only if the local
//! has no error by then. When both have happened, the local is closed. If the local fails, its
//! peer gets ABORT behind what the local gave. If the peer fails, the local gets what came
//! before, for a while, and is then reset: the program behind it must never take a cut for an
//! end.
//!
//! Read next: [`super::input`] and [`super::output`]; `modes::tunnel`, which joins the two.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};

use super::input::{Came, Cut, Input, InputKind};
use super::output::Output;
use super::{Local, Locals};
use crate::endpoint::mode::Mode;
use crate::endpoint::queue::Store;
use crate::endpoint::transport::{LocalId, PeerId, Transport};
use crate::endpoint::{Context, Endpoint, EndpointEvent};
use crate::error::{Abort, Reason};
use crate::limits::{
    INPUT_HIGH_WATER, LINGER, LINGER_BEHIND_END, LOCALS_CLOSED, LOCALS_READ, LOCALS_WRITTEN,
    MAX_RECORD, MOST_LINGERING, SLOW_SHARE, SLOW_WINDOW, STREAM_MESSAGE, share,
};
use crate::time::Time;

/// How far a pair is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The local's connection, or its peer's proof, is under way. What the peer sends waits.
    Opening,
    Open,
    /// The peer has failed. What came before leaves, until then; then the local is reset.
    Leaving,
    /// The local is to be reset.
    Broken,
    /// Both directions have ended properly. The local is to be closed.
    Complete,
}

/// What joins a local to its peer.
#[derive(Debug)]
pub(super) struct Pair {
    /// The peer, once there is one. It may be gone.
    peer: Option<PeerId>,
    stage: Stage,
    /// It is on the list of locals to read, and of those to write.
    to_read: bool,
    to_write: bool,
    /// The peer has sent FIN: nothing follows what is queued.
    finishes: bool,
    /// Our end of the local's stream is shut down.
    shut: bool,
    /// Writing failed. Once the local has given what it had, its peer is told.
    failed: Option<Box<Abort>>,
}

impl Pair {
    fn new(peer: Option<PeerId>) -> Self {
        Self {
            peer,
            stage: Stage::Opening,
            to_read: false,
            to_write: false,
            finishes: false,
            shut: false,
            failed: None,
        }
    }

    /// Whether bytes may be queued for the local.
    fn takes(&self) -> bool {
        matches!(self.stage, Stage::Opening | Stage::Open) && self.failed.is_none()
    }
}

/// Which locals of pairs have something to do. Those that are gone may be on any list.
#[derive(Debug, Default)]
pub(super) struct PairLists {
    readable: VecDeque<LocalId>,
    writable: VecDeque<LocalId>,
    over: VecDeque<LocalId>,
    /// Locals whose peer has failed, and when they have had their time: those that wait for the
    /// end of their stream, and those that had it before; and how many of them are still there.
    leaving: VecDeque<(Time, LocalId)>,
    leaving_behind_end: VecDeque<(Time, LocalId)>,
    lingering: usize,
    /// Peers whose local has failed, and when they have had their time.
    doomed: VecDeque<(Time, PeerId)>,
    /// When to look for slow locals, while memory is short.
    slow_look: Option<Time>,
}

impl PairLists {
    /// Takes out the first of the locals that linger.
    fn first_leaving(&mut self) -> Option<(Time, LocalId)> {
        let behind_end = self.leaving_behind_end.pop_front();
        behind_end.or_else(|| self.leaving.pop_front())
    }

    /// Takes out a local that has had its time by `now`.
    fn next_left(&mut self, now: Time) -> Option<LocalId> {
        let lists = [&mut self.leaving, &mut self.leaving_behind_end];
        let is_due = |&(at, _): &(Time, LocalId)| at <= now;
        let mut due = lists
            .into_iter()
            .filter(|list| list.front().is_some_and(is_due));
        due.next()?.pop_front().map(|(_, local)| local)
    }
}

impl Locals {
    /// How many locals belong to a peer.
    pub(in crate::endpoint) fn pairs(&self) -> usize {
        self.slab.len() - self.shared.len()
    }

    /// Whether the next tick has something to do for a pair.
    pub(in crate::endpoint) fn has_busy_pairs(&self) -> bool {
        let lists = &self.pairs;
        !lists.readable.is_empty() || !lists.writable.is_empty() || !lists.over.is_empty()
    }

    pub(in crate::endpoint) fn next_due(&self) -> Option<Time> {
        let lists = &self.pairs;
        let leaving = [&lists.leaving, &lists.leaving_behind_end];
        let leaving = leaving.map(|list| list.front().map(|&(at, _)| at));
        let doomed = lists.doomed.front().map(|&(at, _)| at);
        let due = leaving.into_iter().chain([doomed, lists.slow_look]);
        due.flatten().min()
    }

    fn pair(&self, id: LocalId) -> Option<&Pair> {
        self.get(id)?.pair.as_ref()
    }

    fn pair_mut(&mut self, id: LocalId) -> Option<&mut Pair> {
        self.get_mut(id)?.pair.as_mut()
    }

    /// Whether `id` belongs to no peer, or is there and takes bytes.
    pub(super) fn takes(&self, id: LocalId) -> bool {
        let local = self.get(id);
        local.is_some_and(|local| local.pair.as_ref().is_none_or(Pair::takes))
    }

    /// Whether `id` belongs to a peer, or is gone, as only such locals are.
    pub(in crate::endpoint) fn is_paired(&self, id: LocalId) -> bool {
        self.get(id).is_none_or(|local| local.pair.is_some())
    }

    /// Lists `id` to be read, if it belongs to a peer and a read is worth a try.
    pub(in crate::endpoint) fn list_to_read(&mut self, id: LocalId) {
        if let Some(Local { input, pair, .. }) = self.get_mut(id)
            && let (Some(input), Some(pair)) = (input, pair)
            && input.is_ready()
            && !std::mem::replace(&mut pair.to_read, true)
        {
            self.pairs.readable.push_back(id);
        }
    }

    /// Lists `id` to be written, if it belongs to a peer and a write is worth a try.
    pub(super) fn list_to_write(&mut self, id: LocalId) {
        if let Some(Local { output, pair, .. }) = self.get_mut(id)
            && let (Some(output), Some(pair)) = (output, pair)
            && !output.is_blocked()
            && !std::mem::replace(&mut pair.to_write, true)
        {
            self.pairs.writable.push_back(id);
        }
    }

    /// The next local on the list of those to read; `None` if it is gone.
    fn next_readable(&mut self) -> Option<LocalId> {
        let id = self.pairs.readable.pop_front()?;
        self.pair_mut(id)?.to_read = false;
        Some(id)
    }

    /// The next local on the list of those to write; `None` if it is gone.
    fn next_writable(&mut self) -> Option<LocalId> {
        let id = self.pairs.writable.pop_front()?;
        self.pair_mut(id)?.to_write = false;
        Some(id)
    }

    /// Ends `id` as `stage` says: nothing more is read or written.
    fn end(&mut self, id: LocalId, stage: Stage, store: &mut Store) {
        self.drop_output(id, store);
        if let Some(pair) = self.pair_mut(id)
            && !matches!(pair.stage, Stage::Broken | Stage::Complete)
        {
            let before = std::mem::replace(&mut pair.stage, stage);
            self.pairs.lingering -= usize::from(before == Stage::Leaving);
            self.pairs.over.push_back(id);
        }
    }
}

/// Why a local that has failed with `error` ends its peer. The reason says enough where the
/// local was reset, or closed before it had all.
fn broken(error: &io::Error) -> Abort {
    let text = match error.kind() {
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => String::new(),
        _ => error.to_string(),
    };
    Abort::new(Reason::RESET, &text)
}

const STREAM: InputKind = InputKind {
    cut: Cut::Blocks,
    terminal: false,
};

// ---- for the driver ------------------------------------------------------

impl<M: Mode> Endpoint<M> {
    /// Whether a plain connection may be [accepted](Self::accepted_local): there are fewer than
    /// [`max_peers`](crate::limits::Limits::max_peers), and the endpoint is not leaving.
    pub fn accepts_locals(&self) -> bool {
        self.is_accepting() && self.parts.locals.pairs() < self.parts.limits.max_peers
    }

    /// Adds a plain connection that was accepted. It is not read before its peer, which the
    /// driver [dials](Self::dialled_for), is proved.
    pub fn accepted_local(&mut self) -> LocalId {
        self.parts.locals.open(None)
    }

    /// Gives a connection that we made for `local` a slot; `None` if that is gone.
    pub fn dialled_for(&mut self, now: Time, local: LocalId) -> Option<PeerId> {
        self.parts.locals.pair(local).filter(|pair| pair.takes())?;
        let peer = self.dialled(now);
        self.parts.roster[peer].local = Some(local);
        if let Some(pair) = self.parts.locals.pair_mut(local) {
            pair.peer = Some(peer);
        }
        Some(peer)
    }

    /// Says that the plain connection of `local`, which a [`Dial`](EndpointEvent::Dial) asked
    /// for, is there. Returns whether it is still wanted.
    pub fn local_opened(&mut self, local: LocalId) -> bool {
        let wanted = self.parts.locals.pair(local).is_some_and(Pair::takes);
        if wanted {
            self.parts.locals.set_open(local);
        }
        wanted
    }

    /// Says that `local` has no connection, or its peer has none, and why. It ends both. Returns
    /// the peer, if there was one.
    pub fn local_failed(&mut self, now: Time, local: LocalId, abort: Abort) -> Option<PeerId> {
        let parts = &mut self.parts;
        parts.now = now;
        let peer = parts.locals.pair(local).and_then(|pair| pair.peer);
        parts.locals.end(local, Stage::Broken, &mut parts.store);
        let peer = peer?;
        parts.abort(peer, abort);
        Some(peer)
    }
}

impl Locals {
    /// A local for `peer`, which has no connection yet, or waits for its peer.
    fn open(&mut self, peer: Option<PeerId>) -> LocalId {
        let input = Input::new(STREAM);
        let output = Output::for_socket();
        self.insert(Some(input), Some(output), Some(Pair::new(peer)))
    }

    /// The connection of `id` is there, and so is its proved peer.
    fn set_open(&mut self, id: LocalId) {
        if let Some(pair) = self.pair_mut(id)
            && pair.stage == Stage::Opening
        {
            pair.stage = Stage::Open;
            if let Some(output) = self.output(id) {
                output.unblock();
            }
            self.list_to_read(id);
            self.list_to_write(id);
        }
    }
}

// ---- for modes -----------------------------------------------------------

impl Context {
    /// The local that belongs to `peer`. It may be gone.
    pub fn local_of(&self, peer: PeerId) -> Option<LocalId> {
        self.roster.get(peer)?.local
    }

    /// The peer that `local` belongs to. It may be gone.
    pub fn peer_of(&self, local: LocalId) -> Option<PeerId> {
        self.locals.pair(local)?.peer
    }

    /// Gives `peer` a local, and asks the driver to connect that to the peer's target
    /// ([`EndpointEvent::Dial`]). What the peer sends meanwhile waits.
    pub fn open_local(&mut self, peer: PeerId) -> LocalId {
        let local = self.locals.open(Some(peer));
        if let Some(peer) = self.roster.get_mut(peer) {
            peer.local = Some(local);
        }
        self.events.push_back(EndpointEvent::Dial(local, peer));
        local
    }

    /// Says to the program behind `local`, which belongs to a peer, that nothing follows what
    /// is queued for it.
    pub fn finish_local(&mut self, local: LocalId) {
        if let Some(pair) = self.locals.pair_mut(local) {
            pair.finishes = true;
            // If writing has failed, what the local has given goes to its peer first.
            self.locals.list_to_write(local);
        }
    }
}

// ---- for the other parts of the endpoint ---------------------------------

impl Context {
    /// `peer` is proved. If it was dialled for a local, that is read from now on.
    pub(in crate::endpoint) fn open_pair(&mut self, peer: PeerId) {
        if let Some(local) = self.roster[peer].local {
            self.locals.set_open(local);
        }
    }

    /// The peer of `local` has failed. What it sent before leaves; then the local is reset.
    pub(in crate::endpoint) fn break_off(&mut self, local: LocalId) {
        let Some(pair) = self.locals.pair_mut(local) else {
            return;
        };
        match pair.stage {
            Stage::Open if pair.failed.is_none() => {
                pair.stage = Stage::Leaving;
                pair.finishes = false;
            }
            Stage::Opening | Stage::Open => {
                return self.locals.end(local, Stage::Broken, &mut self.store);
            }
            Stage::Leaving | Stage::Broken | Stage::Complete => return,
        }
        let shut = pair.shut;
        self.locals.list_to_write(local);
        let lists = &mut self.locals.pairs;
        lists.lingering += 1;
        match shut {
            true => {
                let until = self.now + LINGER_BEHIND_END;
                lists.leaving_behind_end.push_back((until, local));
            }
            false => lists.leaving.push_back((self.now + LINGER, local)),
        }
        while self.locals.pairs.lingering > MOST_LINGERING
            && let Some((_, first)) = self.locals.pairs.first_leaving()
        {
            self.end_leaving(first);
        }
    }

    fn end_leaving(&mut self, local: LocalId) {
        let pair = self.locals.pair(local);
        if pair.is_some_and(|pair| pair.stage == Stage::Leaving) {
            self.locals.end(local, Stage::Broken, &mut self.store);
        }
    }

    /// Whether stopping now would cut off what `peer` or its local has still to say.
    pub(in crate::endpoint) fn cuts_pair(&self, peer: PeerId) -> bool {
        let peer = &self.roster[peer];
        let local = peer.local.and_then(|id| self.locals.get(id));
        let ended = |local: &Local| local.input.as_ref().is_none_or(Input::has_ended);
        peer.doomed.is_some() || local.is_some_and(|local| !ended(local))
    }

    /// Resets locals whose peer is not there yet: we are leaving.
    pub(in crate::endpoint) fn end_waiting_locals(&mut self) {
        for id in self.locals.ids() {
            if self.locals.pair(id).is_some_and(|pair| pair.peer.is_none()) {
                self.locals.end(id, Stage::Broken, &mut self.store);
            }
        }
    }

    /// Aborts `id` once what is queued for it is sealed, or after a while.
    fn abort_behind(&mut self, id: PeerId, abort: Abort) {
        let Some(peer) = self.roster.get_mut(id) else {
            return;
        };
        if peer.outlet.is_empty() || !peer.protocol.is_open() {
            return self.abort(id, abort);
        }
        peer.doomed = Some(Box::new(abort));
        self.locals.pairs.doomed.push_back((self.now + LINGER, id));
    }

    /// Aborts `id` if its local has failed, and nothing is queued for it any more or its time
    /// is `over`.
    pub(in crate::endpoint) fn abort_if_doomed(&mut self, id: PeerId, over: bool) {
        if let Some(peer) = self.roster.get_mut(id)
            && (over || peer.outlet.is_empty())
            && let Some(abort) = peer.doomed.take()
        {
            self.abort(id, *abort);
        }
    }

    /// Does what is due: locals and peers have had their time to let go what came before a
    /// failure; locals that are too slow while memory is short.
    pub(in crate::endpoint) fn expire_locals(&mut self) {
        let now = self.now;
        while let Some(local) = self.locals.pairs.next_left(now) {
            self.end_leaving(local);
        }
        let due = |entry: Option<&(Time, _)>| entry.is_some_and(|(at, _)| *at <= now);
        while due(self.locals.pairs.doomed.front())
            && let Some((_, peer)) = self.locals.pairs.doomed.pop_front()
        {
            self.abort_if_doomed(peer, true);
        }
        self.expire_slow_locals();
    }

    /// While memory is short, a local that does not take its share of what waits for it is
    /// given up, as a peer would be.
    fn expire_slow_locals(&mut self) {
        if !self.flow.memory_is_short() {
            self.locals.pairs.slow_look = None;
            return;
        }
        let look = self.locals.pairs.slow_look;
        if look.is_some_and(|look| self.now < look) {
            return;
        }
        self.locals.pairs.slow_look = Some(self.now + SLOW_WINDOW);
        for id in self.locals.ids() {
            if self.locals.pair(id).is_some()
                && let Some(output) = self.locals.output(id)
                && output.is_slow(SLOW_SHARE as u64)
                && look.is_some()
            {
                self.give_up_local(id, Abort::new(Reason::TOO_SLOW, "the target or source"));
            }
        }
    }

    /// `local` has failed: its peer gets what it gave, and is told.
    fn give_up_local(&mut self, local: LocalId, abort: Abort) {
        let peer = self.locals.pair(local).and_then(|pair| pair.peer);
        self.locals.end(local, Stage::Broken, &mut self.store);
        if let Some(peer) = peer {
            self.abort_behind(peer, abort);
        }
    }

    /// Closes a local whose two directions have ended properly.
    fn close_if_complete(&mut self, id: LocalId) {
        if let Some(local) = self.locals.get(id)
            && let (Some(input), Some(pair)) = (&local.input, &local.pair)
            && pair.stage == Stage::Open
            && pair.shut
            && input.has_ended()
        {
            self.locals.end(id, Stage::Complete, &mut self.store);
        }
    }

    /// Closes or resets locals that are over. Those beyond what one tick may close come first
    /// in the next.
    pub(in crate::endpoint) fn close_locals(&mut self, io: &mut impl Transport) {
        for _ in 0..LOCALS_CLOSED {
            let Some(id) = self.locals.pairs.over.pop_front() else {
                return;
            };
            match self.locals.pair(id).map(|pair| pair.stage) {
                None => continue,
                Some(Stage::Complete) => io.close_local(id),
                Some(_) => io.reset_local(id),
            }
            self.locals.slab.remove(id.index());
            // A peer that waited for its output is read to its end.
            self.flow.recheck_paused();
        }
    }
}

// ---- reading -------------------------------------------------------------

impl<M: Mode> Endpoint<M> {
    /// Reads listed locals, once each, for as long as there is room in the scratch. Those
    /// beyond what one tick may read come first in the next.
    pub(super) fn read_pairs(&mut self, io: &mut impl Transport) {
        let waiting = self.parts.locals.pairs.readable.len().min(LOCALS_READ);
        for sharing in (1..=waiting).rev() {
            let parts = &mut self.parts;
            let room = parts.inbound.left();
            if room < STREAM_MESSAGE {
                return;
            }
            let Some(id) = parts.locals.next_readable() else {
                continue;
            };
            if !parts.may_read_pair(id) {
                // It is listed again when its peer may get more.
                continue;
            }
            let messages = (share(room, sharing) / MAX_RECORD).max(1);
            match parts.read_input(id, messages * STREAM_MESSAGE, io) {
                Came::Nothing => {}
                Came::Bytes(read) => {
                    parts.locals.list_to_read(id);
                    self.hand_on_read(id, read, usize::MAX);
                }
                Came::End => self.pair_input_ended(id),
                Came::Failed(error) => parts.give_up_local(id, broken(&error)),
            }
        }
    }

    fn pair_input_ended(&mut self, id: LocalId) {
        let pair = self.parts.locals.pair_mut(id);
        match pair.and_then(|pair| pair.failed.take()) {
            Some(abort) => self.parts.give_up_local(id, *abort),
            None => {
                self.mode.input_end(&mut self.parts, id);
                self.parts.close_if_complete(id);
            }
        }
    }
}

impl Context {
    /// Whether to read `id` now: its peer takes messages and is below its high-water mark, and
    /// there is memory.
    fn may_read_pair(&self, id: LocalId) -> bool {
        let pair = self.locals.pair(id);
        let Some(pair) = pair.filter(|pair| pair.stage == Stage::Open) else {
            return false;
        };
        let peer = pair.peer.and_then(|peer| self.roster.get(peer));
        let feeds = peer.is_some_and(|peer| peer.takes_messages() && !peer.flow.is_congested());
        feeds && !self.flow.memory_is_full()
    }

    // ---- writing ---------------------------------------------------------

    /// Writes for listed locals, once each. Those beyond what one tick may write to come first
    /// in the next.
    pub(super) fn write_pairs(&mut self, io: &mut impl Transport) {
        let waiting = self.locals.pairs.writable.len().min(LOCALS_WRITTEN);
        for _ in 0..waiting {
            if let Some(id) = self.locals.next_writable() {
                self.write_pair(id, io);
            }
        }
    }

    fn write_pair(&mut self, id: LocalId, io: &mut impl Transport) {
        let Some(local) = self.locals.get_mut(id) else {
            return;
        };
        let (Some(output), Some(pair)) = (&mut local.output, &mut local.pair) else {
            return;
        };
        if !matches!(pair.stage, Stage::Open | Stage::Leaving) {
            return;
        }
        match output.write(id, &mut self.store, io) {
            Err(error) => return self.pair_output_failed(id, &error),
            Ok(false) => {}
            Ok(true) => {
                self.measure_local(id);
                // A tick writes once: the rest of a long queue is for the next.
                self.locals.list_to_write_rest(id);
            }
        }
        self.end_pair_output(id, io);
    }

    /// Ends the output of `id` if nothing is queued for it and nothing will be.
    fn end_pair_output(&mut self, id: LocalId, io: &mut impl Transport) {
        let Some(local) = self.locals.get_mut(id) else {
            return;
        };
        let (Some(output), Some(pair)) = (&mut local.output, &mut local.pair) else {
            return;
        };
        if !output.is_written() {
            return;
        }
        match pair.stage {
            Stage::Open if pair.finishes && !pair.shut && pair.failed.is_none() => {
                match io.shut_down_local(id) {
                    Err(error) => self.pair_output_failed(id, &error),
                    Ok(()) => {
                        pair.shut = true;
                        if let Some(peer) = pair.peer {
                            self.handed_on(peer);
                        }
                        self.close_if_complete(id);
                    }
                }
            }
            // What is unsent behind an end that was passed on cannot be asked for.
            Stage::Leaving if pair.shut => {}
            Stage::Leaving => match io.flush_local(id) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => output.block(),
                _ => self.locals.end(id, Stage::Broken, &mut self.store),
            },
            _ => {}
        }
    }

    /// Writing to `id` has failed. What it has given is still read, and its end decides.
    fn pair_output_failed(&mut self, id: LocalId, error: &io::Error) {
        self.locals.drop_output(id, &mut self.store);
        self.measure_local(id);
        let abort = broken(error);
        let Some(local) = self.locals.get_mut(id) else {
            return;
        };
        let ended = local.input.as_ref().is_none_or(Input::has_ended);
        match &mut local.pair {
            Some(pair) if pair.stage == Stage::Open && !ended => {
                pair.failed.get_or_insert(Box::new(abort));
                // The error may have been told once, to the write.
                self.local_may_be_readable(id);
            }
            _ => self.give_up_local(id, abort),
        }
    }

    fn local_may_be_readable(&mut self, id: LocalId) {
        if let Some(input) = self.locals.input(id) {
            input.retry();
            self.locals.list_to_read(id);
        }
    }

    /// The high-water mark of what waits for `local`. That of a pair is low: what waits is
    /// kept, while a socket that takes it is kept busy by less.
    pub(in crate::endpoint) fn high_water_of(&self, local: LocalId) -> usize {
        let usual = self.flow.high_water();
        match self.locals.is_paired(local) {
            true => usual.min(INPUT_HIGH_WATER),
            false => usual,
        }
    }
}

impl Locals {
    /// Lists `id` for another write, if something is left and its socket may take it.
    fn list_to_write_rest(&mut self, id: LocalId) {
        if self.output(id).is_some_and(|output| !output.is_written()) {
            self.list_to_write(id);
        }
    }

    /// Whether anything waits for `id`.
    pub(in crate::endpoint) fn has_waiting(&self, id: LocalId) -> bool {
        let output = self.get(id).and_then(|local| local.output.as_ref());
        output.is_some_and(|output| !output.is_written())
    }

    /// Lists every local that may have waited for memory.
    pub(in crate::endpoint) fn list_all_to_read(&mut self) {
        for id in self.ids() {
            self.list_to_read(id);
        }
    }
}
