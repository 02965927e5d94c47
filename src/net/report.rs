//! What happened in a turn of the loop, for its caller.
//!
//! Read next: [`super::event_loop`], which gives these out.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::error::Error;
use super::place::Place;
use super::scrape::Wanted;
use crate::endpoint::EndpointEvent;
use crate::endpoint::transport::PeerId;
use crate::error::Abort;
use crate::time::Time;

/// What happened in a turn, for the caller to act on or to show.
#[derive(Debug)]
#[non_exhaustive]
pub enum Report {
    /// An event of the endpoint.
    Endpoint(EndpointEvent),
    /// A connection that [`dial`](super::event_loop::EventLoop::dial) or
    /// [`connect`](super::event_loop::EventLoop::connect) began is established, since this time;
    /// the handshake comes next.
    Connected(PeerId, Time),
    /// From now on this address takes connections.
    Listening(SocketAddr),
    /// From now on this place takes plain connections: the near end of a tunnel.
    PlainListening(Place),
    /// The plain connection from this address, where it has one, was reset, because the server
    /// cannot be reached.
    Unreachable(Option<SocketAddr>, Error),
    /// The server of a tunnel cannot be reached. Plain connections wait, and it is tried again
    /// after this time.
    Retrying(Error, Duration),
    /// It is reached again.
    ReachedAgain,
    /// This peer has no connection to its target, and is told so by this ABORT. The text has the
    /// whole reason, which is for our user alone.
    NoTarget(PeerId, Abort, String),
    /// This signal asks us to leave.
    Stopping(i32),
    /// SIGHUP, where it does [not stop](super::event_loop::EventLoop::serve_on_hangup) the
    /// endpoint.
    HungUp,
    /// SIGUSR1: the user wants statistics.
    StatisticsWanted,
    /// A monitoring system waits for figures, as text.
    MetricsWanted(Wanted),
    /// Connections wait, and this machine has no descriptors or memory for them.
    /// Nothing more is said of it before [`CanAccept`](Self::CanAccept).
    CannotAccept(io::Error),
    /// Connections are accepted again.
    CanAccept,
}
