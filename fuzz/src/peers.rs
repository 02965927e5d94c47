//! Peers of an endpoint, played by hand: raw, unproved, proved, native or classic.

use sealwire::classic::ClassicConnection;
use sealwire::crypto::dh::Private;
use sealwire::wire::hello;
use sealwire::{Failure, Outcome, PeerFault, PeerId, Service, Time};

use crate::chosen::kernel;
use crate::classic::Frames;
use crate::hand::Hand;
use crate::handshake::{agree, client_hello};
use crate::script::Script;
use crate::told::Over;

/// What a peer of ours speaks.
pub(crate) enum Speaks {
    /// Nothing, or what is no hello.
    Nothing,
    /// It has sent this hello, and waits for the answer.
    Greeted(Box<(Private, [u8; 80])>),
    /// It was dialled, and has this part of the endpoint's hello.
    Dialled,
    Native(Box<Hand>),
    Classic(Box<Frames>),
}

pub(crate) struct Peer {
    pub(crate) id: PeerId,
    pub(crate) speaks: Speaks,
    /// It has sent something: what it sends now is not the start of its stream.
    pub(crate) has_spoken: bool,
    /// What came and is not understood yet.
    unread: Vec<u8>,
    /// Opens the frames that come where the endpoint speaks classic.
    ear: Option<ClassicConnection>,
    pub(crate) joined: bool,
    pub(crate) outcome: Option<Outcome>,
}

impl Peer {
    /// One that may have to open frames with `ear`.
    pub(crate) fn new(id: PeerId, speaks: Speaks, ear: Option<ClassicConnection>) -> Self {
        Self {
            id,
            speaks,
            has_spoken: false,
            unread: Vec::new(),
            ear,
            joined: false,
            outcome: None,
        }
    }

    pub(crate) fn hand(&self) -> Option<&Hand> {
        match &self.speaks {
            Speaks::Native(hand) => Some(hand),
            _ => None,
        }
    }

    // ---- what it sends -----------------------------------------------------

    /// It asks for `service`, or answers the endpoint's hello, where it may. `seed` is what its
    /// private key is made of.
    pub(crate) fn greet(&mut self, seed: u8, service: Service) -> Option<Vec<u8>> {
        let private = Private::new([seed; 32], kernel());
        let (bytes, speaks) = match self.speaks {
            Speaks::Nothing if !self.has_spoken => {
                let hello = client_hello(&private, service);
                (hello.to_vec(), Speaks::Greeted(Box::new((private, hello))))
            }
            Speaks::Dialled if self.unread.len() == 80 => {
                let theirs = self.unread[16..48].try_into().expect("32 bytes");
                let mut answer = hello::encode_server(&private.public()).to_vec();
                let agreed = agree(&private, theirs, [&self.unread, &answer]).expect("an order");
                answer.extend(agreed.finished);
                self.unread.clear();
                let [from_endpoint, from_us] = agreed.directions;
                let hand = Hand::new(&[from_us, from_endpoint]);
                (answer, Speaks::Native(Box::new(hand)))
            }
            _ => return None,
        };
        self.speaks = speaks;
        Some(bytes)
    }

    /// It is about to send any bytes.
    pub(crate) fn junk(&mut self) {
        match &mut self.speaks {
            Speaks::Native(hand) => hand.junk(),
            Speaks::Classic(frames) => frames.junk = true,
            _ => self.speaks = Speaks::Nothing,
        }
    }

    /// Its next records or frames.
    pub(crate) fn next(&mut self, script: &mut Script<'_>) -> Option<Vec<u8>> {
        match &mut self.speaks {
            Speaks::Native(hand) => Some(hand.records(script)),
            Speaks::Classic(frames) => Some(frames.next(script)),
            _ => None,
        }
    }

    // ---- what it hears -----------------------------------------------------

    /// Takes what the endpoint wrote.
    pub(crate) fn hear(&mut self, bytes: &[u8]) {
        match &mut self.speaks {
            Speaks::Native(hand) => hand.hear(bytes),
            Speaks::Dialled => {
                self.unread.extend_from_slice(bytes);
                assert!(self.unread.len() <= 80, "a client waits behind its hello");
            }
            Speaks::Greeted(greeted)
                if self.ear.is_none() || !self.unread.is_empty() || is_hello(bytes) =>
            {
                self.unread.extend_from_slice(bytes);
                assert!(self.unread.len() <= 72, "a server waits behind its hello");
                let Some(answer) = self.unread.first_chunk::<72>() else {
                    return;
                };
                let (private, hello) = &**greeted;
                let theirs = hello::parse_server(answer).expect("a hello");
                let agreed = agree(private, theirs, [hello, &answer[..40]]).expect("an order");
                assert_eq!(agreed.finished, answer[40..]);
                let hand = Hand::new(&agreed.directions);
                self.unread.clear();
                self.speaks = Speaks::Native(Box::new(hand));
            }
            _ => {
                let Some(ear) = &mut self.ear else {
                    // Junk behind a hello that held: nobody waits for its answer any more.
                    assert!(self.has_spoken, "nothing was asked");
                    return;
                };
                self.unread.extend_from_slice(bytes);
                while let Some(opened) = ear.open(Time::ZERO, &mut self.unread) {
                    self.unread.drain(..opened.used);
                }
                assert_eq!(ear.outcome(), None, "not a frame");
            }
        }
    }

    // ---- what must hold ----------------------------------------------------

    /// Checks how it has ended, if it did, against what `hand` did. `all` says whether all that
    /// it said was handed on, and `goes_on` whether the endpoint still reads it.
    pub(crate) fn check_ends(&self, hand: &Hand, all: bool, goes_on: bool) {
        assert!(!goes_on || !hand.must_be_over(), "it goes on");
        assert!(!hand.heard.done || all, "confirmed, and not handed on");
        let is_guilty = hand.unsure || hand.must_be_over();
        match &self.outcome {
            Some(Ok(())) => {
                assert!(all && hand.said.fin && hand.said.done);
                assert!(hand.heard.fin && hand.heard.done);
            }
            Some(Err(Failure::Peer(PeerFault::Unproved | PeerFault::NoHandshake))) => {
                assert!(!self.joined);
            }
            Some(Err(Failure::Peer(fault))) => {
                assert!(is_guilty && (all || hand.unsure), "accused of {fault}");
            }
            Some(Err(Failure::Aborted(_))) => {
                let gave_up = hand.said.over == Some(Over::Abort);
                assert!(hand.unsure || (gave_up && all) || !self.joined);
            }
            _ => {}
        }
    }
}

/// Whether `bytes` begin a hello, and not a frame.
fn is_hello(bytes: &[u8]) -> bool {
    bytes.iter().zip(b"SWP1").all(|(a, b)| a == b)
}
