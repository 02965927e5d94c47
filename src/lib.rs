//! Sealwire: programs that share two keys talk over TCP, encrypted and
//! authenticated, with no certificates and nothing to set up.
//!
//! The wire is described in `docs/PROTOCOL.md`, the structure in
//! `docs/ARCHITECTURE.md`. Each layer uses only those below it:
//!
//! ```text
//! net            real I/O: the mio loop, sockets, inherited descriptors, names, signals
//! modes          chat, echo, sink, relay: what is done with messages
//! endpoint       many peers and locals, no I/O: slots, the tick, bounds, timers
//! classic        one peer of the old program's format, no I/O
//! conn           one peer, no I/O: handshake, sequences, epochs, completion
//! wire | crypto  bytes and layouts, no keys | keys and kernels, no layouts
//! error, limits, span, text, time           serve all
//! ```
//!
//! # For your own program
//!
//! One connection: a [`conn::session::Session`] takes bytes and gives events. It
//! opens no socket and reads no clock, so it fits any kind of I/O. `README.md` has
//! an example, which is run as a test.
//!
//! Many connections: an [`endpoint::Endpoint`] with a [mode](endpoint::mode::Mode)
//! of your own, on [`net::event_loop::EventLoop`] or on your own I/O through
//! [`endpoint::transport::Transport`].

pub mod classic;
pub mod conn;
pub mod crypto;
pub mod endpoint;
pub mod error;
pub mod limits;
pub mod modes;
#[cfg(feature = "net")]
pub mod net;
pub mod span;
pub mod text;
pub mod time;
pub mod wire;

/// The examples of the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
