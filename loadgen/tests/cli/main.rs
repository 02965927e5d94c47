//! The load tester as its users meet it: real processes over loopback.
//!
//! How a program is run is [`program`]. What is measured exactly is tested on a simulated clock,
//! beside the workloads.
#![allow(clippy::unwrap_used)]

#[path = "../../../tests/common/chosen.rs"]
mod chosen;
mod cohort;
mod endings;
mod faults;
mod folders;
mod instrument;
mod page;
mod program;
mod runs;
