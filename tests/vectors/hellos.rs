//! The two secrets, and the client's hello that is made of them. The server's hello, and
//! what both sides derive, are played to connections in [`crate::connection`].

use sealwire::crypto::dh::Private;
use sealwire::crypto::keys::Identity;
use sealwire::wire::hello::{ClientHello, Service};
use std::sync::Arc;

use crate::answers::{array, bytes, native, secrets};

pub(crate) fn identity() -> Arc<Identity> {
    let [confkey, authkey] = ["confkey", "authkey"].map(|name| bytes(&native()[name]));
    Identity::new(&secrets(confkey, authkey)).unwrap()
}

pub(crate) fn private(side: &str) -> Private {
    Private::new(array(&native()[side]))
}

/// Goal: the keys have the right id, and a client's hello is right to the byte, for both
/// services and for a public key with bit 255 set, which the transcript keeps (RFC 7748,
/// `PROTOCOL.md`).
#[test]
fn the_client_hello_is_written() {
    let (native, identity) = (native(), identity());
    assert_eq!(identity.key_id(), array(&native["key_id"]));
    let public = private("client_private").public();
    let mut bit_255 = public;
    bit_255[31] |= 0x80;
    let of_bit_255 = &native["public_key_with_bit_255_set"]["client_hello"];
    for (service, ephemeral, expected) in [
        (Service::Messages, public, &native["client_hello"]),
        (Service::Tunnel, public, &native["client_hello_tunnel"]),
        (Service::Messages, bit_255, of_bit_255),
    ] {
        let hello = ClientHello {
            service: service as u8,
            key_id: identity.key_id(),
            ephemeral,
        };
        let fixed = hello.encode();
        let hello = [&fixed[..], &identity.hello_tag(&fixed)].concat();
        assert_eq!(hello, bytes(expected));
    }
}

/// Goal: the Diffie-Hellman result is X25519's. Method: both ways round.
#[test]
fn both_sides_agree_on_the_shared_secret() {
    let expected = array(&native()["shared_secret"]);
    for (one, other) in [
        ("client_private", "server_private"),
        ("server_private", "client_private"),
    ] {
        let shared = private(one).agree(private(other).public()).unwrap();
        assert_eq!(*shared, expected);
    }
}
