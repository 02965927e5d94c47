//! The vectors' bytes, played to real connections with their private keys.

use sealwire::conn::session::{Event, Session};
use sealwire::conn::{Connection, Outcome};
use sealwire::crypto::dh::Private;
use sealwire::crypto::kernel::Kernel;
use sealwire::crypto::keys::Identity;
use sealwire::error::{Failure, PeerFault};
use sealwire::limits::SERVER_HELLO;
use sealwire::time::Time;
use sealwire::wire::record::{Kind, parse_blocks, record_len};
use serde_json::Value;

use crate::answers::{array, bytes, hex, list, native, secrets, text};
use crate::hellos::identity;
use crate::records::{Direction, seal};

const NOW: Time = Time::ZERO;

fn private(side: &str) -> Private {
    Private::new(array(&native()[side]))
}

fn server() -> Session {
    let private = private("server_private");
    Session::new(
        Connection::server(identity(), private, NOW),
        Kernel::chosen().unwrap(),
        1 << 24,
    )
}

/// A client, and its hello.
fn client() -> (Session, Vec<u8>) {
    let private = private("client_private");
    let connection = Connection::client(identity(), private, NOW);
    let mut session = Session::new(connection, Kernel::chosen().unwrap(), 1 << 24);
    let mut out = Vec::new();
    session.start(NOW, &mut out);
    (session, out)
}

/// Gives `input` in two pieces, and says what is sent.
fn receive(session: &mut Session, input: &[u8], cut: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in [&input[..cut], &input[cut..]] {
        if !piece.is_empty() {
            session.receive(NOW, piece, &mut out);
        }
    }
    out
}

/// As [`receive`], one byte at a time.
fn drip(session: &mut Session, input: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for byte in input {
        session.receive(NOW, &[*byte], &mut out);
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

/// Every way to give `input` behind what `start` was given: cut once, at every
/// byte, and one byte at a time. `check` is told what was sent and happened.
fn in_every_way(
    start: impl Fn() -> Session,
    input: &[u8],
    check: impl Fn(&str, Vec<u8>, Vec<Event>),
) {
    for cut in 0..=input.len() {
        let mut session = start();
        let sent = receive(&mut session, input, cut);
        check(&format!("cut at {cut}"), sent, events(&mut session));
    }
    let mut session = start();
    let sent = drip(&mut session, input);
    check("byte by byte", sent, events(&mut session));
}

/// A server behind the right hello of a client.
fn shaken_server() -> Session {
    let mut session = server();
    let mut out = Vec::new();
    session.receive(NOW, &bytes(&native()["client_hello"]), &mut out);
    assert_eq!(out, bytes(&native()["server_hello"]));
    session
}

fn entries(name: &str) -> impl Iterator<Item = (&'static String, &'static Value)> {
    let entries = native()[name].as_object().unwrap();
    assert!(!entries.is_empty());
    entries.iter()
}

/// Goal: a server refuses each wrong hello, and says not a byte. Method: all of
/// the list, cut everywhere.
#[test]
fn a_server_refuses_wrong_hellos() {
    let mut wrong: Vec<(String, Vec<u8>)> = Vec::new();
    for (name, hello) in entries("refuse_client_hello") {
        match hello.as_object() {
            Some(points) => wrong.extend(points.iter().map(|(p, h)| (p.clone(), bytes(h)))),
            None => wrong.push((name.clone(), bytes(hello))),
        }
    }
    assert_eq!(wrong.len(), 12);
    for (name, hello) in wrong {
        in_every_way(server, &hello, |how, sent, events| {
            assert!(sent.is_empty(), "{name}, {how}: it answered");
            assert_eq!(events.len(), 1, "{name}, {how}: {events:?}");
            let fault = matches!(outcome(&events), Some(Err(Failure::Peer(_))));
            assert!(fault, "{name}, {how}: {events:?}");
        });
    }
}

/// Goal: a client refuses each wrong answer, and says nothing more. Method: as
/// for the server.
#[test]
fn a_client_refuses_wrong_hellos() {
    for (name, hello) in entries("refuse_server_hello") {
        let start = || {
            let (session, hello) = client();
            assert_eq!(hello, bytes(&native()["client_hello"]));
            session
        };
        in_every_way(start, &bytes(hello), |how, sent, events| {
            assert!(sent.is_empty(), "{name}, {how}: it answered");
            assert_eq!(events.len(), 1, "{name}, {how}: {events:?}");
            let fault = matches!(outcome(&events), Some(Err(Failure::Peer(_))));
            assert!(fault, "{name}, {how}: {events:?}");
        });
    }
}

/// Goal: what may not come first, or not in that order, ends a connection.
/// Method: all of the list, behind a right hello. Where several records are
/// needed, all but the last are right, and are acted on.
#[test]
fn wrong_first_records_are_refused() {
    for (name, record) in entries("refuse_as_first_bytes_from_client") {
        let record = bytes(record);
        in_every_way(shaken_server, &record, |how, sent, events| {
            let fault = match outcome(&events) {
                Some(Err(Failure::Peer(fault))) => *fault,
                other => panic!("{name}, {how}: {other:?}"),
            };
            let expected = match name.as_str() {
                "first_sent_twice" => PeerFault::Tag,
                "done_unasked" => PeerFault::DoneUnasked,
                "fin_inside_message" => PeerFault::FinInside,
                "data_after_fin" | "fin_twice" => PeerFault::AfterFin,
                _ => {
                    assert_eq!(events.len(), 1, "{name}, {how}: {events:?}");
                    assert!(sent.is_empty(), "{name}, {how}: it answered");
                    return;
                }
            };
            assert_eq!(fault, expected, "{name}, {how}");
            let said = usize::from(name == "first_sent_twice");
            assert_eq!(messages(&events).len(), said, "{name}, {how}");
        });
    }
}

/// Goal: a payload over the limit ends a connection. Method: the vectors have
/// only its hash, which `refused` checks; it is sealed here.
#[test]
fn a_payload_too_long_is_refused() {
    for entry in list(&native()["refuse_payload_too_long"]) {
        let len = entry["payload_bytes_all_0x41"].as_u64().unwrap() as usize;
        let record = seal(Direction::ClientToServer, 0, 2, &vec![0x41; len], 1025);
        let mut session = shaken_server();
        let sent = receive(&mut session, &record, 1);
        let fault = Failure::Peer(PeerFault::LongPayload(len));
        assert_eq!(events(&mut session), [Event::Over(Err(fault))]);
        assert!(sent.is_empty());
    }
}

/// Goal: what may come first is taken. Method: all of the list, cut everywhere,
/// each with what it leads to.
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
                other => panic!("a vector that is not known: {other}"),
            }
        });
    }
}

/// Goal: a DONE may come inside a message, once we have said FIN. Method: a
/// client that has, before it hears the server.
#[test]
fn done_may_come_inside_a_message() {
    for (name, records) in entries("accept_from_server_after_client_said_fin") {
        let start = || {
            let (mut session, _) = client();
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

/// Goal: a whole conversation, played to each side, comes to its right end, and
/// whatever that side says is what it may say. Method: the records of the other
/// side as they are; a session answers in its own order and may share a PONG, so
/// its own records are held against the kinds that are due.
#[test]
fn a_transcript_is_played() {
    let transcript = list(&native()["transcript"]);
    let of = |who: &str| -> Vec<&Value> {
        let mine = transcript.iter().filter(|entry| text(&entry["who"]) == who);
        mine.collect()
    };
    let stream = |who: &str| -> Vec<u8> {
        of(who)
            .iter()
            .flat_map(|entry| bytes(&entry["record"]))
            .collect()
    };
    let start_server = || {
        let mut session = shaken_server();
        let mut out = Vec::new();
        session.finish(NOW, &mut out);
        assert!(out.is_empty(), "nothing before the client is proved");
        session
    };
    let input = stream("client");
    // The last record answers the server's FIN, which it says once it has heard
    // the first.
    let (before, done) = input.split_at(input.len() - 34);
    for cut in 0..=before.len() {
        let mut session = start_server();
        let mut sent = receive(&mut session, before, cut);
        sent.extend(drip(&mut session, done));
        let events = events(&mut session);
        assert_eq!(messages(&events), [b"one message"], "cut at {cut}");
        let ends = [Event::Fin, Event::ShutDown];
        assert!(ends.iter().all(|end| events.contains(end)), "cut at {cut}");
        assert_eq!(outcome(&events), None, "the end of the stream is to come");
        assert!(sent.len().is_multiple_of(34), "PONG, DONE and FIN");
    }

    let start_client = || {
        let (mut session, _) = client();
        let mut out = Vec::new();
        session.receive(NOW, &bytes(&native()["server_hello"]), &mut out);
        // A session says PING first, which is what the transcript begins with.
        assert_eq!(out, bytes(&of("client")[0]["record"]));
        session.finish(NOW, &mut out);
        session
    };
    in_every_way(start_client, &stream("server"), |how, _, events| {
        assert_eq!(messages(&events), [b"got it"], "{how}");
        let ends = [Event::Fin, Event::ShutDown];
        assert!(ends.iter().all(|end| events.contains(end)), "{how}");
    });
}

/// Goal: a session's own records are those of the vectors, where it says the
/// same in the same order. Method: a client says the transcript's first records.
#[test]
fn a_session_seals_what_the_vectors_have() {
    let (mut session, _) = client();
    let mut out = Vec::new();
    session.receive(NOW, &bytes(&native()["server_hello"]), &mut out);
    assert!(session.send(NOW, &[9; 100], &mut out));
    session.finish(NOW, &mut out);
    let mut expected = seal(Direction::ClientToServer, 0, Kind::Ping as u8, &[], 1);
    expected.extend(seal(Direction::ClientToServer, 1, 2, &[9; 100], 7));
    expected.extend(seal(Direction::ClientToServer, 2, 3, &[], 1));
    assert_eq!(out, expected);
    let blocks = parse_blocks(&out[34..]).unwrap().unwrap();
    assert_eq!(record_len(blocks), 2 + 7 * 16 + 16);
}

/// Goal: bit 255 of a client's public key changes nothing but the transcript.
/// Method: a connection answers that hello as the vectors do.
#[test]
fn bit_255_goes_through_a_connection() {
    let expected = &native()["public_key_with_bit_255_set"];
    let mut session = server();
    let sent = drip(&mut session, &bytes(&expected["client_hello"]));
    assert_eq!(sent, bytes(&expected["server_hello"]));
    assert_eq!(sent.len(), SERVER_HELLO);
}

/// Goal: another service than messages is refused here.
#[test]
fn the_tunnel_is_not_offered() {
    let mut session = server();
    let hello = bytes(&native()["client_hello_tunnel"]);
    assert!(drip(&mut session, &hello).is_empty());
    let fault = Failure::Peer(PeerFault::Service(1));
    assert_eq!(events(&mut session), [Event::Over(Err(fault))]);
}

/// Goal: other keys are told by their id, before anything else.
#[test]
fn other_keys_are_refused() {
    let other = Identity::new(&secrets(hex(&"77".repeat(32)), hex(&"88".repeat(32)))).unwrap();
    let connection = Connection::server(other, private("server_private"), NOW);
    let mut session = Session::new(connection, Kernel::chosen().unwrap(), 100);
    assert!(drip(&mut session, &bytes(&native()["client_hello"])).is_empty());
    let fault = Failure::Peer(PeerFault::UnknownKey);
    assert_eq!(events(&mut session), [Event::Over(Err(fault))]);
}
