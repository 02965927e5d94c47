//! The handshake of either side (`PROTOCOL.md` §1.2): a hello in, secrets and
//! perhaps a hello out.
//!
//! A server only checks a hello when it comes. The work on the curve is for later, because
//! the driver has a budget for it. [`super::Connection`] decides what a failure leads to;
//! [`crate::wire::hello`] has the layout.

use std::sync::Arc;

use crate::crypto::dh::Private;
use crate::crypto::keys::{Identity, SessionSecrets, hello_holds, hello_tag};
use crate::crypto::ring::{Key, KeyRing};
use crate::error::PeerFault;
use crate::limits::{CLIENT_HELLO, SERVER_HELLO};
use crate::wire::hello::{self, CLIENT_TAG, ClientHello, SERVER_TAG, Service};

/// What a side needs until the other's hello has come.
#[derive(Debug)]
pub(super) struct Waiting {
    private: Private,
    /// What a client may ask for.
    service: Service,
    side: Side,
}

#[derive(Debug)]
enum Side {
    Client {
        identity: Arc<Identity>,
        sent: Box<[u8; CLIENT_HELLO]>,
    },
    Server {
        keys: KeyRing,
        /// The client's hello, once it has come and holds.
        greeting: Option<Box<[u8; CLIENT_HELLO]>>,
    },
}

/// What a hello that holds leads to.
pub(super) enum Heard {
    /// A client's hello, which this key made, waits for its [answer](Waiting::answer).
    Greeting(Arc<Key>),
    /// A server's hello: the secrets.
    Agreed(Box<SessionSecrets>),
}

impl Waiting {
    pub(super) fn server(keys: KeyRing, private: Private, service: Service) -> Self {
        let greeting = None;
        Self {
            private,
            service,
            side: Side::Server { keys, greeting },
        }
    }

    /// A client's handshake, which waits for the answer, and the hello to send.
    pub(super) fn client(
        identity: Arc<Identity>,
        private: Private,
        service: Service,
    ) -> (Self, [u8; CLIENT_HELLO]) {
        let covered = ClientHello {
            service: service as u8,
            key_id: identity.key_id(),
            ephemeral: private.public(),
        }
        .encode();
        let mut hello = [0; CLIENT_HELLO];
        hello[..CLIENT_TAG].copy_from_slice(&covered);
        hello[CLIENT_TAG..].copy_from_slice(&hello_tag(&identity, &covered));
        let sent = Box::new(hello);
        let waiting = Self {
            private,
            service,
            side: Side::Client { identity, sent },
        };
        (waiting, hello)
    }

    pub(super) fn is_client(&self) -> bool {
        matches!(self.side, Side::Client { .. })
    }

    pub(super) fn greeting(&self) -> Option<&[u8; CLIENT_HELLO]> {
        match &self.side {
            Side::Client { .. } => None,
            Side::Server { greeting, .. } => greeting.as_deref(),
        }
    }

    /// Replaces the keys that a client may prove; a client has no use for them.
    pub(super) fn set_keys(&mut self, new: &KeyRing) {
        if let Side::Server { keys, .. } = &mut self.side {
            keys.clone_from(new);
        }
    }

    /// Bytes of the hello that must come.
    pub(super) fn expected(&self) -> usize {
        match self.side {
            Side::Client { .. } => SERVER_HELLO,
            Side::Server { .. } => CLIENT_HELLO,
        }
    }

    /// Handles the hello at the start of `bytes`; `None` while it is not whole. Bytes that can
    /// no longer become a hello are refused before they are whole.
    pub(super) fn receive(&mut self, bytes: &[u8]) -> Result<Option<Heard>, PeerFault> {
        hello::check_fixed(bytes)?;
        let service = self.service;
        match &mut self.side {
            Side::Server { keys, greeting } => {
                let Some(hello) = bytes.first_chunk() else {
                    return Ok(None);
                };
                let key = check_client(keys, service, hello)?;
                *greeting = Some(Box::new(*hello));
                Ok(Some(Heard::Greeting(key)))
            }
            Side::Client { identity, sent } => {
                let Some(hello) = bytes.first_chunk() else {
                    return Ok(None);
                };
                let secrets = check_server(identity, &self.private, sent, hello)?;
                Ok(Some(Heard::Agreed(secrets)))
            }
        }
    }

    /// Answers the client's `greeting`, which `identity` made: the secrets, and the server's
    /// hello, which goes out next.
    pub(super) fn answer(
        &self,
        identity: &Identity,
        greeting: &[u8; CLIENT_HELLO],
    ) -> Result<(Box<SessionSecrets>, [u8; SERVER_HELLO]), PeerFault> {
        let theirs = ClientHello::parse(greeting)?.ephemeral;
        let ours = hello::encode_server(&self.private.public());
        let secrets = agree(identity, &self.private, theirs, [greeting, &ours])?;
        let mut reply = [0; SERVER_HELLO];
        reply[..SERVER_TAG].copy_from_slice(&ours);
        reply[SERVER_TAG..].copy_from_slice(&secrets.finished_tag());
        Ok((secrets, reply))
    }
}

/// Returns the key that made this hello. Forged hellos cost one HMAC, and no work on the curve.
fn check_client(
    keys: &KeyRing,
    service: Service,
    bytes: &[u8; CLIENT_HELLO],
) -> Result<Arc<Key>, PeerFault> {
    let theirs = ClientHello::parse(bytes)?;
    if theirs.service != service as u8 {
        return Err(PeerFault::Service(theirs.service));
    }
    let key = keys.find(theirs.key_id).ok_or(PeerFault::UnknownKey)?;
    let (covered, tag) = bytes.split_at(CLIENT_TAG);
    if !hello_holds(&key.identity, covered, tag) {
        return Err(PeerFault::HelloTag);
    }
    Ok(Arc::clone(key))
}

fn check_server(
    identity: &Identity,
    private: &Private,
    sent: &[u8; CLIENT_HELLO],
    bytes: &[u8; SERVER_HELLO],
) -> Result<Box<SessionSecrets>, PeerFault> {
    let ephemeral = hello::parse_server(bytes)?;
    let (covered, tag) = bytes.split_at(SERVER_TAG);
    let secrets = agree(identity, private, ephemeral, [sent, covered])?;
    if !secrets.finished_holds(tag) {
        return Err(PeerFault::HelloTag);
    }
    Ok(secrets)
}

fn agree(
    identity: &Identity,
    private: &Private,
    theirs: [u8; 32],
    transcript: [&[u8]; 2],
) -> Result<Box<SessionSecrets>, PeerFault> {
    SessionSecrets::agree(identity, private, theirs, transcript).ok_or(PeerFault::LowOrder)
}
