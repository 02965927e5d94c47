//! What one tick of a relay hands on to many.

use sealwire::limits::{FAN_OUT, MAX_PACKED, MAX_PAYLOAD};
use sealwire::wire::record::Kind;
use sealwire::{Leaves, Relay};

use crate::hand::{Hand, Raw};
use crate::people::{limited, native};
use crate::world::World;

const RECEIVERS: usize = 60;
const FLOODERS: usize = 3;
const PACKS: usize = 40;

/// The payload of a full pack of empty messages.
fn empty() -> Vec<u8> {
    vec![0; 2 * MAX_PACKED]
}

/// Goal: one tick queues no more than its items for all receivers together, whatever is packed,
/// also of peers that prove themselves with a pack, and where backlogs may take hardly any
/// memory; another peer is heard meanwhile, and nothing is lost. Method: three peers send
/// full packs of empty messages at once, for sixty others that say nothing.
#[test]
fn fan_out_is_bounded_by_items() {
    for (proved, max_assembling) in [(true, 256 << 20), (false, 256 << 20), (true, 20_000)] {
        let setup = limited(|limits| limits.max_assembling = max_assembling);
        let (mut world, server) = World::with(setup, Relay);
        let receivers: Vec<Raw> = (0..RECEIVERS).map(|_| Raw::join(&mut world)).collect();
        let mut other = Raw::join(&mut world);
        let mut hands: Vec<_> = (0..FLOODERS).map(|_| Hand::shake(&mut world)).collect();
        for hand in hands.iter_mut().filter(|_| proved) {
            hand.send(&mut world, Kind::Ping, b"");
        }
        for hand in &mut hands {
            let records: Vec<u8> = (0..PACKS)
                .flat_map(|_| hand.record(Kind::Pack, &empty()))
                .collect();
            assert_eq!(
                world.net.write(hand.end, &records).ok(),
                Some(records.len())
            );
        }
        let all = FLOODERS * PACKS * MAX_PACKED;
        let (mut ticks, mut last, mut said) = (0, 0, 0);
        while last < all + said {
            if world.hosts[server].log().of(other.peer).len() == said {
                let bytes = other.seal(&world, b"and I?");
                assert_eq!(world.net.write(other.end, &bytes).ok(), Some(bytes.len()));
                said += 1;
            }
            world.tick_after(server, 0);
            let messages = world.hosts[server].endpoint.stats().messages as usize;
            // Peers that prove themselves in this tick are no receivers yet when it begins.
            assert!(
                (messages - last) * (RECEIVERS + 1) <= FAN_OUT,
                "{} messages in a tick",
                messages - last
            );
            last = messages;
            ticks += 1;
            assert!(ticks < 400, "{last} messages");
            let queued = world.hosts[server].endpoint.queued();
            assert!(queued <= all * (RECEIVERS + FLOODERS + 1));
        }
        assert!(
            said * 8 > ticks,
            "it was heard {said} times in {ticks} ticks"
        );
        for hand in &hands {
            assert_eq!(
                world.hosts[server].log().of(hand.peer).len(),
                PACKS * MAX_PACKED
            );
            world.close(hand.end);
        }
        drop(receivers);
    }
}

/// Goal: the bound holds for messages in records of their own, too, if one read brings more of
/// them than a tick may hand on. Method: one peer sends as many as its socket holds at once.
#[test]
fn fan_out_of_short_records_is_bounded() {
    let (mut world, server) = World::with(native(1, Leaves::WhenStopped), Relay);
    let _receivers: Vec<Raw> = (0..RECEIVERS).map(|_| Raw::join(&mut world)).collect();
    let mut hand = Hand::shake(&mut world);
    hand.send(&mut world, Kind::Ping, b"");
    let all = 1500;
    let records: Vec<u8> = (0..all).flat_map(|_| hand.record(Kind::End, b"")).collect();
    let sent = world.net.write(hand.end, &records).ok();
    assert_eq!(sent, Some(records.len()));
    let (mut last, mut ticks) = (0, 0);
    while last < all {
        world.tick_after(server, 0);
        let messages = world.hosts[server].endpoint.stats().messages as usize;
        let many = messages - last;
        assert!(
            many * (RECEIVERS + 1) <= FAN_OUT,
            "{many} messages in a tick"
        );
        last = messages;
        ticks += 1;
        assert!(ticks < 100, "{last} messages");
    }
}

/// Goal: what comes behind a pack that is handed on in parts takes effect behind all of it.
/// Method: a FIN behind packs for sixty receivers; the sender is confirmed, and each receiver
/// has every message, in order.
#[test]
fn a_pack_in_parts_keeps_its_order() {
    let (mut world, server) = World::with(native(1, Leaves::WhenStopped), Relay);
    let mut receivers: Vec<Raw> = (0..RECEIVERS).map(|_| Raw::join(&mut world)).collect();
    let mut hand = Hand::shake(&mut world);
    let mut bytes = Vec::new();
    for pack in 0..10_u8 {
        let entries = (0..=255_u8).flat_map(|n| [0, 2, pack, n]);
        bytes.extend(hand.record(Kind::Pack, &entries.collect::<Vec<u8>>()));
    }
    bytes.extend(hand.record(Kind::Fin, b""));
    assert_eq!(world.net.write(hand.end, &bytes).ok(), Some(bytes.len()));
    world.settle();
    assert_eq!(world.hosts[server].log().fins, [hand.peer]);
    let plan = (0..10_u8).flat_map(|pack| (0..=255_u8).map(move |n| [pack, n]));
    let plan: Vec<_> = plan.collect();
    for raw in &mut receivers {
        raw.read(&mut world);
        assert!(raw.messages() == plan);
    }
    world.close(hand.end);
}

/// Goal: a message of many chunks costs each of its receivers one item, and arrives whole, also
/// where one of them takes nothing for a while. Method: 2 MiB for sixty receivers.
#[test]
fn a_long_message_is_queued_once() {
    let (mut world, server) = World::with(native(1, Leaves::WhenStopped), Relay);
    let mut receivers: Vec<Raw> = (0..RECEIVERS).map(|_| Raw::join(&mut world)).collect();
    let mut hand = Hand::shake(&mut world);
    let message: Vec<u8> = (0..2 << 20).map(|n: u32| (n / 7) as u8).collect();
    let (mut most, mut left) = (0, message.chunks(MAX_PAYLOAD).peekable());
    while let Some(chunk) = left.next() {
        let kind = if left.peek().is_some() {
            Kind::Part
        } else {
            Kind::End
        };
        let record = hand.record(kind, chunk);
        assert_eq!(world.net.write(hand.end, &record).ok(), Some(record.len()));
        world.tick_after(server, 0);
        most = most.max(world.hosts[server].endpoint.queued());
    }
    let chunks = message.len() / MAX_PAYLOAD;
    assert!(
        (RECEIVERS..=RECEIVERS + chunks).contains(&most),
        "{most} items"
    );
    for raw in &mut receivers {
        while raw.messages().is_empty() {
            raw.read(&mut world);
            world.tick_after(server, 0);
        }
        assert!(raw.messages() == [message.as_slice()]);
    }
    assert_eq!(world.hosts[server].endpoint.queued(), 0);
    world.close(hand.end);
}

/// Goal: strangers do not make a peer's turn smaller. Method: two hundred that have sent a byte
/// wait in front of a peer with a hundred short messages, which are all handed on in one tick.
#[test]
fn strangers_take_no_share() {
    let (mut world, server) = World::with(native(1, Leaves::WhenStopped), Relay);
    let _receivers: Vec<Raw> = (0..RECEIVERS).map(|_| Raw::join(&mut world)).collect();
    let mut hand = Hand::shake(&mut world);
    hand.send(&mut world, Kind::Ping, b"");
    world.tick_after(server, 0);
    let strangers: Vec<_> = (0..200).map(|_| world.accept()).collect();
    for stranger in &strangers {
        assert_eq!(world.net.write(stranger.end, b"S").ok(), Some(1));
    }
    let records: Vec<u8> = (0..100).flat_map(|_| hand.record(Kind::End, b"")).collect();
    let sent = world.net.write(hand.end, &records).ok();
    assert_eq!(sent, Some(records.len()));
    world.tick_after(server, 0);
    assert_eq!(world.hosts[server].endpoint.stats().messages, 100);
}
