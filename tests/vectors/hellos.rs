//! From the two secrets, over both hellos, to the secrets of both directions.

use sealwire::crypto::dh::Private;
use sealwire::crypto::keys::{Identity, SessionSecrets};
use sealwire::error::PeerFault;
use sealwire::limits::CLIENT_HELLO;
use sealwire::wire::hello::{self, CLIENT_TAG, ClientHello, SERVER_TAG, Service};
use serde_json::Value;
use std::sync::Arc;

use crate::answers::{array, bytes, hex, native, secrets};

pub(crate) fn identity() -> Arc<Identity> {
    let native = native();
    Identity::new(&secrets(
        bytes(&native["confkey"]),
        bytes(&native["authkey"]),
    ))
    .unwrap()
}

fn private(side: &str) -> Private {
    Private::new(array(&native()[side]))
}

/// A client hello with its tag.
fn client_hello(service: Service, ephemeral: [u8; 32]) -> Vec<u8> {
    let identity = identity();
    let hello = ClientHello {
        service: service as u8,
        key_id: identity.key_id(),
        ephemeral,
    };
    let fixed = hello.encode();
    [&fixed[..], &identity.hello_tag(&fixed)].concat()
}

/// The server's hello in answer to `client`, and the secrets it derives.
fn server_hello(client: &[u8]) -> (Vec<u8>, Box<SessionSecrets>) {
    let private = private("server_private");
    let fixed = hello::encode_server(&private.public());
    let public = ClientHello::parse(client.try_into().unwrap()).unwrap();
    let secrets = identity()
        .agree(&private, public.ephemeral, [client, &fixed])
        .unwrap();
    ([&fixed[..], &secrets.finished_tag()].concat(), secrets)
}

/// Goal: the keys are known by the right name, and the client's hello is right
/// to the byte, for both services that the vectors have. Method: write both.
#[test]
fn the_client_hello_is_written() {
    let native = native();
    assert_eq!(identity().key_id(), array(&native["key_id"]));
    let public = private("client_private").public();
    let messages = client_hello(Service::Messages, public);
    assert_eq!(messages, bytes(&native["client_hello"]));
    let tunnel = client_hello(Service::Tunnel, public);
    assert_eq!(tunnel, bytes(&native["client_hello_tunnel"]));
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

/// Goal: the server's hello is right to the byte, and both sides derive the
/// expected secrets from it. Method: write it as the server does, then check it
/// and derive as the client does.
#[test]
fn the_server_hello_is_written_and_checked() {
    let native = native();
    let client = bytes(&native["client_hello"]);
    let (server, of_server) = server_hello(&client);
    assert_eq!(server, bytes(&native["server_hello"]));

    let public = hello::parse_server(server[..].try_into().unwrap()).unwrap();
    let of_client = identity()
        .agree(
            &private("client_private"),
            public,
            [&client, &server[..SERVER_TAG]],
        )
        .unwrap();
    assert!(of_client.finished_holds(&server[SERVER_TAG..]));
    for secrets in [of_server, of_client] {
        let (c2s, s2c) = (secrets.client_to_server, secrets.server_to_client);
        assert_eq!(*c2s, array(&native["client_to_server"]));
        assert_eq!(*s2c, array(&native["server_to_client"]));
    }
}

/// Goal: bit 255 of a public key is masked for the curve, and kept in the
/// transcript (RFC 7748, `PROTOCOL.md`). Method: the client's key with that bit
/// set; hello and answer are right to the byte.
#[test]
fn bit_255_of_a_public_key_is_masked() {
    let expected = &native()["public_key_with_bit_255_set"];
    let mut public = private("client_private").public();
    public[31] |= 0x80;
    let client = client_hello(Service::Messages, public);
    assert_eq!(client, bytes(&expected["client_hello"]));
    assert_eq!(server_hello(&client).0, bytes(&expected["server_hello"]));
}

/// What keys and layouts say about a client's hello.
#[derive(Debug, PartialEq)]
enum Verdict {
    Layout(PeerFault),
    Service,
    KeyId,
    Tag,
    LowOrder,
    Fine,
}

fn judge_client(bytes: &[u8; CLIENT_HELLO]) -> Verdict {
    let identity = identity();
    let hello = match ClientHello::parse(bytes) {
        Ok(hello) => hello,
        Err(fault) => return Verdict::Layout(fault),
    };
    let (fixed, tag) = bytes.split_at(CLIENT_TAG);
    match () {
        () if !hello::may_be_client(bytes) => Verdict::Service,
        () if hello.key_id != identity.key_id() => Verdict::KeyId,
        () if !identity.hello_holds(fixed, tag) => Verdict::Tag,
        () if private("server_private").agree(hello.ephemeral).is_none() => Verdict::LowOrder,
        () => Verdict::Fine,
    }
}

/// Goal: each wrong client hello is refused, for the reason it was made for.
/// Method: all of the list, and the right ones, which are not.
#[test]
fn wrong_client_hellos_are_refused() {
    let list = &native()["refuse_client_hello"];
    let points = list["low_order_points"].as_object().unwrap();
    assert_eq!(points.len(), 7);
    for (point, hello) in points {
        assert_eq!(hex(point), bytes(hello)[16..CLIENT_TAG]);
        assert_eq!(judge_client(&array(hello)), Verdict::LowOrder, "{point}");
    }
    let others = [
        ("suite_2", Verdict::Layout(PeerFault::Suite(2))),
        ("reserved", Verdict::Layout(PeerFault::Reserved)),
        ("unknown_service", Verdict::Service),
        ("wrong_key_id", Verdict::KeyId),
        ("bad_mac", Verdict::Tag),
    ];
    assert_eq!(list.as_object().unwrap().len(), 1 + others.len());
    for (name, verdict) in others {
        assert_eq!(judge_client(&array(&list[name])), verdict, "{name}");
    }
    for name in ["client_hello", "client_hello_tunnel"] {
        assert_eq!(judge_client(&array(&native()[name])), Verdict::Fine);
    }
}

/// What a client makes of the server's hello.
fn judge_server(hello: &Value) -> Verdict {
    let server: [u8; 72] = array(hello);
    let public = match hello::parse_server(&server) {
        Ok(public) => public,
        Err(fault) => return Verdict::Layout(fault),
    };
    let (fixed, tag) = server.split_at(SERVER_TAG);
    let client = bytes(&native()["client_hello"]);
    match identity().agree(&private("client_private"), public, [&client, fixed]) {
        None => Verdict::LowOrder,
        Some(secrets) if !secrets.finished_holds(tag) => Verdict::Tag,
        Some(_) => Verdict::Fine,
    }
}

/// Goal and method: as for the client's.
#[test]
fn wrong_server_hellos_are_refused() {
    let list = &native()["refuse_server_hello"];
    let wrong = [
        ("flipped_mac", Verdict::Tag),
        ("suite_2", Verdict::Layout(PeerFault::Suite(2))),
        ("reserved", Verdict::Layout(PeerFault::Reserved)),
        ("service_echoed", Verdict::Layout(PeerFault::Reserved)),
        ("zero_key", Verdict::LowOrder),
    ];
    assert_eq!(list.as_object().unwrap().len(), wrong.len());
    for (name, verdict) in wrong {
        assert_eq!(judge_server(&list[name]), verdict, "{name}");
    }
    assert_eq!(judge_server(&native()["server_hello"]), Verdict::Fine);
}
