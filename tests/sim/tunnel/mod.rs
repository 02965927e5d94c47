//! Tunnels: the near end and the far end, over the network of the test, with a program behind
//! each.
//!
//! [`ends`] and [`others`] are scripted. Runs by seed are as in [`seeds`](super::seeds): [`plan`] is
//! what a seed decides, [`run`] plays that, and [`check`] says what must hold.

mod check;
mod ends;
mod others;
mod plan;
mod program;
mod run;

use sealwire::{Leaves, Tunnel};

use self::run::Run;
use crate::net::Faults;
use crate::people::native;
use crate::world::World;

/// The far end is the first host.
fn tunnel(seed: u64, faults: Faults) -> (World, usize) {
    let mut world = World::new(seed, faults);
    world.host(native(seed, Leaves::WhenStopped), Tunnel);
    let near = world.host(native(seed + 1, Leaves::WhenStopped), Tunnel);
    (world, near)
}

/// What a program says.
fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n * 7 + n / 251) as u8).collect()
}

/// Goal: whatever the network and the programs do, each program gets all that the other said and
/// a clean end, or an error: never a clean end after a loss. Connections disturb no other.
/// Method: by seed, 200 connections in ten runs, of all sizes and fates, over a network that
/// delays, cuts and moves single bytes. `SEALWIRE_TUNNEL_SEEDS` is another number of runs.
#[test]
fn no_clean_end_after_a_loss() {
    let seeds = std::env::var("SEALWIRE_TUNNEL_SEEDS");
    let seeds = seeds.map_or(10, |text| text.parse().expect("a number"));
    for seed in 0..seeds {
        let mut run = Run::new(seed);
        run.play();
        run.check();
    }
}
