//! Whole endpoints over an in-memory network, with a clock that the test moves.
//!
//! [`net`] is the network and its faults, [`port`] what an endpoint sees of it,
//! [`world`] moves everything, [`people`] has setups and modes, [`hand`] has clients that a
//! test plays itself. A world checks that an endpoint without peers has leaked nothing.
//!
//! Runs by seed are [`seeds`], with the bad peers of [`actors`]: `SEALWIRE_SEED=n` runs one seed
//! again, alone, and `SEALWIRE_SEEDS=n` runs that many. Seeds that once failed are in
//! `failed_seeds`. The rest are scripted, one subject per file.
#![allow(clippy::unwrap_used)]

mod actors;
#[path = "../common/chosen.rs"]
mod chosen;
mod hand;
#[path = "../common/lines.rs"]
mod lines;
#[path = "../common/local.rs"]
mod local;
mod net;
mod people;
#[path = "../common/plain.rs"]
mod plain;
mod port;
mod world;

mod bounds;
mod ceiling;
mod classic;
mod clocks;
mod completion;
mod ephemeral;
mod fan_out;
mod flow;
mod packs;
mod pressure;
mod rings;
mod seeds;
mod slow;
mod stopping;
mod strangers;
mod ticks;
mod tunnel;
mod unfinished;
