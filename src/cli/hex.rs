//! Hex digits to secret bytes and back.
//!
//! Arithmetic alone: no table that is indexed by a secret and no branch on one,
//! so that neither the cache nor the time tells what a key is. Whether all
//! digits were valid is no secret.

use sealwire::crypto::secret::Secret;

/// The bytes that `digits` stand for; `None` when one is no hex digit, or one is
/// left over.
pub(super) fn decode(digits: &[u8]) -> Option<Secret> {
    let (pairs, rest) = digits.as_chunks::<2>();
    let mut bytes = Vec::with_capacity(pairs.len());
    let mut signs = 0;
    for &[high, low] in pairs {
        let (high, low) = (value(high), value(low));
        signs |= high | low;
        bytes.push(((high << 4) | (low & 15)) as u8);
    }
    let bytes = Secret::new(bytes);
    (rest.is_empty() && signs >= 0).then_some(bytes)
}

/// Appends the digits of `bytes`, in lower case.
pub(super) fn encode(bytes: &[u8], digits: &mut Vec<u8>) {
    for &byte in bytes {
        digits.extend([digit(byte >> 4), digit(byte & 15)]);
    }
}

/// What a digit stands for; -1 when it is none.
fn value(digit: u8) -> i16 {
    let c = i16::from(digit);
    // Both differences are negative, and so all ones above their low byte, just
    // between the two bounds; elsewhere one of them is zero there.
    let within = |below: u8, above: u8| ((i16::from(below) - c) & (c - i16::from(above))) >> 8;
    let mut value = -1;
    value += within(b'0' - 1, b'9' + 1) & (c - i16::from(b'0') + 1);
    value += within(b'A' - 1, b'F' + 1) & (c - i16::from(b'A') + 11);
    value += within(b'a' - 1, b'f' + 1) & (c - i16::from(b'a') + 11);
    value
}

/// The digit of a value below 16.
fn digit(value: u8) -> u8 {
    let value = i16::from(value);
    // All ones above 9, where the letters begin.
    let letter = (9 - value) >> 8;
    (i16::from(b'0') + value + (letter & i16::from(b'a' - b'9' - 1))) as u8
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    /// Goal: every byte has the value as a digit that the standard library gives it.
    #[test]
    fn digits_agree_with_the_standard_library() {
        for byte in 0..=u8::MAX {
            let expected = char::from(byte).to_digit(16);
            assert_eq!(u32::try_from(value(byte)).ok(), expected, "{byte:#04x}");
        }
    }

    /// Goal: a byte that is no digit, at any place, and an odd number of digits are refused.
    #[test]
    fn what_is_not_hex_is_refused() {
        for place in 0..64 {
            let mut digits = [b'a'; 64];
            digits[place] = b'g';
            assert!(decode(&digits).is_none(), "place {place}");
        }
        assert!(decode(b"abc").is_none());
    }

    proptest! {
        /// Goal: bytes decode from their encoding, in either case.
        #[test]
        fn round_trip(bytes: Vec<u8>) {
            let mut digits = Vec::new();
            encode(&bytes, &mut digits);
            prop_assert!(decode(&digits).unwrap().expose() == bytes);
            digits.make_ascii_uppercase();
            prop_assert!(decode(&digits).unwrap().expose() == bytes);
        }
    }
}
