//! Where the keys of handshakes come from.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sealwire::crypto::dh::Private;
use sealwire::wire::hello::parse_server;
use sealwire::{Echo, Leaves};

use crate::hand::Raw;
use crate::people::{native, seed};
use crate::world::World;

/// Goal: the generator is seeded anew with every key, so that its state does not reveal
/// earlier keys. Method: the server's first public key comes from the seed's first bytes;
/// the next ones come from no later bytes of the same stream.
#[test]
fn every_key_has_a_generator_of_its_own() {
    let setup = native(5, Leaves::WhenStopped);
    let mut stream = StdRng::from_seed(seed(5));
    let mut next = || {
        let mut bytes = [0; 32];
        stream.fill_bytes(&mut bytes);
        Private::new(bytes, crate::chosen::kernel()).public()
    };
    let (mut world, _) = World::with(setup, Echo);
    let keys = [(); 3].map(|()| {
        let mut raw = Raw::connect(&mut world);
        raw.greet(&mut world);
        let answer = world.read(raw.end).try_into().unwrap();
        parse_server(&answer).unwrap()
    });
    assert_eq!(keys[0], next());
    assert_ne!(keys[1], keys[2]);
    for _ in 0..100 {
        assert!(!keys.contains(&next()));
    }
}
