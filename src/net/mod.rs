//! Real I/O: the loop, and the pieces that touch the operating system.
//!
//! [`event_loop`] drives an endpoint over `sockets`. Below it each file knows one
//! thing: the [`clock`]; [`signals`]; the limit on descriptors ([`rlimit`]); waking to the microsecond ([`alarm`]); how long
//! [`ticks`] take; one connection ([`stream`]); a server's socket ([`listen`]) and its
//! newcomers ([`accept`]); a client's way to a connection (`dial`, `lookup`); inherited
//! descriptors (`local`, over [`descriptor`] and `helper`); how addresses are shown
//! ([`address`]). None of those knows peers, keys or messages. None blocks its caller;
//! only a listener's bind may, before anything is served. The load tester uses some of
//! them for the transports that it compares with ours.
//!
//! Readiness is edge-triggered throughout: after an event, go on until
//! `WouldBlock`, or until a [`Read`](crate::endpoint::transport::Read) says
//! that nothing more is there.

pub mod accept;
pub mod address;
pub mod alarm;
pub mod clock;
pub mod descriptor;
mod dial;
pub mod error;
pub mod event_loop;
mod helper;
pub mod listen;
mod local;
mod lookup;
pub mod rlimit;
pub mod signals;
mod sockets;
pub mod stream;
#[cfg(test)]
mod testing;
pub mod ticks;
