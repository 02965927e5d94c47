//! Receivers that are too slow: when one that holds up others is given up.
//!
//! Two rules. Where others wait, a receiver must take its share: so many bytes in so much time.
//! In a relay, what counts besides is how long receivers hold up senders while others would
//! take more. If all are equally slow, none of them would, and all are waited for. Read next:
//! [`super::flow`], which says what waits for what.

use std::time::Duration;

use super::Context;
use super::mode::Receivers;
use super::peer::{Peer, Protocol};
use super::transport::PeerId;
use crate::error::{Abort, Failure, Reason};
use crate::limits::{
    BEHIND_PART, HELD_UP, HELD_UP_LEAST, HELD_UP_LOOK_MOST, HELD_UP_SAMPLE, HELD_UP_WINDOW, LATE,
    SLOW_SHARE, SLOW_WINDOW,
};
use crate::time::Time;

/// How much time is on an account since a window began.
#[derive(Debug, Default, Clone, Copy)]
struct HeldUp {
    since: Time,
    time: Duration,
}

impl HeldUp {
    /// Adds `time` in the window that began at `since`.
    fn charge(&mut self, since: Time, time: Duration) {
        if self.since != since {
            *self = Self::default();
        }
        self.since = since;
        self.time += time;
    }
}

/// What is noted on each receiver.
#[derive(Debug, Default)]
pub(super) struct PeerSlowness {
    /// When it last had taken its share, when something began to wait for it, or when others
    /// began to wait.
    since: Time,
    /// Bytes that its socket has accepted since then.
    taken: usize,
    /// When it last ceased to be congested.
    relieved: Option<Time>,
    /// How long it has held up others in the current window.
    account: HeldUp,
}

impl PeerSlowness {
    /// Its time begins now.
    pub(super) fn restart(&mut self, now: Time) {
        self.since = now;
        self.taken = 0;
    }

    /// Its socket has accepted `count` bytes; `share` of them are enough.
    fn accepted(&mut self, now: Time, count: usize, share: usize) {
        self.taken += count;
        if self.taken >= share {
            self.restart(now);
        }
    }

    /// It is congested. It has no new time for that if it was so a moment ago.
    pub(super) fn congested(&mut self, now: Time) {
        if self.relieved.is_none_or(|at| now >= at + SLOW_WINDOW) {
            self.restart(now);
        }
    }

    pub(super) fn relieved(&mut self, now: Time) {
        self.relieved = Some(now);
    }

    fn due(&self, awake: Time) -> Time {
        self.since.max(awake) + SLOW_WINDOW
    }
}

/// How long receivers have held up others.
#[derive(Debug, Default)]
pub(super) struct Slowness {
    /// When we last were late ourselves: no receiver could take what we did not write.
    awake: Time,
    /// When to look at the receivers of a relay, and when that was last done.
    next: Option<Time>,
    last: Time,
    /// Some receiver was congested since then.
    seen: bool,
    /// How long others were held up in the current window.
    account: HeldUp,
}

impl Slowness {
    /// A receiver is congested: from now on it is looked at.
    pub(super) fn watch(&mut self, now: Time) {
        self.seen = true;
        if self.next.is_none() {
            self.last = now;
            self.next = Some(now + HELD_UP_SAMPLE);
        }
    }

    pub(super) fn next_due(&self) -> Option<Time> {
        self.next
    }

    /// Adds `time` to the account. Returns whether it is more than may be.
    fn charge(&mut self, now: Time, time: Duration) -> bool {
        let since = self.account.since;
        let since = match self.account.time.is_zero() || now >= since + HELD_UP_WINDOW {
            true => now,
            false => since,
        };
        self.account.charge(since, time);
        self.account.time > HELD_UP
    }
}

/// What one look at the receivers of a relay shows.
#[derive(Debug, Default)]
struct Look {
    congested: usize,
    paused: usize,
    /// Receivers that nothing waits for, and that send or could send.
    free: usize,
    /// Receivers that nothing waits for, and that are held up.
    free_paused: usize,
}

impl Look {
    fn note(&mut self, peer: &Peer) {
        let native = matches!(peer.protocol, Protocol::Native(_));
        if !native || !peer.is_proved() || !peer.protocol.is_open() {
            return;
        }
        let (paused, free) = (peer.flow.is_paused(), !peer.outlet.has_waiting());
        self.congested += usize::from(peer.flow.is_congested());
        self.paused += usize::from(paused);
        if free && peer.takes_messages() {
            match paused {
                true => self.free_paused += 1,
                false => self.free += 1,
            }
        }
    }

    /// Whether some peer would take more of what a held-up peer would send. Of peers that are
    /// held up themselves, each would get what the others send; they count if they outnumber
    /// the congested ones.
    fn holds_up(&self) -> bool {
        let senders = self.paused > 1 && self.free_paused > self.congested;
        self.congested > 0 && self.paused > 0 && (self.free > 0 || senders)
    }
}

impl Context {
    /// A tick begins; the one `before` left nothing to do at once, or did what it may. If this
    /// one comes late, the times of receivers begin anew.
    pub(super) fn note_late(&mut self, before: Time) {
        let late = |due: Time| self.now >= due.max(before) + LATE;
        if self.roster.next_due().is_some_and(late) {
            self.slowness.awake = self.now;
        }
    }

    /// The socket of `id` has accepted `count` bytes.
    pub(super) fn note_accepted(&mut self, id: PeerId, count: usize) {
        let peer = &mut self.roster[id];
        // A classic frame waits until the one before it has arrived, so a distant peer cannot
        // take much.
        let share = match peer.protocol.is_classic() {
            true => 1,
            false => SLOW_SHARE,
        };
        peer.taking.accepted(self.now, count, share);
    }

    /// Whether others wait until `peer` accepts something: its queue is above the
    /// high-water mark or, when memory is short, anything waits for it.
    pub(super) fn may_be_too_slow(&self, peer: &Peer) -> bool {
        let waits = self.flow.memory_is_short() && peer.outlet.has_waiting();
        peer.protocol.is_open() && (peer.flow.is_congested() || waits)
    }

    /// When to check whether `peer` is too slow. Others may begin to wait at any time, so a
    /// check whose time has passed is repeated.
    pub(super) fn too_slow_due(&self, peer: &Peer) -> Option<Time> {
        let due = peer.taking.due(self.slowness.awake);
        let next = || {
            if due > self.now {
                due
            } else {
                self.now + SLOW_WINDOW
            }
        };
        self.may_be_too_slow(peer).then(next)
    }

    /// The queue of `id` has passed its high-water mark, or is below it again.
    pub(super) fn note_congested(&mut self, id: PeerId, congested: bool) {
        let peer = &mut self.roster[id];
        if !congested {
            return peer.taking.relieved(self.now);
        }
        peer.taking.congested(self.now);
        let due = peer.taking.due(self.slowness.awake);
        self.roster.plan(id, due);
        if self.flow.receivers() == Receivers::Others {
            self.slowness.watch(self.now);
        }
    }

    /// Drops `id` if it has not taken its share for too long while others wait. A sole
    /// receiver holds up only the peer that feeds it, unless memory is short.
    pub(super) fn drop_if_too_slow(&mut self, id: PeerId) {
        let proved = self.roster.proved();
        let others_wait = match self.flow.receivers() {
            _ if self.flow.memory_is_short() => true,
            Receivers::Others => proved > 2,
            Receivers::Local(_) => proved > 1,
            Receivers::Sender | Receivers::Paired | Receivers::Nobody => false,
        };
        let peer = &self.roster[id];
        let slow = self.now >= peer.taking.due(self.slowness.awake) && self.may_be_too_slow(peer);
        if !others_wait || !slow {
            return;
        }
        if peer.outlet.is_blocked() {
            return self.give_up_on_slow(id);
        }
        // Its socket has accepted all that it was given, which may have been little. The next
        // tick gives it more, and checks again.
        self.roster.plan(id, self.now + Duration::from_nanos(1));
    }

    fn give_up_on_slow(&mut self, id: PeerId) {
        let abort = Abort::new(Reason::TOO_SLOW, "");
        if self.flow.memory_is_full() {
            // An ABORT would take the memory that is short.
            self.roster[id].protocol.fail(Failure::Gave(abort));
            self.roster.touch(id);
        } else {
            self.abort(id, abort);
        }
    }

    /// Looks, from time to time while receivers of a relay are congested, whether they hold up
    /// others, and drops them if that took too long.
    pub(super) fn expire_slow(&mut self) {
        if self.slowness.next.is_none_or(|next| self.now < next) {
            return;
        }
        let mut look = Look::default();
        self.roster.iter().for_each(|peer| look.note(peer));
        let slowness = &mut self.slowness;
        // After a pause of ours, only a part of the time is theirs.
        let time = self.now.since(slowness.last).min(HELD_UP_LOOK_MOST);
        slowness.last = self.now;
        let goes_on = std::mem::take(&mut slowness.seen) || look.congested > 0;
        slowness.next = goes_on.then(|| self.now + HELD_UP_SAMPLE);
        if look.holds_up() {
            let too_long = slowness.charge(self.now, time);
            self.charge_slow(time, too_long);
        }
    }

    /// Charges every receiver that is congested, or will soon be, with `time`, and drops those
    /// with more than a little on their account if all together had too long.
    fn charge_slow(&mut self, time: Duration, too_long: bool) {
        for slot in 0..self.roster.slots() {
            let Some(id) = self.roster.id_at(slot) else {
                continue;
            };
            let peer = &mut self.roster[id];
            let native = matches!(peer.protocol, Protocol::Native(_)) && peer.is_proved();
            let behind = peer.outlet.cost() >= self.flow.high_water() / BEHIND_PART;
            if !native || !behind || !peer.outlet.is_blocked() {
                continue;
            }
            let account = &mut peer.taking.account;
            account.charge(self.slowness.account.since, time);
            if too_long && account.time >= HELD_UP_LEAST {
                self.give_up_on_slow(id);
            }
        }
    }
}
