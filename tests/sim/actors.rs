//! Bad peers, which runs by seed set beside the good ones.
//!
//! An [`Actor`] is a connection that does one thing that no good client does. Those that hold
//! the keys first send some messages, which count like those of any peer. An actor knows how
//! its server must end it; the run checks that, and that good clients lose nothing. Read next:
//! [`crate::seeds`], which plays them.

use std::io::ErrorKind;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sealwire::limits::{CLIENT_HELLO, MAX_BLOCKS, MAX_PAYLOAD, RECORD_HEADER, SERVER_HELLO};
use sealwire::wire::hello::FIXED;
use sealwire::wire::record::{Kind, cut};
use sealwire::{Deadline, Failure, Outcome, PeerFault, Reason, Time};

use crate::hand::{Sealer, greeting};
use crate::net::Side;
use crate::people::is_truncated;
use crate::world::World;

/// How long an actor stays: longer than a record may take, so that the server ends it first.
pub(crate) const STAYS: u64 = 40_000;
/// The same in a run where many come and go: longer than a handshake may take.
pub(crate) const STAYS_SHORT: u64 = 7000;
/// The time between two bytes of a record that drips: all 34 take longer than a handshake may.
const DRIP: Duration = Duration::from_millis(200);
/// How long a handshake may take, with what the network and the test's steps add.
const HANDSHAKE: Duration = Duration::from_secs(6);
/// A flood of PINGs has this many, and as many at a time as this.
const FLOOD: usize = 1000;
const FLOOD_PIECE: usize = 20;

/// How an actor misbehaves. The load tester's cohorts have these kinds, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadKind {
    Silent,
    /// A valid hello, then its first record byte by byte, slower than the deadline.
    Drip,
    HalfHello,
    BadHello,
    /// What a good client has sent so far, or its hello alone, once more. If there is none that
    /// the server has answered, it is silent.
    Replay,
    SlowReader,
    SlowWriter,
    PingFlood,
    BadTag,
    /// A record whose length field is over the limit, or 0.
    Oversize,
    /// A message that goes on and on.
    HugeMessage,
    ResetMidRecord,
}

const KINDS: [BadKind; 12] = [
    BadKind::Silent,
    BadKind::Drip,
    BadKind::HalfHello,
    BadKind::BadHello,
    BadKind::Replay,
    BadKind::SlowReader,
    BadKind::SlowWriter,
    BadKind::PingFlood,
    BadKind::BadTag,
    BadKind::Oversize,
    BadKind::HugeMessage,
    BadKind::ResetMidRecord,
];

impl BadKind {
    /// Whether it proves that it holds the keys before it misbehaves.
    fn proves_itself(self) -> bool {
        !matches!(
            self,
            Self::Silent | Self::Drip | Self::HalfHello | Self::BadHello | Self::Replay
        )
    }
}

/// How far an actor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Away,
    /// It waits for the server's hello.
    Greets,
    Acts,
    /// It has done all that its kind does.
    Done,
    Left,
}

pub(crate) struct Actor {
    kind: BadKind,
    /// When it comes and leaves, in milliseconds.
    pub(crate) comes: u64,
    pub(crate) leaves: u64,
    /// The messages that may be handed on, in order.
    pub(crate) said: Vec<Vec<u8>>,
    stage: Stage,
    end: Option<Side>,
    /// What it greets with.
    hello: Vec<u8>,
    answer: Vec<u8>,
    sealer: Option<Sealer>,
    /// What it has still to write, and when it may.
    pending: Vec<u8>,
    writes: Time,
    /// Since when it has done all that its kind does.
    offended: Option<Time>,
    /// Since when it knows that the server has ended it.
    ended: Option<Time>,
    rng: StdRng,
}

impl std::fmt::Debug for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {:?} at {:?}", self.kind, self.stage, self.end)
    }
}

impl Actor {
    /// Says `said` if it holds the keys; it comes at `comes` and stays for so long.
    pub(crate) fn new(rng: &mut StdRng, said: Vec<Vec<u8>>, comes: u64, stays: u64) -> Self {
        let kind = KINDS[rng.random_range(0..KINDS.len())];
        Self {
            kind,
            comes,
            leaves: comes + stays,
            said: if kind.proves_itself() {
                said
            } else {
                Vec::new()
            },
            stage: Stage::Away,
            end: None,
            hello: Vec::new(),
            answer: Vec::new(),
            sealer: None,
            pending: Vec::new(),
            writes: Time::ZERO,
            offended: None,
            ended: None,
            rng: StdRng::seed_from_u64(rng.random()),
        }
    }

    /// Its link, once it has come.
    pub(crate) fn link(&self) -> Option<usize> {
        self.end.map(|end| end.link)
    }

    /// Stays away, if it has not come yet.
    pub(crate) fn comes_no_more(&mut self) {
        if self.stage == Stage::Away {
            self.stage = Stage::Left;
        }
    }

    /// Does what it does at this time, in milliseconds. `victim` is the end of a good client that
    /// the server has answered.
    pub(crate) fn act(&mut self, world: &mut World, at: u64, victim: Option<Side>) {
        match self.stage {
            Stage::Away if at >= self.comes => self.come(world, victim),
            Stage::Away | Stage::Left => return,
            _ if at >= self.leaves => return self.leave(world),
            _ => {}
        }
        self.read(world);
        if self.stage == Stage::Acts && self.pending.is_empty() {
            self.misbehave();
        }
        self.write(world);
    }

    fn come(&mut self, world: &mut World, victim: Option<Side>) {
        let end = Side::client(world.knock());
        self.end = Some(end);
        self.hello = self.greets_with(world, end, victim);
        self.pending = self.hello.clone();
        self.stage = match self.kind.proves_itself() || self.kind == BadKind::Drip {
            true => Stage::Greets,
            false => Stage::Acts,
        };
    }

    fn greets_with(&mut self, world: &mut World, end: Side, victim: Option<Side>) -> Vec<u8> {
        let mut hello = greeting(end);
        match self.kind {
            BadKind::Silent => hello.clear(),
            BadKind::HalfHello => hello.truncate(self.rng.random_range(FIXED..CLIENT_HELLO)),
            BadKind::BadHello => {
                // Behind what names the keys.
                let place = self.rng.random_range(16..CLIENT_HELLO);
                hello[place] ^= 1 << self.rng.random_range(0..8);
            }
            BadKind::Replay => {
                let tape = victim.and_then(|end| world.net.outgoing(end).tape.clone());
                hello = tape.unwrap_or_default();
                if self.rng.random() {
                    hello.truncate(CLIENT_HELLO);
                }
            }
            _ => {}
        }
        hello
    }

    fn leave(&mut self, world: &mut World) {
        self.stage = Stage::Left;
        world.net.close(self.end.expect("it came"));
    }

    fn read(&mut self, world: &mut World) {
        let end = self.end.expect("it came");
        let greets = self.stage == Stage::Greets;
        let most = match self.kind {
            _ if greets => SERVER_HELLO - self.answer.len(),
            BadKind::SlowReader => self.rng.random_range(1..200),
            BadKind::PingFlood => return,
            _ => 1 << 16,
        };
        let mut bytes = vec![0; most];
        let count = match world.net.read(end, &mut bytes) {
            Ok((count, _)) if count > 0 => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            _ => {
                self.ended.get_or_insert(world.now());
                return;
            }
        };
        if greets {
            self.answer.extend_from_slice(&bytes[..count]);
            if let Ok(answer) = self.answer[..].try_into() {
                self.sealer = Some(Sealer::agree(end, &self.hello, answer));
                self.stage = Stage::Acts;
                self.speak();
            }
        }
    }

    /// Says what it has to say, as any peer.
    fn speak(&mut self) {
        let sealer = self.sealer.as_mut().expect("it has greeted");
        // A key holder proves itself, also if it has nothing to say.
        self.pending.extend(sealer.record(Kind::Ping, b""));
        for message in &self.said {
            for (range, kind) in cut(message.len()) {
                let record = sealer.record(kind, &message[range]);
                self.pending.extend(record);
            }
        }
    }

    /// Adds what its kind does to what it writes.
    fn misbehave(&mut self) {
        self.stage = Stage::Done;
        if self.kind == BadKind::PingFlood {
            return self.pending = self.flood();
        }
        let sealer = self.sealer.as_mut().filter(|_| self.kind.proves_itself());
        let (Some(sealer), rng) = (sealer, &mut self.rng) else {
            return;
        };
        let len = rng.random_range(1..3000);
        let mut record = sealer.record(Kind::Part, &vec![b'!'; len]);
        match self.kind {
            BadKind::BadTag => {
                let place = rng.random_range(RECORD_HEADER..record.len());
                record[place] ^= 1 << rng.random_range(0..8);
            }
            BadKind::Oversize => {
                let over = MAX_BLOCKS as u16 + 1;
                let blocks = [0, over, rng.random_range(over..=u16::MAX)][rng.random_range(0..3)];
                record[..RECORD_HEADER].copy_from_slice(&blocks.to_be_bytes());
            }
            BadKind::HugeMessage => {
                for _ in 0..5 {
                    record.extend(sealer.record(Kind::Part, &[b'!'; MAX_PAYLOAD]));
                }
            }
            BadKind::ResetMidRecord => record.truncate(rng.random_range(1..record.len())),
            BadKind::SlowReader | BadKind::SlowWriter => {}
            _ => unreachable!("it does not prove itself"),
        }
        self.pending.extend(record);
    }

    fn flood(&mut self) -> Vec<u8> {
        let sealer = self.sealer.as_mut().expect("it has greeted");
        let flood = (0..FLOOD).map(|_| sealer.record(Kind::Ping, b""));
        flood.collect::<Vec<_>>().concat()
    }

    /// How much it writes at a time, once it has greeted.
    fn pace(&mut self) -> usize {
        match self.kind {
            BadKind::Drip => 1,
            BadKind::SlowWriter => self.rng.random_range(1..50),
            BadKind::PingFlood => FLOOD_PIECE * 34,
            _ => usize::MAX,
        }
    }

    fn write(&mut self, world: &mut World) {
        let end = self.end.expect("it came");
        let now = world.now();
        if now < self.writes || self.pending.is_empty() {
            return;
        }
        let most = match self.stage {
            Stage::Greets => usize::MAX,
            _ => self.pace(),
        };
        let most = most.min(self.pending.len());
        // A server that has closed takes nothing.
        let count = world.net.write(end, &self.pending[..most]).unwrap_or(0);
        self.pending.drain(..count);
        if self.kind == BadKind::Drip && self.stage != Stage::Greets {
            self.writes = now + DRIP;
        }
        if self.pending.is_empty() && self.stage == Stage::Done && self.offended.is_none() {
            self.offended = Some(now);
            if self.kind == BadKind::ResetMidRecord {
                world.net.reset(end.link);
            }
        }
    }

    /// Checks how the server ended it, and what that handed on of its messages.
    pub(crate) fn check(&self, world: &World, setting: &Setting) {
        let Some(&(peer, since)) = self.link().and_then(|link| world.door.admitted.get(&link))
        else {
            return;
        };
        let server = &world.hosts[0];
        let outcome = server.outcome(peer).expect("it has left");
        let heard = server.log().of(peer).concat();
        let said = self.said.concat();
        assert!(said.starts_with(&heard), "{self:?}: not what it said");
        let proves_itself = self.kind.proves_itself();
        let joined = server.has_joined(peer);
        assert!(proves_itself || !joined, "{self:?} joined");
        // A connection that says nothing may be a listener, whose end is proper.
        let listener = setting.both && self.hello.len() < FIXED;
        assert!(outcome.is_err() || listener, "{self:?} is complete");
        let left = Time::from_nanos(self.leaves * 1_000_000);
        if !setting.calm || left.since(since) <= HANDSHAKE || listener {
            return;
        }
        let ended = self.ended.is_some_and(|at| at.since(since) < HANDSHAKE);
        let in_time = if proves_itself { joined } else { ended };
        assert!(in_time, "{self:?} has neither joined nor ended in time");
        let expected = self.expects(&outcome, setting);
        assert!(expected, "{self:?}: {outcome:?}");
        // What was whole is handed on.
        let all = self.offended.is_some() && !is_slow(&outcome);
        assert!(!all || heard == said, "{self:?} was not heard: {outcome:?}");
    }

    /// Whether this is how it should have ended.
    fn expects(&self, outcome: &Outcome, setting: &Setting) -> bool {
        let fault = |fault| *outcome == Err(Failure::Peer(fault));
        let late = |deadline| *outcome == Err(Failure::Deadline(deadline));
        let left = is_truncated(&Some(outcome.clone()));
        let as_its_kind = match self.kind {
            BadKind::Silent | BadKind::Drip | BadKind::HalfHello => late(Deadline::Handshake),
            BadKind::BadHello => fault(PeerFault::HelloTag),
            BadKind::Replay if self.hello.is_empty() => late(Deadline::Handshake),
            // What follows the hello may come with it.
            BadKind::Replay => {
                let early = self.hello.len() > CLIENT_HELLO && fault(PeerFault::Early);
                fault(PeerFault::Replayed) || early
            }
            BadKind::SlowWriter => left || late(Deadline::Record),
            // What they do is allowed.
            BadKind::SlowReader | BadKind::PingFlood => left,
            BadKind::BadTag => fault(PeerFault::Tag),
            BadKind::Oversize => matches!(outcome, Err(Failure::Peer(PeerFault::Blocks(_)))),
            BadKind::HugeMessage => gave_for(outcome) == Some(Reason::TOO_LARGE),
            BadKind::ResetMidRecord => left,
        };
        // It reads in time, but not all the time. Or it was not read, and has left before it
        // misbehaved.
        let spared = (setting.sends && is_slow(outcome)) || (self.offended.is_none() && left);
        as_its_kind || (self.kind.proves_itself() && spared)
    }
}

/// What the way in which a run went says about ends.
pub(crate) struct Setting {
    /// No connection ends but by what it does itself, or what is done to it.
    pub(crate) calm: bool,
    /// The server speaks both formats, and listens to a silent connection.
    pub(crate) both: bool,
    /// The server sends messages, so that a peer may be too slow for it.
    pub(crate) sends: bool,
}

/// The reason for which the server gave it up.
fn gave_for(outcome: &Outcome) -> Option<Reason> {
    match outcome {
        Err(Failure::Gave(abort)) => Some(abort.reason),
        _ => None,
    }
}

fn is_slow(outcome: &Outcome) -> bool {
    gave_for(outcome) == Some(Reason::TOO_SLOW)
}
