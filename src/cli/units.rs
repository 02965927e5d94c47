//! Sizes and times as people type them.
//!
//! Which of them an option takes, and what a refusal says, is up to its caller.

use std::time::Duration;

/// A number of bytes with k, m or g behind it, or none of them.
pub fn size(text: &str) -> Option<usize> {
    let units = [('k', 10), ('m', 20), ('g', 30)];
    let text = text.to_ascii_lowercase();
    let (digits, shift) = units
        .iter()
        .find_map(|&(unit, shift)| Some((text.strip_suffix(unit)?, shift)))
        .unwrap_or((&text, 0));
    let digits = digits.parse::<usize>().ok();
    digits.and_then(|n| n.checked_mul(1 << shift))
}

/// A time with ms, s, m, h or d behind it, or none of them for seconds.
pub fn time(text: &str) -> Option<Duration> {
    let units = [
        ("ms", 1),
        ("s", 1000),
        ("m", 60_000),
        ("h", 3_600_000),
        ("d", 86_400_000),
    ];
    let (digits, millis) = units
        .iter()
        .find_map(|&(unit, millis)| Some((text.strip_suffix(unit)?, millis)))
        .unwrap_or((text, 1000));
    let digits = digits.parse::<u64>().ok();
    digits
        .and_then(|n| n.checked_mul(millis))
        .map(Duration::from_millis)
}
