//! One run: what it is made of, and how it is played.
//!
//! Read next: [`super::check`], which says what must hold behind it.

use std::fmt;
use std::io::ErrorKind;
use std::time::Duration;

use sealwire::limits::CLIENT_HELLO;
use sealwire::{PeerId, Setup, Time};

use super::plan::{Blow, How, Order, Trouble, What};
use crate::actors::Actor;
use crate::net::Side;
use crate::people::Sender;
use crate::world::World;

/// Milliseconds between what the test does: while peers come, and behind that.
pub(super) const STEP: u64 = 5;
const LATE_STEP: u64 = 250;

/// The connection of a client that has come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    pub(super) host: usize,
    pub(super) link: usize,
    /// What the client calls it.
    pub(super) peer: PeerId,
}

/// A good client. All times are in milliseconds.
pub(super) struct Client {
    /// What its endpoint is made of, until it comes.
    pub(super) setup: Option<(Setup, Sender)>,
    pub(super) classic: bool,
    /// It says FIN only when the run tells it to.
    pub(super) stays: bool,
    pub(super) call: Option<Call>,
    pub(super) plan: Vec<Vec<u8>>,
    pub(super) after: u64,
    /// How often it is refused before that.
    pub(super) refused: u64,
    pub(super) blow: Option<Blow>,
    pub(super) struck: bool,
}

impl Client {
    /// Whether something was done to it of which it may fail.
    pub(super) fn is_hurt(&self) -> bool {
        self.blow.is_some_and(|blow| blow.hurts())
    }
}

/// For people to read: its plan is long.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, {:?}", self.call, self.blow)
    }
}

/// One run.
pub(super) struct Run {
    pub(super) what: What,
    /// The server speaks classic, too.
    pub(super) classic: bool,
    pub(super) world: World,
    pub(super) clients: Vec<Client>,
    pub(super) actors: Vec<Actor>,
    pub(super) typed: Vec<Vec<u8>>,
    pub(super) troubles: Vec<Trouble>,
    pub(super) order: Order,
    pub(super) comes: u64,
    pub(super) max_ticks: usize,
    pub(super) max_assembling: usize,
    /// When and how far the clock jumps, if it does. Then the run checks only safety.
    pub(super) jump: Option<(u64, Duration)>,
}

/// When this was `at`, in milliseconds.
pub(super) fn time(at: u64) -> Time {
    Time::from_nanos(at * 1_000_000)
}

impl Run {
    /// Plays everything that the seed decides.
    pub(super) fn play(&mut self) {
        let mut at = 0;
        while at < self.comes + 200 && self.world.hosts[0].ticks < self.max_ticks {
            self.step(at);
            self.world.run_millis(STEP);
            at += STEP;
        }
        self.actors.iter_mut().for_each(Actor::comes_no_more);
        let here = self.actors.iter().filter(|actor| actor.link().is_some());
        let leave = here.map(|actor| actor.leaves).max();
        while leave.is_some_and(|leave| at <= leave) {
            self.world.run_millis(LATE_STEP);
            at += LATE_STEP;
            self.act(at);
        }
        if let Order::ServerFirst(gap) = self.order {
            self.world.run_millis(10_000);
            self.world.stop(0);
            self.world.run_millis(gap);
            let staying = self.clients.iter().filter(|client| client.stays);
            for call in staying.filter_map(|client| client.call) {
                self.world.stop(call.host);
            }
        }
        self.world.run_millis(200_000);
    }

    /// Does all that is to be done at this time.
    fn step(&mut self, at: u64) {
        let troubles = self.troubles.iter();
        for trouble in troubles.filter(|trouble| trouble.at / STEP == at / STEP) {
            let until = time(at + trouble.shut_for);
            self.world.door.shut_until = until.max(self.world.door.shut_until);
            if trouble.loses {
                self.world.lose();
            }
        }
        for client in &mut self.clients {
            if client.call.is_none() && client.after <= at {
                match client.refused.checked_sub(1) {
                    None => client.call = client.setup.take().map(|it| call(&mut self.world, it)),
                    // It tries again in a while. Its endpoint does not see that.
                    Some(left) => (client.refused, client.after) = (left, at + 20),
                }
            }
            if let (Some(call), Some(blow)) = (client.call, client.blow)
                && blow.at <= at
                && !std::mem::replace(&mut client.struck, true)
            {
                strike(&mut self.world, call.link, blow);
            }
        }
        self.act(at);
        if at.is_multiple_of(1000) {
            let calls = self.clients.iter().filter_map(|client| client.call);
            calls.for_each(|call| self.world.retire(call.host));
        }
        if let Order::Halted(due) = self.order
            && due / STEP == at / STEP
        {
            self.world.stop(0);
        }
        if let Some((due, far)) = self.jump
            && due == at
        {
            self.world.jump(far);
        }
    }

    /// Lets the bad peers act.
    fn act(&mut self, at: u64) {
        // The first native client that sends more than its hello is the one whose bytes are
        // replayed. An earlier replay might overtake the hello, and the client be refused.
        let native = self.clients.iter().filter(|client| !client.classic);
        let mut ends = native.filter_map(|client| Some(Side::client(client.call?.link)));
        let net = &mut self.world.net;
        let is_answered = |end: &Side| net.outgoing(*end).written > CLIENT_HELLO as u64;
        let victim = ends.find(is_answered);
        for actor in &mut self.actors {
            actor.act(&mut self.world, at, victim);
        }
    }
}

/// Lets a client call, and keeps what it writes.
fn call(world: &mut World, (setup, sender): (Setup, Sender)) -> Call {
    let host = world.host(setup, sender);
    let (link, peer) = world.call(host);
    world.net.outgoing(Side::client(link)).tape = Some(Vec::new());
    Call { host, link, peer }
}

fn strike(world: &mut World, link: usize, blow: Blow) {
    let pipe = world.net.outgoing(blow.end(link));
    match blow.how {
        How::Reset => world.net.reset(link),
        How::Cut => pipe.shut = true,
        How::WritesFail => pipe.write_error = Some(ErrorKind::BrokenPipe),
        How::Flip { place, bit } => pipe.flip = Some((place, bit)),
        How::Stall(millis) => world
            .net
            .stall(blow.end(link), Duration::from_millis(millis)),
    }
}
