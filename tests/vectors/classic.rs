//! Classic frames, as this project sends them.

use aes::Aes256;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use hmac::{Hmac, Mac};
use sealwire::classic::ClassicKeys;
use sealwire::classic::frame::{LENGTH, LENGTH_TAG, TAG, TEXT, first_frame, parse_length};
use sealwire::limits::{BLOCK, CLASSIC_FRAME};
use serde_json::Value;
use sha2::Sha256;
use std::sync::Arc;

use crate::answers::{array, bytes, classic, list, secrets, text};

pub(crate) fn keys(pair: &Value) -> Arc<ClassicKeys> {
    let as_typed = |name: &str| text(&pair[name]).as_bytes().to_vec();
    ClassicKeys::new(&secrets(as_typed("confkey"), as_typed("authkey")))
}

/// One frame of ours: `length` characters are left, of which it carries `text`.
fn frame(keys: &ClassicKeys, iv: &[u8; BLOCK], length: usize, text: &str) -> Vec<u8> {
    let (mut first, mut second) = ([0; BLOCK], [0; BLOCK]);
    keys.encrypt(iv, length.to_string().as_bytes(), &mut first);
    keys.encrypt(&first, text.as_bytes(), &mut second);
    let head = [&iv[..], &first].concat();
    let tags = [keys.tag(&head), keys.tag(&second)];
    [&head[..], &tags[0], &second, &tags[1]].concat()
}

/// All frames of one message.
fn frames(keys: &ClassicKeys, iv: &[u8; BLOCK], message: &str) -> Vec<u8> {
    let mut frames = Vec::new();
    let mut rest = message;
    while !rest.is_empty() {
        let text = first_frame(rest);
        frames.extend(frame(keys, iv, rest.chars().count(), text));
        rest = &rest[text.len()..];
    }
    frames
}

/// Goal: what this project sends is right to the byte. Method: cut and encrypt
/// every message of the list.
#[test]
fn messages_become_the_expected_frames() {
    let answers = classic();
    let iv = array(&answers["iv_of_every_frame"]);
    for entry in list(&answers["sent_by_this_project"]) {
        let sent = frames(&keys(answers), &iv, text(&entry["text"]));
        assert_eq!(sent, bytes(&entry["frames"]), "{}", entry["text"]);
    }
}

/// Goal: the same frames are read back. Method: check both tags of each, decrypt
/// both parts in place, and follow the lengths to the message's end.
#[test]
fn the_frames_are_read_back() {
    let answers = classic();
    let keys = keys(answers);
    for entry in list(&answers["sent_by_this_project"]) {
        let mut left = text(&entry["text"]);
        for frame in bytes(&entry["frames"]).chunks(CLASSIC_FRAME) {
            let (head, tag) = frame[..TEXT].split_at(LENGTH_TAG);
            assert!(keys.holds(head, tag));
            let (body, tag) = frame[TEXT..].split_at(CLASSIC_FRAME - TEXT - TAG);
            assert!(keys.holds(body, tag));

            let iv = head[..LENGTH].try_into().unwrap();
            let first: [u8; BLOCK] = head[LENGTH..].try_into().unwrap();
            let length = keys.decrypt(&iv, &mut first.clone()).map(parse_length);
            assert_eq!(length, Some(Ok(left.chars().count() as u64)));
            let mut second = body.to_vec();
            let text = keys.decrypt(&first, &mut second).unwrap();
            left = left.strip_prefix(str::from_utf8(text).unwrap()).unwrap();
        }
        assert_eq!(left, "");
    }
}

/// Goal: keys as typed, of any length and script, become the expected two.
/// Method: these cannot be seen, so a block and a tag are compared with those
/// that the plain crates make with the expected keys.
#[test]
fn typed_keys_become_the_expected_ones() {
    let answers = classic();
    for pair in list(&answers["other_keys"]).iter().chain([answers]) {
        let keys = keys(pair);
        let mut block = [0; BLOCK];
        keys.encrypt(&[0; BLOCK], b"fifteen letters", &mut block);

        let mut expected = *b"fifteen letters\x01";
        let cipher = Aes256::new(&array(&pair["aes_key"]).into());
        cipher.encrypt_block((&mut expected).into());
        assert_eq!(block, expected);

        let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&bytes(&pair["mac_key"])).unwrap();
        let expected = mac.chain_update(block).finalize().into_bytes();
        assert_eq!(keys.tag(&block), expected[..]);
    }
}
