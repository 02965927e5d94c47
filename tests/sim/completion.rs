//! How a connection ends: FIN and DONE in any order, half-closed, cut, given up.

use std::io::ErrorKind;

use sealwire::wire::record::Kind;
use sealwire::{
    Abort, Chat, Echo, End, EndpointEvent, Failure, Gravity, Leaves, Mode, PeerFault, Reason,
    Relay, SessionEvent as Event, Sink,
};

use crate::hand::{Hand, Raw};
use crate::people::{Sender, aborted, gave, is_truncated, native};
use crate::port::Plain;
use crate::world::{Link, World};

/// Goal: both sides are complete, whichever says FIN first, and all that was sent is
/// there. Method: the client first; the server first, by being stopped; both
/// at once.
#[test]
fn either_side_may_finish_first() {
    for first in ["client", "server", "both"] {
        let (mut world, server) = World::with(native(1, Leaves::WhenStopped), Echo);
        let plan = vec![b"one".to_vec(), vec![9; 40_000], Vec::new()];
        let sender = match first {
            "server" => Sender::staying(plan.clone()),
            _ => Sender::new(plan.clone()),
        };
        let (client, pair) = world.client(sender);
        if first == "client" {
            world.run_millis(10);
        } else {
            while world.hosts[server].log().messages.len() < 3 {
                world.run_millis(1);
            }
            world.stop(server);
            world.settle();
        }
        if first == "server" {
            assert_eq!(world.hosts[client].log().fins.len(), 1);
            assert_eq!(world.outcome(pair.at_server), None);
            world.stop(client);
        }
        world.run_millis(10);
        let outcomes = [(server, pair.at_server), (client, pair.at_client)];
        let outcomes = outcomes.map(|(host, peer)| world.hosts[host].outcome(peer));
        assert_eq!(outcomes, [Some(Ok(())), Some(Ok(()))], "{first}");
        assert_eq!(world.hosts[client].log().all(), plan, "{first}");
        assert_eq!(world.end(client), Some(End::Complete), "{first}");
    }
}

/// Goal: a server that was stopped confirms nothing that it cannot hand on: a peer that
/// says something to an echo or a relay is aborted, and gets no DONE; a sink and a chat
/// take it and confirm it, because after our FIN the other side may go on. Method: stop each,
/// then a message and FIN.
#[test]
fn a_stopped_server_confirms_what_it_hands_on() {
    let modes: [(bool, Box<dyn Mode>); 4] = [
        (false, Box::new(Echo)),
        (false, Box::new(Relay)),
        (true, Box::new(Sink)),
        (true, Box::new(Chat::new(true))),
    ];
    for (n, (confirms, mode)) in modes.into_iter().enumerate() {
        let (mut world, server) = World::with(native(1, Leaves::WhenStopped), mode);
        world.local(server, None, Plain::open(b""));
        let mut raw = Raw::join(&mut world);
        world.stop(server);
        world.settle();
        raw.read(&mut world);
        assert!(raw.events.contains(&Event::Fin), "mode {n}");
        let mut bytes = raw.seal(&world, b"too late?");
        let now = world.now();
        raw.session.finish(now, &mut bytes);
        world.write(raw.end, &bytes);
        raw.read(&mut world);
        raw.close(&mut world);
        let outcome = world.outcome(raw.peer);
        if confirms {
            assert!(raw.events.contains(&Event::ShutDown), "mode {n}");
            assert_eq!(outcome, Some(Ok(())), "mode {n}");
            assert_eq!(world.hosts[server].log().all(), [b"too late?"]);
        } else {
            assert_eq!(raw.outcome(), aborted(Reason::GOING_AWAY, ""));
            assert_eq!(outcome, gave(Reason::GOING_AWAY), "mode {n}");
        }
    }
}

/// Goal: our end is not shut down in the middle of a record, though both sides are complete.
/// Method: a PONG that does not fit is in front when the client's DONE comes.
#[test]
fn an_end_is_shut_down_behind_what_is_sealed() {
    let (mut world, _) = World::with(native(1, Leaves::WhenStopped), Sink);
    let mut hand = Hand::shake(&mut world);
    hand.send(&mut world, Kind::Fin, b"");
    let said = world.net.incoming(hand.end).written;
    world.net.incoming(hand.end).capacity = (said - 72) as usize + 10;
    hand.send(&mut world, Kind::Ping, b"");
    hand.send(&mut world, Kind::Done, b"");
    assert_eq!(world.net.incoming(hand.end).written, said + 10);
    assert!(!world.net.incoming(hand.end).shut, "a record is cut");
    world.read(hand.end);
    assert_eq!(world.net.incoming(hand.end).written, said + 34);
    assert!(world.net.incoming(hand.end).shut);
    world.close(hand.end);
    assert_eq!(world.outcome(hand.peer), Some(Ok(())));
}

/// Goal: a complete side waits 5 s for the other's end, and no longer; no error
/// after completion counts. Method: a client that stays silent, and one whose
/// connection is reset.
#[test]
fn nothing_counts_after_completion() {
    for reset in [false, true] {
        let (mut world, _) = World::with(native(1, Leaves::WhenStopped), Sink);
        let mut raw = Raw::join(&mut world);
        raw.finish(&mut world);
        assert!(raw.events.contains(&Event::ShutDown));
        assert!(world.net.incoming(raw.end).shut, "it shuts down first");
        if reset {
            world.reset(raw.end.link);
        } else {
            world.run_millis(4990);
            assert_eq!(world.outcome(raw.peer), None);
            world.run_millis(20);
        }
        assert_eq!(world.outcome(raw.peer), Some(Ok(())));
    }
}

/// Goal: an end of stream anywhere before completion is truncation, and the
/// whole messages before it are handed on. Method: cut what a client sends at
/// every byte of three records.
#[test]
fn a_cut_stream_is_truncated() {
    for cut in 0..=3 * 50 {
        let (mut world, server) = World::with(native(1, Leaves::WhenStopped), Sink);
        let mut raw = Raw::join(&mut world);
        let records: Vec<u8> = (0..3_u8).flat_map(|n| raw.seal(&world, &[n; 20])).collect();
        assert_eq!(records.len(), 150);
        if cut > 0 {
            world.write(raw.end, &records[..cut]);
        }
        raw.close(&mut world);
        let outcome = world.outcome(raw.peer);
        assert!(is_truncated(&outcome), "cut at {cut}: {outcome:?}");
        assert_eq!(world.hosts[server].log().messages.len(), cut / 50);
    }
}

/// Goal: an ABORT is heard with its reason and text; what was whole before it is handed
/// on, and what follows is ignored. Method: a client aborts
/// inside a message, and goes on with nonsense.
#[test]
fn an_abort_is_received() {
    let (mut world, server) = World::with(native(1, Leaves::WhenStopped), Echo);
    let mut hand = Hand::shake(&mut world);
    let bytes = [
        hand.record(Kind::End, b"whole"),
        hand.record(Kind::Part, b"not "),
        hand.record(Kind::Abort, b"\x4dno\x07more\xff"),
        hand.record(Kind::End, b"whole"),
        vec![0xff; 100],
    ];
    world.write(hand.end, &bytes.concat());
    let outcome = world.outcome(hand.peer);
    let Some(Err(Failure::Aborted(abort))) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(abort.reason, Reason(77));
    assert_eq!(abort.to_string(), "reason 77: no\\u{7}more\\xff");
    assert_eq!(world.hosts[server].log().all(), [b"whole"]);
    let written = world.net.incoming(hand.end).written;
    assert_eq!(written, 72, "nothing is answered");
}

/// The bytes that come first behind a hello.
type First = fn(&mut Hand) -> Vec<u8>;

/// Goal: a hello alone makes no peer: whatever but a right record follows, it never joined, and
/// is refused, not said to have left. Method: a wrong record, the end of the stream, and ABORT,
/// which proves its sender.
#[test]
fn a_hello_alone_is_no_peer() {
    let fault = |fault| Some(Err(Failure::Peer(fault)));
    let first: [(First, _); 3] = [
        (|_| [&[0, 1], &[9; 32][..]].concat(), fault(PeerFault::Tag)),
        (|_| Vec::new(), fault(PeerFault::Unproved)),
        (
            |hand| hand.record(Kind::Abort, &[3]),
            aborted(Reason::GOING_AWAY, ""),
        ),
    ];
    for (first, expected) in first {
        let (mut world, server) = World::with(native(1, Leaves::WhenStopped), Echo);
        let mut hand = Hand::shake(&mut world);
        let bytes = first(&mut hand);
        let answered = world.net.incoming(hand.end).written;
        let _ = world.net.write(hand.end, &bytes);
        world.close(hand.end);
        assert_eq!(world.net.incoming(hand.end).written, answered);
        let events = &world.hosts[server].events;
        let [EndpointEvent::Refused(peer, outcome)] = &events[..] else {
            panic!("{events:?}");
        };
        assert_eq!((*peer, Some(outcome.clone())), (hand.peer, expected));
    }
}

/// Goal: after a failure nothing is sent, not even what was sealed before it. A whole message
/// ahead of it counts; half a message does not, nor does what comes behind. Method: an echo has
/// answered more than the socket takes; a bad record comes among others, in one piece.
#[test]
fn nothing_is_sent_after_a_failure() {
    let (mut world, server) = World::with(native(1, Leaves::WhenStopped), Echo);
    let mut hand = Hand::shake(&mut world);
    world.net.incoming(hand.end).capacity = 2000;
    hand.send(&mut world, Kind::End, &[1; 5000]);
    assert_eq!(world.net.incoming(hand.end).written, 2072);
    let mut answer = [0; 1000];
    let mut records = [
        hand.record(Kind::End, b"whole"),
        hand.record(Kind::Part, b"half"),
        hand.record(Kind::Ping, b""),
        hand.record(Kind::End, b"behind"),
    ];
    records[2][10] ^= 1;
    world.net.write(hand.end, &records.concat()).unwrap();
    assert_eq!(world.net.read(hand.end, &mut answer).unwrap().0, 1000);
    world.settle();
    assert_eq!(world.net.incoming(hand.end).written, 2072);
    let fault = Failure::Peer(PeerFault::Tag);
    assert_eq!(world.outcome(hand.peer), Some(Err(fault)));
    assert_eq!(world.hosts[server].log().all()[1..], [b"whole"]);
}

/// Goal: a failed write ends only writing: what comes is still read, and the
/// end of reading decides. Method: writing to a client of an echo fails; its
/// messages arrive; it closes, or aborts.
#[test]
fn reading_goes_on_when_writing_fails() {
    for aborts in [false, true] {
        let (mut world, server) = World::with(native(1, Leaves::WhenStopped), Echo);
        let mut raw = Raw::join(&mut world);
        world.net.incoming(raw.end).write_error = Some(ErrorKind::BrokenPipe);
        for n in 0..5 {
            raw.say(&mut world, &[n; 1000]);
        }
        assert_eq!(world.hosts[server].log().messages.len(), 5);
        assert_eq!(world.outcome(raw.peer), None);
        assert_eq!(world.hosts[server].endpoint.queued(), 0);
        if aborts {
            raw.abort(&mut world, Abort::new(Reason::TOO_SLOW, ""));
        }
        raw.close(&mut world);
        let outcome = world.outcome(raw.peer);
        match (aborts, outcome) {
            (true, Some(Err(Failure::Aborted(abort)))) => assert_eq!(abort.reason.0, 2),
            (false, Some(Err(Failure::Broken(_)))) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Goal: a server that closes before its hello means that the keys or services
/// differ. Method: close, and reset, at once.
#[test]
fn a_client_without_a_hello_says_so() {
    for reset in [false, true] {
        let (mut world, client) = World::with(native(2, Leaves::WithPeers), Sender::new(vec![]));
        let Link { end, peer } = world.dial();
        match reset {
            true => world.reset(end.link),
            false => world.close(end),
        }
        let outcome = world.outcome(peer);
        let fault = Failure::Peer(PeerFault::NoHandshake);
        assert_eq!(outcome, Some(Err(fault)), "reset: {reset}");
        assert_eq!(world.end(client), Some(End::Failed(Gravity::Peer)));
    }
}
