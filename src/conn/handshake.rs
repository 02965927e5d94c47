//! The handshake of either side (`PROTOCOL.md` §1.2): a hello in, secrets and
//! perhaps a hello out.
//!
//! A server only checks a hello when it comes. The work on the curve is for later, because
//! the driver has a budget for it. [`super::Connection`] decides what a failure leads to;
//! [`crate::wire::hello`] has the layout.

use std::sync::Arc;

use crate::crypto::dh::Private;
use crate::crypto::keys::{Identity, SessionSecrets, hello_holds, hello_tag};
use crate::error::PeerFault;
use crate::limits::{CLIENT_HELLO, SERVER_HELLO};
use crate::wire::hello::{self, CLIENT_TAG, ClientHello, SERVER_TAG, Service};

/// What a side needs until the other's hello has come.
#[derive(Debug)]
pub(super) struct Waiting {
    identity: Arc<Identity>,
    private: Private,
    /// What a client may ask for.
    service: Service,
    /// Our own hello, if we spoke first.
    sent: Option<Box<[u8; CLIENT_HELLO]>>,
    /// The client's hello, once it has come and holds.
    greeting: Option<Box<[u8; CLIENT_HELLO]>>,
}

/// What a hello that holds leads to.
pub(super) enum Heard {
    /// A client's hello waits for its [answer](Waiting::answer).
    Greeting,
    /// A server's hello: the secrets.
    Agreed(Box<SessionSecrets>),
}

impl Waiting {
    pub(super) fn server(identity: Arc<Identity>, private: Private, service: Service) -> Self {
        Self {
            identity,
            private,
            service,
            sent: None,
            greeting: None,
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
        let waiting = Self {
            identity,
            private,
            service,
            sent: Some(Box::new(hello)),
            greeting: None,
        };
        (waiting, hello)
    }

    pub(super) fn is_client(&self) -> bool {
        self.sent.is_some()
    }

    pub(super) fn greeting(&self) -> Option<&[u8; CLIENT_HELLO]> {
        self.greeting.as_deref()
    }

    /// Bytes of the hello that must come.
    pub(super) fn expected(&self) -> usize {
        match self.sent {
            None => CLIENT_HELLO,
            Some(_) => SERVER_HELLO,
        }
    }

    /// Handles the hello at the start of `bytes`; `None` while it is not whole. Bytes that can
    /// no longer become a hello are refused before they are whole.
    pub(super) fn receive(&mut self, bytes: &[u8]) -> Result<Option<Heard>, PeerFault> {
        hello::check_fixed(bytes)?;
        match &self.sent {
            None => {
                let Some(hello) = bytes.first_chunk() else {
                    return Ok(None);
                };
                self.check_client(hello)?;
                self.greeting = Some(Box::new(*hello));
                Ok(Some(Heard::Greeting))
            }
            Some(sent) => {
                let secrets = bytes
                    .first_chunk()
                    .map(|hello| self.check_server(sent, hello));
                Ok(secrets.transpose()?.map(Heard::Agreed))
            }
        }
    }

    /// Forged hellos cost one HMAC, and no work on the curve.
    fn check_client(&self, bytes: &[u8; CLIENT_HELLO]) -> Result<(), PeerFault> {
        let theirs = ClientHello::parse(bytes)?;
        if theirs.service != self.service as u8 {
            return Err(PeerFault::Service(theirs.service));
        }
        if theirs.key_id != self.identity.key_id() {
            return Err(PeerFault::UnknownKey);
        }
        let (covered, tag) = bytes.split_at(CLIENT_TAG);
        if !hello_holds(&self.identity, covered, tag) {
            return Err(PeerFault::HelloTag);
        }
        Ok(())
    }

    /// Answers the client's `greeting`: the secrets, and the server's hello, which goes out
    /// next.
    pub(super) fn answer(
        &self,
        greeting: &[u8; CLIENT_HELLO],
    ) -> Result<(Box<SessionSecrets>, [u8; SERVER_HELLO]), PeerFault> {
        let theirs = ClientHello::parse(greeting)?.ephemeral;
        let ours = hello::encode_server(&self.private.public());
        let secrets = self.agree(theirs, [greeting, &ours])?;
        let mut reply = [0; SERVER_HELLO];
        reply[..SERVER_TAG].copy_from_slice(&ours);
        reply[SERVER_TAG..].copy_from_slice(&secrets.finished_tag());
        Ok((secrets, reply))
    }

    fn check_server(
        &self,
        sent: &[u8; CLIENT_HELLO],
        bytes: &[u8; SERVER_HELLO],
    ) -> Result<Box<SessionSecrets>, PeerFault> {
        let ephemeral = hello::parse_server(bytes)?;
        let (covered, tag) = bytes.split_at(SERVER_TAG);
        let secrets = self.agree(ephemeral, [sent, covered])?;
        if !secrets.finished_holds(tag) {
            return Err(PeerFault::HelloTag);
        }
        Ok(secrets)
    }

    fn agree(
        &self,
        theirs: [u8; 32],
        transcript: [&[u8]; 2],
    ) -> Result<Box<SessionSecrets>, PeerFault> {
        SessionSecrets::agree(&self.identity, &self.private, theirs, transcript)
            .ok_or(PeerFault::LowOrder)
    }
}
