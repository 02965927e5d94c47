//! Short messages share records, and mean what they would mean alone.

use sealwire::limits::{INPUT_SCRATCH, MAX_PACKED, MAX_PAYLOAD, MIN_RECORD, MOST_SHARE};
use sealwire::wire::record::Kind;
use sealwire::{Echo, Failure, Leaves, PeerFault, Reason, Relay, Sink};

use crate::hand::{Hand, Raw};
use crate::people::{Sender, gave, is_truncated, limited, native};
use crate::world::World;

/// The payload of a pack.
fn pack(messages: &[&[u8]]) -> Vec<u8> {
    let entry = |message: &&[u8]| [&(message.len() as u16).to_be_bytes()[..], message].concat();
    messages.iter().flat_map(entry).collect()
}

/// Messages of every length around those that are packed, with long ones in between.
fn mixed() -> Vec<Vec<u8>> {
    let len = |n: usize| match n % 50 {
        49 => 3 * MAX_PAYLOAD + n,
        48 => 5000,
        _ => n * 7 % 600,
    };
    (0..1000).map(|n| vec![n as u8; len(n)]).collect()
}

/// Goal: what is sent comes out the same, in order, packed or not, and packing makes far
/// fewer records. Method: a thousand messages of all lengths to a relay, from which another
/// peer receives them; with one message to a record, two, and as many as may be.
#[test]
fn packs_mean_what_their_messages_mean() {
    let mut sealed = Vec::new();
    for most in [1, 2, MAX_PACKED] {
        let setup = limited(|limits| limits.max_packed = most);
        let (mut world, server) = World::with(setup, Relay);
        let receiver = world.host(native(5, Leaves::WithPeers), Sender::staying(Vec::new()));
        world.connect(receiver);
        world.run_millis(10);
        let mut setup = native(6, Leaves::WithPeers);
        setup.limits.max_packed = most;
        let sender = world.host(setup, Sender::staying(mixed()));
        world.connect(sender);
        world.run_millis(500);
        assert!(world.hosts[server].log().all() == mixed(), "{most} at most");
        assert!(
            world.hosts[receiver].log().all() == mixed(),
            "{most} at most"
        );
        sealed.push(world.hosts[server].endpoint.stats().sealed);
    }
    // Most messages are short enough to be packed. Those of 500 bytes go two or three to a
    // record.
    assert!(sealed[0] > 1000, "a record for each message: {sealed:?}");
    assert!(
        sealed[1] < sealed[0] * 3 / 4 && sealed[2] < sealed[0] / 2,
        "{sealed:?}"
    );
}

/// Goal: a lone message goes alone, and no pack is made inside a message. Method: count the
/// records of an echo's answers: to a message alone, to two at once, and to a message of two
/// chunks with short ones around it.
#[test]
fn a_lone_message_is_no_pack() {
    let (mut world, server) = World::with(native(1, Leaves::WhenStopped), Echo);
    let mut raw = Raw::join(&mut world);
    let sealed = |world: &World| world.hosts[server].endpoint.stats().sealed;
    let long = vec![7; MAX_PAYLOAD + 5];
    let sets: [(&[&[u8]], u64); 3] = [
        (&[b"alone"], 1),
        (&[b"two", b"at once"], 1),
        // One pack, PART, END, one pack.
        (&[b"a", b"b", &long, b"c", b"d"], 4),
    ];
    let mut said = Vec::new();
    for (messages, records) in sets {
        let before = sealed(&world);
        let mut out = Vec::new();
        assert!(raw.session.send_all(world.now(), messages, &mut out));
        world.write(raw.end, &out);
        assert_eq!(
            sealed(&world) - before,
            records,
            "{} messages",
            messages.len()
        );
        raw.read(&mut world);
        said.extend_from_slice(messages);
        assert_eq!(raw.messages(), said);
    }
    raw.close(&mut world);
}

/// Goal: what several peers say in a tick reaches each receiver in one record, in the order
/// in which the relay has it. Method: three of four peers say something before the server
/// ticks.
#[test]
fn a_relay_packs_what_several_say() {
    let (mut world, server) = World::with(native(1, Leaves::WhenStopped), Relay);
    let mut raws: Vec<Raw> = (0..4).map(|_| Raw::join(&mut world)).collect();
    let before = world.hosts[server].endpoint.stats().sealed;
    for (n, raw) in raws[..3].iter_mut().enumerate() {
        let record = raw.seal(&world, &[n as u8]);
        assert_eq!(world.net.write(raw.end, &record).ok(), Some(record.len()));
    }
    world.settle();
    let sealed = world.hosts[server].endpoint.stats().sealed - before;
    assert_eq!(sealed, 4, "one for each receiver");
    let log = world.hosts[server].log();
    let said: Vec<_> = log
        .messages
        .iter()
        .map(|(_, bytes)| bytes.clone())
        .collect();
    for (n, raw) in raws.iter_mut().enumerate() {
        raw.read(&mut world);
        let others = said.iter().filter(|message| **message != [n as u8]);
        assert_eq!(raw.messages(), others.collect::<Vec<_>>());
        raw.close(&mut world);
    }
}

/// Goal: of a pack that is refused no message is handed on, and what came ahead is. Method:
/// a pack that lacks its last byte, one with a byte more, and one inside a message, each
/// behind a right one.
#[test]
fn a_refused_pack_hands_nothing_on() {
    let right = pack(&[b"right", b""]);
    let (short, long) = (&right[..right.len() - 1], [&right[..], &[0]].concat());
    for (before, payload, fault) in [
        (None, short, PeerFault::Pack),
        (None, &long[..], PeerFault::Pack),
        (Some(Kind::Part), &right[..], PeerFault::PackInside),
    ] {
        let (mut world, server) = World::with(native(1, Leaves::WhenStopped), Sink);
        let mut hand = Hand::shake(&mut world);
        hand.send(&mut world, Kind::Pack, &right);
        if let Some(kind) = before {
            hand.send(&mut world, kind, b"unfinished");
        }
        hand.send(&mut world, Kind::Pack, payload);
        assert_eq!(world.hosts[server].log().all(), [&b"right"[..], b""]);
        let failed = Some(Err(Failure::Peer(fault)));
        assert_eq!(world.hosts[server].outcome(hand.peer), failed);
    }
}

/// Goal: a message over the limit ends a pack where it would end a stream: those ahead are
/// handed on, those behind are not. Method: the second of three is too long.
#[test]
fn a_message_too_large_ends_its_pack() {
    let setup = limited(|limits| limits.max_message = 10);
    let (mut world, server) = World::with(setup, Sink);
    let mut hand = Hand::shake(&mut world);
    let payload = pack(&[b"short", b"much too long", b"behind"]);
    hand.send(&mut world, Kind::Pack, &payload);
    assert_eq!(world.hosts[server].log().all(), [b"short"]);
    world.close(hand.end);
    assert_eq!(
        world.hosts[server].outcome(hand.peer),
        gave(Reason::TOO_LARGE)
    );
}

/// Packs of empty messages, more than one turn hands on.
const PACKS: usize = 100;

/// Their records.
fn flood(hand: &mut Hand) -> Vec<u8> {
    let payload = pack(&[&b""[..]; MAX_PACKED]);
    let records = (0..PACKS).flat_map(|_| hand.record(Kind::Pack, &payload));
    records.collect()
}

/// Goal: a peer gains no work by packing: a turn hands on no more messages than its share
/// could bring if none were packed; another peer is read meanwhile; nothing is lost. Method:
/// full packs of empty messages, as many as one read takes, and messages of another peer.
#[test]
fn packs_share_the_work_of_a_tick() {
    let most = (MOST_SHARE / MIN_RECORD + MAX_PACKED) as u64;
    let (mut world, server) = World::with(native(1, Leaves::WhenStopped), Sink);
    let mut other = Raw::join(&mut world);
    let mut hand = Hand::shake(&mut world);
    let records = flood(&mut hand);
    let written = world.net.write(hand.end, &records);
    assert_eq!(written.ok(), Some(records.len()), "it fits the socket");
    let mut ticks = 0;
    let mut last = 0;
    while world.hosts[server].log().of(hand.peer).len() < PACKS * MAX_PACKED {
        let said = other.seal(&world, &[ticks]);
        let _ = world.net.write(other.end, &said);
        world.tick_after(server, 0);
        let messages = world.hosts[server].endpoint.stats().messages;
        assert!(messages - last <= most, "{} in one tick", messages - last);
        last = messages;
        ticks += 1;
        assert!(ticks < 20, "{last} messages");
        let others = world.hosts[server].log().of(other.peer).len();
        assert!(others + 1 >= usize::from(ticks), "it yields once at most");
    }
    assert!(ticks > 2, "it was the work of {ticks} ticks");
    other.close(&mut world);
    world.close(hand.end);
}

/// Goal: what comes behind many packs takes effect behind all of them, at once, and the peer
/// is gone then. Method: FIN and an end of stream; a record that does not authenticate; a
/// reset; each without a step of the clock.
#[test]
fn what_comes_behind_packs_counts() {
    for ending in ["fin", "tag", "reset"] {
        let (mut world, server) = World::with(native(1, Leaves::WhenStopped), Sink);
        let mut hand = Hand::shake(&mut world);
        let mut bytes = flood(&mut hand);
        match ending {
            "fin" => bytes.extend(hand.record(Kind::Fin, b"")),
            "tag" => bytes.extend([0, 1, 7].iter().chain(&[0; 40])),
            _ => {}
        }
        assert_eq!(world.net.write(hand.end, &bytes).ok(), Some(bytes.len()));
        let host = |world: &World| world.hosts[server].endpoint.stats().messages;
        match ending {
            "reset" => {
                // What has come is read before the reset, as from a socket.
                world.tick_after(server, 0);
                world.reset(hand.end.link);
            }
            _ => world.settle(),
        }
        assert_eq!(host(&world), (PACKS * MAX_PACKED) as u64, "{ending}");
        let log = world.hosts[server].log();
        assert_eq!(log.fins.len(), usize::from(ending == "fin"));
        if ending == "fin" {
            // DONE and the server's own FIN.
            assert!(world.net.incoming(hand.end).written > 0);
            world.close(hand.end);
        }
        let outcome = world.hosts[server].outcome(hand.peer);
        match ending {
            "tag" => assert_eq!(outcome, Some(Err(Failure::Peer(PeerFault::Tag)))),
            _ => assert!(is_truncated(&outcome), "{ending}: {outcome:?}"),
        }
    }
}

/// Goal: the work of a tick is bounded however many peers pack, also if they have proved
/// nothing before; nobody is dropped for it, and nothing is lost. Method: forty peers send
/// packs of empty messages in one tick; backlogs have much room, or hardly any.
#[test]
fn many_packers_share_a_tick() {
    const PEERS: usize = 40;
    const PACKS: usize = 8;
    let most = (INPUT_SCRATCH / MIN_RECORD + MAX_PACKED) as u64;
    let payload = pack(&[&b""[..]; MAX_PACKED]);
    for (proved, max_assembling) in [(false, 256 << 20), (true, 256 << 20), (true, 20_000)] {
        let setup = limited(|limits| limits.max_assembling = max_assembling);
        let (mut world, server) = World::with(setup, Sink);
        let mut hands: Vec<_> = (0..PEERS).map(|_| Hand::shake(&mut world)).collect();
        for hand in hands.iter_mut().filter(|_| proved) {
            hand.send(&mut world, Kind::Ping, b"");
        }
        for hand in &mut hands {
            let records = (0..PACKS).flat_map(|_| hand.record(Kind::Pack, &payload));
            let records: Vec<u8> = records.collect();
            assert_eq!(
                world.net.write(hand.end, &records).ok(),
                Some(records.len())
            );
        }
        // Each of those that are not proved has a pack handed on in any case.
        let most = match proved {
            true => most,
            false => most + (PEERS * MAX_PACKED) as u64,
        };
        let all = (PEERS * PACKS * MAX_PACKED) as u64;
        let (mut last, mut ticks) = (0, 0);
        while last < all {
            world.tick_after(server, 0);
            let messages = world.hosts[server].endpoint.stats().messages;
            // Where backlogs are full, what was kept comes on top of what is read.
            let most = if max_assembling < 1 << 20 {
                2 * most
            } else {
                most
            };
            assert!(messages - last <= most, "{} in one tick", messages - last);
            last = messages;
            ticks += 1;
            assert!(ticks < 100, "{last} of {all}");
        }
        assert!(ticks > 2, "it was the work of {ticks} ticks");
        for hand in &hands {
            assert_eq!(world.hosts[server].outcome(hand.peer), None);
            world.close(hand.end);
        }
    }
}

/// Goal: peers that always have more packs starve no other peer, quiet or streaming. Method:
/// twenty or thirty of them send again in every tick, as much as fits or just below their
/// share, in two groups whose first packs come in different ticks; one peer sends a message
/// now and then, and one a long one.
#[test]
fn packers_starve_nobody() {
    starve(20, usize::MAX);
    starve(30, 7);
}

/// Runs some packers that send at most `most` packs in a tick.
fn starve(packers: usize, most: usize) {
    let payload = pack(&[&b""[..]; MAX_PACKED]);
    let (mut world, server) = World::with(native(1, Leaves::WhenStopped), Sink);
    let mut hands: Vec<_> = (0..packers).map(|_| Hand::shake(&mut world)).collect();
    for hand in &mut hands {
        hand.send(&mut world, Kind::Ping, b"");
    }
    let mut others = [Raw::join(&mut world), Raw::join(&mut world)];
    let messages = [vec![1; 10], vec![2; 3 * MAX_PAYLOAD]];
    let mut waits = [0; 2];
    let mut said = [0; 2];
    for tick in 0..200 {
        for (n, hand) in hands.iter_mut().enumerate() {
            // The second group begins later.
            let begun = n % 2 == 0 || tick > 2;
            let free = world.net.outgoing(hand.end).room();
            if most < 100 && free < world.net.socket {
                // It stays below its share.
                continue;
            }
            for _ in 0..most.min(100) {
                if !begun || world.net.outgoing(hand.end).room() < 2_000 {
                    break;
                }
                let record = hand.record(Kind::Pack, &payload);
                assert_eq!(world.net.write(hand.end, &record).ok(), Some(record.len()));
            }
        }
        for (n, other) in others.iter_mut().enumerate() {
            if world.hosts[server].log().of(other.peer).len() == said[n] {
                waits[n] = 0;
                said[n] += 1;
                let bytes = other.seal(&world, &messages[n]);
                assert_eq!(world.net.write(other.end, &bytes).ok(), Some(bytes.len()));
            }
            waits[n] += 1;
            assert!(waits[n] < 10, "peer {n} waits in tick {tick}");
        }
        world.tick_after(server, 0);
    }
    assert!(said.iter().all(|&count| count > 30), "{said:?}");
    others.iter().for_each(|other| other.close(&mut world));
    hands.iter().for_each(|hand| world.close(hand.end));
}

/// Goal: what a peer has packed waits, like bytes in its socket, while its answers are not
/// taken, and counts as memory within the bounds; then all of it is answered. Method: an
/// echo of far more messages than its queue holds, whose client reads nothing at first.
#[test]
fn packs_wait_for_their_receiver() {
    const ROUNDS: usize = 8;
    let setup = limited(|limits| limits.max_queue = 1 << 20);
    let (mut world, server) = World::with(setup, Echo);
    let mut raw = Raw::join(&mut world);
    let messages = vec![&b"12345678"[..]; 200];
    let mut unsent = Vec::new();
    for _ in 0..ROUNDS * 100 {
        assert!(raw.session.send_all(world.now(), &messages, &mut unsent));
    }
    let end = raw.end;
    let mut write = |world: &mut World| {
        let count = world.net.write(end, &unsent).unwrap_or(0);
        unsent.drain(..count);
        world.settle();
        unsent.len()
    };
    for _ in 0..100 {
        write(&mut world);
    }
    assert!(write(&mut world) > 0, "it is not read for ever");
    let held = world.hosts[server].endpoint.held();
    assert!(held < 3 << 20, "{held} bytes");
    while write(&mut world) > 0 {
        raw.read(&mut world);
    }
    let all = ROUNDS * 100 * messages.len();
    for _ in 0..100 {
        raw.read(&mut world);
    }
    assert_eq!(raw.messages().len(), all);
    raw.close(&mut world);
}
