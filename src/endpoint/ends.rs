//! How an endpoint comes to its end: with the end of its input, with its only
//! peer, by a signal, or because a local failed; and the code to exit with
//! (`docs/OPERATING.md`, Exit codes; `docs/ARCHITECTURE.md`, How it ends).

use std::io::{self, ErrorKind};

use super::mode::Mode;
use super::peer::{Protocol, Standing};
use super::transport::{LocalId, PeerId};
use super::{Core, Endpoint, Notice};
use crate::conn::Outcome;
use crate::error::{Abort, BY_SIGNAL, READER_GONE, Reason};
use crate::limits::{STOP_DEADLINE, STOP_GRACE};
use crate::time::Time;

/// When an endpoint is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaves {
    /// When it is stopped: it serves.
    WhenStopped,
    /// When its input has ended and those it served are complete: one-shot.
    AfterInput,
    /// When its last peer has gone: a client.
    WithPeers,
}

/// Exit code of what could not be done here.
const LOCAL_FAILED: u8 = 1;
/// Exit code of a one-shot server whose input nobody has, though no peer of it
/// failed: as if one had been cut off.
const CUT_OFF: u8 = 4;

/// Being stopped by a signal.
#[derive(Debug)]
struct Stop {
    signal: u8,
    step: Step,
}

#[derive(Debug)]
enum Step {
    /// Peers may finish until then.
    Finishing(Time),
    /// ABORTs may leave until then.
    Aborting(Time),
    /// Nobody is waited for.
    AtOnce,
}

/// How far the end has come.
#[derive(Debug)]
pub(super) struct Ends {
    leaves: Leaves,
    /// Nobody is to come any more; with the last peer it is over.
    leaving: bool,
    stop: Option<Stop>,
    /// Some of our own input could not be sent as it was.
    cut_short: bool,
    /// A local failed: the code to exit with.
    failed: Option<u8>,
    served: bool,
    worst: u8,
}

impl Ends {
    pub(super) fn new(leaves: Leaves) -> Self {
        Self {
            leaves,
            leaving: false,
            stop: None,
            cut_short: false,
            failed: None,
            served: false,
            worst: 0,
        }
    }

    pub(super) fn is_accepting(&self) -> bool {
        !self.leaving
    }

    pub(super) fn reads_input(&self) -> bool {
        self.stop.is_none() && self.failed.is_none()
    }

    /// Whether a peer has come, gone or not.
    pub(super) fn has_served(&self) -> bool {
        self.served
    }

    /// Whether nobody may ever come. A client has its peer soon or leaves, so what
    /// is typed ahead waits for it.
    pub(super) fn may_stay_alone(&self) -> bool {
        self.leaves != Leaves::WithPeers
    }

    pub(super) fn next(&self) -> Option<Time> {
        match self.stop.as_ref()?.step {
            Step::Finishing(due) | Step::Aborting(due) => Some(due),
            Step::AtOnce => None,
        }
    }
}

impl<M: Mode> Endpoint<M> {
    /// A signal asks us to stop: peers are told, and have a few seconds. The
    /// second one leaves at once.
    pub fn stop(&mut self, now: Time, signal: u8) {
        let core = &mut self.core;
        core.now = now;
        let first = core.ends.stop.is_none();
        let step = match first {
            true => Step::Finishing(now + STOP_DEADLINE),
            false => Step::AtOnce,
        };
        core.ends.stop = Some(Stop { signal, step });
        if !first {
            return;
        }
        let cut = core.input_is_open();
        core.leave();
        for id in core.peers.in_standing(Standing::Proved) {
            if cut {
                core.abort(id, Abort::new(Reason::GOING_AWAY, ""));
            } else {
                core.finish(id);
            }
        }
    }

    /// The code to exit with, once everything is done: nobody is there or will
    /// come, and locals have what is theirs.
    pub fn exit(&self) -> Option<u8> {
        let core = &self.core;
        let at_once = |stop: &Stop| matches!(stop.step, Step::AtOnce);
        let leaves = core.ends.leaving || core.has_lost_its_peer();
        let done = core.ends.stop.as_ref().is_some_and(at_once)
            || leaves && core.waits_for_nobody() && core.has_written_all();
        done.then(|| core.exit_code())
    }
}

impl Core {
    /// Whether we have sent FIN because a signal stops us, so that what peers still
    /// say cannot be answered.
    pub fn is_stopping(&self) -> bool {
        self.ends.stop.is_some()
    }

    /// Whether locals have what is theirs.
    fn has_written_all(&self) -> bool {
        let mut outputs = self.locals.iter().filter_map(|local| local.output.as_ref());
        outputs.all(|output| output.queue.is_empty())
    }

    fn has_lost_its_peer(&self) -> bool {
        self.ends.leaves == Leaves::WithPeers && self.ends.served
    }

    /// Whether a pipe or file would lose what it has not given yet.
    pub(super) fn input_is_open(&self) -> bool {
        let mut inputs = self.locals.iter().filter_map(|local| local.input.as_ref());
        inputs.any(|input| !input.kind.terminal && !input.ended)
    }

    /// Bytes that a pipe or file has given.
    fn given(&self) -> u64 {
        let inputs = self.locals.iter().filter_map(|local| local.input.as_ref());
        let piped = inputs.filter(|input| !input.kind.terminal);
        piped.map(|input| input.given).sum()
    }

    /// Whether every peer may be left: it is neither proved, nor being told why not, nor
    /// about to be closed. Strangers keep nobody from leaving.
    fn waits_for_nobody(&self) -> bool {
        let matters = |id: PeerId| {
            let peer = &self.peers[id];
            peer.standing == Standing::Proved || peer.protocol.is_closing() || peer.is_over()
        };
        self.proved() == 0 && !self.peers.ids().any(matters)
    }

    /// Why no peer that comes now is taken, if that is so: a one-shot server serves
    /// the peers that were there when its input began.
    pub(super) fn too_late(&self) -> Option<&'static str> {
        if self.ends.leaves == Leaves::AfterInput && self.given() > 0 {
            Some("the input has begun without you")
        } else if self.ends.leaving {
            Some("this server takes no more peers")
        } else {
            None
        }
    }

    /// When `id` counts as idle if it makes no progress: never where the program
    /// does not end with its peers.
    pub(super) fn idle_due(&self, id: PeerId) -> Option<Time> {
        let slot = &self.peers[id];
        let ends_with_peers = self.ends.leaves != Leaves::WhenStopped;
        let counts = ends_with_peers && slot.joined && slot.protocol.is_open();
        let idle = self.setup.limits.max_idle.filter(|_| counts)?;
        Some(slot.last_active + idle)
    }

    /// Gives up on `id` if the program cannot end because of it, and nothing but PING
    /// and PONG went either way for as long as that may be.
    pub(super) fn drop_if_idle(&mut self, id: PeerId) {
        if self.idle_due(id).is_none_or(|due| self.now < due) {
            return;
        }
        let slot = &self.peers[id];
        let is_waited_for = slot.has_waiting() || !self.input_is_open();
        // Our own output may hold it up, too.
        if is_waited_for && !slot.paused && !slot.ready && self.has_written_all() {
            let idle = self.setup.limits.max_idle.unwrap_or_default();
            let why = format!("no progress for {} s", idle.as_secs_f32());
            self.abort(id, Abort::new(Reason::TOO_SLOW, &why));
        } else {
            self.peers[id].last_active = self.now;
        }
    }

    /// Whether the input has ended, where there is one.
    fn input_has_ended(&self) -> bool {
        let mut inputs = self.locals.iter().filter_map(|local| local.input.as_ref());
        inputs.any(|input| input.ended)
    }

    /// Stops accepting and closes peers that have proved nothing.
    fn leave(&mut self) {
        self.ends.leaving = true;
        for id in self.peers.in_standing(Standing::Unproved) {
            self.fail(id, "we are leaving");
        }
        self.end_listeners();
    }

    /// Ends peers that only listen. A classic one that does not have all of our input is
    /// broken off: to it a close would look like the input's end.
    fn end_listeners(&mut self) {
        let cut = self.input_is_open();
        for id in self.peers.in_standing(Standing::Listening) {
            let slot = &self.peers[id];
            let is_classic = matches!(slot.protocol, Protocol::Classic(_));
            if is_classic && (cut || slot.has_waiting()) {
                self.abort(id, Abort::new(Reason::GOING_AWAY, "we are leaving"));
            } else {
                self.fail(id, "we are leaving");
            }
        }
    }

    /// A new peer is told at once that our input has ended.
    pub(super) fn greet(&mut self, id: PeerId) {
        self.ends.served = true;
        if self.input_has_ended() && !self.must_end_before_us(id) {
            self.finish(id);
        }
    }

    /// Whether `id` is to end before we do: a classic peer of a server that only
    /// receives (`PROTOCOL.md` §2: a side that sees the other's end says no more).
    pub(super) fn must_end_before_us(&self, id: PeerId) -> bool {
        let receives = self.ends.leaves == Leaves::AfterInput && self.given() == 0;
        receives && matches!(self.peers[id].protocol, Protocol::Classic(_))
    }

    /// The input has ended, and the mode knows.
    pub(super) fn input_ended(&mut self) {
        if self.ends.leaves == Leaves::AfterInput && !self.ends.leaving {
            // A peer whose handshake is on its way is told why it is not taken,
            // once it has proved itself; nobody waits for it.
            self.ends.leaving = true;
            for id in self.peers.in_standing(Standing::Listening) {
                match self.peers[id].has_waiting() {
                    // It gets the rest for as long as proved peers are there.
                    true => self.finish(id),
                    false => self.fail(id, "we are leaving"),
                }
            }
            self.tell(Notice::LeavingAfterPeers);
        }
    }

    /// A peer has gone. If it was the last one, no listener is waited for; and if it had
    /// the input from its start, nobody can have that whole any more.
    pub(super) fn leave_if_abandoned(&mut self) {
        let given = self.given();
        let one_shot = self.ends.leaves == Leaves::AfterInput;
        if self.ends.leaving && self.proved() == 0 {
            self.end_listeners();
        }
        if one_shot && !self.ends.leaving && given > 0 && self.proved() == 0 {
            if self.ends.worst == 0 {
                self.ends.worst = CUT_OFF;
            }
            self.leave();
            self.tell(Notice::Abandoned(given));
        }
    }

    /// Reading a local failed: what it had to give is lost.
    pub(super) fn input_failed(&mut self, error: io::Error) {
        self.tell(Notice::InputFailed(error));
        self.give_up(LOCAL_FAILED, false);
    }

    /// Writing to `local` failed: what it had to take is lost. That its reader has
    /// gone is told by the code alone, as by other programs in a pipeline.
    pub(super) fn output_failed(&mut self, local: LocalId, error: io::Error) {
        let gone = error.kind() == ErrorKind::BrokenPipe;
        if !gone {
            self.tell(Notice::OutputFailed(error));
        }
        if let Some(output) = &mut self.locals[local.index()].output {
            output.drop_all(&mut self.nodes, &mut self.memory);
        }
        self.measure_local(local);
        let code = if gone { READER_GONE } else { LOCAL_FAILED };
        self.give_up(code, gone);
    }

    /// Tells peers that this is no proper end, and leaves with `code`; a server
    /// that serves until it is stopped goes on, unless its output is `closed`.
    fn give_up(&mut self, code: u8, closed: bool) {
        for id in self.peers.in_standing(Standing::Proved) {
            self.abort(id, Abort::new(Reason::LOCAL_ERROR, ""));
        }
        if closed || self.ends.leaves != Leaves::WhenStopped {
            self.ends.failed.get_or_insert(code);
            self.leave();
        }
    }

    /// So many bytes could not be carried as they are; where they were our own
    /// input, that is a failure.
    pub(super) fn left_out(&mut self, bytes: usize) {
        self.ends.cut_short |= self.ends.leaves != Leaves::WhenStopped;
        self.tell(Notice::NotText(bytes));
    }

    /// Counts how a connection ended.
    pub(super) fn note_end(&mut self, joined: bool, outcome: &Outcome) {
        match outcome {
            _ if !joined => self.stats.refused += 1,
            Ok(()) => self.stats.complete += 1,
            Err(_) => self.stats.failed += 1,
        }
        if joined || self.ends.leaves == Leaves::WithPeers {
            self.ends.served = true;
            let code = outcome
                .as_ref()
                .map_or_else(|failure| failure.exit_code(), |()| 0);
            self.ends.worst = self.ends.worst.max(code);
        }
    }

    /// Takes the next step of being stopped, if it is due.
    pub(super) fn expire_ends(&mut self) {
        let now = self.now;
        let Some(stop) = &mut self.ends.stop else {
            return;
        };
        match stop.step {
            Step::Finishing(due) if now >= due => stop.step = Step::Aborting(now + STOP_GRACE),
            Step::Aborting(due) if now >= due => {
                stop.step = Step::AtOnce;
                return;
            }
            _ => return,
        }
        for id in self.peers.in_standing(Standing::Proved) {
            self.abort(id, Abort::new(Reason::GOING_AWAY, ""));
        }
    }

    fn exit_code(&self) -> u8 {
        let ends = &self.ends;
        let served = ends.served && ends.worst == 0 && self.waits_for_nobody();
        let complete = served && self.has_written_all();
        match (ends.failed, &ends.stop) {
            (Some(code), _) => code,
            _ if ends.leaves == Leaves::WhenStopped => 0,
            (None, Some(stop)) if !complete => BY_SIGNAL + stop.signal,
            _ if ends.worst == 0 && ends.cut_short => LOCAL_FAILED,
            _ => ends.worst,
        }
    }
}
