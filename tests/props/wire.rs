//! Hellos, chunks, records' plaintexts, and the buffers.

use std::collections::HashMap;

use proptest::collection::vec;
use proptest::prelude::*;
use sealwire::PeerFault;
use sealwire::limits::{CLIENT_HELLO, MAX_ABORT, MAX_BLOCKS, MAX_PAYLOAD, SERVER_HELLO};
use sealwire::span::{Areas, Span};
use sealwire::wire::buffer::{Assembly, Memory};
use sealwire::wire::hello::{self, ClientHello};
use sealwire::wire::record::{self, Kind, cut};

use crate::plan::any_bytes;

/// Bytes that start like a client hello for a while, or not at all.
fn nearly_a_hello() -> impl Strategy<Value = Vec<u8>> {
    let start = b"SWP1\x01\x00\x00\x00";
    (0..=start.len(), vec(any::<u8>(), 0..=CLIENT_HELLO))
        .prop_map(|(right, rest)| [&start[..right], &rest].concat())
}

fn piece_len() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 0..300_usize, 1 => 0..=2 * MAX_PAYLOAD]
}

proptest! {
    /// Goal: a hello that is written is read back. Method: any contents, with any tag.
    #[test]
    fn hellos_go_round(service: u8, key_id: [u8; 8], ephemeral: [u8; 32], tag: [u8; 32]) {
        let sent = ClientHello { service, key_id, ephemeral };
        let mut bytes = [0; CLIENT_HELLO];
        bytes[..hello::CLIENT_TAG].copy_from_slice(&sent.encode());
        bytes[hello::CLIENT_TAG..].copy_from_slice(&tag);
        prop_assert_eq!(ClientHello::parse(&bytes), Ok(sent));
        prop_assert_eq!(hello::may_be_client(&bytes), service <= 2);

        let mut bytes = [0; SERVER_HELLO];
        bytes[..hello::SERVER_TAG].copy_from_slice(&hello::encode_server(&ephemeral));
        bytes[hello::SERVER_TAG..].copy_from_slice(&tag);
        prop_assert_eq!(hello::parse_server(&bytes), Ok(ephemeral));
    }

    /// Goal: any bytes are judged without a panic, and a refusal stands at every greater
    /// length. Method: all prefixes of bytes that are nearly a hello.
    #[test]
    fn a_prefix_is_judged_once(bytes in nearly_a_hello()) {
        let mut verdict = Ok(());
        let mut may_be = true;
        for end in 0..=bytes.len() {
            let now = hello::check_fixed(&bytes[..end]);
            prop_assert!(verdict.is_ok() || now == verdict);
            prop_assert!(may_be || !hello::may_be_client(&bytes[..end]));
            verdict = now;
            may_be = hello::may_be_client(&bytes[..end]);
            prop_assert!(!may_be || verdict.is_ok());
        }
        let fixed = bytes.iter().zip(b"SWP1\x01").all(|(a, b)| a == b);
        prop_assert_eq!(verdict.is_ok(), fixed);
        if let Some(bytes) = bytes.first_chunk() {
            let right = fixed && bytes[6..8] == [0; 2];
            prop_assert_eq!(ClientHello::parse(bytes).is_ok(), right);
        }
        if let Some(bytes) = bytes.first_chunk() {
            let right = fixed && bytes[5..8] == [0; 3];
            prop_assert_eq!(hello::parse_server(bytes).is_ok(), right);
        }
    }

    /// Goal: chunks cover a message exactly, in order, each in one record. Only the last one
    /// is an END, and only an empty message has an empty one.
    #[test]
    fn chunks_cover_a_message(len in prop_oneof![
        0..=5 * MAX_PAYLOAD,
        (0..=4_usize, 0..=1_usize).prop_map(|(n, more)| n * MAX_PAYLOAD + more),
    ]) {
        let chunks: Vec<_> = cut(len).collect();
        let mut covered = 0;
        for (index, (range, kind)) in chunks.iter().enumerate() {
            prop_assert_eq!(range.start, covered);
            covered = range.end;
            let last = index + 1 == chunks.len();
            prop_assert_eq!(*kind, if last { Kind::End } else { Kind::Part });
            prop_assert!(last || range.len() == MAX_PAYLOAD);
            prop_assert!(range.len() <= MAX_PAYLOAD && (len == 0 || !range.is_empty()));
        }
        prop_assert_eq!(covered, len);
    }

    /// Goal: a length field is read from two bytes, no sooner, and accepted from 1 to 1025.
    #[test]
    fn length_fields_are_bounded(blocks: u16, rest in vec(any::<u8>(), 0..3)) {
        let bytes = [&blocks.to_be_bytes()[..], &rest].concat();
        let allowed = (1..=MAX_BLOCKS).contains(&usize::from(blocks));
        let expected = if allowed { Ok(Some(blocks)) } else { Err(PeerFault::Blocks(blocks)) };
        prop_assert_eq!(record::parse_blocks(&bytes), expected);
        prop_assert_eq!(record::parse_blocks(&bytes[..1]), Ok(None));
        prop_assert_eq!(record::parse_blocks(&[]), Ok(None));
    }

    /// Goal: a plaintext means what `PROTOCOL.md` §1.3 says, and no bytes make the reader
    /// panic. Method: lengths at the edges of the table, any kind, any padding; the table is
    /// written down once more here.
    #[test]
    fn plaintexts_mean_what_the_table_says(
        len in prop_oneof![0..=2_usize, MAX_ABORT - 1..=MAX_ABORT + 1, 0..=MAX_BLOCKS * 16 - 1,
            MAX_PAYLOAD - 1..=MAX_PAYLOAD + 1],
        kind in prop_oneof![4 => 0..=9_u8, 1 => any::<u8>()],
        padding in 0..40_usize,
        seed: u32,
    ) {
        let mut text = any_bytes(seed, len);
        text.push(kind);
        text.resize(len + 1 + padding, 0);
        let read = record::parse_plaintext(&text);

        let Some(len) = text.iter().rposition(|&byte| byte != 0) else {
            prop_assert_eq!(read, Err(PeerFault::NoKind));
            return Ok(());
        };
        let number = text[len];
        let allowed = match number {
            1 => len >= 1,
            2 => true,
            3..=6 => len == 0,
            8 => (4..=16_384).contains(&len),
            _ => (1..=257).contains(&len),
        };
        let expected = match () {
            () if len > 16_384 => Err(PeerFault::LongPayload(len)),
            () if number > 8 => Err(PeerFault::Kind(number)),
            () if !allowed => Err(PeerFault::Payload { kind: number, len }),
            () => Ok((number, len)),
        };
        prop_assert_eq!(read.map(|(kind, len)| (kind as u8, len)), expected);
    }

    /// Goal: pieces of any size, from the scratch and from the pool, join to the same bytes
    /// in full chunks, and the pool is empty once all are released.
    #[test]
    fn an_assembly_joins_any_pieces(
        pieces in vec((piece_len(), any::<bool>()), 0..12),
        seed: u32,
    ) {
        let mut memory = Memory::new(2 * MAX_PAYLOAD);
        let whole = any_bytes(seed, pieces.iter().map(|(len, _)| len).sum());
        let mut assembly = Assembly::default();
        let mut rest = &whole[..];
        for (len, pooled) in pieces {
            let (piece, behind) = rest.split_at(len);
            rest = behind;
            let scratch = Span::new(Memory::SCRATCH, 0..len);
            memory.scratch[..len].copy_from_slice(piece);
            let source = if pooled { memory.keep(scratch) } else { scratch };
            assembly.push(&mut memory, source);
            memory.release(source);
            memory.scratch.fill(0);
            prop_assert_eq!(assembly.len(), whole.len() - rest.len());
        }

        prop_assert_eq!(assembly.is_empty(), whole.is_empty());
        let chunks = assembly.take();
        let lens: Vec<usize> = chunks.iter().map(|chunk| chunk.len()).collect();
        let expected: Vec<usize> = cut(whole.len()).map(|(range, _)| range.len()).collect();
        prop_assert!(lens == expected || (lens.is_empty() && whole.is_empty()));
        let joined: Vec<u8> = chunks.iter().flat_map(|&c| memory.bytes(c).to_vec()).collect();
        prop_assert!(joined == whole);
        prop_assert!(assembly.is_empty());
        chunks.into_iter().for_each(|chunk| memory.release(chunk));
        prop_assert_eq!(memory.held(), 0);
    }

    /// Goal: a buffer lives exactly as long as it has a holder, keeps its bytes meanwhile,
    /// and the pool counts the sum of all. Method: take, hold and release at random, beside a
    /// simple model of the holders.
    #[test]
    fn a_pool_counts_its_holders(
        acts in vec((0..4_u8, any::<prop::sample::Index>(), 0..70_000_usize, any::<u8>()), 0..60),
    ) {
        let mut memory = Memory::new(0);
        let mut holders = Vec::new();
        let mut model = HashMap::new();
        for (act, which, len, fill) in acts {
            match act {
                1 if !holders.is_empty() => {
                    let span = holders[which.index(holders.len())];
                    prop_assert!(memory.hold(span));
                    holders.push(span);
                }
                2 if !holders.is_empty() => {
                    let span = holders.swap_remove(which.index(holders.len()));
                    memory.release(span);
                    if !holders.contains(&span) {
                        model.remove(&span.area);
                    }
                }
                _ => {
                    let span = memory.store(&vec![fill; len]);
                    prop_assert_eq!(model.insert(span.area, (len, fill)), None, "given twice");
                    holders.push(span);
                }
            }
            let sizes = model.keys().map(|&area| memory.area(area).len());
            prop_assert_eq!(memory.held(), sizes.sum::<usize>());
        }
        for (&area, &(len, fill)) in &model {
            prop_assert!(memory.area(area)[..len].iter().all(|&byte| byte == fill));
        }
        holders.into_iter().for_each(|span| memory.release(span));
        prop_assert_eq!(memory.held(), 0);
    }
}
