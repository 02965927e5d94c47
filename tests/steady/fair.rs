//! Who says little does not wait for who says much, nor the other way round.

use sealwire::crypto::kernel::Kernel;
use sealwire::limits::{INPUT_SCRATCH, MAX_RECORD};
use sealwire::modes::echo::Echo;
use sealwire::time::Time;

use crate::crowd::{Crowd, Stream};

/// The one of them who streams.
const STREAM: usize = 0;

fn crowd(peers: usize) -> Crowd<Echo> {
    let kernel = Kernel::chosen().unwrap();
    Crowd::new(kernel, Echo, peers, Stream::new(kernel, 64, 40_000))
}

/// Has so many messages of a peer arrive.
fn say(crowd: &mut Crowd<Echo>, peer: usize, messages: usize) {
    crowd.arrive(peer, messages * crowd.wire.stream.message);
}

/// Bytes of a peer that have arrived and were not read.
fn waiting(crowd: &Crowd<Echo>, peer: usize) -> usize {
    let (read, arrived) = crowd.wire.places[peer];
    arrived - read
}

/// Goal: one that chats is answered before what another streams is opened, and makes
/// it wait for no more than that. Method: both have something in each tick; who streams
/// is known by what it said before.
#[test]
fn who_streams_makes_way_every_other_tick() {
    let mut crowd = crowd(2);
    let much = 2 * MAX_RECORD / crowd.wire.stream.message;
    say(&mut crowd, STREAM, much);
    crowd.tick();
    assert_eq!(waiting(&crowd, STREAM), 0, "nobody else is there");
    for tick in 0..6 {
        say(&mut crowd, STREAM, much);
        say(&mut crowd, 1, 1);
        crowd.tick();
        assert_eq!(waiting(&crowd, 1), 0, "in tick {tick}");
        let waits = waiting(&crowd, STREAM) > 0;
        assert_eq!(waits, tick % 2 == 0, "in tick {tick}");
        // Nothing new need come for it to be read.
        let due = waits.then_some(Time::ZERO);
        assert!(due.is_none() || crowd.endpoint.next_timeout() == due);
    }
    // What it says once it chats again is read with the others.
    say(&mut crowd, STREAM, 1);
    crowd.tick();
    for _ in 0..4 {
        say(&mut crowd, STREAM, 1);
        say(&mut crowd, 1, 1);
        crowd.tick();
        assert_eq!((waiting(&crowd, STREAM), waiting(&crowd, 1)), (0, 0));
    }
}

/// Goal: who streams gets its share however much the others have to say. Method: others
/// who say less than a full record at a time, but more in all than a tick can read.
#[test]
fn many_others_do_not_starve_it() {
    let mut crowd = crowd(100);
    let message = crowd.wire.stream.message;
    let (much, less) = (2 * MAX_RECORD / message, MAX_RECORD * 3 / 4 / message);
    assert!(99 * less * message > 2 * INPUT_SCRATCH);
    say(&mut crowd, STREAM, much);
    crowd.tick();
    for round in 0..5 {
        say(&mut crowd, STREAM, much);
        (1..100).for_each(|peer| say(&mut crowd, peer, less));
        crowd.tick();
        crowd.tick();
        assert_eq!(waiting(&crowd, STREAM), 0, "in round {round}");
    }
    // And they get theirs.
    (0..20).for_each(|_| crowd.tick());
    assert!((0..100).all(|peer| waiting(&crowd, peer) == 0));
}
