//! Wrong records that their layout or their tag gives away.
//!
//! The rest of these lists is about the order of records: it needs a connection.

use sealwire::error::PeerFault;
use sealwire::limits::MAX_BLOCKS;
use sealwire::wire::record::{Kind, parse_blocks, parse_plaintext, record_len};

use crate::answers::{assert_record, bytes, list, native, number};
use crate::records::{Direction, open, seal};

/// What the first record of `bytes`, from the client, means.
fn first_record(bytes: &[u8]) -> Result<(Kind, usize), PeerFault> {
    let blocks = parse_blocks(bytes)?.unwrap();
    let record = &bytes[..record_len(blocks)];
    let plaintext = open(Direction::ClientToServer, 0, record).ok_or(PeerFault::Tag)?;
    parse_plaintext(&plaintext)
}

/// Goal: a first record that is wrong by itself is refused for what is wrong
/// with it. Method: read each of the list.
#[test]
fn a_record_that_is_wrong_by_itself_is_refused() {
    let payload = |kind, len| PeerFault::Payload { kind, len };
    for (name, fault) in [
        ("no_kind", PeerFault::NoKind),
        ("kind_8", PeerFault::Kind(8)),
        ("kind_255", PeerFault::Kind(255)),
        ("payload_in_fin", payload(3, 1)),
        ("payload_in_ping", payload(4, 1)),
        ("payload_in_pong", payload(5, 1)),
        ("payload_in_done", payload(6, 1)),
        ("empty_part", payload(1, 0)),
        ("empty_abort", payload(7, 0)),
        ("abort_258", payload(7, 258)),
        ("blocks_0", PeerFault::Blocks(0)),
        ("blocks_1026", PeerFault::Blocks(1026)),
        ("blocks_65535", PeerFault::Blocks(65535)),
        ("flipped_ciphertext", PeerFault::Tag),
        ("flipped_tag", PeerFault::Tag),
        ("tag_over_other_blocks", PeerFault::Tag),
        ("tag_over_other_sequence", PeerFault::Tag),
        ("other_direction", PeerFault::Tag),
    ] {
        let record = bytes(&native()["refuse_as_first_bytes_from_client"][name]);
        assert_eq!(first_record(&record), Err(fault), "{name}");
    }
}

/// Goal: an ABORT of the greatest length is accepted.
#[test]
fn the_longest_abort_is_accepted() {
    let record = bytes(&native()["accept_as_first_bytes_from_client"]["abort_257"]);
    assert_eq!(first_record(&record), Ok((Kind::Abort, 257)));
}

/// Goal: a payload over 16384 bytes is refused though its blocks hold it.
/// Method: the vectors have only a hash of each, so seal them here first.
#[test]
fn a_payload_over_the_limit_is_refused() {
    for entry in list(&native()["refuse_payload_too_long"]) {
        let len = number(&entry["payload_bytes_all_0x41"]) as usize;
        let blocks = MAX_BLOCKS as u16;
        let record = seal(Direction::ClientToServer, 0, 2, &vec![0x41; len], blocks);
        assert_record(&record, &entry["record"]);
        assert_eq!(first_record(&record), Err(PeerFault::LongPayload(len)));
    }
}
