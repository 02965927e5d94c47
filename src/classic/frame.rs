//! The layout of a classic frame (`PROTOCOL.md` §2), and how text is cut into
//! frames.
//!
//! The ciphers and tags are [`super::ClassicKeys`]; what frames mean in sequence is
//! [`super::ClassicConnection`].

use crate::error::PeerFault;
use crate::limits::CLASSIC_TEXT;

/// Where the first ciphertext, the length, starts: behind the IV.
pub const LENGTH: usize = 16;
/// Where the first tag starts.
pub const LENGTH_TAG: usize = 32;
/// Where the second ciphertext, the text, starts.
pub const TEXT: usize = 64;
/// Bytes of a tag.
pub const TAG: usize = 32;
/// Allowed lengths of the second ciphertext: 15 characters of up to 4 bytes.
pub const TEXT_LENS: [usize; 4] = [16, 32, 48, 64];

/// Reads a decrypted length: 1 to 15 ASCII digits, no leading zero, at least 1.
pub fn parse_length(digits: &[u8]) -> Result<u64, PeerFault> {
    let plain = (1..=CLASSIC_TEXT).contains(&digits.len())
        && digits[0] != b'0'
        && digits.iter().all(u8::is_ascii_digit);
    if !plain {
        return Err(PeerFault::ClassicFrame);
    }
    Ok(digits
        .iter()
        .fold(0, |n, digit| n * 10 + u64::from(digit - b'0')))
}

/// The longest prefix of `text` that one frame of ours carries: at most 15
/// bytes, and no character cut.
pub fn first_frame(text: &str) -> &str {
    let mut end = text.len().min(CLASSIC_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
