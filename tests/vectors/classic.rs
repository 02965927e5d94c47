//! The vectors' classic keys, and their frames, played to real connections.

use std::iter::{once, repeat};
use std::sync::Arc;

use aes::Aes256;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use hmac::{Hmac, Mac};
use sealwire::classic::ClassicConnection;
use sealwire::classic::frame::{LENGTH, LENGTH_TAG, TEXT};
use sealwire::limits::BLOCK;
use sealwire::{ClassicKeys, Failure, PeerFault, Time};
use serde_json::Value;
use sha2::Sha256;

use crate::answers::{array, bytes, classic, list, secrets, text};
use crate::lines::{self, Heard};

const NOW: Time = Time::ZERO;
const MAX_MESSAGE: usize = 1 << 24;

fn keys(pair: &Value) -> Arc<ClassicKeys> {
    let as_typed = |name: &str| text(&pair[name]).as_bytes().to_vec();
    ClassicKeys::new(&secrets(as_typed("confkey"), as_typed("authkey")))
}

fn connection() -> ClassicConnection {
    ClassicConnection::new(keys(classic()), MAX_MESSAGE, NOW)
}

/// Gives a connection `input` in pieces of `piece` bytes, the first of `first`. Returns what it
/// hears, and its failure.
fn play(input: &[u8], first: usize, piece: usize) -> (Heard, Option<Failure>) {
    let mut conn = connection();
    let heard = lines::open(&mut conn, input, once(first).chain(repeat(piece)));
    let failure = conn.outcome().map(|outcome| outcome.clone().unwrap_err());
    assert!(failure.is_some() || heard.left == 0, "{heard:?}");
    (heard, failure)
}

/// Every way to give `input`: cut once, at every byte, and byte by byte.
fn in_every_way(input: &[u8], check: impl Fn(&str, &[String], Option<Failure>)) {
    let cuts = (1..=input.len()).map(|cut| (cut, input.len()));
    for (first, piece) in cuts.chain([(1, 1)]) {
        let (heard, failure) = play(input, first, piece);
        check(&format!("{first} and {piece} bytes"), &heard.lines, failure);
    }
}

/// Goal: keys as typed, of any length and script, become the expected two. Method: the first
/// block and tag of a frame are compared with those that the plain crates make with the
/// expected keys.
#[test]
fn typed_keys_become_the_expected_ones() {
    let answers = classic();
    for pair in list(&answers["other_keys"]).iter().chain([answers]) {
        let mut conn = ClassicConnection::new(keys(pair), MAX_MESSAGE, NOW);
        let frame = lines::seal(&mut conn, "text", [0; BLOCK]);

        // The number of characters, then the padding.
        let mut expected = [15; BLOCK];
        expected[0] = b'4';
        let cipher = Aes256::new(&array(&pair["aes_key"]).into());
        cipher.encrypt_block((&mut expected).into());
        assert_eq!(frame[LENGTH..LENGTH_TAG], expected);

        let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&bytes(&pair["mac_key"])).unwrap();
        let expected = mac
            .chain_update(&frame[..LENGTH_TAG])
            .finalize()
            .into_bytes();
        assert_eq!(frame[LENGTH_TAG..TEXT], expected[..]);
    }
}

/// Goal: a connection sends each message right to the byte.
#[test]
fn a_connection_sends_the_expected_frames() {
    let iv = array(&classic()["iv_of_every_frame"]);
    for entry in list(&classic()["sent_by_this_project"]) {
        let line = text(&entry["text"]);
        let sent = lines::seal(&mut connection(), line, iv);
        assert_eq!(sent, bytes(&entry["frames"]), "{line}");
    }
}

/// Goal: a connection reads what this project and what the old program sends.
#[test]
fn a_connection_reads_what_is_sent() {
    for name in ["sent_by_this_project", "also_accepted_from_seed_peers"] {
        for entry in list(&classic()[name]) {
            let line = text(&entry["text"]);
            in_every_way(&bytes(&entry["frames"]), |how, lines, failure| {
                assert_eq!((lines, failure), (&[line.to_owned()][..], None), "{how}");
            });
        }
    }
}

/// Goal: wrong frames end a connection, all with the same fault but the one that is too
/// long, and hand nothing on. Method: all of the list, cut everywhere.
#[test]
fn wrong_frames_are_refused() {
    let wrong = classic()["refuse"].as_object().unwrap();
    assert!(!wrong.is_empty());
    for (name, frames) in wrong {
        let fault = match name.as_str() {
            "over_any_limit" => PeerFault::ClassicLength,
            _ => PeerFault::ClassicFrame,
        };
        in_every_way(&bytes(frames), |how, lines, failure| {
            assert_eq!(failure, Some(Failure::Peer(fault)), "{name}, {how}");
            assert!(lines.is_empty(), "{name}, {how}: {lines:?}");
        });
    }
}
