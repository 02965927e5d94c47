//! No branch and no address depends on a secret: `docs/CONSTANT_TIME.md`.
//!
//! There is no test harness, because its threads allocate in between, so no two runs of the program
//! would be alike.
#![allow(clippy::unwrap_used)]

#[cfg(target_arch = "x86_64")]
mod watch;

fn main() {
    #[cfg(target_arch = "x86_64")]
    watch::main();
    #[cfg(not(target_arch = "x86_64"))]
    eprintln!("constant_time: skipped: it watches x86-64 alone");
}
