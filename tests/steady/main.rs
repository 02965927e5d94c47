//! The steady state: a message costs no allocation and no place in a buffer, and no peer
//! waits for long.

#![allow(clippy::unwrap_used)]

#[path = "../common/chosen.rs"]
mod chosen;
#[path = "../../benches/common/crowd.rs"]
mod crowd;
mod fair;
mod many;
mod turns;

use sealwire::limits::{MAX_PAYLOAD, PEERS_WRITTEN};
use sealwire::{Echo, Mode, Relay, Sink};

use crowd::{Crowd, Stream};

fn crowd<M: Mode>(mode: M, peers: usize, len: usize, count: usize) -> Crowd<M> {
    let kernel = chosen::kernel();
    Crowd::new(kernel, mode, peers, Stream::new(kernel, len, count))
}

/// The allocations of `work`, and the bytes that are left.
fn allocations(work: impl FnOnce()) -> (u64, i64) {
    let info = allocation_counter::measure(work);
    (info.count_total, info.bytes_current)
}

/// Goal: a message that is echoed costs no allocation, and no byte of it is copied into
/// a buffer. Method: a million of 64 bytes, a few at a time and many, after all
/// that grows has grown; no peer holds a buffer then.
#[test]
fn a_million_messages() {
    const PEERS: usize = 64;
    let mut crowd = crowd(Echo, PEERS, 64, 1_010_000 / PEERS);
    let turn = |crowd: &mut Crowd<Echo>, ready: usize, first: usize| {
        for peer in 0..ready {
            crowd.say((first + peer) % PEERS);
        }
        crowd.tick();
        ready
    };
    let mut done = 0;
    for ready in 1..=PEERS {
        done += turn(&mut crowd, ready, done);
    }
    let (before, mut count) = (crowd.endpoint.stats().messages, 0);
    let allocated = allocations(|| {
        for ready in (1..=PEERS).cycle() {
            if count >= 1_000_000 {
                break;
            }
            count += turn(&mut crowd, ready, done + count);
        }
    });
    assert_eq!(allocated, (0, 0));
    let endpoint = &crowd.endpoint;
    assert_eq!(endpoint.stats().messages - before, count as u64);
    assert_eq!(
        (endpoint.copied(), endpoint.held(), endpoint.queued()),
        (0, 0, 0)
    );
}

/// Goal: packs cost no allocation either. Messages that came in one pack go back in one
/// without a copy; those that came alone go back in one, and are copied once. Method: an
/// echo of eight peers, each with 16 messages in a tick, after all that grows has grown.
#[test]
fn packs_copy_once_at_most() {
    const PEERS: usize = 8;
    const EACH: usize = 16;
    const LEN: usize = 40;
    let kernel = chosen::kernel();
    for packed in [true, false] {
        let (stream, records) = match packed {
            true => (Stream::packed(kernel, LEN, 40, EACH), 1),
            false => (Stream::new(kernel, LEN, 40 * EACH), EACH),
        };
        let mut crowd = Crowd::new(kernel, Echo, PEERS, stream);
        let turn = |crowd: &mut Crowd<Echo>| {
            for peer in 0..PEERS {
                crowd.arrive(peer, records * crowd.wire.stream.record);
            }
            crowd.tick();
        };
        (0..10).for_each(|_| turn(&mut crowd));
        let allocated = allocations(|| (0..30).for_each(|_| turn(&mut crowd)));
        assert_eq!(allocated, (0, 0));
        let (endpoint, ticks) = (&crowd.endpoint, 40);
        let stats = endpoint.stats();
        let messages = ticks * PEERS * EACH;
        assert_eq!(stats.messages, messages as u64);
        assert_eq!(stats.sealed, (ticks * PEERS) as u64, "a pack for each peer");
        let copied = if packed { 0 } else { messages * LEN };
        assert_eq!(endpoint.copied(), copied as u64);
    }
}

/// Goal: the counter counts allocations. Method: make one.
#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(vec![1]))), (1, 0));
}

/// Goal: of a stream only the first part of a record whose rest has not come is copied,
/// once, and nothing is allocated for it. Method: full records that arrive in pieces
/// that are no multiple of theirs, read by a sink and returned by an echo.
#[test]
fn streams_copy_tails() {
    fn tails<M: Mode>(mode: M) {
        const PIECE: usize = 10_007;
        let mut crowd = crowd(mode, 8, MAX_PAYLOAD, 64);
        let turn = |crowd: &mut Crowd<M>| {
            for peer in 0..8 {
                crowd.arrive(peer, PIECE);
            }
            crowd.tick();
        };
        for _ in 0..8 {
            turn(&mut crowd);
        }
        let allocated = allocations(|| (8..88).for_each(|_| turn(&mut crowd)));
        assert_eq!(allocated.0, 0);
        // Of each piece, the first part of the record that begins in it and does not
        // end; what follows in the next pieces is read to behind it.
        let record = crowd.wire.stream.record;
        let tails = (1..=88).map(|piece| {
            let tail = piece * PIECE % record;
            if tail <= PIECE { tail } else { 0 }
        });
        let endpoint = &crowd.endpoint;
        assert_eq!(endpoint.copied(), 8 * tails.sum::<usize>() as u64);
        assert_eq!(endpoint.stats().messages, 8 * (88 * PIECE / record) as u64);
    }
    tails(Sink);
    tails(Echo);
}

/// Goal: a peer with nothing under way holds no buffer, and large messages give back what
/// they took. Method: messages of several records, cut anywhere; then whole.
#[test]
fn the_idle_hold_nothing() {
    let mut crowd = crowd(Echo, 4, 3 * MAX_PAYLOAD + 5, 20);
    let (all, message) = (crowd.wire.stream.bytes.len(), crowd.wire.stream.record);
    let mut arrived = 0;
    while arrived < all {
        let piece = (message / 4).min(all - arrived);
        for peer in 0..4 {
            crowd.arrive(peer, piece);
        }
        arrived += piece;
        for _ in 0..3 {
            crowd.tick();
        }
        let held = crowd.endpoint.held();
        assert_eq!(held == 0, arrived % message == 0, "{arrived}: {held}");
    }
    let endpoint = &crowd.endpoint;
    assert_eq!((endpoint.held(), endpoint.queued()), (0, 0));
    assert_eq!(endpoint.stats().messages, 80);
}

/// Goal: one message to many is one plaintext. Method: a peer says one to 199 others, and to
/// 999, which is more than one tick may write to; it is copied and kept for the next tick only
/// there, and then once. Nothing else is allocated, once all has grown.
#[test]
fn a_relay_shares_the_text() {
    for (peers, copies) in [(200, 0), (1000, 30)] {
        let mut crowd = crowd(Relay, peers, 64, 40);
        let say = |crowd: &mut Crowd<Relay>| {
            crowd.say(0);
            (0..peers.div_ceil(PEERS_WRITTEN)).for_each(|_| crowd.tick());
        };
        (0..10).for_each(|_| say(&mut crowd));
        let (written, copied) = (crowd.wire.written, crowd.endpoint.copied());
        let (allocated, _) = allocations(|| (0..30).for_each(|_| say(&mut crowd)));
        assert_eq!(allocated, copies);
        assert_eq!(crowd.endpoint.copied() - copied, 64 * copies);
        let record = crowd.wire.stream.record;
        assert_eq!(crowd.wire.written - written, 30 * (peers - 1) * record);
    }
}
