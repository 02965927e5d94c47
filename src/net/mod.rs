//! Real I/O: the loop, and the pieces that touch the operating system.
//!
//! [`event_loop`] drives an endpoint over `sockets`, and [`report`] says what happened. Below it
//! each file knows one thing:
//!
//! - time: the [`clock`], waking to the microsecond ([`alarm`]), how long `ticks` take
//! - a connection ([`stream`]), a server's socket ([`listener`], [`accept`]), a client's way
//!   to a connection (`dial`, `lookup`), how people write addresses ([`address`])
//! - a tunnel's plain side (`plain`), where that is ([`place`]), the connections that are being
//!   made for it (`dials`, `names`), when to try again ([`backoff`]); `tunnel` joins them to the
//!   endpoint
//! - inherited descriptors (`local`, over [`descriptor`] and `helper`), how many of them
//!   there may be ([`rlimit`])
//! - what the machine has ([`machine`]), and how much of it sockets may take (`buffers`)
//! - [`signals`], and a thread that gives figures to a monitoring system ([`scrape`])
//!
//! None of those but `tunnel` knows peers or keys, and none knows messages. None blocks its
//! caller; only a listener's bind may, before the program serves. The load tester uses some of
//! them for the transports that it compares with ours.
//!
//! Readiness is edge-triggered throughout: after an event, go on until
//! `WouldBlock`, or until a [`Read`](crate::endpoint::transport::Read) says
//! that the socket is empty.

pub mod accept;
pub mod address;
pub mod alarm;
pub mod backoff;
mod buffers;
pub mod clock;
pub mod descriptor;
mod dial;
mod dials;
pub mod error;
pub mod event_loop;
mod helper;
pub mod listener;
mod local;
mod lookup;
pub mod machine;
mod names;
pub mod place;
mod plain;
pub mod report;
pub mod rlimit;
pub mod scrape;
pub mod signals;
mod sockets;
pub mod stream;
#[cfg(test)]
mod testing;
pub mod ticks;
mod tunnel;
