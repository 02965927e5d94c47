//! The handshake of either side (`PROTOCOL.md` §1.2): a hello in, secrets and
//! perhaps a hello out.
//!
//! [`super::Connection`] decides what a failure leads to; [`crate::wire::hello`] has
//! the layout.

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
    /// Our own hello, if we spoke first.
    sent: Option<Box<[u8; CLIENT_HELLO]>>,
}

/// What a handshake yields: the secrets and, at the server, its hello, which goes out next.
pub(super) type Done = (Box<SessionSecrets>, Option<[u8; SERVER_HELLO]>);

impl Waiting {
    pub(super) fn server(identity: Arc<Identity>, private: Private) -> Self {
        Self {
            identity,
            private,
            sent: None,
        }
    }

    /// A client's handshake, which waits for the answer, and the hello to send.
    pub(super) fn client(identity: Arc<Identity>, private: Private) -> (Self, [u8; CLIENT_HELLO]) {
        let covered = ClientHello {
            service: Service::Messages as u8,
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
            sent: Some(Box::new(hello)),
        };
        (waiting, hello)
    }

    pub(super) fn is_client(&self) -> bool {
        self.sent.is_some()
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
    pub(super) fn receive(&self, bytes: &[u8]) -> Result<Option<Done>, PeerFault> {
        hello::check_fixed(bytes)?;
        match &self.sent {
            None => bytes.first_chunk().map(|hello| self.answer(hello)),
            Some(sent) => bytes.first_chunk().map(|hello| self.check(sent, hello)),
        }
        .transpose()
    }

    /// The server's part. It checks the tag before it computes on the curve, so that forged
    /// hellos cost little.
    fn answer(&self, bytes: &[u8; CLIENT_HELLO]) -> Result<Done, PeerFault> {
        let theirs = ClientHello::parse(bytes)?;
        if theirs.service != Service::Messages as u8 {
            return Err(PeerFault::Service(theirs.service));
        }
        if theirs.key_id != self.identity.key_id() {
            return Err(PeerFault::UnknownKey);
        }
        let (covered, tag) = bytes.split_at(CLIENT_TAG);
        if !hello_holds(&self.identity, covered, tag) {
            return Err(PeerFault::HelloTag);
        }
        let ours = hello::encode_server(&self.private.public());
        let secrets = self.agree(theirs.ephemeral, [bytes, &ours])?;
        let mut reply = [0; SERVER_HELLO];
        reply[..SERVER_TAG].copy_from_slice(&ours);
        reply[SERVER_TAG..].copy_from_slice(&secrets.finished_tag());
        Ok((secrets, Some(reply)))
    }

    fn check(
        &self,
        sent: &[u8; CLIENT_HELLO],
        bytes: &[u8; SERVER_HELLO],
    ) -> Result<Done, PeerFault> {
        let ephemeral = hello::parse_server(bytes)?;
        let (covered, tag) = bytes.split_at(SERVER_TAG);
        let secrets = self.agree(ephemeral, [sent, covered])?;
        if !secrets.finished_holds(tag) {
            return Err(PeerFault::HelloTag);
        }
        Ok((secrets, None))
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
