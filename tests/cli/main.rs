//! The program as its users meet it: real processes over loopback.
//!
//! What is shown here is what only whole processes can show: what goes to
//! stdout and what to stderr, exit codes, signals, and that a server goes on
//! whatever comes to its port. Ports are the system's choice and every wait is
//! bounded. How a program is run is [`program`]; peers that are not programs but
//! sockets in the test are [`raw_peer`] (native) and [`old`] (classic).

#![allow(clippy::unwrap_used)]

mod addresses;
#[path = "../common/batches.rs"]
mod batches;
#[path = "../common/chosen.rs"]
mod chosen;
mod classic;
mod descriptors;
mod faults;
mod idle;
mod kernel;
mod keys;
#[path = "../common/lines.rs"]
mod lines;
mod manual;
mod memory;
mod messages;
mod metrics;
mod modes;
mod network;
mod old;
mod one_shot;
mod program;
mod python;
mod raw_peer;
mod records;
mod retry;
mod rings;
mod secrets;
mod service;
mod signals;
mod stopping;
mod strangers;
mod terminal;
mod transfer;
mod tunnel;
