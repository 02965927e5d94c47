//! All connections of a cohort: when each is made, whose turn it is, and the accounts.
//!
//! It waits in a poll, and never spins. What one connection does is up to [`super::actor`].

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mio::{Events, Poll, Token};
use sealwire::limits::DEAD_AFTER;
use sealwire::net::stream::{self, Stream};
use sealwire::{Clock, Time};
use slotmap::{DefaultKey, Key as _, KeyData, SlotMap};
use socket2::SockRef;

use super::account::{Account, End};
use super::actor::{Actor, Scene, Then};
use super::kind::BadKind;
use crate::limits::{
    COHORT_CATCH_UP, COHORT_EVENTS, CONNECT_PAUSE, MAX_COHORT_RATE, REDRAW, TRICKLE_BUFFER,
};
use crate::load::sources::Sources;

/// A group, and the pace at which its peers come.
struct Seats {
    account: Account,
    /// How many are there now.
    taken: usize,
    /// When the next one may come.
    next: Time,
    every: Duration,
    /// Others wait for the first hello to be answered.
    rehearsal: Rehearsal,
}

/// How far the hello has come that a group repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rehearsal {
    Due,
    Running,
    Over,
}

impl Seats {
    fn new(account: Account, now: Time) -> Self {
        let group = account.group;
        let rate = group.rate.unwrap_or(MAX_COHORT_RATE);
        Self {
            account,
            taken: 0,
            next: now,
            every: Duration::from_secs_f64(1.0 / rate),
            rehearsal: match group.kind {
                BadKind::ReplayHello => Rehearsal::Due,
                _ => Rehearsal::Over,
            },
        }
    }

    /// When another peer may come, if one may.
    fn due(&self) -> Option<Time> {
        let group = self.account.group;
        let comes = group.kind.comes_again() || self.account.made < group.count as u64;
        let waits = self.rehearsal == Rehearsal::Running;
        (self.taken < group.count && comes && !waits).then_some(self.next)
    }

    /// One comes `now`. What was missed is made up for, but not all at once after a long pause.
    fn takes_place(&mut self, now: Time) {
        self.account.made += 1;
        self.taken += 1;
        self.next = self.next + self.every;
        if now.since(self.next) > COHORT_CATCH_UP {
            self.next = now;
        }
    }
}

pub(super) struct Crowd {
    poll: Poll,
    clock: Clock,
    address: SocketAddr,
    sources: Sources,
    scene: Scene,
    seats: Vec<Seats>,
    /// Each with the place of its group.
    actors: SlotMap<DefaultKey, (usize, Actor)>,
    /// Actors that want a turn at a time; some may be gone.
    timers: BinaryHeap<Reverse<(Time, DefaultKey)>>,
    /// Actors that have more to do.
    busy: Vec<DefaultKey>,
}

impl Crowd {
    pub(super) fn new(
        accounts: Vec<Account>,
        address: SocketAddr,
        sources: Sources,
        scene: Scene,
        clock: Clock,
    ) -> io::Result<Self> {
        let now = clock.now();
        let seats = accounts.into_iter().map(|one| Seats::new(one, now));
        Ok(Self {
            poll: Poll::new()?,
            clock,
            address,
            sources,
            scene,
            seats: seats.collect(),
            actors: SlotMap::new(),
            timers: BinaryHeap::new(),
            busy: Vec::new(),
        })
    }

    /// Runs until the time `end`, or until it shall `stop`. Returns the accounts.
    pub(super) fn run(mut self, end: Time, stop: &AtomicBool) -> io::Result<Vec<Account>> {
        let mut events = Events::with_capacity(COHORT_EVENTS);
        while self.clock.now() < end && !stop.load(Ordering::Relaxed) {
            self.come();
            match self.poll.poll(&mut events, Some(self.timeout(end))) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            let mut turns = std::mem::take(&mut self.busy);
            for event in &events {
                let key = DefaultKey::from(KeyData::from_ffi(event.token().0 as u64));
                let now = self.clock.now();
                let Some((_, actor)) = self.actors.get_mut(key) else {
                    continue;
                };
                match actor.note(event, now, &self.scene) {
                    Some(end) => self.leave(key, end),
                    None => turns.push(key),
                }
            }
            let now = self.clock.now();
            while let Some(&Reverse((at, key))) = self.timers.peek()
                && at <= now
            {
                self.timers.pop();
                turns.push(key);
            }
            for key in turns {
                self.turn(key);
            }
        }
        let all: Vec<_> = self.actors.keys().collect();
        for key in all {
            self.leave(key, End::Open);
        }
        Ok(self.seats.into_iter().map(|seats| seats.account).collect())
    }

    /// How long the poll may wait: until something is due, or to see whether to stop.
    fn timeout(&self, end: Time) -> Duration {
        if !self.busy.is_empty() {
            return Duration::ZERO;
        }
        let now = self.clock.now();
        let timer = self.timers.peek().map(|Reverse((at, _))| *at);
        let due = self.seats.iter().filter_map(Seats::due).chain(timer);
        let next = due.min().map_or(end, |due| due.min(end));
        next.since(now).min(REDRAW)
    }

    /// Begins the connections that are due.
    fn come(&mut self) {
        let now = self.clock.now();
        for place in 0..self.seats.len() {
            while self.seats[place].due().is_some_and(|due| due <= now) {
                if let Err(()) = self.connect(place, now) {
                    let seats = &mut self.seats[place];
                    seats.account.not_begun += 1;
                    seats.next = now + CONNECT_PAUSE;
                }
            }
        }
    }

    /// Begins a connection of the group at `place`, if this machine can.
    fn connect(&mut self, place: usize, now: Time) -> Result<(), ()> {
        let address = self.address;
        let connect = |from| stream::connect(address, from, DEAD_AFTER);
        let socket = self.sources.connect(connect);
        let socket = socket.map_err(|_| ())?;
        let seats = &mut self.seats[place];
        let kind = seats.account.group.kind;
        if kind == BadKind::SlowReader {
            // Else the system would read many seconds ahead of it.
            let set = SockRef::from(&socket).set_recv_buffer_size(TRICKLE_BUFFER);
            set.map_err(|_| ())?;
        }
        let original = seats.rehearsal == Rehearsal::Due;
        let registry = self.poll.registry();
        let added = self.actors.try_insert_with_key(|key| {
            let token = Token(key.data().as_ffi() as usize);
            let stream = Stream::new(socket, registry, token)?;
            io::Result::Ok((place, Actor::new(kind, original, stream)))
        });
        added.map_err(|_| ())?;
        if original {
            seats.rehearsal = Rehearsal::Running;
        }
        seats.takes_place(now);
        Ok(())
    }

    /// Lets an actor act, if it is still there.
    fn turn(&mut self, key: DefaultKey) {
        let now = self.clock.now();
        let Some((_, actor)) = self.actors.get_mut(key) else {
            return;
        };
        match actor.act(now, &mut self.scene) {
            Then::Wait(None) => {}
            Then::Wait(Some(due)) => {
                // Else each event of its socket would add a timer.
                if actor.wakes.replace(due) != Some(due) {
                    self.timers.push(Reverse((due, key)));
                }
            }
            Then::GoOn => self.busy.push(key),
            Then::Ended(end) => self.leave(key, end),
        }
    }

    /// An actor has ended so, or its run has: counts it, and closes its connection.
    fn leave(&mut self, key: DefaultKey, end: End) {
        let now = self.clock.now();
        let Some((place, mut actor)) = self.actors.remove(key) else {
            return;
        };
        let seats = &mut self.seats[place];
        seats.taken -= 1;
        if actor.is_original() {
            seats.rehearsal = Rehearsal::Over;
        }
        let seen = actor.seen(now, end);
        seats.account.count(&seen, self.scene.mode);
        // An end of our own would keep its port for a minute.
        if !matches!(end, End::Closed) {
            actor.stream.reset_on_close();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn seats(group: &str) -> Seats {
        Seats::new(Account::new(group.parse().unwrap()), Time::ZERO)
    }

    /// How many come until `now`, if each leaves at once where they `leave`.
    fn come(seats: &mut Seats, now: Time, leave: bool) -> u64 {
        let before = seats.account.made;
        while seats.due().is_some_and(|due| due <= now) {
            seats.takes_place(now);
            seats.taken -= usize::from(leave);
        }
        seats.account.made - before
    }

    /// Goal: a group keeps its pace and its number, makes up for a short pause, and not for a
    /// long one. Method: 100 a second, 3 at once, at several times.
    #[test]
    fn pace() {
        let at = |tenths: u32| Time::ZERO + SECOND * tenths / 10;
        let mut fast = seats("silent:3@100/s");
        assert_eq!(come(&mut fast, at(0), true), 1);
        assert_eq!(come(&mut fast, at(1), true), 10);
        assert_eq!(come(&mut fast, at(6), true), 50);
        let late = come(&mut fast, at(1000), true);
        assert!(late <= 2, "{late}");
        assert_eq!(come(&mut fast, at(1010), true), 100);
        let mut full = seats("silent:3@100/s");
        assert_eq!(come(&mut full, at(1), false), 3);
        assert_eq!(full.due(), None);
    }

    /// Goal: kinds that may stay come once; a hello is repeated only after it was answered.
    /// Method: peers that leave at once.
    #[test]
    fn who_comes() {
        let late = Time::ZERO + SECOND / 10;
        assert_eq!(come(&mut seats("slow-reader:3"), late, true), 3);
        assert!(come(&mut seats("silent:3"), late, true) > 3);
        let mut replays = seats("replay-hello:3@100/s");
        assert_eq!(replays.rehearsal, Rehearsal::Due);
        replays.rehearsal = Rehearsal::Running;
        assert_eq!(replays.due(), None);
        replays.rehearsal = Rehearsal::Over;
        assert_eq!(come(&mut replays, late, false), 3);
    }
}
