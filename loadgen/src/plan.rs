//! What is to be run: the load, how it is paced and over what, as checked.
//!
//! Made by [`crate::args`]; read by everyone.

use std::net::SocketAddr;
use std::time::Duration;

/// What a run does with its peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Every message comes back.
    Echo,
    /// Messages go one way, and the end is confirmed.
    Sink,
    /// Publishers' messages go to all subscribers.
    Fanout,
    /// Connections come, say one thing, and go.
    Churn,
    /// Peers are there, and now and then say something.
    Idle,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] = [
        Self::Echo,
        Self::Sink,
        Self::Fanout,
        Self::Churn,
        Self::Idle,
    ];

    /// What it is called on the command line and in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Sink => "sink",
            Self::Fanout => "fanout",
            Self::Churn => "churn",
            Self::Idle => "idle",
        }
    }
}

/// What carries the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    /// The library.
    Sealed,
    /// TCP with no protection: the floor.
    Plain,
    /// rustls, TLS 1.3, AES-256-GCM.
    #[cfg(feature = "tls")]
    Tls,
}

impl Over {
    pub(crate) const ALL: &[Self] = &[
        Self::Sealed,
        Self::Plain,
        #[cfg(feature = "tls")]
        Self::Tls,
    ];

    /// What it is called on the command line and in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sealed => "sealed",
            Self::Plain => "plain",
            #[cfg(feature = "tls")]
            Self::Tls => "tls",
        }
    }
}

/// Messages per second over all peers: from one to the other in the measured
/// time, or the same all the time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rate {
    pub(crate) from: f64,
    pub(crate) to: f64,
}

impl Rate {
    /// One that stays the same.
    pub(crate) fn steady(rate: f64) -> Self {
        let (from, to) = (rate, rate);
        Self { from, to }
    }

    pub(crate) fn is_steady(self) -> bool {
        self.from == self.to
    }

    /// Over the first `part` of the measured time, in which it changes evenly: 1 is
    /// all of it.
    pub(crate) fn mean_until(self, part: f64) -> f64 {
        self.from + (self.to - self.from) * part / 2.0
    }
}

/// How the times at which messages are due are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// Evenly.
    Constant,
    /// As if each were independent of all others.
    Poisson,
}

impl Arrival {
    pub(crate) const ALL: [Self; 2] = [Self::Constant, Self::Poisson];

    /// What it is called on the command line and in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::Poisson => "poisson",
        }
    }
}

/// A load.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    pub(crate) kind: Kind,
    pub(crate) over: Over,
    /// For fanout, those that receive.
    pub(crate) peers: usize,
    /// Of fanout alone.
    pub(crate) publishers: usize,
    /// Bytes of each message.
    pub(crate) size: usize,
    /// Messages of each peer that may be under way at once.
    pub(crate) depth: usize,
    /// Without one, an answer is followed by the next message: a closed loop.
    pub(crate) rate: Option<Rate>,
    pub(crate) arrival: Arrival,
    pub(crate) duration: Duration,
    pub(crate) warmup: Duration,
    /// How long an answer may take.
    pub(crate) timeout: Duration,
    pub(crate) threads: usize,
    /// Addresses of ours to connect from, in turn, with no port; none is up to the system.
    pub(crate) sources: Vec<SocketAddr>,
    /// Where random arrivals start.
    pub(crate) seed: u64,
}

impl Plan {
    /// How many peers send when it is their turn.
    pub(crate) fn senders(&self) -> usize {
        match self.kind {
            Kind::Fanout => self.publishers,
            _ => self.peers,
        }
    }

    /// How many peers there are.
    pub(crate) fn all_peers(&self) -> usize {
        match self.kind {
            Kind::Fanout => self.publishers + self.peers,
            _ => self.peers,
        }
    }

    /// How many peers the first `threads` threads have: shares are as even as can be.
    pub(crate) fn peers_of(&self, threads: usize) -> usize {
        self.all_peers() * threads / self.threads
    }
}
