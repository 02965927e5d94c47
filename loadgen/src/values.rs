//! Values of options, as people type them: counts, sizes, times, addresses.
//!
//! A refusal never shows what was typed: it may be a key in the wrong place. clap names the
//! option. Read next: [`crate::args`].

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::time::Duration;

use clap::ValueEnum;
use sealwire::Limits;
use sealwire::net::address::{self, missing_zone};
use sealwire_cli::units;

use crate::limits::{MAX_DURATION, MAX_RATE};
use crate::plan::Rate;

/// What a choice is called on the command line and in reports.
pub(crate) fn name(choice: impl ValueEnum) -> String {
    let value = choice.to_possible_value().expect("no choice is hidden");
    value.get_name().to_owned()
}

pub(crate) fn count(text: &str) -> Result<usize, String> {
    match text.parse::<u32>() {
        Ok(0) => Err("at least 1 is wanted".into()),
        Ok(count) => Ok(count as usize),
        Err(_) => Err("a number is wanted".into()),
    }
}

/// Messages per second; `k` behind a number is thousands.
pub(crate) fn rate(text: &str) -> Option<f64> {
    let (digits, factor) = match text.strip_suffix(['k', 'K']) {
        Some(digits) => (digits, 1000.0),
        None => (text, 1.0),
    };
    let rate = digits.parse::<f64>().ok()? * factor;
    (rate > 0.0 && rate <= MAX_RATE).then_some(rate)
}

/// A range of rates.
pub(crate) fn rates(text: &str) -> Result<Rate, String> {
    let range = text.split_once("..");
    let range = range.and_then(|(from, to)| Some((rate(from)?, rate(to)?)));
    let range = range.filter(|(from, to)| from < to);
    let range = range.map(|(from, to)| Rate { from, to });
    range.ok_or_else(|| {
        format!("two rates of at most {MAX_RATE:.0} are wanted, the lower first, such as 10k..200k")
    })
}

/// The bytes of a message, with or without a unit.
pub(crate) fn size(text: &str) -> Result<usize, String> {
    let most = Limits::default().max_message;
    let size = units::size(text).filter(|size| *size <= most);
    size.ok_or_else(|| {
        let most = most >> 20;
        format!("a size from 0 to {most}m is wanted, such as 64, 16k or 1m")
    })
}

/// A time, with or without a point, in seconds unless it has a unit.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let parse = || {
        let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = units::time(&format!("1{}", &text[number.len()..]))?;
        // Neither signs nor exponents.
        let plain = number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let number = number.parse::<f64>().ok().filter(|_| plain)?;
        let time = Duration::try_from_secs_f64(unit.as_secs_f64() * number).ok()?;
        (time <= MAX_DURATION).then_some(time)
    };
    parse().ok_or_else(|| {
        let most = MAX_DURATION.as_secs();
        format!("a time of at most {most} s is wanted, such as 5s, 1.5s, 500ms or 1m")
    })
}

/// A host and its port; an IPv6 address is in brackets.
pub(crate) fn host_and_port(text: &str) -> Result<(String, u16), String> {
    let parse = || {
        let (host, port) = text.rsplit_once(':')?;
        let port = port.parse().ok().filter(|&port| port != 0)?;
        let clear = !host.contains(':') || host.starts_with('[') && host.ends_with(']');
        (clear && !host.is_empty()).then(|| (host.to_owned(), port))
    };
    parse().ok_or("HOST:PORT is wanted, such as example.org:9999 or [::1]:9999".into())
}

/// An address to connect from, with a zone where it needs one, as in `fe80::1%eth0`.
pub(crate) fn source(text: &str) -> Result<SocketAddr, String> {
    let (address, zone) = address::parse(text).ok_or("an IP address is wanted")?;
    if zone.is_none() {
        let source = SocketAddr::from((address, 0));
        return missing_zone(source).map_or(Ok(source), Err);
    }
    // Only the system knows the numbers of its interfaces; it looks up no name here.
    let zoned = (text, 0).to_socket_addrs();
    let zoned = zoned.ok().and_then(|mut all| all.next());
    zoned.ok_or("no interface has the name behind the %".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: times are taken as people type them. Method: each unit, with and without a point.
    #[test]
    fn times() {
        for (text, millis) in [
            ("5", 5000),
            ("1.5", 1500),
            ("1.5s", 1500),
            ("500ms", 500),
            ("0.25ms", 0),
            ("1m", 60_000),
            ("0.5m", 30_000),
            ("1h", 3_600_000),
        ] {
            let time = duration(text).unwrap();
            assert_eq!(time.as_millis(), millis, "{text}");
        }
        assert_eq!(duration("0.25ms"), Ok(Duration::from_micros(250)));
    }
}
