//! The classic format: its cipher and tags, its numbers, and how text is cut.

use aes::Aes256;
use cbc::cipher::{BlockModeEncrypt, KeyIvInit, block_padding::Pkcs7};
use hmac::{Hmac, KeyInit, Mac};
use proptest::collection::vec;
use proptest::prelude::*;
use sealwire::classic::ClassicKeys;
use sealwire::classic::frame::{TEXT_LENS, first_frame, parse_length};
use sealwire::crypto::secret::{Secret, SecretPair};
use sealwire::error::PeerFault;
use sealwire::limits::{BLOCK, CLASSIC_TEXT};
use sha2::{Digest, Sha256};
use std::sync::Arc;

fn keys(confkey: &[u8], authkey: &[u8]) -> Arc<ClassicKeys> {
    ClassicKeys::new(&SecretPair {
        confkey: Secret::new(confkey.to_vec()),
        authkey: Secret::new(authkey.to_vec()),
    })
}

proptest! {
    /// Goal: text comes back, and its ciphertext and tag are those of the plain
    /// crates under the two keys of `PROTOCOL.md` §2. Method: keys of any
    /// length, any text that fits a frame.
    #[test]
    fn a_block_goes_round_and_equals_the_plain_crates(
        confkey in vec(any::<u8>(), 1..80),
        authkey in vec(any::<u8>(), 1..80),
        iv: [u8; BLOCK],
        text in vec(any::<u8>(), 0..=CLASSIC_TEXT),
    ) {
        let keys = keys(&confkey, &authkey);
        let mut block = [0; BLOCK];
        keys.encrypt(&iv, &text, &mut block);

        let mut plain = [0; BLOCK];
        plain[..text.len()].copy_from_slice(&text);
        let cipher = cbc::Encryptor::<Aes256>::new(&Sha256::digest(&confkey), &iv.into());
        let expected = cipher.encrypt_padded::<Pkcs7>(&mut plain, text.len()).unwrap();
        prop_assert_eq!(&block[..], expected);

        let mac_key = Sha256::digest([&confkey[..], &authkey].concat());
        let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&mac_key).unwrap();
        let expected = mac.chain_update(block).finalize().into_bytes();
        prop_assert_eq!(&keys.tag(&block)[..], &expected[..]);
        prop_assert!(keys.holds(&block, &expected));

        prop_assert_eq!(keys.decrypt(&iv, &mut block), Some(&text[..]));
    }

    /// Goal: the longer texts of the old program decrypt. Method: encrypt up to
    /// four blocks with the plain crate.
    #[test]
    fn longer_texts_decrypt(iv: [u8; BLOCK], text in vec(any::<u8>(), 0..TEXT_LENS[3])) {
        let mut blocks = vec![0; TEXT_LENS[3]];
        blocks[..text.len()].copy_from_slice(&text);
        let cipher = cbc::Encryptor::<Aes256>::new(&Sha256::digest(b"conf"), &iv.into());
        let len = cipher.encrypt_padded::<Pkcs7>(&mut blocks, text.len()).unwrap().len();
        prop_assert!(TEXT_LENS.contains(&len));
        prop_assert_eq!(keys(b"conf", b"auth").decrypt(&iv, &mut blocks[..len]), Some(&text[..]));
    }

    /// Goal: one changed bit of the bytes or the tag does not hold, nor does a
    /// tag that is cut. Method: flip one of any message.
    #[test]
    fn a_changed_tag_does_not_hold(
        bytes in vec(any::<u8>(), 1..80),
        at: prop::sample::Index,
        bit in 0..8_u8,
    ) {
        let keys = keys(b"conf", b"auth");
        let tag = keys.tag(&bytes);
        let mut changed = [&bytes[..], &tag].concat();
        changed[at.index(bytes.len() + tag.len())] ^= 1 << bit;
        let (other, other_tag) = changed.split_at(bytes.len());
        prop_assert!(!keys.holds(other, other_tag));
        prop_assert!(!keys.holds(&bytes, &tag[..16]));
    }

    /// Goal: a length is 1 to 15 digits without a leading zero, and nothing
    /// else. Method: compare with the standard library's reading, over digits
    /// mostly, and over any bytes.
    #[test]
    fn lengths_are_plain_numbers(
        digits in prop_oneof!["[0-9]{0,17}", "[+0-9 _-]{0,4}", "\\PC{0,4}"],
    ) {
        let plain = digits.bytes().all(|b| b.is_ascii_digit());
        let expected = digits.parse::<u64>().ok().filter(|number| {
            plain && digits.len() <= CLASSIC_TEXT && number.to_string() == digits && *number > 0
        });
        let read = parse_length(digits.as_bytes());
        prop_assert_eq!(read, expected.ok_or(PeerFault::ClassicFrame));
    }

    /// Goal: a text is cut into frames without loss, none over 15 bytes, none
    /// shorter than it need be, no character cut. Method: cut any text to its
    /// end; the cuts are at characters, or slicing it would panic.
    #[test]
    fn frames_join_to_the_text(text in "\\PC{0,60}") {
        let mut rest = &text[..];
        while !rest.is_empty() {
            let frame = first_frame(rest);
            prop_assert!((1..=CLASSIC_TEXT).contains(&frame.len()));
            prop_assert!(rest.starts_with(frame));
            rest = &rest[frame.len()..];
            let next = rest.chars().next().map_or(CLASSIC_TEXT, char::len_utf8);
            prop_assert!(frame.len() + next > CLASSIC_TEXT || rest.is_empty());
        }
        prop_assert_eq!(first_frame(""), "");
    }
}
