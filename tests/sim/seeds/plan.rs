//! What a seed decides: which peers come to which server and when, what is said, and what the
//! network does to it.
//!
//! Read next: [`super::run`], which plays it.

use std::ops::Range;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sealwire::limits::MAX_PACKED;
use sealwire::{Chat, Echo, Leaves, Mode, Relay, Setup, Sink};

use super::run::{Client, Run, STEP};
use crate::actors::{Actor, STAYS, STAYS_SHORT};
use crate::net::{Faults, Side};
use crate::people::{Sender, both, classic_client, native};
use crate::port::{LINES, Plain};
use crate::world::World;

/// Limits that are small, so that runs reach them.
pub(super) const MAX_QUEUE: usize = 128 * 1024;

/// How large a run is.
pub(super) struct Scale {
    /// How many good clients, and how many bad peers.
    good: Range<u64>,
    bad: Range<u64>,
    /// Milliseconds in which they come, and for which something is done to them.
    comes: u64,
    /// How long a bad peer stays.
    stays: u64,
    /// How many messages each has, at most.
    messages: usize,
    max_assembling: usize,
    /// No more peers come after so many ticks of the server.
    pub(super) ticks: usize,
    /// How many bytes a socket holds.
    socket: Range<usize>,
    /// How many descriptors a server has that has few.
    descriptors: Range<usize>,
}

pub(super) const SHORT: Scale = Scale {
    good: 1..6,
    bad: 0..4,
    comes: 100,
    stays: STAYS,
    messages: 40,
    max_assembling: 640 * 1024,
    ticks: usize::MAX,
    socket: 1000..70_000,
    descriptors: 2..6,
};
pub(super) const LONG: Scale = Scale {
    good: 900..1000,
    bad: 350..400,
    comes: 150_000,
    stays: STAYS_SHORT,
    messages: 12,
    max_assembling: 4 << 20,
    ticks: 30_000,
    socket: 500..2000,
    descriptors: 10..30,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Echo,
    Relay,
    Chat,
    Sink,
}

/// What is done to one client's connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Blow {
    pub(super) at: u64,
    /// What the client writes is meant, or what it reads.
    pub(super) from_client: bool,
    pub(super) how: How,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum How {
    /// Both directions.
    Reset,
    /// The stream ends too early.
    Cut,
    /// Writing fails from then on.
    WritesFail,
    Flip {
        place: u64,
        bit: u8,
    },
    /// Nothing is taken for so many milliseconds: shorter than a peer may take nothing.
    Stall(u64),
}

impl Blow {
    /// The end whose writing it meets.
    pub(super) fn end(&self, link: usize) -> Side {
        let client = self.from_client;
        Side { link, client }
    }

    /// Whether the connection may fail of it.
    pub(super) fn hurts(&self) -> bool {
        !matches!(self.how, How::Stall(_))
    }
}

/// What the run does to accepting: when, and for how long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trouble {
    pub(super) at: u64,
    pub(super) shut_for: u64,
    /// The newest connection that waits then is lost.
    pub(super) loses: bool,
}

/// In which order the two sides of a connection end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Clients say FIN when they have sent all.
    ClientsFirst,
    /// The server is stopped when all is sent, and the clients so many milliseconds later.
    ServerFirst(u64),
    /// The server is stopped at this time, whatever it has still to do.
    Halted(u64),
}

fn message(rng: &mut StdRng, sender: &str, number: usize) -> Vec<u8> {
    let len = match rng.random_range(0..10) {
        0 => rng.random_range(0..60_000),
        1..4 => rng.random_range(0..3000),
        _ => rng.random_range(0..40),
    };
    let filler = ["a", "é", "雪"][rng.random_range(0..3)];
    let filler = filler.repeat(len / filler.len());
    format!("{sender} {number} {filler}\n").into_bytes()
}

fn plan(rng: &mut StdRng, sender: &str, most: usize) -> Vec<Vec<u8>> {
    let count = rng.random_range(0..most);
    (0..count).map(|n| message(rng, sender, n)).collect()
}

/// How many messages an endpoint packs at most.
fn packed(seed: u64) -> usize {
    [1, 2, 5, MAX_PACKED][seed as usize % 4]
}

fn server(what: What, seed: u64, classic: bool, scale: &Scale) -> (Setup, Box<dyn Mode>) {
    let leaves = Leaves::WhenStopped;
    let mut setup = match classic {
        true => both(seed, leaves),
        false => native(seed, leaves),
    };
    let limits = &mut setup.limits;
    limits.max_message = 64 * 1024;
    limits.max_assembling = scale.max_assembling;
    limits.max_queue = MAX_QUEUE;
    limits.max_queued = 1 << 20;
    limits.max_packed = packed(seed);
    limits.max_peers = (scale.good.end + scale.bad.end) as usize;
    limits.max_idle = None;
    let mode: Box<dyn Mode> = match what {
        What::Echo => Box::new(Echo),
        What::Relay => Box::new(Relay),
        What::Chat => Box::new(Chat::new(false)),
        What::Sink => Box::new(Sink),
    };
    (setup, mode)
}

fn faults(rng: &mut StdRng, scale: &Scale) -> Faults {
    let mut rate = |most: f64| match rng.random_range(0..3) {
        0 if scale.ticks == usize::MAX => 0.0,
        _ => rng.random_range(0.0..most),
    };
    Faults {
        one_byte: rate(0.1),
        short: rate(0.5),
        would_block: rate(0.3),
        delay: Duration::from_millis(rate(40.0) as u64),
    }
}

fn blow(rng: &mut StdRng, after: u64) -> Blow {
    Blow {
        // Some are met before they have said a word.
        at: after + rng.random_range(0_u64..180).saturating_sub(30),
        from_client: rng.random(),
        how: match rng.random_range(0..8) {
            0 => How::Reset,
            1 => How::Cut,
            2 => How::WritesFail,
            3..5 => How::Stall(rng.random_range(1..500)),
            _ => How::Flip {
                place: match rng.random_range(0..3) {
                    0 => rng.random_range(0..300),
                    _ => rng.random_range(0..50_000),
                },
                bit: rng.random_range(0..8),
            },
        },
    }
}

fn troubles(rng: &mut StdRng, comes: u64) -> Vec<Trouble> {
    let count = match rng.random_bool(0.3) {
        true => rng.random_range(1..=1 + comes / 2000),
        false => 0,
    };
    let troubles = (0..count).map(|_| Trouble {
        at: rng.random_range(0..comes),
        shut_for: rng.random_range(1..1000),
        loses: rng.random_bool(0.3),
    });
    troubles.collect()
}

fn order(rng: &mut StdRng, scale: &Scale) -> Order {
    if scale.ticks < usize::MAX {
        // It is to be long, and peers that stay would become ever more.
        return Order::ClientsFirst;
    }
    match rng.random_range(0..10) {
        0..2 => Order::ServerFirst(rng.random_range(0..2000)),
        2 => Order::Halted(rng.random_range(0..scale.comes + 200)),
        _ => Order::ClientsFirst,
    }
}

impl Run {
    /// The run of this seed, before it begins.
    pub(super) fn new(seed: u64, scale: &Scale) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let what = [What::Echo, What::Relay, What::Chat, What::Sink][rng.random_range(0..4)];
        let classic = rng.random_bool(0.4);
        let mut world = World::new(seed, faults(&mut rng, scale));
        world.net.socket = rng.random_range(scale.socket.clone());
        let (server, mode) = server(what, seed, classic, scale);
        world.host(server, mode);
        if rng.random_bool(0.2) {
            world.door.descriptors = rng.random_range(scale.descriptors.clone());
        }
        let mut run = Self {
            what,
            classic,
            world,
            clients: Vec::new(),
            actors: Vec::new(),
            typed: Vec::new(),
            troubles: troubles(&mut rng, scale.comes),
            order: order(&mut rng, scale),
            comes: scale.comes,
            max_ticks: scale.ticks,
            max_assembling: scale.max_assembling,
            jump: rng.random_bool(0.1).then(|| {
                let at = STEP * rng.random_range(0..200 / STEP);
                (at, Duration::from_secs(rng.random_range(1..400)))
            }),
        };
        if what == What::Chat {
            run.type_lines(&mut rng, scale);
        }
        run.people(&mut rng, seed, scale);
        run
    }

    /// Gives the server something to type.
    fn type_lines(&mut self, rng: &mut StdRng, scale: &Scale) {
        self.typed = plan(rng, "server", scale.messages);
        let plain = Plain {
            piece: rng.random_range(1..3000),
            ..Plain::pipe(&self.typed.concat())
        };
        self.world.local(0, Some(LINES), plain);
    }

    /// Adds the good clients, and the bad peers of a run that has some.
    fn people(&mut self, rng: &mut StdRng, seed: u64, scale: &Scale) {
        let hostile = rng.random_bool(0.6);
        for n in 0..rng.random_range(scale.good.clone()) {
            let client = self.client(rng, seed * 1000 + n, &n.to_string(), scale);
            self.clients.push(client);
            let client = self.clients.last_mut().expect("just pushed");
            client.blow = (hostile && n > 0).then(|| blow(rng, client.after));
        }
        let bad = match rng.random_bool(0.7) {
            true => rng.random_range(scale.bad.clone()),
            false => 0,
        };
        for n in 0..bad {
            let said = plan(rng, &format!("x{n}"), scale.messages / 4);
            let comes = rng.random_range(0..scale.comes);
            let actor = Actor::new(rng, said, comes, scale.stays);
            self.actors.push(actor);
        }
    }

    fn client(&self, rng: &mut StdRng, seed: u64, name: &str, scale: &Scale) -> Client {
        let mut plan = plan(rng, name, scale.messages);
        let mut setup = native(seed, Leaves::WithPeers);
        setup.limits.max_packed = packed(seed);
        let classic = self.classic && rng.random_bool(0.5);
        if classic {
            setup = classic_client(seed);
            // An old client that says nothing at all proves nothing.
            plan.push(message(rng, name, plan.len()));
        }
        // A client that is an old one ends when it has sent all.
        let stays = matches!(self.order, Order::ServerFirst(_)) && !classic;
        let sender = match stays {
            true => Sender::staying(plan.clone()),
            false => Sender::new(plan.clone()),
        };
        Client {
            setup: Some((setup, sender)),
            classic,
            stays,
            call: None,
            plan,
            after: rng.random_range(0..scale.comes),
            refused: rng.random_range(0_u64..6).saturating_sub(3),
            blow: None,
            struck: false,
        }
    }
}
