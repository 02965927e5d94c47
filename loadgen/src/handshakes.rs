//! How long handshakes take: each of them, and all together.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use sealwire::endpoint::transport::PeerId;

use crate::times;

/// The handshakes of a run.
#[derive(Debug)]
pub(crate) struct Handshakes {
    /// The first connection; its name was looked up before.
    began: Instant,
    last_joined: Instant,
    /// When the others were begun that are not done.
    under_way: HashMap<PeerId, Instant>,
    times: Histogram<u64>,
}

impl Handshakes {
    /// The first connection is there, and its handshake begins.
    pub(crate) fn begin() -> Self {
        let now = Instant::now();
        Self {
            began: now,
            last_joined: now,
            under_way: HashMap::new(),
            times: times::histogram(),
        }
    }

    /// `peer`, another one, has been connecting since `at`.
    pub(crate) fn connecting(&mut self, peer: PeerId, at: Instant) {
        self.under_way.insert(peer, at);
    }

    /// The handshake with `peer` is done.
    pub(crate) fn joined(&mut self, peer: PeerId) {
        let began = self.under_way.remove(&peer).unwrap_or(self.began);
        self.last_joined = Instant::now();
        let nanos = (self.last_joined - began).as_nanos();
        self.times.saturating_record(nanos as u64);
    }

    /// From the first connection to the last that joined.
    pub(crate) fn took(&self) -> Duration {
        self.last_joined - self.began
    }

    /// Of each that was done: from connecting to joined; nanoseconds.
    pub(crate) fn times(&self) -> &Histogram<u64> {
        &self.times
    }
}
