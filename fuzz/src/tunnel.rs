//! A whole endpoint of a tunnel: peers and programs that come, speak, stall, end and fail as the
//! script says. It is both ends at once: peers that come get a local that is dialled, and locals
//! that come get a peer that is dialled.
//!
//! What must hold: a program gets what its peer has said, and a peer hears what its program has
//! given, in order, and nothing else. Either gets a clean end only where the other side has ended
//! cleanly, behind all that it said; a cut is an error. DONE is true. What came before an end or a
//! failure arrives, where nothing holds it up. Nothing spins; and when all peers are gone, so are
//! all locals and all memory.

use std::time::Duration;

use sealwire::{Abort, Failure, Leaves, LocalId, Reason, Tunnel};

use crate::hand::Hand;
use crate::net::{Link, Wire};
use crate::peers::{Peer, Speaks};
use crate::script::Script;
use crate::told::Over;
use crate::world::{self, PEERS, World};

/// Most bytes that a peer or a program says at a time.
const LONGEST: usize = 40_000;

/// Plays a script.
pub(crate) fn run(input: &[u8]) {
    let mut script = Script::new(input);
    let mut setup = world::setup(Leaves::WhenStopped);
    if script.flag() {
        world::bound(&mut setup);
    }
    let mut world = World::new(setup, Tunnel, World::judge);
    world.play(&mut script, World::act);
    world.finish();
}

impl World<Tunnel> {
    // ---- what happens ----------------------------------------------------

    /// Does one thing. `number` says to which peer or local, where there are some.
    fn act(&mut self, choice: u8, number: usize, script: &mut Script<'_>) {
        match choice {
            0..8 if self.endpoint.is_accepting() => return self.adopt(),
            8..12 => return self.accept(),
            12..20 => return self.accept_local(),
            20..32 => {
                self.note_slow();
                return self.advance(script);
            }
            32 => return self.endpoint.stop(self.now),
            33..92 => return self.local(choice, number, script),
            _ => {}
        }
        let Some(index) = number.checked_rem(self.peers.len()) else {
            return;
        };
        let link = &mut self.links[index];
        // Nothing follows the end of a stream.
        if link.closed || (link.ended && choice >= 112) {
            return;
        }
        match choice {
            92..98 => link.set_room(script),
            98..103 => link.set_short(script),
            103..106 => link.ended = true,
            106..110 => link.broken = true,
            110..112 => link.writes_fail = true,
            112..130 => self.greet(index, script),
            130..134 => self.junk(index, script),
            134..190 => self.stream(index, script),
            190..210 => self.finish_peer(index),
            _ => self.speak(index, script),
        }
    }

    /// A program comes, for which a peer is to be dialled.
    fn accept_local(&mut self) {
        if self.wires.len() < PEERS && self.endpoint.accepts_locals() {
            let mut wire = Wire::new(None);
            wire.is_open = true;
            self.wires.insert(self.endpoint.accepted_local(), wire);
        }
    }

    /// Something happens to a local, or to the program behind it.
    fn local(&mut self, choice: u8, number: usize, script: &mut Script<'_>) {
        let Some(nth) = number.checked_rem(self.wires.len()) else {
            return;
        };
        let (&local, wire) = self.wires.iter_mut().nth(nth).expect("below the count");
        let link = &mut wire.link;
        match choice {
            33..45 if !wire.is_open => self.open(local),
            33..45 => self.dial(local),
            45..49 => self.fail(local),
            _ if link.closed => {}
            49..54 => link.set_room(script),
            54..58 => link.set_short(script),
            58..61 => link.broken = true,
            61..63 => link.writes_fail = true,
            // Nothing follows the end of a stream.
            _ if link.ended || link.broken => {}
            63..72 => link.ended = true,
            _ => {
                let bytes = pattern(script, nth);
                self.sent += bytes.len();
                link.incoming.extend(&bytes);
                wire.to_hear.extend(bytes);
            }
        }
    }

    /// A local that the endpoint asked for is connected.
    fn open(&mut self, local: LocalId) {
        let wanted = self.endpoint.local_opened(local);
        let wire = self.wires.get_mut(&local).expect("it was asked for");
        assert!(!wanted || !wire.link.closed, "wanted, and closed");
        wire.is_open = wanted;
    }

    /// The server of a program that came is connected.
    fn dial(&mut self, local: LocalId) {
        if self.peers.len() < PEERS
            && self.wires[&local].peer.is_none()
            && let Some(id) = self.endpoint.dialled_for(self.now, local)
        {
            let wire = self.wires.get_mut(&local).expect("it came");
            assert!(!wire.link.closed, "it is closed");
            wire.peer = Some(self.peers.len());
            self.add(id, Speaks::Dialled);
        }
    }

    /// A target, or a server, cannot be reached.
    fn fail(&mut self, local: LocalId) {
        let wire = &self.wires[&local];
        if !wire.is_open || wire.peer.is_none() {
            let abort = Abort::new(Reason::REFUSED, "why");
            self.endpoint.local_failed(self.now, local, abort);
        }
    }

    /// Time is about to pass: some sockets may not take all that they get while it matters.
    fn note_slow(&mut self) {
        for wire in self.wires.values_mut() {
            let peer = wire.peer.map(|peer| &self.links[peer]);
            let is_slow = |link: &Link| link.room < usize::MAX;
            wire.was_slow |= is_slow(&wire.link) || peer.is_some_and(is_slow);
        }
    }

    /// A peer sends bytes that no other sends.
    fn stream(&mut self, index: usize, script: &mut Script<'_>) {
        let bytes = pattern(script, index + 128);
        if let Speaks::Native(hand) = &mut self.peers[index].speaks {
            let records = hand.message(&bytes);
            self.send(index, &records);
        }
    }

    /// A peer says that nothing follows, or, if it has said so, that it has all.
    fn finish_peer(&mut self, index: usize) {
        if let Speaks::Native(hand) = &mut self.peers[index].speaks {
            let kind = if hand.said.fin { 6 } else { 3 };
            let mut plaintext = [0; 16];
            plaintext[0] = kind;
            let record = hand.seal(&plaintext);
            self.send(index, &record);
        }
    }

    // ---- what must hold --------------------------------------------------

    /// Looks at every pair after a tick.
    fn judge(&mut self) {
        for wire in self.wires.values_mut() {
            let peer = wire.peer.map(|peer| &self.peers[peer]);
            wire.follow(peer.and_then(Peer::hand));
            if let Some(Ok(())) = peer.and_then(|peer| peer.outcome.as_ref()) {
                assert!(wire.link.closed && !wire.reset, "complete, and not closed");
            }
        }
    }

    /// Lets everything flow, checks all pairs, and takes them away.
    fn finish(&mut self) {
        self.settle();
        self.answer_dials();
        self.open_all();
        self.settle();
        self.check();
        // Connections that were aborted are closed by then.
        self.run_for(Duration::from_secs(6));
        self.check();
        self.end();
        assert_eq!(self.endpoint.pairs(), 0, "locals");
        assert!(self.wires.values().all(|wire| wire.link.closed));
    }

    /// Checks all pairs: nothing holds them up.
    fn check(&self) {
        for wire in self.wires.values() {
            let Some(index) = wire.peer else {
                continue;
            };
            let (peer, link) = (&self.peers[index], &self.links[index]);
            let goes_on = peer.outcome.is_none() && !link.shut;
            assert!(!goes_on || link.incoming.is_empty(), "it is not read");
            if let Some(hand) = peer.hand() {
                peer.check_ends(hand, true, goes_on);
                let hears = peer.joined && !link.writes_fail && !link.broken;
                match goes_on {
                    true => wire.check_open(hand, hears),
                    // A connection that the peer has ended is closed at once.
                    false => wire.check_over(hand, peer, hears && !link.ended),
                }
            }
        }
    }

    /// Every attempt to connect comes to an end, one way or the other.
    fn answer_dials(&mut self) {
        let asked = self.wires.iter().filter(|(_, wire)| !wire.is_open);
        let asked: Vec<LocalId> = asked.map(|(&local, _)| local).collect();
        for local in asked {
            match local.index() % 2 {
                0 => self.open(local),
                _ => self.fail(local),
            }
        }
    }
}

impl Wire {
    /// Follows what the two sides of a pair have got from each other. `hand` is the peer, if it
    /// is there and has shaken hands.
    fn follow(&mut self, hand: Option<&Hand>) {
        let Some(hand) = hand else {
            assert!(self.link.outgoing.is_empty(), "nobody has said that");
            return;
        };
        let said = &hand.said.messages[self.said..];
        self.to_get.extend(said.iter().flatten());
        self.said += said.len();
        let got = self.link.outgoing.drain(..);
        for byte in got {
            assert_eq!(self.to_get.pop_front(), Some(byte), "its peer said else");
        }
        for &byte in hand.heard.messages[self.heard..].iter().flatten() {
            assert_eq!(self.to_hear.pop_front(), Some(byte), "it gave else");
        }
        self.heard = hand.heard.messages.len();
        if self.link.shut {
            assert!(hand.said.fin, "a cut became an end");
            assert!(self.to_get.is_empty(), "it ended before it had all");
        }
        if hand.heard.fin {
            assert!(self.link.ended, "a failure became an end");
            assert!(self.to_hear.is_empty(), "FIN came before all was said");
        }
        assert!(!hand.heard.done || self.link.shut, "DONE before the end");
    }

    /// Nothing holds up either side, and the peer goes on, and `hears` the endpoint: so all has
    /// arrived.
    fn check_open(&self, hand: &Hand, hears: bool) {
        assert!(!hears || !self.reset, "its peer goes on");
        assert!(!hears || !self.link.broken || self.link.ended, "not told");
        if self.works() && !hand.unsure {
            assert!(self.to_get.is_empty(), "its peer has said more");
            assert_eq!(self.link.shut, hand.said.fin, "an end is not passed on");
        }
        if hears && self.works() {
            assert!(self.to_hear.is_empty(), "it gave more");
            assert_eq!(hand.heard.fin, self.link.ended, "FIN is missing");
            let done = hand.heard.done == hand.said.fin;
            assert!(hand.unsure || done, "DONE is missing");
        }
    }

    /// One side has failed: what came before has arrived, where nothing held it up.
    fn check_over(&self, hand: &Hand, peer: &Peer, hears: bool) {
        if self.was_slow || !self.is_open {
            return;
        }
        let cut = match &peer.outcome {
            Some(Err(Failure::Peer(_) | Failure::Truncated(_) | Failure::Broken(_))) => true,
            Some(Err(Failure::Aborted(_))) => hand.said.over == Some(Over::Abort),
            _ => false,
        };
        if cut && peer.joined && self.works() && !hand.unsure {
            assert!(self.to_get.is_empty(), "what came before a cut is lost");
        }
        if let Some(Err(Failure::Gave(abort))) = &peer.outcome
            && abort.reason == Reason::RESET
            && hears
        {
            assert!(self.to_hear.is_empty(), "what came before a reset is lost");
        }
    }
}

/// Bytes that show who has `said` them, where they are many.
fn pattern(script: &mut Script<'_>, said: usize) -> Vec<u8> {
    let len = usize::from(script.word()) % LONGEST;
    let first = script.byte();
    let byte = |n: usize| (n / 256 * 31 + n + said * 17) as u8;
    (0..len).map(|n| byte(n).wrapping_add(first)).collect()
}
