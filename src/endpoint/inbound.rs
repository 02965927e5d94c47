//! Bytes that came: reads them, opens what is whole, and keeps what is not.
//!
//! Reads land in the scratch, one behind the other. Only a partial record or frame is
//! kept in a buffer, and the rest of it is read in behind it. Records of all peers go into
//! one batch; classic frames are opened when their peer is settled. Which peers are read
//! is decided by [`super::flow`]. Read next: [`super::settle`], which acts on the results.

use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::ops::Range;

use super::Context;
use super::peer::{Peer, Protocol};
use super::transport::{PeerId, Read, Transport};
use super::unfinished::{Growth, Unfinished};
use crate::conn::StreamEnd;
use crate::crypto::batch::OpenBatch;
use crate::crypto::keys::KeyStores;
use crate::limits::{
    BACKLOG_PART, CHAT_BELOW, CLASSIC_FRAME, DENSEST, INPUT_SCRATCH, LOCAL_BUDGET,
    MAX_CLASSIC_FRAME, MAX_RECORD, MIN_RECORD, PEERS_READ, STREAM_FROM, share,
};
use crate::span::{Areas, Span};
use crate::time::Time;
use crate::wire::buffer::{Assembly, Memory};
use crate::wire::pack::PackReader;

/// Bytes of a unit that is not whole yet, in a buffer of their own.
#[derive(Debug, Clone, Copy)]
enum Partial {
    /// The unit's place, and how many of its bytes are there; the rest is read in
    /// behind them.
    Unit { unit: Span, filled: u32 },
    /// The unit's length is not known yet: these bytes go back in front of what is read
    /// next.
    Start(Span),
}

impl Partial {
    /// The place of the whole unit, as far as its length is known.
    fn span(self) -> Span {
        match self {
            Self::Unit { unit, .. } => unit,
            Self::Start(start) => start,
        }
    }
}

/// The messages of a pack that are not handed on yet: the pack's place, and what reads it.
#[derive(Debug)]
pub(super) struct Pack {
    pub(super) text: Span,
    pub(super) messages: PackReader,
}

/// What comes next in a backlog.
#[derive(Debug)]
pub(super) enum Kept {
    Pack(Pack),
    /// The text of a record, if its tag held and the texts were not dropped.
    Record(Option<Span>),
}

/// Records that were opened and are not settled, because there were more messages than a
/// tick may hand on.
#[derive(Debug)]
struct Backlog {
    /// Their texts; `None` once those are dropped.
    buffer: Option<Span>,
    /// The rest of a pack, which comes before them.
    pack: Option<Pack>,
    /// Where in the buffer they are, for records whose tag held.
    records: VecDeque<Option<Span>>,
    /// Bytes of the buffer.
    held: usize,
    /// The peer had more messages than its own share, and not just all peers together.
    over_own_share: bool,
}

/// What a peer sent that is not whole yet, or not settled.
#[derive(Debug, Default)]
pub(super) struct Intake {
    partial: Option<Partial>,
    assembly: Assembly,
    pub(super) growth: Growth,
    /// While there is one, the peer's socket is not read. Boxed, because few peers have one.
    backlog: Option<Box<Backlog>>,
}

impl Intake {
    /// Bytes of its unfinished message; none if there is none.
    pub(super) fn message_len(&self) -> usize {
        self.assembly.len()
    }

    pub(super) fn has_backlog(&self) -> bool {
        self.backlog.is_some()
    }

    /// Whether the peer has a backlog, and had more messages than its own share.
    fn is_over_own_share(&self) -> bool {
        let backlog = self.backlog.as_ref();
        backlog.is_some_and(|backlog| backlog.over_own_share)
    }

    /// The peer has had its own share of messages, and has a backlog still.
    pub(super) fn had_own_share(&mut self) {
        if let Some(backlog) = &mut self.backlog {
            backlog.over_own_share = true;
        }
    }

    /// The rest of a pack comes first in the backlog again.
    pub(super) fn keep_pack(&mut self, pack: Pack) {
        if let Some(backlog) = &mut self.backlog {
            backlog.pack = Some(pack);
        }
    }

    /// The texts of its backlog.
    pub(super) fn backlog_texts(&self) -> Option<Span> {
        self.backlog.as_ref()?.buffer
    }
}

/// What one read found.
#[derive(Debug)]
pub(super) enum Found {
    /// Records in the batch.
    Records(Range<usize>),
    /// Bytes of the scratch that are classic frames.
    Frames(Range<usize>),
    /// Nothing was read: its backlog comes first.
    Backlog,
}

/// What one read of one peer left to settle.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) peer: PeerId,
    pub(super) found: Found,
    /// After how many chunks of messages the rest of its records waits for its next turn: as
    /// many as could come in its share of the scratch if none were packed, and less where each
    /// goes to many peers.
    pub(super) most: usize,
    /// Its socket may have more.
    pub(super) more: bool,
    /// Its stream has ended.
    pub(super) end: Option<StreamEnd>,
}

impl Work {
    fn new(peer: PeerId, found: Found, most: usize) -> Self {
        Self {
            peer,
            found,
            most,
            more: false,
            end: None,
        }
    }
}

/// Bytes that came and are not settled.
///
/// Invariant: `partial`, `assembling` and `kept` count the bytes that all peers' intakes hold,
/// of partial units, unfinished messages and backlogs.
#[derive(Debug, Default)]
pub(super) struct Inbound {
    opens: OpenBatch,
    work: VecDeque<Work>,
    /// Bytes of the scratch that this tick has used.
    used: usize,
    /// Bytes of the scratch to erase when a peer leaves.
    to_erase: usize,
    /// Whole units of this tick that lie in buffers. The end of the tick releases them.
    in_use: Vec<Span>,
    partial: usize,
    assembling: usize,
    kept: usize,
    /// When this tick began, backlogs took all the memory that they may, and what is read is
    /// handed on at once.
    full: bool,
    /// Chunks of messages that were handed on since the start.
    pub(super) handed_on: u64,
    pub(super) unfinished: Unfinished,
}

impl Inbound {
    /// Bytes of the buffers of all partial units, unfinished messages and backlogs.
    pub(super) fn held(&self) -> usize {
        self.partial + self.assembling + self.kept
    }

    pub(super) fn assembling(&self) -> usize {
        self.assembling
    }

    // ---- what was read ---------------------------------------------------

    /// What the oldest read that is not settled has left.
    pub(super) fn next_work(&mut self) -> Option<Work> {
        self.work.pop_front()
    }

    /// The text of a record of this tick, if its tag held.
    pub(super) fn record(&self, index: usize) -> Option<Span> {
        let (job, held) = self.opens.result(index);
        held.then(|| job.text())
    }

    /// All records of this tick are settled.
    pub(super) fn forget_records(&mut self) {
        self.opens.clear();
    }

    // ---- the scratch -----------------------------------------------------

    /// The next `most` bytes of the scratch, or as many as are left.
    pub(super) fn room(&self, most: usize) -> Range<usize> {
        self.used..(self.used + most).min(INPUT_SCRATCH + LOCAL_BUDGET)
    }

    /// How many bytes of the scratch are left.
    pub(super) fn left(&self) -> usize {
        (INPUT_SCRATCH + LOCAL_BUDGET).saturating_sub(self.used)
    }

    pub(super) fn use_to(&mut self, end: usize) {
        self.used = end;
    }

    /// Frees the scratch and the whole units: the tick ends, and no part of the endpoint
    /// refers to them any more.
    pub(super) fn end_tick(&mut self, memory: &mut Memory) {
        self.to_erase = self.to_erase.max(self.used);
        self.used = 0;
        for unit in self.in_use.drain(..) {
            memory.release(unit);
        }
    }

    /// Erases the used scratch: a peer has left, and its plaintext must not outlive the tick.
    pub(super) fn erase_scratch(&mut self, memory: &mut Memory) {
        memory.erase_scratch(0..std::mem::take(&mut self.to_erase));
    }

    // ---- partial units ---------------------------------------------------

    /// Keeps the bytes in `range` of the scratch, which begin a unit, until the rest of it
    /// is there.
    pub(super) fn keep_rest(&mut self, peer: &mut Peer, memory: &mut Memory, range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        let bytes = &memory.scratch[range.clone()];
        let whole = match &peer.protocol {
            Protocol::Native(conn) => conn.unit(bytes),
            _ => None,
        };
        let start = Span::new(Memory::SCRATCH, range);
        let partial = match whole {
            None => Partial::Start(memory.keep(start)),
            Some(whole) => {
                let unit = memory.take(whole);
                memory.copy(start, unit.area, 0);
                let filled = start.len;
                Partial::Unit { unit, filled }
            }
        };
        self.partial += memory.area(partial.span().area).len();
        peer.intake.partial = Some(partial);
    }

    /// Takes a partial unit out of the count. The caller releases its buffer.
    fn uncount(&mut self, memory: &Memory, partial: Partial) {
        self.partial -= memory.area(partial.span().area).len();
    }

    /// Joins the partial unit with what was read into the scratch from `start` on. Adds a
    /// record that is now whole to the batch. Returns where in the scratch the next unit
    /// starts.
    fn join(
        &mut self,
        peer: &mut Peer,
        memory: &mut Memory,
        keys: &mut KeyStores,
        now: Time,
        read: Range<usize>,
    ) -> Range<usize> {
        let Range { start, mut end } = read;
        match peer.intake.partial.take() {
            None => {}
            Some(partial @ Partial::Start(kept)) => {
                let (before, scratch) = memory.beside_scratch(kept);
                scratch[start..start + kept.len()].copy_from_slice(before);
                self.uncount(memory, partial);
                memory.release(kept);
                end += kept.len();
            }
            Some(Partial::Unit { unit, filled }) => {
                let rest = (end - start).min(unit.len() - filled as usize);
                end -= rest;
                let filled = filled + rest as u32;
                let partial = Partial::Unit { unit, filled };
                if filled < unit.len {
                    peer.intake.partial = Some(partial);
                    return start..start;
                }
                self.uncount(memory, partial);
                self.in_use.push(unit);
                if let Protocol::Native(conn) = &mut peer.protocol {
                    conn.gather(now, keys, memory.bytes(unit), unit, &mut self.opens);
                }
            }
        }
        start..end
    }

    // ---- backlogs --------------------------------------------------------

    /// Whether what exceeds a turn may be kept for the next.
    pub(super) fn may_keep(&self) -> bool {
        !self.full
    }

    /// Keeps the rest of a pack, and these records of this tick, until their peer's next turn.
    pub(super) fn keep_records(
        &mut self,
        intake: &mut Intake,
        memory: &mut Memory,
        mut pack: Option<Pack>,
        records: Range<usize>,
    ) {
        let mut kept = VecDeque::with_capacity(records.len());
        kept.extend(records.map(|index| self.record(index)));
        let first = pack.as_mut().map(|pack| &mut pack.text);
        let texts = kept.iter().flatten().chain(first.as_deref());
        let buffer = memory.take(texts.map(|text| text.len()).sum());
        let mut at = 0;
        for text in kept.iter_mut().flatten().chain(first) {
            memory.copy(*text, buffer.area, at);
            *text = buffer.slice(at..at + text.len());
            at += text.len();
        }
        let held = memory.area(buffer.area).len();
        self.kept += held;
        intake.backlog = Some(Box::new(Backlog {
            buffer: Some(buffer),
            pack,
            records: kept,
            held,
            over_own_share: false,
        }));
    }

    /// What comes next in a backlog.
    pub(super) fn next_kept(&mut self, intake: &mut Intake) -> Option<Kept> {
        let backlog = intake.backlog.as_mut()?;
        if let Some(pack) = backlog.pack.take() {
            return Some(Kept::Pack(pack));
        }
        let record = backlog.records.pop_front()?;
        Some(Kept::Record(backlog.buffer.and(record)))
    }

    /// Drops a backlog of which nothing is left.
    pub(super) fn drop_if_settled(&mut self, intake: &mut Intake, memory: &mut Memory) {
        let settled = |backlog: &Backlog| backlog.pack.is_none() && backlog.records.is_empty();
        if intake.backlog.as_deref().is_some_and(settled) {
            self.drop_backlog(intake, memory);
        }
    }

    /// Drops the texts of a backlog. Its records still count as found, and are settled.
    pub(super) fn drop_texts(&mut self, intake: &mut Intake, memory: &mut Memory) {
        if let Some(backlog) = &mut intake.backlog
            && let Some(buffer) = backlog.buffer.take()
        {
            backlog.pack = None;
            self.kept -= backlog.held;
            memory.drop_later(buffer);
        }
    }

    fn drop_backlog(&mut self, intake: &mut Intake, memory: &mut Memory) {
        self.drop_texts(intake, memory);
        intake.backlog = None;
    }

    // ---- messages --------------------------------------------------------

    /// Adds a chunk to the unfinished message of `id`. The last chunk returns the whole
    /// message, in spans that the caller releases.
    pub(super) fn assemble(
        &mut self,
        id: PeerId,
        intake: &mut Intake,
        memory: &mut Memory,
        now: Time,
        chunk: Span,
        last: bool,
    ) -> Option<Vec<Span>> {
        let before = intake.assembly.len();
        self.assembling -= intake.assembly.held();
        intake.assembly.push(memory, chunk);
        if last {
            self.unfinished.gone(before);
            return Some(intake.assembly.take());
        }
        self.assembling += intake.assembly.held();
        let (growth, len) = (&mut intake.growth, intake.assembly.len());
        self.unfinished.grew(id, growth, now, before, len);
        None
    }

    pub(super) fn drop_message(&mut self, intake: &mut Intake, memory: &mut Memory) {
        self.unfinished.gone(intake.assembly.len());
        self.assembling -= intake.assembly.held();
        for span in intake.assembly.take() {
            memory.drop_later(span);
        }
    }

    /// Drops a peer's partial unit, its unfinished message and its backlog.
    pub(super) fn drop_intake(&mut self, intake: &mut Intake, memory: &mut Memory) {
        self.drop_message(intake, memory);
        self.drop_backlog(intake, memory);
        if let Some(partial) = intake.partial.take() {
            self.uncount(memory, partial);
            memory.release(partial.span());
        }
    }
}

impl Context {
    /// Reads each ready peer once, for as long as there is room in the scratch, and as what
    /// is found can be handed on in this tick. A peer with a backlog is not read: its turn is
    /// spent on that.
    pub(super) fn read_peers(&mut self, io: &mut impl Transport) {
        let full = self.inbound.kept >= self.limits.max_assembling / BACKLOG_PART;
        let fans_out = self.flow.fans_out();
        self.inbound.full = full && !fans_out;
        let most_bytes = match full && fans_out {
            true => CHAT_BELOW,
            false => INPUT_SCRATCH,
        };
        let room = match self.inbound.full {
            true => (INPUT_SCRATCH / DENSEST).max(MAX_RECORD),
            false => INPUT_SCRATCH,
        };
        let most = self.flow.most_chunks(self.roster.proved());
        let (waiting, chats) = (self.flow.count_waiting(), self.flow.has_chats());
        let (mut kept, mut to_hand_on) = (0, 0);
        for _ in 0..waiting.min(PEERS_READ) {
            // Strangers leave the peers their shares, with the one that is next.
            let sharing = self.flow.proved_waiting().clamp(1, PEERS_READ);
            let left = room.saturating_sub(self.inbound.used + kept);
            let chunks = most.saturating_sub(self.inbound.opens.len() + to_hand_on);
            if left < MAX_RECORD || chunks == 0 {
                return;
            }
            let (flow, roster) = (&mut self.flow, &mut self.roster);
            let Some(id) = flow.next_ready(roster, &self.locals, chats, self.now) else {
                continue;
            };
            let (share, turn) = self.turn(id, left, chunks, sharing);
            let peer = &mut self.roster[id];
            if peer.intake.has_backlog() {
                let texts = peer.intake.backlog_texts();
                kept += texts.map_or(0, Span::len).min(share);
                to_hand_on += turn;
                if peer.intake.is_over_own_share() {
                    // Many messages at a time are a stream, however few bytes they have.
                    peer.flow.note_read(STREAM_FROM);
                }
                let mut work = Work::new(id, Found::Backlog, turn);
                // Events of its socket had no effect meanwhile.
                work.more = true;
                self.inbound.work.push_back(work);
                self.roster.touch(id);
            } else {
                self.read_peer(id, share.min(most_bytes), turn, io);
            }
        }
    }

    /// How many bytes a turn of `id`, one of `sharing` peers, may read of the `left` room, and
    /// how many `chunks` of those that are left it may hand on.
    fn turn(&self, id: PeerId, left: usize, chunks: usize, sharing: usize) -> (usize, usize) {
        let peer = &self.roster[id];
        // An unproved peer may cost no more than the opening of one record.
        let share = match peer.is_proved() {
            true => share(left, sharing),
            false => MAX_RECORD,
        };
        let turn = share / MIN_RECORD;
        if !self.flow.fans_out() {
            return (share, turn);
        }
        let turn = turn.min(chunks.div_ceil(sharing));
        match peer.protocol {
            Protocol::Native(_) => (share, turn),
            // Its frames are opened when they are handed on, so they do not wait in a backlog.
            _ => {
                let frames = (turn * CLASSIC_FRAME).max(2 * MAX_CLASSIC_FRAME);
                (share.min(frames), turn)
            }
        }
    }

    /// Reads from `id` the rest of a partial unit and at most `len` more bytes.
    fn read_peer(&mut self, id: PeerId, len: usize, turn: usize, io: &mut impl Transport) {
        let start = self.inbound.used;
        let first = self.inbound.opens.len();
        let peer = &mut self.roster[id];
        let mut work = Work::new(id, Found::Records(first..first), turn);
        match fill(&mut self.store.memory, peer, id, start..start + len, io) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) => work.end = Some(StreamEnd::Broken(error.into())),
            Ok(Read { bytes: 0, .. }) => work.end = Some(StreamEnd::Closed),
            Ok(read) => {
                peer.flow.note_read(read.bytes);
                work.found = self.take(id, start..start + read.bytes);
                work.more = !read.drained;
            }
        }
        if work.end.is_some() {
            self.roster[id].flow.ended();
        }
        self.inbound.work.push_back(work);
        self.roster.touch(id);
    }

    /// Takes what was read: first the rest of a partial unit, if there is one, then the bytes
    /// in the scratch.
    fn take(&mut self, id: PeerId, read: Range<usize>) -> Found {
        let first = self.inbound.opens.len();
        let (inbound, memory) = (&mut self.inbound, &mut self.store.memory);
        let peer = &mut self.roster[id];
        let unproved = !peer.is_proved();
        let mut behind = peer.protocol.waits_for_answer();
        peer.protocol.heard(self.now);
        let range = inbound.join(peer, memory, &mut self.keys, self.now, read);
        if !range.is_empty() {
            inbound.used = range.end;
            if self.decide(id, range.clone()) {
                return Found::Frames(range);
            }
            let (inbound, memory) = (&mut self.inbound, &mut self.store.memory);
            let peer = &mut self.roster[id];
            let used = match &mut peer.protocol {
                Protocol::Undecided(conn) if conn.is_over() => range.len(),
                Protocol::Undecided(_) | Protocol::Classic(_) => 0,
                Protocol::Native(conn) => {
                    let span = Span::new(Memory::SCRATCH, range.clone());
                    let bytes = &memory.scratch[range.clone()];
                    conn.gather(self.now, &mut self.keys, bytes, span, &mut inbound.opens)
                }
            };
            if peer.protocol.waits_for_answer() {
                behind |= used < range.len();
            } else {
                inbound.keep_rest(peer, memory, range.start + used..range.end);
            }
        }
        if unproved {
            self.note_hello(id, behind);
        }
        Found::Records(first..self.inbound.opens.len())
    }

    /// Checks all records that were found, and decrypts those whose tag holds.
    pub(super) fn open(&mut self) {
        let opens = &mut self.inbound.opens;
        self.stats.opened += opens.len() as u64;
        opens.run(&self.keys.open, &mut self.store.memory);
    }
}

/// Reads for a peer. The rest of a partial unit goes behind its first bytes, and what
/// follows goes into `room` of the scratch. If the unit's length is not known yet, room
/// for its first bytes is left in front.
fn fill(
    memory: &mut Memory,
    peer: &Peer,
    id: PeerId,
    room: Range<usize>,
    io: &mut impl Transport,
) -> io::Result<Read> {
    match peer.intake.partial {
        None => io.read(id, &mut [IoSliceMut::new(&mut memory.scratch[room])]),
        Some(Partial::Start(kept)) => {
            let room = room.start + kept.len()..room.end;
            io.read(id, &mut [IoSliceMut::new(&mut memory.scratch[room])])
        }
        Some(Partial::Unit { unit, filled }) => {
            let (unit, scratch) = memory.beside_scratch(unit);
            let mut slices = [
                IoSliceMut::new(&mut unit[filled as usize..]),
                IoSliceMut::new(&mut scratch[room]),
            ];
            io.read(id, &mut slices)
        }
    }
}
