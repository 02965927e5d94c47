//! What came of the connections of a group: how many there were, how they ended, and how long
//! they lived.
//!
//! Whether that is as it should be is decided in [`super::expect`].

use std::collections::BTreeMap;
use std::fmt;
use std::ops::AddAssign;
use std::time::Duration;

use hdrhistogram::Histogram;
use sealwire::Reason;
use serde::{Serialize, Serializer};

use super::expect;
use super::kind::Group;
use crate::measure::{json, quantile};
use crate::plan::ServerMode;

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The server closed it.
    Closed,
    /// The server reset it.
    Reset,
    /// The server sent ABORT.
    Aborted(Reason),
    /// The server refused to connect.
    Refused,
    /// The network failed.
    Failed,
    /// Its own peer ended it, as that kind does.
    Left,
    /// It was there when the run ended.
    Open,
    /// TCP had not connected it when the run ended.
    Connecting,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "closed",
            Self::Reset => "reset",
            Self::Aborted(reason) => return write!(f, "aborted ({reason})"),
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Left => "left by themselves",
            Self::Open => "open",
            Self::Connecting => "connecting",
        })
    }
}

/// What a connection came to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) end: End,
    /// Since TCP connected it, if it did.
    pub(super) lived: Option<Duration>,
    /// Since it did what the server must end it for, if it did.
    pub(super) since: Option<Duration>,
    /// The server has answered its first record.
    pub(super) proved: bool,
    /// Bytes that came, those of them after that, and bytes that left.
    pub(super) heard: u64,
    pub(super) after: u64,
    pub(super) said: u64,
}

/// What came of a group.
///
/// Invariant, once the run has ended: `made` is the sum of `ends`.
#[derive(Debug, Serialize)]
pub(crate) struct Account {
    #[serde(flatten)]
    pub(crate) group: Group,
    /// Connections that were begun.
    pub(crate) made: u64,
    /// Connections that this machine could not begin.
    pub(crate) not_begun: u64,
    #[serde(serialize_with = "by_name")]
    pub(crate) ends: Vec<(End, u64)>,
    /// How long those lived that have ended.
    #[serde(rename = "lived_ns", serialize_with = "json::times")]
    pub(crate) lived: Histogram<u64>,
    /// What was not as it should be, and how many times.
    pub(crate) misfits: BTreeMap<&'static str, u64>,
}

impl Account {
    pub(crate) fn new(group: Group) -> Self {
        Self {
            group,
            made: 0,
            not_begun: 0,
            ends: Vec::new(),
            lived: quantile::histogram(),
            misfits: BTreeMap::new(),
        }
    }

    /// Counts a connection that has ended.
    pub(super) fn count(&mut self, seen: &Seen, mode: ServerMode) {
        self.add_end(seen.end, 1);
        if let Some(lived) = seen.lived.filter(|_| seen.end != End::Open) {
            self.lived.saturating_record(lived.as_nanos() as u64);
        }
        if let Some(why) = expect::misfit(self.group.kind, mode, seen) {
            *self.misfits.entry(why).or_default() += 1;
        }
    }

    /// For tests: `count` connections that the server closed.
    #[cfg(test)]
    pub(crate) fn closed(&mut self, count: u64) {
        self.add_end(End::Closed, count);
    }

    fn add_end(&mut self, end: End, more: u64) {
        match self.ends.iter_mut().find(|(known, _)| *known == end) {
            Some((_, count)) => *count += more,
            None => self.ends.push((end, more)),
        }
    }

    /// Whether every connection is accounted for, once.
    pub(crate) fn holds(&self) -> bool {
        self.made == self.ends.iter().map(|(_, count)| count).sum::<u64>()
    }

    pub(crate) fn is_as_it_should_be(&self) -> bool {
        self.misfits.is_empty()
    }
}

impl AddAssign<&Self> for Account {
    fn add_assign(&mut self, other: &Self) {
        self.made += other.made;
        self.not_begun += other.not_begun;
        for &(end, count) in &other.ends {
            self.add_end(end, count);
        }
        self.lived += &other.lived;
        for (why, count) in &other.misfits {
            *self.misfits.entry(why).or_default() += count;
        }
    }
}

fn by_name<S: Serializer>(ends: &[(End, u64)], to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(ends.iter().map(|(end, count)| (end.to_string(), count)))
}
