//! A server with many keys: which of them a peer proves, and what becomes of the peers of one
//! that is withdrawn.

use std::sync::Arc;

use sealwire::limits::ANSWERS;
use sealwire::{
    Context, Echo, Failure, Identity, Key, KeyRing, Leaves, Message, Mode, PeerFault, PeerId,
    Reason, Receivers, Setup,
};

use crate::hand::Raw;
use crate::people::{aborted, native, secrets};
use crate::world::World;

fn identity(number: u8) -> Arc<Identity> {
    Identity::new(&secrets(number)).unwrap()
}

/// A key with a name, and perhaps with a place where it may go.
type Line = (u8, &'static str, Option<&'static str>);

const ALICE: Line = (1, "alice", None);
const BOB: Line = (2, "bob", Some("host:1"));
const CAROL: Line = (3, "carol", None);

fn ring(lines: &[Line]) -> KeyRing {
    let mut ring = KeyRing::default();
    for &(number, name, forward) in lines {
        let key = Key {
            name: Some(name.into()),
            forward: forward.map(Into::into),
            ..Key::new(identity(number))
        };
        ring.add(key).unwrap();
    }
    ring
}

/// The setup of a server with these keys alone.
fn with_ring(lines: &[Line]) -> Setup {
    let mut setup = native(1, Leaves::WhenStopped);
    setup.identity = None;
    setup.ring = ring(lines);
    setup
}

/// A client with this key, which has not said hello.
fn connect(world: &mut World, (number, ..): Line) -> Raw {
    Raw::connect_as(world, identity(number))
}

/// A client that has proved this key.
fn join(world: &mut World, line: Line) -> Raw {
    let mut raw = connect(world, line);
    raw.prove(world);
    assert!(world.hosts[0].has_joined(raw.peer), "{line:?}");
    raw
}

fn set_ring(world: &mut World, lines: &[Line]) {
    let now = world.now();
    world.hosts[0].endpoint.set_ring(now, ring(lines));
    world.settle();
}

/// Answers each message with the name of its sender's key, and where that may go.
struct WhoAmI;

impl Mode for WhoAmI {
    fn receivers(&self) -> Receivers {
        Receivers::Sender
    }

    fn message(&mut self, context: &mut Context, peer: PeerId, _: Message<'_>) {
        let key = context.key(peer).expect("it is proved");
        let words = [&key.name, &key.forward].map(|word| word.as_deref().unwrap_or("-"));
        assert!(context.send_bytes(peer, words.join(" ").as_bytes()));
    }
}

/// Goal: the id in a hello picks the key that a peer proves, and the mode learns which; a key
/// that is not there is refused, and so is one key under the id of another. Method: a peer of
/// each of two keys and of the server's own, which has no name; one with another key; a hello
/// with a wrong id.
#[test]
fn each_peer_proves_its_own_key() {
    let own = (7, "", None);
    let mut setup = with_ring(&[ALICE, BOB]);
    setup.identity = Some(identity(7));
    let (mut world, server) = World::with(setup, WhoAmI);
    for (line, told) in [(BOB, "bob host:1"), (ALICE, "alice -"), (own, "- -")] {
        let mut raw = join(&mut world, line);
        raw.say(&mut world, b"who am I?");
        raw.read(&mut world);
        assert_eq!(raw.messages(), [told.as_bytes()]);
        let name = world.hosts[server].endpoint.key_name(raw.peer);
        let name = name.map_or("-", |name| name);
        assert_eq!(told.split(' ').next(), Some(name));
    }

    let mut stranger = connect(&mut world, CAROL);
    stranger.greet(&mut world);
    let unknown = Some(Err(PeerFault::UnknownKey.into()));
    assert_eq!(world.outcome(stranger.peer), unknown);
    let mut forger = connect(&mut world, ALICE);
    let mut hello = forger.hello(&world);
    hello[8..16].copy_from_slice(&identity(2).key_id());
    world.write(forger.end, &hello);
    let differs = Some(Err(PeerFault::HelloTag.into()));
    assert_eq!(world.outcome(forger.peer), differs);
}

/// Goal: when a key is withdrawn or its line changes, its peers are aborted at once, also in the
/// middle of a message, and one that has not proved itself yet is closed; peers of other keys
/// notice nothing. Method: a peer in the middle of a message, one whose line gets another
/// target, one whose hello is answered, and one whose key stays.
#[test]
fn peers_of_a_withdrawn_key_are_aborted() {
    let (mut world, server) = World::with(with_ring(&[ALICE, BOB, CAROL]), Echo);
    let mut alice = join(&mut world, ALICE);
    let message = alice.seal(&world, &[7; 100_000]);
    world.write(alice.end, &message[..50_000]);
    let mut bob = join(&mut world, BOB);
    let mut carol = join(&mut world, CAROL);
    let mut unproved = connect(&mut world, ALICE);
    unproved.greet(&mut world);

    set_ring(&mut world, &[(2, "bob", Some("host:2")), CAROL]);
    for raw in [&mut alice, &mut bob] {
        raw.read(&mut world);
        assert_eq!(raw.outcome(), aborted(Reason::KEY_WITHDRAWN, ""));
        raw.close(&mut world);
        assert_eq!(world.gave(raw.peer), Some(Reason::KEY_WITHDRAWN));
    }
    assert_eq!(world.gave(unproved.peer), Some(Reason::KEY_WITHDRAWN));
    assert!(!world.hosts[server].has_joined(unproved.peer));
    carol.say(&mut world, b"still here");
    carol.read(&mut world);
    assert_eq!(carol.messages(), [b"still here"]);
    assert_eq!(world.hosts[server].endpoint.keyed(), 2, "carol's alone");
}

/// Goal: new keys work at once, and old ones no more, for connections that were there before
/// but had not said hello. Method: one of each.
#[test]
fn a_ring_is_for_connections_without_a_hello_too() {
    let (mut world, _) = World::with(with_ring(&[ALICE]), Echo);
    let mut alice = connect(&mut world, ALICE);
    let mut bob = connect(&mut world, BOB);
    set_ring(&mut world, &[BOB]);
    alice.greet(&mut world);
    let unknown = Some(Err(PeerFault::UnknownKey.into()));
    assert_eq!(world.outcome(alice.peer), unknown);
    bob.prove(&mut world);
    assert!(world.hosts[0].has_joined(bob.peer));
    join(&mut world, BOB);
}

/// Goal: a hello that waits for its answer when its key is withdrawn gets none. Method: more
/// hellos at once than a tick answers.
#[test]
fn a_hello_of_a_withdrawn_key_gets_no_answer() {
    let (mut world, server) = World::with(with_ring(&[ALICE]), Echo);
    let mut all: Vec<_> = (0..2 * ANSWERS)
        .map(|_| connect(&mut world, ALICE))
        .collect();
    for raw in &mut all {
        let hello = raw.hello(&world);
        assert_eq!(world.net.write(raw.end, &hello).unwrap(), hello.len());
    }
    world.tick_after(server, 0);
    assert_eq!(world.hosts[server].endpoint.keyed(), 2 * ANSWERS);
    set_ring(&mut world, &[BOB]);
    for raw in &all {
        assert_eq!(world.gave(raw.peer), Some(Reason::KEY_WITHDRAWN));
    }
    assert_eq!(world.hosts[server].endpoint.connections(), 0);
}

/// Goal: an endpoint's own identity is not part of the ring, and stays. Method: replace the ring
/// while a peer of each is there.
#[test]
fn the_own_identity_stays() {
    let mut setup = native(1, Leaves::WhenStopped);
    setup.ring = ring(&[ALICE]);
    let (mut world, _) = World::with(setup, Echo);
    let own = Raw::join(&mut world);
    let alice = join(&mut world, ALICE);
    set_ring(&mut world, &[]);
    assert_eq!(world.outcome(own.peer), None);
    let gone = world.outcome(alice.peer);
    assert!(
        matches!(gone, None | Some(Err(Failure::Gave(_)))),
        "{gone:?}"
    );
    Raw::join(&mut world);
}
