//! Sealwire: programs that share two keys talk over TCP, encrypted and
//! authenticated, with no certificates and nothing to set up.
//!
//! # Where to begin
//!
//! - **One connection:** a [`Session`] takes bytes and gives events. It opens no socket and
//!   reads no clock, so it fits [any kind of I/O](examples::own_transport), also
//!   [async](examples::over_tokio).
//! - **Many connections:** an [`Endpoint`] serves many peers with a [`Mode`] of your own, or
//!   one of ours ([`Echo`], [`Relay`], [`Sink`], [`Chat`], [`Tunnel`]). [`EventLoop`] drives it
//!   [over sockets](examples::own_mode) (feature `net`); a [`Transport`] of your own drives it
//!   over anything else. Peers may share one key, or prove keys of their own, in a [`KeyRing`]
//!   that can be replaced while it serves.
//! - **No connection:** a [`batch`] seals and opens [records alone](examples::batches).
//!
//! [`examples`] has a whole program for each.
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
pub use crypto::ring::{Key, KeyRing};
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

/// Records alone: sealed and opened in batches, under any keys, without a connection.
///
/// Put [`SealJob`](batch::SealJob)s into a [`SealBatch`](batch::SealBatch), and
/// [`OpenJob`](batch::OpenJob)s into an [`OpenBatch`](batch::OpenBatch); a
/// [`KeyStore`](batch::KeyStore) has the keys of one direction. [`examples::batches`] is a
/// program that does. The caller keeps three promises that a connection would keep for it:
///
/// - a secret is random, and serves one direction;
/// - a sequence is sealed once under its secret: twice would show which payloads are alike;
/// - a receiver takes each sequence once, in the order that it expects.
pub mod batch {
    pub use crate::crypto::batch::{OpenBatch, OpenJob, SealBatch, SealJob};
    pub use crate::crypto::keys::{Handle, KeyId, KeyStore, OpenKeys, RecordKeys, SealKeys};
    pub use crate::span::{Area, Areas, AreasMut, Span};
    pub use crate::wire::record::{blocks_for, body_len};
}

/// Whole programs, which are in the folder `examples` and run as tests:
/// `cargo run --example own_mode`.
#[cfg(any(doc, doctest))]
pub mod examples {
    macro_rules! program {
        ($name:ident, $what:literal, $file:literal) => {
            #[doc = concat!($what, "\n\n```\n", include_str!($file), "```")]
            pub mod $name {}
        };
    }
    program!(
        own_transport,
        "A connection over a transport of one's own.",
        "../examples/own_transport.rs"
    );
    program!(
        over_tokio,
        "A connection in an async program.",
        "../examples/over_tokio.rs"
    );
    program!(
        own_mode,
        "A server with a mode of one's own.",
        "../examples/own_mode.rs"
    );
    program!(
        batches,
        "Records sealed in batches, without a connection.",
        "../examples/batches.rs"
    );
}

/// The examples of the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
