//! One connection with everything it needs.
//!
//! A [`Session`] owns keys, batches and memory and does the three steps itself:
//! bytes in, events out. It copies each message once, into the event. For many
//! connections, [`crate::endpoint`] shares all of that.

use std::collections::VecDeque;
use std::iter::Peekable;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::conn::{Connection, Next, Outcome, Outgoing, Received, StreamEnd};
use crate::crypto::batch::{OpenBatch, SealBatch};
use crate::crypto::dh::Private;
use crate::crypto::kernel::Kernel;
use crate::crypto::keys::{Identity, KeyStores};
use crate::crypto::ring::{Key, KeyRing};
use crate::error::{Abort, Reason};
use crate::limits::{INPUT_SCRATCH, Limits, MAX_PACKED, MAX_RECORD, OUTPUT_SCRATCH, PACK_LENGTH};
use crate::span::{Area, Span};
use crate::time::Time;
use crate::wire::hello::Service;
use crate::wire::pack;
use crate::wire::record::{self, Kind};

/// What happened on a [`Session`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionEvent {
    /// The other side holds the keys.
    Open,
    /// A whole message.
    Message(Vec<u8>),
    /// The other side sends no more messages. The session has confirmed all of them
    /// (DONE), so take every event. If it does [not](Session::confirming_by_hand), call
    /// [`confirm`](Session::confirm) once they are handed on.
    Fin,
    /// Shut down writing, read on to the other's end, and close.
    ShutDown,
    /// It is over: complete, or why not. Nothing follows; close.
    Over(Outcome),
}

/// A connection, its keys and its buffers.
///
/// To drive it: call [`start`](Self::start), give every read to
/// [`receive`](Self::receive), call [`handle_timeout`](Self::handle_timeout) at
/// [`poll_timeout`](Self::poll_timeout), and after each call write all of `output`, then
/// take [`poll_event`](Self::poll_event) until `None`.
///
/// An empty slice stands for the end of the stream and for a read error. After a failed
/// write, only read. On [`ShutDown`](SessionEvent::ShutDown) shut down writing and go on
/// reading; on [`Over`](SessionEvent::Over) close. Programs that do so are in `examples/`:
/// `own_transport.rs` with blocking calls, `over_tokio.rs` without.
#[derive(Debug)]
pub struct Session {
    connection: Connection,
    keys: KeyStores,
    opens: OpenBatch,
    seals: SealBatch,
    input: Vec<u8>,
    message: Vec<u8>,
    limits: Limits,
    events: VecDeque<SessionEvent>,
    confirms: bool,
    was_open: bool,
    told_over: bool,
}

impl Session {
    /// The side that connects. `random` is fresh for every connection, and secret.
    pub fn client(identity: Arc<Identity>, kernel: Kernel, random: [u8; 32], now: Time) -> Self {
        let private = Private::new(random, kernel);
        let connection = Connection::client(identity, private, Service::Messages, now);
        Self::new(connection, kernel)
    }

    /// The side that accepts. The other side proves one of `keys`: a [`KeyRing`], or an
    /// `Arc<Identity>` alone. `random` is fresh for every connection, and secret.
    pub fn server(keys: impl Into<KeyRing>, kernel: Kernel, random: [u8; 32], now: Time) -> Self {
        let private = Private::new(random, kernel);
        let connection = Connection::server(keys.into(), private, Service::Messages, now);
        Self::new(connection, kernel)
    }

    /// The key that the client has proved; `None` before [`Open`](SessionEvent::Open), and on
    /// the client's side.
    pub fn key(&self) -> Option<&Arc<Key>> {
        self.connection.key().filter(|_| self.was_open)
    }

    /// Sets the largest message to accept, in bytes. The default is 16 MiB.
    #[must_use]
    pub fn with_max_message(mut self, max_message: usize) -> Self {
        self.limits.max_message = max_message;
        self
    }

    /// Sets the silence of our side after which it sends PING, and that of the other side
    /// which ends the session: at least twice as long, so that a PING can be answered. The
    /// defaults are 30 s and 90 s.
    #[must_use]
    pub fn with_silence(mut self, ping_after: Duration, dead_after: Duration) -> Self {
        self.limits.ping_after = ping_after;
        self.limits.dead_after = dead_after;
        self
    }

    /// Leaves it to the caller to [confirm](Self::confirm) what came before the other's FIN,
    /// for a caller that hands messages on later than it takes them.
    #[must_use]
    pub fn confirming_by_hand(mut self) -> Self {
        self.confirms = false;
        self
    }

    /// Drives `connection`, which is new, with the usual limits.
    fn new(connection: Connection, kernel: Kernel) -> Self {
        Self {
            connection,
            keys: KeyStores::new(kernel),
            opens: OpenBatch::default(),
            seals: SealBatch::default(),
            input: Vec::new(),
            message: Vec::new(),
            limits: Limits::default(),
            events: VecDeque::new(),
            confirms: true,
            was_open: false,
            told_over: false,
        }
    }

    /// Drives a connection that is [open already](Connection::open_already), for tests
    /// and benches.
    #[cfg(feature = "internals")]
    pub fn open_already(
        first: crate::conn::FirstSecrets<'_>,
        kernel: Kernel,
        max_message: usize,
        now: Time,
    ) -> Self {
        let mut keys = KeyStores::new(kernel);
        let connection = Connection::open_already(&mut keys, first, now);
        Self {
            keys,
            ..Self::new(connection, kernel)
        }
        .with_max_message(max_message)
    }

    /// Starts: a client puts its hello into `output`.
    pub fn start(&mut self, now: Time, output: &mut Vec<u8>) {
        self.seal_owed(now, output);
    }

    /// Takes bytes from the socket; none are the end of its stream.
    pub fn receive(&mut self, now: Time, input: &[u8], output: &mut Vec<u8>) {
        if input.is_empty() {
            self.connection.end_of_stream(StreamEnd::Closed);
            self.note_changes();
            return;
        }
        self.connection.heard(now);
        // One batch holds no more than this.
        for piece in input.chunks(INPUT_SCRATCH) {
            self.open(now, piece);
        }
        self.seal_owed(now, output);
    }

    fn open(&mut self, now: Time, piece: &[u8]) {
        self.input.extend_from_slice(piece);
        let all = Span::new(Area::ONLY, 0..self.input.len());
        let (keys, opens) = (&mut self.keys, &mut self.opens);
        let mut used = self.connection.gather(now, keys, &self.input, all, opens);
        if self.connection.greeting().is_some() {
            self.connection.answer(keys);
            let (rest, at) = (&self.input[used..], all.slice(used..self.input.len()));
            used += self.connection.gather(now, keys, rest, at, opens);
        }
        self.opens
            .run(&self.keys.open, &mut &mut self.input[..used]);
        self.note_changes();
        for index in 0..self.opens.len() {
            let (job, held) = self.opens.result(index);
            let range = job.text().range();
            let plaintext = held.then(|| &self.input[range.clone()]);
            let received = self.connection.settle(now, plaintext);
            self.note_changes();
            self.take(now, received, range.start);
        }
        self.opens.clear();
        self.connection.settled(&mut self.keys);
        self.input.drain(..used);
    }

    fn take(&mut self, now: Time, received: Received, start: usize) {
        match received {
            Received::Nothing => {}
            Received::Chunk { len, last } => {
                self.chunk(now, start..start + len, last);
            }
            Received::Pack(mut messages) => {
                while let Some(range) = messages.next(&self.input[start..])
                    && self.chunk(now, start + range.start..start + range.end, true)
                {
                }
            }
            Received::Fin => {
                self.events.push_back(SessionEvent::Fin);
                if self.confirms {
                    self.connection.handed_on();
                }
            }
        }
    }

    /// Takes the chunk in `range` of the input. Returns whether its message is not too large.
    fn chunk(&mut self, now: Time, range: Range<usize>, last: bool) -> bool {
        if self.message.len() + range.len() > self.limits.max_message {
            let abort = Abort::new(Reason::TOO_LARGE, "");
            self.connection.abort(now, abort);
            return false;
        }
        self.message.extend_from_slice(&self.input[range]);
        if last {
            let message = std::mem::take(&mut self.message);
            self.events.push_back(SessionEvent::Message(message));
        }
        true
    }

    /// Seals `message`, which is below 4 GiB, into `output`. Returns whether it could:
    /// not before the session is open, and not once it has ended or was told to
    /// [`finish`](Self::finish).
    #[must_use = "a message that was refused is lost"]
    pub fn send(&mut self, now: Time, message: &[u8], output: &mut Vec<u8>) -> bool {
        let may = self.may_send(message.len());
        if may {
            let chunks = record::cut(message.len());
            let chunks = chunks.map(|(range, kind)| (Span::new(Area::ONLY, range), kind));
            self.seal_all(now, chunks, message, output);
        }
        may
    }

    /// As [`send`](Self::send), of several messages, all or none: short ones share records,
    /// so that a thousand of them cost a fraction of as many calls of `send`. They are below
    /// 4 GiB in all, with 2 bytes more for each.
    #[must_use = "messages that were refused are lost"]
    pub fn send_all(&mut self, now: Time, messages: &[&[u8]], output: &mut Vec<u8>) -> bool {
        let len = messages.iter().map(|message| message.len() + PACK_LENGTH);
        let may = self.may_send(len.sum());
        if may {
            let (bytes, chunks) = join(messages);
            self.seal_all(now, chunks.into_iter(), &bytes, output);
        }
        may
    }

    fn may_send(&self, len: usize) -> bool {
        let fits = u32::try_from(len).is_ok();
        fits && self.connection.may_send() && !self.connection.is_finishing()
    }

    /// Seals `chunks`, which name parts of `source`, in as many rounds as they take.
    fn seal_all(
        &mut self,
        now: Time,
        chunks: impl Iterator<Item = (Span, Kind)>,
        source: &[u8],
        output: &mut Vec<u8>,
    ) {
        let mut chunks = chunks.peekable();
        while chunks.peek().is_some() && self.seal(now, &mut chunks, source, output) {}
    }

    /// Says that no message follows.
    pub fn finish(&mut self, now: Time, output: &mut Vec<u8>) {
        self.connection.finish();
        self.seal_owed(now, output);
    }

    /// Confirms (DONE) that everything before the other's FIN is handed on. Only a session
    /// that is [confirmed by hand](Self::confirming_by_hand) needs it.
    ///
    /// # Panics
    ///
    /// Before [`Fin`](SessionEvent::Fin): there is nothing to confirm.
    pub fn confirm(&mut self, now: Time, output: &mut Vec<u8>) {
        self.connection.handed_on();
        self.seal_owed(now, output);
    }

    /// Gives up and tells the other side why.
    pub fn abort(&mut self, now: Time, abort: Abort, output: &mut Vec<u8>) {
        self.connection.abort(now, abort);
        self.seal_owed(now, output);
    }

    /// Seals what the connection itself owes.
    fn seal_owed(&mut self, now: Time, output: &mut Vec<u8>) {
        if self.connection.owes() {
            let payload = self.connection.abort_payload();
            let bytes = payload.as_deref().unwrap_or_default();
            let span = Span::new(Area::ONLY, 0..bytes.len());
            let abort = payload.as_ref().map(|_| (span, Kind::Abort));
            self.seal(now, &mut abort.into_iter().peekable(), bytes, output);
        }
        self.note_changes();
    }

    /// Seals as many of `chunks`, which name parts of `source`, as fit one round.
    /// Returns whether anything was sealed.
    fn seal(
        &mut self,
        now: Time,
        chunks: &mut Peekable<impl Iterator<Item = (Span, Kind)>>,
        source: &[u8],
        output: &mut Vec<u8>,
    ) -> bool {
        let start = output.len();
        // A record adds at most 34 bytes to its payload; a hello and four empty
        // records may come on top.
        let room = (2 * source.len() + 512).min(OUTPUT_SCRATCH);
        output.resize(start + room, 0);
        let mut out = Outgoing {
            batch: &mut self.seals,
            at: start,
            end: start + room,
            bytes: output,
        };
        self.connection
            .seal(now, &mut self.keys, &mut out, |room| match chunks.peek() {
                None => Next::Empty,
                Some((span, _)) if record::len_for(span.len()) > room => Next::NoRoom,
                Some(&(span, kind)) => {
                    chunks.next();
                    Next::Chunk(span, kind)
                }
            });
        let end = out.at;
        self.seals.run(&self.keys.seal, &[source], output);
        output.truncate(end);
        self.connection.taken(now);
        self.note_changes();
        end > start
    }

    /// Turns what has changed into events.
    fn note_changes(&mut self) {
        if self.connection.is_open() && !self.was_open {
            self.was_open = true;
            self.events.push_back(SessionEvent::Open);
        }
        if self.connection.take_shutdown() {
            self.events.push_back(SessionEvent::ShutDown);
        }
        if self.connection.is_over() && !self.told_over {
            self.told_over = true;
            self.connection.erase(&mut self.keys);
            let outcome = self.connection.outcome().cloned();
            let outcome = outcome.expect("known when it is over");
            self.events.push_back(SessionEvent::Over(outcome));
        }
    }

    /// Says whether the caller reads. While it does not, because it cannot hand on what came,
    /// no deadline of the other side runs. At first it does.
    pub fn set_reading(&mut self, now: Time, reading: bool) {
        self.connection.set_reading(now, reading);
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Time> {
        self.connection.poll_timeout(&self.limits)
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Time, output: &mut Vec<u8>) {
        self.connection.handle_timeout(&self.limits, now, false);
        self.seal_owed(now, output);
    }

    /// What happened, in order.
    pub fn poll_event(&mut self) -> Option<SessionEvent> {
        self.events.pop_front()
    }
}

/// The chunks of these messages, in order, and the bytes that they are parts of. Short
/// messages are packed.
pub fn join(mut messages: &[&[u8]]) -> (Vec<u8>, Vec<(Span, Kind)>) {
    let waiting = messages.iter().map(|message| PACK_LENGTH + message.len());
    let target = pack::target_len(waiting.sum(), 1);
    let (mut bytes, mut chunks) = (Vec::new(), Vec::new());
    while !messages.is_empty() {
        let lens = messages.iter().map(|message| message.len());
        let count = pack::count(lens, MAX_PACKED, target, MAX_RECORD);
        let (group, behind) = messages.split_at(count.max(1));
        let start = bytes.len();
        if let [alone] = group {
            bytes.extend_from_slice(alone);
            let whole = Span::new(Area::ONLY, start..bytes.len());
            let cut = record::cut(alone.len());
            chunks.extend(cut.map(|(range, kind)| (whole.slice(range), kind)));
        } else {
            for message in group {
                bytes.extend_from_slice(&pack::length_field(message.len()));
                bytes.extend_from_slice(message);
            }
            chunks.push((Span::new(Area::ONLY, start..bytes.len()), Kind::Pack));
        }
        messages = behind;
    }
    (bytes, chunks)
}
