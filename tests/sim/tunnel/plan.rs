//! What a seed decides: how much is said, at which pace, and how each connection goes wrong.
//!
//! Read next: [`super::run`], which plays it.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::program::Program;
use super::run::{Planned, Run};
use super::{bytes, tunnel};
use crate::net::Faults;
use crate::world::World;

/// How many connections a run has.
const CONNECTIONS: usize = 20;

/// How one connection of a run goes wrong, if it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Calm,
    Cut,
    SourceResets,
    TargetResets,
    Refused,
}

impl Run {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let faults = Faults {
            one_byte: 0.02,
            short: 0.2,
            would_block: 0.1,
            delay: Duration::from_millis(rng.random_range(0..4)),
        };
        let (mut world, near) = tunnel(2 * seed + 10, faults);
        let all = (0..CONNECTIONS).map(|_| plan(&mut rng, &mut world, near));
        Self {
            all: all.collect(),
            world,
            near,
            seed,
        }
    }
}

fn plan(rng: &mut StdRng, world: &mut World, near: usize) -> Planned {
    let mut size = || match rng.random_range(0..4) {
        0 => 0,
        1 => rng.random_range(1..100),
        2 => rng.random_range(1..20_000),
        _ => rng.random_range(1..400_000),
    };
    let (up, down) = (size(), size());
    let (near_local, end) = world.plain(near);
    let pair = world.connect_for(near, near_local);
    let mut source = Program::new(end, bytes(up));
    source.listens_first = rng.random_bool(0.2);
    source.pace = [usize::MAX, 500, 5000][rng.random_range(0..3)];
    let fates = [
        Fate::Calm,
        Fate::Calm,
        Fate::Cut,
        Fate::SourceResets,
        Fate::TargetResets,
        Fate::Refused,
    ];
    Planned {
        pair,
        near_local,
        source,
        target: None,
        to_source: bytes(down),
        fate: fates[rng.random_range(0..fates.len())],
        at: rng.random_range(1..200),
        opens: rng.random_range(0..50),
        far_local: None,
    }
}
