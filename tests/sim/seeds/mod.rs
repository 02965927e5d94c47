//! Runs by seed: a server, good clients, bad peers, and a network that does what the seed
//! says. Every run is checked and repeated: the same seed is the same run.
//!
//! Every message names its sender and its number, so that each receiver's log
//! can be held against the plans: in order, once, without gaps. A long run is the same, with
//! peers that come and go all the time. [`plan`] is what a seed decides, [`run`] plays that, and
//! [`check`] says what must hold.

mod check;
mod plan;
mod run;

use self::plan::{LONG, SHORT, Scale};
use self::run::Run;

/// How many seeds run, and how many long runs, unless the user says otherwise.
const SEEDS: u64 = 300;
const LONG_SEEDS: u64 = 2;
/// Seeds that once failed, always run: a number, `#`, and what it showed.
const FAILED: &str = include_str!("../failed_seeds");

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().expect("a number"))
}

/// The seeds on the list of those that once failed.
fn failed() -> Vec<u64> {
    let lines = FAILED
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    let seeds = lines.map(|line| {
        let (seed, why) = line.split_once('#').expect("a seed, #, and what it showed");
        assert!(!why.trim().is_empty(), "what did {seed} show?");
        seed.trim().parse().expect("a number")
    });
    seeds.collect()
}

/// Plays and checks the run of this seed twice.
fn play(seed: u64, scale: &Scale, variable: &str) -> usize {
    let run = || {
        let mut run = Run::new(seed, scale);
        run.play();
        run.check();
        (run.world.net.trace(), run.world.hosts[0].ticks)
    };
    let runs = std::panic::catch_unwind(|| [run(), run()]);
    let Ok([first, second]) = runs else {
        panic!("run it again with {variable}={seed}");
    };
    assert_eq!(first, second, "seed {seed} ran in two ways");
    first.1
}

/// Goal: whatever the network and bad peers do, deliveries are an ordered part of what was
/// sent, each once; complete means complete; a disturbed connection disturbs no
/// other; bad peers end as they should; memory stays bounded and is given back; and without
/// faults all is delivered. Method: see the module; those that once failed first.
#[test]
fn every_seed_holds() {
    let seeds = match number("SEALWIRE_SEED") {
        Some(seed) => vec![seed],
        None => {
            let count = number("SEALWIRE_SEEDS").unwrap_or(SEEDS);
            failed().into_iter().chain(0..count).collect()
        }
    };
    for seed in seeds {
        play(seed, &SHORT, "SEALWIRE_SEED");
    }
}

/// Goal: the same holds for a server that runs for long. Method: hundreds of good and bad peers
/// that come and go, for tens of thousands of ticks.
#[test]
fn long_runs_hold() {
    let seeds = match number("SEALWIRE_LONG_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SEALWIRE_LONG_SEEDS").unwrap_or(LONG_SEEDS),
    };
    for seed in seeds {
        let ticks = play(seed, &LONG, "SEALWIRE_LONG_SEED");
        assert!(ticks > LONG.ticks / 2, "{ticks} ticks are no long run");
        eprintln!("long run {seed}: {ticks} ticks of the server");
    }
}
