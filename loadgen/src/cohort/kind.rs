//! Which kinds of misbehaving peers there are, and how a group of them is typed.
//!
//! What a peer of each kind does is in [`super::actor`]; how the server should end it, in
//! [`super::expect`].

use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;
use serde::Serialize;

use crate::limits::{MAX_COHORT, MAX_COHORT_RATE};
use crate::values::name;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum BadKind {
    /// Connects, and sends nothing.
    Silent,
    /// Sends a valid hello, then its first record byte by byte, slower than the deadline.
    Drip,
    /// Sends half of a valid hello.
    HalfHello,
    /// Sends a hello of the right form with a wrong tag.
    BadHello,
    /// Sends a valid hello that another connection has sent before.
    ReplayHello,
    /// Is proved, and reads a trickle; if the server echoes, it sends and reads nothing.
    SlowReader,
    /// Is proved, and sends a message that never ends, byte by byte, each record in time.
    SlowWriter,
    /// Is proved, sends PINGs without a pause, and reads nothing.
    PingFlood,
    /// Is proved, then sends a record with a wrong tag.
    BadTag,
    /// Is proved, then sends the length of a record that is too long.
    Oversize,
    /// Is proved, then sends a message above any limit, without its end.
    HugeMessage,
    /// Is proved, then sends half a record and resets the connection.
    ResetMidRecord,
}

impl BadKind {
    /// Whether it proves that it holds the keys before it misbehaves.
    pub(crate) fn proves_itself(self) -> bool {
        !matches!(
            self,
            Self::Silent | Self::Drip | Self::HalfHello | Self::BadHello | Self::ReplayHello
        )
    }

    /// Whether another peer comes in the place of one that has ended. Kinds that may stay are
    /// tried once: if the server ends one, that is the result.
    pub(crate) fn comes_again(self) -> bool {
        !matches!(self, Self::SlowReader | Self::SlowWriter | Self::PingFlood)
    }

    /// Whether it needs no more of the server than 80 bytes read and the connection closed. So a
    /// plain server can stand in as a control.
    pub(crate) fn has_control(self) -> bool {
        matches!(self, Self::BadHello | Self::ReplayHello)
    }
}

/// Peers of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Group {
    pub(crate) kind: BadKind,
    /// How many there are at once.
    pub(crate) count: usize,
    /// How many connections they begin in a second, if that was typed.
    #[serde(rename = "rate_per_second")]
    pub(crate) rate: Option<f64>,
}

impl FromStr for Group {
    type Err = String;

    /// Takes `KIND:N` or `KIND:N@RATE/s`; `k` behind a rate is thousands.
    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        let Ok(kind) = BadKind::from_str(kind, false) else {
            let names = BadKind::value_variants().iter().map(|&kind| name(kind));
            let names = names.collect::<Vec<_>>().join(", ");
            return Err(format!("KIND:N is wanted; the kinds are {names}"));
        };
        let (count, rate) = match rest.split_once('@') {
            Some((count, rate)) => (count, Some(rate)),
            None => (rest, None),
        };
        let count = count.parse().ok();
        let Some(count) = count.filter(|count| (1..=MAX_COHORT).contains(count)) else {
            return Err(format!("KIND:N is wanted, with N from 1 to {MAX_COHORT}"));
        };
        let rate = rate.map(|text| per_second(text).ok_or_else(rate_wanted));
        let rate = rate.transpose()?;
        if rate.is_some() && !kind.comes_again() {
            return Err("a rate goes with kinds that come again after they were ended".into());
        }
        Ok(Self { kind, count, rate })
    }
}

fn per_second(text: &str) -> Option<f64> {
    let text = text.strip_suffix("/s").unwrap_or(text);
    let (digits, factor) = match text.strip_suffix(['k', 'K']) {
        Some(digits) => (digits, 1000.0),
        None => (text, 1.0),
    };
    let rate = digits.parse::<f64>().ok()? * factor;
    (rate > 0.0 && rate <= MAX_COHORT_RATE).then_some(rate)
}

fn rate_wanted() -> String {
    format!("KIND:N@RATE/s is wanted, with at most {MAX_COHORT_RATE} connections a second")
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", name(self.kind), self.count)?;
        self.rate.map_or(Ok(()), |rate| write!(f, "@{rate}/s"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a group is taken in each of its forms, and shown as it is typed. Method: every
    /// kind; a rate with and without its unit and thousands.
    #[test]
    fn groups() {
        for &kind in BadKind::value_variants() {
            let text = format!("{}:7", name(kind));
            let (count, rate) = (7, None);
            let group = Group { kind, count, rate };
            assert_eq!(text.parse(), Ok(group));
            assert_eq!(group.to_string(), text);
        }
        for text in [
            "silent:5@2000/s",
            "silent:5@2k/s",
            "silent:5@2000",
            "silent:5@2K",
        ] {
            let group: Group = text.parse().unwrap();
            assert_eq!((group.count, group.rate), (5, Some(2000.0)), "{text}");
            assert_eq!(group.to_string(), "silent:5@2000/s");
        }
    }

    /// Goal: what is malformed or out of range is refused, and the text says what is wanted.
    /// Method: values of each kind.
    #[test]
    fn refusals() {
        for (text, told) in [
            ("", "the kinds are silent, drip, half-hello"),
            ("loud:1", "the kinds are"),
            ("silent", "with N from 1"),
            ("silent:", "with N from 1"),
            ("silent:0", "with N from 1"),
            ("silent:-1", "with N from 1"),
            ("silent:99999999999", "with N from 1"),
            ("silent:1@", "RATE/s is wanted"),
            ("silent:1@0", "RATE/s is wanted"),
            ("silent:1@nan", "RATE/s is wanted"),
            ("silent:1@1e9", "RATE/s is wanted"),
            ("silent:1@5/min", "RATE/s is wanted"),
            (
                "slow-reader:1@5/s",
                "a rate goes with kinds that come again",
            ),
        ] {
            let why = text.parse::<Group>().unwrap_err();
            assert!(why.contains(told), "{text}: {why}");
        }
    }
}
