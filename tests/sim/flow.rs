//! Much goes both ways, and no two peers wait for each other.

use sealwire::limits::LOCAL_BUDGET;
use sealwire::{Chat, Echo, End, InputKind, Leaves, Sink};

use crate::people::native;
use crate::port::{LINES, PIPE, Plain};
use crate::world::World;

/// What each program writes before it reads.
const MUCH: usize = 10_000_000;

fn pattern(step: usize) -> Vec<u8> {
    (0..MUCH).map(|i| (i * step % 251) as u8).collect()
}

/// Goes on until `host` has read all its input, and lets it write from then on.
fn read_after_writing(world: &mut World, hosts: &[usize]) {
    world.run_millis(100);
    for &host in hosts {
        assert!(world.hosts[host].locals[0].input.is_empty(), "it waits");
        assert!(world.hosts[host].locals[0].output.is_empty());
        world.unblock(host);
    }
    world.run_millis(6000);
}

/// Goal: two programs that both write 10 MB before they read do not wait for each other.
/// Method: two chats on pipes whose outputs are blocked until the inputs are read; in blocks as
/// large as they come, and in lines of 20 bytes, where each is a message.
#[test]
fn two_chats_write_before_they_read() {
    let lines = |word: &str| format!("{word:<19}\n").into_bytes().repeat(MUCH / 20);
    for (kind, data) in [
        (PIPE, [pattern(1), pattern(3)]),
        (LINES, [lines("one"), lines("the other")]),
    ] {
        let (mut world, server) = World::with(native(1, Leaves::AfterInput), Chat::new(false));
        let client = world.host(native(2, Leaves::WithPeers), Chat::new(false));
        for (host, data) in [server, client].into_iter().zip(&data) {
            let plain = Plain::pipe(data).room(0);
            world.local(host, Some(kind), plain);
        }
        let pair = world.connect(client);
        read_after_writing(&mut world, &[server, client]);
        for (host, expected) in [(server, &data[1]), (client, &data[0])] {
            assert!(world.hosts[host].locals[0].output == *expected);
            assert_eq!(world.end(host), Some(End::Complete));
            world.hosts[host].assert_empty("both have left");
        }
        assert_eq!(world.outcome(pair.at_server), Some(Ok(())));
    }
}

/// Goal: a program that writes 10 MB to an echo before it reads gets it back.
/// Method: as above, with a blocked output at the client alone.
#[test]
fn a_chat_writes_to_an_echo_before_it_reads() {
    let (mut world, server) = World::with(native(1, Leaves::WhenStopped), Echo);
    let client = world.host(native(2, Leaves::WithPeers), Chat::new(false));
    let data = pattern(7);
    let plain = Plain::pipe(&data).room(0);
    world.local(client, Some(PIPE), plain);
    world.connect(client);
    read_after_writing(&mut world, &[client]);
    assert!(world.hosts[client].locals[0].output == data);
    assert_eq!(world.end(client), Some(End::Complete));
    world.hosts[client].assert_empty("the client has left");
    world.hosts[server].assert_empty("the client has left");
}

/// Goal: locals that together have more to give than one tick takes all give
/// everything; none seems to have ended because there was no room to read into.
/// Method: ten locals, of two budgets and a bit each.
#[test]
fn many_locals_share_a_tick() {
    let (mut world, host) = World::with(native(1, Leaves::WhenStopped), Sink);
    let kind = InputKind {
        terminal: true,
        ..PIPE
    };
    let data = pattern(5);
    let data = &data[..2 * LOCAL_BUDGET + 100];
    for _ in 0..10 {
        world.local(host, Some(kind), Plain::pipe(data));
    }
    world.settle();
    let inputs = &world.hosts[host].log().inputs;
    assert_eq!(inputs.len(), 10);
    assert!(
        inputs
            .values()
            .all(|(bytes, ended)| bytes == data && *ended)
    );
}
