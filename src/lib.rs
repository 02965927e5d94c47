//! Sealwire: programs that share two keys talk over TCP, encrypted and
//! authenticated, with no certificates and nothing to set up.
//!
//! The wire is described in `docs/PROTOCOL.md`, the structure in
//! `docs/ARCHITECTURE.md`. Each layer uses only those below it:
//!
//! ```text
//! cli            what was typed, turned into what can run; what is printed
//! net            real I/O: the mio loop, sockets, stdin and stdout, names, signals
//! modes          chat, echo, sink, relay: what is done with messages
//! endpoint       many peers and locals, no I/O: slots, the tick, bounds, timers
//! conn           one peer, no I/O: handshake, sequences, epochs, completion
//! wire | crypto  bytes and layouts, no keys | keys and kernels, no layouts
//! error, limits, span, time                 serve all
//! ```
//!
//! # For your own program
//!
//! One connection: a [`conn::session::Session`] takes bytes and gives events. It
//! opens no socket and reads no clock, so it fits any kind of I/O:
//!
//! ```
//! use std::sync::Arc;
//! use sealwire::conn::Connection;
//! use sealwire::conn::session::{Event, Session};
//! use sealwire::crypto::dh::Private;
//! use sealwire::crypto::keys::Identity;
//! use sealwire::crypto::secret::{Secret, SecretPair};
//! use sealwire::time::Time;
//!
//! let secrets = SecretPair {
//!     confkey: Secret::new(vec![1; 32]), // in earnest: 32 random bytes each,
//!     authkey: Secret::new(vec![2; 32]), // the same on both sides
//! };
//! let identity = Arc::new(Identity::new(&secrets).expect("32 bytes each"));
//! let fresh = || Private::new(rand::random()); // for every connection
//!
//! let now = Time::ZERO; // from your clock, in nanoseconds
//! let client = Connection::client(identity.clone(), fresh(), now);
//! let server = Connection::server(identity, fresh(), now);
//! let (mut client, mut server) = (Session::new(client, 16 << 20), Session::new(server, 16 << 20));
//!
//! // What one puts into its output goes over your socket to the other.
//! let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
//! client.start(now, &mut to_server); // its hello
//! server.receive(now, &to_server, &mut to_client); // the answer
//! to_server.clear();
//! client.receive(now, &to_client, &mut to_server); // now it knows the server
//! assert_eq!(client.poll_event(), Some(Event::Open));
//!
//! client.send(now, b"hello", &mut to_server);
//! to_client.clear();
//! server.receive(now, &to_server, &mut to_client);
//! assert_eq!(server.poll_event(), Some(Event::Open));
//! assert_eq!(server.poll_event(), Some(Event::Message(b"hello".to_vec())));
//! ```
//!
//! Many connections: an [`endpoint::Endpoint`] with a [mode](endpoint::mode::Mode)
//! of your own, on [`net::event_loop::EventLoop`] or on your own I/O through
//! [`endpoint::transport::Transport`].

pub mod cli;
pub mod conn;
pub mod crypto;
pub mod endpoint;
pub mod error;
pub mod limits;
pub mod modes;
pub mod net;
pub mod span;
pub mod time;
pub mod wire;
