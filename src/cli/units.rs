//! Sizes and times as people type them.
//!
//! Which of them an option takes, and what a refusal says, is its caller's to know.

use std::time::Duration;

/// A number of bytes with k, m or g behind it, of either case, or none of them.
pub fn size(text: &str) -> Option<usize> {
    let units = [("k", 1 << 10), ("m", 1 << 20), ("g", 1 << 30), ("", 1)];
    scaled(&text.to_ascii_lowercase(), &units)?.try_into().ok()
}

/// A time with ms, s, m, h or d behind it, or none of them for seconds.
pub fn time(text: &str) -> Option<Duration> {
    let units = [
        ("ms", 1),
        ("s", 1000),
        ("m", 60_000),
        ("h", 3_600_000),
        ("d", 86_400_000),
        ("", 1000),
    ];
    scaled(text, &units).map(Duration::from_millis)
}

/// A number, times the first of `units` that is behind it.
fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let mut units = units.iter();
    let (digits, unit) = units.find_map(|(name, unit)| Some((text.strip_suffix(name)?, unit)))?;
    digits.parse::<u64>().ok()?.checked_mul(*unit)
}
