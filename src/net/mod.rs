//! Real I/O: the loop, and the pieces of the program that touch the operating
//! system.
//!
//! [`event_loop`] drives an endpoint over `sockets`. Below it each file knows one
//! thing: [`clock`]; [`signals`]; the standard descriptors ([`inherited`]); lines for people ([`log`]); waking to the microsecond ([`alarm`]); the descriptor
//! limit ([`rlimit`]); how long ticks take ([`ticks`]); one connection ([`stream`]); a server's socket ([`listen`])
//! and taking who comes to it ([`accept`]); a client's way to a connection (`dial`);
//! stdin and stdout (`local`, over `descriptor` and `helper`); how addresses are shown ([`address`]). None of those knows
//! peers, keys or messages, and none blocks the thread that calls it, but for the
//! binding of a listener, which is done before anything is served. The load tester
//! uses some of them for what it compares us with.
//!
//! Readiness is edge-triggered throughout: after an event, go on until
//! `WouldBlock`, or until a [`Read`](crate::endpoint::transport::Read) says
//! that nothing more is there.

pub mod accept;
pub mod address;
pub mod alarm;
pub mod clock;
mod descriptor;
mod dial;
pub mod event_loop;
mod helper;
pub mod inherited;
pub mod listen;
mod local;
pub mod log;
mod lookup;
pub mod rlimit;
pub mod signals;
mod sockets;
pub mod stream;
#[cfg(test)]
mod testing;
pub mod ticks;
