//! Messages that are not whole: how much memory they may take, and which of them goes.

use sealwire::limits::{MAX_PAYLOAD, MAX_RECORD};
use sealwire::{PeerId, Reason, Relay, Sink};

use crate::hand::Raw;
use crate::people::{aborted, limited};
use crate::world::World;

/// The first `parts` records of a message that is much longer.
fn begin(raw: &mut Raw, world: &mut World, parts: usize) {
    let bytes = raw.seal(world, &vec![1; 40 * MAX_PAYLOAD]);
    for record in bytes.chunks(MAX_RECORD).take(parts) {
        world.write(raw.end, record);
    }
}

/// What `peer` of the first host was told, if it was given up.
fn told(world: &World, peer: PeerId) -> Option<(Reason, String)> {
    match world.outcome(peer) {
        Some(Err(sealwire::Failure::Gave(abort))) => {
            let text = String::from_utf8_lossy(&abort.text).into_owned();
            Some((abort.reason, text))
        }
        None => None,
        other => panic!("{other:?}"),
    }
}

/// Goal: unfinished messages of all peers share a budget; past it one goes, of those that began at
/// the same time the largest, and the others finish. Method: ten peers that each send the first
/// part of a message.
#[test]
fn unfinished_messages_share_a_budget() {
    let setup = limited(|limits| limits.max_assembling = 10 * MAX_PAYLOAD);
    let (mut world, server) = World::with(setup, Sink);
    let mut rests = Vec::new();
    let mut peers: Vec<Raw> = (0..10).map(|_| Raw::join(&mut world)).collect();
    for (n, raw) in peers.iter_mut().enumerate() {
        let parts = if n == 4 { 3 } else { 1 };
        let bytes = raw.seal(&world, &vec![n as u8; parts * MAX_PAYLOAD + 1]);
        let (now, later) = bytes.split_at(parts * 16_418);
        world.write(raw.end, now);
        rests.push(later.to_vec());
    }
    for (n, (raw, rest)) in peers.iter_mut().zip(&rests).enumerate() {
        raw.read(&mut world);
        let _ = world.net.write(raw.end, rest);
        world.settle();
        let given_up = match n {
            4 => aborted(Reason::TOO_LARGE, "too many unfinished messages"),
            _ => None,
        };
        assert_eq!(raw.outcome(), given_up, "peer {n}");
        raw.close(&mut world);
    }
    assert_eq!(world.hosts[server].log().messages.len(), 9);
    world.hosts[server].assert_empty("all have left");
}

/// Goal: an honest message finishes, however many peers leave theirs unfinished: those without
/// progress for the longest time go. Method: holders fill the bound, one after the other, and
/// then a peer sends half of the bound in one message.
#[test]
fn an_honest_message_outlives_holders() {
    let setup = limited(|limits| limits.max_assembling = 40 * MAX_RECORD);
    let (mut world, server) = World::with(setup, Sink);
    let mut holders = Vec::new();
    for _ in 0..40 {
        let mut raw = Raw::join(&mut world);
        begin(&mut raw, &mut world, 1);
        world.run_millis(10);
        holders.push(raw);
    }
    let mut honest = Raw::join(&mut world);
    let bytes = honest.seal(&world, &[2; 20 * MAX_PAYLOAD]);
    for record in bytes.chunks(MAX_RECORD) {
        world.write(honest.end, record);
        world.run_millis(10);
    }
    assert_eq!(world.hosts[server].log().of(honest.peer).len(), 1);
    for (n, raw) in holders.iter_mut().enumerate() {
        raw.read(&mut world);
        let given_up = match n < 19 {
            true => aborted(Reason::TOO_LARGE, "too many unfinished messages"),
            false => None,
        };
        assert_eq!(raw.outcome(), given_up, "holder {n}");
        raw.close(&mut world);
    }
}

/// Goal: while unfinished messages take more than half of their bound, one that stops growing
/// is given up after ten seconds, without a new chunk of any peer; one that grows is not, nor
/// is any below that. Method: some that stop, one that gets a full payload every five
/// seconds; then the rest stops.
#[test]
fn a_stalled_message_is_given_up() {
    let setup = limited(|limits| limits.max_assembling = 20 * MAX_RECORD);
    let (mut world, _) = World::with(setup, Sink);
    let mut holders: Vec<Raw> = (0..8).map(|_| Raw::join(&mut world)).collect();
    for raw in &mut holders {
        begin(raw, &mut world, 1);
    }
    let mut grows = Raw::join(&mut world);
    let bytes = grows.seal(&world, &vec![1; 40 * MAX_PAYLOAD]);
    let mut records = bytes.chunks(MAX_RECORD);
    let mut grow = |world: &mut World| world.write(grows.end, records.next().unwrap());
    grow(&mut world);
    world.run_millis(15_000);
    assert!(holders.iter().all(|raw| told(&world, raw.peer).is_none()));
    grow(&mut world);
    grow(&mut world);
    // Now it is more than half, and what has stopped has stopped long ago.
    world.run_millis(5000);
    for raw in &mut holders {
        raw.read(&mut world);
    }
    let given_up = aborted(Reason::TOO_SLOW, "your message made no progress");
    let gone = holders.iter().filter(|raw| raw.outcome() == given_up);
    assert_eq!(gone.count(), 1, "until it is half again");
    for _ in 0..4 {
        world.run_millis(5000);
        grow(&mut world);
    }
    assert_eq!(told(&world, grows.peer), None);
    for raw in &holders {
        raw.close(&mut world);
    }
    // One message alone may take all, as long as it grows.
    for _ in 0..6 {
        grow(&mut world);
    }
    world.run_millis(9990);
    assert_eq!(told(&world, grows.peer), None);
    world.run_millis(6000);
    let why = "your message made no progress".to_owned();
    assert_eq!(told(&world, grows.peer), Some((Reason::TOO_SLOW, why)));
}

/// Goal: a byte a second is no progress. Method: a message of many short chunks that takes
/// more than half of the bound.
#[test]
fn a_drip_is_no_progress() {
    let setup = limited(|limits| limits.max_assembling = MAX_RECORD + 1);
    let (mut world, _) = World::with(setup, Sink);
    let mut hand = crate::hand::Hand::shake(&mut world);
    for _ in 0..9 {
        hand.send(&mut world, sealwire::wire::record::Kind::Part, b"x");
        world.run_millis(1000);
    }
    assert_eq!(told(&world, hand.peer), None);
    hand.send(&mut world, sealwire::wire::record::Kind::Part, b"x");
    world.run_millis(6500);
    let why = "your message made no progress".to_owned();
    assert_eq!(told(&world, hand.peer), Some((Reason::TOO_SLOW, why)));
}

/// Goal: the time in which we do not read a peer does not count against its message. Method: a
/// relay whose sole receiver takes nothing for 15 s, while a message of the sender is
/// unfinished; then it reads, and the sender has ten seconds from there.
#[test]
fn a_message_that_we_do_not_read_is_not_stalled() {
    let setup = limited(|limits| {
        limits.max_queue = 1 << 15;
        limits.max_assembling = MAX_RECORD + 1;
    });
    let (mut world, _) = World::with(setup, Relay);
    let mut deaf = Raw::join(&mut world);
    world.net.socket = 500_000;
    let mut raw = Raw::join(&mut world);
    world.net.incoming(deaf.end).capacity = 10;
    let mut bytes = Vec::new();
    for _ in 0..20 {
        bytes.extend(raw.seal(&world, &[3; MAX_PAYLOAD]));
    }
    let message = raw.seal(&world, &[4; 2 * MAX_PAYLOAD]);
    bytes.extend(&message[..MAX_RECORD]);
    world.write(raw.end, &bytes);
    // It is paused with its next bytes.
    let more = &message[MAX_RECORD..][..100];
    world.write(raw.end, more);
    world.run_millis(15_000);
    assert_eq!(told(&world, raw.peer), None);
    world.net.incoming(deaf.end).capacity = 500_000;
    deaf.read(&mut world);
    deaf.read(&mut world);
    assert_eq!(deaf.messages().len(), 20);
    world.run_millis(9000);
    assert_eq!(told(&world, raw.peer), None);
    world.run_millis(7000);
    let why = "your message made no progress".to_owned();
    assert_eq!(told(&world, raw.peer), Some((Reason::TOO_SLOW, why)));
}
