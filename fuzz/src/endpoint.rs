//! A whole endpoint: peers, raw and proved, that come, speak, stall and vanish as the script
//! says.
//!
//! What must hold: messages handed on are those that were sealed, in order; no peer that
//! follows the protocol is accused, and no other goes on; what the endpoint says is right;
//! DONE and a proper end are true; nothing spins; and when all peers are gone, so is all
//! memory.

use std::collections::BTreeSet;
use std::io::ErrorKind;

use sealwire::text::is_visible;
use sealwire::{
    Chat, ClassicKeys, Context, Cut, Echo, Failure, HandedOn, InputKind, Leaves, LocalId, Message,
    Mode, OutputKind, PeerFault, PeerId, Receivers, Relay, Setup, Sink,
};

use crate::classic::Frames;
use crate::hand::{Hand, secrets};
use crate::peers::{Peer, Speaks};
use crate::script::Script;
use crate::world::{self, PEERS, World};

/// What the endpoint does with messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Echo,
    Relay,
    Sink,
    Chat,
}

/// A mode, and what it was told.
struct Watched {
    what: What,
    mode: Box<dyn Mode>,
    /// The local is a terminal.
    terminal: bool,
    messages: Vec<(PeerId, Vec<u8>)>,
    inputs: Vec<Vec<u8>>,
    /// Peers that were told that all they said is handed on.
    confirmed: BTreeSet<PeerId>,
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

fn setup(script: &mut Script<'_>) -> Setup {
    let leaves = [Leaves::WhenStopped, Leaves::AfterInput, Leaves::WithPeers];
    let mut setup = world::setup(script.pick(&leaves));
    let classic = script.below(4) == 0;
    setup.classic = classic.then(|| ClassicKeys::new(&secrets()));
    if script.flag() {
        world::bound(&mut setup);
    }
    setup
}

/// Plays a script.
pub(crate) fn run(input: &[u8]) {
    let mut script = Script::new(input);
    let mut world = make(&mut script);
    world.play(&mut script, World::act);
    world.finish();
}

fn make(script: &mut Script<'_>) -> World<Watched> {
    let (what, mode): (_, Box<dyn Mode>) = match script.below(5) {
        0 => (What::Echo, Box::new(Echo)),
        1 => (What::Relay, Box::new(Relay)),
        2 => (What::Sink, Box::new(Sink)),
        3 => (What::Chat, Box::new(Chat::new(true))),
        _ => (What::Chat, Box::new(Chat::new(false))),
    };
    let setup = setup(script);
    let terminal = script.flag();
    let watched = Watched {
        what,
        mode,
        terminal,
        messages: Vec::new(),
        inputs: Vec::new(),
        confirmed: BTreeSet::new(),
    };
    let mut world = World::new(setup, watched, World::judge);
    if what == What::Chat {
        let output = match terminal {
            true => OutputKind::Terminal,
            false => OutputKind::Stream,
        };
        let input = InputKind {
            cut: script.pick(&[Cut::Blocks, Cut::Lines]),
            terminal,
        };
        world
            .endpoint
            .add_local(script.flag().then_some(input), Some(output));
    }
    world
}

impl World<Watched> {
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
            71..80 => link.set_room(script),
            80..90 => link.set_short(script),
            90..94 => link.ended = true,
            94..98 => link.broken = true,
            98..100 => link.writes_fail = true,
            100..112 => self.greet(index, script),
            112..122 => self.junk(index, script),
            _ => self.speak(index, script),
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

    // ---- what must hold --------------------------------------------------

    /// Looks at peers that were told that all they said is handed on.
    fn judge(&mut self) {
        for peer in &self.peers {
            let done = peer.hand().is_some_and(|hand| hand.heard.done);
            if done && self.endpoint.mode_mut().confirmed.insert(peer.id) {
                self.check_written(peer.id);
            }
        }
    }

    /// Lets everything flow, checks all peers, and takes them away.
    fn finish(&mut self) {
        self.open_all();
        self.local.room = usize::MAX;
        self.endpoint.local_writable(LocalId::FIRST);
        self.settle();
        self.check();
        self.end();
    }

    fn check(&self) {
        let Watched {
            what,
            terminal,
            messages: log,
            ..
        } = self.endpoint.mode();
        for (peer, link) in self.peers.iter().zip(&self.links) {
            let logged = log.iter().filter(|(id, _)| *id == peer.id);
            let logged: Vec<&[u8]> = logged.map(|(_, message)| &message[..]).collect();
            let goes_on = peer.outcome.is_none() && !link.shut;
            assert!(!goes_on || link.incoming.is_empty(), "it is not read");
            match &peer.speaks {
                Speaks::Native(hand) => {
                    check_native(peer, hand, &logged, goes_on);
                    let answered = goes_on && !link.writes_fail;
                    self.check_answers(peer.id, hand, &logged, answered);
                }
                Speaks::Classic(frames) => check_classic(peer, frames, &logged, goes_on),
                _ => assert!(logged.is_empty() && (!peer.joined || self.classic)),
            }
        }
        let said: Vec<u8> = log
            .iter()
            .flat_map(|(_, message)| message.clone())
            .collect();
        let output = &self.local.output;
        match terminal {
            true => {
                let text = str::from_utf8(output).expect("text");
                let harmless = |c| is_visible(c) || c == '\n' || c == '\t';
                assert!(text.chars().all(harmless), "{text:?}");
            }
            false => {
                assert!(said.starts_with(output), "not what was said");
                let all = *what != What::Chat || self.local.write_error.is_some();
                assert!(all || said.len() == output.len(), "some was not written");
            }
        }
    }

    /// All that `peer` said was confirmed, so it and what came before it is written.
    fn check_written(&self, peer: PeerId) {
        let mode = self.endpoint.mode();
        let last = mode.messages.iter().rposition(|(id, _)| *id == peer);
        if let Some(last) = last.filter(|_| mode.what == What::Chat && !mode.terminal) {
            let before = &mode.messages[..=last];
            let len: usize = before.iter().map(|(_, message)| message.len()).sum();
            let written = self.local.output.len();
            assert!(written >= len, "confirmed, and not written");
        }
    }

    /// Checks what a peer has heard against what it should.
    fn check_answers(&self, id: PeerId, hand: &Hand, logged: &[&[u8]], answered: bool) {
        let mode = self.endpoint.mode();
        let heard = &hand.heard.messages;
        let mut source: Box<dyn Iterator<Item = &[u8]>> = match mode.what {
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

/// Checks what a native peer said against what the mode was `told`.
fn check_native(peer: &Peer, hand: &Hand, told: &[&[u8]], goes_on: bool) {
    let said = &hand.said.messages;
    assert!(told.len() <= said.len(), "more than was said");
    assert!(told.iter().zip(said).all(|(a, b)| a == b), "something else");
    let all = told.len() == said.len();
    assert!(
        !goes_on || hand.unsure || all,
        "a message was not handed on"
    );
    peer.check_ends(hand, all, goes_on);
}

/// Checks what a classic peer said against what the mode was `told`.
fn check_classic(peer: &Peer, frames: &Frames, told: &[&[u8]], goes_on: bool) {
    assert!(told.len() <= frames.lines.len(), "more than was said");
    let same = told.iter().zip(&frames.lines).all(|(a, b)| a == b);
    assert!(same, "something else");
    let all = told.len() == frames.lines.len();
    assert!(!goes_on || all || frames.junk, "a line was not handed on");
    assert!(!goes_on || !frames.is_over || frames.junk, "it goes on");
    match peer.outcome {
        Some(Err(Failure::Peer(PeerFault::Unproved))) => assert!(!peer.joined),
        Some(Err(Failure::Peer(fault))) => {
            assert!(frames.is_over || frames.junk, "accused of {fault}");
        }
        _ => {}
    }
}
