//! How a program ends: by its input, with its peer, by a signal, or because its
//! own input or output failed.

use std::io::ErrorKind;

use sealwire::{Abort, Chat, Echo, End, Failure, Gravity, InputKind, Leaves, Reason, Sink};

use crate::hand::Raw;
use crate::people::{Sender, aborted, native};
use crate::port::{PIPE, Plain, TERMINAL};
use crate::world::{Pair, World};

/// A server that echoes, and a client on `plain`.
fn chat_client(input: InputKind, plain: Plain) -> (World, usize, Pair) {
    let (mut world, _) = World::with(native(1, Leaves::WhenStopped), Echo);
    let client = world.host(native(2, Leaves::WithPeers), Chat::new(input.terminal));
    world.local(client, Some(input), plain);
    let pair = world.connect(client);
    world.settle();
    (world, client, pair)
}

/// A chat server on `plain`, and a client that stays.
fn chat_server(leaves: Leaves, input: InputKind, plain: Plain) -> (World, usize, usize, Pair) {
    let (mut world, server) = World::with(native(1, leaves), Chat::new(input.terminal));
    world.local(server, Some(input), plain);
    let plan = vec![b"hello\n".to_vec()];
    let (client, pair) = world.client(Sender::staying(plan));
    world.settle();
    (world, server, client, pair)
}

/// Goal: a client that is stopped before its pipe has ended sends ABORT (3); one at a
/// terminal sends FIN, and ends well once all is complete.
#[test]
fn a_signal_stops_a_client() {
    let (mut world, client, pair) = chat_client(PIPE, Plain::open(b"some"));
    world.stop(client);
    world.run_millis(10);
    assert_eq!(
        world.outcome(pair.at_server),
        aborted(Reason::GOING_AWAY, "")
    );
    assert_eq!(world.end(client), Some(End::Stopped));

    let (mut world, client, pair) = chat_client(TERMINAL, Plain::open(b""));
    world.give(client, b"some\n");
    world.settle();
    world.stop(client);
    world.run_millis(10);
    assert_eq!(world.outcome(pair.at_server), Some(Ok(())));
    assert_eq!(world.end(client), Some(End::Complete));
    assert_eq!(world.hosts[client].locals[0].output, b"some\n");
}

/// Goal: a client that awaits another peer does not end with the one that failed. What is typed
/// meanwhile is for the next, how the first failed is forgotten, and nothing is left of it. Stopped
/// while it waits, it was stopped before all was complete. Method: a terminal, a reset, and another
/// connection; then the same without another.
#[test]
fn a_client_awaits_another_peer() {
    for stopped in [false, true] {
        let (mut world, client, pair) = chat_client(TERMINAL, Plain::open(b""));
        world.give(client, b"one\n");
        world.settle();
        world.reset(pair.link);
        assert_eq!(world.end(client), Some(End::Failed(Gravity::Truncated)));
        world.hosts[client].endpoint.await_another();
        world.give(client, b"two\n");
        world.settle();
        assert_eq!(world.end(client), None);
        assert_eq!(world.hosts[client].endpoint.input_given(), 4, "not read");
        if stopped {
            world.stop(client);
            world.settle();
            assert_eq!(world.end(client), Some(End::Stopped));
            continue;
        }
        let pair = world.connect(client);
        world.settle();
        assert_eq!(world.hosts[client].locals[0].output, b"one\ntwo\n");
        assert!(!world.hosts[client].endpoint.input_has_ended());
        world.end_input(client);
        world.run_millis(10);
        assert_eq!(world.outcome(pair.at_server), Some(Ok(())));
        assert_eq!(world.end(client), Some(End::Complete));
        world.hosts[client].assert_empty("both are gone");
    }
}

/// Goal: peers that do not answer the FIN of a server that is stopped have 5 s,
/// then ABORT (3) and 1 s more; the server itself ends well. Method: a peer that
/// reads and stays, and one that does not read at all, whose socket is full.
#[test]
fn a_stopped_server_waits_five_seconds_and_one() {
    let (mut world, server) = World::with(native(1, Leaves::WhenStopped), Echo);
    let (client, pair) = world.client(Sender::staying(vec![]));
    let unproved = world.accept().peer;
    world.net.socket = 5000;
    let mut deaf = Raw::join(&mut world);
    deaf.say(&mut world, &[1; 4900]);
    deaf.say(&mut world, &[1; 4900]);
    world.stop(server);
    world.settle();
    assert!(!world.hosts[server].endpoint.is_accepting());
    let closed = matches!(world.outcome(unproved), Some(Err(Failure::Closed(_))));
    assert!(closed);
    world.run_millis(4990);
    assert_eq!(world.hosts[client].log().fins.len(), 1);
    assert_eq!(world.hosts[client].outcome(pair.at_client), None);
    world.run_millis(20);
    assert_eq!(
        world.hosts[client].outcome(pair.at_client),
        aborted(Reason::GOING_AWAY, "")
    );
    assert_eq!(world.end(client), Some(End::Failed(Gravity::Peer)));
    assert_eq!(world.end(server), None, "one does not listen");
    world.run_millis(1000);
    assert_eq!(world.end(server), Some(End::Complete));
}

/// Goal: a second call to stop leaves at once.
#[test]
fn a_second_signal_leaves_at_once() {
    let (mut world, server, ..) = chat_server(Leaves::AfterInput, PIPE, Plain::open(b""));
    world.stop(server);
    assert_eq!(world.end(server), None);
    world.stop(server);
    assert_eq!(world.end(server), Some(End::Stopped));
}

/// Goal: a one-shot server leaves when its input has ended and its peers are
/// complete, and says that it will; a silent stranger does not keep it. Method: the peer
/// finishes later.
#[test]
fn a_one_shot_server_leaves_after_its_peers() {
    let (mut world, server) = World::with(native(1, Leaves::AfterInput), Chat::new(false));
    world.local(server, Some(PIPE), Plain::pipe(b"all of it"));
    world.run_millis(1000);
    assert_eq!(world.hosts[server].locals[0].input.len(), 9, "for whom?");
    let silent = world.accept().peer;
    let mut raw = Raw::join(&mut world);
    assert!(!world.hosts[server].endpoint.is_accepting());
    assert_eq!(world.hosts[server].notices(), ["LeavingAfterPeers"]);
    assert_eq!(world.end(server), None);
    raw.say(&mut world, b"and this");
    raw.finish(&mut world);
    raw.close(&mut world);
    assert_eq!(raw.messages(), [b"all of it"]);
    assert_eq!(world.hosts[server].locals[0].output, b"and this");
    assert_eq!(world.outcome(silent), None);
    assert_eq!(world.end(server), Some(End::Complete));
}

/// Goal: a peer that comes when a one-shot server has begun to send, or waits for its
/// last peers, is told so and counts for nothing. Method: one has a part of a pipe;
/// another comes; the pipe ends; two others, whose connection or hello was there
/// before, prove themselves.
#[test]
fn a_latecomer_is_turned_away() {
    let told = |raw: &mut Raw, world: &mut World, why: &str| {
        raw.read(world);
        assert_eq!(raw.outcome(), aborted(Reason::GOING_AWAY, why));
        raw.close(world);
    };
    for first in [&b""[..], b"a part"] {
        let (mut world, server) = World::with(native(1, Leaves::AfterInput), Chat::new(false));
        world.local(server, Some(PIPE), Plain::open(first));
        let mut raw = Raw::join(&mut world);
        if !first.is_empty() {
            let mut late = Raw::connect(&mut world);
            late.prove(&mut world);
            told(&mut late, &mut world, "the input has begun without you");
        }
        let [mut greeted, mut connected] = [(); 2].map(|()| Raw::connect(&mut world));
        greeted.greet(&mut world);
        world.end_input(server);
        world.settle();
        connected.greet(&mut world);
        let why = match first {
            b"" => "this server takes no more peers",
            _ => "the input has begun without you",
        };
        for later in [&mut greeted, &mut connected] {
            later.read(&mut world);
            told(later, &mut world, why);
        }
        raw.finish(&mut world);
        raw.close(&mut world);
        assert_eq!(world.end(server), Some(End::Complete));
        world.hosts[server].assert_empty("all have left");
    }
}

/// Goal: a one-shot server leaves when no peer can get its whole input any more. Its end is
/// its peer's failure, and it tells the user. Method: its only peer closes, or aborts, in the
/// middle of the input; or before the input has begun, and then the server goes on waiting.
#[test]
fn an_input_that_no_peer_has() {
    for (given, aborts, ended) in [
        (&b"a part"[..], false, Some(End::Failed(Gravity::Truncated))),
        (b"a part", true, Some(End::Failed(Gravity::Peer))),
        (b"", false, None),
    ] {
        let (mut world, server) = World::with(native(1, Leaves::AfterInput), Chat::new(false));
        world.local(server, Some(PIPE), Plain::open(given));
        let mut raw = Raw::join(&mut world);
        if aborts {
            raw.abort(&mut world, Abort::new(Reason::LOCAL_ERROR, ""));
        }
        raw.close(&mut world);
        world.run_millis(10);
        assert_eq!(world.end(server), ended, "{given:?}");
        let told = world.hosts[server]
            .notices()
            .contains(&"Abandoned(6)".into());
        assert_eq!(told, ended.is_some(), "{given:?}");
    }
}

/// Goal: a peer that a one-shot server waits for, and that says and takes nothing
/// but PING, is given up after `max_idle`; one that goes on is not, nor is one that
/// waits for our own input. Method: the clock runs for hours; one peer is silent from
/// the start, one says something now and then and is silent later.
#[test]
fn a_silent_peer_is_given_up() {
    let hour = 3_600_000;
    for talks in [false, true] {
        let (mut world, server) = World::with(native(1, Leaves::AfterInput), Chat::new(false));
        world.local(server, Some(PIPE), Plain::open(b""));
        let mut raw = Raw::join(&mut world);
        raw.stay(&mut world, 2 * hour);
        assert_eq!(world.end(server), None, "our input is waited for");
        world.end_input(server);
        if talks {
            for _ in 0..4 {
                raw.stay(&mut world, hour - 60_000);
                raw.say(&mut world, b"still here");
            }
        }
        raw.stay(&mut world, hour - 60_000);
        assert_eq!(world.end(server), None, "it may think for an hour");
        raw.stay(&mut world, 120_000);
        raw.read(&mut world);
        let expected = aborted(Reason::TOO_SLOW, "no progress for 3600 s");
        assert_eq!(raw.outcome(), expected);
        raw.close(&mut world);
        assert_eq!(world.end(server), Some(End::Failed(Gravity::Late)));
    }
}

/// Goal: one tick after a peer has left, no memory that others use holds its bytes. Method:
/// a peer sends something to a sink, another stays; look at the scratch before and after.
#[test]
fn what_was_said_is_erased() {
    let (mut world, server) = World::with(native(1, Leaves::WhenStopped), Sink);
    let mut raw = Raw::join(&mut world);
    let _stays = Raw::join(&mut world);
    let said = b"no peer must find this";
    raw.say(&mut world, said);
    let is_there = |world: &World| {
        let bytes = world.hosts[server].endpoint.scratch();
        bytes.windows(said.len()).any(|part| part == said)
    };
    assert!(is_there(&world), "it is opened in place");
    raw.close(&mut world);
    assert!(!is_there(&world));
}

/// Goal: a one-shot server ends with the gravest failure of its peers. Method: one is
/// complete, one is cut off.
#[test]
fn a_one_shot_server_tells_the_worst() {
    let (mut world, server) = World::with(native(1, Leaves::AfterInput), Chat::new(false));
    world.local(server, Some(PIPE), Plain::open(b""));
    let mut good = Raw::join(&mut world);
    let bad = Raw::join(&mut world);
    world.end_input(server);
    world.settle();
    bad.close(&mut world);
    good.finish(&mut world);
    good.close(&mut world);
    assert_eq!(world.end(server), Some(End::Failed(Gravity::Truncated)));
}

/// Goal: a failing local ends a client with ABORT (8) to the peer. Only a reader that is
/// gone ends it quietly, whether its own input is at its end or not. Method: each way to
/// fail.
#[test]
fn a_failing_local_ends_a_client() {
    let failing = |change: fn(&mut Plain)| {
        let mut plain = Plain::open(b"comes back");
        change(&mut plain);
        plain
    };
    let gone = failing(|plain| plain.write_error = Some(ErrorKind::BrokenPipe));
    let gone_at_end = failing(|plain| {
        plain.write_error = Some(ErrorKind::BrokenPipe);
        plain.input_ended = true;
    });
    let full = failing(|plain| plain.write_error = Some(ErrorKind::StorageFull));
    let unreadable = failing(|plain| plain.read_error = Some(ErrorKind::Other));
    for (n, (plain, expected)) in [
        (gone, End::ReaderGone),
        (gone_at_end, End::ReaderGone),
        (full, End::LocalFailed),
        (unreadable, End::LocalFailed),
    ]
    .into_iter()
    .enumerate()
    {
        let (mut world, client, pair) = chat_client(PIPE, plain);
        world.run_millis(10);
        let outcome = world.outcome(pair.at_server);
        assert_eq!(outcome, aborted(Reason::LOCAL_ERROR, ""), "number {n}");
        assert_eq!(world.end(client), Some(expected), "number {n}");
        let told = !world.hosts[client].notices().is_empty();
        assert_eq!(told, expected == End::LocalFailed, "number {n}");
    }
}

/// Goal: when our input fails, what peers said is still written. Method: a client
/// whose output blocks when its input fails, and takes everything later.
#[test]
fn a_failed_input_leaves_the_output_alone() {
    let plain = Plain::open(b"comes back").room(4);
    let (mut world, client, _) = chat_client(PIPE, plain);
    assert_eq!(world.hosts[client].locals[0].output, b"come");
    world.hosts[client].locals[0].read_error = Some(ErrorKind::Other);
    world.poke(client);
    world.run_millis(6000);
    assert_eq!(world.end(client), None, "some is not written");
    world.unblock(client);
    world.settle();
    assert_eq!(world.hosts[client].locals[0].output, b"comes back");
    assert_eq!(world.end(client), Some(End::LocalFailed));
    world.hosts[client].assert_empty("all is written");
}

/// Goal: a server that serves until stopped goes on when its output fails, and
/// leaves when it is closed. Method: a peer, whose message cannot be written.
#[test]
fn a_serving_chat_and_its_output() {
    for (kind, ended) in [
        (ErrorKind::StorageFull, None),
        (ErrorKind::BrokenPipe, Some(End::ReaderGone)),
    ] {
        let plain = Plain {
            write_error: Some(kind),
            ..Plain::open(b"")
        };
        let (mut world, server, client, pair) = chat_server(Leaves::WhenStopped, TERMINAL, plain);
        world.run_millis(10);
        assert_eq!(
            world.hosts[client].outcome(pair.at_client),
            aborted(Reason::LOCAL_ERROR, ""),
            "{kind}"
        );
        assert_eq!(world.end(server), ended, "{kind}");
        assert_eq!(world.hosts[server].endpoint.is_accepting(), ended.is_none());
        if ended.is_none() {
            world.hosts[server].locals[0].write_error = None;
            let mut next = Raw::join(&mut world);
            next.say(&mut world, b"better");
            assert_eq!(world.hosts[server].locals[0].output, b"better");
        }
    }
}

/// Goal: what a terminal gives while no peer is there is dropped with a notice, and a
/// pipe is not read then.
#[test]
fn a_terminal_is_always_read() {
    let (mut world, server) = World::with(native(1, Leaves::WhenStopped), Chat::new(true));
    world.local(server, Some(TERMINAL), Plain::open(b"anybody?\n"));
    world.settle();
    assert_eq!(world.hosts[server].notices(), ["NobodyThere"]);
    world.give(server, b"hello ");
    let mut raw = Raw::join(&mut world);
    world.give(server, b"you\nand");
    world.settle();
    world.end_input(server);
    world.settle();
    raw.read(&mut world);
    assert_eq!(raw.messages(), [&b"hello you\n"[..], b"and"]);
    // A peer that comes later hears at once that nothing follows.
    let mut late = Raw::join(&mut world);
    late.read(&mut world);
    assert!(late.events.contains(&sealwire::SessionEvent::Fin));
}

/// Goal: DONE is not said before the output has taken what came before FIN, and
/// the client does not leave before. Method: an output that blocks for a minute.
#[test]
fn done_waits_for_the_output() {
    let (mut world, server) = World::with(native(1, Leaves::AfterInput), Chat::new(false));
    let plain = Plain::pipe(b"").room(4);
    world.local(server, Some(PIPE), plain);
    let plan = vec![b"written later".to_vec()];
    let (client, _) = world.client(Sender::new(plan));
    world.run_millis(60_000);
    assert_eq!(world.hosts[server].locals[0].output, b"writ");
    assert_eq!((world.end(client), world.end(server)), (None, None));
    world.unblock(server);
    world.run_millis(10);
    assert_eq!(world.hosts[server].locals[0].output, b"written later");
    let ends = [client, server].map(|host| world.end(host));
    assert_eq!(ends, [Some(End::Complete); 2]);
}

/// Goal: a client tells a server that vanished from one that fell silent.
#[test]
fn a_client_tells_how_its_server_left() {
    for (vanishes, gravity) in [(true, Gravity::Truncated), (false, Gravity::Late)] {
        let (mut world, server) = World::with(native(1, Leaves::WhenStopped), Sink);
        let (client, pair) = world.client(Sender::staying(vec![]));
        world.settle();
        if vanishes {
            world.net.reset(pair.link);
        } else {
            world.vanish(server);
        }
        world.run_millis(91_000);
        assert_eq!(world.end(client), Some(End::Failed(gravity)));
    }
}
