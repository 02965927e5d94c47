//! One peer, without I/O: handshake, sequences, epochs, completion.
//!
//! A [`Connection`] finds records in bytes, gathers them into a batch, and acts on the
//! results. It gathers what it has to seal, too. Its driver runs the batches, so that
//! records of many connections share them. A connection holds no message bytes and no
//! socket. [`session::Session`] drives one connection; [`crate::endpoint`] drives many.
//!
//! Read next: `receive` for bytes that came, `record_order` for which record may come when,
//! `send` for how records are made. [`crate::classic`] is the same for the old program's
//! format.

pub(crate) mod clocks;
mod handshake;
mod receive;
mod record_order;
mod send;
pub mod session;

use std::sync::Arc;

use crate::crypto::dh::Private;
use crate::crypto::keys::{Handle, Identity, KeyStores};
use crate::crypto::ring::{Key, KeyRing};
use crate::error::{Abort, Failure, PeerFault, ReadError};
use crate::limits::{CLIENT_HELLO, Limits};
use crate::time::Time;
use crate::wire::hello::Service;

use clocks::{Clocks, Due};
use handshake::Waiting;
use record_order::RecordOrder;
use send::{Sending, Stage};

pub use record_order::Received;
pub use send::{Next, Outgoing};

/// How a connection ended.
pub type Outcome = Result<(), Failure>;

/// How a stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamEnd {
    /// The other side closed it.
    Closed,
    /// Reading failed.
    Broken(ReadError),
}

/// Where a connection stands.
#[derive(Debug)]
enum State {
    /// The other's hello has not come. Boxed, because the states after it have no use
    /// for the room.
    Handshake(Box<Waiting>),
    /// Server: the hello is answered; the first record proves the client.
    Unproved,
    /// Records go both ways.
    Open,
    /// Complete, or aborted by us; what still comes is discarded until the other's end.
    Closing,
    /// It ended; the driver closes it.
    Over,
}

/// One right per direction to the keys of a connection.
#[derive(Debug)]
struct Handles {
    seal: Handle,
    open: Handle,
}

impl Handles {
    fn install(keys: &mut KeyStores, first: FirstSecrets<'_>) -> Self {
        Self {
            seal: keys.seal.install(first.from_us, 0),
            open: keys.open.install(first.to_us, 0),
        }
    }
}

/// What a handshake yields: the first secret of each direction.
#[derive(Clone, Copy)]
pub struct FirstSecrets<'a> {
    /// Of what the other side sends.
    pub to_us: &'a [u8; 32],
    /// Of what we send.
    pub from_us: &'a [u8; 32],
}

/// One native connection.
///
/// To drive it: [`gather`](Self::gather) what was read, [`answer`](Self::answer) a
/// [greeting](Self::greeting), run the batch, give each result to
/// [`settle`](Self::settle) in order, then call [`settled`](Self::settled); to send,
/// [`seal`](Self::seal), run the batch, write, and call [`taken`](Self::taken) once all
/// of it is written; after any call look at [`poll_timeout`](Self::poll_timeout),
/// [`take_shutdown`](Self::take_shutdown) and [`is_over`](Self::is_over).
///
/// Invariant: `handles` is there from the handshake until
/// [`erase`](Self::erase); `outcome` is there in `Closing` and `Over`.
#[derive(Debug)]
pub struct Connection {
    state: State,
    /// What a client's hello was made with, once one holds.
    key: Option<Arc<Key>>,
    handles: Option<Handles>,
    /// Boxed, because a connection has no outcome before it ends.
    outcome: Option<Box<Outcome>>,
    /// A fault that gathering found. It takes effect once everything ahead of it is settled.
    behind: Option<PeerFault>,
    /// Sequences of the next record to find, and of the next to settle.
    found: u64,
    settled: u64,
    order: RecordOrder,
    sending: Sending,
    write_failed: bool,
    /// Our end of the stream has been asked for.
    shut: bool,
    clocks: Clocks,
}

impl Connection {
    /// The side that was connected to, and offers `service`; the other proves one of `keys`.
    /// `private` is fresh for every connection.
    pub fn server(keys: KeyRing, private: Private, service: Service, now: Time) -> Self {
        let waiting = Box::new(Waiting::server(keys, private, service));
        Self::in_state(State::Handshake(waiting), None, now)
    }

    /// The side that connects, and asks for `service`. `private` is fresh for every connection.
    pub fn client(identity: Arc<Identity>, private: Private, service: Service, now: Time) -> Self {
        let (waiting, hello) = Waiting::client(identity, private, service);
        let state = State::Handshake(Box::new(waiting));
        Self::in_state(state, Some(Box::new(hello)), now)
    }

    /// A connection without a handshake: open, with no record sent yet under the first
    /// secrets of both directions (`PROTOCOL.md` §1.4).
    ///
    /// For tests and benches alone: it proves no peer, and two connections with the same
    /// secrets reveal IVs and accept each other's records.
    #[cfg(feature = "internals")]
    pub fn open_already(keys: &mut KeyStores, first: FirstSecrets<'_>, now: Time) -> Self {
        let mut open = Self {
            handles: Some(Handles::install(keys, first)),
            ..Self::in_state(State::Open, None, now)
        };
        open.clocks.open(now);
        open
    }

    fn in_state(state: State, hello: Option<Box<[u8]>>, now: Time) -> Self {
        Self {
            state,
            key: None,
            handles: None,
            outcome: None,
            behind: None,
            found: 0,
            settled: 0,
            order: RecordOrder::default(),
            sending: Sending::new(hello),
            write_failed: false,
            shut: false,
            clocks: Clocks::new(now),
        }
    }

    /// Whether the other side has proved that it holds the keys, and the
    /// connection has not ended since.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    /// The key that the client's hello was made with: it is proved once the connection is
    /// [open](Self::is_open). A client has none.
    pub fn key(&self) -> Option<&Arc<Key>> {
        self.key.as_ref()
    }

    /// Replaces the keys that a client may prove. Returns whether the one that this client
    /// used is [not among them](KeyRing::same): then the driver [aborts](Self::abort).
    pub fn set_keys(&mut self, keys: &KeyRing) -> bool {
        if let State::Handshake(waiting) = &mut self.state {
            waiting.set_keys(keys);
        }
        let Some(key) = &mut self.key else {
            return false;
        };
        match keys.same(key) {
            Some(same) => {
                // So that its secrets are in memory once.
                *key = Arc::clone(same);
                false
            }
            None => true,
        }
    }

    /// The client's hello, if it holds and waits for its [answer](Self::answer).
    pub fn greeting(&self) -> Option<&[u8; CLIENT_HELLO]> {
        match &self.state {
            State::Handshake(waiting) => waiting.greeting(),
            _ => None,
        }
    }

    /// Whether it is complete, or aborted by us, and only the other's end of stream is missing.
    pub fn is_closing(&self) -> bool {
        matches!(self.state, State::Closing)
    }

    /// Whether to close the connection now.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// How the connection ended, once that is known: complete, or why not.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_deref()
    }

    // ---- sending ---------------------------------------------------------

    /// Whether [`seal`](Self::seal) would take chunks.
    pub fn may_send(&self) -> bool {
        self.is_open() && !self.write_failed && self.sending.fin < Stage::Sealed
    }

    /// Whether the connection has a record of its own to seal.
    pub fn owes(&self) -> bool {
        !self.write_failed
            && match self.state {
                State::Over => false,
                State::Open => self.sending.hello.is_some() || self.sending.owes(),
                State::Handshake(_) | State::Unproved => self.sending.hello.is_some(),
                State::Closing => self.sending.abort == Stage::Owed,
            }
    }

    /// The payload of an ABORT that waits to be sealed: the driver gives it to `seal`
    /// next, and nothing else.
    pub fn abort_payload(&self) -> Option<Vec<u8>> {
        match self.outcome() {
            Some(Err(Failure::Gave(abort))) if self.sending.abort == Stage::Owed => {
                Some(abort.payload())
            }
            _ => None,
        }
    }

    /// Gathers what goes out, as far as there is room: what the connection owes (a
    /// hello, PONG, DONE, PING), then chunks from `next`, which is told the room that a
    /// record may take, then a FIN if one is owed.
    pub fn seal(
        &mut self,
        now: Time,
        keys: &mut KeyStores,
        out: &mut Outgoing<'_>,
        next: impl FnMut(usize) -> Next,
    ) {
        if self.write_failed || self.is_over() {
            return;
        }
        self.sending.put_hello(out);
        let speaks = self.is_open() || self.sending.abort == Stage::Owed;
        let Some(handles) = self.handles.as_mut().filter(|_| speaks) else {
            return;
        };
        let keys = &mut keys.seal;
        if self.sending.exhausted() {
            self.end(Err(Failure::Closed("all sequences are used up")));
        } else if self.sending.put(keys, &mut handles.seal, out, next) {
            self.clocks.spoke = now;
        }
    }

    /// The socket has accepted everything that was sealed.
    pub fn taken(&mut self, now: Time) {
        self.sending.taken();
        self.complete(now);
    }

    /// Writing failed: from now on only reading decides how this ends.
    pub fn write_failed(&mut self) {
        self.write_failed = true;
        if matches!(self.state, State::Closing) {
            self.state = State::Over;
        }
    }

    /// Our side has nothing more to send: FIN goes out behind everything that is queued.
    pub fn finish(&mut self) {
        self.sending.fin.owe();
    }

    /// Whether [`finish`](Self::finish) was called.
    pub fn is_finishing(&self) -> bool {
        self.sending.fin >= Stage::Owed
    }

    /// Everything before the other's FIN has been handed on: DONE goes out.
    pub fn handed_on(&mut self) {
        assert!(self.order.fin, "nothing to confirm");
        self.sending.done.owe();
    }

    /// Gives up on the other side and, if it is proved, tells it why: the driver drops its
    /// chunks and gives `seal` the [payload](Self::abort_payload) instead.
    pub fn abort(&mut self, now: Time, abort: Abort) {
        if self.is_closing() || self.is_over() {
            return;
        }
        let proved = self.is_open();
        self.outcome = Some(Box::new(Err(Failure::Gave(abort))));
        if proved && !self.write_failed {
            self.sending.abort = Stage::Owed;
            self.state = State::Closing;
            self.clocks.close(now);
        } else {
            self.state = State::Over;
        }
    }

    /// Ends without sending ABORT.
    pub fn fail(&mut self, failure: Failure) {
        self.end(Err(failure));
    }

    /// Whether to shut down our end of the stream now; a second call says no.
    pub fn take_shutdown(&mut self) -> bool {
        let due = matches!(self.state, State::Closing)
            && !self.shut
            && matches!(self.sending.abort, Stage::NotOwed | Stage::Sent);
        self.shut |= due;
        due
    }

    // ---- time ------------------------------------------------------------

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self, limits: &Limits) -> Option<Time> {
        (!self.is_over()).then(|| self.clocks.next(limits))
    }

    /// Does what is due. No deadline of the peer expires while its bytes wait `unread`.
    pub fn handle_timeout(&mut self, limits: &Limits, now: Time, unread: bool) {
        match self.clocks.due(limits, now, unread) {
            None => {}
            Some(Due::Ping) => {
                self.sending.ping = true;
                self.clocks.spoke = now;
            }
            Some(Due::Failed(deadline)) => self.end(Err(Failure::Deadline(deadline))),
            Some(Due::Close) => self.state = State::Over,
        }
    }

    /// Tells the connection whether the driver reads from this peer. At first it does.
    pub fn set_reading(&mut self, now: Time, reading: bool) {
        self.clocks.hearing.set_reading(now, reading);
    }

    // ---- ends ------------------------------------------------------------

    /// Begins to close if FIN and DONE have gone both ways.
    fn complete(&mut self, now: Time) {
        let sent = [self.sending.fin, self.sending.done];
        if self.is_open() && self.order.fin && self.order.done && sent == [Stage::Sent; 2] {
            self.outcome = Some(Box::new(Ok(())));
            self.state = State::Closing;
            self.clocks.close(now);
        }
    }

    /// Over; the first outcome stays.
    fn end(&mut self, outcome: Outcome) {
        self.outcome.get_or_insert_with(|| Box::new(outcome));
        self.state = State::Over;
    }

    /// Erases the keys. The driver calls this before it drops the connection.
    pub fn erase(&mut self, keys: &mut KeyStores) {
        if let Some(handles) = self.handles.take() {
            keys.seal.remove(handles.seal);
            keys.open.remove(handles.open);
        }
    }
}
