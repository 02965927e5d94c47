//! How an endpoint comes to its end (`DESIGN.md`: Ends, Being stopped, Exit
//! codes): by the end of its input, with its only peer, by a signal, or because
//! a local failed.

use std::io::ErrorKind;

use super::mode::Mode;
use super::peer::Standing;
use super::transport::{LocalId, PeerId};
use super::{Core, Endpoint, Notice};
use crate::conn::Outcome;
use crate::error::{Abort, Reason};
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
/// Added to a signal's number (POSIX shells).
const BY_SIGNAL: u8 = 128;

/// How far the end has come.
#[derive(Debug)]
pub(super) struct Ends {
    leaves: Leaves,
    accepting: bool,
    /// Nobody is to come any more; with the last peer it is over.
    leaving: bool,
    /// The signal that stops us, and when its next step is due.
    signal: Option<u8>,
    due: Option<Time>,
    last_step: bool,
    at_once: bool,
    /// Some of the input could not be sent as it was.
    cut_short: bool,
    /// Standard output or input failed.
    failed: Option<u8>,
    served: bool,
    worst: u8,
}

impl Ends {
    pub(super) fn new(leaves: Leaves) -> Self {
        Self {
            leaves,
            accepting: true,
            leaving: false,
            signal: None,
            due: None,
            last_step: false,
            at_once: false,
            cut_short: false,
            failed: None,
            served: false,
            worst: 0,
        }
    }

    pub(super) fn is_accepting(&self) -> bool {
        self.accepting
    }

    pub(super) fn reads_input(&self) -> bool {
        self.signal.is_none() && self.failed.is_none()
    }

    /// Whether nobody may ever come. A client has its peer soon or leaves, so what
    /// is typed ahead waits for it.
    pub(super) fn may_stay_alone(&self) -> bool {
        self.leaves != Leaves::WithPeers
    }

    pub(super) fn next(&self) -> Option<Time> {
        self.due
    }
}

impl<M: Mode> Endpoint<M> {
    /// A signal asks us to stop: peers are told, and have a few seconds. The
    /// second one leaves at once.
    pub fn stop(&mut self, now: Time, signal: u8) {
        let core = &mut self.core;
        core.now = now;
        if core.ends.signal.replace(signal).is_some() {
            core.ends.at_once = true;
            return;
        }
        core.ends.due = Some(now + STOP_DEADLINE);
        let cut = core.input_is_open();
        core.leave();
        for id in core.proved_ids() {
            if cut {
                core.abort(id, Abort::new(Reason::GOING_AWAY, ""));
            } else {
                core.finish(id);
            }
        }
    }
}

impl Core {
    /// Whether a pipe or file would lose what it has not given yet.
    pub(super) fn input_is_open(&self) -> bool {
        let mut inputs = self.locals.iter().filter_map(|local| local.input.as_ref());
        inputs.any(|input| !input.kind.terminal && !input.ended)
    }

    /// Whether the input has ended, where there is one.
    fn input_has_ended(&self) -> bool {
        let mut inputs = self.locals.iter().filter_map(|local| local.input.as_ref());
        inputs.any(|input| input.ended)
    }

    /// Stops accepting and closes who has proved nothing.
    fn leave(&mut self) {
        self.ends.accepting = false;
        self.ends.leaving = true;
        let unproved: Vec<PeerId> = self
            .ids()
            .filter(|&id| {
                self.peer(id)
                    .is_some_and(|p| p.standing != Standing::Proved)
            })
            .collect();
        for id in unproved {
            self.close(id, "we are leaving");
        }
    }

    /// A new peer is told at once that our input has ended.
    pub(super) fn greet(&mut self, id: PeerId) {
        self.ends.served = true;
        if self.input_has_ended() {
            self.finish(id);
        }
    }

    /// The input has ended, and the mode knows.
    pub(super) fn input_ended(&mut self) {
        if self.ends.leaves == Leaves::AfterInput && !self.ends.leaving {
            self.leave();
            self.tell(Notice::LeavingAfterPeers);
        }
    }

    /// Reading or writing `local` failed. What it had to give or take is lost, so
    /// peers are told that this is no proper end.
    pub(super) fn local_failed(&mut self, local: LocalId, error: ErrorKind) {
        let closed = error == ErrorKind::BrokenPipe;
        let cut = self.input_is_open();
        if !closed || cut {
            self.tell(Notice::LocalFailed(local, error));
        }
        if let Some(output) = &mut self.locals[local.index()].output {
            output.queue.clear(&mut self.nodes, &mut self.memory);
            output.waiting.clear();
            output.written = output.queued;
            output.congested = false;
            self.relieved = true;
        }
        for id in self.proved_ids() {
            self.abort(id, Abort::new(Reason::LOCAL_ERROR, ""));
        }
        if closed || self.ends.leaves != Leaves::WhenStopped {
            let code = if closed && !cut { 0 } else { LOCAL_FAILED };
            self.ends.failed.get_or_insert(code);
            self.leave();
        }
    }

    /// So many bytes could not be carried as they are; where they were our own
    /// input, that is a failure.
    pub(super) fn left_out(&mut self, bytes: usize) {
        self.ends.cut_short |= self.ends.leaves == Leaves::WithPeers;
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
        if self.ends.due.is_none_or(|due| self.now < due) {
            return;
        }
        if self.ends.last_step {
            self.ends.at_once = true;
            self.ends.due = None;
            return;
        }
        self.ends.last_step = true;
        self.ends.due = Some(self.now + STOP_GRACE);
        for id in self.proved_ids() {
            self.abort(id, Abort::new(Reason::GOING_AWAY, ""));
        }
    }

    /// Whether everything is done: nobody is there or will come, and locals have
    /// what is theirs.
    pub(super) fn exit(&self) -> Option<u8> {
        let ends = &self.ends;
        let nobody = self.peers.is_empty()
            && match ends.leaves {
                Leaves::WithPeers => ends.served || ends.leaving,
                Leaves::AfterInput | Leaves::WhenStopped => ends.leaving,
            };
        let written = self.locals.iter().all(|local| {
            let output = local.output.as_ref();
            output.is_none_or(|output| output.queue.is_empty())
        });
        (ends.at_once || nobody && written).then(|| self.exit_code())
    }

    fn exit_code(&self) -> u8 {
        let ends = &self.ends;
        let complete = ends.served && ends.worst == 0 && self.peers.is_empty();
        match (ends.failed, ends.signal) {
            (Some(code), _) => code,
            _ if ends.leaves == Leaves::WhenStopped => 0,
            (None, Some(signal)) if !complete => BY_SIGNAL + signal,
            _ if ends.worst == 0 && ends.cut_short => LOCAL_FAILED,
            _ => ends.worst,
        }
    }
}
