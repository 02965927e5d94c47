//! Classic connections: any text arrives, ours and the old program's, in any
//! pieces; nothing that was changed does.

use std::sync::Arc;

use aes::Aes256;
use cbc::cipher::{BlockModeEncrypt, KeyIvInit, block_padding::Pkcs7};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use sealwire::classic::{ClassicConnection, ClassicKeys};
use sealwire::conn::Outcome;
use sealwire::crypto::secret::{Secret, SecretPair};
use sealwire::error::Failure;
use sealwire::limits::{BLOCK, CLASSIC_FRAME, CLASSIC_TEXT, MAX_CLASSIC_FRAME};
use sealwire::time::Time;
use sha2::{Digest, Sha256};

const NOW: Time = Time::ZERO;

fn keys() -> Arc<ClassicKeys> {
    ClassicKeys::new(&SecretPair {
        confkey: Secret::new(b"conf".to_vec()),
        authkey: Secret::new(b"auth".to_vec()),
    })
}

fn connection() -> ClassicConnection {
    ClassicConnection::new(keys(), 1 << 20, NOW)
}

/// The frames of `line`, as this project sends them.
fn ours(line: &str, iv: [u8; BLOCK]) -> Vec<u8> {
    let mut conn = connection();
    let (mut rest, mut frames) = (line, Vec::new());
    while !rest.is_empty() {
        let count = conn.seal(rest.as_bytes(), iv);
        rest = &rest[count..];
        assert_eq!(conn.frame().unwrap().len(), CLASSIC_FRAME);
        frames.extend_from_slice(conn.frame().unwrap());
        conn.taken(CLASSIC_FRAME);
    }
    frames
}

fn encrypt(iv: &[u8], text: &[u8]) -> Vec<u8> {
    let mut blocks = vec![0; MAX_CLASSIC_FRAME];
    blocks[..text.len()].copy_from_slice(text);
    let cipher = cbc::Encryptor::<Aes256>::new_from_slices(&Sha256::digest(b"conf"), iv).unwrap();
    let sealed = cipher.encrypt_padded::<Pkcs7>(&mut blocks, text.len());
    sealed.unwrap().to_vec()
}

/// The frames of `line`, as the Python program sends them: 15 characters each.
fn theirs(line: &str, iv: [u8; BLOCK]) -> Vec<u8> {
    let keys = keys();
    let characters: Vec<char> = line.chars().collect();
    let mut left = characters.len();
    let mut frames = Vec::new();
    for characters in characters.chunks(CLASSIC_TEXT) {
        let first = encrypt(&iv, left.to_string().as_bytes());
        let text: String = characters.iter().collect();
        let second = encrypt(&first, text.as_bytes());
        let head = [&iv[..], &first].concat();
        let tags = [keys.tag(&head), keys.tag(&second)];
        frames.extend([&head[..], &tags[0], &second, &tags[1]].concat());
        left -= characters.len();
    }
    frames
}

/// What is heard of `input` in pieces of these sizes, and how it ended.
fn play(input: &[u8], pieces: &[usize]) -> (Vec<String>, Outcome) {
    let mut conn = connection();
    let (mut kept, mut lines, mut line) = (Vec::new(), Vec::new(), String::new());
    let mut rest = input;
    let mut pieces = pieces.iter().cycle();
    while !rest.is_empty() && !conn.is_over() {
        let (now, later) = rest.split_at((*pieces.next().unwrap()).min(rest.len()));
        rest = later;
        kept.extend_from_slice(now);
        while let Some(opened) = conn.open(NOW, &mut kept) {
            line.push_str(str::from_utf8(&kept[opened.text]).unwrap());
            kept.drain(..opened.used);
            if opened.last {
                lines.push(std::mem::take(&mut line));
            }
        }
    }
    if !conn.is_over() {
        conn.end_of_stream(sealwire::conn::StreamEnd::Closed);
    }
    (lines, conn.outcome().unwrap().clone())
}

/// Any text: with what is wide, with CR and NUL, and wide throughout.
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
    /// Goal: any text arrives, from us and from the old program, with frames of
    /// 15 wide characters, in any pieces.
    #[test]
    fn any_text_arrives(
        texts in vec((text(), any::<bool>()), 1..6),
        iv: [u8; BLOCK],
        pieces in pieces(),
    ) {
        let frames = texts.iter().map(|(text, old)| if *old { theirs(text, iv) } else { ours(text, iv) });
        let input: Vec<u8> = frames.flatten().collect();
        let (lines, outcome) = play(&input, &pieces);
        let expected: Vec<&String> = texts.iter().map(|(text, _)| text).collect();
        prop_assert_eq!(lines.iter().collect::<Vec<_>>(), expected);
        prop_assert_eq!(outcome, Ok(()));
    }

    /// Goal: for ASCII our frames are the old program's.
    #[test]
    fn ascii_is_sent_as_ever(line in "[\\x00-\\x7f]{1,100}", iv: [u8; BLOCK]) {
        prop_assert_eq!(ours(&line, iv), theirs(&line, iv));
    }

    /// Goal: a changed bit ends the connection, and nothing wrong is heard.
    #[test]
    fn a_flipped_bit_is_noticed(
        text in text(),
        old: bool,
        iv: [u8; BLOCK],
        pieces in pieces(),
        place: Index,
        bit in 0..8_u8,
    ) {
        let mut input = if old { theirs(&text, iv) } else { ours(&text, iv) };
        let place = place.index(input.len());
        input[place] ^= 1 << bit;
        let (lines, outcome) = play(&input, &pieces);
        prop_assert!(lines.is_empty() && outcome.is_err(), "{lines:?} {outcome:?}");
    }

    /// Goal: a stream that is cut inside a message is truncated.
    #[test]
    fn a_cut_is_noticed(text in text(), old: bool, iv: [u8; BLOCK], cut: Index) {
        let input = if old { theirs(&text, iv) } else { ours(&text, iv) };
        let cut = cut.index(input.len() - 1) + 1;
        prop_assume!(cut < input.len());
        let (lines, outcome) = play(&input[..cut], &[1000]);
        prop_assert!(lines.is_empty() && outcome.is_err(), "{lines:?} {outcome:?}");
    }
}

/// Goal: a long line costs no more per frame than a short one. Method: behind the
/// first frame of 16 MB, the connection is given no more of the line than the 19
/// bytes that a frame may need; what it says of the rest is right.
#[test]
fn a_frame_looks_at_its_own_text_only() {
    let line = "snö ☃ ".repeat(1_800_000);
    let mut conn = connection();
    let mut at = conn.seal(line.as_bytes(), [1; BLOCK]);
    for _ in 0..1000 {
        let mut frame = conn.frame().unwrap().to_vec();
        conn.taken(CLASSIC_FRAME);
        let mut theirs = ClassicConnection::new(keys(), 1 << 30, NOW);
        let opened = theirs.open(NOW, &mut frame).unwrap();
        let text = str::from_utf8(&frame[opened.text]).unwrap();
        assert!(line[..at].ends_with(text));
        at += conn.seal(&line.as_bytes()[at..at + CLASSIC_TEXT + 4], [1; BLOCK]);
        let rest = &line.as_bytes()[at..];
        assert_eq!(conn.next_line(rest).len(), rest.len());
    }
}

/// Goal: who could not write was cut, even where only silence ends it. Method:
/// writing fails before, and behind, the end of our own stream.
#[test]
fn a_failed_write_is_no_proper_end() {
    let why = Failure::Truncated("writing to the peer failed");
    for fails_first in [true, false] {
        for deaf in [true, false] {
            let mut conn = connection();
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
