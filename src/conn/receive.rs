//! The receiving half of a connection: finds records in bytes, and acts on what the batch
//! made of them.
//!
//! Records are authentic only once the batch has run, so a fault in the bytes waits
//! until everything ahead of it is settled.

use super::handshake::Heard;
use super::record_order::Step;
use super::send::Stage;
use super::{Connection, FirstSecrets, Handles, Received, State, StreamEnd};
use crate::crypto::batch::{OpenBatch, OpenJob};
use crate::crypto::keys::KeyStores;
use crate::error::{Failure, PeerFault};
use crate::limits::RECORD_HEADER;
use crate::span::Span;
use crate::time::Time;
use crate::wire::record;

impl Connection {
    /// Bytes of the whole unit that begins with `partial`; `None` while its length is not
    /// known.
    pub fn unit(&self, partial: &[u8]) -> Option<usize> {
        match &self.state {
            State::Handshake(waiting) => Some(waiting.expected()),
            _ => match record::parse_blocks(partial) {
                Ok(Some(blocks)) => Some(record::record_len(blocks)),
                _ => None,
            },
        }
    }

    /// Tells the clocks that bytes came, whole records or not.
    pub fn heard(&mut self, now: Time) {
        self.clocks.hearing.heard = now;
    }

    /// Finds the whole records in `bytes`, which lie where `at` says, and adds them to
    /// `batch`; takes a hello. Returns how many bytes were used. The driver gives the rest
    /// again, with what comes behind it.
    ///
    /// It uses nothing behind a client's hello that waits for its [answer](Self::answer). No
    /// proper client sends anything there.
    ///
    /// A fault in the bytes takes effect when [`settled`](Self::settled) is called, after
    /// everything ahead of it.
    pub fn gather(
        &mut self,
        now: Time,
        keys: &mut KeyStores,
        bytes: &[u8],
        at: Span,
        batch: &mut OpenBatch,
    ) -> usize {
        let mut used = 0;
        while used < bytes.len() && self.greeting().is_none() {
            let rest = &bytes[used..];
            let step = match &self.state {
                _ if self.behind.is_some() => return bytes.len(),
                State::Closing | State::Over => return bytes.len(),
                State::Handshake(_) => self.shake(now, keys, rest),
                State::Unproved | State::Open => {
                    self.find(keys, rest, at.slice(used..bytes.len()), batch)
                }
            };
            match step {
                Ok(0) => break,
                Ok(count) => {
                    used += count;
                    self.clocks.hearing.partial = None;
                }
                Err(fault) => {
                    self.behind = Some(fault);
                    return bytes.len();
                }
            }
        }
        if used < bytes.len() {
            self.clocks.hearing.partial.get_or_insert(now);
        }
        used
    }

    /// Takes the other's hello from the start of `bytes`, if it is whole.
    fn shake(&mut self, now: Time, keys: &mut KeyStores, bytes: &[u8]) -> Result<usize, PeerFault> {
        let State::Handshake(waiting) = &mut self.state else {
            unreachable!("the caller looked");
        };
        let used = waiting.expected();
        match waiting.receive(bytes)? {
            None => return Ok(0),
            Some(Heard::Greeting(key)) => self.key = Some(key),
            Some(Heard::Agreed(secrets)) => {
                let first = FirstSecrets {
                    to_us: &secrets.server_to_client,
                    from_us: &secrets.client_to_server,
                };
                self.handles = Some(Handles::install(keys, first));
                self.sending.prove = true;
                self.open(now);
            }
        }
        Ok(used)
    }

    /// Answers the client's [hello](Self::greeting), which takes work on the curve; does
    /// nothing if there is none. What came behind it may be gathered then.
    pub fn answer(&mut self, keys: &mut KeyStores) {
        let State::Handshake(waiting) = &self.state else {
            return;
        };
        let (Some(hello), Some(key)) = (waiting.greeting(), &self.key) else {
            return;
        };
        match waiting.answer(&key.identity, hello) {
            Ok((secrets, reply)) => {
                let first = FirstSecrets {
                    to_us: &secrets.client_to_server,
                    from_us: &secrets.server_to_client,
                };
                self.handles = Some(Handles::install(keys, first));
                self.sending.hello = Some(Box::new(reply));
                self.state = State::Unproved;
            }
            Err(fault) => self.end(Err(fault.into())),
        }
    }

    fn open(&mut self, now: Time) {
        self.state = State::Open;
        self.clocks.open(now);
    }

    /// Adds the record at the start of `bytes`, if it is whole.
    fn find(
        &mut self,
        keys: &mut KeyStores,
        bytes: &[u8],
        at: Span,
        batch: &mut OpenBatch,
    ) -> Result<usize, PeerFault> {
        let Some(blocks) = record::parse_blocks(bytes)? else {
            return Ok(0);
        };
        let len = record::record_len(blocks);
        if bytes.len() < len {
            return Ok(0);
        }
        let handles = self.handles.as_ref().expect("a handshake came first");
        keys.open.prepare(&handles.open, self.found);
        batch.push(OpenJob {
            key: handles.open.id(),
            sequence: self.found,
            body: at.slice(RECORD_HEADER..len),
        });
        self.found += 1;
        Ok(len)
    }

    /// Acts on the next record of this connection in a batch that has run:
    /// `plaintext` if its tag held.
    pub fn settle(&mut self, now: Time, plaintext: Option<&[u8]>) -> Received {
        self.settled += 1;
        if !matches!(self.state, State::Unproved | State::Open) {
            return Received::Nothing;
        }
        let asked = self.sending.fin >= Stage::Sealed;
        let step = plaintext
            .ok_or(PeerFault::Tag)
            .and_then(|plaintext| self.order.step(plaintext, asked));
        match step {
            Ok(Step::Abort(abort)) => self.end(Err(Failure::Aborted(abort))),
            Err(fault) => self.end(Err(fault.into())),
            Ok(Step::Meant(received)) => {
                self.prove(now);
                return received;
            }
            Ok(Step::Ping) => {
                self.prove(now);
                self.sending.pong = true;
            }
            Ok(Step::Done) => {
                self.prove(now);
                self.complete(now);
            }
        }
        Received::Nothing
    }

    /// A record in order proves a client.
    fn prove(&mut self, now: Time) {
        if matches!(self.state, State::Unproved) {
            self.open(now);
        }
    }

    /// Every result of this connection in the batch has been settled.
    pub fn settled(&mut self, keys: &mut KeyStores) {
        assert_eq!(self.settled, self.found, "a record was not settled");
        if let Some(fault) = self.behind.take()
            && !matches!(self.state, State::Closing | State::Over)
        {
            self.end(Err(fault.into()));
        }
        if let Some(handles) = &mut self.handles {
            keys.open.advance(&mut handles.open, self.found);
        }
    }

    /// The stream has ended.
    pub fn end_of_stream(&mut self, end: StreamEnd) {
        let failure = match (&self.state, end) {
            (State::Handshake(waiting), _) if waiting.is_client() => PeerFault::NoHandshake.into(),
            (State::Handshake(_) | State::Unproved, _) => PeerFault::Unproved.into(),
            (_, StreamEnd::Closed) => Failure::Truncated("the peer closed it"),
            (_, StreamEnd::Broken(error)) => Failure::Broken(error),
        };
        self.end(Err(failure));
    }
}
