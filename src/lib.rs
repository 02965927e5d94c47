//! Sealwire: programs that share two keys talk over TCP, encrypted and
//! authenticated, with no certificates and nothing to set up.
//!
//! # One connection
//!
//! A [`Session`] takes bytes and gives events. It opens no socket and reads no clock, so
//! it fits any kind of I/O. `README.md` has an example, which runs as a test.
//!
//! # Many connections
//!
//! An [`Endpoint`] serves many peers with a [`Mode`] of your own, or one of ours
//! ([`Echo`], [`Relay`], [`Sink`], [`Chat`], [`Tunnel`]). [`EventLoop`] drives it over sockets
//! (feature `net`); a [`Transport`] of your own drives it over anything else.
//!
//! # Features
//!
//! - `net` (default): real sockets, names and signals.
//! - `classic` (default): the format of the Python program that came before.
//! - `internals`: doors for tests and benches, such as peers without a handshake.
//!
//! # Layers
//!
//! Each layer uses only those below it. `docs/ARCHITECTURE.md` is the map, and
//! `docs/PROTOCOL.md` the wire.
//!
//! ```text
//! net            real I/O: the mio loop, sockets, inherited descriptors, names, signals
//! modes          chat, echo, sink, relay, tunnel: what is done with messages
//! endpoint       many peers and locals, no I/O: a tick over parts that own their state
//! classic        one peer of the old program's format, no I/O
//! conn           one peer, no I/O: handshake, sequences, epochs, completion
//! wire | crypto  bytes and layouts, no keys | keys and kernels, no layouts
//! error, limits, span, text, time           serve all
//! ```
// Hidden modules promise nothing: they are for the project's own programs and tests.
#[doc(hidden)]
pub mod classic;
#[doc(hidden)]
pub mod conn;
#[doc(hidden)]
pub mod crypto;
#[doc(hidden)]
pub mod endpoint;
#[doc(hidden)]
pub mod error;
#[doc(hidden)]
pub mod limits;
#[doc(hidden)]
pub mod modes;
#[cfg(feature = "net")]
#[doc(hidden)]
pub mod net;
#[doc(hidden)]
pub mod span;
#[doc(hidden)]
pub mod text;
#[doc(hidden)]
pub mod time;
#[doc(hidden)]
pub mod wire;

#[cfg(feature = "classic")]
pub use classic::ClassicKeys;
pub use conn::Outcome;
pub use conn::session::{Session, SessionEvent};
pub use crypto::choice::KernelError;
pub use crypto::kernel::Kernel;
pub use crypto::keys::Identity;
pub use crypto::secret::{Secret, SecretPair};
pub use endpoint::mode::{HandedOn, Message, Mode, Receivers};
pub use endpoint::transport::{LocalId, Origin, PeerId, Read, Transport};
pub use endpoint::{
    Context, Cut, End, Endpoint, EndpointEvent, InputKind, Leaves, Notice, OutputKind, Setup, Stats,
};
pub use error::{Abort, Deadline, Failure, Gravity, PeerFault, ReadError, Reason};
pub use limits::Limits;
pub use modes::chat::Chat;
pub use modes::echo::Echo;
pub use modes::relay::Relay;
pub use modes::sink::Sink;
pub use modes::tunnel::Tunnel;
#[cfg(feature = "net")]
pub use net::{
    clock::Clock,
    error::Error as NetError,
    event_loop::{EventLoop, Report},
    listener::Listener,
    place::Place,
};
pub use time::Time;
pub use wire::hello::Service;

/// The examples of the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
