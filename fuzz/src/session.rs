//! Sessions: one against a peer that we play by hand, and two against each other.

use std::collections::VecDeque;
use std::time::Duration;

use sealwire::{Abort, Failure, Identity, Outcome, Reason, Session, SessionEvent, Time};

use crate::chosen::kernel;
use crate::hand::{Hand, first, secrets};
use crate::script::Script;

/// What a session has told its user.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) open: bool,
    pub(crate) messages: Vec<Vec<u8>>,
    pub(crate) fin: bool,
    pub(crate) shut: bool,
    pub(crate) over: Option<Outcome>,
}

impl Heard {
    /// Takes all events.
    pub(crate) fn take(&mut self, session: &mut Session) {
        while let Some(event) = session.poll_event() {
            assert_eq!(self.over, None, "{event:?} behind the end");
            match event {
                SessionEvent::Open => assert!(!std::mem::replace(&mut self.open, true)),
                SessionEvent::Message(message) => {
                    assert!(self.open && !self.fin);
                    self.messages.push(message);
                }
                SessionEvent::Fin => assert!(!std::mem::replace(&mut self.fin, true)),
                SessionEvent::ShutDown => assert!(!std::mem::replace(&mut self.shut, true)),
                SessionEvent::Over(outcome) => self.over = Some(outcome),
                other => panic!("{other:?}"),
            }
        }
    }

    fn has_ended(&self) -> bool {
        self.shut || self.over.is_some()
    }
}

/// One session that is open already, and records of any plaintexts.
pub(crate) fn records(input: &[u8]) {
    let mut script = Script::new(input);
    let keys = [[1; 32], [2; 32]];
    let most = script.pick(&[1 << 20, 30_000]);
    let mut session = Session::open_already(first(&keys), kernel(), most, Time::ZERO);
    play(&mut session, &mut Hand::new(&keys), Time::ZERO, &mut script);
}

/// Spans of time around the deadlines of a connection.
pub(crate) const SPANS: [u64; 8] = [1, 300, 1_100, 5_100, 15_000, 30_100, 61_000, 91_000];

/// Plays what the script says to `session` with `hand`, and checks both sides.
pub(crate) fn play(session: &mut Session, hand: &mut Hand, start: Time, script: &mut Script<'_>) {
    hand.prompt = true;
    let (mut heard, mut given, mut now) = (Heard::default(), Vec::new(), start);
    // Something else than records may have ended it.
    let mut disturbed = false;
    let mut steps = 0..300;
    while !script.has_ended() && heard.over.is_none() && steps.next().is_some() {
        let mut output = Vec::new();
        match script.byte() {
            choice @ 0..150 => {
                let records = hand.records(script);
                let size = match choice % 4 {
                    0 => usize::from(script.byte()) + 1,
                    _ => records.len(),
                };
                for piece in records.chunks(size) {
                    session.receive(now, piece, &mut output);
                }
            }
            150..180 => given.extend(send(session, now, false, script, &mut output)),
            180..200 => given.extend(send(session, now, true, script, &mut output)),
            200..215 => session.finish(now, &mut output),
            215..220 => {
                disturbed = true;
                session.abort(now, Abort::new(Reason(script.byte()), "why"), &mut output);
            }
            220..230 => {
                now = now + Duration::from_millis(script.pick(&SPANS));
                session.handle_timeout(now, &mut output);
                disturbed = true;
            }
            230..240 => {
                hand.junk();
                let bytes = script.lump();
                disturbed |= bytes.is_empty();
                session.receive(now, &bytes, &mut output);
            }
            _ => {
                disturbed = true;
                session.receive(now, &[], &mut output);
            }
        }
        heard.take(session);
        hand.hear(&output);
        check(&heard, hand, &given, disturbed);
    }
}

/// Lets `session` send a message, or the same several times at once: not too many bytes in all.
/// Returns what it has taken.
fn send(
    session: &mut Session,
    now: Time,
    several: bool,
    script: &mut Script<'_>,
    output: &mut Vec<u8>,
) -> Vec<Vec<u8>> {
    let message = script.lump();
    let (count, taken) = match several {
        false => (1, session.send(now, &message, output)),
        true => {
            let count = usize::from(script.byte()).min((1 << 16) / (message.len() + 1));
            let all = vec![&message[..]; count];
            (count, session.send_all(now, &all, output))
        }
    };
    vec![message; if taken { count } else { 0 }]
}

fn check(heard: &Heard, hand: &Hand, given: &[Vec<u8>], disturbed: bool) {
    assert!(
        hand.heard.messages == given,
        "other messages than were sent"
    );
    let (messages, said) = (&heard.messages, &hand.said.messages);
    assert!(said.starts_with(messages), "other messages than were said");
    let too_large = matches!(&heard.over, Some(Err(Failure::Gave(_)))) || heard.shut;
    if !disturbed && !too_large && !hand.unsure {
        assert!(messages == said, "a message was not handed on");
        assert_eq!(heard.fin, hand.said.fin);
    }
    assert!(!hand.must_be_over() || heard.has_ended(), "it goes on");
    match &heard.over {
        Some(Ok(())) => assert!(heard.fin && hand.heard.fin && hand.heard.done && hand.said.done),
        Some(Err(Failure::Peer(fault))) => assert!(
            hand.unsure || hand.must_be_over() || (disturbed && !heard.open),
            "accused of {fault:?}"
        ),
        Some(Err(Failure::Aborted(_))) => assert!(hand.unsure || hand.must_be_over()),
        _ => {}
    }
    if hand.heard.done {
        assert!(messages == said, "confirmed, and not handed on");
    }
}

/// One of two sessions.
struct Side {
    session: Session,
    heard: Heard,
    sent: Vec<Vec<u8>>,
    finished: bool,
    /// What it has written and the other side has not read.
    flying: VecDeque<u8>,
    /// Its stream ends behind that.
    shut: bool,
}

impl Side {
    fn new(session: Session) -> Self {
        Self {
            session,
            heard: Heard::default(),
            sent: Vec::new(),
            finished: false,
            flying: VecDeque::new(),
            shut: false,
        }
    }

    fn note(&mut self, output: &[u8]) {
        assert!(output.is_empty() || !self.shut, "it writes behind its end");
        self.flying.extend(output);
        self.heard.take(&mut self.session);
        self.shut |= self.heard.has_ended();
    }
}

/// Two sessions, and a network between them that cuts, changes and delays.
pub(crate) fn two(input: &[u8]) {
    let mut script = Script::new(input);
    let mut pair = Pair::new();
    while !script.has_ended() && pair.sent < 1 << 18 {
        let choice = script.byte();
        pair.act(usize::from(choice & 1), choice >> 1, &mut script);
    }
    pair.settle();
}

struct Pair {
    sides: [Side; 2],
    now: Time,
    /// Something happened that a connection need not survive.
    disturbed: bool,
    /// Bytes of the messages that both have sent.
    sent: usize,
}

impl Pair {
    /// The client has said hello.
    fn new() -> Self {
        let identity = Identity::new(&secrets()).expect("32 bytes each");
        let client = Session::client(identity.clone(), kernel(), [1; 32], Time::ZERO);
        let server = Session::server(identity, kernel(), [2; 32], Time::ZERO);
        let mut sides = [client, server].map(Side::new);
        let mut hello = Vec::new();
        sides[0].session.start(Time::ZERO, &mut hello);
        sides[0].note(&hello);
        Self {
            sides,
            now: Time::ZERO,
            disturbed: false,
            sent: 0,
        }
    }

    /// Does one thing with the side `at`.
    fn act(&mut self, at: usize, choice: u8, script: &mut Script<'_>) {
        let flying = &mut self.sides[at].flying;
        match choice {
            0..48 => self.drive(at, choice, script),
            48 => {
                let place = usize::from(script.word());
                let bit = script.below(8);
                if let Some(byte) = flying.get_mut(place) {
                    *byte ^= 1 << bit;
                    self.disturbed = true;
                }
            }
            49 => {
                // The stream is cut here.
                let keep = usize::from(script.word());
                self.disturbed |= keep < flying.len() || !self.sides[at].shut;
                self.sides[at].flying.truncate(keep);
                self.sides[at].shut = true;
            }
            50..60 => self.deliver(at, script.word().into()),
            _ => self.deliver(at, usize::MAX),
        }
    }

    /// Calls the session at this side, as its user.
    fn drive(&mut self, at: usize, choice: u8, script: &mut Script<'_>) {
        let side = &mut self.sides[at];
        let (session, mut output) = (&mut side.session, Vec::new());
        match choice {
            0..40 => {
                let several = choice >= 30;
                let messages = send(session, self.now, several, script, &mut output);
                self.sent += messages.iter().map(Vec::len).sum::<usize>();
                side.sent.extend(messages);
            }
            40..45 => {
                session.finish(self.now, &mut output);
                side.finished = true;
            }
            45 => {
                self.disturbed = true;
                let abort = Abort::new(Reason(script.byte()), "why");
                session.abort(self.now, abort, &mut output);
            }
            _ => {
                self.now = self.now + Duration::from_millis(script.pick(&SPANS));
                self.disturbed = true;
                session.handle_timeout(self.now, &mut output);
            }
        }
        if side.shut && self.disturbed {
            // Cut off, it may still write; nobody reads that.
            output.clear();
        }
        side.note(&output);
    }

    /// Gives the other side as many bytes of what `at` wrote; the end, if nothing is left.
    fn deliver(&mut self, at: usize, count: usize) {
        let from = &mut self.sides[at];
        let count = count.min(from.flying.len());
        let bytes: Vec<u8> = from.flying.drain(..count).collect();
        let ended = from.shut && from.flying.is_empty();
        let to = &mut self.sides[1 - at];
        let mut output = Vec::new();
        if !bytes.is_empty() {
            to.session.receive(self.now, &bytes, &mut output);
        }
        if ended {
            to.session.receive(self.now, &[], &mut output);
        }
        if to.shut {
            output.clear();
        }
        to.note(&output);
    }

    /// Delivers all that is left, and checks what both have heard.
    fn settle(&mut self) {
        for _ in 0..10 {
            self.deliver(0, usize::MAX);
            self.deliver(1, usize::MAX);
        }
        let finished = self.sides.iter().all(|side| side.finished);
        for at in [0, 1] {
            let (from, to) = (&self.sides[at], &self.sides[1 - at]);
            let all = from.sent == to.heard.messages;
            assert!(
                from.sent.starts_with(&to.heard.messages),
                "not what was sent"
            );
            if !self.disturbed {
                assert!(all, "something is lost");
                assert!(to.heard.open && to.heard.fin == from.finished);
                assert_eq!(to.heard.over, finished.then_some(Ok(())));
            }
            if to.heard.over == Some(Ok(())) {
                assert!(all && finished, "complete, and something is lost");
            }
        }
    }
}
