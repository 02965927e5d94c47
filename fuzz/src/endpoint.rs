//! A whole endpoint: peers, raw and proved, that come, speak, stall and vanish as the script
//! says.
//!
//! What must hold: messages handed on are those that were sealed, in order; no peer that
//! follows the protocol is accused, and no other goes on; what the endpoint says is right;
//! DONE and a proper end are true; nothing spins; and when all peers are gone, so is all
//! memory.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::time::Duration;

use sealwire::classic::ClassicConnection;
use sealwire::crypto::dh::Private;
use sealwire::text::is_visible;
use sealwire::wire::hello;
use sealwire::{
    Chat, ClassicKeys, Context, Cut, Echo, Endpoint, EndpointEvent, Failure, HandedOn, Identity,
    InputKind, Leaves, LocalId, Message, Mode, Origin, Outcome, OutputKind, PeerFault, PeerId,
    Receivers, Relay, Setup, Sink, Time,
};

use crate::chosen::kernel;
use crate::classic::Frames;
use crate::hand::{Hand, first, secrets};
use crate::handshake::{agree, client_hello};
use crate::local::Plain;
use crate::net::{Link, Port};
use crate::script::Script;
use crate::session::SPANS;
use crate::told::Over;

/// Most peers of a run, and most bytes that they send: a run takes milliseconds.
const PEERS: usize = 10;
const BYTES: usize = 1 << 19;
/// Ticks without a step of the clock, past which something spins.
const SPINNING: usize = 50_000;
/// The largest message, where it is not the default.
const SMALL: usize = 36_000;

/// A mode, and what it was told.
struct Watched {
    mode: Box<dyn Mode>,
    messages: Vec<(PeerId, Vec<u8>)>,
    inputs: Vec<Vec<u8>>,
}

fn copy(context: &Context, message: Message<'_>) -> Vec<u8> {
    context.pieces(message).collect::<Vec<_>>().concat()
}

impl Mode for Watched {
    fn receivers(&self) -> Receivers {
        self.mode.receivers()
    }

    fn message(&mut self, context: &mut Context, peer: PeerId, message: Message<'_>) {
        self.messages.push((peer, copy(context, message)));
        self.mode.message(context, peer, message);
    }

    fn fin(&mut self, context: &mut Context, peer: PeerId) -> HandedOn {
        self.mode.fin(context, peer)
    }

    fn input(&mut self, context: &mut Context, local: LocalId, message: Message<'_>) {
        self.inputs.push(copy(context, message));
        self.mode.input(context, local, message);
    }

    fn input_end(&mut self, context: &mut Context, local: LocalId) {
        self.mode.input_end(context, local);
    }
}

/// What the endpoint does with messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Echo,
    Relay,
    Sink,
    Chat,
}

/// What a peer of ours speaks.
enum Speaks {
    /// Nothing, or what is no hello.
    Nothing,
    /// It has sent this hello, and waits for the answer.
    Greeted(Box<(Private, [u8; 80])>),
    /// It was dialled, and has this part of the endpoint's hello.
    Dialled,
    Native(Box<Hand>),
    Classic(Box<Frames>),
}

struct Peer {
    id: PeerId,
    speaks: Speaks,
    /// It has sent something: what it sends now is not the start of its stream.
    has_spoken: bool,
    /// What came and is not understood yet.
    unread: Vec<u8>,
    /// Opens the frames that come where the endpoint speaks classic.
    ear: Option<ClassicConnection>,
    joined: bool,
    /// The endpoint has confirmed all that it said.
    confirmed: bool,
    outcome: Option<Outcome>,
}

struct World {
    what: What,
    terminal: bool,
    now: Time,
    endpoint: Endpoint<Watched>,
    links: Vec<Link>,
    peers: Vec<Peer>,
    places: BTreeMap<PeerId, usize>,
    local: Plain,
    /// Whether the endpoint speaks classic, too, and its largest message.
    classic: bool,
    longest: usize,
    /// Bytes that peers have sent.
    sent: usize,
}

fn setup(script: &mut Script<'_>) -> Setup {
    let leaves = [Leaves::WhenStopped, Leaves::AfterInput, Leaves::WithPeers];
    let mut setup = Setup::new(kernel(), script.pick(&leaves), [5; 32]);
    setup.identity = Identity::new(&secrets());
    let classic = script.below(4) == 0;
    setup.classic = classic.then(|| ClassicKeys::new(&secrets()));
    if script.flag() {
        // The bounds are near, and two messages of three records fill them.
        setup.limits.max_message = SMALL;
        setup.limits.max_assembling = 4 * SMALL;
        setup.limits.max_queue = 2 * SMALL;
        setup.limits.max_queued = 4 * SMALL;
    }
    setup
}

/// Plays a script.
pub(crate) fn run(input: &[u8]) {
    let mut script = Script::new(input);
    let mut world = World::new(&mut script);
    while !script.has_ended() && world.sent < BYTES {
        let (choice, peer) = (script.byte(), script.byte());
        world.act(choice, usize::from(peer & 127), &mut script);
        // Sometimes more happens before the endpoint looks.
        if peer < 128 {
            world.settle();
        }
    }
    world.finish();
}

impl World {
    fn new(script: &mut Script<'_>) -> Self {
        let (what, mode): (_, Box<dyn Mode>) = match script.below(5) {
            0 => (What::Echo, Box::new(Echo)),
            1 => (What::Relay, Box::new(Relay)),
            2 => (What::Sink, Box::new(Sink)),
            3 => (What::Chat, Box::new(Chat::new(true))),
            _ => (What::Chat, Box::new(Chat::new(false))),
        };
        let setup = setup(script);
        let classic = setup.classic.is_some();
        let longest = setup.limits.max_message;
        let watched = Watched {
            mode,
            messages: Vec::new(),
            inputs: Vec::new(),
        };
        let mut endpoint = Endpoint::new(setup, watched);
        let terminal = script.flag();
        if what == What::Chat {
            let output = match terminal {
                true => OutputKind::Terminal,
                false => OutputKind::Stream,
            };
            let input = InputKind {
                cut: script.pick(&[Cut::Blocks, Cut::Lines]),
                terminal,
            };
            endpoint.add_local(script.flag().then_some(input), Some(output));
        }
        Self {
            what,
            terminal,
            now: Time::from_nanos(1),
            endpoint,
            links: Vec::new(),
            peers: Vec::new(),
            places: BTreeMap::new(),
            local: Plain::open(b""),
            classic,
            longest,
            sent: 0,
        }
    }

    // ---- what happens ----------------------------------------------------

    /// Does one thing. `number` says to which peer, where there are some.
    fn act(&mut self, choice: u8, number: usize, script: &mut Script<'_>) {
        match choice {
            0..10 => return self.adopt(),
            10..18 => return self.accept(),
            18..22 => return self.dial(),
            22..40 => return self.advance(script),
            40..70 => return self.local(choice, script),
            70 => return self.endpoint.stop(self.now),
            _ => {}
        }
        let Some(index) = number.checked_rem(self.peers.len()) else {
            return self.adopt();
        };
        let link = &mut self.links[index];
        // Nothing follows the end of a stream.
        if link.closed || (link.ended && choice >= 100) {
            return;
        }
        match choice {
            71..80 => {
                link.room = match script.word() {
                    u16::MAX => usize::MAX,
                    room => room.into(),
                }
            }
            80..90 => link.short = (script.byte().into(), usize::from(script.byte()) + 1),
            90..94 => link.ended = true,
            94..98 => link.broken = true,
            98..100 => link.writes_fail = true,
            100..112 => self.greet(index, script),
            112..122 => self.junk(index, script),
            _ => self.speak(index, script),
        }
    }

    fn adopt(&mut self) {
        if self.peers.len() < PEERS {
            let secret = |direction| [direction + 2 * self.peers.len() as u8; 32];
            let keys = [secret(1), secret(2)];
            let id = self.endpoint.adopt(self.now, first(&keys));
            self.add(id, Speaks::Native(Box::new(Hand::new(&keys))));
        }
    }

    fn accept(&mut self) {
        if self.peers.len() < PEERS && self.endpoint.is_accepting() {
            let id = self.endpoint.accepted(self.now, Origin::new(1));
            self.add(id, Speaks::Nothing);
        }
    }

    fn dial(&mut self) {
        if self.peers.len() < PEERS && self.endpoint.is_accepting() {
            let id = self.endpoint.dialled(self.now);
            let speaks = match self.classic {
                true => Speaks::Nothing,
                false => Speaks::Dialled,
            };
            self.add(id, speaks);
        }
    }

    fn add(&mut self, id: PeerId, speaks: Speaks) {
        let ear = || ClassicConnection::new(ClassicKeys::new(&secrets()), 1 << 30, self.now);
        self.places.insert(id, self.peers.len());
        self.links.push(Link::new());
        self.endpoint.set_name(id, "a name");
        self.peers.push(Peer {
            id,
            speaks,
            has_spoken: false,
            unread: Vec::new(),
            ear: self.classic.then(ear),
            joined: false,
            confirmed: false,
            outcome: None,
        });
    }

    /// A peer says hello, or answers the endpoint's.
    fn greet(&mut self, index: usize, script: &mut Script<'_>) {
        let peer = &mut self.peers[index];
        let private = Private::new([index as u8 + 1; 32], kernel());
        let (bytes, speaks) = match peer.speaks {
            Speaks::Nothing if !peer.has_spoken => {
                let hello = client_hello(&private);
                (hello.to_vec(), Speaks::Greeted(Box::new((private, hello))))
            }
            Speaks::Dialled if peer.unread.len() == 80 => {
                let theirs = peer.unread[16..48].try_into().expect("32 bytes");
                let mut answer = hello::encode_server(&private.public()).to_vec();
                let agreed = agree(&private, theirs, [&peer.unread, &answer]).expect("an order");
                answer.extend(agreed.finished);
                peer.unread.clear();
                let [from_endpoint, from_us] = agreed.directions;
                let hand = Hand::new(&[from_us, from_endpoint]);
                (answer, Speaks::Native(Box::new(hand)))
            }
            _ => return,
        };
        peer.speaks = speaks;
        self.send(index, &bytes);
        if script.byte() < 20 {
            // Nobody understands it.
            let last = self.links[index].incoming.len() - 1;
            self.links[index].incoming[last] ^= 1;
            self.peers[index].speaks = Speaks::Nothing;
        }
    }

    fn junk(&mut self, index: usize, script: &mut Script<'_>) {
        let bytes = script.lump();
        if bytes.is_empty() {
            return;
        }
        let peer = &mut self.peers[index];
        match &mut peer.speaks {
            Speaks::Native(hand) => hand.junk(),
            Speaks::Classic(frames) => frames.junk = true,
            _ => peer.speaks = Speaks::Nothing,
        }
        self.send(index, &bytes);
    }

    /// A peer sends records or frames.
    fn speak(&mut self, index: usize, script: &mut Script<'_>) {
        let (classic, longest) = (self.classic, self.longest);
        let peer = &mut self.peers[index];
        if matches!(peer.speaks, Speaks::Nothing) && classic {
            let mut frames = Frames::new(index, longest);
            frames.junk = peer.has_spoken;
            peer.speaks = Speaks::Classic(Box::new(frames));
        }
        let bytes = match &mut peer.speaks {
            Speaks::Native(hand) => hand.records(script),
            Speaks::Classic(frames) => frames.next(script),
            _ => return,
        };
        self.send(index, &bytes);
    }

    fn send(&mut self, index: usize, bytes: &[u8]) {
        self.sent += bytes.len();
        self.peers[index].has_spoken |= !bytes.is_empty();
        self.links[index].incoming.extend(bytes);
    }

    /// Lets time pass: the endpoint runs meanwhile, or stands still.
    fn advance(&mut self, script: &mut Script<'_>) {
        let span = Duration::from_millis(script.pick(&SPANS));
        match script.flag() {
            true => self.now = self.now + span,
            false => self.run_for(span),
        }
    }

    /// Something happens to the local.
    fn local(&mut self, choice: u8, script: &mut Script<'_>) {
        let local = &mut self.local;
        match choice {
            40..55 if !local.input_ended => {
                let bytes = script.lump();
                self.sent += bytes.len();
                local.input.extend(bytes);
            }
            55..58 => local.input_ended = true,
            58 => local.read_error = Some(ErrorKind::Other),
            59 => local.write_error = Some(ErrorKind::BrokenPipe),
            60 => local.write_error = Some(ErrorKind::StorageFull),
            _ => local.room = script.word().into(),
        }
        self.endpoint.local_readable(LocalId::FIRST);
        self.endpoint.local_writable(LocalId::FIRST);
    }

    // ---- what the endpoint does ------------------------------------------

    fn tick(&mut self) {
        let mut port = Port {
            links: &mut self.links,
            places: &self.places,
            local: &mut self.local,
        };
        self.endpoint.tick(self.now, &mut port);
        while let Some(event) = self.endpoint.poll_event() {
            self.note(event);
        }
        self.hear();
    }

    /// Tells the endpoint what has become possible. Returns whether something has.
    fn wake(&mut self) -> bool {
        let mut woken = false;
        for (link, peer) in self.links.iter_mut().zip(&self.peers) {
            let (readable, writable) = link.wakes();
            if readable {
                self.endpoint.readable(peer.id);
            }
            if writable {
                self.endpoint.writable(peer.id);
            }
            woken |= readable || writable;
        }
        woken
    }

    /// Lets the endpoint do all that it can without a step of the clock.
    fn settle(&mut self) {
        self.wake();
        self.tick();
        for _ in 0..SPINNING {
            let is_due = self
                .endpoint
                .next_timeout()
                .is_some_and(|at| at <= self.now);
            if !self.wake() && !is_due {
                return;
            }
            self.tick();
        }
        panic!("something spins");
    }

    fn run_for(&mut self, span: Duration) {
        let end = self.now + span;
        self.settle();
        for _ in 0..SPINNING {
            match self.endpoint.next_timeout() {
                Some(next) if next <= end => self.now = next.max(self.now),
                _ => {
                    self.now = end;
                    return;
                }
            }
            self.settle();
        }
        panic!("a timeout comes for ever");
    }

    fn note(&mut self, event: EndpointEvent) {
        let (id, outcome) = match event {
            EndpointEvent::Joined(id) => {
                let peer = &mut self.peers[self.places[&id]];
                assert!(!peer.joined && peer.outcome.is_none());
                peer.joined = true;
                return;
            }
            EndpointEvent::Left(id, outcome) => {
                assert!(self.peers[self.places[&id]].joined);
                (id, outcome)
            }
            EndpointEvent::Refused(id, outcome) => {
                assert!(!self.peers[self.places[&id]].joined);
                (id, outcome)
            }
            _ => return,
        };
        let index = self.places[&id];
        assert!(self.links[index].closed, "it is gone, and not closed");
        let before = self.peers[index].outcome.replace(outcome);
        assert_eq!(before, None, "it left twice");
    }

    /// Lets every peer take what the endpoint has written.
    fn hear(&mut self) {
        let mut confirmed = Vec::new();
        for (peer, link) in self.peers.iter_mut().zip(&mut self.links) {
            if !link.outgoing.is_empty() {
                let bytes = std::mem::take(&mut link.outgoing);
                peer.hear(&bytes);
            }
            let done = matches!(&peer.speaks, Speaks::Native(hand) if hand.heard.done);
            if done && !std::mem::replace(&mut peer.confirmed, true) {
                let log = &self.endpoint.mode().messages;
                let last = log.iter().rposition(|(id, _)| *id == peer.id);
                confirmed.extend(last);
            }
        }
        for last in confirmed {
            self.check_written(last);
        }
    }

    // ---- what must hold --------------------------------------------------

    /// Lets everything flow, checks all peers, and takes them away.
    fn finish(&mut self) {
        for link in &mut self.links {
            link.room = usize::MAX;
            link.short = (0, 0);
        }
        self.local.room = usize::MAX;
        self.endpoint.local_writable(LocalId::FIRST);
        self.settle();
        self.check();
        for link in &mut self.links {
            link.broken = true;
        }
        self.run_for(Duration::from_secs(200));
        let endpoint = &self.endpoint;
        let left = (endpoint.connections(), endpoint.proved(), endpoint.queued());
        assert_eq!(left, (0, 0, 0), "connections, proved, queued");
        assert_eq!((endpoint.keyed(), endpoint.held()), (0, 0), "keyed, held");
        assert!(self.peers.iter().all(|peer| peer.outcome.is_some()));
        self.endpoint.stop(self.now);
        self.run_for(Duration::from_secs(10));
        assert!(self.endpoint.end().is_some(), "it does not end");
    }

    fn check(&self) {
        let log = &self.endpoint.mode().messages;
        for (peer, link) in self.peers.iter().zip(&self.links) {
            let logged = log.iter().filter(|(id, _)| *id == peer.id);
            let logged: Vec<&[u8]> = logged.map(|(_, message)| &message[..]).collect();
            let goes_on = peer.outcome.is_none() && !link.shut;
            assert!(!goes_on || link.incoming.is_empty(), "it is not read");
            match &peer.speaks {
                Speaks::Native(hand) => {
                    peer.check_native(hand, &logged, goes_on);
                    let answered = goes_on && !link.writes_fail;
                    self.check_answers(peer.id, hand, &logged, answered);
                }
                Speaks::Classic(frames) => peer.check_classic(frames, &logged, goes_on),
                _ => assert!(logged.is_empty() && (!peer.joined || self.classic)),
            }
        }
        let said: Vec<u8> = log
            .iter()
            .flat_map(|(_, message)| message.clone())
            .collect();
        let output = &self.local.output;
        match self.terminal {
            true => {
                let text = str::from_utf8(output).expect("text");
                let harmless = |c| is_visible(c) || c == '\n' || c == '\t';
                assert!(text.chars().all(harmless), "{text:?}");
            }
            false => {
                assert!(said.starts_with(output), "not what was said");
                let all = self.what != What::Chat || self.local.write_error.is_some();
                assert!(all || said.len() == output.len(), "some was not written");
            }
        }
    }

    /// The message of this number was confirmed, so it and those before it are written.
    fn check_written(&self, last: usize) {
        if self.what == What::Chat && !self.terminal {
            let before = &self.endpoint.mode().messages[..=last];
            let len: usize = before.iter().map(|(_, message)| message.len()).sum();
            let written = self.local.output.len();
            assert!(written >= len, "confirmed, and not written");
        }
    }

    /// Checks what a peer has heard against what it should.
    fn check_answers(&self, id: PeerId, hand: &Hand, logged: &[&[u8]], answered: bool) {
        let mode = self.endpoint.mode();
        let heard = &hand.heard.messages;
        let mut source: Box<dyn Iterator<Item = &[u8]>> = match self.what {
            What::Sink => Box::new(std::iter::empty()),
            What::Echo => {
                assert!(!answered || heard.len() == logged.len(), "no answer");
                Box::new(logged.iter().copied())
            }
            What::Relay => {
                let others = mode.messages.iter().filter(move |(from, _)| *from != id);
                Box::new(others.map(|(_, message)| &message[..]))
            }
            What::Chat => Box::new(mode.inputs.iter().map(|input| &input[..])),
        };
        for message in heard {
            assert!(source.any(|said| said == message), "never said");
        }
    }
}

impl Peer {
    /// Takes what the endpoint wrote.
    fn hear(&mut self, bytes: &[u8]) {
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
                let ear = self.ear.as_mut().expect("nothing was asked");
                self.unread.extend_from_slice(bytes);
                while let Some(opened) = ear.open(Time::ZERO, &mut self.unread) {
                    self.unread.drain(..opened.used);
                }
                assert_eq!(ear.outcome(), None, "not a frame");
            }
        }
    }

    fn check_native(&self, hand: &Hand, logged: &[&[u8]], goes_on: bool) {
        let said = &hand.said.messages;
        assert!(logged.len() <= said.len(), "more than was said");
        assert!(
            logged.iter().zip(said).all(|(a, b)| a == b),
            "something else"
        );
        let all = logged.len() == said.len();
        assert!(
            !goes_on || hand.unsure || all,
            "a message was not handed on"
        );
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

    fn check_classic(&self, frames: &Frames, logged: &[&[u8]], goes_on: bool) {
        assert!(logged.len() <= frames.lines.len(), "more than was said");
        let same = logged.iter().zip(&frames.lines).all(|(a, b)| a == b);
        assert!(same, "something else");
        let all = logged.len() == frames.lines.len();
        assert!(!goes_on || all || frames.junk, "a line was not handed on");
        assert!(!goes_on || !frames.is_over || frames.junk, "it goes on");
        match self.outcome {
            Some(Err(Failure::Peer(PeerFault::Unproved))) => assert!(!self.joined),
            Some(Err(Failure::Peer(fault))) => {
                assert!(frames.is_over || frames.junk, "accused of {fault}");
            }
            _ => {}
        }
    }
}

/// Whether `bytes` begin a hello, and not a frame.
fn is_hello(bytes: &[u8]) -> bool {
    bytes.iter().zip(b"SWP1").all(|(a, b)| a == b)
}
