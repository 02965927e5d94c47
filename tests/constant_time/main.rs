//! No branch and no address depends on a secret: `docs/CONSTANT_TIME.md`.
//!
//! It uses no test harness: threads of a harness allocate in between, so that no two runs of the
//! program would be alike.
#![allow(clippy::unwrap_used)]

#[cfg(target_arch = "x86_64")]
mod watch;

fn main() {
    #[cfg(target_arch = "x86_64")]
    watch::main();
    #[cfg(not(target_arch = "x86_64"))]
    eprintln!("constant_time: skipped: it watches x86-64 alone");
}
