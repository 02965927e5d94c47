//! Packs: what parses, and what messages are packed into.

use proptest::collection::vec;
use proptest::prelude::*;
use sealwire::PeerFault;
use sealwire::conn::session::join;
use sealwire::limits::{MAX_PACKED, MAX_PAYLOAD, PACK_UP_TO};
use sealwire::wire::pack::PackReader;
use sealwire::wire::record::Kind;

use crate::plan::any_bytes;

/// The messages of a payload, as `PROTOCOL.md` §1.3 says; `None` if it does not parse.
fn parse(mut payload: &[u8]) -> Option<Vec<&[u8]>> {
    let mut messages = Vec::new();
    while let [high, low, rest @ ..] = payload {
        let len = usize::from(*high) * 256 + usize::from(*low);
        messages.push(rest.get(..len)?);
        payload = &rest[len..];
    }
    let right = payload.is_empty() && (2..=256).contains(&messages.len());
    right.then_some(messages)
}

fn message() -> impl Strategy<Value = Vec<u8>> {
    let len = prop_oneof![
        8 => 0..100_usize,
        2 => PACK_UP_TO - 2..=PACK_UP_TO + 2,
        1 => 0..=2 * MAX_PAYLOAD,
    ];
    (len, any::<u32>()).prop_map(|(len, seed)| any_bytes(seed, len))
}

/// A payload that parses, or nearly does.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    let messages = prop_oneof![
        4 => vec(vec(any::<u8>(), 0..20), 0..6),
        1 => vec(vec(any::<u8>(), 0..2), MAX_PACKED - 2..MAX_PACKED + 3),
    ];
    let packed = messages.prop_map(|messages| {
        let entry =
            |message: &Vec<u8>| [&(message.len() as u16).to_be_bytes()[..], message].concat();
        messages.iter().flat_map(entry).collect::<Vec<u8>>()
    });
    (packed, 0..3_usize, vec(any::<u8>(), 0..3)).prop_map(|(mut bytes, fewer, more)| {
        bytes.truncate(bytes.len().saturating_sub(fewer));
        bytes.extend(more);
        bytes
    })
}

proptest! {
    /// Goal: a payload parses as the protocol says, and no bytes make the parser panic.
    /// Method: payloads that are right or wrong by a few bytes or messages; the rule is
    /// written down once more here.
    #[test]
    fn payloads_parse_as_the_protocol_says(payload in payload()) {
        let expected = parse(&payload);
        match PackReader::new(&payload) {
            Err(fault) => {
                prop_assert_eq!(fault, PeerFault::Pack);
                prop_assert_eq!(expected, None);
            }
            Ok(mut messages) => {
                let ranges = std::iter::from_fn(|| messages.next(&payload));
                let found: Vec<_> = ranges.map(|range| &payload[range]).collect();
                prop_assert_eq!(Some(found), expected);
            }
        }
    }

    /// Goal: messages that are sent together come out as they were, in order; only short
    /// ones are packed, and no pack is inside a message. Method: join any messages, and
    /// read the chunks as a receiver would.
    #[test]
    fn messages_that_are_joined_come_out(
        messages in prop_oneof![4 => vec(message(), 0..40), 1 => vec(vec(any::<u8>(), 0..3), 0..2000)],
    ) {
        let given: Vec<_> = messages.iter().map(|message| &message[..]).collect();
        let (bytes, chunks) = join(&given);
        let (mut came, mut unfinished) = (Vec::new(), Vec::new());
        for (span, kind) in chunks {
            let payload = &bytes[span.range()];
            prop_assert!(payload.len() <= MAX_PAYLOAD);
            match kind {
                Kind::Pack => {
                    prop_assert!(unfinished.is_empty(), "a pack inside a message");
                    let packed = parse(payload).expect("a pack that parses");
                    prop_assert!(packed.iter().all(|message| message.len() <= PACK_UP_TO));
                    came.extend(packed.into_iter().map(<[u8]>::to_vec));
                }
                _ => {
                    unfinished.extend_from_slice(payload);
                    if kind == Kind::End {
                        came.push(std::mem::take(&mut unfinished));
                    }
                }
            }
        }
        prop_assert!(unfinished.is_empty());
        prop_assert!(came == messages);
    }
}
