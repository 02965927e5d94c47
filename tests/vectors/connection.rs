//! The vectors' bytes, played to real connections with their private keys. The
//! cuts go through this processor's kernels in turn.

use sealwire::crypto::dh::Private;
use sealwire::crypto::keys::hello_tag;
use sealwire::limits::MIN_RECORD;
use sealwire::wire::hello::{CLIENT_TAG, ClientHello, Service};
use sealwire::wire::record::{Kind, parse_blocks, record_len};
use sealwire::{Failure, Kernel, Outcome, PeerFault, Session, SessionEvent as Event, Time};
use serde_json::Value;

use crate::answers::{array, assert_record, bytes, hex, identity, list, native, text};
use crate::records::{Direction, seal};

const NOW: Time = Time::ZERO;
/// One byte at a time.
const DRIP: [usize; 2] = [1; 2];

fn chosen() -> Kernel {
    crate::chosen::kernel()
}

fn server(kernel: Kernel) -> Session {
    Session::server(identity(), kernel, array(&native()["server_private"]), NOW)
}

/// A client, and its hello.
fn client(kernel: Kernel) -> (Session, Vec<u8>) {
    let random = array(&native()["client_private"]);
    let mut session = Session::client(identity(), kernel, random, NOW);
    let mut out = Vec::new();
    session.start(NOW, &mut out);
    (session, out)
}

/// Gives `input` in pieces of these sizes, in turn. Returns what is sent.
fn receive(session: &mut Session, mut input: &[u8], sizes: [usize; 2]) -> Vec<u8> {
    let mut out = Vec::new();
    for size in sizes.into_iter().cycle() {
        let piece = input.split_off(..size.min(input.len())).unwrap();
        if !piece.is_empty() {
            session.receive(NOW, piece, &mut out);
        }
        if input.is_empty() {
            break;
        }
    }
    out
}

fn events(session: &mut Session) -> Vec<Event> {
    std::iter::from_fn(|| session.poll_event()).collect()
}

fn outcome(events: &[Event]) -> Option<&Outcome> {
    events.iter().find_map(|event| match event {
        Event::Over(outcome) => Some(outcome),
        _ => None,
    })
}

fn messages(events: &[Event]) -> Vec<&[u8]> {
    let messages = events.iter().filter_map(|event| match event {
        Event::Message(message) => Some(&message[..]),
        _ => None,
    });
    messages.collect()
}

/// Every way to give `input` to what `start` makes: cut once, at every byte, and one byte
/// at a time. `check` gets what was sent and what happened.
fn in_every_way(
    start: impl Fn(Kernel) -> Session,
    input: &[u8],
    check: impl Fn(&str, Vec<u8>, Vec<Event>),
) {
    let kernels: Vec<_> = Kernel::all().collect();
    let cuts = (0..=input.len()).zip(kernels.iter().cycle());
    let cuts = cuts.map(|(cut, kernel)| (kernel, [cut, input.len()]));
    for (&kernel, sizes) in cuts.chain(kernels.iter().map(|kernel| (kernel, DRIP))) {
        let mut session = start(kernel);
        let sent = receive(&mut session, input, sizes);
        check(
            &format!("{kernel:?}, {sizes:?} bytes"),
            sent,
            events(&mut session),
        );
    }
}

/// Asserts that `input` ends what `start` makes with `fault` at once, without an answer.
fn refused(start: impl Fn(Kernel) -> Session, name: &str, input: &[u8], fault: PeerFault) {
    in_every_way(start, input, |how, sent, events| {
        assert_eq!(
            events,
            [Event::Over(Err(Failure::Peer(fault)))],
            "{name}, {how}"
        );
        assert!(sent.is_empty(), "{name}, {how}: it answered");
    });
}

/// A server that has received a right hello, and answered it.
fn shaken_server(kernel: Kernel) -> Session {
    let mut session = server(kernel);
    let mut out = Vec::new();
    session.receive(NOW, &bytes(&native()["client_hello"]), &mut out);
    assert_eq!(out, bytes(&native()["server_hello"]));
    session
}

/// A client that has received a right hello, and what it sent then.
fn shaken_client(kernel: Kernel) -> (Session, Vec<u8>) {
    let (mut session, _) = client(kernel);
    let mut out = Vec::new();
    session.receive(NOW, &bytes(&native()["server_hello"]), &mut out);
    (session, out)
}

fn entries(name: &str) -> impl Iterator<Item = (&'static String, &'static Value)> {
    let entries = native()[name].as_object().unwrap();
    assert!(!entries.is_empty());
    entries.iter()
}

/// Goal: the keys have the right id, and a client's hello is right to the byte, for both
/// services and for a public key with bit 255 set, which the transcript keeps (RFC 7748,
/// `PROTOCOL.md`). The server's hello is in [`shaken_server`].
#[test]
fn the_client_hello_is_written() {
    let (native, identity) = (native(), identity());
    assert_eq!(identity.key_id(), array(&native["key_id"]));
    let private = array(&native["client_private"]);
    let public = Private::new(private, crate::chosen::kernel()).public();
    let mut bit_255 = public;
    bit_255[31] |= 0x80;
    let of_bit_255 = &native["public_key_with_bit_255_set"]["client_hello"];
    for (service, ephemeral, expected) in [
        (Service::Messages, public, &native["client_hello"]),
        (Service::Tunnel, public, &native["client_hello_tunnel"]),
        (Service::Messages, bit_255, of_bit_255),
    ] {
        let hello = ClientHello {
            service: service as u8,
            key_id: identity.key_id(),
            ephemeral,
        };
        let fixed = hello.encode();
        let hello = [&fixed[..], &hello_tag(&identity, &fixed)].concat();
        assert_eq!(hello, bytes(expected));
    }
}

/// Goal: a server refuses each wrong hello for what is wrong with it, and sends nothing.
/// Method: all of the list, and a hello for another service, cut everywhere.
#[test]
fn a_server_refuses_wrong_hellos() {
    let tunnel = bytes(&native()["client_hello_tunnel"]);
    refused(server, "tunnel", &tunnel, PeerFault::Service(1));
    let (mut others, mut points) = (0, 0);
    for (name, hello) in entries("refuse_client_hello") {
        if let Some(list) = hello.as_object() {
            for (point, hello) in list {
                let hello = bytes(hello);
                assert_eq!(hex(point), hello[16..CLIENT_TAG]);
                refused(server, point, &hello, PeerFault::LowOrder);
                points += 1;
            }
            continue;
        }
        let fault = match name.as_str() {
            "suite_2" => PeerFault::Suite(2),
            "reserved" => PeerFault::Reserved,
            "unknown_service" => PeerFault::Service(bytes(hello)[5]),
            "wrong_key_id" => PeerFault::UnknownKey,
            "bad_mac" => PeerFault::HelloTag,
            other => panic!("a vector that is not known: {other}"),
        };
        refused(server, name, &bytes(hello), fault);
        others += 1;
    }
    assert_eq!((others, points), (5, 7));
}

/// Goal: a client refuses each wrong answer for what is wrong with it, and sends nothing
/// more. Method: as for the server.
#[test]
fn a_client_refuses_wrong_hellos() {
    assert_eq!(entries("refuse_server_hello").count(), 5);
    let start = |kernel| {
        let (session, hello) = client(kernel);
        assert_eq!(hello, bytes(&native()["client_hello"]));
        session
    };
    for (name, hello) in entries("refuse_server_hello") {
        let fault = match name.as_str() {
            "flipped_mac" => PeerFault::HelloTag,
            "suite_2" => PeerFault::Suite(2),
            "reserved" | "service_echoed" => PeerFault::Reserved,
            "zero_key" => PeerFault::LowOrder,
            other => panic!("a vector that is not known: {other}"),
        };
        refused(start, name, &bytes(hello), fault);
    }
}

/// Goal: a record that is wrong, or that may not come first or not in that order, ends a
/// connection for what is wrong with it. Method: all of the list, behind a right hello.
/// Where several records are needed, all but the last are right, and are acted on.
#[test]
fn wrong_first_records_are_refused() {
    let payload = |kind, len| PeerFault::Payload { kind, len };
    assert_eq!(entries("refuse_as_first_bytes_from_client").count(), 30);
    for (name, record) in entries("refuse_as_first_bytes_from_client") {
        let fault = match name.as_str() {
            "no_kind" => PeerFault::NoKind,
            "kind_9" => PeerFault::Kind(9),
            "pack_of_none" => payload(8, 0),
            "pack_of_one"
            | "pack_of_257"
            | "pack_half_a_length"
            | "pack_longer_than_its_record" => PeerFault::Pack,
            "pack_inside_message" => PeerFault::PackInside,
            "kind_255" => PeerFault::Kind(255),
            "payload_in_fin" => payload(3, 1),
            "payload_in_ping" => payload(4, 1),
            "payload_in_pong" => payload(5, 1),
            "payload_in_done" => payload(6, 1),
            "empty_part" => payload(1, 0),
            "empty_abort" => payload(7, 0),
            "abort_258" => payload(7, 258),
            "blocks_0" => PeerFault::Blocks(0),
            "blocks_1026" => PeerFault::Blocks(1026),
            "blocks_65535" => PeerFault::Blocks(65535),
            "done_unasked" => PeerFault::DoneUnasked,
            "fin_inside_message" => PeerFault::FinInside,
            "data_after_fin" | "pack_after_fin" | "fin_twice" => PeerFault::AfterFin,
            "flipped_ciphertext"
            | "flipped_tag"
            | "tag_over_other_blocks"
            | "tag_over_other_sequence"
            | "other_direction"
            | "first_sent_twice" => PeerFault::Tag,
            other => panic!("a vector that is not known: {other}"),
        };
        let record = bytes(record);
        let acts = matches!(
            fault,
            PeerFault::DoneUnasked
                | PeerFault::FinInside
                | PeerFault::PackInside
                | PeerFault::AfterFin
        );
        if !acts && name != "first_sent_twice" {
            refused(shaken_server, name, &record, fault);
            continue;
        }
        in_every_way(shaken_server, &record, |how, _, events| {
            let failed = Err(Failure::Peer(fault));
            assert_eq!(outcome(&events), Some(&failed), "{name}, {how}");
            let received = usize::from(name == "first_sent_twice");
            assert_eq!(messages(&events).len(), received, "{name}, {how}");
        });
    }
}

/// Goal: a payload over the limit ends a connection. Method: the vectors have only a hash
/// of the record, so it is sealed here.
#[test]
fn a_payload_too_long_is_refused() {
    for entry in list(&native()["refuse_payload_too_long"]) {
        let len = entry["payload_bytes_all_0x41"].as_u64().unwrap() as usize;
        let record = seal(Direction::ClientToServer, 0, 2, &vec![0x41; len], 1025);
        assert_record(&record, &entry["record"]);
        for kernel in Kernel::all() {
            let mut session = shaken_server(kernel);
            let sent = receive(&mut session, &record, [1, usize::MAX]);
            let fault = Failure::Peer(PeerFault::LongPayload(len));
            assert_eq!(events(&mut session), [Event::Over(Err(fault))]);
            assert!(sent.is_empty());
        }
    }
}

/// Goal: records that may come first are accepted. Method: all of the list, cut everywhere,
/// each with its effect.
#[test]
fn right_first_records_are_accepted() {
    for (name, record) in entries("accept_as_first_bytes_from_client") {
        let record = bytes(record);
        in_every_way(shaken_server, &record, |how, sent, events| {
            let open = events.first() == Some(&Event::Open);
            let aborted = matches!(outcome(&events), Some(Err(Failure::Aborted(_))));
            match name.as_str() {
                "abort_257" | "abort_then_anything" => {
                    assert!(!open && aborted, "{name}, {how}: {events:?}");
                    assert!(sent.is_empty(), "{name}, {how}: it answered");
                }
                "abort_inside_message" => {
                    assert!(open && aborted, "{name}, {how}: {events:?}");
                    assert!(messages(&events).is_empty() && sent.is_empty());
                }
                "ping_after_fin" => {
                    assert_eq!(events, [Event::Open, Event::Fin], "{name}, {how}");
                    assert!(!sent.is_empty(), "{name}, {how}");
                }
                "ping_between_parts" => {
                    assert!(open && outcome(&events).is_none(), "{name}, {how}");
                    assert_eq!(messages(&events).len(), 1, "{name}, {how}");
                }
                "pack_between_messages" => {
                    let lens = messages(&events).into_iter().map(<[u8]>::len);
                    assert_eq!(lens.collect::<Vec<_>>(), [3, 3, 0, 5, 4], "{name}, {how}");
                }
                "pack_of_256" => {
                    assert_eq!(messages(&events).len(), 256, "{name}, {how}");
                }
                "pack_that_ends_in_zeros" => {
                    assert_eq!(messages(&events), [&[0, 0][..], b""], "{name}, {how}");
                }
                other => panic!("a vector that is not known: {other}"),
            }
        });
    }
}

/// Goal: a DONE may come inside a message, once we have sent FIN. Method: a client that has
/// sent it before it receives the server's hello.
#[test]
fn done_may_come_inside_a_message() {
    for (name, records) in entries("accept_from_server_after_client_said_fin") {
        let start = |kernel| {
            let (mut session, _) = client(kernel);
            let mut out = Vec::new();
            session.finish(NOW, &mut out);
            session.receive(NOW, &bytes(&native()["server_hello"]), &mut out);
            assert_eq!(out.len(), 34, "a FIN");
            session
        };
        in_every_way(start, &bytes(records), |how, _, events| {
            assert_eq!(outcome(&events), None, "{name}, {how}");
            assert_eq!(messages(&events).len(), 1, "{name}, {how}: {events:?}");
        });
    }
}

/// Goal: a whole conversation, played to each side, completes. Method: play the records of the
/// other side unchanged. A session answers in its own order and may answer several PINGs with
/// one PONG, so the test checks only the number of bytes that it sends.
#[test]
fn a_transcript_is_played() {
    let transcript = list(&native()["transcript"]);
    let stream = |side: &str| -> Vec<u8> {
        let entries = transcript.iter();
        let sent = entries.filter(|entry| text(&entry["who"]) == side);
        sent.flat_map(|entry| bytes(&entry["record"])).collect()
    };
    let start_server = || {
        let mut session = shaken_server(chosen());
        let mut out = Vec::new();
        session.finish(NOW, &mut out);
        assert!(out.is_empty(), "nothing before the client is proved");
        session
    };
    let input = stream("client");
    // The last record answers the server's FIN, which comes after the first records.
    let (before, done) = input.split_at(input.len() - 34);
    for cut in 0..=before.len() {
        let mut session = start_server();
        let mut sent = receive(&mut session, before, [cut, usize::MAX]);
        sent.extend(receive(&mut session, done, DRIP));
        let events = events(&mut session);
        assert_eq!(
            messages(&events),
            [&b"one message"[..], b"two", b"at once"],
            "cut at {cut}"
        );
        let ends = [Event::Fin, Event::ShutDown];
        assert!(ends.iter().all(|end| events.contains(end)), "cut at {cut}");
        assert_eq!(outcome(&events), None, "the end of the stream is to come");
        assert!(sent.len().is_multiple_of(34), "PONG, DONE and FIN");
    }

    let start_client = |kernel| {
        let (mut session, mut out) = shaken_client(kernel);
        // A session sends PING first, as the transcript does.
        assert!(out.len() == MIN_RECORD && input.starts_with(&out));
        session.finish(NOW, &mut out);
        session
    };
    in_every_way(start_client, &stream("server"), |how, _, events| {
        assert_eq!(
            messages(&events),
            [&b"got it"[..], b"got", b"both", b""],
            "{how}"
        );
        let ends = [Event::Fin, Event::ShutDown];
        assert!(ends.iter().all(|end| events.contains(end)), "{how}");
    });
}

/// Goal: a session's own records are those of the vectors, where it sends the same in the
/// same order. Method: a client sends PING, a message and FIN.
#[test]
fn a_session_seals_what_the_vectors_have() {
    let (mut session, mut out) = shaken_client(chosen());
    assert!(session.send(NOW, &[9; 100], &mut out));
    session.finish(NOW, &mut out);
    let mut expected = seal(Direction::ClientToServer, 0, Kind::Ping as u8, &[], 1);
    expected.extend(seal(Direction::ClientToServer, 1, 2, &[9; 100], 7));
    expected.extend(seal(Direction::ClientToServer, 2, 3, &[], 1));
    assert_eq!(out, expected);
    let blocks = parse_blocks(&out[34..]).unwrap().unwrap();
    assert_eq!(record_len(blocks), 2 + 7 * 16 + 16);
}

/// Goal: bit 255 of a client's public key changes nothing but the transcript. Method: a
/// connection answers that hello as the vectors do.
#[test]
fn bit_255_goes_through_a_connection() {
    let expected = &native()["public_key_with_bit_255_set"];
    let sent = receive(
        &mut server(chosen()),
        &bytes(&expected["client_hello"]),
        DRIP,
    );
    assert_eq!(sent, bytes(&expected["server_hello"]));
}
