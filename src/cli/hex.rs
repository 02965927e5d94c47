//! Hex digits to secret bytes and back, by `base16ct`: no branch and no table index depends on
//! a digit. Whether all digits are valid is no secret.

use sealwire::crypto::secret::Secret;

/// The bytes that `digits` stand for; `None` if one is no hex digit, or one is left over.
pub(super) fn decode(digits: &[u8]) -> Option<Secret> {
    let mut bytes = vec![0; digits.len() / 2];
    let is_hex = base16ct::mixed::decode(digits, &mut bytes).is_ok();
    let bytes = Secret::new(bytes);
    is_hex.then_some(bytes)
}

/// Appends the digits of `bytes`, in lower case.
pub(super) fn encode(bytes: &[u8], digits: &mut Vec<u8>) {
    let start = digits.len();
    digits.resize(start + base16ct::encoded_len(bytes), 0);
    base16ct::lower::encode(bytes, &mut digits[start..]).expect("room for two digits a byte");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Goal: every byte means as a digit what the standard library says, in either place; a
    /// digit left over is refused.
    #[test]
    fn digits_agree_with_the_standard_library() {
        for byte in 0..=u8::MAX {
            let expected = char::from(byte).to_digit(16).map(|value| value as u8);
            let decoded = |digits: [u8; 2]| decode(&digits).map(|bytes| bytes.expose()[0]);
            assert_eq!(decoded([b'0', byte]), expected, "{byte:#04x}");
            assert_eq!(decoded([byte, b'0']), expected.map(|value| value << 4));
        }
        assert!(decode(b"abc").is_none());
    }

    /// Goal: encoding appends lower case that decodes to the same bytes.
    #[test]
    fn round_trip() {
        let bytes: Vec<u8> = (0..=u8::MAX).collect();
        let mut digits = b"key ".to_vec();
        encode(&bytes, &mut digits);
        assert!(digits.starts_with(b"key 000102") && digits.ends_with(b"fdfeff"));
        assert_eq!(decode(&digits[4..]).unwrap().expose(), bytes);
    }
}
