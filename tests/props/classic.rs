//! The classic format: its cipher, tags and numbers, and connections. Any text arrives, ours
//! and the old program's, in any pieces; changed bytes never do.

use std::sync::Arc;

use aes::Aes256;
use cbc::cipher::{BlockModeEncrypt, KeyIvInit, block_padding::Pkcs7};
use hmac::{Hmac, KeyInit, Mac};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use sealwire::classic::ClassicConnection;
use sealwire::classic::frame::{first_frame, parse_length};
use sealwire::conn::StreamEnd;
use sealwire::limits::{BLOCK, CLASSIC_FRAME, CLASSIC_TEXT, MAX_CLASSIC_FRAME};
use sealwire::{ClassicKeys, Failure, Outcome, PeerFault, Secret, SecretPair, Time};
use sha2::{Digest, Sha256};

use crate::lines;

const NOW: Time = Time::ZERO;

/// The confkey and authkey where any will do.
const KEYS: [&[u8]; 2] = [b"conf", b"auth"];

fn keys(keys: [&[u8]; 2]) -> Arc<ClassicKeys> {
    let [confkey, authkey] = keys.map(|key| Secret::new(key.to_vec()));
    ClassicKeys::new(&SecretPair { confkey, authkey })
}

/// `text`, encrypted under `confkey` by the plain crate.
fn encrypt(confkey: &[u8], iv: &[u8], text: &[u8]) -> Vec<u8> {
    let mut blocks = vec![0; MAX_CLASSIC_FRAME];
    blocks[..text.len()].copy_from_slice(text);
    let cipher = cbc::Encryptor::<Aes256>::new_from_slices(&Sha256::digest(confkey), iv).unwrap();
    let sealed = cipher.encrypt_padded::<Pkcs7>(&mut blocks, text.len());
    sealed.unwrap().to_vec()
}

/// The tag of `bytes` under both keys by the plain crates.
fn tag(keys: [&[u8]; 2], bytes: &[u8]) -> Vec<u8> {
    let key = Sha256::digest(keys.concat());
    let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&key).unwrap();
    mac.chain_update(bytes).finalize().into_bytes().to_vec()
}

fn connection(pair: [&[u8]; 2]) -> ClassicConnection {
    ClassicConnection::new(keys(pair), 1 << 20, NOW)
}

/// The frames of `line`, as this project sends them.
fn ours(keys: [&[u8]; 2], line: &str, iv: [u8; BLOCK]) -> Vec<u8> {
    lines::seal(&mut connection(keys), line, iv)
}

/// The frames of `line`, as the old program sends them: 15 characters each.
fn theirs(keys: [&[u8]; 2], line: &str, iv: [u8; BLOCK]) -> Vec<u8> {
    let characters: Vec<char> = line.chars().collect();
    let mut left = characters.len();
    let mut frames = Vec::new();
    for characters in characters.chunks(CLASSIC_TEXT) {
        let first = encrypt(keys[0], &iv, left.to_string().as_bytes());
        let text: String = characters.iter().collect();
        let second = encrypt(keys[0], &first, text.as_bytes());
        let head = [&iv[..], &first].concat();
        let tags = [tag(keys, &head), tag(keys, &second)];
        frames.extend([&head[..], &tags[0], &second, &tags[1]].concat());
        left -= characters.len();
    }
    frames
}

/// The lines that `input` gives in pieces of these sizes, and how it ended.
fn play(input: &[u8], pieces: &[usize]) -> (Vec<String>, Outcome) {
    let mut conn = connection(KEYS);
    let heard = lines::open(&mut conn, input, pieces.iter().copied().cycle());
    if !conn.is_over() {
        conn.end_of_stream(StreamEnd::Closed);
    }
    (heard.lines, conn.outcome().unwrap().clone())
}

/// Any text: with wide characters, with CR and NUL, and wide throughout.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{1,60}",
        "[a-z\\r\\x00\\n é雪😀]{1,60}",
        vec(any::<char>(), 1..60).prop_map(String::from_iter),
        (1..40_usize).prop_map(|count| "😀".repeat(count)),
    ]
}

fn pieces() -> impl Strategy<Value = Vec<usize>> {
    vec(1..400_usize, 1..8)
}

proptest! {
    /// Goal: a length is 1 to 15 digits without a leading zero, and nothing else. Method:
    /// compare with the standard library's reading, over digits mostly, and over any bytes.
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

    /// Goal: a text is cut into frames without loss, none over 15 bytes, none shorter than
    /// necessary, no character cut. Method: cut any text to its end; a cut inside a character
    /// would panic.
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

    /// Goal: any text arrives, from us and from the old program, with frames of 15 wide
    /// characters, which take four blocks, in any pieces.
    #[test]
    fn any_text_arrives(
        texts in vec((text(), any::<bool>()), 1..6),
        iv: [u8; BLOCK],
        pieces in pieces(),
    ) {
        let frames = texts.iter().map(|(text, old)| match old {
            true => theirs(KEYS, text, iv),
            false => ours(KEYS, text, iv),
        });
        let input: Vec<u8> = frames.flatten().collect();
        let (lines, outcome) = play(&input, &pieces);
        let expected: Vec<&String> = texts.iter().map(|(text, _)| text).collect();
        prop_assert_eq!(lines.iter().collect::<Vec<_>>(), expected);
        prop_assert_eq!(outcome, Ok(()));
    }

    /// Goal: for ASCII, our frames are the old program's. Method: the plain crates make the
    /// old program's, under keys of any length.
    #[test]
    fn ascii_is_sent_as_ever(
        confkey in vec(any::<u8>(), 1..80),
        authkey in vec(any::<u8>(), 1..80),
        line in "[\\x00-\\x7f]{1,100}",
        iv: [u8; BLOCK],
    ) {
        let keys = [&confkey[..], &authkey];
        prop_assert_eq!(ours(keys, &line, iv), theirs(keys, &line, iv));
    }

    /// Goal: a changed bit or a cut inside a message ends the connection, and nothing wrong is
    /// handed on.
    #[test]
    fn a_flipped_bit_or_a_cut_is_noticed(
        text in text(),
        old: bool,
        iv: [u8; BLOCK],
        pieces in pieces(),
        place: Index,
        bit in prop::option::of(0..8_u8),
    ) {
        let mut input = if old { theirs(KEYS, &text, iv) } else { ours(KEYS, &text, iv) };
        let place = place.index(input.len());
        match bit {
            Some(bit) => input[place] ^= 1 << bit,
            None => input.truncate(place.max(1)),
        }
        let (lines, outcome) = play(&input, &pieces);
        prop_assert!(lines.is_empty() && outcome.is_err(), "{lines:?} {outcome:?}");
    }
}

/// Goal: a long line costs no more per frame than a short one. Method: behind the first
/// frame of 16 MB, the connection gets no more of the line than the 19 bytes that a frame may
/// need; the length that it sends for the rest is right.
#[test]
fn a_frame_looks_at_its_own_text_only() {
    let line = "snö ☃ ".repeat(1_800_000);
    let mut conn = connection(KEYS);
    let mut at = conn.seal(line.as_bytes(), [1; BLOCK]);
    for _ in 0..1000 {
        let mut frame = conn.frame().unwrap().to_vec();
        conn.taken(CLASSIC_FRAME);
        let mut theirs = ClassicConnection::new(keys(KEYS), 1 << 30, NOW);
        let opened = theirs.open(NOW, &mut frame).unwrap();
        let text = str::from_utf8(&frame[opened.text]).unwrap();
        assert!(line[..at].ends_with(text));
        at += conn.seal(&line.as_bytes()[at..at + CLASSIC_TEXT + 4], [1; BLOCK]);
        let rest = &line.as_bytes()[at..];
        assert_eq!(conn.next_line(rest).len(), rest.len());
    }
}

/// Goal: a connection that could not write was cut, even where only silence ends it.
/// Method: writing fails before, and behind, the end of our own stream.
#[test]
fn a_failed_write_is_no_proper_end() {
    let why = Failure::Truncated("writing to the peer failed");
    for fails_first in [true, false] {
        for deaf in [true, false] {
            let mut conn = connection(KEYS);
            if deaf && fails_first {
                conn.write_failed();
            }
            conn.finish();
            assert!(conn.take_shutdown(NOW));
            if deaf && !fails_first {
                conn.write_failed();
            }
            assert_eq!(conn.outcome(), None);
            let due = conn.poll_timeout().unwrap();
            conn.handle_timeout(due, false);
            assert!(conn.is_over());
            let expected = if deaf { Err(why.clone()) } else { Ok(()) };
            assert_eq!(conn.outcome(), Some(&expected));
        }
    }
}
