//! One connection of a cohort: what it sends and reads, and how it ended.
//!
//! It acts when its socket or its time says so. Which connections there are is up to
//! [`super::crowd`]; whether one was ended as it should be, up to [`super::expect`].

use std::io::{ErrorKind, IoSliceMut};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use mio::event::Event;
use sealwire::limits::{CLIENT_HELLO, SERVER_HELLO};
use sealwire::net::stream::Stream;
use sealwire::wire::hello::CLIENT_TAG;
use sealwire::wire::record::Kind;
use sealwire::{Identity, Kernel, Time};

use super::account::{End, Seen};
use super::holder::Holder;
use super::kind::BadKind;
use crate::limits::{
    COHORT_CHUNK, COHORT_PINGS, COHORT_TURNS, DRIP_EVERY, SLOW_BYTE_EVERY, TRICKLE, TRICKLE_EVERY,
};
use crate::plan::ServerMode;

/// Half of a client's hello.
const HALF: Range<usize> = 0..CLIENT_HELLO / 2;
/// A length field above the most blocks that a record may have, and the start of a body.
const TOO_LONG: [u8; 64] = [0xff; 64];

/// What all connections of a cohort share.
pub(super) struct Scene {
    pub(super) identity: Arc<Identity>,
    pub(super) kernel: Kernel,
    pub(super) mode: ServerMode,
    /// A valid hello, which was made once.
    pub(super) hello: [u8; CLIENT_HELLO],
    /// Where reads land.
    pub(super) room: Vec<u8>,
    /// What long messages consist of.
    pub(super) zeros: Vec<u8>,
}

impl Scene {
    pub(super) fn new(identity: Arc<Identity>, kernel: Kernel, mode: ServerMode) -> Self {
        let mut bytes = Vec::new();
        Holder::new(identity.clone(), kernel, Time::ZERO).owed(Time::ZERO, &mut bytes);
        Self {
            identity,
            kernel,
            mode,
            hello: *bytes.first_chunk().expect("a client owes its hello"),
            room: vec![0; COHORT_CHUNK],
            zeros: vec![0; COHORT_CHUNK],
        }
    }
}

/// What follows when an actor has acted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// It waits for its socket, or at most until a time.
    Wait(Option<Time>),
    /// It has more to do, after the others.
    GoOn,
    Ended(End),
}

pub(super) struct Actor {
    kind: BadKind,
    /// It sends the hello first that others will repeat, and leaves once it was answered.
    original: bool,
    pub(super) stream: Stream,
    connected: Option<Time>,
    /// When it did what the server must end it for.
    offended: Option<Time>,
    /// Bytes that came, those of them after the offence, and bytes that left.
    heard: u64,
    after: u64,
    said: u64,
    holder: Option<Box<Holder>>,
    /// What is to be written, and how much of it has been.
    out: Vec<u8>,
    at: usize,
    /// When a slow one reads or writes next.
    due: Time,
    /// The time at which it will next be called.
    pub(super) wakes: Option<Time>,
    /// It has sent the PING that proves it.
    asked: bool,
    /// The poll has reported the end of the connection: it reads all that is left.
    hung: bool,
    /// A write has failed.
    broken: bool,
}

impl Actor {
    pub(super) fn new(kind: BadKind, original: bool, stream: Stream) -> Self {
        Self {
            kind,
            original,
            stream,
            connected: None,
            offended: None,
            heard: 0,
            after: 0,
            said: 0,
            holder: None,
            out: Vec::new(),
            at: 0,
            due: Time::ZERO,
            wakes: None,
            asked: false,
            hung: false,
            broken: false,
        }
    }

    pub(super) fn is_original(&self) -> bool {
        self.original
    }

    /// Takes note of an event of its socket. Returns how it ended, if it could not connect.
    pub(super) fn note(&mut self, event: &Event, now: Time, scene: &Scene) -> Option<End> {
        self.stream.note(event);
        if self.connected.is_some() {
            self.hung |= event.is_error() || event.is_read_closed();
            return None;
        }
        if let Err(error) = self.stream.error() {
            return Some(match error.kind() {
                ErrorKind::ConnectionRefused => End::Refused,
                _ => End::Failed,
            });
        }
        if event.is_writable() {
            self.connected = Some(now);
            self.begin(now, scene);
        }
        None
    }

    /// What the connection came to, once it has ended so.
    pub(super) fn seen(&self, now: Time, end: End) -> Seen {
        let end = match self.connected {
            None if end == End::Open => End::Connecting,
            _ => end,
        };
        Seen {
            end,
            lived: self.connected.map(|at| now.since(at)),
            since: self.offended.map(|at| now.since(at)),
            proved: self.is_answered(),
            heard: self.heard,
            after: self.after,
            said: self.said,
        }
    }

    /// Reads and writes as its kind does.
    pub(super) fn act(&mut self, now: Time, scene: &mut Scene) -> Then {
        if self.connected.is_none() {
            return Then::Wait(None);
        }
        let heard = self.hear(now, scene);
        if let Then::Ended(_) = heard {
            return heard;
        }
        if self.original && self.heard >= SERVER_HELLO as u64 {
            return Then::Ended(End::Left);
        }
        match (heard, self.speak(now, scene)) {
            (_, Then::Ended(end)) => Then::Ended(end),
            (Then::Wait(one), Then::Wait(other)) => Then::Wait(one.into_iter().chain(other).min()),
            _ => Then::GoOn,
        }
    }

    // ---- reading -----------------------------------------------------------

    fn hear(&mut self, now: Time, scene: &mut Scene) -> Then {
        for _ in 0..COHORT_TURNS {
            let room = match self.appetite(now, scene.mode) {
                Ok(room) => room.min(scene.room.len()),
                Err(due) => return Then::Wait(due),
            };
            match self
                .stream
                .read(&mut [IoSliceMut::new(&mut scene.room[..room])])
            {
                Ok(read) if read.bytes == 0 => return self.over(End::Closed),
                Ok(read) => self.take(now, &scene.room[..read.bytes]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Then::Wait(None),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                    return self.over(End::Reset);
                }
                Err(_) => return self.over(End::Failed),
            }
            if let Some(reason) = self.holder.as_ref().and_then(|holder| holder.aborted()) {
                return Then::Ended(End::Aborted(reason));
            }
        }
        Then::GoOn
    }

    /// How many bytes to read now; or when to read next, if ever.
    fn appetite(&self, now: Time, mode: ServerMode) -> Result<usize, Option<Time>> {
        let open = self.holder.as_ref().is_some_and(|holder| holder.is_open());
        if self.hung || self.broken || !open {
            return Ok(usize::MAX);
        }
        match self.kind {
            BadKind::PingFlood => Err(None),
            BadKind::SlowReader if mode == ServerMode::Echo => Err(None),
            BadKind::SlowReader if now < self.due => Err(Some(self.due)),
            BadKind::SlowReader => Ok(TRICKLE),
            _ => Ok(usize::MAX),
        }
    }

    fn take(&mut self, now: Time, bytes: &[u8]) {
        let count = bytes.len() as u64;
        self.heard += count;
        if self.offended.is_some() {
            self.after += count;
        }
        if let Some(holder) = &mut self.holder {
            holder.hear(now, bytes);
        }
        if self.kind == BadKind::SlowReader {
            self.due = now + TRICKLE_EVERY;
        }
    }

    /// The end of the stream: a write that failed has taken the error that tells a reset.
    fn over(&self, end: End) -> Then {
        Then::Ended(match end {
            End::Closed if self.broken => End::Reset,
            end => end,
        })
    }

    // ---- writing -----------------------------------------------------------

    /// TCP has connected it: what it begins with.
    fn begin(&mut self, now: Time, scene: &Scene) {
        match self.kind {
            BadKind::Silent => {}
            BadKind::HalfHello => self.out.extend_from_slice(&scene.hello[HALF]),
            BadKind::BadHello => {
                self.out.extend_from_slice(&scene.hello);
                self.out[CLIENT_TAG] ^= 1;
                self.offended = Some(now);
            }
            BadKind::ReplayHello => {
                self.out.extend_from_slice(&scene.hello);
                self.offended = (!self.original).then_some(now);
            }
            _ => {
                let mut holder = Holder::new(scene.identity.clone(), scene.kernel, now);
                holder.owed(now, &mut self.out);
                self.holder = Some(Box::new(holder));
            }
        }
    }

    fn speak(&mut self, now: Time, scene: &Scene) -> Then {
        for _ in 0..COHORT_TURNS {
            if self.broken {
                return Then::Wait(None);
            }
            if self.at == self.out.len() {
                self.out.clear();
                self.at = 0;
                if self.kind == BadKind::ResetMidRecord && self.offended.is_some() {
                    return Then::Ended(End::Left);
                }
                self.refill(now, scene);
                if self.out.is_empty() {
                    return Then::Wait(None);
                }
            }
            let part = match self.pace() {
                None => self.at..self.out.len(),
                Some(_) if now < self.due => return Then::Wait(Some(self.due)),
                Some(every) => {
                    self.due = now + every;
                    self.at..self.at + 1
                }
            };
            match self.stream.write(&self.out[part]) {
                Ok(count) => {
                    self.at += count;
                    self.said += count as u64;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Then::Wait(None),
                // How it ended is read.
                Err(_) => {
                    self.broken = true;
                    return Then::GoOn;
                }
            }
        }
        Then::GoOn
    }

    /// The time between two bytes, if it writes byte by byte now.
    fn pace(&self) -> Option<Duration> {
        match self.kind {
            BadKind::Drip if self.asked => Some(DRIP_EVERY),
            BadKind::SlowWriter if self.is_answered() => Some(SLOW_BYTE_EVERY),
            _ => None,
        }
    }

    /// The server has answered a record, so it counts us as proved.
    fn is_answered(&self) -> bool {
        self.asked && self.heard > SERVER_HELLO as u64
    }

    /// Puts what it sends next into `out`, if it has something to send.
    fn refill(&mut self, now: Time, scene: &Scene) {
        let answered = self.is_answered();
        let Some(holder) = self.holder.as_mut().filter(|holder| holder.is_open()) else {
            return;
        };
        let out = &mut self.out;
        if !self.asked {
            self.asked = true;
            return holder.owed(now, out);
        }
        let (zeros, fresh) = (&scene.zeros[..], self.offended.is_none());
        match self.kind {
            BadKind::PingFlood => holder.seal(now, Kind::Ping, &[], COHORT_PINGS, out),
            BadKind::SlowReader if scene.mode == ServerMode::Echo => {
                holder.seal(now, Kind::End, zeros, 1, out);
            }
            BadKind::SlowWriter if answered => holder.seal(now, Kind::Part, &zeros[..1], 1, out),
            BadKind::HugeMessage => holder.seal(now, Kind::Part, zeros, 1, out),
            BadKind::BadTag if answered && fresh => {
                holder.seal(now, Kind::Ping, &[], 1, out);
                *out.last_mut().expect("a record has a tag") ^= 1;
                self.offended = Some(now);
            }
            BadKind::Oversize if answered && fresh => {
                out.extend_from_slice(&TOO_LONG);
                self.offended = Some(now);
            }
            BadKind::ResetMidRecord if answered && fresh => {
                holder.seal(now, Kind::Part, zeros, 1, out);
                out.truncate(out.len() / 2);
                self.offended = Some(now);
            }
            _ => {}
        }
    }
}
