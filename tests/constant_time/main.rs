//! No branch and no address depends on a secret: `docs/CONSTANT_TIME.md`.
//!
//! There is no test harness: its threads would allocate in between, so that no two
//! runs of a program were alike.
#![allow(clippy::unwrap_used)]

#[cfg(target_arch = "x86_64")]
mod watch;

fn main() {
    #[cfg(target_arch = "x86_64")]
    watch::main();
    #[cfg(not(target_arch = "x86_64"))]
    eprintln!("constant_time: skipped: it watches x86-64 alone");
}
