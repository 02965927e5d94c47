//! Deadlines: the handshake, a record, silence; also for a peer that always has more to say than
//! is read, so that it never leaves the list of ready peers.

use std::time::Duration;

use sealwire::limits::{CLOSING_DEADLINE, DEAD_AFTER, INPUT_SCRATCH, MIN_RECORD, PING_AFTER};
use sealwire::wire::record::Kind;
use sealwire::{Chat, Deadline, Echo, Leaves, Mode, SessionEvent as Event, Setup, Sink};

use crate::hand::{Hand, Raw};
use crate::people::{Sender, late, limited, much, native};
use crate::port::{LINES, Plain};
use crate::world::{Link, Pair, World};

const MESSAGE: [u8; 10_000] = [7; 10_000];

fn served() -> (World, usize) {
    World::with(native(1, Leaves::WhenStopped), Echo)
}

/// Goal: a connection that says nothing is closed after 5 s, and keeps nothing.
#[test]
fn a_silent_connection_has_five_seconds() {
    let (mut world, _) = served();
    let Link { end, peer } = world.accept();
    world.assert_late(peer, 5000, Deadline::Handshake);
    assert_eq!(world.net.incoming(end).written, 0, "nothing is said to it");
}

/// Goal: a hello that comes drop by drop does not extend its time. Method: one
/// byte at a time up to 4.9 s, all but the last; then the last one and a first
/// record in time; and once more too late.
#[test]
fn dripping_does_not_extend_the_handshake() {
    for (last_at, joins) in [(4_990, true), (5_010, false)] {
        let (mut world, server) = served();
        let mut raw = Raw::connect(&mut world);
        let hello = raw.hello(&world);
        let (last, drops) = hello.split_last().unwrap();
        for drop in drops {
            world.write(raw.end, &[*drop]);
            world.run_millis(62);
        }
        world.run_millis(last_at - 62 * drops.len() as u64);
        let _ = world.net.write(raw.end, &[*last]);
        world.settle();
        raw.read(&mut world);
        assert_eq!(world.hosts[server].has_joined(raw.peer), joins);
        if !joins {
            assert_eq!(world.outcome(raw.peer), late(Deadline::Handshake));
            assert_eq!(world.net.incoming(raw.end).written, 0);
        }
    }
}

/// Goal: the first record must be whole in those 5 s, too. Method: a hello in
/// time, then a record whose last byte is withheld.
#[test]
fn the_first_record_is_part_of_the_handshake() {
    let (mut world, _) = served();
    let mut raw = Raw::connect(&mut world);
    raw.greet(&mut world);
    world.run_millis(3000);
    let (mut answer, mut first) = ([0; 100], Vec::new());
    let (count, _) = world.net.read(raw.end, &mut answer).unwrap();
    let now = world.now();
    raw.session.receive(now, &answer[..count], &mut first);
    world.write(raw.end, &first[..first.len() - 1]);
    world.assert_late(raw.peer, 2000, Deadline::Handshake);
}

/// Goal: two that have nothing to say stay connected, because each PING is
/// answered. Method: ten minutes.
#[test]
fn pings_keep_an_idle_pair_alive() {
    let (mut world, server) = served();
    let (client, pair) = world.client(Sender::staying(vec![]));
    world.run_millis(600_000);
    assert_eq!(world.outcome(pair.at_server), None);
    assert_eq!(world.hosts[client].outcome(pair.at_client), None);
    let said = world.hosts[server].endpoint.stats().sealed;
    assert!((20..=80).contains(&said), "{said} records in ten minutes");
}

/// Goal: 90 s without a byte end a connection, though we send PING all the
/// while. Method: a client that reads and never answers.
#[test]
fn silence_ends_a_connection() {
    let (mut world, _) = served();
    let raw = Raw::join(&mut world);
    world.assert_late(raw.peer, 90_000, Deadline::Silence(DEAD_AFTER));
    assert!(world.net.incoming(raw.end).written > 72, "it was asked");
}

/// Times after which a PING is sent and after which a peer is dead, in seconds: the least
/// that a user may set, the defaults, and times around them.
const TIMES: [(u64, u64); 4] = [(1, 2), (3, 15), (30, 90), (100, 300)];

/// A setup with these times.
fn silent_for(seed: u64, leaves: Leaves, (ping, dead): (u64, u64)) -> Setup {
    let mut setup = native(seed, leaves);
    setup.limits.ping_after = Duration::from_secs(ping);
    setup.limits.dead_after = Duration::from_secs(dead);
    setup
}

/// A server and its client with these times, and their connection.
fn pair(
    times: (u64, u64),
    server: impl Mode + 'static,
    client: impl Mode + 'static,
) -> (World, Pair) {
    let mut setup = silent_for(1, Leaves::WhenStopped, times);
    // A full output soon keeps the server from reading.
    setup.limits.max_queue = 1 << 16;
    let (mut world, _) = World::with(setup, server);
    let client = world.host(silent_for(2, Leaves::WithPeers, times), client);
    let pair = world.connect(client);
    (world, pair)
}

/// Asserts that neither side has ended the connection.
#[track_caller]
fn assert_alive(world: &World, pair: Pair, times: (u64, u64)) {
    let outcomes = [
        world.outcome(pair.at_server),
        world.hosts[1].outcome(pair.at_client),
    ];
    assert_eq!(outcomes, [None, None], "{times:?}");
}

/// Goal: a peer that is cut off is noticed after the time that the user set, and not before;
/// the outcome names that time. Method: a client that answers nothing.
#[test]
fn a_dead_peer_is_noticed_when_the_user_says() {
    for (ping, dead) in TIMES {
        let setup = silent_for(1, Leaves::WhenStopped, (ping, dead));
        let (mut world, _) = World::with(setup, Echo);
        let raw = Raw::join(&mut world);
        let before = world.net.incoming(raw.end).written;
        let silence = Deadline::Silence(Duration::from_secs(dead));
        world.assert_late(raw.peer, dead * 1000, silence);
        let pings = (world.net.incoming(raw.end).written - before) / MIN_RECORD as u64;
        let wanted = (dead - 1) / ping;
        assert_eq!(pings, wanted, "PINGs every {ping} s of {dead} s");
        assert_eq!(silence.to_string(), format!("not a byte within {dead} s"));
    }
}

/// Goal: two that say nothing stay connected, whatever the times are. Method: ten times the
/// silence that would end them.
#[test]
fn an_idle_pair_lives_with_any_times() {
    for times in TIMES {
        let (mut world, pair) = pair(times, Echo, Sender::staying(vec![]));
        let (ping, dead) = times;
        world.run_millis(10 * dead * 1000);
        assert_alive(&world, pair, times);
        let sealed = world.hosts[0].endpoint.stats().sealed;
        let most = 2 * 10 * dead / ping + 2;
        assert!(sealed <= most, "{sealed} records in {} s", 10 * dead);
    }
}

/// Goal: a program whose output is full for long keeps its connection, as `| less` does, and
/// then gets everything: its own clocks stand still, and its PINGs keep the other side's from
/// running out, though it reads none of the answers. Method: a chat whose output takes
/// nothing for ten times the silence, with a client that sends more than sockets and queues
/// hold. Then the output takes everything.
#[test]
fn a_full_output_keeps_the_connection() {
    for times in TIMES {
        let sent = much();
        let (mut world, pair) = pair(times, Chat::new(true), Sender::staying(sent.clone()));
        world.local(0, None, Plain::open(b"").room(0));
        world.run_millis(10 * times.1 * 1000);
        assert_alive(&world, pair, times);
        assert!(world.hosts[0].log().messages.len() < sent.len() / 2);
        world.unblock(0);
        world.run_millis(1000);
        assert!(world.hosts[0].locals[0].output == sent.concat());
        assert_alive(&world, pair, times);
    }
}

/// Goal: a side that only writes does not take its peer for dead, nor does a side that only
/// reads. Method: a chat says a line more often than it would send a PING; its client says
/// nothing, and so must send PINGs itself.
#[test]
fn one_way_traffic_keeps_the_connection() {
    for times in TIMES {
        let (mut world, pair) = pair(times, Chat::new(true), Sender::staying(vec![]));
        world.local(0, Some(LINES), Plain::open(b""));
        let lines = 10 * times.1 * 2 / times.0;
        for _ in 0..lines {
            world.give(0, b"on and on\n");
            world.run_millis(times.0 * 500);
        }
        assert_alive(&world, pair, times);
        let [server, client] = [0, 1].map(|host| &world.hosts[host]);
        assert_eq!(client.log().messages.len() as u64, lines, "{times:?}");
        let sealed = [server, client].map(|host| host.endpoint.stats().sealed);
        // Its lines, and a PONG for each PING; not a PING of its own.
        assert!(sealed[0] <= lines + sealed[1], "{sealed:?}, {times:?}");
    }
}

/// Goal: a session by itself has these times, too. Method: one that hears nothing after the
/// handshake.
#[test]
fn a_session_has_times_of_its_own() {
    let (mut world, _) = served();
    let mut raw = Raw::connect(&mut world);
    let [ping, dead] = [1, 2].map(Duration::from_secs);
    raw.session = raw.session.with_silence(ping, dead);
    raw.prove(&mut world);
    let (start, mut out) = (world.now(), Vec::new());
    assert_eq!(raw.session.poll_timeout(), Some(start + ping));
    raw.session.handle_timeout(start + ping, &mut out);
    assert_eq!(out.len(), MIN_RECORD, "a PING");
    assert_eq!(raw.session.poll_timeout(), Some(start + dead));
    raw.session.handle_timeout(start + dead, &mut out);
    let events: Vec<_> = std::iter::from_fn(|| raw.session.poll_event()).collect();
    let silence = late(Deadline::Silence(dead)).unwrap();
    assert_eq!(events.last(), Some(&Event::Over(silence)));
}

/// Goal: a record has 30 s from its first byte, however it drips. Method: one
/// byte a second.
#[test]
fn a_record_has_thirty_seconds() {
    let (mut world, _) = served();
    let mut raw = Raw::join(&mut world);
    let record = raw.seal(&world, &[5; 100]);
    for byte in record.iter().take(30) {
        assert_eq!(world.outcome(raw.peer), None);
        world.write(raw.end, &[*byte]);
        world.run_millis(1000);
    }
    assert_eq!(world.outcome(raw.peer), late(Deadline::Record));
}

/// Goal: a peer that floods PING and does not read costs a bounded amount of memory, and
/// nothing once it is gone. Method: a small socket, and 10,000 of them.
#[test]
fn a_flood_of_pings_is_bounded() {
    let (mut world, server) = served();
    let mut hand = Hand::shake(&mut world);
    world.net.incoming(hand.end).capacity = 1000;
    for _ in 0..10_000 {
        hand.send(&mut world, Kind::Ping, b"");
    }
    let endpoint = &world.hosts[server].endpoint;
    assert_eq!(endpoint.stats().opened, 10_000);
    assert!(endpoint.queued() == 0 && world.hosts[server].most_held < 1000);
    assert_eq!(world.outcome(hand.peer), None);
    world.close(hand.end);
    world.hosts[server].assert_empty("it has left");
}

/// Goal: a clock that jumps far ahead ends what has to end, once, and nothing
/// spins or panics. Method: ten minutes at once, in every state.
#[test]
fn the_clock_may_jump() {
    let (mut world, _) = served();
    let (_, pair) = world.client(Sender::staying(vec![]));
    let silent = world.accept().peer;
    let raw = Raw::connect(&mut world);
    world.jump(Duration::from_secs(600));
    for peer in [pair.at_server, silent, raw.peer] {
        assert!(world.outcome(peer).is_some());
    }
    assert!(!raw.events.contains(&Event::Open));
}

/// Ticks every 100 ms for `seconds`, or until the connection is closed. There is always more
/// to read than a tick can take. The peer reads what is sent to it only if it `listens`.
fn flood(world: &mut World, server: usize, raw: &mut Raw, seconds: u64, listens: bool) {
    let (mut pending, mut heard) = (Vec::new(), [0; 1000]);
    for _ in 0..10 * seconds {
        while pending.len() < world.net.socket {
            pending.extend(raw.seal(world, &MESSAGE));
        }
        if let Ok(count) = world.net.write(raw.end, &pending) {
            pending.drain(..count);
        }
        world.tick_after(server, 100);
        if world.outcome(raw.peer).is_some() {
            return;
        }
        if listens && let Ok((count, _)) = world.net.read(raw.end, &mut heard) {
            let now = world.now();
            raw.session.receive(now, &heard[..count], &mut pending);
        }
    }
}

/// Goal: a peer that streams without end is pinged, or it would think us dead. Method: a
/// sink reads from it for longer than the silence deadline.
#[test]
fn an_endless_stream_is_pinged() {
    let (mut world, server) = World::with(native(1, Leaves::WhenStopped), Sink);
    world.net.socket = 2 * INPUT_SCRATCH;
    let mut raw = Raw::join(&mut world);
    let before = world.net.incoming(raw.end).written;
    let seconds = DEAD_AFTER.as_secs() + 5;
    flood(&mut world, server, &mut raw, seconds, true);
    assert_eq!(world.outcome(raw.peer), None);
    let pings = (world.net.incoming(raw.end).written - before) / MIN_RECORD as u64;
    assert_eq!(pings, DEAD_AFTER.as_secs() / PING_AFTER.as_secs());
}

/// Goal: a peer that goes on after our ABORT is closed in time. Method: its messages are
/// over the limit, and it does not listen.
#[test]
fn a_stream_behind_an_abort_is_closed() {
    let setup = limited(|limits| limits.max_message = MESSAGE.len() - 1);
    let (mut world, server) = World::with(setup, Sink);
    world.net.socket = 2 * INPUT_SCRATCH;
    let mut raw = Raw::join(&mut world);
    let seconds = CLOSING_DEADLINE.as_secs() + 1;
    flood(&mut world, server, &mut raw, seconds, false);
    world.hosts[server].assert_empty("it is closed");
}
