//! Sizes and times as people type them.
//!
//! Which of them an option takes, and what a refusal says, is its caller's to know.

use std::time::Duration;

/// A number of bytes with k, m or g behind it, of either case, or none of them.
pub fn size(text: &str) -> Option<usize> {
    let units = [("k", 1 << 10), ("m", 1 << 20), ("g", 1 << 30), ("", 1)];
    scaled(&text.to_ascii_lowercase(), &units)?.try_into().ok()
}

/// The size that `bytes` are, for people: in the largest unit that it reaches, to a tenth.
/// [`size`] takes it where it is whole.
pub fn size_text(bytes: usize) -> String {
    let units = [("g", 30), ("m", 20), ("k", 10)];
    let unit = units.into_iter().find(|&(_, bits)| bytes >> bits > 0);
    let Some((name, bits)) = unit else {
        return bytes.to_string();
    };
    let tenths = (bytes as u128 * 10) >> bits;
    match bytes.is_multiple_of(1 << bits) {
        true => format!("{}{name}", tenths / 10),
        false => format!("{}.{}{name}", tenths / 10, tenths % 10),
    }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Goal: a size is short for people, and one without a fraction means what it meant.
    #[test]
    fn sizes_are_short() {
        for (bytes, text) in [
            (0, "0"),
            (1023, "1023"),
            (1024, "1k"),
            (1536, "1.5k"),
            (17 << 20, "17m"),
            ((4 << 30) - 1, "3.9g"),
            (usize::MAX, "17179869183.9g"),
        ] {
            assert_eq!(size_text(bytes), text);
            if !text.contains('.') {
                assert_eq!(size(text).unwrap(), bytes);
            }
        }
    }
}
