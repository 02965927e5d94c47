//! A chat does not wait long for a stream, nor a stream for a chat.

use sealwire::limits::{CHAT_BELOW, INPUT_SCRATCH, STREAM_FROM};
use sealwire::{Echo, Limits, Time};

use crate::crowd::{Crowd, Stream};

/// The peer that streams.
const STREAM: usize = 0;
const CHAT: usize = 1;

fn crowd(peers: usize) -> Crowd<Echo> {
    let kernel = crate::chosen::kernel();
    let mut limits = Limits::default();
    // Then an echo sends as many bytes as came.
    limits.max_packed = 1;
    Crowd::with(kernel, Echo, peers, Stream::new(kernel, 64, 3000), limits)
}

/// Delivers as many messages of a peer as `bytes` hold. Returns how many bytes they take.
fn say_much(crowd: &mut Crowd<Echo>, peer: usize, bytes: usize) -> usize {
    let message = crowd.wire.stream.record;
    crowd.arrive(peer, bytes / message * message);
    bytes / message * message
}

/// Bytes of a peer that have arrived and were not read.
fn waiting(crowd: &Crowd<Echo>, peer: usize) -> usize {
    let (read, arrived) = crowd.wire.places[peer];
    arrived - read
}

/// Goal: a chat is answered before a stream is read, and holds it up for one tick. Method:
/// both have something in each tick; earlier reads have marked the stream as one.
#[test]
fn a_stream_yields_every_other_tick() {
    let mut crowd = crowd(2);
    say_much(&mut crowd, STREAM, 2 * STREAM_FROM);
    crowd.tick();
    assert_eq!(waiting(&crowd, STREAM), 0, "no other peer is there");
    for tick in 0..6 {
        let much = say_much(&mut crowd, STREAM, STREAM_FROM - 1);
        crowd.say(CHAT);
        let before = crowd.wire.written;
        crowd.tick();
        let waits = waiting(&crowd, STREAM) > 0;
        assert_eq!(waits, tick % 2 == 0, "in tick {tick}");
        // Both are sealed in as many bytes as they came in.
        let streamed = if waits { 0 } else { 2 * much };
        let answered = crowd.wire.written - before - crowd.wire.stream.record;
        assert_eq!(answered, streamed, "in tick {tick}");
        if waits {
            assert_eq!(crowd.endpoint.next_timeout(), Some(Time::ZERO));
        }
    }
    // Once it chats again, it is read together with the others.
    say_much(&mut crowd, STREAM, CHAT_BELOW - 1);
    crowd.tick();
    for _ in 0..4 {
        crowd.say(STREAM);
        crowd.say(CHAT);
        crowd.tick();
        assert_eq!((waiting(&crowd, STREAM), waiting(&crowd, CHAT)), (0, 0));
    }
}

/// Goal: a stream waits for the peers that were ready with it, and not for later ones.
/// Method: peers that say less than a stream at a time, but more in all than two ticks can
/// read; one of them says something in every tick.
#[test]
fn a_stream_waits_only_for_peers_ready_with_it() {
    const PEERS: usize = 100;
    const LESS: usize = STREAM_FROM * 3 / 4;
    let mut crowd = crowd(PEERS);
    say_much(&mut crowd, STREAM, 2 * STREAM_FROM);
    crowd.tick();
    for round in 0..5 {
        let others: usize = (0..PEERS)
            .filter(|&peer| peer != STREAM && peer != CHAT)
            .map(|peer| say_much(&mut crowd, peer, LESS))
            .sum();
        assert!(others > 2 * INPUT_SCRATCH);
        say_much(&mut crowd, STREAM, 2 * STREAM_FROM);
        for _ in 0..4 {
            crowd.say(CHAT);
            crowd.tick();
        }
        let left: usize = (0..PEERS).map(|peer| waiting(&crowd, peer)).sum();
        assert_eq!(left, 0, "in round {round}");
    }
}

/// Goal: streams share a tick where no other peer is ready. Method: four of them.
#[test]
fn streams_yield_to_no_stream() {
    let mut crowd = crowd(4);
    for _ in 0..4 {
        for peer in 0..4 {
            say_much(&mut crowd, peer, STREAM_FROM + CHAT_BELOW);
        }
        crowd.tick();
        assert!((0..4).all(|peer| waiting(&crowd, peer) == 0));
    }
}
