//! The handshake of either side: hellos that are right, changed, and changed with a tag that
//! holds; and what may come behind them.

use sealwire::crypto::dh::Private;
use sealwire::crypto::keys::{Identity, SessionSecrets, hello_tag};
use sealwire::wire::hello::{self, ClientHello};
use sealwire::{Failure, Service, Session, Time};

use crate::chosen::kernel;
use crate::hand::{Hand, secrets};
use crate::script::Script;
use crate::session::{Heard, play};

const NOW: Time = Time::ZERO;
/// What our own private key is made of, and the session's.
const OURS: [u8; 32] = [1; 32];
const THEIRS: [u8; 32] = [2; 32];

/// A server or a client, whose other side we play.
pub(crate) fn run(input: &[u8]) {
    let mut script = Script::new(input);
    match script.flag() {
        false => server(&mut script),
        true => client(&mut script),
    }
}

fn identity() -> std::sync::Arc<Identity> {
    Identity::new(&secrets()).expect("32 bytes each")
}

/// A hello that a client with these keys sends, which asks for `service`.
pub(crate) fn client_hello(private: &Private, service: Service) -> [u8; 80] {
    let identity = identity();
    let covered = ClientHello {
        service: service as u8,
        key_id: identity.key_id(),
        ephemeral: private.public(),
    };
    let mut hello = [0; 80];
    hello[..48].copy_from_slice(&covered.encode());
    let tag = hello_tag(&identity, &hello[..48]);
    hello[48..].copy_from_slice(&tag);
    hello
}

/// The secrets of both directions, from the client on, if the two agree on some.
pub(crate) fn agree(
    private: &Private,
    public: [u8; 32],
    transcript: [&[u8]; 2],
) -> Option<Secrets> {
    let secrets = SessionSecrets::agree(&identity(), private, public, transcript)?;
    Some(Secrets {
        directions: [*secrets.client_to_server, *secrets.server_to_client],
        finished: secrets.finished_tag(),
    })
}

/// What a handshake yields.
pub(crate) struct Secrets {
    pub(crate) directions: [[u8; 32]; 2],
    pub(crate) finished: [u8; 32],
}

/// Changes some bytes of a hello, which are below `end`.
fn change(hello: &mut [u8], script: &mut Script<'_>, end: usize) {
    for _ in 0..script.below(4) {
        let at = script.below(end);
        hello[at] ^= script.byte();
    }
}

/// Gives a session `bytes` in two pieces.
fn give(session: &mut Session, bytes: &[u8], script: &mut Script<'_>) -> Vec<u8> {
    let cut = script.below(bytes.len() + 1);
    let mut output = Vec::new();
    for piece in [&bytes[..cut], &bytes[cut..]] {
        if !piece.is_empty() {
            session.receive(NOW, piece, &mut output);
        }
    }
    output
}

fn server(script: &mut Script<'_>) {
    let identity = identity();
    let ours = Private::new(OURS, kernel());
    let mut session = Session::server(identity.clone(), kernel(), THEIRS, NOW);
    let mut sent = client_hello(&ours, Service::Messages);
    change(&mut sent, script, 80);
    if script.flag() {
        let tag = hello_tag(&identity, &sent[..48]);
        sent[48..].copy_from_slice(&tag);
    }
    let public: [u8; 32] = sent[16..48].try_into().expect("32 bytes");
    let expected = sent[..8] == *b"SWP1\x01\0\0\0"
        && sent[8..16] == identity.key_id()
        && sent[48..] == hello_tag(&identity, &sent[..48])
        && Private::new(THEIRS, kernel()).agree(public).is_some();
    let output = give(&mut session, &sent, script);
    let mut heard = Heard::default();
    heard.take(&mut session);
    assert!(!heard.open && !heard.shut, "nothing has proved the client");
    if !expected {
        assert!(output.is_empty());
        assert!(matches!(heard.over, Some(Err(Failure::Peer(_)))));
        return;
    }
    assert_eq!((output.len(), heard.over), (72, None));
    let answer: [u8; 72] = output.try_into().expect("its length");
    let theirs = hello::parse_server(&answer).expect("a hello");
    let agreed = agree(&ours, theirs, [&sent, &answer[..40]]);
    // If our public key was changed, we do not know the secrets.
    if let Some(agreed) = agreed.filter(|_| public == ours.public()) {
        assert_eq!(agreed.finished, answer[40..]);
        play(
            &mut session,
            &mut Hand::new(&agreed.directions),
            NOW,
            script,
        );
    }
}

fn client(script: &mut Script<'_>) {
    let ours = Private::new(OURS, kernel());
    let mut session = Session::client(identity(), kernel(), THEIRS, NOW);
    let mut sent = Vec::new();
    session.start(NOW, &mut sent);
    let theirs: [u8; 32] = sent[16..48].try_into().expect("32 bytes");
    let expected = client_hello(&Private::new(THEIRS, kernel()), Service::Messages);
    assert_eq!(sent, expected);

    let mut answer = [0; 72];
    answer[..40].copy_from_slice(&hello::encode_server(&ours.public()));
    let late = script.flag();
    if !late {
        change(&mut answer, script, 40);
    }
    let agreed = agree(&ours, theirs, [&sent, &answer[..40]]).expect("no low order");
    answer[40..].copy_from_slice(&agreed.finished);
    if late {
        change(&mut answer, script, 72);
    }
    let right = answer[..8] == *b"SWP1\x01\0\0\0"
        && answer[8..40] == ours.public()
        && answer[40..]
            == agree(&ours, theirs, [&sent, &answer[..40]])
                .expect("the same")
                .finished;
    let output = give(&mut session, &answer, script);
    if !right {
        // Of a point, one bit does not count.
        let masked = answer[8..39] == ours.public()[..31] && answer[39] & 127 == ours.public()[31];
        let mut heard = Heard::default();
        heard.take(&mut session);
        let refused = matches!(heard.over, Some(Err(Failure::Peer(_))));
        assert!(refused && output.is_empty() || masked && !late);
        return;
    }
    let [from_client, from_server] = agreed.directions;
    let mut hand = Hand::new(&[from_server, from_client]);
    hand.hear(&output);
    play(&mut session, &mut hand, NOW, script);
}
