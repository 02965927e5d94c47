//! Numbers as people type them: counts, sizes, times, rates.
//!
//! Refusals are one line, name the option, and show no value: it may be a key that
//! went astray.

use std::time::Duration;

use sealwire_cli::error::Error;
use sealwire_cli::units;

use crate::limits::{MAX_DURATION, MAX_RATE};
use crate::plan::Rate;

/// Refuses what was typed.
pub(crate) fn usage<T>(text: impl Into<String>) -> Result<T, Error> {
    Err(Error::Usage(text.into()))
}

/// A number.
pub(crate) fn number<N: std::str::FromStr>(option: &str, text: &str) -> Result<N, Error> {
    text.parse()
        .or_else(|_| usage(format!("{option}: a number is wanted")))
}

/// A number that is not 0.
pub(crate) fn count(option: &str, text: &str) -> Result<usize, Error> {
    match number::<u32>(option, text)? {
        0 => usage(format!("{option}: at least 1 is wanted")),
        count => Ok(count as usize),
    }
}

/// A number of bytes with k, m or g behind it, or none of them.
pub(crate) fn size(option: &str, text: &str, most: usize) -> Result<usize, Error> {
    match units::size(text) {
        Some(bytes) if bytes <= most => Ok(bytes),
        _ => usage(format!(
            "{option}: a size from 0 to {}m is wanted, such as 64, 16k or 1m",
            most >> 20
        )),
    }
}

/// A time, in seconds unless another unit is behind it.
pub(crate) fn time(option: &str, text: &str) -> Result<Duration, Error> {
    match units::time(text) {
        Some(time) if time <= MAX_DURATION => Ok(time),
        _ => usage(format!(
            "{option}: a time of at most {} s is wanted, such as 5s, 500ms or 1m",
            MAX_DURATION.as_secs()
        )),
    }
}

/// Messages per second, or two such numbers to go from one to the other; k behind a
/// number is thousands.
pub(crate) fn rate(option: &str, text: &str) -> Result<Rate, Error> {
    let one = |text: &str| {
        let (digits, factor) = match text.strip_suffix(['k', 'K']) {
            Some(digits) => (digits, 1000.0),
            None => (text, 1.0),
        };
        let rate = digits.parse::<f64>().ok()? * factor;
        (rate > 0.0 && rate <= MAX_RATE).then_some(rate)
    };
    let (from, to) = text.split_once(':').unwrap_or((text, text));
    match (one(from), one(to)) {
        (Some(from), Some(to)) => Ok(Rate { from, to }),
        _ => usage(format!(
            "{option}: messages per second are wanted, at most {MAX_RATE:.0}, such as 50000, 50k \
             or 10k:50k"
        )),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Goal: every form means what it says, and what is none is refused in one line
    /// that names the option.
    #[test]
    fn forms() {
        assert_eq!(count("-c", "7").unwrap(), 7);
        assert_eq!(size("-s", "16K", 1 << 20).unwrap(), 16 << 10);
        assert_eq!(size("-s", "1m", 1 << 20).unwrap(), 1 << 20);
        assert_eq!(time("-d", "1500ms").unwrap(), Duration::from_millis(1500));
        assert_eq!(time("-d", "3").unwrap(), Duration::from_secs(3));
        assert_eq!(rate("-r", "50k").unwrap(), Rate::steady(50_000.0));
        let ramp = Rate {
            from: 0.5,
            to: 2000.0,
        };
        assert_eq!(rate("-r", "0.5:2k").unwrap(), ramp);
        for text in [
            "", "0", "-1", "1:", ":1", "1:2:3", "nan", "inf", "1e12", "k",
        ] {
            let told = rate("-r", text).unwrap_err().to_string();
            assert!(told.starts_with("-r: messages per second"), "{text}");
        }
        assert!(size("-s", "2m", 1 << 20).is_err());
        assert!(time("-d", "3601").is_err());
        assert!(count("-c", "0").is_err());
    }
}
