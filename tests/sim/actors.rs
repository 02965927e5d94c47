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
use sealwire::limits::{MAX_BLOCKS, MAX_PAYLOAD, RECORD_HEADER, SERVER_HELLO};
use sealwire::wire::hello::FIXED;
use sealwire::wire::record::{Kind, cut};
use sealwire::{Deadline, Failure, Outcome, PeerFault, Reason, Time};

use crate::hand::{Sealer, greeting};
use crate::net::Side;
use crate::people::is_truncated;
use crate::world::{Host, World};

/// How long an actor stays: longer than a record may take, so that the server ends it first.
pub(crate) const STAYS: u64 = 40_000;
/// The same in a run where many come and go: longer than a handshake may take.
pub(crate) const STAYS_SHORT: u64 = 7000;
/// The time between two bytes of a hello that drips: all 80 take longer than a handshake may.
const DRIP: Duration = Duration::from_millis(70);
/// How long a handshake may take, with what the network and the test's steps add.
const HANDSHAKE: Duration = Duration::from_secs(6);
/// A flood of PINGs has this many, and as many at a time as this.
const FLOOD: usize = 1000;
const FLOOD_PIECE: usize = 20;

/// What an actor does: the kinds of bad company that the load tester has, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Vice {
    Silent,
    Drip,
    HalfHello,
    BadHello,
    /// All that a good client has sent so far, once more.
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

const VICES: [Vice; 12] = [
    Vice::Silent,
    Vice::Drip,
    Vice::HalfHello,
    Vice::BadHello,
    Vice::Replay,
    Vice::SlowReader,
    Vice::SlowWriter,
    Vice::PingFlood,
    Vice::BadTag,
    Vice::Oversize,
    Vice::HugeMessage,
    Vice::ResetMidRecord,
];

impl Vice {
    fn holds_keys(self) -> bool {
        self as usize >= Self::SlowReader as usize
    }
}

/// How far an actor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Away,
    /// It waits for the server's hello.
    Greets,
    Acts,
    /// It has done all that its vice asks for.
    Done,
    Left,
}

pub(crate) struct Actor {
    pub(crate) vice: Vice,
    /// When it comes and leaves, in milliseconds.
    pub(crate) comes: u64,
    pub(crate) leaves: u64,
    /// The messages that may be handed on, in order.
    pub(crate) said: Vec<Vec<u8>>,
    stage: Stage,
    end: Option<Side>,
    hello: Vec<u8>,
    answer: Vec<u8>,
    sealer: Option<Sealer>,
    /// What it has still to write, and when it may.
    pending: Vec<u8>,
    writes: Time,
    /// Since when it has done all that its vice asks for.
    sinned: Option<Time>,
    /// Since when it knows that the server has ended it.
    ended: Option<Time>,
    rng: StdRng,
}

impl std::fmt::Debug for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {:?} at {:?}", self.vice, self.stage, self.end)
    }
}

impl Actor {
    /// Says `said` if it holds the keys; it comes at `comes` and stays for so long.
    pub(crate) fn new(rng: &mut StdRng, said: Vec<Vec<u8>>, comes: u64, stays: u64) -> Self {
        let vice = VICES[rng.random_range(0..VICES.len())];
        Self {
            vice,
            comes,
            leaves: comes + stays,
            said: if vice.holds_keys() { said } else { Vec::new() },
            stage: Stage::Away,
            end: None,
            hello: Vec::new(),
            answer: Vec::new(),
            sealer: None,
            pending: Vec::new(),
            writes: Time::ZERO,
            sinned: None,
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

    /// Does what it does at this time, in milliseconds. `victim` is a good client's end.
    pub(crate) fn act(&mut self, world: &mut World, at: u64, victim: Option<Side>) {
        match self.stage {
            Stage::Away if at >= self.comes => self.come(world, victim),
            Stage::Away | Stage::Left => return,
            _ if at >= self.leaves => return self.leave(world),
            _ => {}
        }
        self.read(world);
        if self.stage == Stage::Acts && self.pending.is_empty() {
            self.sin();
        }
        self.write(world);
    }

    fn come(&mut self, world: &mut World, victim: Option<Side>) {
        let end = Side::client(world.knock());
        self.end = Some(end);
        self.hello = greeting(end);
        self.stage = Stage::Acts;
        self.pending = match self.vice {
            Vice::Silent => Vec::new(),
            Vice::HalfHello => self.hello[..self.rng.random_range(FIXED..80)].to_vec(),
            Vice::BadHello => {
                let mut hello = self.hello.clone();
                // Behind what names the keys.
                hello[self.rng.random_range(16..80)] ^= 1 << self.rng.random_range(0..8);
                hello
            }
            Vice::Replay => victim.map_or(Vec::new(), |victim| {
                world.net.outgoing(victim).tape.clone().unwrap_or_default()
            }),
            _ => self.hello.clone(),
        };
        if self.vice.holds_keys() {
            self.stage = Stage::Greets;
        }
    }

    fn leave(&mut self, world: &mut World) {
        self.stage = Stage::Left;
        world.net.close(self.end.expect("it came"));
    }

    fn read(&mut self, world: &mut World) {
        let end = self.end.expect("it came");
        let greets = self.stage == Stage::Greets;
        let most = match self.vice {
            _ if greets => SERVER_HELLO - self.answer.len(),
            Vice::SlowReader => self.rng.random_range(1..200),
            Vice::PingFlood => return,
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

    /// Says what it has to say, which is no vice.
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

    /// Adds what its vice asks for to what it writes.
    fn sin(&mut self) {
        self.stage = Stage::Done;
        if self.vice == Vice::PingFlood {
            return self.pending = self.flood();
        }
        let (Some(sealer), rng) = (&mut self.sealer, &mut self.rng) else {
            return;
        };
        let len = rng.random_range(1..3000);
        let mut record = sealer.record(Kind::Part, &vec![b'!'; len]);
        match self.vice {
            Vice::BadTag => {
                let place = rng.random_range(RECORD_HEADER..record.len());
                record[place] ^= 1 << rng.random_range(0..8);
            }
            Vice::Oversize => {
                let over = MAX_BLOCKS as u16 + 1;
                let blocks = [0, over, rng.random_range(over..=u16::MAX)][rng.random_range(0..3)];
                record[..RECORD_HEADER].copy_from_slice(&blocks.to_be_bytes());
            }
            Vice::HugeMessage => {
                for _ in 0..5 {
                    record.extend(sealer.record(Kind::Part, &[b'!'; MAX_PAYLOAD]));
                }
            }
            Vice::ResetMidRecord => record.truncate(rng.random_range(1..record.len())),
            Vice::SlowReader | Vice::SlowWriter => {}
            _ => unreachable!("it holds no keys"),
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
        match self.vice {
            Vice::Drip => 1,
            Vice::SlowWriter => self.rng.random_range(1..50),
            Vice::PingFlood => FLOOD_PIECE * 34,
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
        if self.vice == Vice::Drip {
            self.writes = now + DRIP;
        }
        if self.pending.is_empty() && self.stage == Stage::Done && self.sinned.is_none() {
            self.sinned = Some(now);
            if self.vice == Vice::ResetMidRecord {
                world.net.reset(end.link);
            }
        }
    }

    /// Checks how `server` ended it, and what it handed on of its messages. A run that is not
    /// `calm` may have ended it for other reasons; a server for `both` formats listens to a
    /// silent connection.
    pub(crate) fn check(&self, server: &Host, world: &World, calm: bool, both: bool) {
        let Some(&(peer, since)) = self.link().and_then(|link| world.door.admitted.get(&link))
        else {
            return;
        };
        let outcome = server.outcome(peer).expect("it has left");
        let heard = server.log().of(peer).concat();
        let said = self.said.concat();
        assert!(said.starts_with(&heard), "{self:?}: not what it said");
        let joined = server.has_joined(peer);
        assert!(self.vice.holds_keys() || !joined, "{self:?} joined");
        // A silent connection may be a listener, whose end is proper.
        let listener = both && matches!(self.vice, Vice::Silent | Vice::Drip | Vice::Replay);
        assert!(outcome.is_err() || listener, "{self:?} is complete");
        let left = Time::from_nanos(self.leaves * 1_000_000);
        if calm && left.since(since) > HANDSHAKE && !listener {
            let ended = self.ended.is_some_and(|at| at.since(since) < HANDSHAKE);
            assert!(joined || ended, "{self:?} was not ended in time");
            assert!(self.expects(&outcome), "{self:?}: {outcome:?}");
            let faults = [Vice::BadTag, Vice::Oversize, Vice::HugeMessage];
            let ended = faults.contains(&self.vice) && self.sinned.is_some();
            // What was whole ahead of a fault is handed on.
            assert!(!ended || is_slow(&outcome) || heard == said, "{self:?}");
        }
    }

    /// Whether this is how it should have ended.
    fn expects(&self, outcome: &Outcome) -> bool {
        let fault = |fault| *outcome == Err(Failure::Peer(fault));
        let late = |deadline| *outcome == Err(Failure::Deadline(deadline));
        match self.vice {
            Vice::Silent | Vice::Drip | Vice::HalfHello => late(Deadline::Handshake),
            Vice::BadHello => fault(PeerFault::HelloTag),
            // It reads in time, but not all the time.
            _ if self.vice.holds_keys() && is_slow(outcome) => true,
            _ if self.sinned.is_none() => true,
            Vice::BadTag => fault(PeerFault::Tag),
            Vice::Oversize => matches!(outcome, Err(Failure::Peer(PeerFault::Blocks(_)))),
            Vice::HugeMessage => gave_for(outcome) == Some(Reason::TOO_LARGE),
            Vice::ResetMidRecord => is_truncated(&Some(outcome.clone())),
            // It is ended in one way or another, at the latest when it leaves.
            Vice::Replay | Vice::SlowReader | Vice::SlowWriter | Vice::PingFlood => true,
        }
    }
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
