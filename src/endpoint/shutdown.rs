//! How an endpoint comes to its end: with the end of its input, with its only peer,
//! because its user stops it, or because a local failed (`docs/ARCHITECTURE.md`, How it
//! ends).
//!
//! It decides when peers and the endpoint end, and catches no signal. How one peer ends is
//! [`crate::conn`]'s. Read next: [`super::tick`], which calls it; `net::signals`.

use std::io::{self, ErrorKind};

use super::mode::Mode;
use super::peer::Peer;
use super::roster::Standing;
use super::transport::{LocalId, PeerId};
use super::{Context, Endpoint, Notice};
use crate::conn::Outcome;
use crate::error::{Abort, Gravity, Reason};
use crate::limits::{STOP_DEADLINE, STOP_GRACE};
use crate::time::Time;

/// When an endpoint is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaves {
    /// When it is stopped: it serves.
    WhenStopped,
    /// When its input has ended and the peers it served are complete: one-shot.
    AfterInput,
    /// When its last peer is gone: a client.
    WithPeers,
}

/// How an endpoint ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// All it was there for is done.
    Complete,
    /// A peer of a client or of a one-shot endpoint failed. Of several failures this is
    /// the gravest.
    Failed(Gravity),
    /// Reading or writing a local failed, or some of the input could not be sent as it
    /// was.
    LocalFailed,
    /// The reader of a local is gone and missed something.
    ReaderGone,
    /// It was stopped before everything was complete.
    Stopped,
}

/// How far stopping has come.
#[derive(Debug, Clone, Copy)]
enum Stop {
    /// Peers may finish until then.
    Finishing(Time),
    /// ABORTs may leave until then.
    Aborting(Time),
    /// Peers get no more time.
    AtOnce,
}

/// How far the end has come.
#[derive(Debug)]
pub(super) struct Shutdown {
    leaves: Leaves,
    /// No peer is accepted any more, and the endpoint ends with the last one.
    leaving: bool,
    stop: Option<Stop>,
    /// Some of our own input was left out, because it was not text.
    cut_short: bool,
    /// A local failed: how this ends.
    failed: Option<End>,
    served: bool,
    /// The gravest failure of the peers that count.
    worst: Option<Gravity>,
}

impl Shutdown {
    pub(super) fn new(leaves: Leaves) -> Self {
        Self {
            leaves,
            leaving: false,
            stop: None,
            cut_short: false,
            failed: None,
            served: false,
            worst: None,
        }
    }

    /// Whether the endpoint ends with its peers, and not only when it is stopped.
    pub(super) fn ends_with_peers(&self) -> bool {
        self.leaves != Leaves::WhenStopped
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stop.is_some()
    }

    pub(super) fn reads_input(&self) -> bool {
        self.stop.is_none() && self.failed.is_none()
    }

    pub(super) fn has_served(&self) -> bool {
        self.served
    }

    /// Whether a peer may never come. A client has its peer soon or leaves, so what is
    /// typed ahead waits for it.
    pub(super) fn may_stay_alone(&self) -> bool {
        self.leaves != Leaves::WithPeers
    }

    pub(super) fn next_due(&self) -> Option<Time> {
        match self.stop? {
            Stop::Finishing(due) | Stop::Aborting(due) => Some(due),
            Stop::AtOnce => None,
        }
    }

    /// How it ended; `complete` says whether everything was done.
    fn end(&self, complete: bool) -> End {
        let complete = complete && self.served && self.worst.is_none();
        match (self.failed, self.worst) {
            (Some(end), _) => end,
            _ if self.leaves == Leaves::WhenStopped => End::Complete,
            _ if self.stop.is_some() && !complete => End::Stopped,
            (None, Some(gravity)) => End::Failed(gravity),
            (None, None) if self.cut_short => End::LocalFailed,
            (None, None) => End::Complete,
        }
    }
}

impl<M: Mode> Endpoint<M> {
    /// The user asks the endpoint to stop: peers are told, and have a few seconds. A
    /// second call leaves at once.
    pub fn stop(&mut self, now: Time) {
        let parts = &mut self.parts;
        parts.now = now;
        if parts.shutdown.is_stopping() {
            parts.shutdown.stop = Some(Stop::AtOnce);
            return;
        }
        parts.shutdown.stop = Some(Stop::Finishing(now + STOP_DEADLINE));
        let cut = parts.locals.input_is_open();
        parts.leave();
        if cut {
            return parts.abort_all(Reason::GOING_AWAY);
        }
        for id in parts.roster.in_standing(Standing::Proved) {
            match parts.cuts_pair(id) {
                true => parts.abort(id, Abort::new(Reason::GOING_AWAY, "")),
                false => parts.finish(id),
            }
        }
    }

    /// Lets an endpoint that [leaves with its peers](Leaves::WithPeers) wait for another peer that
    /// is [dialled](Self::dialled), after one has gone. Nothing that was queued or read for the old
    /// peer goes to the new one.
    pub fn await_another(&mut self) {
        self.parts.locals.forget_read();
        let shutdown = &mut self.parts.shutdown;
        shutdown.served = false;
        shutdown.worst = None;
    }

    /// Whether new connections are welcome.
    pub fn is_accepting(&self) -> bool {
        !self.parts.shutdown.leaving
    }

    /// How the endpoint ended, once everything is done: no peer is there or will come,
    /// and locals have accepted all that was queued for them.
    pub fn end(&self) -> Option<End> {
        let parts = &self.parts;
        let shutdown = &parts.shutdown;
        let lost_its_peer = shutdown.leaves == Leaves::WithPeers && shutdown.served;
        if !shutdown.leaving && !lost_its_peer {
            return None;
        }
        let locals = parts.locals.have_all() && parts.locals.pairs() == 0;
        let complete = parts.waits_for_no_peer() && locals;
        // What was dropped is erased first.
        let done = complete && !parts.store.is_busy();
        let done = done || matches!(shutdown.stop, Some(Stop::AtOnce));
        done.then(|| shutdown.end(complete))
    }
}

impl Context {
    /// Whether the endpoint may leave the peers that are there: none is proved, is being told
    /// why it is refused, or is about to be closed. It never waits for unproved connections.
    fn waits_for_no_peer(&self) -> bool {
        let matters = |peer: &Peer| peer.protocol.is_closing() || peer.is_over();
        self.roster.proved() == 0 && !self.roster.iter().any(matters)
    }

    /// Why a peer that comes now is refused; `None` if it is welcome. A one-shot endpoint
    /// serves only the peers that were there when its input began.
    pub(super) fn too_late(&self) -> Option<&'static str> {
        if self.shutdown.leaves == Leaves::AfterInput && self.locals.given() > 0 {
            Some("the input has begun without you")
        } else if self.shutdown.leaving {
            Some("this server takes no more peers")
        } else {
            None
        }
    }

    // ---- peers -----------------------------------------------------------

    /// A new peer is told at once that our input has ended.
    pub(super) fn finish_if_input_ended(&mut self, id: PeerId) {
        self.shutdown.served = true;
        if self.locals.input_has_ended() && !self.must_end_before_us(id) {
            self.finish(id);
        }
    }

    /// Whether `id` must end before we do. This holds for a classic peer of an endpoint that
    /// only receives: a classic side that sees the other's end sends no more
    /// (`PROTOCOL.md` §2).
    pub(super) fn must_end_before_us(&self, id: PeerId) -> bool {
        let receives = self.shutdown.leaves == Leaves::AfterInput && self.locals.given() == 0;
        receives && self.roster[id].protocol.is_classic()
    }

    /// Counts how a connection ended, and whether it had `joined`.
    pub(super) fn note_end(&mut self, joined: bool, outcome: &Outcome) {
        let stats = &mut self.stats;
        match outcome {
            _ if !joined => stats.refused += 1,
            Ok(()) => stats.complete += 1,
            Err(_) => stats.failed += 1,
        }
        match outcome {
            Err(failure) if joined => stats.failed_by.note(failure),
            Err(failure) => stats.refused_by.note(failure),
            Ok(()) => {}
        }
        if joined || self.shutdown.leaves == Leaves::WithPeers {
            self.shutdown.served = true;
            if let Err(failure) = outcome {
                self.shutdown.worst = self.shutdown.worst.max(Some(failure.gravity()));
            }
        }
    }

    /// A peer is gone. If it was the last one, the endpoint waits for no listener. If it had
    /// the input from the start, no other peer can get all of it, so a one-shot endpoint
    /// leaves.
    pub(super) fn leave_if_abandoned(&mut self) {
        if self.roster.proved() > 0 {
            return;
        }
        let given = self.locals.given();
        if self.shutdown.leaving {
            self.end_listeners();
        } else if self.shutdown.leaves == Leaves::AfterInput && given > 0 {
            // Even if none of them failed, the input was cut off.
            self.shutdown.worst.get_or_insert(Gravity::Truncated);
            self.leave();
            self.tell(Notice::Abandoned(given));
        }
    }

    /// Stops accepting and closes peers that have proved nothing.
    fn leave(&mut self) {
        self.shutdown.leaving = true;
        for id in self.roster.in_standing(Standing::Unproved) {
            self.fail(id, "we are leaving");
        }
        self.end_waiting_locals();
        self.end_listeners();
    }

    /// Ends peers that only listen. A classic peer that does not have all of our input
    /// gets a reset, because a close would look like the input's end.
    fn end_listeners(&mut self) {
        let cut = self.locals.input_is_open();
        for id in self.roster.in_standing(Standing::Listening) {
            let peer = &self.roster[id];
            if peer.protocol.is_classic() && (cut || peer.outlet.has_waiting()) {
                self.abort(id, Abort::new(Reason::GOING_AWAY, "we are leaving"));
            } else {
                self.fail(id, "we are leaving");
            }
        }
    }

    fn abort_all(&mut self, reason: Reason) {
        for id in self.roster.in_standing(Standing::Proved) {
            self.abort(id, Abort::new(reason, ""));
        }
    }

    pub(super) fn expire_shutdown(&mut self) {
        match self.shutdown.stop {
            Some(Stop::Finishing(due)) if self.now >= due => {
                self.shutdown.stop = Some(Stop::Aborting(self.now + STOP_GRACE));
                self.abort_all(Reason::GOING_AWAY);
            }
            Some(Stop::Aborting(due)) if self.now >= due => {
                self.shutdown.stop = Some(Stop::AtOnce);
            }
            _ => {}
        }
    }

    // ---- locals ----------------------------------------------------------

    pub(super) fn input_ended(&mut self) {
        if self.shutdown.leaves != Leaves::AfterInput || self.shutdown.leaving {
            return;
        }
        // A peer whose handshake is under way is told why it is not taken, once it has
        // proved itself; the endpoint does not wait for it.
        self.shutdown.leaving = true;
        for id in self.roster.in_standing(Standing::Listening) {
            match self.roster[id].outlet.has_waiting() {
                // It gets the rest for as long as proved peers are there.
                true => self.finish(id),
                false => self.fail(id, "we are leaving"),
            }
        }
        self.tell(Notice::LeavingAfterPeers);
    }

    /// Reading a local failed: the rest of its bytes is lost.
    pub(super) fn input_failed(&mut self, error: io::Error) {
        self.tell(Notice::InputFailed(error));
        self.give_up(End::LocalFailed);
    }

    /// Writing to `local` failed: what was queued for it is lost. A reader that is gone gets
    /// no notice, as with other programs in a pipeline.
    pub(super) fn output_failed(&mut self, local: LocalId, error: io::Error) {
        let end = match error.kind() {
            ErrorKind::BrokenPipe => End::ReaderGone,
            _ => {
                self.tell(Notice::OutputFailed(error));
                End::LocalFailed
            }
        };
        self.locals.drop_output(local, &mut self.store);
        self.measure_local(local);
        self.give_up(end);
    }

    /// Tells peers that this is no proper end, and leaves. An endpoint that serves until
    /// it is stopped goes on, unless its reader is gone.
    fn give_up(&mut self, end: End) {
        self.abort_all(Reason::LOCAL_ERROR);
        if end == End::ReaderGone || self.shutdown.leaves != Leaves::WhenStopped {
            self.shutdown.failed.get_or_insert(end);
            self.leave();
        }
    }

    /// Notes that `bytes` bytes were left out, because they are not text. If they were our
    /// own input, that is a failure.
    pub(super) fn left_out(&mut self, bytes: usize) {
        self.shutdown.cut_short |= self.shutdown.leaves != Leaves::WhenStopped;
        self.tell(Notice::NotText(bytes));
    }
}
